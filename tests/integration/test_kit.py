"""Debian packages that the archive has dropped: with a rebuild kit the same image comes out, also without a network."""

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from builder import files, paths, scratch
from builder.debian import bootstrap, sources
from builder.debian.archive import Package
from builder.errors import SeedbedError
from builder.image import build, kits
from builder.image.build import Options
from builder.image.recipe import Recipe
from builder.layers import base, wheels
from builder.layers.kit import KIT_TYPE, KitAtHand
from builder.oci.layout import link_or_copy, read_image
from builder.oci.registry import Repository
from builder.oci.store import MANIFEST_TYPE, Descriptor, Store
from builder.publish import kit
from tests.bases import base_files
from tests.conftest import TINY
from tests.integration.conftest import no_engine
from tests.kits import alter, forge, spoil

pytestmark = pytest.mark.skipif(bootstrap.trouble() is not None, reason=f"no Debian here: {bootstrap.trouble()}")

DROPPED = ("less", "tini", "tzdata")


@pytest.fixture(scope="session")
def debs(built, recipe) -> Path:
    """The user's own folder of packages, with all that are locked."""
    kits.fetch_packages(recipe)
    return base.folder_of_packages()


@pytest.fixture(scope="session")
def archive(debs, recipe, tmp_path_factory) -> Path:
    """The kit of the tiny image."""
    path = tmp_path_factory.mktemp("kit") / "kit.tar"
    kit.write(recipe, path)
    return path


@pytest.fixture
def forgetful(debs, cache, recipe, monkeypatch) -> list[Package]:
    """Three packages that are not in the cache; nor is the base that was made of them."""
    monkeypatch.delenv("SEEDBED_SNAPSHOT", raising=False)
    missing = [package for package in recipe.packages.packages if package.name in DROPPED]
    for name in ("packages", "apt"):
        (cache / name).unlink()
        (cache / name).mkdir()
    for package in everything(recipe):
        if package not in missing:
            link_or_copy(debs / file_of(package), cache / "packages" / file_of(package))
    for path in base_files(recipe, Store(cache)):
        path.unlink()
    return missing


@pytest.fixture
def dropped(forgetful, debs, recipe, tmp_path, monkeypatch) -> list[Package]:
    """Three packages that the archive has dropped, too: it has newer ones, as Debian's has after a security update."""
    lines = []
    for name, suffix, start in (("debian", "", "pool/main/"), ("debian-security", "-security", "pool/updates/")):
        suite = f"{sources.host_codename()}{suffix}"
        packages = [package for package in everything(recipe) if package.filename.startswith(start)]
        write_archive(tmp_path / name, suite, {package: debs / file_of(package) for package in packages}, forgetful)
        lines.append(f"deb [trusted=yes] file:{tmp_path / name} {suite} main\n")
    (tmp_path / "apt").mkdir()
    (tmp_path / "apt/sources.list").write_text("".join(lines))
    monkeypatch.setattr(sources, "APT_CONFIGURATION", tmp_path / "apt")
    return forgetful


def everything(recipe: Recipe) -> list[Package]:
    return [recipe.packages.mmdebstrap, *recipe.packages.packages]


def file_of(package: Package) -> str:
    return f"{package.sha256}.deb"


def write_archive(folder: Path, suite: str, packages: dict[Package, Path], dropped: Sequence[Package]) -> None:
    """An archive for apt, with newer packages in the place of those that were dropped."""
    entries = []
    for package, deb in packages.items():
        place = folder / package.filename
        place.parent.mkdir(parents=True, exist_ok=True)
        if package in dropped:
            place = place.with_name(f"newer-{place.name}")
            newer(deb, place)
        else:
            link_or_copy(deb, place)
        control = subprocess.run(["dpkg-deb", "--field", place], capture_output=True, text=True, check=True).stdout
        where = f"Filename: {place.relative_to(folder)}\nSize: {place.stat().st_size}\nSHA256: {files.sha256(place)}\n"
        entries.append(control + where)
    lists = folder / f"dists/{suite}/main/binary-amd64"
    lists.mkdir(parents=True)
    (lists / "Packages").write_text("\n".join(entries))


def newer(deb: Path, into: Path) -> None:
    """The package with another version."""
    tree = into.with_name("tree")
    subprocess.run(["dpkg-deb", "--raw-extract", deb, tree], check=True)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^(Version: .*)$", r"\1+newer", control.read_text(), flags=re.MULTILINE))
    subprocess.run(["dpkg-deb", "--build", "-Znone", tree, into], check=True, stdout=subprocess.DEVNULL)


# ---- an archive that has dropped three packages --------------------------------------------------------------------


@pytest.mark.long
def test_the_same_digest_comes_out_of_a_kit_and_the_log_says_what_came_from_it(
    dropped, archive, recipe, built, monkeypatch, caplog
):
    caplog.set_level(logging.INFO, "builder")
    monkeypatch.setenv("SEEDBED_KIT", str(archive))
    assert build.build(recipe, Options(locked=True, cached=False), no_engine).digest == built.digest
    names = ", ".join(f"{package.name}={package.version}" for package in dropped)
    assert f"Debian packages from the kit {archive}: {names}" in caplog.messages
    assert base.missing(dropped) == []


