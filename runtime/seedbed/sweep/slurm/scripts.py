"""The batch scripts of a sweep on Slurm, and what sbatch is told: all text, and nothing here talks to Slurm."""

import argparse
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from seedbed import environment
from seedbed.settings import OPTIONS
from seedbed.sweep import verb
from seedbed.sweep.runs import SLURM, Plan

SET = {
    "array": ["-a"],
    "clusters": ["-M"],
    "dependency": ["-d"],
    "wrap": [],
}  # options of sbatch, and their short forms
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
    """A sweep to be submitted. `scripts`: their text by file name. `sbatch`: the user's own options for both jobs."""

    plan: Plan
    threads: str
    scripts: dict[str, str]
    sbatch: tuple[str, ...]
    at_most: int | None = None
    launcher: str | None = None

    @property
    def folder(self) -> Path:
        return self.plan.folder / SLURM

    def array(self, name: str, indexes: list[int]) -> list[str]:
        """The command that submits a job of these seeds, the first is 0."""
        limit = f"%{self.at_most}" if self.at_most else ""
        return self.submission(name, "%a", SEED, f"--array={ranges(indexes)}{limit}")

    def table(self, name: str, after: str | None) -> list[str]:
        """The command that submits the job for the table, which begins after that job."""
        return self.submission(name, "table", TABLE, *([f"--dependency=afterany:{after}"] if after else []))

    def submission(self, name: str, log: str, script: str, *options: str) -> list[str]:
        """What the user asks for comes before what has to be."""
        return [
            *("sbatch", "--parsable", f"--cpus-per-task={self.threads}", *self.sbatch),
            *(f"--job-name={name}", f"--chdir={Path.cwd()}", "--requeue", "--open-mode=append"),
            f"--output={str(self.folder).replace('%', '%%')}/{log}.log",
            *options,
            str(self.folder / script),
        ]


def batch_of(options: argparse.Namespace, command: list[str], environ: verb.Environ) -> Batch:
    """ValueError: wrong use. Each seed has its CPUs to itself, however many run at a time."""
    asked, launcher = split("--sbatch", options.sbatch or ""), options.launcher
    if "\\" in str(options.output.absolute()) or str(options.output).startswith("-"):
        raise ValueError(f"--output {options.output}: Slurm cannot write to a backslash or a leading hyphen")
    if launcher is not None and (not split("--launcher", launcher) or "\n" in launcher):
        raise ValueError(f"--launcher {launcher!r}: expected a command on one line, as in apptainer exec image.sif")
    refuse_what_is_set(asked)
    threads = threads_of(asked)
    plan = verb.plan_of(options, command, lambda seed, _: environ(seed, threads))
    of_a_seed = line(options, plan, threads, '--only "$SLURM_ARRAY_TASK_ID"')
    of_the_table = line(options, plan, threads, "--json --table" if options.json else "--table")
    out, errors, status, partial = (
        shlex.quote(str(plan.folder / SLURM / name)) for name in (OUTPUT, ERRORS, STATUS, "table.partial")
    )
    with_results = f"{of_the_table} >{out} 2>{errors}\necho $? >{partial} && mv {partial} {status}"
    scripts = {
        name: SCRIPT.format(threads=threads, command=text) for name, text in ((SEED, of_a_seed), (TABLE, with_results))
    }
    return Batch(plan, threads, scripts, tuple(asked), options.parallel or None, launcher)


def line(options: argparse.Namespace, plan: Plan, threads: str, part: str) -> str:
    """`seedbed sweep` as a node runs it: with the same options, and whatever environment the node or an image has."""
    words = ["env", *(f"{name}={value}" for name, value in variables(options, threads).items())]
    words += ["seedbed"] if options.launcher else [sys.executable, "-P", "-m", "seedbed"]
    words += ["sweep", *same_options(options, environment.mode(plan.environ(plan.seeds[0])))]
    parts = [shlex.join(words), part, shlex.join(["--", *plan.command])]
    return " ".join([options.launcher, *parts] if options.launcher else parts)


def variables(options: argparse.Namespace, threads: str) -> dict[str, str]:
    """What decides numbers, whatever of this environment `sbatch` and a launcher hand on."""
    found = {name: os.environ[name] for name in OPTIONS if name in os.environ}
    found |= {"OMP_NUM_THREADS": threads, "SEEDBED_SEED": str(environment.seed(found, 0)), "PYTHONIOENCODING": "utf-8"}
    return found if options.launcher else found | {"PATH": os.environ.get("PATH", os.defpath)}


def split(option: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{option} {text!r}: {error}") from error


def refuse_what_is_set(asked: list[str]) -> None:
    """ValueError: the user asks for what the jobs of a sweep have to have otherwise."""
    words = argparse.ArgumentParser(add_help=False)
    for name, short in SET.items():
        words.add_argument(*short, f"--{name}", nargs="?", const=True)
    for name, value in vars(words.parse_known_args(asked)[0]).items():
        if value is not None:
            raise ValueError(f"--sbatch: leave out --{name}: the sweep sets it, or cannot do with it")


def same_options(options: argparse.Namespace, mode: str) -> list[str]:
    """Those of this sweep that are about its seeds and its table."""
    given = {
        "seeds": [options.seeds],
        "metric": options.metric or [],
        "pattern": [options.pattern],
        "file": [options.file],
        "output": [options.output],
        "mode": [mode],
    }
    return [f"--{name}={value}" for name, values in given.items() for value in values if value is not None]


def threads_of(asked: list[str]) -> str:
    """Of each seed: the user's OMP_NUM_THREADS, else the CPUs that sbatch is asked for, else as a sweep here has."""
    environ = handed_on()
    words = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    words.add_argument("-c", "--cpus-per-task", dest="cpus")
    try:
        cpus = words.parse_known_args(asked)[0].cpus
    except argparse.ArgumentError as error:
        raise ValueError(f"--sbatch: {error}") from error
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
