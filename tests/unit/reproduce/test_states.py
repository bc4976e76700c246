"""The locks of two states: what changed in them, and in the numbers recorded beside them."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from builder import paths
from builder.catalog import models
from builder.errors import SeedbedError, UsageError
from builder.image import contents, rendered
from builder.image.recipe import Recipe, resolve_all
from builder.reproduce import numbers, pages, states
from builder.reproduce.changes import Changelog

KIND = "AuthenticAMD avx2, threads 1"
TRAINING = "python examples/digits_torch.py --epochs 1"
LOCK = "a" * 64


@pytest.fixture
def log(folder: Path, tmp_path: Path) -> Callable[[], Changelog]:
    """From the tests' catalog as it was committed to the catalog as it is now."""

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=me", "-c", "user.email=me@example.org", "-c", "init.defaultBranch=main"]
        subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)

    (folder / "tiny/golden.json").write_text(golden("0x1.8p+0", "aa", LOCK))
    git("init")
    git("add", ".")
    git("commit", "--message", "before")
    return lambda: states.compare(states.revision(folder, "HEAD"), states.working_tree(folder), "tiny")


def golden(loss: str, parameters: str, lock: str, training: str = TRAINING) -> str:
    found = {"lock": f"sha256:{lock}", "machine": "AMD EPYC", "seed": 42, "loss": loss, "parameters": parameters}
    return json.dumps({training: {KIND: found}})


def text(log: Changelog) -> list[str]:
    return list(pages.as_text(log))


def test_control_nothing_changed_is_one_line(log):
    [line] = text(log())
    assert line.startswith("tiny at HEAD → tiny: nothing changed (")
    assert line.endswith(" Debian packages, 2 wheels, 1 golden fingerprints)")


def test_a_folder_of_the_catalog_may_be_a_link(folder):
    """The base of the tests' catalog is one, to that of the images."""
    (folder / "base").rename(folder / "debian")
    (folder / "base").symlink_to("debian")
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "linked"]):
        identity = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=folder, check=True)
    linked = states.revision(folder, "HEAD")
    assert linked.read("base/packages.lock") == (folder / "debian/packages.lock").read_text()
    assert linked.read("base/nothing") == linked.read("base") == ""


def test_a_bumped_wheel_a_changed_package_and_env_are_told(log, folder, edit):
    edit("tiny/requirements.lock", "numpy==2.4.6", "numpy==2.4.7")
    edit("base/packages.lock", "\nbash=5", "\nbash=6")
    edit("tiny/Dockerfile", 'ENV SEEDBED_SEED="42"', 'ENV SEEDBED_SEED="43"')
    found = log()
    assert [(change.name, change.kind) for change in found.sections["debian"]] == [("bash", "changed")]
    assert [(change.before, change.after) for change in found.sections["wheels"]] == [("2.4.6", "2.4.7")]
    assert [(change.name, change.after) for change in found.sections["environment"]] == [("SEEDBED_SEED", "43")]
    assert found.files is None and found.layers is None


def test_a_changed_number_is_shown_with_both_values(log, folder):
    (folder / "tiny/golden.json").write_text(golden("0x1.9p+0", "bb", states.working_tree(folder).lock("tiny")))
    assert text(log())[1:3] == [
        f"Numbers of golden fingerprints: 1 changed, none the same; on {KIND}",
        f"  changed  {TRAINING}  loss 0x1.8p+0 → 0x1.9p+0; parameters aa → bb",
    ]


def test_of_several_kinds_of_machines_each_is_named(log, folder):
    document = json.loads(golden("0x1.9p+0", "bb", LOCK))
    document[TRAINING]["another, threads 1"] = document[TRAINING][KIND]
    (folder / "tiny/golden.json").write_text(json.dumps(document))
    rows = text(log())[2:4]
    assert f"  changed  {TRAINING} on {KIND}  loss" in rows[0]
    assert f"  added    {TRAINING} on another, threads 1 " in rows[1]


def test_control_a_number_found_again_elsewhere_is_the_same(log, folder):
    (folder / "tiny/golden.json").write_text(golden("0x1.8p+0", "aa", "b" * 64))
    assert log().empty


def test_a_number_that_was_recorded_with_other_locks_says_so(log, folder, edit):
    edit("tiny/requirements.lock", "numpy==2.4.6", "numpy==2.4.7")
    assert "Numbers of golden fingerprints: 1 the same, 1 of them recorded with other locks than these" in text(log())
    (folder / "tiny/golden.json").write_text(golden("0x1.9p+0", "aa", LOCK))
    assert any(line.endswith("; recorded with other locks than these") for line in text(log()))


