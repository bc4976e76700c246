"""The view of a Debian archive, on an archive made of four tiny packages; apt and dpkg-deb are real."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builder.debian import archive as debian
from builder.debian import sources
from builder.debian.archive import Archive, Package, PackageGone
from builder.debian.sources import Snapshot, Source
from builder.errors import SeedbedError

needs_apt = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("apt-get", "dpkg-deb")), reason="this host has no apt and dpkg"
)

KEY = "/usr/share/keyrings/debian-archive-keyring.gpg"
DEB822 = f"""\
# as Debian's installer writes it
Types: deb deb-src
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates bookworm-backports
Components: main non-free-firmware
Signed-By: {KEY}

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: {KEY}
"""
ONE_LINE = f"""\
deb [arch=amd64 signed-by={KEY}] http://mirror.example/debian bookworm main contrib # the archive
deb-src http://mirror.example/debian bookworm main
#deb http://elsewhere.example/debian bookworm main
deb [signed-by={KEY}] http://mirror.example/debian bookworm-updates main
deb [signed-by={KEY}] http://mirror.example/debian-security bookworm-security main
"""
THIRD_PARTIES = """\
deb http://vendor.example/linux/debian bookworm stable
deb http://other.example/debian trixie main
deb http://packages.example/php bookworm main
deb [signed-by=/usr/share/keyrings/vpn-archive-keyring.gpg] http://vpn.example/stable/debian bookworm main
"""
SIGNED_BY = (("Signed-By", KEY),)
ARCHIVE = "http://mirror.example/debian"
HOSTS_SOURCES = [
    Source(ARCHIVE, "bookworm", "debian", SIGNED_BY),
    Source(ARCHIVE, "bookworm-updates", "debian", SIGNED_BY),
    Source(f"{ARCHIVE}-security", "bookworm-security", "debian-security", SIGNED_BY),
]


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The apt configuration of a bookworm host, still without sources."""
    configuration = tmp_path / "etc"
    (configuration / "sources.list.d").mkdir(parents=True)
    (tmp_path / "os-release").write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
    monkeypatch.setattr(sources, "APT_CONFIGURATION", configuration)
    monkeypatch.setattr(sources, "OS_RELEASE", tmp_path / "os-release")
    return configuration


@pytest.mark.parametrize(
    ("file", "text"), [("sources.list.d/debian.sources", DEB822), ("sources.list.d/debian.list", ONE_LINE)]
)
def test_debians_sources_are_read_in_both_of_apts_formats(host: Path, file: str, text: str) -> None:
    (host / file).write_text(text)
    assert debian.host_sources() == HOSTS_SOURCES


def test_the_sources_of_third_parties_are_not_read(host: Path) -> None:
    (host / "sources.list").write_text(ONE_LINE)
    (host / "sources.list.d/vendors.list").write_text(THIRD_PARTIES)
    (host / "sources.list.d/disabled.sources.off").write_text(DEB822.replace("mirror", "off"))
    assert debian.host_sources() == HOSTS_SOURCES


def test_a_disabled_entry_is_not_read(host: Path) -> None:
    (host / "sources.list.d/debian.sources").write_text(DEB822)
    (host / "sources.list.d/old.sources").write_text(
        DEB822.replace("mirror", "old").replace("Types:", "Enabled: no\nTypes:")
    )
    assert debian.host_sources() == HOSTS_SOURCES


def test_a_mirror_list_stands_for_its_first_mirror(host: Path) -> None:
    (host / "mirrors").mkdir()
    for archive in ("debian", "debian-security"):
        (host / f"mirrors/{archive}.list").write_text(
            f"http://mirror.example/{archive}\tpriority:1\nhttp://b.example\n"
        )
    text = DEB822.replace("http://mirror.example/debian/", f"mirror+file://{host}/mirrors/debian.list")
    text = text.replace("http://mirror.example/debian-s", f"mirror+file://{host}/mirrors/debian-s")
    (host / "sources.list.d/debian.sources").write_text(text.replace("debian-security\n", "debian-security.list\n"))
    assert debian.host_sources() == HOSTS_SOURCES


