"""Verifying an image: what it is compared with, what is varied, what is blamed, and that nothing is left behind."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder import paths
from builder.errors import SeedbedError
from builder.image import build, contents, dockerfile
from builder.image.record import LayerRecord, Record
from builder.lock import requirements
from builder.reproduce import diff, variations, verify
from builder.reproduce.diff import Comparison, Difference
from builder.reproduce.variations import SHUFFLED, Machine
from builder.reproduce.verify import OTHER, PLAIN, SAME, WARM, Verdict, blamed

OURS, THEIRS, LAYER = (f"sha256:{digit * 64}" for digit in "123")


class Engine:
    """An engine with images, by digest or name, each with its labels."""

    def __init__(self, images: Mapping[str, Mapping[str, str]]) -> None:
        self.images = dict(images)
        self.environment = {"PATH": os.environ["PATH"], "DOCKER_HOST": "unix:///nowhere"}
        self.pulled: list[str] = []

    def has(self, name: str) -> bool:
        return name in self.images

    def names_registry(self, name: str) -> bool:
        return name.startswith("127.0.0.1:")

    def pull(self, name: str) -> None:
        self.pulled.append(name)

    def labels(self, name: str) -> Mapping[str, str]:
        return self.images[name]

    def digest(self, name: str) -> str:
        return OURS

    def digests(self) -> frozenset[str]:
        return frozenset(self.images)

    def diff_ids(self, name: str) -> list[str]:
        return ["sha256:tar"]

    def remove(self, name: str) -> None:
        del self.images[name]


def record_of(digest: str, **fields: Any) -> Record:
    layer = LayerRecord(digest=LAYER, size=1, what="a layer")
    made = Record(
        image="tiny", inputs="i" * 64, lock="l" * 64, digest=digest, config=OURS, layers=(layer,), unpacked=0, seconds=1
    )
    return made.model_copy(update=fields)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "cache"))
    return paths.cache()


@pytest.fixture
def catalog(load):
    """The catalog, with the tiny image built as OURS."""
    loaded = load()
    dockerfile.render(loaded, loaded.image("tiny")).write()
    record_of(OURS, inputs=build.inputs_of(loaded, loaded.image("tiny"))).save()
    return loaded


@pytest.fixture
def rebuilds(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[Machine, str]]]:
    """Replace the rebuild: it makes THEIRS where `differs` says so of its machine and its caches, else OURS."""

    def rebuilds(differs: Callable[[Machine, str], bool]) -> list[tuple[Machine, str]]:
        made: list[tuple[Machine, str]] = []

        def rebuild(trial: verify.Trial, machine: Machine, cache: Path, caches: str) -> Record:
            made.append((machine, caches))
            assert not list((cache / "records").glob("*")), "a record from before"
            (cache / "records").mkdir(exist_ok=True)
            (cache / "records" / "x.json").touch()
            digest = THEIRS if differs(machine, caches) else OURS
            trial.engine.images[digest] = {}
            return record_of(digest)

        monkeypatch.setattr(verify.Trial, "rebuild", rebuild)
        return made

    return rebuilds


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let images that differ differ in one file."""
    digests = {"manifest": (OURS, THEIRS)}
    differences = (Difference("layer 1: /etc/shadow", "content at byte 8", "0x30", "0x31"),)
    monkeypatch.setattr(diff, "open_image", lambda name, connect: None)
    monkeypatch.setattr(diff, "of_engine", lambda name, engine: None)
    monkeypatch.setattr(diff, "compare", lambda ours, theirs: Comparison(digests, differences))


def verified(catalog, engine: Engine, **options: Any) -> Verdict:
    return verify.verify(catalog, catalog.image("tiny"), engine, log=lambda line: None, **options)


# ---- the verdict ---------------------------------------------------------------------------------------------------


def test_a_rebuild_with_the_same_digest_is_equal_and_opens_no_image(catalog, rebuilds, monkeypatch):
    monkeypatch.setattr(diff, "compare", None)
    made = rebuilds(lambda machine, caches: False)
    verdict = verified(catalog, Engine({OURS: {}}))
    assert made == [(Machine(), "cold")]
    assert verdict.comparison.equal
    assert verdict.to_json() == {
        "image": "tiny",
        "equal": True,
        "digests": {
            "manifest": [OURS, OURS],
            "config": [OURS, OURS],
            "diff_ids": [["sha256:tar"], ["sha256:tar"]],
            "layers": [[LAYER], [LAYER]],
        },
        "first_difference": None,
        "differences": [],
        "variations": {},
    }


