"""What is altered is refused in one line that names it: the table in docs/proof.md."""

import base64
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from builder import paths
from builder.cli import contents, make, prove
from builder.debian.archive import PackageGone
from builder.image import assemble, digest
from builder.image.recipe import Recipe
from builder.lock import packages
from builder.publish import attest, kit, statements
from tests import commands
from tests.bases import base_files
from tests.kits import alter, spoil

pytestmark = pytest.mark.long

PAGE = paths.ROOT / "docs" / "proof.md"


@dataclass
class Shop:
    """The tiny image with its digest of record, and all that there is to prove it, in files of the test's own."""

    folder: Path
    files: Path
    cache: Path
    recipe: Recipe
    patch: pytest.MonkeyPatch

    def verify(self, *arguments: str) -> str:
        return commands.run(prove.verify_, self.folder, "tiny", *arguments)[1]

    def attested(self) -> str:
        given = ("--attested-by", "1", "--keys", str(self.files / "keys"), "--statements", str(self.files / "me.jsonl"))
        return self.verify(*given)

    def own(self, name: str) -> Path:
        """The folder of the cache, as one that the test may spoil."""
        theirs = (self.cache / name).resolve()
        (self.cache / name).unlink()
        return Path(
            shutil.copytree(theirs, self.cache / name, copy_function=lambda one, two: Path(two).hardlink_to(one))
        )


@pytest.fixture
def shop(cache, tested, folder, resolve, tmp_path, monkeypatch) -> Shop:
    monkeypatch.setenv("SEEDBED_ENGINE", "none")
    monkeypatch.setattr(statements, "revision", lambda: "2" * 40)
    recipe = resolve()
    digest.write(recipe, tested)
    shop = Shop(folder, tmp_path / "files", cache, recipe, monkeypatch)
    (shop.files / "keys").mkdir(parents=True)
    write_key(shop)
    (shop.files / "me.jsonl").write_bytes(attest.attest(recipe, tested.digest, shop.files / "me.key"))
    return shop


def write_key(shop: Shop) -> None:
    private = Ed25519PrivateKey.generate()
    key = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (shop.files / "me.key").write_bytes(key)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (shop.files / "keys" / "me.pem").write_bytes(public)


def replace(file: Path, data: bytes) -> None:
    """Another file in its place: the old one may have a second name."""
    file.unlink()
    file.write_bytes(data)


def image(shop: Shop) -> str:
    saved = shop.files / "tiny"
    commands.run(make.build_, shop.folder, "tiny", "--output", str(saved))
    [manifest] = json.loads((saved / "index.json").read_text())["manifests"]
    path = saved / "blobs/sha256" / manifest["digest"].removeprefix("sha256:")
    layer = saved / "blobs/sha256" / json.loads(path.read_text())["layers"][-1]["digest"].removeprefix("sha256:")
    replace(layer, layer.read_bytes()[:-1] + b"?")
    return shop.verify("--against", str(saved))


def sbom(shop: Shop) -> str:
    file = shop.files / "tiny.cdx.json"
    commands.run(contents.sbom_, shop.folder, "tiny", "--output", str(file))
    file.write_text(re.sub(r'("name": "numpy",.*?"version": ")[^"]*', r"\g<1>9.9", file.read_text(), flags=re.DOTALL))
    return commands.run(contents.sbom_, shop.folder, "tiny", "--check", str(file))[1]


def in_envelope(shop: Shop, change: Callable[[dict], None]) -> str:
    file = shop.files / "me.jsonl"
    envelope = json.loads(file.read_text().splitlines()[1])
    change(envelope)
    file.write_text(json.dumps(envelope))
    return shop.attested()


def statement(shop: Shop) -> str:
    def change(envelope: dict) -> None:
        payload = base64.b64decode(envelope["payload"]).replace(b"2" * 40, b"3" * 40)
        envelope["payload"] = base64.b64encode(payload).decode()

    return in_envelope(shop, change)


def signature(shop: Shop) -> str:
    def change(envelope: dict) -> None:
        [signed] = envelope["signatures"]
        signed["sig"] = base64.b64encode(base64.b64decode(signed["sig"])[::-1]).decode()

    return in_envelope(shop, change)


def key(shop: Shop) -> str:
    write_key(shop)  # somebody else's, in the file of the same name
    return shop.attested()


def debian_package(shop: Shop) -> str:
    [tini] = [package for package in shop.recipe.packages.packages if package.name == "tini"]
    replace(shop.own("packages") / f"{tini.sha256}.deb", b"another init")
    return shop.verify()


def kit_file(shop: Shop) -> str:
    [tini] = [package for package in shop.recipe.packages.packages if package.name == "tini"]
    kit.write(shop.recipe, shop.files / "kit.tar")
    spoil(shop.files / "kit.tar", shop.files / "spoiled.tar", alter(tini, b"another init"))
    (shop.own("packages") / f"{tini.sha256}.deb").unlink()
    for path in base_files(shop.recipe, assemble.store()):
        path.unlink()
    shop.patch.setattr(packages, "archive_of", lambda base: Dropped([tini]))
    shop.patch.setenv("SEEDBED_KIT", str(shop.files / "spoiled.tar"))
    return commands.run(make.build_, shop.folder, "tiny", "--no-cache", "--locked")[1]


@dataclass
class Dropped:
    """An archive without these packages."""

    gone: list

    def fetch(self, wanted: list, into: Path) -> None:
        raise PackageGone(self.gone)


def wheel(shop: Shop) -> str:
    [numpy] = [wheel for wheel in shop.recipe.wheels.wheels if wheel.name == "numpy"]
    [file] = (shop.own("wheels") / numpy.sha256).iterdir()
    data = bytearray(file.read_bytes())
    data[1000] ^= 1
    replace(file, bytes(data))
    return shop.verify()


def lock(shop: Shop) -> str:
    path = shop.folder / "tiny" / "requirements.lock"
    path.write_text(re.sub(r"(numpy==\S+ --hash=sha256:)[0-9a-f]{64}", rf"\g<1>{'5' * 64}", path.read_text()))
    commands.run(make.render, shop.folder, "tiny")
    return shop.verify()


def digest_file(shop: Shop) -> str:
    path = shop.folder / "tiny" / "digest"
    path.write_text(re.sub(r"manifest sha256:\w+", f"manifest sha256:{'6' * 64}", path.read_text()))
    return commands.run(make.build_, shop.folder, "tiny", "--check")[1]


ALTERED = (image, sbom, statement, signature, key, kit_file, debian_package, wheel, lock, digest_file)


def rows() -> dict[str, str]:
    table = PAGE.read_text().partition("| what was altered |")[2]
    return dict(re.findall(r"^\| ([\w' ]+) \| `[^`]*` \| `(.*)` \|$", table.replace("\\|", "|"), re.MULTILINE))


@pytest.mark.parametrize("alter", ALTERED, ids=lambda alter: alter.__name__)
def test_what_was_altered_is_named_in_the_line_that_the_page_shows(alter, shop):
    said = alter(shop).replace(str(shop.files), "…").replace(str(shop.folder), "images").replace(str(shop.cache), "…")
    expected = rows()[alter.__name__.replace("_", " ")]
    assert re.fullmatch(re.escape(expected).replace("…", ".*"), said), said


def test_control_as_it_is_it_counts_and_is_equal(shop):
    assert shop.attested() == ""
    assert commands.run(make.build_, shop.folder, "tiny", "--check") == (0, "")


def test_the_page_has_these_rows_and_no_others():
    assert list(rows()) == [alter.__name__.replace("_", " ") for alter in ALTERED]
