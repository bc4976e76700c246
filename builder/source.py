"""YAML that remembers its lines, so that an error can say file, line and key."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from builder.errors import UsageError

Key = str | int
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Source:
    """A YAML file as read: its data, and the line that every key stands on."""

    path: Path
    data: dict[str, Any]
    lines: dict[tuple[Key, ...], int]

    def where(self, *keys: Key) -> str:
        """`images/x/image.yaml:12: versions.torch`; a missing key is placed at its nearest parent."""
        known = next(keys[:n] for n in range(len(keys), -1, -1) if keys[:n] in self.lines)
        return ": ".join([f"{shown(self.path)}:{self.lines[known]}", *filter(None, [".".join(map(str, keys))])])

    def validate(self, model: type[Model]) -> Model:
        """The data as `model`; raises `UsageError`, one line for the first thing wrong."""
        try:
            return model.model_validate(self.data)
        except ValidationError as failed:
            first, *others = failed.errors(include_url=False)
            more = f" (and {len(others)} more)" if others else ""
            raise UsageError(f"{self.where(*first['loc'])}: {explain(first)}{more}") from None


def read(path: Path) -> Source:
    """Read a YAML mapping; raises `UsageError` for bad syntax, a repeated key, or anything but a mapping."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise UsageError(f"{shown(path)}: cannot be read: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{shown(path)}:{line}: not YAML: {error.problem}") from None
    if not isinstance(root, yaml.MappingNode):
        raise UsageError(f"{shown(path)}:1: expected a mapping of keys to values")
    lines: dict[tuple[Key, ...], int] = {(): 1}
    for keys, line in walk(root):
        if keys in lines:
            dotted = ".".join(map(str, keys))
            raise UsageError(f"{shown(path)}:{line}: {dotted}: given twice; the first is on line {lines[keys]}")
        lines[keys] = line
    return Source(path, yaml.SafeLoader("").construct_document(root), lines)


def walk(node: yaml.Node, keys: tuple[Key, ...] = ()) -> Iterator[tuple[tuple[Key, ...], int]]:
    """Every key below `node` with its line, counted from 1; list items are numbered from 0."""
    if isinstance(node, yaml.MappingNode):
        children = [(key.value, key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        children = [(index, value, value) for index, value in enumerate(node.value)]
    else:
        return
    for name, marked, value in children:
        yield (*keys, name), marked.start_mark.line + 1
        yield from walk(value, (*keys, name))


def explain(error: Any) -> str:
    """One of pydantic's findings, said so that the writer of the file knows what to do."""
    match error["type"]:
        case "extra_forbidden":
            return "unknown key; remove it or correct its spelling"
        case "missing":
            return "missing; it is required"
        case "string_type":
            found = error["input"]
            return f"expected text, found {type(found).__name__} {found!r}; put it in quotes"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            return f"{error['msg'][0].lower()}{error['msg'][1:]}, found {error['input']!r}"


def shown(path: Path) -> Path:
    """The path as a person would type it: relative to the working directory where it is below it."""
    working = Path.cwd()
    return path.relative_to(working) if path.is_relative_to(working) else path
