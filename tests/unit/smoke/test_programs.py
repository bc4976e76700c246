"""The programs that images run before they are tagged: what their runs are taken for, and what they are."""

import ast
import threading
from pathlib import Path

import pytest

from builder import paths
from builder.catalog import models
from builder.errors import SeedbedError
from builder.lock import programs as locks
from builder.lock import requirements
from builder.lock.index import Pin
from builder.lock.programs import Programs
from builder.outcomes import Finished
from builder.smoke import checks, programs
from builder.smoke.checks import Failed
from builder.smoke.smoke import Subject

REAL = models.load(paths.IMAGES)
SCRIPTS = [
    pytest.param(script, id=f"{name}-{script.stem}")
    for name, image in REAL.images.items()
    for script in locks.of(image).scripts
]
SEEDING = {"seed", "manual_seed", "set_seed", "set_random_seed", "seed_everything"}
SEEDS = {"seed", "random_state", "data_seed", "generator"}


class Container:
    """Runs nothing; each run ends with the next of the digits, told apart by what was asked for."""

    def __init__(self, strict: str, other: str, off: str, status: int = 0) -> None:
        self.digits = {None: iter(strict), "7": iter(other), "off": iter(off)}
        self.status = status

    def run(self, command, *, environment):
        asked = environment.get("SEEDBED_SEED") or environment.get("SEEDBED_MODE")
        return Finished(self.status, f"parameters sha256: {next(self.digits[asked]) * 64}\n", "it broke\n")


def repeats(container: Container) -> str:
    """What the smoke test makes of this container's runs."""
    return checks.repeats(Path("x.py"))(Subject(None, "", None, None, "off", container))


def test_a_program_that_repeats_follows_its_seed_and_needs_the_layer_passes():
    assert repeats(Container("aaa", "b", "cd")) == "a" * 64


@pytest.mark.parametrize(
    ("digits", "complaint"),
    [
        (("aab", "c", "de"), "runs with one seed end differently: aaaaaaaa, aaaaaaaa, bbbbbbbb"),
        (("aaa", "a", "de"), "another seed changes nothing"),
        (("aaa", "b", "cc"), "repeats with Seedbed disabled too, so it proves nothing"),
    ],
)
def test_any_other_program_fails_and_the_reason_is_said(digits, complaint):
    with pytest.raises(Failed, match=complaint):
        repeats(Container(*digits))


def test_a_program_that_crashes_fails_with_its_last_words():
    with pytest.raises(SeedbedError, match=r"x\.py ended with status 1: it broke"):
        repeats(Container("aaa", "b", "cd", status=1))


def test_every_image_has_programs_and_there_are_twelve_or_more():
    assert all(locks.of(image).scripts for image in REAL.images.values())
    assert len(SCRIPTS) >= 12


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_program_holds_no_line_of_seeding(script: Path):
    calls = [node for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.Call)]
    names = {getattr(call.func, "attr", getattr(call.func, "id", "")) for call in calls}
    assert not names & SEEDING
    assert not {keyword.arg for call in calls for keyword in call.keywords} & SEEDS


SIX = Pin("six", "1.17.0", "0" * 64)


def checked(programs: Programs) -> requirements.Lock:
    return locks.check(programs, requirements.read(programs.image))


@pytest.fixture
def tiny(load, folder) -> Programs:
    """Programs of the tiny image, with a lock that is fresh."""
    (folder / "tiny" / "programs").mkdir()
    (folder / "tiny" / "programs" / "train.py").write_text('"""A training."""\n')
    found = locks.of(load().image("tiny"))
    found.requirements_path.write_text("# nothing of note\nsix\n")
    inputs = locks.inputs_of(found, requirements.read(found.image))
    requirements.write(found, requirements.Lock(inputs, "2026-11-20T00:00:00Z", (SIX,)))
    return found


def test_the_lock_of_programs_reads_back(tiny):
    assert checked(tiny).wheels == (SIX,)


def test_it_is_stale_when_their_requirements_change(tiny):
    tiny.requirements_path.write_text("six\nclick\n")
    with pytest.raises(SeedbedError, match=r"stale.*run \./build.py lock tiny"):
        checked(tiny)


def test_it_is_stale_when_the_images_own_lock_changes(tiny, edit):
    edit("tiny/requirements.lock", "pip==", "pip==1")
    with pytest.raises(SeedbedError, match="stale"):
        checked(tiny)


def test_their_lock_leaves_out_what_the_image_has(tiny, monkeypatch):
    own = requirements.read(tiny.image)
    monkeypatch.setattr(requirements, "resolve", lambda *_: (*own.wheels, SIX))
    assert [pin.name for pin in locks.make(tiny, own, "2026-11-20T00:00:00Z").wheels] == ["six"]


def test_an_image_without_programs_needs_no_container(resolve):
    recipe = resolve()
    none = locks.of(recipe.image)
    assert not none.scripts
    with programs.installed(None, "sha256:0", none, recipe.wheels) as container:
        assert container is None


def test_who_is_interrupted_does_not_wait_for_the_programs():
    """Their container is removed next, which ends them."""
    removed, ended = threading.Event(), []

    def run(asked: dict[str, str]) -> str:
        if asked:
            raise SystemExit
        ended.append(removed.wait(5))
        return ""

    with pytest.raises(SystemExit):
        list(checks.side_by_side(run, [{"interrupted": "yes"}, {}]))
    assert ended == []
    removed.set()