def test_a_host_without_debians_archive_is_told_so(host: Path) -> None:
    (host / "sources.list").write_text(THIRD_PARTIES)
    with pytest.raises(SeedbedError, match=rf"{host} names no Debian archive with the suite bookworm"):
        debian.host_sources()


def test_a_password_in_an_address_is_refused_and_not_repeated(host: Path) -> None:
    (host / "sources.list").write_text(ONE_LINE.replace("http://", "http://user:canary@"))
    with pytest.raises(SeedbedError, match=r"has a password in it, for anybody to read: move it to a file in") as found:
        debian.host_sources()
    assert "canary" not in str(found.value)


def test_an_unsupported_host_is_told_why(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda tool: f"/usr/bin/{tool}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "no Debian archive" in (debian.host_supported() or "")
    (host / "sources.list").write_text(ONE_LINE)
    assert debian.host_supported() is None
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "needs root" in (debian.host_supported() or "")
    monkeypatch.setattr(shutil, "which", lambda tool: None)
    assert "no apt-get and no dpkg-deb" in (debian.host_supported() or "")


def test_another_suite_keeps_mirrors_and_keys(host: Path, tmp_path: Path) -> None:
    (host / "sources.list.d/debian.sources").write_text(DEB822)
    swapped = Archive(tmp_path / "view", suite="trixie").sources
    assert [source.suite for source in swapped] == ["trixie", "trixie-updates", "trixie-security"]
    assert [replace(source, suite="") for source in swapped] == [replace(s, suite="") for s in HOSTS_SOURCES]


def test_a_snapshot_replaces_the_mirrors_and_may_be_old(host: Path, tmp_path: Path) -> None:
    (host / "sources.list.d/debian.sources").write_text(DEB822)
    snapshot = Snapshot("http://snapshot.example/archive/", "20260131T000000Z")
    main, _, security = Archive(tmp_path / "view", suite="bookworm", snapshot=snapshot).sources
    assert main.uri == "http://snapshot.example/archive/debian/20260131T000000Z"
    assert security.uri == "http://snapshot.example/archive/debian-security/20260131T000000Z"
    assert main.options == (*SIGNED_BY, ("Check-Valid-Until", "no"))


# Below, a real apt reads an archive of four packages; `fresh` stands in both of its halves.

PACKAGES = {
    "debian": [
        {"Package": "base", "Version": "1", "Essential": "yes"},
        {"Package": "fresh", "Version": "1", "Depends": "base"},
        {"Package": "tool", "Version": "1", "Depends": "fresh", "Recommends": "extra"},
        {"Package": "extra", "Version": "1"},
    ],
    "debian-security": [{"Package": "fresh", "Version": "1.1", "Depends": "base"}],
}


@pytest.fixture
def mirror(host: Path, tmp_path: Path) -> Path:
    """A Debian archive in a folder, which the host's configuration names."""
    mirror = tmp_path / "mirror"
    suites = {"debian": "bookworm", "debian-security": "bookworm-security"}
    for archive, packages in PACKAGES.items():
        write_archive(mirror / archive, suites[archive], packages)
    entries = (f"deb [trusted=yes] file://{mirror}/{archive} {suite} main\n" for archive, suite in suites.items())
    (host / "sources.list").write_text("".join(entries))
    return mirror


def write_archive(archive: Path, suite: str, packages: list[dict[str, str]]) -> None:
    pool = "pool/updates/main" if suite.endswith("-security") else "pool/main"
    index = archive / "dists" / suite / "main" / f"binary-{architecture()}" / "Packages"
    index.parent.mkdir(parents=True)
    (archive / pool).mkdir(parents=True)
    stanzas = []
    for package in packages:
        control = package | {"Architecture": "all", "Maintainer": "tests", "Description": "a tiny package"}
        filename = f"{pool}/{package['Package']}_{package['Version']}_all.deb"
        build_deb(archive / filename, control)
        content = (archive / filename).read_bytes()
        described = {"Filename": filename, "Size": str(len(content)), "SHA256": hashlib.sha256(content).hexdigest()}
        stanzas.append("".join(f"{name}: {value}\n" for name, value in (control | described).items()))
    index.write_text("\n".join(stanzas))
    release = archive / "dists" / suite / "Release"
    digest = hashlib.sha256(index.read_bytes()).hexdigest()
    release.write_text(
        f"Suite: {suite}\nCodename: {suite}\nComponents: main\nArchitectures: {architecture()}\n"
        f"SHA256:\n {digest} {index.stat().st_size} {index.relative_to(release.parent)}\n"
    )


def build_deb(target: Path, control: dict[str, str]) -> None:
    tree = target.with_suffix("")
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text("".join(f"{name}: {value}\n" for name, value in control.items()))
    (tree / "usr").mkdir()
    (tree / "usr" / control["Package"]).write_text(control["Version"])
    subprocess.run(["dpkg-deb", "--build", tree, target], check=True, capture_output=True)
    shutil.rmtree(tree)


def architecture() -> str:
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True).stdout.strip()


