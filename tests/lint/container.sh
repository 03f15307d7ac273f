#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The Containerfile installs packages that exist, Debian's or those of debian/control, and copies what is there.
set -eu -o pipefail
cd "${VHDX_SOURCE:-$(dirname "$0")/../..}"
failed=0
complain() {
	echo "Containerfile: $1"
	failed=1
}

# Lines that go on are one.
text=$(sed -e ':a' -e '/\\$/{N;s/\\\n//;ba}' Containerfile)

own=$(sed -n 's/^Package: //p' debian/control)
while read -r package; do
	grep -qxF "$package" <<<"$own" || complain "$package is no package of debian/control"
done < <(grep -oE '/packages/[a-z0-9-]+_' <<<"$text" | sed 's|.*/||; s/_$//')

while read -r word path _; do
	[ "$word" = COPY ] && [ ! -e "$path" ] && complain "$path is not there"
done <<<"$text"
while read -r path; do
	[ -x "$path" ] || complain "$path cannot be run"
done < <(sed -nE 's|^RUN /source/([^ ]+).*|\1|p' <<<"$text")

# Where there are lists of Debian's packages.
known=$(apt-cache pkgnames 2>/dev/null || true)
if grep -qxF libnbd0 <<<"$known"; then
	while read -r package; do
		grep -qxF "$package" <<<"$known" || complain "Debian has no $package"
	done < <(sed -nE 's/^ARG EXTRAS="(.*)"/\1/p' <<<"$text" | tr ' ' '\n')
fi
exit $failed
