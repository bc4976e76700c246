"""Verifying an image: what it is compared with, what is varied, what is blamed, and that nothing is left behind."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from builder import paths
from builder.cli import prove
from builder.errors import SeedbedError
from builder.image import assemble, build, contents, digest, dockerfile
from builder.image.recipe import Recipe
from builder.image.record import LayerRecord, Record
from builder.oci.layout import OciImage, compose, keep, write_layout
from builder.oci.store import Store
from builder.oci.tar import file, write_layer
from builder.reproduce import diff, variations, verify
from builder.reproduce.variations import SHUFFLED, Machine
from builder.reproduce.verify import OTHER, PLAIN, SAME, WARM, Verdict, blamed
from tests import commands


def image(store: Store, text: bytes, labels: Mapping[str, str] | None = None) -> OciImage:
    """An image of one file with that text, in the store."""
    layer = write_layer(store, [file("etc/shadow", text)], epoch=0, level=1, what="Debian")
    made = compose([layer], {"Labels": dict(labels or {})}, epoch=0)
    keep(store, made)
    return made


def record_of(made: OciImage, **fields: Any) -> Record:
    layers = tuple(
        LayerRecord(digest=layer.descriptor.digest, size=layer.descriptor.size, what=layer.what, raw_size=1)
        for layer in made.layers
    )
    record = Record(
        image="tiny", inputs="i" * 64, lock="l" * 64, digest=made.digest, config=made.config_digest, layers=layers,
        unpacked=0, seconds=1,
    )  # fmt: skip
    return record.model_copy(update=fields)


THESE, OTHERS = b"root:0", b"root:1"
"""What the file says in the image as it should be, and in a rebuild that differs."""

with TemporaryDirectory() as folder:
    OURS, THEIRS = (image(Store(Path(folder)), text).digest for text in (THESE, OTHERS))


class Engine:
    """An engine with images, by name, each with its labels and digest."""

    def __init__(self, images: Mapping[str, Mapping[str, str]]) -> None:
        self.images = dict(images)
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


def no_engine() -> Any:
    raise AssertionError("an engine was asked")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "cache"))
    return paths.cache()


@pytest.fixture
def recipe(resolve) -> Recipe:
    """The tiny image's, of which nothing is built, and which has no digest of record."""
    recipe = resolve()
    digest.path_of(recipe).unlink(missing_ok=True)
    return recipe


@pytest.fixture
def built(recipe) -> Record:
    """The last build of it, as OURS."""
    record = record_of(image(assemble.store(), THESE), inputs=build.inputs_of(recipe))
    record.save()
    return record


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
            return record_of(image(Store(cache), OTHERS if differs(machine, caches) else THESE))

        monkeypatch.setattr(verify.Trial, "rebuild", rebuild)
        return made

    return rebuilds


def equal(machine: Machine, caches: str) -> bool:
    return False


def different(machine: Machine, caches: str) -> bool:
    return True


def verified(recipe: Recipe, connect: Callable[[], Any] = no_engine, **options: Any) -> Verdict:
    return verify.verify(recipe, recipe.image.folder.parent, connect=connect, **options)


def command(recipe: Recipe) -> tuple[int, str]:
    """The exit status of `verify tiny`, and the line that says why."""
    return commands.run(prove.verify_, recipe.image.folder.parent, "tiny")


# ---- the verdict ---------------------------------------------------------------------------------------------------


def test_a_rebuild_with_the_same_digest_is_equal_and_no_layer_is_read(recipe, built, rebuilds, monkeypatch):
    monkeypatch.setattr(diff.Image, "layer", no_engine)
    made = rebuilds(equal)
    verdict = verified(recipe)
    assert made == [(Machine(), "cold")]
    assert verdict.comparison.equal
    found = verdict.to_json()
    assert found["digests"].keys() == {"manifest", "config", "diff_ids", "layers"}
    assert all(ours == theirs for ours, theirs in found["digests"].values())
    assert found["digests"]["manifest"] == [OURS, OURS]
    assert found == {
        "image": "tiny",
        "equal": True,
        "digests": found["digests"],
        "first_difference": None,
        "differences": [],
        "variations": {},
    }


