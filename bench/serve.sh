#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bench/serve.sh [--json FILE] [ROUNDS]: our nbdkit plugin, nbdkit's file plugin on a raw file, and qemu-nbd on VHDX.
#
# fio is the client, by one connection to a Unix socket, with 1 and with 32 requests in flight. Every round runs
# every row on every server, in an order that turns, on a server that was just started: what else the machine does
# meets all of them. A row shows requests per second: median, and its spread (highest less lowest, in percent of
# the median); then the median of ours divided by theirs in the same round. The same of the CPU time that a request
# takes of the server. Reads and overwrites are of data in the page cache, which was written alike. Allocating
# writes are of 4 KiB, each into a new block of 2 MiB, with a flush after each 32, on a fresh image in every round;
# the raw file is sparse there.
#
# Then what one request costs in system calls, which no noise changes: the difference of a long run and a short one
# under strace, per request. QUICK=1: shorter, fewer rounds. ROWS: a regular expression; only the rows that it
# matches. VHDX, PLUGIN: ours (default: the build's). QEMU_AIO: threads (qemu-nbd's default), io_uring or native.
# BENCH_DIR: where (default: TMPDIR), with 6 GiB of room. --json FILE: all that was measured goes there too.
# qemu-nbd and strace may be missing.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
export VHDX=${VHDX:-$root/build/cli/vhdx} PLUGIN=${PLUGIN:-$root/build/nbdkit/nbdkit-vhdx-plugin.so}
json=
if [ "${1:-}" = --json ]; then
	json=$(realpath "$2")
	shift 2
fi
if [ "${QUICK:-}" ]; then
	rounds=3 seconds=0.5 mib=256
else
	rounds=7 seconds=1.5 mib=1024
fi
for program in "$VHDX" "$PLUGIN" nbdkit fio; do
	command -v "$program" >/dev/null || [ -e "$program" ] || { echo "no $program" >&2 && exit 1; }
done
folder=$(mktemp -d -p "${BENCH_DIR:-${TMPDIR:-/tmp}}" vhdx-bench-XXXXXX)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 - "${1:-$rounds}" "$seconds" "$mib" "$json" <<'EOP'
import json, os, re, shutil, signal, statistics, subprocess, sys, time

ROUNDS, SECONDS, MIB = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
JSON = sys.argv[4]
VHDX, PLUGIN = os.environ['VHDX'], os.environ['PLUGIN']
BLOCK = 2 << 20
HUGE = 512 << 30  # more blocks than a run can allocate
KINDS = {'reads': ('pread64', 'preadv', 'preadv2'), 'writes': ('pwrite64', 'pwritev', 'pwritev2'),
         'flushes': ('fdatasync', 'fsync'), 'sizes': ('ftruncate', 'fallocate'), 'futex': ('futex',),
         'all': ('total',)}


class Row:
    def __init__(self, name, depth, words, allocates=False):
        self.name = f'{name}, depth {depth}'
        self.allocates = allocates
        self.words = [*words, f'--iodepth={depth}']
        self.kind = 'read' if words[0].endswith('read') else 'write'


def rows():
    for depth in 1, 32:
        yield Row('4 KiB random read', depth, ['--rw=randread', '--bs=4k', '--norandommap'])
        yield Row('4 KiB overwrite', depth, ['--rw=randwrite', '--bs=4k', '--norandommap'])
        yield Row('4 KiB allocating', depth, ['--rw=write', '--replay_no_stall=1'], True)
        yield Row('256 KiB read', depth, ['--rw=read', '--bs=256k'])
        yield Row('256 KiB overwrite', depth, ['--rw=write', '--bs=256k'])


def quietly(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


# ---- Servers ----

def qemu_command(path):
    return ['qemu-nbd', '-f', 'vhdx', '-t', '-e', '8', '--cache=writeback',
            f'--aio={os.environ.get("QEMU_AIO", "threads")}', '-k', os.path.abspath('socket'),
            '--pid-file=pid', path]


def nbdkit_command(plugin):
    return lambda path: ['nbdkit', '-f', '-P', 'pid', '-U', 'socket', plugin, f'file={path}']


# The command, and how an empty image is made.
SERVERS = {
    'vhdx': (nbdkit_command(PLUGIN),
             lambda path, size: quietly(VHDX, 'create', '-q', '--force', '--block-size', '2M', path, str(size))),
    'file': (nbdkit_command('file'), lambda path, size: quietly('truncate', '-s', str(size), path)),
}
if shutil.which('qemu-nbd'):
    SERVERS['qemu'] = (qemu_command, lambda path, size: quietly('qemu-img', 'create', '-q', '-f', 'vhdx', '-o',
                                                                'block_size=2M', path, str(size)))


class Serving:
    """A server of @path, started by @before if there is one."""
    def __init__(self, server, path, before=()):
        self.command = [*before, *SERVERS[server][0](path)]

    def __enter__(self):
        for left in 'pid', 'socket':
            if os.path.exists(left):
                os.unlink(left)
        self.process = subprocess.Popen(self.command)
        while not (os.path.exists('pid') and open('pid').read().strip()):
            if self.process.poll() is not None:
                sys.exit(f'this ended: {" ".join(self.command)}')
            time.sleep(0.01)
        self.pid = int(open('pid').read())
        return self

    def cpu(self):
        """Seconds it took until now. What comes later, as our flush when the image is closed, is no request's."""
        return time.clock_gettime(~self.pid << 3 | 2)  # the clock of another process: clock_getcpuclockid(3)

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGTERM)  # strace would keep a signal to itself
        self.process.wait()


