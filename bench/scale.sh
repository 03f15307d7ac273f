#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bench/scale.sh [OPTION]...: measures Ceph RBD as a source and a destination against qemu-img and Ceph's own command.
# With CEPH_CONF and BENCH_POOL, in that pool; else on a cluster of one node that is started here and ended again, by
# CEPH_TOOLS (up.sh and down.sh; default: ../shared/tools/ceph). Options are those of bench/run.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tools=${CEPH_TOOLS:-$here/../../shared/tools/ceph}

if [ -z "${BENCH_POOL-}" ]; then
	if [ ! -x "$tools/up.sh" ] || ! command -v ceph-osd >/dev/null; then
		echo "bench/scale.sh: no cluster: neither BENCH_POOL, nor $tools/up.sh with ceph-mon and ceph-osd" >&2
		exit 1
	fi
	# In memory, so that no device has a part in it.
	top=$(mktemp -d -p "${BENCH_DIR:-/dev/shm}" vhdx-bench-ceph.XXXXXX)
	end() {
		"$tools/down.sh" "$top/ceph"
		rm -rf --one-file-system "$top"
	}
	trap end EXIT
	trap 'exit 1' INT TERM HUP
	BENCH_POOL=bench
	CEPH_CONF=$(POOL=$BENCH_POOL PORT=${CEPH_PORT:-26900} SIZE_GB=8 "$tools/up.sh" "$top/ceph")
	export CEPH_CONF
fi
export BENCH_POOL
"$here/run" "$@" ceph