@pytest.fixture
def archive(mirror: Path, tmp_path: Path) -> Iterator[Archive]:
    archive = Archive(tmp_path / "view", suite="bookworm")
    archive.update()
    yield archive


def names(packages: list[Package]) -> list[str]:
    return [f"{package.name}={package.version}" for package in packages]


@needs_apt
def test_resolve_gives_the_closure_without_recommends_and_with_security_updates(archive: Archive) -> None:
    assert names(archive.resolve(["tool"])) == ["base=1", "fresh=1.1", "tool=1"]


@needs_apt
def test_resolve_without_dependencies_gives_just_these_packages(archive: Archive) -> None:
    assert names(archive.resolve(["tool", "fresh"], dependencies=False)) == ["fresh=1.1", "tool=1"]


@needs_apt
def test_the_essential_packages_can_be_asked_for(archive: Archive) -> None:
    assert names(archive.resolve(["?essential", "extra"])) == ["base=1", "extra=1"]


@needs_apt
@pytest.mark.parametrize("dependencies", [True, False])
def test_a_package_that_does_not_exist_is_named(archive: Archive, dependencies: bool) -> None:
    with pytest.raises(SeedbedError, match=r"tol\b.*check the spelling"):
        archive.resolve(["base", "tol"], dependencies=dependencies)


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@needs_apt
def test_a_fetched_package_is_kept_under_its_hash_and_not_asked_for_again(
    archive: Archive, mirror: Path, tmp_path: Path
) -> None:
    packages = archive.resolve(["tool"])
    fetched = archive.fetch(packages, tmp_path / "debs")
    assert [path.name for path in fetched] == [f"{package.sha256}.deb" for package in packages]
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in fetched] == [p.sha256 for p in packages]
    assert not any(path.is_symlink() for path in fetched)
    shutil.rmtree(mirror)
    assert archive.fetch(packages, tmp_path / "debs") == fetched


@needs_apt
def test_a_tampered_package_is_refused_and_named(archive: Archive, mirror: Path, tmp_path: Path) -> None:
    packages = archive.resolve(["tool"])
    deb = mirror / "debian" / packages[-1].filename
    deb.write_bytes(deb.read_bytes()[:-1] + b"\0")
    with pytest.raises(SeedbedError, match=r"^tool=1 .*Hash Sum mismatch"):
        archive.fetch(packages, tmp_path / "debs")
    assert files_in(tmp_path / "debs") == sorted(f"{package.sha256}.deb" for package in packages[:-1])


@needs_apt
def test_packages_the_archive_has_dropped_are_all_named_and_the_others_are_fetched(
    archive: Archive, mirror: Path, tmp_path: Path
) -> None:
    base, fresh, tool = archive.resolve(["tool"])
    for package, half in ((base, "debian"), (fresh, "debian-security")):
        (mirror / half / package.filename).unlink()
    with pytest.raises(PackageGone, match=r"base=1, fresh=1\.1") as caught:
        archive.fetch([base, fresh, tool], tmp_path / "debs")
    assert caught.value.packages == (base, fresh)
    assert files_in(tmp_path / "debs") == [f"{tool.sha256}.deb"]


