#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The version is the same wherever it stands.
set -eu -o pipefail
cd "${VHDX_SOURCE:-$(dirname "$0")/../..}"
failed=0

version=$(sed -nE "s/^  version: '([^']+)',$/\1/p" meson.build)
soname=$(sed -nE "s/^    version: '([0-9]+)\..*',$/\1/p" lib/meson.build)
is() { # is PLACE FOUND EXPECTED
	[ "$2" = "$3" ] || {
		echo "$1: $2 (expected $3)"
		failed=1
	}
}
is NEWS.md "$(sed -nE 's/^## //p' NEWS.md | head -n 1)" "$version"
is README.md "$(sed -nE 's/^Version ([0-9.]+)\. .*/\1/p' README.md)" "$version"
is debian/changelog "$(sed -nE '1s/^libvhdx \((.*)-[^-]*\) .*/\1/p' debian/changelog)" "$version"
is debian/libvhdx1.symbols "$(sed -nE 's/^libvhdx\.so\.([0-9]+) .*/\1/p' debian/libvhdx1.symbols)" "$soname"
is debian/control "$(sed -nE 's/^Package: libvhdx([0-9]+)$/\1/p' debian/control)" "$soname"
exit $failed
