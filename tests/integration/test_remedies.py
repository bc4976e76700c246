"""Each remedy is needed: without it, what another machine is like gets into the image, and file and field are named.

docs/reproducibility.md lists the traps, their remedies, and which of the tests elsewhere show the others: for those of
the installation itself, tests/host/test_base.py.
"""

import os
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest

from builder.image import assemble
from builder.oci import tar
from builder.reproduce.diff import Comparison
from builder.reproduce.variations import VARIATIONS
from tests.bases import EVERYTHING, SharingTrial

SOMEBODY = 4321  # a user ID that owns nothing in the image


@dataclass(frozen=True)
class Removal:
    """A remedy as the lines of `file` that are it (`before`), and as what `named` then says of the rebuilt image.

    `on`: which of the variations makes the difference. `remade`: the layers that are made again, as a pattern; the base
    is made of what an installation leaves, and nothing is installed.
    """

    file: str
    before: str
    after: str
    remade: str
    named: str
    on: tuple[str, ...] = ()


REMOVALS = {
    "entries are sorted": Removal(
        "builder/oci/tar.py",
        'sorted(by_path.values(), key=lambda entry: _encoded(entry.path).split(b"/"))',
        "list(by_path.values())",
        "numpy: ",
        r"layer 2 \(numpy: .*\): /opt\S*: order of entries: before /opt/\S+ \| after /opt/\S+",
        on=("inputs in another order",),
    ),
    "modes are ours and not the checkout's": Removal(
        "builder/image/assemble.py",
        "each.read(), mode=each.mode",
        "each.read(), mode=(paths.RUNTIME / each.source).stat().st_mode & 0o777",
        "runtime: ",
        r"layer \d \(runtime: .*\): /\S+: mode: 0644 \| 0600",
    ),
    "owners are ours and not the checkout's": Removal(
        "builder/image/assemble.py",
        'file(each.target.lstrip("/"), each.read(), mode=each.mode)',
        "Entry(each.target.lstrip('/'), mode=each.mode, size=len(each.read()), "
        "content=lambda each=each: [each.read()], uid=(paths.RUNTIME / each.source).stat().st_uid)",
        "runtime: ",
        rf"layer \d \(runtime: .*\): /\S+: owner: 0:0 \| {SOMEBODY}:0",
    ),
    "no byte is random": Removal(
        "builder/image/assemble.py",
        "text.encode())",
        "text.encode()[:-1] + bytes([33 + __import__('os').urandom(1)[0] % 90]))",
        "runtime: ",
        r"layer \d \(runtime: .*\): /etc/seedbed/constraints\.txt: content at byte \d+: 0x0a \| 0x\w\w",
    ),
    "the number of threads that compress has nothing to do with that of CPUs": Removal(
        "builder/oci/tar.py",
        "threads=1)",
        "threads=len(__import__('os').sched_getaffinity(0)) - 1)",
        "numpy: ",
        r"layer 2 \(numpy: .*\): compressed bytes: sha256:\w+ \| sha256:\w+",
        on=("one CPU",),
    ),
    "bytecode holds its source's hash and not its date": Removal(
        "builder/layers/compiler.py",
        "CHECKED_HASH + importlib.util.source_hash(source) +",
        "bytes(4) + int(__import__('time').time()).to_bytes(8, 'little') +",
        "bytecode of ",
        r"layer \d \(bytecode of .*\): /\S+\.pyc: content at byte 4: 0x03 \| 0x00",
    ),
    "names are UTF-8 whatever the locale": Removal(
        "builder/oci/tar.py",
        'mode="r:", encoding="utf-8"',
        'mode="r:"',
        "Debian ",
        r"layer 1 \(Debian .*\): /etc/ssl/certs/\S+: link: NetLock_\S+ \| NetLock_\S+",
        on=("another locale",),
    ),
    "what the installation leaves behind is left out": Removal(
        "builder/debian/bootstrap.py",
        "not matches(path, TRACES) and ",
        "",
        "Debian ",
        r"layer 1 \(Debian .*\): /dev/\S+: presence: missing \| there",
    ),
}


LEFT_BEHIND = ("dev/null", "etc/hostname", "var/log/dpkg.log")
INSTALL = '    archive.unpack(mmdebstrap.proven(folder), scratch / "mmdebstrap")\n'


@pytest.mark.long
def test_with_every_remedy_in_place_the_image_is_the_same(trial, installed):
    removal = Removal("", "", "", EVERYTHING, named="", on=("inputs in another order", "one CPU"))
    assert compared(trial, removal, installed).equal


@pytest.mark.long
@pytest.mark.parametrize("remedy", REMOVALS)
def test_without_a_remedy_the_file_and_the_field_are_named(trial, installed, remedy):
    comparison = compared(trial, REMOVALS[remedy], installed)
    assert not comparison.equal
    assert re.fullmatch(REMOVALS[remedy].named, str(comparison.differences[0]))


@pytest.fixture(scope="module")
def installed(built, recipe, tmp_path_factory) -> Callable[[], Path]:
    """Makes the tar that an installation of the base leaves: its layer's files, and some that do not belong there.

    As mmdebstrap writes it: GNU's format, which does not say how names are encoded.
    """

    @cache
    def installed() -> Path:
        path = tmp_path_factory.mktemp("installed") / "root.tar"
        layer = assemble.store().blob(assemble.base(recipe, locked=True)[0].descriptor.digest)
        with tar.opened(layer) as source, tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as target:
            for member in source:
                assert not any(name.startswith("SCHILY") for name in member.pax_headers)
                member.pax_headers = {}
                target.addfile(member, source.extractfile(member) if member.isreg() else None)
            for name in LEFT_BEHIND:
                target.addfile(tarfile.TarInfo(name))
        return path

    return installed


def compared(trial: SharingTrial, removal: Removal, installed: Callable[[], Path]) -> Comparison:
    """The tiny image beside its rebuild by somebody else's checkout that lacks the remedy."""
    changes = [VARIATIONS[name](trial.scratch, trial.recipe.base) for name in removal.on]
    checkout = another_checkout(trial.scratch)
    if removal.before:
        rewrite(checkout / removal.file, removal.before, removal.after)
    if re.match(removal.remade, "Debian "):
        rewrite(checkout / "builder/debian/bootstrap.py", INSTALL, f"    return Path({str(installed())!r})\n")
    with replace(trial, remade=removal.remade).empty_cache() as cache:
        return trial.compared(cache, [*changes, lambda machine: replace(machine, checkout=checkout)])


def another_checkout(scratch: Path) -> Path:
    """Somebody else's copy of this one, readable by nobody else."""
    VARIATIONS["another checkout"](scratch, None)
    [checkout] = scratch.glob("another checkout*")
    for path in (checkout / "runtime").rglob("*"):
        os.chown(path, SOMEBODY, 0)
    return checkout


def rewrite(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, after))
