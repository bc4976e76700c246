"""The facts of a run: everything that decides over its bits, as far as it can be seen from outside."""

import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import seedbed
from seedbed import callers, disclosure, environment, files, image, process, recording
from seedbed.native.variables import without

HARDWARE = ("cpu", "gpus", "driver", "threads", "ranks")  # with other hardware no equal bits are promised
INSTRUCTION_SETS = (
    *("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16"),
    *("asimd", "sve", "sve2", "bf16"),
)
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
TEMPORARY = re.compile(r"/tmp[a-z0-9_]{8}/")  # as mkdtemp names folders: code that libraries write and import
OWN = {
    *(recording.FOLDER, "SEEDBED_RECORD_STATES", "SEEDBED_RECORD_STOP", "SEEDBED_TRACE", disclosure.KEY),
    *("SEEDBED_QUIET", "SEEDBED_IMAGE", "SEEDBED_AUDIT_FILE"),
}
SESSION = {  # may differ, and does not matter
    *("PWD", "OLDPWD", "SHLVL", "_", "TERM", "HOSTNAME", "HOME", "USER", "LOGNAME", "PATH"),
    *("PIP_CONSTRAINT", "PIP_DISABLE_PIP_VERSION_CHECK"),
}


def of_command(command: list[str], environ: dict[str, str], data: tuple[Path, ...] = ()) -> dict:
    """The facts of a command about to be run here, with a fingerprint of each of the `data`. Costs tens of ms."""
    gpus, driver = graphics()
    return {
        "seedbed": seedbed.__version__,
        "command": command,
        "folder": str(Path.cwd()),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": environment.seed(environ),
        "mode": environment.mode(environ),
        "image": image.identity(),
        "python": platform.python_version(),
        "system": platform.machine(),
        "packages": packages(),
        "cpu": processor(),
        "gpus": gpus,
        "driver": driver,
        "threads": environment.threads(environ),
        "ranks": environment.world_size(environ) or 1,
        "environment": variables(environ),
        "commit": commit(Path.cwd()),
        "sources": sources([Path(word) for word in command]),
        "data": {str(path): fingerprint(path) for path in data},
    }


def of_process() -> dict:
    """The facts of this very process, with the user's modules that it has imported."""
    found = of_command(list(sys.orig_argv), dict(os.environ))
    more = {"sources": found["sources"] | sources([Path(file) for file in callers.users_files()])}
    return {**found, **more, "seed": process.root_seed, "ranks": process.world_size() or 1}


def packages() -> dict[str, str]:
    """Every installed distribution and its version."""
    parsed = [found.metadata for found in metadata.distributions()]
    return dict(sorted((found["Name"], found["Version"]) for found in parsed if found["Name"]))


def processor() -> dict:
    """Model, vendor and the instruction sets that numerical libraries choose by. Linux says it in /proc/cpuinfo."""
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace").split("\n\n", 1)[0]
    except OSError:
        return {"model": platform.processor(), "vendor": "", "instructions": []}
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}
    flags = set((said.get("flags") or said.get("Features") or "").split())
    return {
        "model": " ".join(said.get(key, "") for key in ("model name", "model", "stepping")).strip(),
        "vendor": said.get("vendor_id") or said.get("CPU implementer") or "",
        "instructions": [name for name in INSTRUCTION_SETS if name in flags],
    }


def graphics() -> tuple[list[str], str]:
    """The GPUs' names and the driver's version, as nvidia-smi has them; none where it is not there."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return [], ""
    asked = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    said = subprocess.run(asked, capture_output=True, text=True, errors="replace", check=False)
    rows = [line.rsplit(", ", 1) for line in said.stdout.splitlines() if ", " in line] if not said.returncode else []
    return [name for name, _ in rows], next((driver for _, driver in rows), "")


def variables(environ: dict[str, str]) -> dict[str, str]:
    """The environment, but for what may differ and does not matter; see `seedbed.disclosure` for what is shown."""
    found = disclosure.disclosed(without(environ))
    return {name: value for name, value in found.items() if name not in OWN | SESSION}


def commit(folder: Path) -> str | None:
    """What git's HEAD points to in the folder's repository, read from its files: images have no git."""
    for above in (folder, *folder.parents):
        found = above / ".git"
        try:
            if found.is_file():  # a worktree
                found = above / line(found).partition("gitdir: ")[2]
            commit = commit_of(found)
        except (OSError, ValueError):
            continue
        return commit if commit and COMMIT.fullmatch(commit) else None
    return None


def commit_of(git: Path) -> str | None:
    head = line(git / "HEAD")
    if not head.startswith("ref: "):
        return head
    reference = head.removeprefix("ref: ")
    common = git / line(git / "commondir") if (git / "commondir").exists() else git
    for folder in (git, common):
        if (folder / reference).exists():
            return line(folder / reference)
    packed = (words.split() for words in files.read(common / "packed-refs").decode().splitlines())
    return next((words[0] for words in packed if words[1:] == [reference]), None)


def changed_facts(a: dict, b: dict) -> list[tuple[str, str, str]]:
    """The facts of two runs that differ: name, value of each run."""
    x, y = flat(a), flat(b)
    names = [name for name in {**x, **y} if name.split(" ")[0] not in ("started", "rank")]
    rows = [(name, x.get(name, "-"), y.get(name, "-")) for name in names]
    return [(name, one, other) for name, one, other in rows if one != other and disclosure.comparable(one, other)]


def flat(facts: dict) -> dict[str, str]:
    """Each fact under one name: `packages torch`, `environment TZ`."""
    found: dict[str, str] = {}
    for name, value in facts.items():
        if name == "command":
            found[name] = shlex.join(value)
        elif isinstance(value, dict):
            found |= {f"{name} {inner}": text for inner, text in flat(value).items()}
        else:
            found[name] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return found


def machine(facts: dict) -> str:
    """`AMD EPYC, threads 1, world size 2`."""
    size = [f"world size {facts['ranks']}"] if facts.get("ranks", 1) > 1 else []
    return ", ".join([facts["cpu"]["model"], *facts["gpus"], f"threads {facts['threads']}", *size])


def line(file: Path) -> str:
    """The one line of a small file. ValueError: it cannot be read, or is no text."""
    return files.read(file, files.MIB).decode().strip()


def sources(scripts: list[Path]) -> dict[str, str]:
    """The sha256 of those that are Python files, by their paths from the working folder where they are below it."""
    here, found = Path.cwd(), {}
    for script in scripts:
        path = script.resolve()
        if path.suffix == ".py" and path.is_file() and not TEMPORARY.search(str(path)):
            name = path.relative_to(here) if path.is_relative_to(here) else path
            found[str(name)] = fingerprint(path)
    return dict(sorted(found.items()))


def fingerprint(path: Path) -> str:
    """The sha256 of a file, or of all files of a folder with their names; `missing` if there is nothing, or no file."""
    if path.is_dir():
        digest = hashlib.sha256()
        for file in sorted(below for below in path.rglob("*") if below.is_file()):
            digest.update(f"{file.relative_to(path)}\0{fingerprint(file)}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()
    if not path.is_file():  # a FIFO or a device has no end
        return "missing"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