def test_a_rebuild_that_differs_is_not_equal_and_the_file_is_named(recipe, built, rebuilds, capsys):
    rebuilds(different)
    verdict = verified(recipe)
    assert not verdict.comparison.equal
    assert verdict.to_json()["first_difference"]["where"] == "layer 1 (Debian): /etc/shadow"
    verify.print_verdict(verdict)
    printed = capsys.readouterr().out
    assert "layer 1 (Debian): /etc/shadow: content at byte 5: 0x30 | 0x31" in printed
    assert "proved" not in printed


def test_what_an_equal_rebuild_proves_and_what_it_does_not_is_said(recipe, built, rebuilds, capsys):
    rebuilds(lambda machine, caches: False)
    verify.print_verdict(verified(recipe))
    proved, not_proved, further = capsys.readouterr().out.splitlines()[-3:]
    assert proved.startswith("proved: tiny, rebuilt here") and proved.endswith(
        f"is {OURS}: the same as the last build here"
    )
    assert f"({len(recipe.packages.packages)} Debian packages and {len(recipe.wheels.wheels)} wheels" in proved
    assert not_proved.startswith("not proved: what is in those packages") and "./build.py sbom tiny" in further


def test_nothing_is_left_of_the_second_set_of_layers_even_if_it_fails(recipe, built, cache, monkeypatch):
    def fail(trial: verify.Trial, machine: Machine, cache: Path, caches: str) -> Record:
        (cache / "blobs").mkdir()
        assert (cache / "wheels").resolve() == paths.cache() / "wheels"
        (cache / "wheels" / "a download").touch()
        raise SeedbedError("the disk is full")

    monkeypatch.setattr(verify.Trial, "rebuild", fail)
    with pytest.raises(SeedbedError, match="the disk is full"):
        verified(recipe)
    assert list((cache / "scratch").iterdir()) == []
    assert (cache / "wheels" / "a download").exists()


# ---- what an image is compared with --------------------------------------------------------------------------------


def test_an_image_without_an_earlier_build_or_a_digest_of_record_is_one_line_that_says_what_to_do(recipe, rebuilds):
    made = rebuilds(equal)
    assert command(recipe) == (1, "tiny: not built from these inputs yet; run ./build.py build tiny")
    assert made == [], "nothing is rebuilt for that"


def test_an_earlier_build_of_other_inputs_is_none(recipe, built, edit, resolve, rebuilds):
    edit("tiny/image.yaml", "numpy alone", "numpy on its own")
    resolve().image.dockerfile_path.write_text(dockerfile.render(resolve()))
    with pytest.raises(SeedbedError, match=r"^tiny: not built from these inputs yet; run \./build\.py build tiny$"):
        verified(resolve())


def test_an_image_without_an_earlier_build_is_compared_with_its_digest_of_record(recipe, rebuilds, capsys):
    digest.write(recipe, record_of(image(assemble.store(), THESE)))
    assemble.store().blob(OURS).unlink()  # somebody else's machine built it
    made = rebuilds(equal)
    assert command(recipe) == (0, "") and len(made) == 1
    assert OURS in capsys.readouterr().out


def test_a_rebuild_with_another_digest_than_that_of_record_fails_and_says_both(recipe, rebuilds, capsys):
    digest.write(recipe, record_of(image(assemble.store(), THESE)))
    assemble.store().blob(OURS).unlink()
    rebuilds(different)
    assert command(recipe) == (1, "tiny: the rebuild has a different digest, see above")
    assert f"manifest: digest: {OURS} | {THEIRS}" in capsys.readouterr().out


def test_the_digest_of_record_comes_before_the_last_build(recipe, built, rebuilds):
    """Control: whoever built something else before is told so."""
    digest.write(recipe, record_of(image(assemble.store(), OTHERS)))
    rebuilds(equal)
    comparison = verified(recipe).comparison
    assert comparison.digests["manifest"] == (THEIRS, OURS)
    assert comparison.differences[0].where == "layer 1 (Debian): /etc/shadow", "both are here, so the file is named"


