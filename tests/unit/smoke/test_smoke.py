"""What smoke tests conclude, on an engine that answers as told: no tag without every check passed."""

import os
import threading
from dataclasses import replace

import pytest

from builder import outcomes, paths
from builder.catalog import models as catalog
from builder.image import record
from builder.image.record import LayerRecord, Record
from builder.outcomes import Finished, Result
from builder.smoke import checks, smoke
from builder.smoke.checks import Failed, Skipped
from builder.smoke.smoke import Subject

DIGEST = "sha256:" + "d" * 64


class Engine:
    """Gives the same answer to everything, and remembers what it tagged."""

    def __init__(self, *answers: Finished) -> None:
        self.answers = list(answers)
        self.tagged: list[str] = []
        self.forgotten: list[str] = []

    def run(self, image, command, **options):
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def find(self, *digests):
        return digests[0]

    def forget(self, source):
        self.forgotten.append(source)

    def tag(self, image, name):
        self.tagged.append(name)

    def offers_gpus(self):
        return False


def training(digit: str) -> Finished:
    return Finished(0, f"parameters sha256: {digit * 64}\n", "")


@pytest.fixture
def subject(resolve):
    recipe = resolve()
    return Subject(Engine(Finished(0, "", "")), DIGEST, recipe.image, recipe.wheels, "auto")


@pytest.fixture
def test_with(resolve, monkeypatch, tmp_path):
    """Run the given checks, and no others, on an image that was built."""
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "cache"))
    recipe = resolve()
    inputs = smoke.build.inputs_of(recipe)

    def run(checks, *, substituted=(), full=True, built_anew=True):
        built = Record(
            image="tiny",
            inputs=inputs,
            lock="l" * 64,
            digest=DIGEST,
            config=DIGEST,
            layers=(LayerRecord(digest=DIGEST, size=1, what="a layer"),),
            unpacked=0,
            substituted=substituted,
            seconds=1,
        )
        if built_anew:
            built.save()
        monkeypatch.setattr(
            smoke, "checks_of", lambda image, full=True: checks if full else dict(list(checks.items())[:1])
        )
        engine = Engine(Finished(0, "", ""))
        return smoke.test(recipe, engine, "auto", full), engine

    return run


def passing(subject: Subject) -> None:
    pass


def failing(subject: Subject) -> None:
    raise Failed("it is not so")


def skipping(subject: Subject) -> None:
    raise Skipped("no GPU here")


def test_an_image_that_passes_is_tagged_by_version_and_by_lock(test_with):
    tested, engine = test_with({"a": passing, "b": skipping})
    assert tested.tested
    assert engine.tagged == ["seedbed/tiny:2.4.6-py311", "seedbed/tiny:2.4.6-py311-" + "l" * 12]
    assert engine.forgotten == [f"/untested/tiny@{DIGEST}"], "it has a better name now"
    assert record.find(tested.inputs) == tested


def test_an_image_that_fails_one_check_gets_no_tag(test_with):
    tested, engine = test_with({"a": passing, "b": failing})
    assert not tested.tested
    assert engine.tagged == [] and tested.tags == ()
    assert engine.forgotten == [], "its only name, by which one may look into it"


def test_the_quick_checks_give_the_tag_and_are_not_all(test_with):
    tested, engine = test_with({"a": passing, "b": failing}, full=False)
    assert (tested.tested, tested.full, len(engine.tagged)) == (True, False, 2)
    assert [result.check for result in tested.smoke] == ["a"]


def test_what_was_found_in_full_stays_when_the_quick_checks_are_made_again(test_with):
    test_with({"a": failing, "b": passing})
    tested, _ = test_with({"a": passing, "b": passing}, full=False, built_anew=False)
    assert (tested.tested, tested.full) == (True, True)
    assert [(result.check, result.outcome) for result in tested.smoke] == [("a", "passed"), ("b", "passed")]


def test_a_check_that_failed_in_full_is_not_forgotten_by_the_quick_ones(test_with):
    test_with({"a": passing, "b": failing})
    tested, engine = test_with({"a": passing, "b": failing}, full=False, built_anew=False)
    assert not tested.tested
    assert engine.tagged == []


def test_the_quick_checks_are_all_but_programs_that_the_catalog_does_not_name():
    for image in catalog.load(paths.IMAGES).images.values():
        full, quick = smoke.checks_of(image), smoke.checks_of(image, full=False)
        left_out = [name for name in full if name not in quick]
        assert all(name.startswith(checks.CLAIM) for name in left_out)
        assert 2 <= sum(name.startswith(checks.CLAIM) for name in quick) < len(left_out)


@pytest.mark.parametrize(("cpus", "programs"), [(1, 1), (2, 1), (3, 1), (4, 2), (16, 8)])
def test_as_many_programs_run_at_once_as_there_are_cpus_for(monkeypatch, cpus, programs):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cpus)))
    assert checks.programs_at_once() == programs


