"""A lock belongs to its inputs, holds one hash a wheel, and names no host."""

import re

import pytest

from builder import paths
from builder.catalog import models
from builder.errors import SeedbedError, UsageError
from builder.lock import index, programs, requirements
from builder.lock.index import Pin
from builder.lock.requirements import Lock

YAML, REQUIREMENTS, LOCK = "tiny/image.yaml", "tiny/requirements.in", "tiny/requirements.lock"


@pytest.fixture
def check(load):
    """Check tiny's lock in the copied catalog, as it is by now."""

    def check() -> Lock:
        loaded = load()
        return requirements.check(loaded, loaded.image("tiny"))[0]

    return check


def test_the_lock_of_jupyter_is_made_and_checked_with_its_image():
    loaded = models.load(paths.IMAGES)
    image = loaded.image("pytorch")
    (notebook,) = (beside for beside in programs.locked_beside(image) if beside.folder.name == "notebook")
    locked, _ = requirements.check(loaded, image)
    assert {"jupyterlab", "tensorboard"} <= {pin.name for pin in programs.check(notebook, locked).wheels}
    other = Lock(locked.inputs, locked.cutoff, locked.wheels[1:])
    with pytest.raises(SeedbedError, match=r"notebook/requirements.lock: stale"):
        programs.check(notebook, other)


@pytest.mark.parametrize("root", [paths.IMAGES, paths.ROOT / "tests" / "images"])
def test_the_committed_locks_are_fresh_and_name_no_host(root):
    loaded = models.load(root)
    for image in loaded.images.values():
        assert requirements.check(loaded, image)[0].wheels
        assert not re.search(r"https?:|//", image.lock_path.read_text())


def test_a_fresh_lock_passes(check):
    assert check().version("numpy") == "2.4.6"


def test_a_changed_requirement_makes_the_lock_stale(edit, check):
    edit(REQUIREMENTS, "numpy\n", "numpy\nsix\n")
    with pytest.raises(SeedbedError, match=r"requirements.lock: stale.*run ./build.py lock tiny"):
        check()


def test_a_changed_comment_does_not(edit, check):
    edit(REQUIREMENTS, "# Small", "# Very small")
    check()


def test_a_version_that_contradicts_the_lock_is_named(edit, check):
    edit(YAML, 'numpy: "2.4.6"', 'numpy: "2.4.5"')
    with pytest.raises(UsageError, match=r"versions.numpy: says 2.4.5, but requirements.lock has 2.4.6"):
        check()


def test_a_version_of_a_package_that_is_not_locked_is_named(edit, check):
    edit(YAML, '  numpy: "2.4.6"', '  numpy: "2.4.6"\n  scipy: "1.0"')
    with pytest.raises(UsageError, match=r"versions.scipy: says 1.0, but requirements.lock has no such package"):
        check()


def test_a_line_that_is_no_pin_is_named(folder, check):
    with (folder / LOCK).open("a") as file:
        file.write("scipy==1.0\n")
    with pytest.raises(SeedbedError, match=r"requirements.lock:8: expected NAME==VERSION --hash=sha256"):
        check()


def test_a_missing_lock_says_what_to_type(folder, check):
    (folder / LOCK).unlink()
    with pytest.raises(SeedbedError, match=r"No such file or directory; run ./build.py lock tiny"):
        check()


def test_a_wheel_without_a_layer_is_refused(edit, check):
    edit(YAML, '["*"]', "[pip-tools]")
    with pytest.raises(UsageError, match="layers: no layer takes pip"):
        check()


def test_shared_layers_hold_the_same_wheels_in_both_images():
    loaded = models.load(paths.IMAGES)
    layers = {
        name: {group.name: wheels for group, wheels in requirements.check(loaded, image)[1]}
        for name, image in loaded.images.items()
    }
    shared = [
        (image, each, name) for image in loaded.images for each in loaded.image(image).shared for name in each.layers
    ]
    assert len(shared) >= 4
    for image, each, name in shared:
        assert layers[image][name] == layers[each.image][name]


def test_a_lock_reads_back_as_it_was_written(load):
    image = load().image("tiny")
    written = Lock("ab" * 32, "2026-11-20T00:00:00Z", (Pin("numpy", "2.4.6", "cd" * 32),))
    requirements.write(image, written)
    assert requirements.read(image) == written


def test_of_several_wheels_the_one_an_installer_would_choose_is_locked():
    def wheel(tags: str, digit: str) -> dict:
        return {"url": f"https://example.org/x-1.0-{tags}.whl", "hashes": {"sha256": digit * 64}}

    package = {"name": "X", "version": "1.0", "wheels": [
        wheel("py3-none-any", "a"), wheel("cp311-cp311-manylinux_2_17_x86_64", "b"),
        wheel("cp311-cp311-manylinux_2_28_x86_64", "c"), wheel("cp312-cp312-manylinux_2_28_x86_64", "d"),
    ]}  # fmt: skip
    assert index.wheels_in([package], "3.11") == [Pin("x", "1.0", "c" * 64)]


def test_a_package_without_a_fitting_wheel_is_named():
    package = {"name": "x", "version": "1.0", "wheels": [
        {"url": "https://example.org/x-1.0-cp312-cp312-win_amd64.whl", "hashes": {"sha256": "a" * 64}}
    ]}  # fmt: skip
    with pytest.raises(SeedbedError, match=r"x 1\.0: has no wheel for x86_64-manylinux_2_28, Python 3.11"):
        index.wheels_in([package], "3.11")


def test_a_cutoff_is_a_day():
    assert requirements.moment("2026-11-20") == "2026-11-20T00:00:00Z"
    with pytest.raises(UsageError, match="expected a day such as 2026-11-20, found 'yesterday'"):
        requirements.moment("yesterday")


@pytest.mark.parametrize(
    ("wheel", "complaint"),
    [
        ({"url": "https://example.org/x.whl", "hashes": {}}, "x: the index lists what is no wheel: "),
        ({"hashes": {"sha256": "a" * 64}}, "x: the index lists what is no wheel: 'url'"),
        (
            {"url": "https://example.org/x-1.0-py3-none-any.whl", "hashes": {"md5": "a"}},
            "x 1.0: the index gives no sha256",
        ),
    ],
)
def test_what_an_index_gets_wrong_is_one_line(wheel, complaint):
    with pytest.raises(SeedbedError, match=complaint):
        index.wheels_in([{"name": "x", "version": "1.0", "wheels": [wheel]}], "3.11")


HASH = "a" * 64


@pytest.mark.parametrize(
    "line",
    [
        f"numpy==1;curl --hash=sha256:{HASH}",
        f"numpy==1\x1b[2J --hash=sha256:{HASH}",
        f"numpy==$(curl) --hash=sha256:{HASH}",
        f"numpy==\u00b2 --hash=sha256:{HASH}",
        f"numpy==1 --hash=sha256:{HASH.upper()}",
        "WHEELS",
    ],
)
def test_nothing_but_a_pin_gets_from_a_lock_into_the_dockerfile(folder, check, line):
    (folder / LOCK).write_text(f"{line}\n")
    with pytest.raises(SeedbedError, match=r"requirements.lock:1: expected NAME==VERSION") as refused:
        check()
    assert "\x1b" not in str(refused.value)
