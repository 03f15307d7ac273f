#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/fuzz/long.sh BUILD SECONDS [TARGET...]: runs the fuzz targets of a build one after the other, and says
# what each did. Corpora grow in BUILD/corpus-TARGET, inputs that end a target lie in BUILD/found.
set -eu -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
seconds=$2
shift 2
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
found=$build/found
log=$build/fuzz.log
mkdir -p "$found"

if [ $# -eq 0 ]; then
	for program in "$build"/tests/fuzz/fuzz_*; do
		case $program in
		*.p | *'*') ;;
		*) set -- "$@" "$(basename "${program#*/fuzz_}")" ;;
		esac
	done
fi

# The last "#123 DONE cov: 45 ft: 67 corp: ..." of a run.
summary() {
	grep -aE '^#[0-9]+' "$log" | tail -n 1 |
		awk '{printf "%s executions, %s edges, %s features", substr($1, 2), $4, $6}'
}

status=0
for target; do
	mkdir -p "$build/corpus-$target"
	result=nothing
	if ! "$build/tests/fuzz/fuzz_$target" -max_total_time="$seconds" -max_len=2048 -entropic=0 \
		-malloc_limit_mb=64 -rss_limit_mb=1024 -timeout=20 -artifact_prefix="$found/$target-" \
		"$build/corpus-$target" "$here/corpus/$target" >"$log" 2>&1; then
		result="something: $(grep -aE 'ERROR|runtime error|Test unit written' "$log" | tr '\n' ' ')"
		cp "$log" "$found/$target.log"
		status=1
	fi
	printf '%-8s %s; found %s\n' "$target" "$(summary)" "$result"
done
exit $status