def test_control_without_the_kit_the_base_is_unlocked_or_a_locked_build_refuses(dropped, recipe):
    found, moved = base.fetch(recipe.base, recipe.packages, locked=False)
    assert moved == tuple(f"{each.name}: {each.version} -> {each.version}+newer" for each in dropped)
    assert found != recipe.packages
    with pytest.raises(SeedbedError, match=r"has dropped less=\S+, tini=\S+, tzdata=\S+, and .* SEEDBED_KIT"):
        build.build(recipe, Options(locked=True, cached=False), no_engine)


@pytest.mark.parametrize("how", [alter, forge])
@pytest.mark.parametrize("locked", [True, False])
def test_a_kit_with_a_tampered_package_is_refused_by_name(how, locked, dropped, archive, recipe, tmp_path, monkeypatch):
    spoiled = spoil(archive, tmp_path / "spoiled.tar", how(dropped[1], b"another init"))
    monkeypatch.setenv("SEEDBED_KIT", str(spoiled))
    with pytest.raises(SeedbedError, match=rf"^tini={re.escape(dropped[1].version)}: the kit \S+spoiled\.tar has "):
        build.build(recipe, Options(locked=locked, cached=False), no_engine)
    assert dropped[1] in base.missing(dropped)
    assert not list(base.folder_of_packages().glob(".*"))


def test_what_is_beside_the_published_image_is_found_by_its_sha256(dropped, archive, built, cache, recipe, repository):
    with pytest.raises(SeedbedError, match="has dropped"):  # nothing is there yet (control)
        kits.fetch_packages(recipe)
    assert KitAtHand(archive).fetch(dropped, base.folder_of_packages()) == dropped
    subject = Descriptor.of(read_image(Store(cache), built.digest).manifest, MANIFEST_TYPE)
    published = Repository.of(repository)
    attached = published.attach(kit.artifact(recipe, subject))
    for package in dropped:
        (base.folder_of_packages() / file_of(package)).unlink()
    kits.fetch_packages(recipe)
    assert base.missing(dropped) == []
    assert published.referrers(built.digest, KIT_TYPE) == [attached]


# ---- without a network ---------------------------------------------------------------------------------------------

OFFLINE = ("unshare", "--net")  # the loopback is down, too
START = """
from builder.cli.main import seedbed
from builder.reproduce import verify
from tests import bases
verify.Trial = lambda *arguments: bases.SharingTrial(*arguments, remade="Debian ")
seedbed(prog_name="build.py")
"""


def build_py(*arguments: str, cache: Path, offline: bool = True, start: str = "", **variables: str) -> str:
    """`./build.py` on the tests' catalog; returns its stdout, or the last line of its progress where it fails."""
    program = ["-c", start] if start else [str(paths.ROOT / "build.py")]
    command = [*(OFFLINE if offline else ()), sys.executable, *program, "--catalog", str(TINY), *arguments]
    settings = {"SEEDBED_ENGINE": "none", "SEEDBED_CACHE": str(cache.parent), "PIP_RETRIES": "0", **variables}
    environment = {name: value for name, value in os.environ.items() if name != "SEEDBED_REPOSITORY"} | settings
    environment["PYTHONPATH"] = str(paths.ROOT)
    done = subprocess.run(command, cwd=cache, env=environment, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else (done.stderr.splitlines() or ["no reason"])[-1]


@pytest.fixture
def fresh(debs, recipe) -> Iterator[Path]:
    """A cache that has downloads alone, and of those not all: a Debian package and a wheel are missing."""
    theirs = paths.cache()
    with scratch.folder(theirs) as folder:
        ours = folder / theirs.name
        for name in ("packages", "wheels"):
            (ours / name).mkdir(parents=True)
        for package in everything(recipe):
            if package.name != DROPPED[0]:
                link_or_copy(debs / file_of(package), ours / "packages" / file_of(package))
        for pin in recipe.wheels.wheels:
            if pin.name != "pip":
                [wheel] = wheels.folder_of(pin).glob("*.whl")
                link_or_copy(wheel, ours / "wheels" / pin.sha256 / wheel.name)
        yield ours


@pytest.mark.long
def test_after_fetch_an_image_is_built_without_a_network_and_not_before(fresh, built):
    assert re.match(r"seedbed: (pip|less)==?\S+: ", build_py("build", "tiny", cache=fresh))
    build_py("fetch", "tiny", cache=fresh, offline=False)
    build_py("build", "tiny", "--locked", cache=fresh)
    listed = json.loads(build_py("list", "--json", cache=fresh))
    assert listed["images"]["tiny"]["digest"] == built.digest


@pytest.mark.long
def test_verify_rebuilds_without_a_network_from_a_kit(forgetful, archive, cache, built):
    near = os.path.relpath(archive, cache)  # rebuilds run in another folder
    verdict = build_py("verify", "tiny", "--json", cache=cache, start=START, SEEDBED_KIT=near)
    assert json.loads(verdict)["digests"]["manifest"] == [built.digest] * 2
    assert base.missing(forgetful) == []


def test_fetch_takes_from_a_kit_what_is_not_to_be_had_and_fails_without(forgetful, archive, cache):
    assert re.match(r"seedbed: \w+=\S+ could not be fetched: ", build_py("fetch", "tiny", cache=cache))
    assert base.missing(forgetful) == forgetful
    build_py("fetch", "tiny", "--kit", str(archive), cache=cache)
    assert base.missing(forgetful) == []
