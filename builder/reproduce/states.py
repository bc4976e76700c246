"""An image as the files of its folder describe it, in the working tree or at a revision of git: no image is needed.

Versions come from the locks; ENV, labels and settings from the last stage of the rendered Dockerfile.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from builder import commands, reading
from builder.catalog.source import Loader
from builder.errors import SeedbedError, UsageError
from builder.lock import packages, requirements
from builder.reproduce import numbers
from builder.reproduce.changes import Changelog, changelog
from builder.reproduce.inventory import Inventory

NOW = "the working tree"
INSTRUCTION = re.compile(r"(?P<name>ENV|LABEL|USER|ENTRYPOINT|CMD|WORKDIR) (?P<value>.+)")
PAIR = re.compile(r'(?P<name>[^=\s]+)=(?P<value>".*")')
SETTINGS = {"USER": "user", "ENTRYPOINT": "entrypoint", "CMD": "command", "WORKDIR": "working folder"}

Read = Callable[[str], str]
"""The text of a file by its path below the catalog's folder; empty if there is none."""


@dataclass(frozen=True)
class State:
    """A catalog in one state."""

    title: str
    read: Read

    def needed(self, path: str) -> str:
        if text := self.read(path):
            return text
        raise UsageError(f"{self.title}: there is no {path}, so there is nothing to compare")

    def base(self, image: str) -> str:
        path = f"{image}/image.yaml"
        try:
            return str(yaml.load(self.needed(path), Loader)["base"])
        except (yaml.YAMLError, LookupError, TypeError):
            raise UsageError(f"{self.title}: {path}: names no base; it is no image with locks of its own") from None

    def pins(self, form: re.Pattern[str], path: str) -> dict[str, str]:
        """Names and versions in a lock."""
        found = {}
        for number, line in enumerate(self.needed(path).splitlines(), start=1):
            if not line.startswith("#"):
                if not (pin := form.fullmatch(line)):
                    raise SeedbedError(f"{self.title}: {path}:{number}: not a line of a lock")
                found[pin["name"]] = pin["version"]
        return found

    def inventory(self, image: str) -> Inventory:
        debian, wheels = self.locks(image)
        programs = f"{image}/programs/requirements.lock"
        settings, environment, labels = last_stage(self.needed(f"{image}/Dockerfile"))
        return Inventory(
            self.pins(packages.ENTRY, debian),
            self.pins(requirements.PIN, wheels),
            environment,
            labels,
            settings,
            programs=self.pins(requirements.PIN, programs) if self.read(programs) else {},
        )

    def locks(self, image: str) -> tuple[str, str]:
        return f"{self.base(image)}/packages.lock", f"{image}/requirements.lock"

    def lock(self, image: str) -> str:
        """The hex sha256 of both locks, as `builder.image.recipe` has it."""
        return hashlib.sha256("".join(map(self.needed, self.locks(image))).encode()).hexdigest()

    def numbers(self, image: str, file: str) -> numbers.Known:
        return numbers.read(self.read(f"{image}/{file}"), f"{self.title}: {image}/{file}")


def compare(before: State, after: State, image: str) -> Changelog:
    lock = after.lock(image)
    found = (
        numbers.compare(what, *(state.numbers(image, file) for state in (before, after)), lock)
        for what, file in numbers.FILES.items()
    )
    return changelog(f"{image} at {before.title}", inventory_of(before, image), image, after.inventory(image), found)


def inventory_of(state: State, image: str) -> Inventory:
    """Empty if there is no such image in that state."""
    return state.inventory(image) if state.read(f"{image}/image.yaml") else Inventory({}, {}, {}, {}, {})


def working_tree(root: Path) -> State:
    def read(path: str) -> str:
        return reading.text(root / path) if (root / path).exists() else ""

    return State(NOW, read)


def revision(root: Path, name: str) -> State:
    """Of a commit, by any name that git knows. Raises UsageError if it knows none of that name."""
    commit = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").strip()
    if not commit:
        raise UsageError(f"--locks {name}: git knows no such revision here; name a commit, a branch or a tag")
    return State(name, lambda path: file_in(root, f"{commit}:./{path}"))


def file_in(root: Path, name: str) -> str:
    """The file that git knows by that name, also through links in its tree; empty if there is none."""
    said = git(root, "cat-file", "--batch", "--follow-symlinks", given=f"{name}\n")
    head, _, text = said.partition("\n")
    return text.removesuffix("\n") if head.split()[1:2] == ["blob"] else ""


def git(root: Path, *arguments: str, given: str = "") -> str:
    """What it prints; nothing if it fails."""
    try:
        done = commands.run(["git", "-C", root, *arguments], input=given)
    except OSError as error:
        raise SeedbedError(f"git: {error.strerror}; --locks reads the other state from git, so install it") from None
    return "" if done.returncode else done.stdout


def last_stage(dockerfile: str) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Settings, ENV and labels, as the template writes them: one a line."""
    settings: dict[str, str] = {}
    pairs: dict[str, dict[str, str]] = {"ENV": {}, "LABEL": {}}
    for line in dockerfile.splitlines():
        if line.startswith("FROM "):
            pairs = {"ENV": {}, "LABEL": {}}
        elif found := INSTRUCTION.fullmatch(line):
            name, value = found["name"], found["value"]
            if name not in pairs:
                settings[SETTINGS[name]] = value
            elif pair := PAIR.fullmatch(value):
                pairs[name][pair["name"]] = unquoted(pair["value"])
    return settings, pairs["ENV"], pairs["LABEL"]


def unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])
