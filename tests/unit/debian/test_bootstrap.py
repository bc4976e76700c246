"""What belongs to the base, what installing it left behind, and which hosts can install it."""

from pathlib import Path

import pytest

from builder.debian import archive as debian
from builder.debian import bootstrap
from builder.errors import SeedbedError
from tests.archives import LIBC, TINI


@pytest.mark.parametrize(
    "path",
    [
        "etc/apt/sources.list",
        "etc/passwd",
        "usr/bin/python3.11",
        "usr/lib/python3.11/__pycache__/os.cpython-311.pyc",
        "usr/share/doc/tini/copyright",
        "usr/share/locale/locale.alias",
        "usr/share/man/man1",
        "var/lib/apt/lists",
        "var/lib/dpkg/status",
        "var/log/wtmp",
    ],
)
def test_what_packages_are_for_stays(path: str) -> None:
    assert bootstrap.belongs(path)


@pytest.mark.parametrize(
    "path",
    [
        "dev/null",
        "etc/hostname",
        "etc/passwd-",
        "etc/resolv.conf",
        "usr/bin/x86_64-linux-gnu-lto-dump-12",
        "usr/lib/python3.11/config-3.11-x86_64-linux-gnu/libpython3.11.a",
        "usr/share/doc/tini/changelog.gz",
        "usr/share/locale/de/LC_MESSAGES/dpkg.mo",
        "usr/share/man/man1/ls.1.gz",
        "var/cache/debconf/templates.dat-old",
        "var/lib/apt/lists/partial",
        "var/log/alternatives.log",
        "var/log/apt/history.log",
    ],
)
def test_traces_of_this_machine_and_what_nobody_reads_go(path: str) -> None:
    assert not bootstrap.belongs(path)


def test_an_image_made_from_this_one_leaves_out_the_same(tmp_path: Path) -> None:
    rules = bootstrap.DPKG_CONFIGURATION.splitlines()
    assert [rule for rule in rules if rule.startswith("path-exclude=/")] == [
        f"path-exclude=/{pattern}" for pattern in bootstrap.LEFT_OUT
    ]
    assert "path-include=/usr/share/doc/*/copyright" in rules


@pytest.mark.parametrize(
    ("host", "architecture", "word"),
    [("not root", "x86_64", "not root"), (None, "aarch64", "aarch64")],
    ids=["no root", "another processor"],
)
def test_a_host_that_cannot_bootstrap_is_told_of_the_other_way(
    host: str | None, architecture: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "host_supported", lambda: host)
    monkeypatch.setattr(bootstrap.platform, "machine", lambda: architecture)
    with pytest.raises(SeedbedError, match=rf"{word}.*start Docker"):
        bootstrap.check_host()


def test_a_host_that_lacks_a_tool_is_told_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "host_supported", lambda: None)
    monkeypatch.setattr(bootstrap.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(bootstrap.shutil, "which", lambda tool: None if tool == "perl" else f"/usr/bin/{tool}")
    with pytest.raises(SeedbedError, match="this host has no perl: install it"):
        bootstrap.check_host()


def test_packages_other_than_the_locked_ones_are_named() -> None:
    bootstrap.check_installed([TINI, LIBC], ["libc6=2.36-9", "tini=0.19.0-1"])
    with pytest.raises(SeedbedError, match=r"differs in: tini=0\.19\.0-1, tini=0\.20\.0-1$"):
        bootstrap.check_installed([TINI, LIBC], ["libc6=2.36-9", "tini=0.20.0-1"])


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("I: fine\nE: Failed to fetch tini.deb\nE: setup failed\n", "Failed to fetch tini.deb"),
        ("unshare: not\npermitted\n", "unshare: not permitted"),
        ("", "it gave no reason"),
    ],
)
def test_a_failed_installation_is_told_in_one_line(output: str, said: str) -> None:
    assert debian.first_error(output) == said
