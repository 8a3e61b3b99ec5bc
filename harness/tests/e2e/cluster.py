"""A Slurm cluster of two nodes on this machine, without systemd, for as long as the test that started it lives."""
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

DAEMONS = ("slurmctld", "slurmd")
TOOLS = ("sbatch", "squeue", "scancel", "scontrol", "sinfo")
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
MAX_ARRAY_SIZE = 6  # small, so that rounds need several arrays

CONF = """
ClusterName=samebits
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin={task_plugin}
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
MaxArraySize={max_array_size}
KillWait=2
MinJobAge=60
SchedulerParameters=batch_sched_delay=0
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={port1} CPUs={cpus} State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={port2} CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


def missing():
    """The first program of Slurm that is not here, or None."""
    return next((name for name in DAEMONS + TOOLS if not shutil.which(name, path=PATH)), None)


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Cluster:
    """`local` is a folder of its own on n2 where mounts can be had (has_local), else one that both nodes share."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="samebits-slurm-")
        self.local = os.path.join(self.folder, "local")
        self.processes = []
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.environment = {"SLURM_CONF": os.path.join(self.folder, "slurm.conf"), "PATH": PATH}
        self.cpus = min(2, len(os.sched_getaffinity(0)))
        self.has_local = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/tmp"],
                                        capture_output=True, check=False).returncode == 0

    def start(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what runs at exit does
        for name in ("state", "n1", "n2", "local"):
            os.mkdir(os.path.join(self.folder, name))
        with open(os.path.join(self.local, "where"), "w", encoding="utf-8") as file:
            file.write("1")
        # Slurm numbers CPUs from 0, whichever this process may use.
        all_cpus = os.sched_getaffinity(0) == set(range(os.cpu_count()))
        port, port1, port2 = free_ports(3)
        with open(self.environment["SLURM_CONF"], "w", encoding="utf-8") as file:
            file.write(CONF.format(folder=self.folder, user=self.user, host=socket.gethostname(), port=port,
                                   port1=port1, port2=port2, cpus=self.cpus, max_array_size=MAX_ARRAY_SIZE,
                                   task_plugin="task/affinity" if all_cpus else "task/none"))
        elsewhere = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs tmpfs "$1" && printf 2 > "$1/where" && shift && exec "$@"',
                     "sh", self.local] if self.has_local else []
        self.spawn("slurmctld", "-D")
        self.spawn("slurmd", "-D", "-N", "n1")
        self.spawn("slurmd", "-D", "-N", "n2", before=elsewhere)
        self.wait_for(lambda: self.call("sinfo", "-h", "-N", "-o", "%T").split() == ["idle", "idle"], "its nodes")

    def spawn(self, *command, before=()):
        # They end with this process, whatever ends it.
        out = open(os.path.join(self.folder, "said"), "a", encoding="utf-8")  # pylint: disable=consider-using-with
        self.processes.append(subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *before, *command],
                                               env={**os.environ, **self.environment}, stdin=subprocess.DEVNULL,
                                               stdout=out, stderr=out))
        out.close()

    def call(self, *command):
        return subprocess.run(command, env={**os.environ, **self.environment}, capture_output=True, text=True,
                              check=False).stdout

    def wait_for(self, condition, what, seconds=60):
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                raise AssertionError(f"waited in vain for {what}\n{self.said()}")
            time.sleep(0.05)

    def said(self):
        texts = []
        for name in ("said", "slurmctld.log", "slurmd-n1.log", "slurmd-n2.log"):
            path = os.path.join(self.folder, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    texts.append(f"--- {name}\n{file.read()[-2000:]}")
        return "\n".join(texts)

    def tasks(self, state="PENDING,RUNNING,COMPLETING"):
        """Tasks in these states, as "12_3"."""
        return self.call("squeue", "-h", "-r", "-t", state, "-o", "%F_%K").split()

    def stop(self):
        if len(self.processes) == 3:
            self.call("scancel", "--user", self.user)
            self.call("scancel", "--signal=KILL", "--full", "--user", self.user)
            until = time.monotonic() + 20
            while self.tasks() and time.monotonic() < until:  # a slurmstepd that outlives its slurmd stays for ever
                time.sleep(0.1)
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
