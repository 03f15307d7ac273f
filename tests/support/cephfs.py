# SPDX-License-Identifier: MIT
"""A CephFS of one node, mounted twice by ceph-fuse, as by two hosts."""
import os
import subprocess

import cephnode
import tap
from cephnode import wait_until

PROGRAMS = ("ceph-mds", "ceph-fuse", "rados", "fusermount3")

MDS = """
[mds]
mds_data = {folder}/mds.a
log_file = {folder}/mds.a.log
admin_socket = {folder}/mds.a.asok
pid_file =
"""


def needs():
    """Why there can be none here, or None."""
    if not os.path.exists("/dev/fuse"):
        return "no /dev/fuse"
    return cephnode.installed() or tap.root() or tap.tool(*PROGRAMS)()


class _FileSystem(cephnode.Cluster):
    def __init__(self):
        self.processes, self.points, self.count = [], [], 0
        super().__init__()
        try:
            self._mount()
        except BaseException:
            self.end()
            raise

    def _daemon(self, *words):
        with open(os.path.join(self.top, "out"), "ab") as out:
            self.processes.append(subprocess.Popen(words, env=self.env, stdin=subprocess.DEVNULL, stdout=out,
                                                   stderr=out))

    def _mount(self):
        with open(self.conf(), "a", encoding="utf-8") as conf:
            conf.write(MDS.format(folder=self.folder))
        os.mkdir(os.path.join(self.folder, "mds.a"))
        for pool in "meta", "data":
            self.run("ceph", "osd", "pool", "create", pool, "8", "8")
        self.run("ceph", "fs", "new", "fs", "meta", "data")
        self._daemon("ceph-mds", "-f", "-i", "a")
        wait_until("the metadata server is not ready", lambda: "active" in self.run("ceph", "mds", "stat"))
        for point in [os.path.join(self.top, name) for name in "ab"]:
            os.mkdir(point)
            self.points.append(point)
            self._daemon("ceph-fuse", "-f", point)
            wait_until("ceph-fuse is not ready", lambda point=point: os.path.ismount(point))

    def folders(self):
        """A new folder, as either host sees it."""
        self.count += 1
        name = f"case{self.count}"
        os.mkdir(os.path.join(self.points[0], name))
        return [os.path.join(point, name) for point in self.points]

    def held(self, path):
        """Bytes of the objects that a file has, which is not what stat says."""
        number = f"{os.stat(path).st_ino:x}."
        names = [name for name in self.run("rados", "-p", "data", "ls").split() if name.startswith(number)]
        return sum(int(self.run("rados", "-p", "data", "stat", name).rsplit(" ", 1)[1]) for name in names)

    def end(self):
        while self.points:
            point = self.points.pop()
            if os.path.ismount(point):
                subprocess.run(["fusermount3", "-u", "-z", point], capture_output=True, check=False)
        while self.processes:
            process = self.processes.pop()
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        super().end()


_cluster = []


def on_two_mounts(judge):
    if not _cluster:
        _cluster.append(_FileSystem())
    judge(*_cluster[0].folders())


def held(path):
    return _cluster[0].held(path)


def end():
    while _cluster:
        _cluster.pop().end()
