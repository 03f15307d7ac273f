# SPDX-License-Identifier: MIT
"""A Slurm of one node, with a key, ports and a folder of its own, which ends with its `with` block.

It runs beside whatever else does: no system service, no file outside the folder."""
import os
import shutil
import socket
import subprocess
import tempfile
import time

import tap

TOOLS = ("slurmctld", "slurmd", "munged", "mungekey", "sbatch", "squeue", "scancel", "sinfo")
READY_S = 30

CONFIG = """\
ClusterName=scratch
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
KillWait=1
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=16384 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES State=UP
"""


def needs():
    """Why there can be no Slurm here; None when it can be tried."""
    for need in (tap.root, tap.tool(*TOOLS)):
        if need():
            return need()
    return None


def _free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Slurm:
    """Runs jobs on @cpus processors, which need not be there. Use in a `with` block."""

    def __init__(self, cpus=4):
        self.cpus = cpus
        self.daemons = []

    def __enter__(self):
        # Sockets have short names, and their folder is no one else's to write.
        self.folder = tempfile.mkdtemp(prefix="slurm.")
        for name in "state", "spool":
            os.mkdir(os.path.join(self.folder, name))
        conf = os.path.join(self.folder, "slurm.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(folder=self.folder, host=socket.gethostname().split(".")[0],
                                     ports=_free_ports(2), user="root", cpus=self.cpus))
        self.environment = {"SLURM_CONF": conf}
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if len(self.daemons) == 3:
            self._end_jobs()
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, name, *words, env=None):
        result = subprocess.run([tap.find_tool(name), *words], env={**(env or os.environ), **self.environment}, capture_output=True, text=True,
                                timeout=60, check=False)
        if result.returncode:
            raise AssertionError(f"{name} {' '.join(words)}: {result.stderr.strip()}")
        return result.stdout

    def _daemon(self, name, *words):
        with open(os.path.join(self.folder, f"{name}.out"), "wb") as log:
            self.daemons.append(subprocess.Popen(
                [tap.find_tool(name), *words], env={**os.environ, **self.environment}, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, cwd=self.folder))

    def _start(self):
        within = lambda name: os.path.join(self.folder, name)
        self._run("mungekey", "-c", "-k", within("munge.key"))
        self._daemon("munged", "-F", "--force", "--key-file", within("munge.key"), "--socket", within("munge.sock"),
                     "--pid-file", within("munged.pid"), "--seed-file", within("munge.seed"))
        self._await(lambda: os.path.exists(within("munge.sock")), "munged")
        self._daemon("slurmctld", "-D")
        self._daemon("slurmd", "-D")
        self._await(lambda: self._state() == "idle", "the node")

    def _state(self):
        try:
            return self._run("sinfo", "-h", "-o", "%T").strip()
        except AssertionError:  # until slurmctld answers
            return None

    def _await(self, done, what, seconds=READY_S):
        end = time.monotonic() + seconds
        while not done():
            for daemon in self.daemons:
                if daemon.poll() is not None:
                    raise tap.Skip(f"{os.path.basename(daemon.args[0])} does not run here: {self._said(daemon)}")
            if time.monotonic() > end:
                raise tap.Skip(f"{what} of Slurm is not ready after {seconds} s")
            time.sleep(0.05)

    def _said(self, daemon):
        with open(os.path.join(self.folder, os.path.basename(daemon.args[0]) + ".out"), errors="replace") as file:
            return (file.read().strip().splitlines() or ["nothing"])[-1]

    def _end_jobs(self):
        """What a job started must not outlive the node."""
        try:
            self._run("scancel", "--full", "--signal=KILL", "--user=root")
            self._run("scancel", "--user=root")
            end = time.monotonic() + 20
            while self.jobs() and time.monotonic() < end:
                time.sleep(0.1)
        except AssertionError:
            pass  # a controller that does not answer has no more jobs to start

    # ---- jobs

    def submit(self, *words, env=None):
        """Returns the number of the job, of all its tasks together; @env is what it is submitted from."""
        return self._run("sbatch", "--parsable", *words, env=env).strip().split(";")[0]

    def jobs(self):
        """What is not over: states by the task's name, as 12_3."""
        lines = self._run("squeue", "-h", "-r", "-o", "%i %T").splitlines()
        return dict(line.split() for line in lines)

    def cancel(self, *words):
        self._run("scancel", *words)

    def wait(self, job, seconds=120):
        """Until all tasks of the job are over."""
        end = time.monotonic() + seconds
        while any(name.split("_")[0] == job for name in self.jobs()):
            assert time.monotonic() < end, f"job {job} is not over after {seconds} s: {self.jobs()}"
            time.sleep(0.1)

    def states(self, job):
        """How the job's tasks ended, by number: COMPLETED, FAILED, CANCELLED, NODE_FAIL."""
        text = self._run("scontrol", "show", "job", "-o", job)
        found = {}
        for line in text.splitlines():
            words = dict(word.split("=", 1) for word in line.split() if "=" in word)
            if words.get("ArrayTaskId", "").isdigit():
                found[int(words["ArrayTaskId"])] = words["JobState"]
        return found
