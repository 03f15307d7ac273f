#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bench/compact.sh [ROUNDS]: `vhdx compact` against reading the file once and writing what moves.
#
# 4 GiB of blocks are present, every other one holds zeros only, so half of the file goes and a quarter of it
# moves. Prints the medians of: cat of the whole file; dd with a final sync of as much as moves; a dry run, which
# only looks; and vhdx compact, as its share of the first two. All from the page cache. VHDX, VHDXIO: the command
# and tests/tools/vhdxio (default: the build's). BENCH_DIR: where (default: TMPDIR), with 10 GiB of room.
# BENCH_SIZE: MiB that are present.
set -eu
rounds=${1:-3}
root=$(cd "$(dirname "$0")/.." && pwd)
export VHDX=${VHDX:-$root/build/cli/vhdx} VHDXIO=${VHDXIO:-$root/build/tests/tools/vhdxio}
for program in "$VHDX" "$VHDXIO"; do
	command -v "$program" >/dev/null || { echo "no $program: build it, or set VHDX and VHDXIO" >&2 && exit 1; }
done
folder=$(mktemp -d -p "${BENCH_DIR:-${TMPDIR:-/tmp}}" vhdx-bench-XXXXXX)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 - "$rounds" "${BENCH_SIZE:-4096}" <<'EOP'
import json, os, statistics, subprocess, sys, time

rounds, mib = int(sys.argv[1]), int(sys.argv[2])
vhdx, vhdxio = os.environ['VHDX'], os.environ['VHDXIO']


def took(command, **how):
    start = time.perf_counter()
    subprocess.check_call(command, **how)
    return time.perf_counter() - start


subprocess.check_call([vhdx, 'create', '-q', 'model.vhdx', f'{2 * mib}M'])
lines = [f'write {at}M 256M seed:1' for at in range(0, mib, 256)]
lines += [f'write {at}M 2M 0' for at in range(0, mib, 4)]
subprocess.run([vhdxio, 'model.vhdx'], input='\n'.join(lines).encode(), check=True)
times = {name: [] for name in ('cat', 'write', 'dry run', 'compact')}
for _ in range(rounds):
    subprocess.check_call(['cp', '--reflink=never', '--sparse=never', 'model.vhdx', 'x.vhdx'])
    os.sync()
    with open(os.devnull, 'wb') as null:
        times['cat'].append(took(['cat', 'x.vhdx'], stdout=null))
    times['dry run'].append(took([vhdx, 'compact', '-q', '--dry-run', 'x.vhdx']))
    timer = ['/usr/bin/time', '-f', '%M', '-o', 'peak'] if os.path.exists('/usr/bin/time') else []
    start = time.perf_counter()
    told = json.loads(subprocess.check_output([*timer, vhdx, 'compact', '--json', 'x.vhdx']))
    times['compact'].append(time.perf_counter() - start)
    moved = told['moved-blocks'] * 2
    times['write'].append(took(['dd', 'if=model.vhdx', 'of=y', 'bs=2M', f'count={moved // 2}', 'conv=fsync',
                                'status=none']))
    os.unlink('y')
medians = {name: statistics.median(all) for name, all in times.items()}
size = os.path.getsize('model.vhdx') >> 20
print(f'{size} MiB, {told["file-size-after"] >> 20} MiB afterwards, {moved} MiB moved; medians of {rounds}:')
print(f'  cat of the file              {medians["cat"]:6.2f} s')
print(f'  writing {moved} MiB, synced     {medians["write"]:6.2f} s')
print(f'  vhdx compact --dry-run       {medians["dry run"]:6.2f} s   of cat: {medians["dry run"] / medians["cat"]:.2f}')
both = medians['cat'] + medians['write']
print(f'  vhdx compact                 {medians["compact"]:6.2f} s   of both: {medians["compact"] / both:.2f}')
if timer:
    print(f'  highest resident memory      {int(open("peak").read()) / 1024:6.1f} MiB')
EOP
