"""`seedbed info`: what is in force in a Python started like this one, and what breaks the promise."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict

import seedbed
from seedbed import environment, image, process, terminal
from seedbed.libraries.findings import Finding, findings

ASK = "import sys; sys.exit('seedbed.boot' not in sys.modules)"


def rows(loaded_at_start: bool) -> list[Finding]:
    """What the mode wants, and what there is; nothing in mode off."""
    return [] if process.mode == "off" else [*findings(loaded_at_start), *pythons_without_hook()]


def pythons_without_hook() -> list[Finding]:
    """What `python` and `python3` are here if they do not load the startup hook; outside an image that is not asked."""
    others = {shutil.which(name): name for name in ("python", "python3")} if image.DESCRIPTION.exists() else {}
    return [
        Finding(name, "with the startup hook", path, False, "another Python, or a sitecustomize.py hides the hook")
        for path, name in others.items()
        if path and subprocess.run([path, "-c", ASK], capture_output=True, check=False).returncode
    ]


def as_json(rows: list[Finding]) -> str:
    document = {
        "seedbed": seedbed.__version__,
        "python": sys.version.split()[0],
        "image": image.description(),
        "mode": process.mode,
        "seed": process.seed(),
        "rank": environment.rank(os.environ),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "shared_memory": environment.shared_memory(),
        "holds": all(row.holds for row in rows),
        "settings": [asdict(row) for row in rows],
    }
    return json.dumps(document, indent=2)


def as_text(rows: list[Finding]) -> str:
    """The same for a terminal."""
    facts = [("seedbed", seedbed.__version__), ("python", sys.version.split()[0]), ("mode", process.mode)]
    if described := image.description():
        facts.insert(0, ("image", f"{described.get('name', '?')} {described.get('tag', '?')}"))
    if process.mode != "off":
        facts += [("seed", str(process.seed())), ("threads", os.environ.get("OMP_NUM_THREADS", "not set"))]
    if row := rank_row():
        facts.append(row)
    facts.append(("/dev/shm", shared_memory()))
    return "\n\n".join(
        part for part in (terminal.table(facts), terminal.table(settings_table(rows)), verdict(rows)) if part
    )


def rank_row() -> tuple[str, str] | None:
    """Which rank this is, who says so, and what that does to the seed."""
    rank, source = environment.rank_and_source(os.environ)
    if rank is None or process.mode == "off":
        return None
    added = os.environ.get("SEEDBED_RANK_OFFSET") == "1"
    effect = "added to the seed" if added else "every rank has the same seed; SEEDBED_RANK_OFFSET=1 adds the rank"
    return "rank", f"{rank}, from {source}: {effect}"


def shared_memory() -> str:
    """The size of /dev/shm, through which DataLoader workers send their batches, and what to do if it is small."""
    found = environment.shared_memory()
    if found is None:
        return "none"
    return environment.SHARED_MEMORY_ADVICE if environment.shared_memory_is_small() else f"{found >> 20} MB"


def settings_table(rows: list[Finding]) -> list[tuple[str, ...]]:
    return [("ok" if row.holds else "BROKEN", row.name, row.found or "not set") for row in rows]


def verdict(rows: list[Finding]) -> str:
    """One line for each thing that breaks the promise, or one that says that it holds."""
    if process.mode == "off":
        return "Mode off: nothing is seeded and nothing is promised."
    broken = [row for row in rows if not row.holds]
    if not broken:
        return f"Everything that mode {process.mode} sets is in force."
    return "\n".join(
        f"{row.name} is {row.found or 'not set'}, expected {row.wanted or 'not set'}: {row.why}" for row in broken
    )
