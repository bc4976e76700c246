"""Rebuild kits: what comes out of one is what the lock says, or it is refused, by name and in one line."""

import json
import logging
import os
import re
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from builder import files
from builder.errors import SeedbedError
from builder.layers import kit as kits
from builder.layers.base import folder_of_packages
from builder.layers.kit import KIT_TYPE, KitAtHand, PublishedKit
from builder.oci import patience
from builder.oci.layout import link_or_copy
from builder.oci.registry import Repository
from builder.oci.serve import serving
from builder.oci.store import MANIFEST_TYPE, Store
from builder.publish import kit as publish
from tests.kits import alter, forge, package, recipe_of, spoil, swap


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "seedbed"


@pytest.fixture
def packages(cache):
    return [package("mmdebstrap", b"perl" * 100), package("tini", b"init" * 1000), package("tzdata", b"zones" * 1000)]


@pytest.fixture
def locked(resolve, packages):
    return recipe_of(resolve(), *packages)


@pytest.fixture
def archive(locked, tmp_path) -> Path:
    publish.write(locked, tmp_path / "kit.tar")
    return tmp_path / "kit.tar"


@pytest.fixture
def into(tmp_path) -> Path:
    """Where packages are brought: a folder that is empty as yet."""
    return tmp_path / "packages"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.deb")}


def sizes(folder: Path) -> dict[str, int]:
    return {name: len(data) for name, data in contents(folder).items()}


# ---- what a kit gives ----------------------------------------------------------------------------------------------


def test_an_archive_a_layout_and_what_another_client_wrote_give_the_packages(archive, packages, tmp_path, into):
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "layout", filter="data")
    plain = spoil(archive, tmp_path / "plain.tar", lambda files: files.update(without_type(files)))
    for path in (archive, tmp_path / "layout", plain):
        target = into / path.name
        assert kits.fetch([KitAtHand(path)], packages, target) == []
        assert contents(target) == contents(folder_of_packages())


def without_type(files):
    """The index as skopeo writes it: the type of an artifact is in its manifest alone."""
    index = json.loads(files["index.json"])
    for entry in index["manifests"]:
        del entry["artifactType"]
    return {"index.json": json.dumps(index).encode()}


def test_what_a_kit_lacks_comes_from_the_next_and_the_log_says_what_came_from_where(
    archive, locked, packages, tmp_path, into, caplog
):
    caplog.set_level(logging.INFO, "builder")
    mmdebstrap, tini, tzdata = packages
    publish.write(recipe_of(locked, mmdebstrap), tmp_path / "small")
    absent = replace(tzdata, name="absent", sha256="0" * 64, filename="pool/absent.deb")
    assert kits.fetch([KitAtHand(tmp_path / "small"), KitAtHand(archive)], [tini, mmdebstrap, absent], into) == [absent]
    assert caplog.messages == [
        f"Debian packages from the kit {tmp_path}/small: mmdebstrap=1.0-1",
        f"Debian packages from the kit {archive}: tini=1.0-1",
    ]


# ---- what is refused -----------------------------------------------------------------------------------------------

OTHERS = {"as long": b"evil" * 1000, "longer": b"init" * 1000 + b"more", "shorter": b"init" * 999, "nothing": b""}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("how", [alter, forge])
def test_a_package_with_other_bytes_is_refused_by_name_and_not_kept(how, other, archive, packages, tmp_path, into):
    tini = packages[1]
    spoiled = spoil(archive, tmp_path / "spoiled.tar", how(tini, OTHERS[other]))
    with pytest.raises(SeedbedError, match=r"^tini=1\.0-1: the kit .*/spoiled\.tar has .* the lock says sha256:"):
        kits.fetch([KitAtHand(spoiled)], [tini], into)
    assert contents(into) == {}


def test_packages_beside_an_altered_one_can_be_had(archive, packages, tmp_path, into):
    """They are proven one by one (control)."""
    mmdebstrap, tini, tzdata = packages
    spoiled = spoil(archive, tmp_path / "spoiled.tar", alter(tini, b"evil"))
    assert kits.fetch([KitAtHand(spoiled)], [mmdebstrap, tzdata], into) == []


def test_an_archive_that_is_cut_short_is_refused_wherever_that_is(archive, packages, tmp_path, into):
    whole, cut = archive.read_bytes(), tmp_path / "cut.tar"
    end = whole.rindex(b"imageLayoutVersion")  # behind the last file come only zeros
    for size in range(0, end, 499):
        cut.write_bytes(whole[:size])
        with pytest.raises(SeedbedError, match=r"^\S+cut\.tar: expected a rebuild kit: .*; get it again"):
            kits.fetch([KitAtHand(cut)], packages, into)
    assert {f"{each.sha256}.deb": each.size for each in packages}.items() >= sizes(into).items()


def title(files):
    [manifest] = [path for path, data in files.items() if b"artifactType" in data and path != "index.json"]
    swap(files, Path(manifest).name, files[manifest].replace(b"tini_1", b"../tini_1"))


def another_type(files):
    [manifest] = [path for path, data in files.items() if b"artifactType" in data and path != "index.json"]
    swap(files, Path(manifest).name, files[manifest].replace(KIT_TYPE.encode(), b"application/x-other"))


