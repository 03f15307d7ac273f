# SPDX-License-Identifier: MIT
"""Serving over NBD: our nbdkit plugin, nbdkit's file plugin on a raw file, and qemu-nbd on VHDX.

Reads and overwrites are of data in the page cache. Allocating writes are of 4 KiB, each into a new block of 2 MiB, with
a flush after each 32, on a fresh image each time; the raw file is sparse there."""
import functools
import os
import tempfile

from support.fiojobs import Images, jobs
from support.row import Row, Sample
from support.serving import known_servers

TITLE = "Serving over NBD, requests of one client"
QUICK = {("4 KiB reads", 32), ("4 KiB overwrites", 32), ("4 KiB allocating writes", 32)}


def chosen(place):
    return [job for job in jobs() if not place.quick or (job.name, job.depth) in QUICK]


def run(images, server, job, seconds, samples):
    rate, _, cpu, peak = images.run(server, job, seconds)
    samples.append(Sample(rate, peak, cpu))
    return samples[-1]


def of_cpu(sample):
    """Noise changes it less than the rate."""
    return Sample(sample.cpu)


def rows(place):
    top = place.folder("ext4")
    if not (top and os.path.exists(place.plugin) and place.have("nbdkit") and place.have("fio")):
        return
    servers = known_servers(place)
    seconds = place.size(0.8, 0.2, 0.03)
    with tempfile.TemporaryDirectory(dir=top) as folder:
        images = Images(folder, place.size(1024, 128, 8), servers)
        for job in chosen(place):
            name, samples = f"{job.name}, depth {job.depth}", {server: [] for server in servers}
            yield Row(name, {server: functools.partial(run, images, server, job, seconds, samples[server])
                             for server in servers},
                      unit="/s", limit="nbdkit file", goal=0.8 if job.allocates else 0.95, most_mib=64, primes=False)
            if samples["vhdx"]:
                yield Row(f"{name}: CPU of a request", {server: map(of_cpu, found).__next__
                                                        for server, found in samples.items()},
                          limit="nbdkit file", rounds=len(samples["vhdx"]), primes=False)
