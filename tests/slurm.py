"""A Slurm of two nodes on this machine, for tests: Debian's programs, unpacked and not installed.

As a program it waits for the end of the tests, even if they are killed, and then ends all that is left of a cluster.
"""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests import debian, ports

PACKAGES = ["slurmctld", "slurmd", "slurm-client", "munge"]
PROGRAMS = {  # what stands in the folder for PATH, and the program it is
    "munged": "sbin/munged",
    "slurmctld": "sbin/slurmctld-wlm",
    "slurmd": "sbin/slurmd-wlm",
    "slurmstepd": "sbin/slurmstepd-wlm",
    **{name: f"bin/{name}" for name in ("sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun")},
}
LIBRARIES = "usr/lib/x86_64-linux-gnu"
LOADER = "/lib64/ld-linux-x86-64.so.2"
CONFIGURATION = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={ports[0]}
AuthType=auth/munge
# A job whose node has died may begin anew once its credentials have expired.
AuthInfo=socket={folder}/munge/socket,cred_expire=5
PluginDir={programs}/{libraries}/slurm-wlm
PlugStackConfig={folder}/plugstack.conf
MailProg=/bin/true
MpiDefault=none
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmdSpoolDir={folder}/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SlurmdTimeout=4
JobRequeue=0
MessageTimeout=5
ReturnToService=2
AccountingStorageType=accounting_storage/none
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
NodeName=node1 NodeHostname=node1 NodeAddr=127.0.0.1 Port={ports[1]} CPUs={cpus}
NodeName=node2 NodeHostname=node2 NodeAddr=127.0.0.1 Port={ports[2]} CPUs={cpus}
PartitionName=gpu Nodes=ALL Default=YES MaxTime=1-0 State=UP
"""


def unpack(scratch: Path) -> Path:
    """The programs, freshly fetched; their folder `commands` is one for PATH."""
    programs = scratch / "programs"
    if programs.exists():
        return programs
    debian.unpacked(PACKAGES, scratch)
    (programs / "commands").mkdir()
    folders = (f"{programs}/{LIBRARIES}", f"{programs}/lib/x86_64-linux-gnu", f"{programs}/{LIBRARIES}/slurm-wlm")
    for name, place in PROGRAMS.items():
        # No LD_LIBRARY_PATH: Slurm would hand it on to the jobs.
        program = programs / "commands" / name
        program.write_text(f'#!/bin/sh\nexec {LOADER} --library-path {":".join(folders)} {programs}/usr/{place} "$@"\n')
        program.chmod(0o755)
    return programs


@dataclass
class Cluster:
    """Of the nodes node1 and node2; see `running`."""

    programs: Path
    folder: Path
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        return {
            "SLURM_CONF": f"{self.folder}/slurm.conf",
            "PATH": f"{self.programs}/commands{os.pathsep}{os.environ['PATH']}",
        }

    def start(self, name: str, *arguments: str, **variables: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [self.programs / "commands" / arguments[0], *arguments[1:]],
                env=os.environ | self.variables | variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_controller(self) -> None:
        self.start("slurmctld", "slurmctld", "-D")

    def start_node(self, name: str) -> None:
        stepd = f"{self.programs}/commands/slurmstepd"
        self.start(name, "slurmd", "-D", "-N", name, "-d", stepd, SLURMD_NODENAME=name)

    def kill(self, name: str) -> None:
        """A daemon, as if its machine lost power."""
        os.killpg(self.processes[name].pid, signal.SIGKILL)
        self.processes.pop(name).wait()

    def stop_controller(self) -> None:
        """As for maintenance: it writes down what it knows."""
        controller = self.processes.pop("slurmctld")
        controller.terminate()
        controller.wait()

    def kill_node(self, name: str) -> None:
        """With all jobs on it."""
        self.kill(name)
        end(f"SLURMD_NODENAME={name}", f"SLURM_CONF={self.folder}/slurm.conf")

    def run(self, *command: str | Path) -> str:
        """What a program of Slurm's prints; it has to end well."""
        done = subprocess.run(
            command, env=os.environ | self.variables, cwd=self.folder, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{command}: {done.stderr}{self.logs()}"
        return done.stdout.strip()

    def queue(self) -> list[str]:
        """A line for each job or task that has not ended: its name, its index, its state, its node."""
        return self.run("squeue", "--noheader", "--array", "--format=%j %K %T %N").splitlines()

    def wait_for_nodes(self, *names: str) -> None:
        wanted = set(names)
        for _ in range(300):
            with suppress(AssertionError):  # the controller is not there yet
                if wanted <= set(self.run("sinfo", "--noheader", "--Node", "--states=idle", "--format=%N").split()):
                    return
            ended = [name for name, process in self.processes.items() if process.poll() is not None]
            assert not ended, f"{ended} ended: {self.logs()}"
            time.sleep(0.1)
        raise TimeoutError(f"{names} are not ready: {self.logs()}")

    def logs(self) -> str:
        return "\n".join(f"{log}:\n{log.read_text(errors='replace')}" for log in sorted(self.folder.glob("*.log")))


@contextmanager
def running(programs: Path, folder: Path, cpus: int = 2) -> Iterator[Cluster]:
    """A cluster with both nodes ready, each with so many CPUs in Slurm's eyes. At the end nothing of it runs."""
    for name in ("munge", "state", "node1", "node2"):
        (folder / name).mkdir(parents=True)
    cluster = Cluster(programs, folder)
    values = {"folder": folder, "programs": programs, "libraries": LIBRARIES, "ports": ports.reserve(3), "cpus": cpus}
    (folder / "slurm.conf").write_text(CONFIGURATION.format(**values))
    with guarded(f"SLURM_CONF={folder}/slurm.conf"):
        start_munge(cluster)
        cluster.start_controller()
        for node in ("node1", "node2"):
            cluster.start_node(node)
        cluster.wait_for_nodes("node1", "node2")
        yield cluster
    for process in cluster.processes.values():
        process.wait()


@contextmanager
def guarded(variable: str) -> Iterator[None]:
    """At the end, or if this process is killed, whatever has the variable in its environment is killed."""
    words = [sys.executable, "-m", __name__, variable]
    with subprocess.Popen(words, cwd=Path(__file__).parents[1], stdin=subprocess.PIPE, start_new_session=True):
        yield  # and its standard input is closed


def start_munge(cluster: Cluster) -> None:
    """Who may talk to the cluster: whoever reaches this munged, by a key that nobody else has."""
    folder = cluster.folder / "munge"
    (folder / "key").write_bytes(secrets.token_bytes(1024))
    (folder / "key").chmod(0o400)
    places = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    cluster.start(
        "munged", "munged", "--foreground", "--force", *(f"--{name}={folder / file}" for name, file in places.items())
    )
    for _ in range(100):
        if (folder / "socket").exists():
            return
        time.sleep(0.1)
    raise TimeoutError(f"munged does not start: {cluster.logs()}")


def end(*variables: str) -> None:
    """SIGKILL for every process whose environment has all of these, until there is none."""
    while found := with_variables({variable.encode() for variable in variables}):
        for process in found:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.02)


def with_variables(variables: set[bytes]) -> list[int]:
    found = []
    for process in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()):
        with suppress(OSError):
            state = Path(f"/proc/{process}/stat").read_bytes().rpartition(b") ")[2][:1]
            environ = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
            if state not in b"ZX" and process != os.getpid() and variables <= set(environ):
                found.append(process)
    return found


if __name__ == "__main__":
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end(sys.argv[1])
