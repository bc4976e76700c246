"""Ways to spoil a file: its bytes, its lines, the values in it, or what it is."""

import copy
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import yaml

DEEP = "nested too deeply"  # a placeholder: json and yaml refuse to write what they are to be tortured with
HUGE = "number too long"
PLACEHOLDERS = {DEEP: "[" * 100_000 + "]" * 100_000, HUGE: "9" * 5_000}

ODD_TEXTS = (
    *("", " ", "²", "\x1b[31mred\x1b[0m", "two\nlines", "\r", "\x00", "\x9b1m", "\u202e", "\udcff", "\ufeff"),
    *("..", "../../../etc/passwd", "/etc/passwd", "sha256:..", "sha256:" + "../" * 12 + "etc/passwd", "sha256:", "~"),
    *(
        "{folder}",
        "{0}",
        "{a.b}",
        "{{",
        "%s",
        "$(id)",
        "`id`",
        "-rf",
        "--help",
        "0x1p+99999",
        "nan",
        "hidden:",
        "é" * 50,
    ),
    "x" * 300_000,
)
ODD_VALUES = (
    *(None, True, False, 0, -1, 1.5, 10**30, 1e308, float("inf"), float("nan"), [], {}, [[]], [None], {"": None}),
    *(DEEP, HUGE),
)
NOISE = (
    *(
        b"\xff\xfe",
        b"\x00",
        b"\x1b]0;title\x07",
        b"\x9b31m",
        b"\r\n",
        b"\r",
        b"\n\n",
        b"\t",
        b"\xc3\x28",
        b"\xed\xa0\x80",
    ),
    *(b"..", b"/", b"../" * 9, b"'", b'"', b"{", b"]", b":", b"#", b"&a *a", b"!!python/name:os.system", b"9" * 400),
    b"x" * 300_000,
)
LAUGHS = b"\n".join(
    [b"a: &a [x, x]", *(b"%c: &%c [*%c, *%c]" % (n + 1, n + 1, n, n) for n in range(ord("a"), ord("x")))]
)

Mutation = Callable[[Random, Path], None]


def spoil(random: Random, path: Path) -> str:
    """Spoil the file in one way, seldom in two; returns what was done, in words."""
    done = []
    for _ in range(random.choice((1, 1, 1, 2))):
        kinds = [(spoil_bytes, 3), (spoil_lines, 3), (spoil_values, 6), (replace_whole, 1)]
        mutation = random.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]
        if path.is_symlink() or not path.is_file():
            break
        done.append(f"{mutation.__name__} {path.name}")
        mutation(random, path)
    return ", ".join(done)


def spoil_bytes(random: Random, path: Path) -> None:
    path.write_bytes(other_bytes(random, path.read_bytes()))


def other_bytes(random: Random, data: bytes) -> bytes:
    """Flipped bits, a cut, or noise put in or over."""
    at = random.randrange(len(data) + 1)
    match random.choice(("flip", "flip", "cut", "noise", "over", "none")):
        case "flip" if data:
            changed = bytearray(data)
            for _ in range(random.choice((1, 1, 8))):
                changed[random.randrange(len(data))] ^= 1 << random.randrange(8)
            return bytes(changed)
        case "cut":
            return data[:at]
        case "over":
            noise = random.choice(NOISE)
            return data[:at] + noise + data[at + len(noise) :]
        case "none":
            return b""
    return data[:at] + random.choice(NOISE) + data[at:]


def spoil_lines(random: Random, path: Path) -> None:
    """A line twice, gone, in another's place, of another file's kind, or spoiled in itself."""
    lines = path.read_bytes().split(b"\n")
    at, other = random.randrange(len(lines)), random.randrange(len(lines))
    match random.choice(("twice", "gone", "swap", "spoil", "odd", "laughs")):
        case "twice":
            lines.insert(other, lines[at])
        case "gone":
            del lines[at]
        case "swap":
            lines[at], lines[other] = lines[other], lines[at]
        case "spoil":
            lines[at] = other_bytes(random, lines[at])
        case "odd":
            words = re.split(rb"([\s=:@/]+)", lines[at])
            words[random.randrange(len(words))] = random.choice(ODD_TEXTS).encode(errors="surrogateescape")
            lines[at] = b"".join(words)
        case "laughs":
            lines.insert(other, LAUGHS)
    path.write_bytes(b"\n".join(lines))


def spoil_values(random: Random, path: Path) -> None:
    """Another value, or none, somewhere in a file of JSON, YAML or JSON lines; other files have lines."""
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    if "&a [x, x]" in text:  # who walks through it never comes back
        return spoil_lines(random, path)
    try:
        match path.suffix:
            case ".json":
                text = json_text(other_document(random, json.loads(text)))
            case ".yaml":
                text = filled(yaml.safe_dump(other_document(random, yaml.safe_load(text)), sort_keys=False))
            case ".jsonl":
                lines = text.splitlines()
                at = random.randrange(len(lines))
                lines[at] = json_text(other_document(random, json.loads(lines[at])))
                text = "\n".join([*lines, ""])
            case _:
                return spoil_lines(random, path)
    except (ValueError, TypeError, RecursionError, yaml.YAMLError):  # it was spoiled before
        return spoil_lines(random, path)
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    return None


def other_document(random: Random, document: Any) -> Any:
    """The document with one of its values exchanged, taken away, wrapped or put under another key."""
    changed = copy.deepcopy({"": document})
    holder, key = random.choice(list(places(changed)))
    match random.choice(("odd", "odd", "text", "text", "wrap", "gone", "new", "renamed")):
        case "odd":
            holder[key] = random.choice(ODD_VALUES)
        case "text":
            holder[key] = random.choice(ODD_TEXTS)
        case "wrap":
            holder[key] = random.choice(([holder[key]], {"a": holder[key]}, str(holder[key])))
        case "gone" if holder is not changed:
            del holder[key]
        case "new" if isinstance(holder, dict) and holder is not changed:
            holder[random.choice(ODD_TEXTS)] = random.choice(ODD_VALUES)
        case "renamed" if isinstance(holder, dict) and holder is not changed:
            holder[random.choice(ODD_TEXTS)] = holder.pop(key)
        case _:
            holder[key] = None
    return changed[""]


def places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every place that a value can stand at, as what holds it and the key there."""
    keys = list(document) if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    for key in keys:
        yield document, key
        yield from places(document[key])


def json_text(document: Any) -> str:
    return filled(json.dumps(document))


def filled(text: str) -> str:
    for placeholder, real in PLACEHOLDERS.items():
        text = re.sub(f"[\"']?{placeholder}[\"']?", real, text)
    return text


def replace_whole(random: Random, path: Path) -> None:
    """Something that is no such file at all in its place."""
    path.unlink()
    match random.choice(("gone", "folder", "fifo", "dangling", "loop", "zeros", "device", "empty", "binary")):
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "dangling":
            path.symlink_to("nowhere")
        case "loop":
            path.symlink_to(path.name)
        case "zeros":
            path.symlink_to("/dev/zero")
        case "device":
            path.symlink_to("/dev/null")
        case "empty":
            path.touch()
        case "binary":
            path.write_bytes(random.randbytes(4096))


def copy_of(stock: Path, folder: Path) -> Path:
    return Path(shutil.copytree(stock, folder, symlinks=True, dirs_exist_ok=True))
