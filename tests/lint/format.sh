#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every C file is as clang-format with the project's .clang-format leaves it.
set -eu
cd "${VHDX_SOURCE:-$(dirname "$0")/../..}"
if ! command -v clang-format >/dev/null; then
	echo "skipped: format (no clang-format)"
	exit 77
fi
folders=()
for folder in include lib remote cli nbdkit fuse examples bench tests; do
	[ ! -d "$folder" ] || folders+=("$folder")
done
failed=0
while IFS= read -r -d '' file; do
	if ! clang-format --dry-run -Werror --ferror-limit=1 "$file" 2>/dev/null; then
		echo "$file: clang-format -i would change it"
		failed=1
	fi
done < <(find "${folders[@]}" -name '*.[ch]' -print0)
exit $failed
