#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every shell script passes shellcheck.
set -eu
cd "${VHDX_SOURCE:-$(dirname "$0")/../..}"
if ! command -v shellcheck >/dev/null; then
	echo "skipped: shell (no shellcheck)"
	exit 77
fi
find scripts .ci tests -type f -print0 | xargs -0 grep -lE --null '^#!.*[/ ](ba)?sh$' |
	xargs -0 shellcheck -x
