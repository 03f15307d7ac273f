#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A file of lib/ includes headers of its own floor and of those below. The rest includes <vhdx.h> only, and those of
# the folders that it may use: fuse/, a verb in a program of its own, what verbs share in cli/.
set -eu
cd "${VHDX_SOURCE:-$(dirname "$0")/../..}"

floors=(base format store meta vdisk ops)
declare -A uses=(
	[remote]=""
	[cli]="remote"
	[nbdkit]="remote"
	[fuse]="cli remote"
	[examples]=""
)
failed=0

complain() {
	echo "$1"
	failed=1
}

# The height of floor $1, or -1.
height() {
	local i
	for i in "${!floors[@]}"; do
		if [ "${floors[i]}" = "$1" ]; then
			echo "$i"
			return
		fi
	done
	echo -1
}

# FILE:LINE TEXT for each include in the files given.
includes() {
	grep -HnE '^[[:space:]]*#[[:space:]]*include' "$@" | sed -E 's/^([^:]*:[0-9]+):/\1 /' || true
}

# The name between the quotes or brackets, with them: "base/le.h" or <errno.h>.
target() {
	sed -nE 's/.*include[[:space:]]*("[^"]*"|<[^>]*>).*/\1/p' <<<"$1"
}

for folder in lib/*/; do
	floor=$(basename "$folder")
	own=$(height "$floor")
	[ "$own" -ge 0 ] || complain "$folder: no such floor"
	files=("$folder"*.[ch])
	[ -e "${files[0]}" ] || continue
	while read -r place text; do
		name=$(target "$text")
		inner=${name:1:-1}
		other=$(height "${inner%%/*}")
		case $name in
		\"*) [ "$other" -ge 0 ] || complain "$place: $name does not begin with a floor" ;;
		*) [ "$other" -lt 0 ] || complain "$place: $name is written between quotes" ;;
		esac
		[ "$other" -le "$own" ] || complain "$place: $floor is below ${inner%%/*}"
	done < <(includes "${files[@]}")
done

[ -e lib/base/error.c ] || complain "lib/base/error.c is not there: was the right folder looked at?"

# Is header $1 of one of the folders behind it? What is made of a file has its name, and ends in .h.
is_of() {
	local name=$1 folder
	shift
	for folder in "$@"; do
		[ ! -e "$folder/$name" ] && [ ! -e "$folder/${name%.h}" ] || return 0
	done
	return 1
}

for front in "${!uses[@]}"; do
	files=("$front"/*.[ch])
	[ -e "${files[0]}" ] || continue
	read -ra folders <<<"$front ${uses[$front]}"
	while read -r place text; do
		name=$(target "$text")
		inner=${name:1:-1}
		case $inner in
		*..*) complain "$place: $name leaves $front/" ;;
		*/*) [ "$(height "${inner%%/*}")" -lt 0 ] || complain "$place: $name is internal to the library" ;;
		vhdx.h) [ "$name" = "<vhdx.h>" ] || complain "$place: write <vhdx.h>" ;;
		*) [ "${name:0:1}" = "<" ] || is_of "$inner" "${folders[@]}" ||
			complain "$place: $name is not of ${folders[*]}" ;;
		esac
	done < <(includes "${files[@]}")
done
exit $failed
