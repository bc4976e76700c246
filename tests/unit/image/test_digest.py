"""The digest of record: what is written down, what is compared with it, and what is never taken for one."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from builder.cli import make
from builder.errors import SeedbedError
from builder.image import build, digest
from builder.image.digest import Sizes
from builder.image.recipe import Recipe
from builder.image.record import LayerRecord, Record
from tests import commands

OURS, OTHER = (f"sha256:{digit * 64}" for digit in "12")


def built(recipe: Recipe, manifest: str = OURS, substituted: tuple[str, ...] = ()) -> Record:
    layer = LayerRecord(digest=OURS, size=1, what="a layer")
    return Record(
        image=recipe.name, inputs="i", lock=recipe.lock, digest=manifest, config=OURS, layers=(layer,), unpacked=0,
        substituted=substituted, seconds=1,
    )  # fmt: skip


@pytest.fixture
def recipe(resolve) -> Recipe:
    """The tiny image's, without a digest of record."""
    recipe = resolve()
    digest.path_of(recipe).unlink(missing_ok=True)
    return recipe


# Reading and writing


def test_it_reads_as_it_was_written(recipe):
    digest.write(recipe, built(recipe))
    assert digest.read(recipe) == OURS


def test_the_file_is_five_lines_that_say_where_they_come_from_and_name_no_machine(recipe):
    digest.write(recipe, built(recipe))
    assert digest.path_of(recipe) == recipe.image.folder / "digest"
    head, lock, manifest, *sizes = digest.path_of(recipe).read_text().splitlines()
    assert head.startswith("# ") and "build --record tiny" in head and "verify tiny" in head
    assert (lock, manifest) == (f"lock sha256:{recipe.lock}", f"manifest {OURS}")
    assert sizes == ["compressed 1", "unpacked 0"]


def test_an_image_without_one_has_none(recipe):
    assert digest.read(recipe) is None
    assert digest.complaint(recipe, built(recipe), expected=False) is None


def test_an_image_of_substituted_packages_gets_none(recipe):
    with pytest.raises(SeedbedError, match=r"^tiny: has no digest of record: it was not made of the packages that are"):
        digest.write(recipe, built(recipe, substituted=("tzdata: 1 -> 2",)))
    assert not digest.path_of(recipe).exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{OURS}\n",
        "lock sha256:{LOCK}\n",
        "manifest {OURS}\nlock sha256:{LOCK}\n",
        "lock sha256:{LOCK}\nmanifest {OURS}",
        "lock sha256:{LOCK}\nmanifest {OURS}\nmanifest {OTHER}\n",
        "lock {LOCK}\nmanifest {OURS}\n",
        "lock sha256:{LOCK}\nmanifest {OURS}\ncompressed 1\n",
        "lock sha256:{LOCK}\nmanifest {OURS}\nunpacked 1\ncompressed 1\n",
        "lock sha256:{LOCK}\nmanifest {OURS}\ncompressed 1e9\nunpacked 1\n",
        "lock sha256:{LOCK}\nmanifest {OURS}\ncompressed -1\nunpacked 1\n",
        "lock sha256:{LOCK}\nmanifest {OURS}\ncompressed ²\nunpacked 1\n",
        "lock sha256:{LOCK}\nmanifest sha256:../../x\n",
        "lock sha256:{LOCK}\nmanifest {SHOUTED}\n",
        "lock sha256:{LOCK}\nmanifest {OURS}\x1b[2J\n",
        "<<<<<<< HEAD\nlock sha256:{LOCK}\nmanifest {OURS}\n",
    ],
)
def test_what_is_of_another_form_is_one_line_that_names_the_file_and_what_to_do(recipe, text):
    text = text.format(LOCK=recipe.lock, OURS=OURS, OTHER=OTHER, SHOUTED=f"sha256:{'A' * 64}")
    digest.path_of(recipe).write_text(text)
    with pytest.raises(SeedbedError, match=r"tiny/digest: expected lines .*; .* run \./build\.py build --record tiny$"):
        digest.read(recipe)


def test_comments_above_it_do_not_matter(recipe):
    digest.path_of(recipe).write_text(f"# Ours.\n# Really.\nlock sha256:{recipe.lock}\nmanifest {OURS}\n")
    assert digest.read(recipe) == OURS


def test_a_file_without_sizes_as_older_versions_wrote_it_is_read(recipe):
    digest.path_of(recipe).write_text(f"lock sha256:{recipe.lock}\nmanifest {OURS}\n")
    assert digest.read(recipe) == OURS and digest.sizes(recipe) is None
    assert digest.complaint(recipe, built(recipe), expected=True) is None


def test_sizes_are_read_as_they_were_written_and_stay_known_while_the_lock_is_newer(recipe):
    assert digest.sizes(recipe) is None
    digest.write(replace(recipe, lock="0" * 64), built(recipe))
    assert digest.sizes(recipe) == Sizes(1, 0)


@pytest.mark.parametrize("make_it", [Path.mkdir, lambda path: path.write_bytes(b"\xff\n")], ids=["a folder", "bytes"])
def test_what_cannot_be_read_is_one_line(recipe, make_it):
    make_it(digest.path_of(recipe))
    with pytest.raises(SeedbedError, match=r"tiny/digest:\S* (cannot be read|expected UTF-8)"):
        digest.read(recipe)


