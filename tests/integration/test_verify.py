"""`verify` and `diff` with a real engine: the tiny image is reproduced, and what would prevent that is named."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from builder import paths
from builder.catalog import models
from builder.errors import SeedbedError
from builder.image import build, dockerfile
from builder.image.build import Options
from builder.reproduce import verify
from builder.reproduce.variations import VARIATIONS
from builder.reproduce.verify import SAME, WARM
from tests.conftest import TINY


def build_py(*arguments: str, checkout: Path = paths.ROOT) -> tuple[int, dict, str]:
    """Status, data and last line of talk of a verb that prints JSON."""
    command = [sys.executable, "build.py", "--catalog", "tests/images", *arguments, "--json"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout), (done.stderr.splitlines() or [""])[-1]


def test_on_what_looks_like_another_machine_the_digest_is_the_same(tiny, docker, log):
    loaded = models.load(TINY)
    verdict = verify.verify(loaded, loaded.image("tiny"), docker, vary=True, log=log)
    assert verdict.comparison.differences == ()
    assert verdict.comparison.equal
    assert verdict.variations == dict.fromkeys([*VARIATIONS, WARM], SAME)


CONTROLS = {
    "a file is dated now": (
        ("builder/oci/tar.py", "mtime=epoch, link=", "mtime=time.time_ns() // 10**9, link="),
        r"layer 1 \(Debian bookworm: .*\): /bin: mtime: 2025-01-01T00:00:00\+00:00 \| 20",
    ),
    "a byte is random": (
        ("builder/image/assemble.py", "text.encode()", "text.encode()[:-1] + time.time_ns().to_bytes(8)[-1:]"),
        r"layer \d \(runtime: .*\): /etc/seedbed/constraints\.txt: content at byte \d+: 0x0a \| 0x",
    ),
}


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


@pytest.mark.parametrize("control", CONTROLS)
def test_control_where_a_remedy_is_missing_the_file_and_the_field_are_named(without_remedy, tiny, docker, control):
    change, named = CONTROLS[control]
    before = docker.digests()
    status, verdict, said = build_py("verify", "tiny", checkout=without_remedy(*change))
    assert (status, verdict["equal"]) == (1, False)
    assert re.match(named, "{where}: {field}: {ours} | {theirs}".format(**verdict["first_difference"]))
    assert said == "seedbed: tiny: rebuilt, it is another image, see above"
    assert verdict["digests"]["manifest"][0] == tiny.digest
    assert docker.digests() == before


def test_an_image_in_a_registry_is_pulled_and_reproduced(tiny, docker, registry, run, log):
    loaded = models.load(TINY)
    name = f"{registry}/tiny:pushed"
    docker.tag(tiny.digest, name)
    assert run("docker", "push", "--quiet", name).returncode == 0
    docker.remove(name)
    verdict = verify.verify(loaded, loaded.image("tiny"), docker, against=name, log=log)
    docker.remove(name)
    assert verdict.comparison.digests["manifest"] == (tiny.digest, tiny.digest)


def test_a_name_that_the_registry_lacks_is_one_line(tiny, docker, registry, log):
    loaded = models.load(TINY)
    with pytest.raises(SeedbedError, match=rf"^{registry}/tiny:none: cannot be pulled: [^\n]+$"):
        verify.verify(loaded, loaded.image("tiny"), docker, against=f"{registry}/tiny:none", log=log)


@pytest.fixture
def saved(tiny, run, tmp_path) -> Path:
    """The tiny image as `docker save` writes it."""
    archive = tmp_path / "tiny.tar"
    assert run("docker", "save", "--output", str(archive), tiny.digest).returncode == 0
    return archive


def test_a_saved_image_of_another_lock_is_refused_before_anything_is_built(saved, edit, load, docker, monkeypatch):
    monkeypatch.setattr(verify, "Trial", None)
    edit("tiny/requirements.lock", "# cutoff: 20", "# cutoff: 19")
    loaded = load()
    dockerfile.render(loaded, loaded.image("tiny")).write()
    with pytest.raises(
        SeedbedError, match=rf"^{saved}: made from other inputs: its label io\.seedbed\.lock is sha256:"
    ):
        verify.verify(loaded, loaded.image("tiny"), docker, against=str(saved), log=print)


def test_an_unlocked_image_is_not_verified(edit, load, docker, log, monkeypatch):
    edit("tiny/image.yaml", "numpy alone", "numpy on its own")
    loaded = load()
    image = loaded.image("tiny")
    dockerfile.render(loaded, image).write()
    build.build(loaded, image, docker, Options(), log).model_copy(update={"moved": ("tzdata: 1 -> 2",)}).save()
    with pytest.raises(SeedbedError, match=r"^tiny: nothing to verify: .*tzdata: 1 -> 2"):
        verify.verify(loaded, image, docker, log=log)


def test_an_image_in_the_engine_equals_the_one_that_was_saved(tiny, saved):
    status, comparison, _ = build_py("diff", tiny.digest, str(saved))
    assert (status, comparison["equal"], comparison["first_difference"]) == (0, True, None)


def test_an_image_that_was_made_from_another_differs_in_its_config(tiny, saved, run, tmp_path):
    (tmp_path / "Dockerfile").write_text(f"FROM {tiny.tags[0]}\nENV SEEDBED_SEED=7\n")
    name = "seedbed-test/other-seed"
    assert run("docker", "buildx", "build", "--provenance=false", "--tag", name, str(tmp_path)).returncode == 0
    status, comparison, said = build_py("diff", str(saved), name)
    run("docker", "image", "rm", name)
    assert status == 1
    assert said == f"seedbed: {saved} and {name} differ, see above"
    env = next(each for each in comparison["differences"] if each["field"].startswith("config.Env"))
    assert (env["ours"], env["theirs"]) == ("SEEDBED_SEED=42", "SEEDBED_SEED=7")