SPOILED = {
    "a path outside": (lambda files: files.update({"../../etc/cron.d/x": b""}), r"the path '\.\./\.\./etc/cron\.d/x'"),
    "an absolute path": (lambda files: files.update({"/etc/cron.d/x": b""}), "the path '/etc/cron.d/x' in it, which"),
    "a file name outside": (title, r"the file name '\.\./tini_1\.0-1_amd64\.deb' in it, which leads outside"),
    "another artifact": (another_type, f"no manifest of the type {re.escape(KIT_TYPE)}"),
    "no index": (lambda files: files.pop("index.json"), "no index.json in it"),
    "no JSON": (lambda files: files.update({"index.json": b"{"}), "EOF while parsing"),
    "a digest that is a path": (
        lambda files: files.update({"index.json": b'{"manifests": [{"digest": "sha256:../../../etc/passwd"}]}'}),
        r"expected sha256: and 64 hex digits, found 'sha256:\.\./",
    ),
    "no blob of a package": (lambda files: files.pop(min(files, key=len, default="")), "."),
}


@pytest.mark.parametrize("what", SPOILED)
def test_what_is_no_kit_is_refused_in_one_line(what, archive, packages, tmp_path, into):
    change, complaint = SPOILED[what]
    spoiled = spoil(archive, tmp_path / "spoiled.tar", change)
    with pytest.raises(SeedbedError, match=rf"^\S+/spoiled\.tar: expected a rebuild kit: .*{complaint}"):
        kits.fetch([KitAtHand(spoiled)], packages, into)
    assert contents(into) == {}


def test_what_is_no_archive_at_all_is_refused_in_one_line(packages, tmp_path, into):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.tar").write_text("no tar\n" * 1000)
    complaints = {
        "none.tar": "cannot be read: No such file or directory; get it again",
        "fifo": "cannot be read: not a regular file; get it again",
        "folder": "expected a rebuild kit: found no oci-layout in it; get it again",
        "text.tar": "expected a rebuild kit: .*; get it again",
    }
    for name, complaint in complaints.items():
        with pytest.raises(SeedbedError, match=rf"^{tmp_path}/{name}: {complaint}"):
            kits.fetch([KitAtHand(tmp_path / name)], packages, into)


# ---- in a registry -------------------------------------------------------------------------------------------------


@pytest.fixture
def served(packages, locked, tmp_path, monkeypatch):
    """The kit of an image in a registry, and its store: it has two of the three packages that are listed."""
    store = Store(tmp_path / "registry")
    kit = store.add(publish.artifact(locked).manifest(), MANIFEST_TYPE).digest
    monkeypatch.setattr(Repository, "referrers", lambda repository, digest, media_type: [kit])
    for each in packages[:2]:
        link_or_copy(folder_of_packages() / f"{each.sha256}.deb", store.blob(f"sha256:{each.sha256}"))
    files.write(store.blob(IMAGE), b"an image")
    with serving(store) as address:
        yield PublishedKit(f"{address}/team/tiny", IMAGE), store


IMAGE = f"sha256:{'1' * 64}"


def test_a_registry_gives_packages_by_their_digest(served, packages, into, caplog):
    caplog.set_level(logging.INFO, "builder")
    kit, _ = served
    assert kits.fetch([kit], packages, into) == [packages[2]]
    assert set(contents(into)) == {f"{each.sha256}.deb" for each in packages[:2]}
    assert re.fullmatch(r"tzdata=1\.0-1: in the kit of \S+/team/tiny, but .* status 404.*", caplog.messages[0])


def test_it_does_so_if_the_image_is_not_there_or_has_no_kit(served, packages, into, monkeypatch):
    kit, _ = served
    monkeypatch.setattr(Repository, "referrers", lambda repository, digest, media_type: [])
    assert kits.fetch([kit], [packages[0]], into) == []
    assert kits.fetch([replace(kit, image=f"sha256:{'2' * 64}")], [packages[1]], into) == []


def test_other_bytes_from_a_registry_are_refused_by_name(served, packages, into):
    kit, store = served
    for other in OTHERS.values():
        files.write(store.blob(f"sha256:{packages[1].sha256}"), other)
        with pytest.raises(SeedbedError, match=rf"^tini=1\.0-1: not taken from the kit of {kit.reference}: "):
            kits.fetch([kit], [packages[1]], into)
    assert contents(into) == {}


def test_a_package_that_the_kit_of_the_image_has_with_other_bytes_is_refused_by_name(served, packages, into):
    other = replace(packages[1], sha256="0" * 64)
    with pytest.raises(
        SeedbedError, match=r"^tini=1\.0-1: the kit of \S+/team/tiny has sha256:\w+ for it, the lock says"
    ):
        kits.fetch([served[0]], [other], into)


def test_a_registry_that_does_not_answer_is_no_kit_and_no_error(packages, into, caplog, monkeypatch):
    monkeypatch.setattr(patience, "POLICY", patience.POLICY.new(backoff_factor=0, backoff_jitter=0))
    caplog.set_level(logging.INFO, "builder")
    assert kits.fetch([PublishedKit("127.0.0.1:1/team/tiny", IMAGE)], packages, into) == packages
    assert caplog.messages[-1].startswith("127.0.0.1:1/team/tiny: no packages from there: 127.0.0.1:1/team/tiny: ")