# Comparing


def test_a_missing_record_is_a_complaint_where_one_is_expected(recipe):
    complaint = digest.complaint(recipe, built(recipe), expected=True) or ""
    assert complaint.endswith("tiny/digest: missing; run ./build.py build --record tiny")


def test_the_image_of_record_is_no_complaint_and_any_other_is_named_with_both_digests(recipe):
    digest.write(recipe, built(recipe))
    assert digest.complaint(recipe, built(recipe), expected=True) is None
    complaint = digest.complaint(recipe, built(recipe, OTHER), expected=True) or ""
    assert f"tiny/digest: says {OURS}, built was {OTHER}; if it is meant to change, run " in complaint


def test_sizes_that_are_not_those_of_the_image_are_a_complaint(recipe):
    """Nothing else would notice if somebody changes them by hand."""
    digest.write(recipe, built(recipe))
    path = digest.path_of(recipe)
    path.write_text(path.read_text().replace("compressed 1", "compressed 2"))
    complaint = digest.complaint(recipe, built(recipe), expected=True) or ""
    assert "says 2 bytes compressed and 0 unpacked, the image has 1 bytes compressed and 0 unpacked; " in complaint


def test_one_of_other_locks_is_stale_even_if_the_manifest_is_the_same(recipe):
    """Control: the digest of an image says nothing about an image of other locks."""
    digest.write(replace(recipe, lock="0" * 64), built(recipe))
    with pytest.raises(SeedbedError, match=r"tiny/digest: stale, the locks changed since it was made; if it is meant"):
        digest.read(recipe)
    assert "stale" in (digest.complaint(recipe, built(recipe), expected=True) or "")


def test_a_lock_that_changes_makes_it_stale(recipe, resolve, edit):
    digest.write(recipe, built(recipe))
    edit("tiny/requirements.lock", "# ", "#  ")
    with pytest.raises(SeedbedError, match="stale"):
        digest.read(resolve())


def test_an_image_of_substituted_packages_is_never_the_image_of_record(recipe):
    """Control: not even if its digest is."""
    digest.write(recipe, built(recipe))
    complaint = digest.complaint(recipe, built(recipe, substituted=("tzdata: 1 -> 2",)), expected=True)
    assert complaint == "tiny: not to be compared with the digest of record: tzdata: 1 -> 2"


# `build`


@pytest.fixture
def run(recipe, tmp_path, monkeypatch):
    """Run `build tiny`, which makes the image with that manifest; returns its exit status and its complaint."""
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SEEDBED_ENGINE", "none")

    def run(*arguments: str, manifest: str = OURS, substituted: tuple[str, ...] = ()) -> tuple[int, str]:
        def made(recipe: Recipe, options: build.Options, connect: object) -> Record:
            if options.locked and substituted:
                raise SeedbedError("cannot be had")
            return built(recipe, manifest, substituted)

        monkeypatch.setattr(build, "build", made)
        return commands.run(make.build_, recipe.image.folder.parent, "tiny", *arguments)

    return run


def test_build_record_writes_it_down_and_build_check_passes_from_then_on(recipe, run):
    assert run("--record") == (0, "")
    assert digest.read(recipe) == OURS
    assert run("--check") == (0, "")


def test_build_check_fails_on_another_digest_and_build_alone_says_so(recipe, run, caplog):
    run("--record")
    caplog.set_level(logging.INFO)
    assert run("--check", manifest=OTHER) == (1, "tiny: not the digest of record, see above")
    assert run(manifest=OTHER) == (0, "")
    said = [message for message in caplog.messages if OURS in message and OTHER in message]
    assert len(said) == 2
    assert digest.read(recipe) == OURS, "nothing was written"


def test_an_image_of_substituted_packages_is_said_not_to_be_compared(run, caplog):
    caplog.set_level(logging.INFO)
    assert run("--check", manifest=OTHER, substituted=("tzdata: 1 -> 2",)) == (0, "")
    assert caplog.messages == ["tiny: not to be compared with the digest of record: tzdata: 1 -> 2"]


def test_build_check_fails_on_a_stale_or_malformed_digest_and_build_record_mends_it(recipe, run):
    for text in ("", f"lock sha256:{'0' * 64}\nmanifest {OURS}\n"):
        digest.path_of(recipe).write_text(text)
        assert run("--check")[0] == 1
        assert run("--record") == (0, "")
        assert run("--check") == (0, "")


def test_build_record_builds_what_is_locked_or_nothing(recipe, run):
    assert run("--record", substituted=("tzdata: 1 -> 2",)) == (1, "cannot be had")
    assert not digest.path_of(recipe).exists()


@pytest.mark.parametrize("option", [["--check"], ["--record"], ["--output", "image.tar"]])
@pytest.mark.parametrize("how", [["--recipe"], ["--base", "registry"]])
def test_a_dockerfile_build_has_no_digest_of_record(run, option, how):
    status, complaint = run(*option, *how)
    assert status == 2 and "exclude --recipe" in complaint
