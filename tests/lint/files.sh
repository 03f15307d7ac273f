#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# No C file but the public header, which is one on purpose, is longer than 600 lines, every source names its licence in its first lines, and every source
# of the library and of the command is built.
set -eu
cd "${VHDX_SOURCE:-$(dirname "$0")/../..}"
limit=600
failed=0
seen=0

while IFS= read -r file; do
	seen=$((seen + 1))
	case $file in
	include/vhdx.h) ;;
	*.[ch])
		lines=$(wc -l <"$file")
		if [ "$lines" -gt $limit ]; then
			echo "$file: $lines lines, more than $limit: it holds two concepts"
			failed=1
		fi
		;;
	esac
	if ! head -n 3 "$file" | grep -q 'SPDX-License-Identifier: MIT'; then
		echo "$file: no SPDX line"
		failed=1
	fi
done < <(
	for folder in include lib cli nbdkit fuse examples bench tests; do
		[ ! -d "$folder" ] || find "$folder" -type f \
			\( -name '*.[ch]' -o -name '*.def' -o -name '*.sh' -o -name '*.py' -o -name meson.build \)
	done
	find scripts .ci -type f ! -name '*.pyc'
	echo meson.build
)

for file in lib/*/*.c cli/*.c; do
	list=${file%%/*}/meson.build
	if ! grep -qF "'${file#*/}'" "$list"; then
		echo "$file: not in $list"
		failed=1
	fi
done

if [ "$seen" -lt 20 ]; then
	echo "only $seen files seen: was the right folder looked at?"
	failed=1
fi
exit $failed