def test_a_rebuild_that_differs_is_not_equal_and_the_file_is_named(catalog, rebuilds, compared, capsys):
    rebuilds(lambda machine, caches: True)
    verdict = verified(catalog, Engine({OURS: {}}))
    assert not verdict.comparison.equal
    assert verdict.to_json()["first_difference"]["where"] == "layer 1: /etc/shadow"
    verify.print_verdict(verdict)
    assert "layer 1: /etc/shadow: content at byte 8: 0x30 | 0x31" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("there_before", "keep", "left"),
    [((OURS,), False, {OURS}), ((OURS,), True, {OURS, THEIRS}), ((OURS, THEIRS), False, {OURS, THEIRS})],
    ids=["new", "new, to be kept", "there before"],
)
def test_a_rebuild_that_differs_leaves_the_engine_unless_it_was_there_or_is_to_be_kept(
    catalog, rebuilds, compared, there_before, keep, left
):
    rebuilds(lambda machine, caches: True)
    engine = Engine({digest: {} for digest in there_before})
    verified(catalog, engine, keep=keep)
    assert engine.images.keys() == left


def test_nothing_is_left_of_the_second_set_of_layers_even_if_it_fails(catalog, cache, monkeypatch):
    def fail(trial: verify.Trial, machine: Machine, cache: Path, caches: str) -> Record:
        (cache / "blobs").mkdir()
        assert (cache / "wheels").resolve() == paths.cache() / "wheels"
        (cache / "wheels" / "a download").touch()
        raise SeedbedError("the disk is full")

    monkeypatch.setattr(verify.Trial, "rebuild", fail)
    with pytest.raises(SeedbedError, match="the disk is full"):
        verified(catalog, Engine({OURS: {}}))
    assert list((cache / "scratch").iterdir()) == []
    assert (cache / "wheels" / "a download").exists()


# ---- what an image is compared with --------------------------------------------------------------------------------


def test_an_image_that_was_not_built_from_these_inputs_is_told_so(catalog, edit, load):
    edit("tiny/image.yaml", "numpy alone", "numpy on its own")
    catalog = load()
    dockerfile.render(catalog, catalog.image("tiny")).write()
    with pytest.raises(SeedbedError, match=r"^tiny: not built from these inputs yet; run \./build\.py build tiny$"):
        verified(catalog, Engine({}))


def test_an_unlocked_image_is_refused_with_what_moved(catalog):
    inputs = build.inputs_of(catalog, catalog.image("tiny"))
    record_of(OURS, inputs=inputs, moved=("tzdata: 1 -> 2",)).save()
    with pytest.raises(
        SeedbedError, match=r"^tiny: nothing to verify: .*\(tzdata: 1 -> 2\); run \./build\.py lock base"
    ):
        verified(catalog, Engine({OURS: {}}))


@pytest.fixture
def labels(catalog) -> dict[str, str]:
    image = catalog.image("tiny")
    return contents.labels(image, requirements.digest(catalog, image))


def test_an_image_may_be_compared_with_another_of_the_same_inputs(catalog, rebuilds, labels):
    rebuilds(lambda machine, caches: False)
    engine = Engine({"somebody/tiny:1": labels})
    assert verified(catalog, engine, against="somebody/tiny:1").comparison.equal
    assert engine.pulled == []


def test_an_image_in_a_registry_is_always_pulled(catalog, rebuilds, labels):
    """Control: a name that is known here may stand for an older image."""
    rebuilds(lambda machine, caches: False)
    engine = Engine({"127.0.0.1:5000/tiny:1": labels})
    verified(catalog, engine, against="127.0.0.1:5000/tiny:1")
    assert engine.pulled == ["127.0.0.1:5000/tiny:1"]


@pytest.mark.parametrize("label", ["io.seedbed.image", "io.seedbed.lock"])
@pytest.mark.parametrize("found", ["another", None])
def test_an_image_of_other_inputs_is_refused_and_the_input_named(catalog, labels, label, found):
    other = {**labels, label: found} if found else {name: labels[name] for name in labels if name != label}
    with pytest.raises(SeedbedError) as refused:
        verified(catalog, Engine({"tiny:1": other}), against="tiny:1")
    assert str(refused.value) == (
        f"tiny:1: made from other inputs: its label {label} is {found or 'missing'}, this checkout's would be "
        f"{labels[label]}; go to the revision that it was built from"
    )


