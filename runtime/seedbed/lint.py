"""Finds, in a source file, loops whose order no seed fixes: over sets, and over directory listings."""

import ast
from collections.abc import Iterator
from pathlib import Path

SET = "loops over a set: only strings and numbers have a fixed order in it; sort it"
LISTING = "directory listing in the file system's order; sort it"
LISTINGS = {"listdir", "scandir", "iterdir", "glob", "iglob", "rglob"}
IN_ORDER = {"list", "tuple", "enumerate", "iter", "map", "zip"}


def unordered(file: str) -> list[tuple[int, str]]:
    """The lines and what is wrong there, by line; none where the file cannot be read or parsed."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    harmless = {
        id(inner)
        for node in ast.walk(tree)
        if is_call(node, {"sorted", "len", "set", "sum", "min", "max"})
        for inner in node.args
    }
    found = {(node.lineno, SET) for node in iterated(tree) if is_set(node)}
    found |= {(node.lineno, LISTING) for node in ast.walk(tree) if is_call(node, LISTINGS) and id(node) not in harmless}
    return sorted(found)


def iterated(tree: ast.AST) -> Iterator[ast.expr]:
    """Every expression that is looped over: by `for`, in a comprehension, or by list() and the like."""
    for node in ast.walk(tree):
        if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            yield node.iter
        elif is_call(node, IN_ORDER):
            yield from node.args


def is_set(node: ast.AST) -> bool:
    return isinstance(node, ast.Set | ast.SetComp) or is_call(node, {"set", "frozenset"})


def is_call(node: ast.AST, names: set[str]) -> bool:
    """Whether it calls something by one of these names, `os.listdir` and `listdir` alike."""
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in names
