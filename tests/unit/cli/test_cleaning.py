"""`clean` deletes what Seedbed made, in the folder that is marked as Seedbed's, while nobody uses it; nothing else."""

import errno
import os
from pathlib import Path

import pytest

from builder import paths
from builder.cli import cleaning
from builder.errors import SeedbedError


class Engine:
    def destroy(self) -> None:
        """There is none."""


@pytest.fixture
def disk(tmp_path: Path, monkeypatch) -> Path:
    """A larger disk, as error messages advise to name in SEEDBED_CACHE, with folders of the user's own on it."""
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path))
    monkeypatch.setattr(cleaning.client, "embedded", Engine)
    monkeypatch.setattr(cleaning.client, "running", lambda: None)
    for name in ("records", "layers", "blobs", "scratch", "photos"):
        fill(tmp_path / name)
    return tmp_path


def fill(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "file").write_text("mine")


def clean(everything: bool = True) -> None:
    cleaning.clean(everything)


def used(*names: str) -> None:
    """Have a build put these into the cache."""
    with cleaning.in_use():
        for name in names:
            fill(paths.cache() / name)


@pytest.mark.parametrize("everything", [False, True])
def test_what_stands_beside_the_cache_stays(disk, everything):
    used("records", "wheels")
    clean(everything)
    assert {path.name for path in disk.glob("*/file")} == {"file"}
    assert len([*disk.glob("*/file")]) == 5
    assert (paths.cache() / "wheels").exists() is not everything
    assert not (paths.cache() / "records").exists()


def test_what_seedbed_did_not_put_into_its_cache_stays(disk):
    used("layers")
    fill(paths.cache() / "notes")
    clean()
    assert [path.name for path in paths.cache().iterdir() if path.is_dir()] == ["notes"]


def test_a_folder_of_that_name_which_is_not_ours_is_refused(disk):
    fill(paths.cache() / "layers")
    (paths.cache() / "README").touch()
    for use in (clean, used):
        with pytest.raises(SeedbedError, match="holds README, which Seedbed did not make; name another folder"):
            use()
    assert (paths.cache() / "layers" / "file").exists()


def test_a_cache_that_another_program_marked_is_refused(disk):
    paths.cache().mkdir()
    (paths.cache() / cleaning.MARK).write_text("Signature: 8a477f597d28d172789f06886806bc55\n")
    with pytest.raises(SeedbedError, match="made by another program"):
        clean()


def test_a_cache_from_before_there_was_a_mark_is_taken_over(disk):
    fill(paths.cache() / "wheels")
    clean()
    assert not (paths.cache() / "wheels").exists()


def test_a_link_is_deleted_and_not_what_it_leads_to(disk):
    used()
    (paths.cache() / "layers").symlink_to(disk / "photos")
    clean()
    assert (disk / "photos" / "file").exists()
    assert not (paths.cache() / "layers").is_symlink()


def test_nothing_is_deleted_while_a_build_runs(disk):
    used("layers")
    with cleaning.in_use(), cleaning.in_use():  # builds may run side by side
        with pytest.raises(SeedbedError, match=r"in use by another build\.py"):
            clean()
        assert (paths.cache() / "layers").exists()
    clean()
    assert not (paths.cache() / "layers").exists()


def test_without_a_cache_there_is_nothing_to_clean_and_none_is_made(disk):
    clean()
    assert not paths.cache().exists()


def test_a_cache_that_cannot_be_made_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "file"))
    with pytest.raises(SeedbedError, match=r"cannot be the cache: Not a directory; name another folder"):
        used()


@pytest.mark.parametrize("name", ["a:b", "a;b", "a%20b", 'a"b', "a\\b", "a\nb"])
def test_a_path_that_programs_would_misread_is_refused_in_one_line(tmp_path, monkeypatch, name):
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / name))
    with pytest.raises(SeedbedError, match=r"cannot handle '.+' in a path; name another folder") as caught:
        used()
    assert "\n" not in str(caught.value) and not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["a b", "a,b", "a@b", "a'b", "a$b", "é"])
def test_any_other_path_will_do(tmp_path, monkeypatch, name):
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / name))
    used()
    assert (paths.cache() / cleaning.MARK).exists()


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_a_command_is_one_line(tmp_path, monkeypatch, number):
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path))
    file = str(paths.cache() / "layers" / "x")
    with pytest.raises(SeedbedError, match=rf"^{file}: .*SEEDBED_CACHE") as caught, cleaning.in_use():
        raise OSError(number, os.strerror(number), file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EAGAIN])
def test_any_other_error_is_no_disks_and_not_the_lock_s(tmp_path, monkeypatch, number):
    """A pipe that nobody reads from at the moment may raise EAGAIN, as the lock does."""
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path))
    with pytest.raises(OSError, match=r"^\[Errno"), cleaning.in_use():
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize(("everything", "folders"), [(False, cleaning.MADE), (True, None)])
def test_what_containers_keep_in_the_engine_goes_as_well(everything, folders, disk, monkeypatch):
    """Folders of the volume, or with --all the volume."""
    asked = []
    monkeypatch.setattr(cleaning.client, "running", lambda: "an engine")
    monkeypatch.setattr(cleaning.throwaway, "clean", lambda *what: asked.append(what))
    used("records")
    clean(everything)
    assert asked == [("an engine", folders)]