def test_a_program_whose_bits_changed_is_told(log, folder):
    (folder / "tiny/programs.json").write_text(golden("", "bb", LOCK, training="pool.py"))
    found = log()
    assert [(number.training, number.kind) for number in found.numbers[1].changed] == [("pool.py", "added")]
    (folder / "tiny/golden.json").unlink()
    assert "  removed  " in "\n".join(text(log()))


def test_what_programs_need_is_compared_too(log, folder):
    (folder / "tiny/programs").mkdir()
    (folder / "tiny/programs/requirements.lock").write_text(f"# cutoff: x\nsix==1.17.0 --hash=sha256:{'a' * 64}\n")
    assert [(change.name, change.after) for change in log().sections["programs"]] == [("six", "1.17.0")]


def test_an_image_that_is_new_has_only_additions(folder, log, tmp_path):
    (folder / "tiny").rename(folder / "other")
    found = states.compare(states.revision(folder, "HEAD"), states.working_tree(folder), "other")
    assert {change.kind for section in found.sections.values() for change in section} == {"added"}


# ---- what the files say is what the image has ----------------------------------------------------------------------


@pytest.mark.parametrize("recipe", resolve_all(paths.IMAGES, ()), ids=lambda recipe: recipe.name)
def test_settings_env_and_labels_are_those_of_the_image(recipe: Recipe):
    found = states.working_tree(paths.IMAGES).inventory(recipe.name)
    image = contents.container(recipe)
    assert found.environment == contents.environment(recipe.image)
    assert found.labels == image["Labels"]
    assert found.settings["user"] == image["User"]
    assert json.loads(found.settings["entrypoint"]) == image["Entrypoint"]
    assert json.loads(found.settings["command"]) == image["Cmd"]
    assert found.settings["working folder"] == image["WorkingDir"]


@pytest.mark.parametrize("recipe", resolve_all(paths.IMAGES, ()), ids=lambda recipe: recipe.name)
def test_versions_and_the_hash_of_both_locks_are_those_of_the_recipe(recipe: Recipe):
    state = states.working_tree(paths.IMAGES)
    found = state.inventory(recipe.name)
    assert found.wheels == {wheel.name: wheel.version for wheel in recipe.wheels.wheels}
    assert found.debian == {package.name: package.version for package in recipe.packages.packages}
    assert state.lock(recipe.name) == recipe.lock


@pytest.mark.parametrize("value", ['a "b" c', "back\\slash", "$HOME", "one=two", ""])
def test_a_value_is_read_as_the_template_writes_it(value):
    assert states.last_stage(f"FROM x\nENV A={rendered.quoted(value)}")[1] == {"A": value}


def test_only_the_last_stage_counts():
    _, environment, _ = states.last_stage('FROM x AS y\nENV A="1"\nFROM y AS final\nENV B="2"\n')
    assert environment == {"B": "2"}


# ---- what is not as it should be -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nothing", "", "--output=/tmp/x", "-h", "HEAD:tiny"])
def test_an_unknown_revision_is_named(log, folder, name):
    with pytest.raises(UsageError, match="git knows no such revision here"):
        states.revision(folder, name)


def test_a_folder_without_git_has_no_revisions(folder):
    with pytest.raises(UsageError, match="git knows no such revision here"):
        states.revision(folder, "HEAD")


def test_without_git_it_says_what_git_is_for(folder, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SeedbedError, match="--locks reads the other state from git, so install it"):
        states.revision(folder, "HEAD")


@pytest.mark.parametrize("broken", ["[]", "{", '{"a": 1}', '{"a": {"b": 1}}'])
def test_numbers_of_another_form_are_named_with_their_file(broken, log, folder):
    (folder / "tiny/golden.json").write_text(broken)
    with pytest.raises(SeedbedError, match=r"the working tree: tiny/golden\.json: expected numbers"):
        log()


def test_a_broken_line_of_a_lock_is_named(log, edit):
    edit("tiny/requirements.lock", "numpy==2.4.6", "numpy 2.4.6")
    with pytest.raises(SeedbedError, match=r"the working tree: tiny/requirements\.lock:\d+: not a line of a lock"):
        log()


def test_a_base_is_no_image():
    with pytest.raises(UsageError, match="names no base"):
        states.working_tree(paths.IMAGES).inventory("base")


def test_every_recorded_number_of_the_catalog_can_be_read():
    state = states.working_tree(paths.IMAGES)
    for image in models.load(paths.IMAGES).images:
        for file in numbers.FILES.values():
            state.numbers(image, file)
