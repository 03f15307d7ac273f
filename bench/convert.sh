#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bench/convert.sh [ROUNDS]: `vhdx convert` against `qemu-img convert` and cp, on 2 GiB of data in the page cache.
#
# Prints, for raw to VHDX and VHDX to raw, without a final sync (qemu-img's and cp's way; ours by --no-sync) and
# with one (ours by default, theirs by sync(1) on the new file): the median time of each, ours divided by theirs,
# the same of the best times, and the highest resident memory. Where a virtual machine gives freed memory back to
# its host, whoever gets it again pays for it, at random: the best times say more there. VHDX: the command
# (default: the build's). BENCH_DIR: where (default: TMPDIR), with 7 GiB of room. BENCH_SIZE: MiB of data.
# Programs that are not there are left out.
set -eu
rounds=${1:-7}
root=$(cd "$(dirname "$0")/.." && pwd)
export VHDX=${VHDX:-$root/build/cli/vhdx}
command -v "$VHDX" >/dev/null || { echo "no $VHDX: build it, or set VHDX" >&2 && exit 1; }
folder=$(mktemp -d -p "${BENCH_DIR:-${TMPDIR:-/tmp}}" vhdx-bench-XXXXXX)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 - "$rounds" "${BENCH_SIZE:-2048}" <<'EOP'
import os, random, shutil, statistics, subprocess, sys, time

rounds, mib = int(sys.argv[1]), int(sys.argv[2])
vhdx = os.environ['VHDX']


def run(command, sync):
    """Seconds; the new file is gone afterwards."""
    os.sync()  # what went before is not this one's to write
    start = time.perf_counter()
    subprocess.check_call(command)
    if sync:
        subprocess.check_call(['sync', command[-1]])
    took = time.perf_counter() - start
    os.unlink(command[-1])
    return took


def peak(command):
    """The highest resident memory, as text; the run that warms everything up. A child of this program would begin
    with its own memory, so time(1) stands between."""
    timer = ['/usr/bin/time', '-f', '%M', '-o', 'peak'] if os.path.exists('/usr/bin/time') else []
    run([*timer, *command], False)
    return f', {int(open("peak").read()) / 1024:.1f} MiB resident' if timer else ''


def compare(title, ours, others, sync):
    """Runs all in turn, in an order that turns too, so that whatever else the machine does meets all of them."""
    commands = {'vhdx': ours, **others}
    peaks = {name: peak(command) for name, command in commands.items()}
    results = {name: [] for name in commands}
    for number in range(rounds):
        turns = list(commands)[number % len(commands):] + list(commands)[:number % len(commands)]
        for name in turns:
            results[name].append(run(commands[name], sync and name != 'vhdx'))
    median = {name: statistics.median(r) for name, r in results.items()}
    best = {name: min(r) for name, r in results.items()}
    print(f'{title}:')
    for name in commands:
        ratio = '' if name == 'vhdx' else (f'   vhdx/{name} {median["vhdx"] / median[name]:.2f}, '
                                           f'best {best["vhdx"] / best[name]:.2f}')
        print(f'  {name:8} {median[name]:6.3f} s, best {best[name]:.3f} s{peaks[name]}{ratio}', flush=True)


random.seed(1)
with open('in.raw', 'wb') as file:
    for _ in range(mib):
        file.write(random.randbytes(1 << 20))
subprocess.check_call([vhdx, 'convert', '-q', '-f', 'raw', '-O', 'vhdx', '--no-sync', 'in.raw', 'in.vhdx'])

for source, target in ('raw', 'vhdx'), ('vhdx', 'raw'):
    for sync in False, True:
        ours = [vhdx, 'convert', '-q', '-f', source, '-O', target, *([] if sync else ['--no-sync']),
                f'in.{source}', f'vhdx.{target}']
        others = {}
        if shutil.which('qemu-img'):
            others['qemu-img'] = ['qemu-img', 'convert', '-f', source, '-O', target, f'in.{source}', f'qemu.{target}']
        others['cp'] = ['cp', '--reflink=never', f'in.{source}', 'cp.out']
        compare(f'{source} to {target}, {mib} MiB, ' + ('with a final sync' if sync else 'without a final sync'),
                ours, others, sync)
EOP
