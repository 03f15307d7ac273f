#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# vhdx.h compiles alone, as C99 and as C++, with every warning on.
set -eu
cd "${VHDX_SOURCE:-$(dirname "$0")/../..}"
strict=(-Wall -Wextra -pedantic -Werror -fsyntax-only -Iinclude)

echo '#include <vhdx.h>' | gcc -std=c99 "${strict[@]}" -x c -
for cxx in g++ clang++; do
	if command -v "$cxx" >/dev/null; then
		echo '#include <vhdx.h>' | "$cxx" -std=c++11 "${strict[@]}" -x c++ -
		exit 0
	fi
done
echo "skipped: header as C++ (no C++ compiler); as C99 it compiles"
exit 77