def test_programs_run_beside_each_other_and_are_told_in_order(subject, monkeypatch):
    monkeypatch.setattr(checks, "programs_at_once", lambda: 2)
    together = threading.Barrier(2, timeout=10)

    def waiting(_: Subject) -> str:
        return str(together.wait())

    made = {"a": passing, f"{checks.CLAIM}b": waiting, f"{checks.CLAIM}c": waiting}
    assert [result.check for result in smoke.run(subject, made)] == list(made)


def test_an_unlocked_image_is_not_named_after_its_lock(test_with):
    _, engine = test_with({"a": passing}, substituted=("libc6: 1 -> 2",))
    assert engine.tagged == ["seedbed/tiny:2.4.6-py311"]


def test_trainings_that_agree_where_they_should_pass(subject):
    checks.trains_to_the_same_bits(
        replace(subject, engine=Engine(training("a"), training("a"), training("b"), training("b")))
    )


@pytest.mark.parametrize(("digits", "complaint"), [("abcc", "different parameters"), ("aaaa", "changed nothing")])
def test_trainings_that_differ_or_ignore_their_seed_fail(subject, digits, complaint):
    with pytest.raises(Failed, match=complaint):
        checks.trains_to_the_same_bits(replace(subject, engine=Engine(*map(training, digits))))


def test_trainings_that_agree_without_the_layer_fail(subject):
    with pytest.raises(Failed, match="proves nothing"):
        checks.differs_with_seedbed_disabled(replace(subject, engine=Engine(training("a"))))


def test_a_training_that_crashes_fails_with_its_last_words(subject):
    with pytest.raises(Failed, match="status 1: ValueError: no"):
        replace(subject, engine=Engine(Finished(1, "", "Traceback\nValueError: no\n"))).train()


def test_a_package_beyond_the_lock_fails(subject):
    listed = (
        '[{"name": "numpy", "version": "2.4.6"}, {"name": "pip", "version": "26.3"}, {"name": "six", "version": "1"}]'
    )
    with pytest.raises(Failed, match="six: the lock says None, the image has 1"):
        smoke.holds_its_lock(replace(subject, engine=Engine(Finished(0, listed, ""))))


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "gpu.py"
    path.write_text('"""The GPU is seen."""\n')
    return path


def test_status_77_of_a_script_skips_with_its_reason(subject, script):
    with pytest.raises(Skipped, match="no GPU here"):
        checks.passes(script)(replace(subject, engine=Engine(Finished(77, "no GPU here\n", ""))))


def test_any_other_status_of_a_script_fails_with_its_reason(subject, script):
    with pytest.raises(Failed, match="cuDNN is 8"):
        checks.passes(script)(replace(subject, engine=Engine(Finished(1, "", "AssertionError: cuDNN is 8\n"))))


@pytest.mark.parametrize(
    ("status", "outcome"), [(0, None), (77, Skipped), (1, Failed)], ids=["holds", "unknown machine", "another"]
)
def test_a_golden_fingerprint_holds_or_say_what_changed(subject, status, outcome):
    given = replace(subject, engine=Engine(Finished(status, "loss 0x1p+0 is now 0x1p+1\n", "")))
    if outcome is None:
        return smoke.has_golden_fingerprint(given)
    with pytest.raises(outcome, match=r"loss 0x1p\+0 is now 0x1p\+1"):
        smoke.has_golden_fingerprint(given)


def test_golden_fingerprint_of_a_gpu_is_skipped_without_one(subject):
    with pytest.raises(Skipped, match="no GPU here"):
        smoke.has_golden_fingerprint_on_a_gpu(subject)


def test_golden_fingerprints_are_checked_where_an_image_has_some(subject, monkeypatch):
    assert not checks.GOLDEN.keys() & smoke.checks_of(subject.image).keys()
    monkeypatch.setattr(checks, "GOLDEN_FILE", "image.yaml")  # one that is there
    assert checks.GOLDEN.keys() <= smoke.checks_of(subject.image).keys()


def test_a_summary_counts_what_was_skipped():
    results = [
        Result(check="a", outcome="passed", seconds=1),
        Result(check="gpu", outcome="skipped", detail="no GPU here", seconds=1),
    ]
    assert outcomes.summary(result.outcome for result in results) == "1 passed, 1 skipped"


@pytest.mark.parametrize(
    "printed", ["", "[", "{}x", "1", "[1]", '[{"name": "a"}]', '[{"name": 1, "version": 2}]', "\x1b[2J"]
)
def test_a_pip_that_lists_no_packages_is_a_failed_check(subject, printed):
    subject = replace(subject, engine=Engine(Finished(0, printed, "")))
    with pytest.raises(Failed, match="expected a list of packages from pip list, found "):
        smoke.holds_its_lock(subject)