def test_a_stale_digest_of_record_is_one_line_that_says_what_to_do(recipe, built, rebuilds):
    digest.write(replace(recipe, lock="0" * 64), built)
    made = rebuilds(equal)
    status, complaint = command(recipe)
    assert status == 1 and "tiny/digest: stale, the locks changed since it was made; " in complaint
    assert complaint.endswith("run ./build.py build --record tiny")
    assert made == []


def test_a_dockerfile_that_is_out_of_date_is_refused(recipe, built, edit):
    edit("tiny/Dockerfile", "# Tiny", "# Teeny")
    with pytest.raises(SeedbedError, match=r"tiny/Dockerfile: out of date; run \./build\.py render tiny"):
        verified(recipe)


def test_an_unlocked_image_is_refused_with_what_was_substituted(recipe, built):
    built.model_copy(update={"substituted": ("tzdata: 1 -> 2",)}).save()
    with pytest.raises(
        SeedbedError, match=r"^tiny: nothing to verify: .*\(tzdata: 1 -> 2\); run \./build\.py lock base"
    ):
        verified(recipe)


@pytest.fixture
def labels(recipe) -> dict[str, str]:
    return contents.labels(recipe)


def test_an_image_may_be_compared_with_another_of_the_same_inputs(recipe, rebuilds, labels):
    rebuilds(equal)
    engine = Engine({"somebody/tiny:1": labels})
    assert verified(recipe, lambda: engine, against="somebody/tiny:1").comparison.equal
    assert engine.pulled == []


@pytest.mark.parametrize(("text", "same"), [(THESE, True), (OTHERS, False)])
def test_an_image_may_be_compared_with_a_layout_without_any_engine(
    recipe, rebuilds, labels, tmp_path, monkeypatch, text, same
):
    elsewhere = Store(tmp_path / "elsewhere")
    saved = image(elsewhere, text, labels)
    write_layout(tmp_path / "saved", elsewhere, saved)
    monkeypatch.setattr(verify.Trial, "rebuild", lambda trial, machine, cache, caches: record_of(
        image(Store(cache), THESE, labels)
    ))  # fmt: skip
    verdict = verified(recipe, against=str(tmp_path / "saved"))
    assert verdict.comparison.equal is same
    assert verdict.comparison.digests["manifest"][0 if not same else 1] == saved.digest


def test_an_image_in_a_registry_is_always_pulled(recipe, rebuilds, labels):
    """Control: a name that is known here may stand for an older image."""
    rebuilds(equal)
    engine = Engine({"127.0.0.1:5000/tiny:1": labels})
    verified(recipe, lambda: engine, against="127.0.0.1:5000/tiny:1")
    assert engine.pulled == ["127.0.0.1:5000/tiny:1"]


@pytest.mark.parametrize("label", ["io.seedbed.image", "io.seedbed.lock"])
@pytest.mark.parametrize("found", ["another", None])
def test_an_image_of_other_inputs_is_refused_and_the_input_named(recipe, labels, label, found):
    other = {**labels, label: found} if found else {name: labels[name] for name in labels if name != label}
    with pytest.raises(SeedbedError) as refused:
        verified(recipe, lambda: Engine({"tiny:1": other}), against="tiny:1")
    assert str(refused.value) == (
        f"tiny:1: made from other inputs: its label {label} is {found or 'missing'}, this checkout's would be "
        f"{labels[label]}; go to the revision that it was built from"
    )


def test_an_unlocked_image_of_somebody_else_is_refused_as_well(recipe, labels):
    unlocked = {**labels, "io.seedbed.unlocked": "tzdata: 1 -> 2"}
    with pytest.raises(SeedbedError, match=r"^tiny:1: nothing to verify: .*\(tzdata: 1 -> 2\)"):
        verified(recipe, lambda: Engine({"tiny:1": unlocked}), against="tiny:1")


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


def test_everything_is_varied_at_once_and_after_that_the_caches(recipe, built, rebuilds, machines, capsys):
    made = rebuilds(lambda machine, caches: False)
    verdict = verified(recipe, vary=True)
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


def test_the_variation_that_makes_a_difference_is_named(recipe, built, rebuilds, machines):
    rebuilds(lambda machine, caches: "TZ" in machine.environment)
    verdict = verified(recipe, vary=True)
    assert not verdict.comparison.equal
    assert [name for name, outcome in verdict.variations.items() if outcome == OTHER] == ["another time zone"]


