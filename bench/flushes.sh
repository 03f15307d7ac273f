#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bench/flushes.sh: how many system calls a write of 4 KiB costs, ours against qemu-io's.
#
# Runs 100 writes of 4 KiB, one in each block of a disk with blocks of 1 MiB, by tests/tools/vhdxio and by qemu-io
# (in writeback mode), and counts what reaches the file: flushes (fdatasync, fsync), writes (pwrite64, pwritev),
# changes of its size and space (ftruncate, fallocate); and all system calls of the process. "First and close" is
# a run of one write: it holds what the start, the first write of a session and the close cost. "Each further" is
# what the other 99 cost, divided by 99. Calls are counted by strace -c, and ours again without it by vhdxio
# --count, which counts below the library. Ours alone: space that an earlier session freed, and a child.
# VHDX, VHDXIO: the programs (default: the build's). BENCH_DIR: where (default: TMPDIR).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
export VHDX=${VHDX:-$root/build/cli/vhdx} VHDXIO=${VHDXIO:-$root/build/tests/tools/vhdxio}
for program in "$VHDX" "$VHDXIO" strace; do
	command -v "$program" >/dev/null || { echo "no $program" >&2 && exit 1; }
done
folder=$(mktemp -d -p "${BENCH_DIR:-${TMPDIR:-/tmp}}" vhdx-bench-XXXXXX)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 - <<'EOP'
import os, shutil, subprocess

VHDX, VHDXIO = os.environ['VHDX'], os.environ['VHDXIO']
COUNT, MIB = 100, 1 << 20
SIZE = 128 * MIB
KINDS = {'flushes': ('fdatasync', 'fsync'), 'writes': ('pwrite64', 'pwritev', 'pwritev2'),
         'sizes': ('ftruncate', 'fallocate'), 'all': ('total',)}


def quietly(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def lines(count, every):
    """@count writes, a flush after each @every of them (0: none)."""
    for number in range(count):
        yield f'write {number * MIB} 4096 {number % 255 + 1}'
        if every and number % every == every - 1:
            yield 'flush'


def qemu_lines(count, every):
    for line in lines(count, every):
        word, *rest = line.split()
        yield f'write -P {rest[2]} {rest[0]} {rest[1]}' if word == 'write' else line


def commands(texts):
    return [word for text in texts for word in ('-c', text)]


def fresh():
    quietly(VHDX, 'create', '--force', '--block-size', '1M', 'disk.vhdx', str(SIZE))
    return 'disk.vhdx'


def present():
    path = fresh()
    quietly(VHDXIO, path, *commands(lines(COUNT, 0)))
    return path


def recycled():
    """The file has room that an earlier session left: trimmed blocks below one that stays."""
    path = fresh()
    quietly(VHDXIO, path, *commands(lines(COUNT, 0)), '-c', f'write {COUNT * MIB} 4096 1', '-c', 'flush',
            '-c', f'trim 0 {COUNT * MIB}')
    return path


def child():
    quietly('rm', '-f', 'child.vhdx')
    quietly(VHDX, 'create', '--parent', present(), '--block-size', '1M', 'child.vhdx')
    return 'child.vhdx'


def qemu_fresh():
    quietly('qemu-img', 'create', '-q', '-f', 'vhdx', '-o', 'block_size=1M', 'disk.vhdx', str(SIZE))
    return 'disk.vhdx'


def qemu_present():
    path = qemu_fresh()
    quietly('qemu-io', '-f', 'vhdx', *commands(qemu_lines(COUNT, 0)), path)
    return path


def by_strace(program):
    quietly('strace', '-f', '-c', '-o', 'counts', *program)
    found = {}
    for line in open('counts'):
        words = line.split()
        # "% time, seconds, usecs/call, calls, errors (or nothing), name"; of the total too.
        if len(words) >= 5 and words[3].isdigit():
            found[words[-1]] = int(words[3])
    return {kind: sum(found.get(call, 0) for call in calls) for kind, calls in KINDS.items()}


def text(number, places):
    return f'{number:9.{places}f}' if number is not None else '        -'


def ours(path, texts):
    return by_strace([VHDXIO, *commands(texts), path])


def ours_below(path, texts):
    """The same by the library's own storage interface, closing included."""
    done = subprocess.run([VHDXIO, '--count', *commands([*texts, 'close', 'counts']), path], check=True,
                          capture_output=True, text=True)
    words = done.stdout.split()
    found = {name: int(value) for name, value in zip(words[::2], words[1::2])}
    return {'flushes': found['flushes'], 'writes': found['writes'],
            'sizes': found['sizes'] + found['punches'] + found['zeros'] + found['reserves'], 'all': None}


def qemu(path, texts):
    return by_strace(['qemu-io', '-t', 'writeback', '-f', 'vhdx', *commands(texts), path])


def row(title, run, make, source, every):
    one, whole = (run(make(), list(source(count, min(every, count)))) for count in (1, COUNT))
    further = {kind: None if one[kind] is None else (whole[kind] - one[kind]) / (COUNT - 1) for kind in KINDS}
    print(f'  {title:20}' + ''.join(text(one[kind], 0) for kind in KINDS) +
          ''.join(text(further[kind], 2) for kind in KINDS), flush=True)


def table(title, make, every, qemu_make=None):
    print(f'{title}:')
    row('vhdxio', ours, make, lines, every)
    row('vhdxio, by --count', ours_below, make, lines, every)
    if qemu_make and shutil.which('qemu-io'):
        row('qemu-io', qemu, qemu_make, qemu_lines, every)


print(f'{"":22}{"first and close":>36}{"each further write":>36}')
print(f'{"":22}' + 2 * ''.join(f'{kind:>9}' for kind in KINDS))
table('allocations, no flush', fresh, 0, qemu_fresh)
table('allocations, a flush after each', fresh, 1, qemu_fresh)
table('allocations, a flush after each 10', fresh, 10, qemu_fresh)
table('overwrites, no flush', present, 0, qemu_present)
table('overwrites, a flush after each', present, 1, qemu_present)
table('recycled space, no flush', recycled, 0)
table('recycled space, a flush after each', recycled, 1)
table('recycled space, a flush after each 10', recycled, 10)
table('over a parent\'s blocks, no flush', child, 0)
table('over a parent\'s blocks, a flush after each', child, 1)
table('over a parent\'s blocks, a flush after each 10', child, 10)
EOP
