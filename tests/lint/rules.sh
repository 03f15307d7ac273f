#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every rule of lib/base/rules.h is obeyed somewhere, and explained in docs/CRASH.md; and no other is.
set -eu
cd "${VHDX_SOURCE:-$(dirname "$0")/../..}"
failed=0
declared=$(sed -nE 's/^\t(RULE_[A-Z_]+),.*/\1/p' lib/base/rules.h | sort)
explained=$(sed -nE 's/^\| (RULE_[A-Z_]+) \|.*/\1/p' docs/CRASH.md | sort)
obeyed=$(grep -rhoE 'OBEYS\(RULE_[A-Z_]+\)' lib --include='*.c' | sed -E 's/OBEYS\((.*)\)/\1/' | sort -u)

same() { # same NAME LIST
	if [ "$declared" != "$2" ]; then
		echo "lib/base/rules.h (<) and $1 (>) differ:"
		diff <(echo "$declared") <(echo "$2") | grep '^[<>]' || true
		failed=1
	fi
}
same docs/CRASH.md "$explained"
same 'what the code obeys' "$obeyed"
if [ "$(wc -l <<<"$declared")" -lt 10 ]; then
	echo "lib/base/rules.h: the rules were not understood here"
	failed=1
fi
exit $failed