def test_an_unlocked_image_of_somebody_else_is_refused_as_well(catalog, labels):
    unlocked = {**labels, "io.seedbed.unlocked": "tzdata: 1 -> 2"}
    with pytest.raises(SeedbedError, match=r"^tiny:1: nothing to verify: .*\(tzdata: 1 -> 2\)"):
        verified(catalog, Engine({"tiny:1": unlocked}), against="tiny:1")


# ---- variations ----------------------------------------------------------------------------------------------------

NAMES = "abcdefg"


@pytest.mark.parametrize("culprit", [PLAIN, *NAMES])
def test_the_change_that_matters_is_found_by_halves(culprit):
    asked = []

    def differs(changes) -> bool:
        asked.append(changes)
        return culprit == PLAIN or culprit in changes

    outcomes = blamed({name: name for name in NAMES}, differs)
    assert [name for name, outcome in outcomes.items() if outcome == OTHER] == [culprit]
    assert list(outcomes) == [PLAIN, *NAMES]
    assert all(outcome == SAME for outcome in list(outcomes.values())[: list(outcomes).index(culprit)])
    assert len(asked) <= 3


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variations that need neither a network nor a copy of the checkout."""

    def unavailable(scratch: Path, base: Any) -> variations.Change:
        raise SeedbedError("no archive")

    few = {name: variations.VARIATIONS[name] for name in ("umask 077", "another time zone", "one CPU")}
    monkeypatch.setattr(variations, "VARIATIONS", {**few, "a year on": unavailable})


def test_everything_is_varied_at_once_and_after_that_the_caches(catalog, rebuilds, machines, capsys):
    made = rebuilds(lambda machine, caches: False)
    verdict = verified(catalog, Engine({OURS: {}}), vary=True)
    (varied, cold), (plain, warm) = made
    assert (varied.umask, dict(varied.environment), varied.starter[0]) == (0o077, {"TZ": "SEED-13:30"}, "taskset")
    assert (plain, cold, warm) == (Machine(), "cold", "warm")
    assert verdict.comparison.equal
    assert verdict.variations == {
        "umask 077": SAME,
        "another time zone": SAME,
        "one CPU": SAME,
        "a year on": "not varied: no archive",
        WARM: SAME,
    }
    verify.print_verdict(verdict)
    printed = capsys.readouterr().out
    assert all(name in printed for name in verdict.variations)


def test_the_variation_that_makes_a_difference_is_named(catalog, rebuilds, machines, compared):
    rebuilds(lambda machine, caches: "TZ" in machine.environment)
    engine = Engine({OURS: {}})
    verdict = verified(catalog, engine, vary=True)
    assert not verdict.comparison.equal
    assert [name for name, outcome in verdict.variations.items() if outcome == OTHER] == ["another time zone"]
    assert engine.images.keys() == {OURS}


def test_a_difference_that_is_there_without_any_variation_is_blamed_on_none(catalog, rebuilds, machines, compared):
    rebuilds(lambda machine, caches: True)
    verdict = verified(catalog, Engine({OURS: {}}), vary=True)
    assert [name for name, outcome in verdict.variations.items() if outcome == OTHER] == [PLAIN]


def test_caches_that_make_a_difference_are_named(catalog, rebuilds, machines, compared):
    rebuilds(lambda machine, caches: caches == "warm")
    verdict = verified(catalog, Engine({OURS: {}}), vary=True)
    assert not verdict.comparison.equal
    assert [name for name, outcome in verdict.variations.items() if outcome == OTHER] == [WARM]


# ---- what a variation is to a process ------------------------------------------------------------------------------


def seen(machine: Machine, expression: str) -> str:
    """What a Python on such a machine says."""
    command = [*machine.starter, sys.executable, "-c", f"import os, time; print({expression})"]
    environment = {**os.environ, "PYTHONPATH": str(machine.checkout), **machine.environment}
    options = {"cwd": machine.checkout, "env": environment, "umask": machine.umask}
    ran = subprocess.run(command, **options, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


@pytest.mark.parametrize(
    ("name", "expression", "varied"),
    [
        ("umask 077", "oct(os.umask(0))", "0o77"),
        ("another time zone", "time.timezone", "-48600"),
        ("one CPU", "len(os.sched_getaffinity(0))", "1"),
    ],
)
def test_a_variation_reaches_the_process(name, expression, varied, tmp_path):
    machine = variations.VARIATIONS[name](tmp_path, None)(Machine())
    assert seen(machine, expression) == varied


def test_another_checkout_is_at_another_path_and_nobody_elses_to_read(tmp_path):
    machine = variations.another_checkout(tmp_path, None)(Machine())
    assert " " in str(machine.checkout) and machine.checkout.is_relative_to(tmp_path)
    assert (machine.checkout / "builder" / "oci" / "tar.py").stat().st_mode & 0o777 == 0o600
    assert (machine.checkout / "build.py").stat().st_mode & 0o777 == 0o700
    assert seen(machine, "__import__('builder.paths').paths.ROOT") == str(machine.checkout)
    assert not (machine.checkout / ".venv").exists()


ORDER = """\
import os, sys
from builder.reproduce import rebuild
from builder.oci import tar
from builder.layers.parts import write_layer
from builder.oci.store import Store
from pathlib import Path
entries = [tar.file(name, b"") for name in "abcdefgh"]
order, arranged = [], tar._arranged
tar._arranged = lambda entries: arranged(order.extend(entries) or order)
layer = write_layer(Store(Path(sys.argv[1], "cache")), entries, epoch=1, level=1, what="")
with os.scandir("folder") as listing:
    scanned = [entry.name for entry in listing]