def test_a_difference_that_is_there_without_any_variation_is_blamed_on_none(recipe, built, rebuilds, machines):
    rebuilds(lambda machine, caches: True)
    verdict = verified(recipe, vary=True)
    assert [name for name, outcome in verdict.variations.items() if outcome == OTHER] == [PLAIN]


def test_caches_that_make_a_difference_are_named(recipe, built, rebuilds, machines):
    rebuilds(lambda machine, caches: caches == "warm")
    verdict = verified(recipe, vary=True)
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


@pytest.mark.parametrize("python", [sys.executable, "/bin/false"])
def test_a_clock_that_cannot_be_changed_is_a_variation_left_out(python, tmp_path, monkeypatch):
    library = tmp_path / "usr/lib/x/faketime/libfaketime.so.1"
    library.parent.mkdir(parents=True)
    library.touch()
    monkeypatch.setattr(variations, "unpacked", lambda *_: tmp_path)
    monkeypatch.setattr(variations.sys, "executable", python)
    with pytest.raises(SeedbedError, match="libfaketime does not work here"):
        variations.another_year(tmp_path, None)


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
def trial(recipe, tmp_path: Path) -> verify.Trial:
    return verify.Trial(
        recipe, recipe.image.folder.parent, verify.Reference("the digest of record", OURS, lambda: None), tmp_path
    )


def test_an_error_of_the_rebuild_arrives_as_one_line(trial, tmp_path, edit):
    edit("tiny/Dockerfile", "# Tiny", "# Teeny")
    with pytest.raises(SeedbedError, match=r"^tiny: not rebuilt: [^\n]+Dockerfile: out of date; run [^\n]+$"):
        trial.rebuild(Machine(), tmp_path / "other", "cold")


def test_a_rebuild_that_ends_without_a_word_is_told_too(trial, tmp_path):
    machine = replace(Machine(), starter=("sh", "-c", "exit 9", "sh"))
    with pytest.raises(SeedbedError, match=r"^tiny: not rebuilt: it ended with status 9$"):
        trial.rebuild(machine, tmp_path / "other", "cold")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, built: Record) -> list[tuple[list[str], dict[str, Any]]]:
    """The commands that rebuild, and the options of their processes; none is run."""
    started: list[tuple[list[str], dict[str, Any]]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        started.append((command, options))
        return subprocess.CompletedProcess(command, 0, built.model_dump_json().encode())

    monkeypatch.setattr(verify.subprocess, "run", run)
    return started


def test_a_rebuild_may_use_no_engine_and_has_a_store_of_its_own(trial, started, tmp_path, monkeypatch):
    """Control: whatever the user has set."""
    monkeypatch.setenv("SEEDBED_ENGINE", "embedded")
    trial.rebuild(Machine(), tmp_path / "c" / "seedbed", "cold")
    [(_, options)] = started
    assert options["env"]["SEEDBED_ENGINE"] == "none"
    assert options["env"]["SEEDBED_CACHE"] == str(tmp_path / "c")


def test_a_rebuild_in_another_folder_finds_the_rebuild_kit(trial, started, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEEDBED_KIT", "kit.tar")
    trial.rebuild(replace(Machine(), checkout=tmp_path / "elsewhere"), tmp_path / "c", "cold")
    [(_, options)] = started
    assert options["env"]["SEEDBED_KIT"] == str(tmp_path / "kit.tar")


def test_a_catalog_of_the_checkout_is_read_from_the_other_checkout(trial, started, tmp_path):
    elsewhere = replace(Machine(), checkout=tmp_path / "elsewhere")
    ours = replace(trial, root=paths.ROOT / "tests" / "images")
    for each in (ours, trial):
        each.rebuild(elsewhere, tmp_path / "c", "cold")
    (command, options), (other, _) = started
    assert str(tmp_path / "elsewhere" / "tests" / "images") in command
    assert str(trial.root) in other
    assert (options["cwd"], options["env"]["PYTHONPATH"]) == (tmp_path / "elsewhere", str(tmp_path / "elsewhere"))
