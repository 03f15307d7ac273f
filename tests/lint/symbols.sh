#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Global symbols begin with vhdx_; what the shared library exports is what vhdx.h declares, and the map and the Debian
# package list.
set -eu -o pipefail
cd "${VHDX_SOURCE:-$(dirname "$0")/../..}"
: "${VHDX_LIB_STATIC:?path of libvhdx.a}" "${VHDX_LIB_SHARED:?path of libvhdx.so}"
failed=0

foreign=$(nm -g --defined-only "$VHDX_LIB_STATIC" | awk 'NF == 3 && $3 !~ /^vhdx_/ {print $3}')
if [ -n "$foreign" ]; then
	printf 'global symbols without vhdx_:\n%s\n' "$foreign"
	failed=1
fi

declared=$(tr '\n' ' ' <include/vhdx.h | grep -oE 'VHDX_API [^(;]*\(' |
	sed -nE 's/.*[^a-z0-9_](vhdx_[a-z0-9_]+)\($/\1/p' | sort)
listed=$(sed -nE 's/^[[:space:]]*(vhdx_[a-z0-9_]+);$/\1/p' lib/libvhdx.map | sort)
exported=$(nm -D --defined-only "$VHDX_LIB_SHARED" |
	awk '$2 != "A" {sub(/@.*/, "", $3); print $3}' | sort)

if [ "$(grep -c '^VHDX_API ' include/vhdx.h)" -ne "$(wc -l <<<"$declared")" ]; then
	echo "vhdx.h: some VHDX_API declarations were not understood here"
	failed=1
fi
same() { # same NAME-A LIST-A NAME-B LIST-B
	if [ "$2" != "$4" ]; then
		printf '%s (<) and %s (>) differ:\n' "$1" "$3"
		diff <(echo "$2") <(echo "$4") | grep '^[<>]' || true
		failed=1
	fi
}
same vhdx.h "$declared" libvhdx.map "$listed"
packaged=$(sed -nE 's/^ (vhdx_[a-z0-9_]+)@.*/\1/p' debian/libvhdx1.symbols | sort)
same vhdx.h "$declared" libvhdx1.symbols "$packaged"
same vhdx.h "$declared" "$(basename "$VHDX_LIB_SHARED")" "$exported"
exit $failed