print(os.listdir("folder"), scanned, sorted(path.name for path in Path("folder").iterdir()) == sorted(scanned))
print([entry.path for entry in order])
print(layer.diff_id)
"""


def test_inputs_come_in_another_order_and_give_the_same_layer(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in "abcdefgh":
        (folder / name).touch()

    def ran(environment: Mapping[str, str]) -> list[str]:
        command = [sys.executable, "-c", ORDER, str(tmp_path)]
        variables = {**os.environ, "PYTHONPATH": str(paths.ROOT), **environment}
        return subprocess.run(
            command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=True
        ).stdout.splitlines()

    listed, entries, layer = ran({})
    other_listed, other_entries, other_layer = ran({SHUFFLED: "1"})
    assert other_listed != listed and other_listed.endswith("True")
    assert sorted(other_listed) == sorted(listed)
    assert other_entries != entries == str(list("abcdefgh"))
    assert other_layer == layer


# ---- the process of a rebuild --------------------------------------------------------------------------------------


@pytest.fixture
def trial(catalog, tmp_path: Path) -> verify.Trial:
    reference = verify.Reference(OURS, lambda: None)
    return verify.Trial(catalog, catalog.image("tiny"), Engine({}), reference, tmp_path, frozenset(), False)


def test_an_error_of_the_rebuild_arrives_as_one_line(trial, tmp_path):
    with pytest.raises(SeedbedError, match=r"^tiny: not rebuilt: no Docker engine answers; [^\n]+$"):
        trial.rebuild(Machine(), tmp_path / "other", "cold")


def test_a_rebuild_that_ends_without_a_word_is_told_too(trial, tmp_path):
    machine = replace(Machine(), starter=("sh", "-c", "exit 9", "sh"))
    with pytest.raises(SeedbedError, match=r"^tiny: not rebuilt: it ended with status 9$"):
        trial.rebuild(machine, tmp_path / "other", "cold")


def test_a_catalog_of_the_checkout_is_read_from_the_other_checkout(load, trial, tmp_path, monkeypatch):
    commands = []

    def run(command, **options):
        commands.append((command, options["cwd"], options["env"]["SEEDBED_CACHE"]))
        return subprocess.CompletedProcess(command, 0, record_of(OURS).model_dump_json().encode())

    monkeypatch.setattr(verify.subprocess, "run", run)
    elsewhere = replace(Machine(), checkout=tmp_path / "elsewhere")
    ours = replace(trial, catalog=replace(trial.catalog, root=paths.ROOT / "tests" / "images"))
    assert ours.rebuild(elsewhere, tmp_path / "c", "cold") == trial.rebuild(elsewhere, tmp_path / "c", "cold")
    (command, *rest), (other, *_) = commands
    assert str(tmp_path / "elsewhere" / "tests" / "images") in command
    assert str(trial.catalog.root) in other
    assert rest == [tmp_path / "elsewhere", str(tmp_path)]
