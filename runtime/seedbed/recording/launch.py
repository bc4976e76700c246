"""Runs a command and has it recorded: the facts before, what it prints, and its files and status after."""

import os
import re
import subprocess
from contextlib import nullcontext
from pathlib import Path

from seedbed import crash, disclosure, environment, files, recording, signals, terminal
from seedbed.native.preload import NOT_WATCHED, Watch
from seedbed.observe.launch import AS_BY_HAND, ERRORS, NATIVE, start
from seedbed.observe.lines import Lines
from seedbed.recording import facts, record
from seedbed.recording.record import Record

OUTPUT = "output.jsonl"  # of rank 1, where each rank is launched on its own: output1.jsonl
OF_RANK = re.compile(r"(?:output|rank)(\d*)(?:\.\d+)?\.jsonl")
HELPFUL = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}  # a crash says where it was


def run(command: list[str], folder: Path, environ: dict[str, str], **options) -> Record:
    """The record of one run of the command. `options`, and ValueError: see `record_run`."""
    record_run(command, folder, environ, **options)
    return record.read(folder)


def record_run(
    command: list[str],
    folder: Path,
    environ: dict[str, str],
    *,
    data: tuple[Path, ...] = (),
    outputs: tuple[Path, ...] = (),
    echo: bool = False,
    native: Watch = NOT_WATCHED,
) -> int:
    """Record one run of the command in a folder that is new or empty, but for the files of other ranks of this job.

    ValueError: it is not. Returns its exit status.

    `data` are fingerprinted before, `outputs` after the run. With `echo` what it prints is passed on; otherwise
    its standard error goes to a file beside the record. It dies with the thread that called. `native` watches for
    generators that are not Python's, into a file beside the record.
    """
    environ = disclosure.with_key(environ)  # the facts are hidden under the key that its processes use
    with new_record(folder, environment.one_of_ranks(environ)) as lines:
        lines.write({"run": facts.of_command(command, environ, data)})
        old = {path: stamp(path) for path in outputs}
        status, printed = watch(command, folder, native.environ(environ, folder / NATIVE), lines, echo)
        lines.write({"outputs": {str(path): fingerprint(path, old[path]) for path in outputs}})
        lines.write({"end": {"status": status, "lines": printed}})
    return status


def new_record(folder: Path, rank: int | None) -> Lines:
    """The first file of a new record, or of this rank's part of one. ValueError: the folder holds something already."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not all(is_of_another(entry.name, rank) for entry in folder.iterdir()):
            raise ValueError(f"{folder}: expected a new or empty folder for the record")
        return Lines(folder / (f"output{rank}.jsonl" if rank else OUTPUT))
    except OSError as error:
        raise ValueError(f"{folder}: cannot contain a record: {error.strerror}") from error


def is_of_another(name: str, rank: int | None) -> bool:
    """Whether it is the file of another rank of this job."""
    found = OF_RANK.fullmatch(name)
    return rank is not None and found is not None and int(found[1] or 0) != rank


def watch(command: list[str], folder: Path, environ: dict[str, str], lines: Lines, echo: bool) -> tuple[int, int]:
    """Run it, each line that it prints written down at once; its exit status, negative for a signal, and how many."""
    number = 0
    with nullcontext() if echo else (folder / ERRORS).open("xb") as errors:
        process = start(
            command,
            {**HELPFUL, **environ, recording.FOLDER: str(folder.resolve()), **AS_BY_HAND},
            stdin=None if echo else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    with process, signals.handed_on(process) if echo else nullcontext():
        for number, text in enumerate(process.stdout, start=1):
            lines.write({"line": number, "text": text.decode(errors="replace").rstrip("\r\n")})
            echo = echo and passed_on(text)
    return process.returncode, number


def passed_on(text: bytes) -> bool:
    """False, which is said once: standard output takes no more. The command goes on, and so does its record."""
    try:
        while text:
            text = text[os.write(1, text) :]  # no buffer keeps what cannot be written
    except OSError as error:
        terminal.log(f"the output of the command is now only in the record: {error.strerror}")
    return not text


def last_words(folder: Path, count: int = 1) -> str:
    """Why a recorded command failed, and the last lines that it wrote to its standard error, or else printed."""
    printed = next(iter(sorted(folder.glob("output*.jsonl"))), folder / OUTPUT)
    return crash.last_words(folder / ERRORS, count, record.read(printed).output)


def failure(found: Record, what: str = "the command") -> str:
    """How a recorded command failed, in words, and what it said last."""
    return f"{what} {crash.ending(found.status)} and said: {last_words(found.path)}"


def dead_thread(folder: Path) -> str:
    """The first thread of a recorded command that an exception ended, and the exception; empty if there is none."""
    text = files.tail(folder / ERRORS)
    found = re.search(r"^Exception in thread (.+):\n(?:Traceback .*\n)?(?:[ \t].*\n)*(\S.*)?", text, re.MULTILINE)
    return ": ".join(filter(None, found.groups())) if found else ""


def stamp(path: Path) -> int:
    """When a file, or the newest file of a folder, was last written, in nanoseconds; 0 where there is none."""
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    return max((file.stat().st_mtime_ns for file in files if file.is_file()), default=0)


def fingerprint(path: Path, old: int) -> str:
    """Its sha256, or why there is none."""
    if old and stamp(path) == old:
        return "not written by this run"
    return facts.fingerprint(path)
