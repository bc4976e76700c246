"""Each remedy is needed: without it, what another machine is like gets into the image, and file and field are named.

docs/reproducibility.md lists the traps, their remedies, and which of the tests elsewhere show the others.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.errors import SeedbedError
from builder.reproduce.diff import Comparison
from builder.reproduce.variations import VARIATIONS, Change
from builder.reproduce.verify import Trial

SOMEBODY = 4321  # a user ID that owns nothing in the image


@dataclass(frozen=True)
class Removal:
    """A remedy as the lines of `file` that are it (`before`), and as what `named` then says of the rebuilt image.

    `on`: which of the variations makes the difference. The base is installed again only where it is `of_base`.
    """

    file: str
    before: str
    after: str
    named: str
    on: tuple[str, ...] = ()
    of_base: bool = False


REMOVALS = {
    "entries are sorted": Removal(
        "builder/oci/tar.py",
        'sorted(by_path.values(), key=lambda entry: _encoded(entry.path).split(b"/"))',
        "list(by_path.values())",
        r"layer 2 \(numpy: .*\): /opt\S*: order of entries: before /opt/\S+ \| after /opt/\S+",
        on=("inputs in another order",),
    ),
    "modes are ours and not the checkout's": Removal(
        "builder/image/assemble.py",
        "mode=installed.mode",
        "mode=(paths.RUNTIME / installed.source).stat().st_mode & 0o777",
        r"layer \d \(runtime: .*\): /\S+: mode: 0644 \| 0600",
    ),
    "owners are ours and not the checkout's": Removal(
        "builder/image/assemble.py",
        "mode=installed.mode",
        "mode=installed.mode, uid=(paths.RUNTIME / installed.source).stat().st_uid",
        rf"layer \d \(runtime: .*\): /\S+: owner: 0:0 \| {SOMEBODY}:0",
    ),
    "the number of threads that compress has nothing to do with that of CPUs": Removal(
        "builder/oci/tar.py",
        "threads=threads)\n    with",
        "threads=len(__import__('os').sched_getaffinity(0)) - 1)\n    with",
        r"layer 2 \(numpy: .*\): compressed bytes: sha256:\w+ \| sha256:\w+",
        on=("one CPU",),
    ),
    "bytecode holds its source's hash and not its date": Removal(
        "builder/layers/compiler.py",
        "CHECKED_HASH + importlib.util.source_hash(source) +",
        "bytes(4) + int(__import__('time').time()).to_bytes(8, 'little') +",
        r"layer \d \(bytecode of .*\): /\S+\.pyc: content at byte 4: 0x03 \| 0x00",
    ),
    "names are UTF-8 whatever the locale": Removal(
        "builder/oci/tar.py",
        'mode="r:", encoding="utf-8"',
        'mode="r:"',
        r"layer 1 \(Debian .*\): /etc/ssl/certs/\S+: link: NetLock_\S+ \| NetLock_\S+",
        on=("another locale",),
        of_base=True,
    ),
    "the clock of the installation stands still": Removal(
        "builder/debian/bootstrap.py",
        '"SOURCE_DATE_EPOCH": str(epoch)',
        '"SOURCE_DATE_EPOCH": str(int(__import__("time").time()))',
        r"layer 1 \(Debian .*\): /etc/shadow: content at byte \d+: 0x\w\w \| 0x\w\w",
        of_base=True,
    ),
    "what the installation leaves behind is left out": Removal(
        "builder/debian/bootstrap.py",
        "not matches(TRACES) and ",
        "",
        r"layer 1 \(Debian .*\): /dev/\S+: presence: missing \| there",
        of_base=True,
    ),
}


def test_with_every_remedy_in_place_the_image_is_the_same(trial, bring_base):
    removal = Removal("builder/oci/tar.py", "", "", named="", on=("inputs in another order", "one CPU"))
    assert compared(trial, bring_base, removal).equal


@pytest.mark.parametrize("remedy", REMOVALS)
def test_without_a_remedy_the_file_and_the_field_are_named(trial, bring_base, remedy):
    comparison = compared(trial, bring_base, REMOVALS[remedy])
    assert not comparison.equal
    assert re.fullmatch(REMOVALS[remedy].named, str(comparison.differences[0]))


def test_an_attestation_which_would_make_an_index_of_the_image_stops_the_build(trial, bring_base):
    removal = Removal("builder/image/buildx.py", '"--provenance=false", "--sbom=false", ', "", named="")
    with pytest.raises(SeedbedError, match=r"tiny: not rebuilt: expected one image, .* found \S+, an index") as stopped:
        compared(trial, bring_base, removal)
    trial.engine.remove(re.findall(r"sha256:\w+", str(stopped.value))[0])


def compared(trial: Trial, bring_base: Callable[[Path], None], removal: Removal) -> Comparison:
    """The tiny image beside its rebuild by somebody else's checkout that lacks the remedy."""
    changes = [VARIATIONS[name](trial.scratch, trial.catalog.base_of(trial.image)) for name in removal.on]
    with trial.empty_cache() as cache:
        if not removal.of_base:
            bring_base(cache)
        return trial.compared(cache, [*changes, another_checkout(trial.scratch, removal)])


def another_checkout(scratch: Path, removal: Removal) -> Change:
    """Somebody else's copy of this one, readable by nobody else, without the remedy."""
    change = VARIATIONS["another checkout"](scratch, None)
    [checkout] = scratch.glob("another checkout*")
    for path in (checkout / "runtime").rglob("*"):
        os.chown(path, SOMEBODY, 0)
    text = (checkout / removal.file).read_text()
    assert text.count(removal.before) == 1 or not removal.before
    (checkout / removal.file).write_text(text.replace(removal.before, removal.after))
    return change