def image_for(server, row):
    """What the row is served from; an empty image is made anew."""
    if not row.allocates:
        return f'data.{server}'
    if os.path.exists(f'new.{server}'):
        os.unlink(f'new.{server}')
    SERVERS[server][1](f'new.{server}', HUGE)
    return f'new.{server}'


def write_log():
    """For fio: allocating writes, more than it gets to before it is stopped, for at a log's end it leaves at once.
    With its own option for flushes, and 32 requests in flight, every third would be one."""
    with open('log', 'w') as file:
        file.write('fio version 2 iolog\nnbd add\nnbd open\n')
        for number in range(HUGE // BLOCK):
            file.write(f'nbd write {number * BLOCK} 4096\n')
            if number % 32 == 31:
                file.write('nbd sync 0 0\n')


def fio(*words):
    found = subprocess.run(['fio', '--name=bench', '--ioengine=nbd', '--uri=nbd+unix:///?socket=socket', '--direct=0',
                            '--output-format=json', *words], check=True, capture_output=True, text=True)
    return json.loads(found.stdout[found.stdout.index('{'):])['jobs'][0]


def fill(server):
    """All images of data are written alike: how large the kernel's pieces of the page cache are depends on it,
    and what a write costs on how large they are."""
    SERVERS[server][1](f'data.{server}', MIB << 20)
    with Serving(server, f'data.{server}'):
        fio('--rw=write', '--bs=4k', '--iodepth=8', f'--size={MIB}M')


def run(server, row, seconds, before=()):
    """The rate of the row's requests, how many they were, and what each took of the server's CPU, in microseconds."""
    path = image_for(server, row)
    os.sync()  # what went before is not this one's to write
    words = ['--read_iolog=log'] if row.allocates else [f'--size={MIB}M', '--time_based']
    with Serving(server, path, before) as serving:
        start = serving.cpu()
        found = fio(f'--runtime={seconds * 1000:.0f}ms', *words, *row.words)[row.kind]
        used = serving.cpu() - start
    return found['iops'], found['total_ios'], used * 1e6 / found['total_ios']


# ---- Rates ----

def ratio(rates, other):
    return statistics.median(ours / theirs for ours, theirs in zip(rates['vhdx'], rates[other]))


def measure(chosen):
    """Per row and server, what each round saw: rates, and CPU time."""
    rates, cpu = ({row.name: {server: [] for server in SERVERS} for row in chosen} for _ in range(2))
    for number in range(ROUNDS):
        turn = number % len(SERVERS)
        for row in chosen:
            for server in list(SERVERS)[turn:] + list(SERVERS)[:turn]:
                rate, _, used = run(server, row, SECONDS)
                rates[row.name][server].append(rate)
                cpu[row.name][server].append(used)
    return rates, cpu


def print_table(title, results, places):
    print(f'\n{title:28}' + ''.join(f'{server:>14}' for server in SERVERS) +
          ''.join(f'{"vhdx/" + server:>11}' for server in SERVERS if server != 'vhdx'))
    for name, found in results.items():
        line = f'{name:28}'
        for each in found.values():
            median = statistics.median(each)
            line += f'{median:9.{places}f} {100 * (max(each) - min(each)) / median:3.0f}%'
        print(line + ''.join(f'{ratio(found, other):11.2f}' for other in found if other != 'vhdx'), flush=True)


# ---- System calls ----

def traced(server, row, seconds):
    """How often each kind of call is made, start and end included, and for how many requests."""
    _, requests, _ = run(server, row, seconds, ('strace', '-f', '-c', '-o', 'counts'))
    found = {}
    for line in open('counts'):
        words = line.split()
        # "% time, seconds, usecs/call, calls, errors (or nothing), name"; of the total too.
        if len(words) >= 5 and words[3].isdigit():
            found[words[-1]] = int(words[3])
    return requests, {kind: sum(found.get(call, 0) for call in calls) for kind, calls in KINDS.items()}


def calls_table(chosen):
    results = {}
    print(f'\n{"calls per request":38}' + ''.join(f'{kind:>9}' for kind in KINDS))
    for row in chosen:
        for server in SERVERS:
            (few, short), (many, long) = (traced(server, row, seconds) for seconds in (0.2, 1.2))
            each = {kind: (long[kind] - short[kind]) / (many - few) for kind in KINDS}
            results.setdefault(row.name, {})[server] = each
            print(f'{row.name:28}  {server:8}' + ''.join(f'{each[kind]:9.3f}' for kind in KINDS), flush=True)
    return results


def main():
    for server in SERVERS:
        fill(server)
    write_log()
    chosen = [row for row in rows() if re.search(os.environ.get('ROWS', ''), row.name)]
    rates, cpu = measure(chosen)
    print_table('requests per second', rates, 0)
    print_table('CPU of one request, us', cpu, 1)
    calls = calls_table(chosen) if shutil.which('strace') else None
    if JSON:
        with open(JSON, 'w') as file:
            json.dump({'rates': rates, 'cpu': cpu, 'calls': calls}, file, indent=1)


main()
EOP
