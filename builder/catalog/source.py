"""YAML that remembers its lines, so that an error can say file, line and key."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from builder import reading
from builder.errors import UsageError
from builder.problems import Key, first_problem
from builder.reading import shown

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Source:
    """A YAML file as read: its data, and the line of every key."""

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
            keys, problem = first_problem(failed)
            field = model.model_fields.get(str(keys[0])) if keys else None
            meaning = f"; expected {field.description}" if field and field.description else ""
            raise UsageError(f"{self.where(*keys)}: {problem}{meaning}") from None


def read(path: Path) -> Source:
    """Read a YAML mapping; raises `UsageError` for bad syntax, a repeated key, or anything but a mapping."""
    text = reading.text(path)
    try:
        loader = Loader(text)
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise UsageError(f"{shown(path)}:1: expected a mapping of keys to values")
        return Source(path, loader.construct_document(root), lines_of(root, path))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{shown(path)}:{line}: not YAML: {error.problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UsageError(f"{shown(path)}:{line}: not YAML: the character {chr(error.character)!r}") from None
    except RecursionError:
        raise UsageError(f"{shown(path)}:1: nested too deeply") from None


class Loader(yaml.SafeLoader):
    """Reads plain data. A few bytes of anchors and aliases can stand for more than a memory holds, or for no end."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        if getattr(event, "anchor", None):
            refuse("anchors and aliases are not read here; write the value out", event)
        if getattr(event, "tag", None):
            refuse(f"the tag {event.tag} is not read here; write the value alone", event)
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:  # 2026-13-45; 1:00:00, with a hundred more of these, .0
            refuse(str(error), node)


def refuse(problem: str, place: yaml.Event | yaml.Node) -> NoReturn:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)


def lines_of(root: yaml.MappingNode, path: Path) -> dict[tuple[Key, ...], int]:
    """The line of every key, by the keys that lead to it."""
    lines: dict[tuple[Key, ...], int] = {(): 1}
    for keys, line in walk(root):
        if keys in lines:
            dotted = ".".join(map(str, keys))
            raise UsageError(f"{shown(path)}:{line}: {dotted}: given twice; the first is on line {lines[keys]}")
        lines[keys] = line
    return lines


def walk(node: yaml.Node, keys: tuple[Key, ...] = ()) -> Iterator[tuple[tuple[Key, ...], int]]:
    """Every key below `node` with its line, counted from 1; list items are numbered from 0."""
    if isinstance(node, yaml.MappingNode):
        children = [(name_of(key), key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        children = [(index, value, value) for index, value in enumerate(node.value)]
    else:
        return
    for name, marked, value in children:
        yield (*keys, name), marked.start_mark.line + 1
        yield from walk(value, (*keys, name))


def name_of(key: yaml.Node) -> str:
    if not isinstance(key, yaml.ScalarNode):
        refuse("expected a word as a key", key)
    return str(key.value)
