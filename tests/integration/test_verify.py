"""`verify` and `diff`: the tiny image is reproduced, and what would prevent that is named."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from builder import paths
from builder.errors import SeedbedError
from builder.image import digest, dockerfile, output
from builder.reproduce import verify
from tests.bases import SharingTrial
from tests.conftest import TINY
from tests.integration.conftest import no_engine

START = """
from builder.cli.main import seedbed
from builder.reproduce import verify
from tests import bases
verify.Trial = lambda *arguments: bases.SharingTrial(*arguments, remade="numpy: ")
seedbed(prog_name="build.py")
"""


def build_py(*arguments: str, checkout: Path = paths.ROOT) -> tuple[int, dict, str]:
    """Status, data and last line of progress of a command that prints JSON; a rebuild makes numpy's layer again."""
    command = [sys.executable, "-c", START, "--catalog", "tests/images", *arguments, "--json"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout or "{}"), (done.stderr.splitlines() or [""])[-1]


@pytest.fixture
def without_remedy(tmp_path):
    """A copy of the checkout with one line changed, which then sees the clock."""

    def without_remedy(file: str, before: str, after: str) -> Path:
        checkout = tmp_path / "checkout"
        shutil.copytree(paths.ROOT, checkout, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        (checkout / ".venv").symlink_to(paths.ROOT / ".venv")
        text = (checkout / file).read_text()
        assert text.count(before) == 1
        text = re.sub(r"\n(import|from) ", r"\nimport time\n\1 ", text.replace(before, after), count=1)
        (checkout / file).write_text(text)
        return checkout

    return without_remedy


def test_control_where_a_remedy_is_missing_the_file_and_the_field_are_named(without_remedy, built):
    """More of them are in test_remedies.py; this is what the command says."""
    checkout = without_remedy("builder/oci/tar.py", "% epoch, checksum", "% (time.time_ns() // 10**9), checksum")
    status, verdict, said = build_py("verify", "tiny", checkout=checkout)
    assert (status, verdict["equal"]) == (1, False)
    named = r"layer 2 \(numpy: .*\): /opt: mtime: 2025-01-01T00:00:00\+00:00 \| 20"
    assert re.match(named, "{where}: {field}: {ours} | {theirs}".format(**verdict["first_difference"]))
    assert said == "seedbed: tiny: the rebuild has a different digest, see above"
    assert verdict["digests"]["manifest"][0] == built.digest


@pytest.fixture
def quick(monkeypatch):
    """Rebuilds make config and manifest again, and no layer."""
    monkeypatch.setattr(verify, "Trial", SharingTrial)


def test_a_digest_of_record_is_what_a_rebuild_is_to_equal(cache, quick, folder, resolve, built):
    """Another than the rebuild's is named (control)."""
    copied = resolve()
    digest.write(copied, built)
    assert verify.verify(copied, folder, connect=no_engine).comparison.equal
    digest.write(copied, built.model_copy(update={"digest": f"sha256:{'0' * 64}"}))
    comparison = verify.verify(copied, folder, connect=no_engine).comparison
    assert not comparison.equal
    assert str(comparison.differences[0]) == f"manifest: digest: sha256:{'0' * 64} | {built.digest}"


@pytest.fixture
def archived(built, tmp_path) -> Path:
    """The tiny image as `build --output` writes it."""
    output.write(built, tmp_path / "tiny.tar")
    return tmp_path / "tiny.tar"


def test_an_image_of_another_lock_is_refused_before_anything_is_built(archived, edit, resolve, monkeypatch):
    monkeypatch.setattr(verify, "Trial", None)
    edit("tiny/requirements.lock", "# cutoff: 20", "# cutoff: 19")
    changed = resolve()
    changed.image.dockerfile_path.write_text(dockerfile.render(changed))
    with pytest.raises(
        SeedbedError, match=rf"^{archived}: made from other inputs: its label io\.seedbed\.lock is sha256:"
    ):
        verify.verify(changed, TINY, connect=no_engine, against=str(archived))


def test_an_unlocked_image_is_not_verified(cache, recipe, built):
    built.model_copy(update={"substituted": ("tzdata: 1 -> 2",)}).save()
    with pytest.raises(SeedbedError, match=r"^tiny: nothing to verify: .*tzdata: 1 -> 2"):
        verify.verify(recipe, TINY, connect=no_engine)
