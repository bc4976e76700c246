"""The batch scripts of a sweep on Slurm, and what sbatch is told: all text, and nothing here talks to Slurm."""

import argparse
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from seedbed import environment
from seedbed.sweep.plan import Plan, passed_on, refuse_off, seeds_of
from seedbed.sweep.runs import SLURM

OURS = (("-a", "--array"), ("-M", "--clusters"), ("-d", "--dependency"), ("--wrap",))  # options of sbatch
SEED, TABLE = "seed.sh", "table.sh"
OUTPUT, ERRORS, STATUS = "table.out", "table.err", "table.status"
SCRIPT = """\
#!/bin/sh
# Written by `seedbed sweep --on slurm`.
export SRUN_CPUS_PER_TASK={threads}  # srun, as a launcher, does not take it from sbatch
{command}
"""


@dataclass(frozen=True)
class Batch:
    """A sweep to be submitted. `scripts`: their text by file name.

    `sbatch`, `sbatch_table`: the user's own options for the job of the seeds, and for that of the table.
    """

    plan: Plan
    scripts: dict[str, str]
    sbatch: tuple[str, ...]
    sbatch_table: tuple[str, ...]
    at_most: int | None = None
    launcher: str | None = None

    @property
    def folder(self) -> Path:
        return self.plan.folder / SLURM

    def array(self, name: str, indexes: list[int]) -> list[str]:
        """The command that submits a job of these seeds, the first is 0."""
        limit = f"%{self.at_most}" if self.at_most else ""
        return self.submission(self.sbatch, name, "%a", SEED, f"--array={ranges(indexes)}{limit}")

    def table(self, name: str, after: str | None) -> list[str]:
        """The command that submits the job for the table, which begins after that job."""
        options = [f"--dependency=afterany:{after}"] if after else []
        return self.submission(self.sbatch_table, name, "table", TABLE, *options)

    def submission(self, asked: tuple[str, ...], name: str, log: str, script: str, *options: str) -> list[str]:
        """What the user asks for comes before what has to be."""
        return [
            *("sbatch", "--parsable", f"--cpus-per-task={self.plan.threads}", *asked),
            *(f"--job-name={name}", f"--chdir={Path.cwd()}", "--requeue", "--open-mode=append"),
            f"--output={str(self.folder).replace('%', '%%')}/{log}.log",
            *options,
            str(self.folder / script),
        ]


def batch_of(options: argparse.Namespace, command: list[str]) -> Batch:
    """ValueError: wrong use. Each seed has its CPUs to itself, however many run at a time."""
    launcher, (asked, cpus) = options.launcher, asked_for("--sbatch", options.sbatch or "")
    of_table = asked if options.sbatch_table is None else asked_for("--sbatch-table", options.sbatch_table)[0]
    if "\\" in str(options.output.absolute()) or str(options.output).startswith("-"):
        raise ValueError(f"--output {options.output}: Slurm cannot write to a backslash or a leading hyphen")
    if launcher is not None and (not split("--launcher", launcher) or "\n" in launcher):
        raise ValueError(f"--launcher {launcher!r}: expected a command on one line, as in apptainer exec image.sif")
    plan = Plan(tuple(command), seeds_of(options), options.output, options.mode, threads_of(cpus))
    refuse_off(plan.environ(plan.seeds[0]))
    out, errors, status, partial = (
        shlex.quote(str(plan.folder / SLURM / name)) for name in (OUTPUT, ERRORS, STATUS, "table.partial")
    )
    make_table = line(options, plan, "--json --table" if options.json else "--table")
    lines = {
        SEED: line(options, plan, '--only "$SLURM_ARRAY_TASK_ID"'),
        TABLE: f"{make_table} >{out} 2>{errors}\necho $? >{partial} && mv {partial} {status}",
    }
    scripts = {name: SCRIPT.format(threads=plan.threads, command=text) for name, text in lines.items()}
    return Batch(plan, scripts, tuple(asked), tuple(of_table), options.parallel or None, launcher)


def line(options: argparse.Namespace, plan: Plan, part: str) -> str:
    """`seedbed sweep` as a node runs it: with the same options, and whatever environment the node or an image has."""
    variables = environment.options(os.environ, SEEDBED_MODE=plan.mode)
    variables |= {"OMP_NUM_THREADS": plan.threads, "PYTHONIOENCODING": "utf-8"}
    seedbed = ["seedbed"]
    if not options.launcher:
        variables["PATH"] = os.environ.get("PATH", os.defpath)
        seedbed = [sys.executable, "-P", "-m", "seedbed"]
    words = ["env", *(f"{name}={value}" for name, value in variables.items()), *seedbed, "sweep", *passed_on(options)]
    parts = [shlex.join(words), part, shlex.join(["--", *plan.command])]
    return " ".join([options.launcher, *parts] if options.launcher else parts)


def split(option: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{option} {text!r}: {error}") from error


def asked_for(option: str, text: str) -> tuple[list[str], str | None]:
    """The words for sbatch, and the CPUs that they ask for. ValueError: they ask for what the sweep itself decides."""
    asked, words = split(option, text), argparse.ArgumentParser(add_help=False, exit_on_error=False)
    for names in OURS:
        words.add_argument(*names, nargs="?", const=True)
    words.add_argument("-c", "--cpus-per-task", dest="cpus")
    try:
        found = vars(words.parse_known_args(asked)[0])
    except argparse.ArgumentError as error:
        raise ValueError(f"{option}: {error}") from error
    cpus = found.pop("cpus")
    if ours := [name for name, value in found.items() if value is not None]:
        raise ValueError(f"{option}: leave out --{ours[0]}: the sweep sets it, or cannot do with it")
    return asked, cpus


def threads_of(cpus: str | None) -> str:
    """Of each seed: the user's OMP_NUM_THREADS, else the CPUs that sbatch is asked for, else as a sweep here has."""
    environ = handed_on()
    if not environment.is_number(environ.get("OMP_NUM_THREADS", "1")):
        raise ValueError(f"OMP_NUM_THREADS={environ['OMP_NUM_THREADS']}: expected a number")
    if "OMP_NUM_THREADS" in environ or cpus is None:
        return str(environment.threads(environ))
    if not environment.is_number(cpus) or int(cpus) < 1:
        raise ValueError(f"--sbatch: expected a number of CPUs after --cpus-per-task, found {cpus!r}")
    return str(int(cpus))


def handed_on() -> dict[str, str]:
    """The environment that the jobs begin with: the user's own, without what Seedbed has set for this machine."""
    environ = dict(os.environ)
    environment.adjust(environ, "off")
    return environ


def ranges(indexes: list[int]) -> str:
    """`0-2,5` for 0, 1, 2 and 5."""
    parts: list[list[int]] = []
    for index in sorted(indexes):
        if parts and index == parts[-1][-1] + 1:
            parts[-1][1:] = [index]
        else:
            parts.append([index])
    return ",".join("-".join(map(str, part)) for part in parts)
