#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every shell script passes shellcheck.
set -eu
cd "${VHDX_SOURCE:-$(dirname "$0")/../..}"
if ! command -v shellcheck >/dev/null; then
	echo "skipped: shell (no shellcheck)"
	exit 77
fi
# What the first line says; a script in a string of another one is not looked at.
find scripts .ci bench debian/tests tests -type f -print0 | while IFS= read -r -d '' file; do
	IFS= read -r first <"$file" || true
	[[ ! $first =~ ^#!.*[/\ ](ba)?sh$ ]] || printf '%s\0' "$file"
done | xargs -0 shellcheck -x
