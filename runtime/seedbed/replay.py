"""`seedbed replay RECORD`: the `docker run` that repeats a recorded run."""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from seedbed import environment
from seedbed.disclosure import HIDDEN
from seedbed.environment import baked_environment
from seedbed.recording import facts
from seedbed.recording.record import Record
from seedbed.settings import GPU, OF_RANKS

WORKSPACE = Path("/workspace")
IMAGE = re.compile(r"seedbed/[a-z0-9][a-z0-9._-]*:[A-Za-z0-9_][A-Za-z0-9_.-]*-[0-9a-f]{12}")
FROM_IMAGE = ("LANG", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "PYTHONUNBUFFERED")


def docker_run(record: Record, image: str | None = None) -> list[str]:
    """The command with the recorded seed, mode, threads and options, in the same image. ValueError: there was none.

    The folder it is called from is mounted where the recorded run had its own.
    """
    found = record.facts
    if image is None and not found.get("image"):
        raise ValueError(f"{record.path} was not recorded in an image of Seedbed: name one with --image")
    folder = Path(found["folder"])
    if not folder.is_absolute() or ":" in found["folder"]:
        raise ValueError(f"{record.path}: folder: expected an absolute path without a colon, found {found['folder']!r}")
    root = WORKSPACE if folder.is_relative_to(WORKSPACE) else folder
    return [
        *("docker", "run", "--rm"),
        *(("--gpus", "all") if found["gpus"] else ()),
        *(word for name, value in variables(record).items() for word in ("-e", f"{name}={value}")),
        *("-v", f"{Path.cwd()}:{root}", "-w", str(folder)),
        image or name_of(record),
        *found["command"],
    ]


def as_shell(command: list[str]) -> str:
    """To be pasted into a shell: what is mounted is the folder that the shell is in by then."""
    at = command.index("-v") + 1
    root = command[at].rpartition(":")[2]
    return f'{joined(command[:at])} "$PWD":{quoted(root)} {joined(command[at + 1 :])}'


def joined(words: list[str]) -> str:
    return " ".join(map(quoted, words))


def quoted(word: str) -> str:
    r"""As one word of a shell, in printable characters alone: `$'\x1b'` is that of POSIX.1-2024, bash and zsh."""
    if word.isprintable():
        return shlex.quote(word)
    safe = (letter if letter.isprintable() and letter not in "'\\" else bytes_of(letter) for letter in word)
    return f"$'{''.join(safe)}'"


def bytes_of(letter: str) -> str:
    try:
        encoded = os.fsencode(letter)
    except UnicodeEncodeError:  # half a surrogate pair: no argument has it, but JSON can
        encoded = letter.encode(errors="surrogatepass")
    return "".join(f"\\{byte:03o}" for byte in encoded)


def variables(record: Record) -> dict[str, str]:
    """What has to be set: neither baked into the image nor derived there, nor set by the launcher of ranks."""
    found, environ = record.facts, environment_of(record)
    asked = {
        "SEEDBED_SEED": str(found["seed"]),
        "SEEDBED_MODE": found["mode"],
        "OMP_NUM_THREADS": str(found["threads"]),
    }
    baked = baked_environment(GPU) | {"PYTHONHASHSEED": str(found["seed"])}
    known = {name: value for name, value in environ.items() if not value.startswith(HIDDEN)}
    elsewhere = FROM_IMAGE if environment.rank(environ) is None else (*FROM_IMAGE, *OF_RANKS)
    others = {name: value for name, value in known.items() if name not in elsewhere and baked.get(name) != value}
    return others | asked


def environment_of(record: Record) -> dict[str, str]:
    """That of the command, as far as it is known; of a rank, that of the process which trained."""
    return record.environment or record.facts["environment"]


def name_of(record: Record) -> str:
    """The name that keeps: the tag with the first 12 digits of the lock. ValueError: it is none."""
    image = record.facts["image"]
    name = f"seedbed/{image.get('name')}:{image.get('tag')}-{image.get('lock', '').removeprefix('sha256:')[:12]}"
    if not IMAGE.fullmatch(name):
        raise ValueError(f"{record.path}: image: expected name, tag and lock, found {name!r}; name one with --image")
    return name


def warnings(record: Record) -> Iterator[str]:
    """What stands in the way of the same bits: files that are others now, variables whose values were not kept."""
    found = record.facts
    for name, digest in found["sources"].items():
        if (now := facts.fingerprint(Path(name))) != digest:
            state = "is missing" if now == "missing" else "has changed"
            yield f"{name} {state}; it was recorded at commit {found['commit']}"
    for path, digest in found["data"].items():
        if facts.fingerprint(Path(path)) != digest:
            yield f"the data in {path} has changed"
    if hidden := [name for name, value in environment_of(record).items() if value.startswith(HIDDEN)]:
        yield f"the values of {', '.join(hidden)} were not recorded: set them yourself if they matter"
    size = record.world_size or 1
    if size > 1 and environment.one_of_ranks(environment_of(record)) is not None:
        yield f"the record is of world size {size}, this command of one rank: have a launcher start it in {size}"
    elif record.status is None and len(record.ranks) > 1:
        yield "recorded without seedbed run --record: the command is that of one process, not of its launcher"