@needs_apt
def test_an_archive_that_cannot_be_read_is_one_line_with_a_remedy(mirror: Path, tmp_path: Path) -> None:
    with pytest.raises(SeedbedError, match="apt could not read the lists of trixie") as caught:
        Archive(tmp_path / "view", suite="trixie").update()
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_told_before_apt_would_wait_for_ever(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "SPACE_FOR_LISTS", 2**80)
    with pytest.raises(SeedbedError, match=r"no space left on the disk at .*; free some"):
        Archive(tmp_path / "view", suite="bookworm").update()


@needs_apt
def test_an_unsigned_archive_is_refused_unless_the_host_trusts_it(host: Path, mirror: Path, tmp_path: Path) -> None:
    sources = host / "sources.list"
    sources.write_text(sources.read_text().replace("[trusted=yes] ", ""))
    with pytest.raises(SeedbedError, match="is not signed"):
        Archive(tmp_path / "view", suite="bookworm").update()


@needs_apt
def test_the_hosts_own_apt_is_left_as_it_is(archive: Archive, tmp_path: Path) -> None:
    before = hosts_state()
    archive.update()
    archive.fetch(archive.resolve(["tool"]), tmp_path / "debs")
    assert hosts_state() == before


def hosts_state() -> dict[Path, int]:
    folders = ("/var/lib/apt", "/var/lib/dpkg", "/var/cache/apt", "/var/log/apt", "/etc/apt")
    return {path: path.stat().st_mtime_ns for folder in folders for path in Path(folder).rglob("*")}


@needs_apt
def test_unpacking_twice_gives_the_same_files(archive: Archive, tmp_path: Path) -> None:
    (deb,) = archive.fetch(archive.resolve(["extra"]), tmp_path / "debs")
    for _ in range(2):
        debian.unpack(deb, tmp_path / "root")
        assert [path.name for path in (tmp_path / "root/usr").iterdir()] == ["extra"]


@needs_apt
def test_a_broken_package_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.deb").write_bytes(b"not a package")
    readers = (lambda deb: debian.unpack(deb, tmp_path / "root"), lambda deb: debian.dpkg_deb("--field", deb))
    for read in readers:
        with pytest.raises(SeedbedError, match=r"/broken\.deb could not be unpacked") as caught:
            read(tmp_path / "broken.deb")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        b"# caf\xe9\n",
        b"deb [arch trusted] http://x.example/debian bookworm main\n",
        b"deb [=] http://[x bookworm main\n",
        b"deb http://x.example/debian\n",
        b"\0" * 100,
    ],
)
def test_odd_lines_in_other_files_do_no_harm(host: Path, text: bytes) -> None:
    (host / "sources.list").write_text(ONE_LINE)
    (host / "sources.list.d/vendors.list").write_bytes(text)
    (host / "sources.list.d/vendors.sources").write_bytes(b"Types: deb\nURIs: http://x.example/debian\n\n" + text)
    assert debian.host_sources()[: len(HOSTS_SOURCES)] == HOSTS_SOURCES


def test_a_mirror_list_that_is_not_there_is_one_line(host: Path) -> None:
    text = DEB822.replace("http://mirror.example/debian/", "mirror+file:///nonexistent/debian.list")
    (host / "sources.list.d/debian.sources").write_text(text)
    with pytest.raises(SeedbedError, match=r"/nonexistent/debian\.list: cannot be read: No such file"):
        debian.host_sources()


def test_a_host_that_is_no_linux_is_told_so(host: Path) -> None:
    sources.OS_RELEASE.unlink()
    with pytest.raises(SeedbedError, match="os-release: cannot be read: No such file or directory"):
        sources.host_codename()
