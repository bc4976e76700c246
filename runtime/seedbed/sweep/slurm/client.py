"""Slurm's own programs: sbatch, and squeue for what became of the jobs. Accounting (sacct) may be off."""

import re
import subprocess
from dataclasses import dataclass

from seedbed.sweep.slurm.scripts import handed_on

ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
    *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
}
PATIENCE = 120  # seconds, for one answer
NO_ANSWER = "the cluster does not answer: try again later"
NO_PROGRAM = "run it on a login node of the cluster"
HINTS = {  # what Slurm says, and what to do
    "Unable to contact|timed out|Connection refused": NO_ANSWER,
    "Invalid job array": "the cluster limits arrays (MaxArraySize in `scontrol show config`): ask for fewer --seeds",
    "node configuration is not available": "no node has so much: ask for less in --sbatch, as in --cpus-per-task=2",
}
CHECK = "check --sbatch"


class SlurmError(ValueError):
    """What a program of Slurm's said as it failed, and what to do; one line."""


@dataclass(frozen=True)
class Task:
    """A job, or a task of a job array, as squeue shows it. `index`: None for the job that makes the table."""

    job: str
    index: int | None
    state: str
    reason: str

    @property
    def active(self) -> bool:
        return self.state not in ENDED


def submitted(command: list[str]) -> str:
    """The number of the job that this command of sbatch submits. SlurmError: none."""
    lines = answer(command).splitlines()  # sites put a wrapper around sbatch that says more
    if found := [line for line in lines if re.fullmatch(r"\d+(;.*)?", line.strip())]:
        return found[-1].partition(";")[0].strip()
    raise SlurmError(f"sbatch: expected the number of a job, found {' / '.join(lines)!r}: {CHECK}")


def queue(name: str) -> list[Task]:
    """The jobs of this name that have not ended, or have ended in the last minutes. SlurmError: it cannot be known."""
    format = "--format=%F|%K|%T|%r"
    shown = answer(["squeue", "--noheader", "--array", "--all", "--states=all", f"--name={name}", format])
    found = [re.fullmatch(r"(\d+)\|(?:(\d+)|[^|]*)\|([A-Z_]+)\|(.*)", line.strip()) for line in shown.splitlines()]
    tasks = [Task(line[1], int(line[2]) if line[2] else None, line[3], line[4]) for line in found if line]
    return sorted(tasks, key=lambda task: (task.index is None, task.index or 0))


def answer(command: list[str]) -> str:
    """What it prints. SlurmError: it fails."""
    program = command[0]
    try:
        done = subprocess.run(command, env=handed_on(), stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise SlurmError(f"{program}: timed out: {NO_ANSWER}") from None
    except OSError as error:
        raise SlurmError(f"{program}: {error.strerror}: {NO_PROGRAM}") from error
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip() or f"status {done.returncode}"
        said = "; ".join(re.sub(rf"^{program}: (error: )?", "", line) for line in words.splitlines())
        other = CHECK if program == "sbatch" else "try again later"
        hint = next((hint for sign, hint in HINTS.items() if re.search(sign, said)), other)
        raise SlurmError(f"{program}: {said}: {hint}")
    return done.stdout.decode(errors="replace")
