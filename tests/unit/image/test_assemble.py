"""Which layers an image has: groups of wheels, two where image.yaml splits one, each bundle under its bytecode."""

import threading
from pathlib import Path

import pytest

from builder import paths
from builder.catalog import models
from builder.catalog.image import LayerGroup
from builder.errors import SeedbedError
from builder.image import assemble
from builder.image.assemble import Group, bundles_of
from builder.layers.install import Target
from builder.lock import requirements
from builder.oci.store import LAYER_TYPE, Descriptor, Layer
from tests.wheels import Recipe

TARGET = Target("/opt/venv", "3.11")


@pytest.fixture
def group(tmp_path: Path):
    """A group of one wheel with so many bytes of Python, and some that are not Python's."""

    def group(name: str, python: int = 0, **options: object) -> Group:
        files = {f"{name}/__init__.py": b"#" * python, f"{name}/lib.so": bytes(5_000_000)}
        return Group(LayerGroup(name=name, packages=("*",), **options), [Recipe(name=name, files=files).make(tmp_path)])

    return group


def names(bundles: list[list[Group]]) -> list[list[str]]:
    return [[group.model.name for group in bundle] for bundle in bundles]


def test_a_group_with_python_has_its_bytecode_to_itself(group):
    groups = [group("torch", python=1_000_000), group("sympy", python=2_000_000)]
    assert names(bundles_of(groups, TARGET)) == [["torch"], ["sympy"]]


def test_groups_with_hardly_any_python_share_the_bytecode_of_the_next(group):
    groups = [group("cuda"), group("cudnn", python=999_999), group("torch", python=1_000_000), group("rest", python=10)]
    assert names(bundles_of(groups, TARGET)) == [["cuda", "cudnn", "torch"], ["rest"]]


def test_a_group_is_one_layer_unless_it_is_split(group):
    assert list(group("torch").parts()) == ["torch: torch 1.0"]


def test_a_split_group_is_two_layers_that_hold_all_of_it(group):
    parts = group("torch", split=("torch/*.so",)).parts()
    assert list(parts) == ["torch, torch/*.so: torch 1.0", "torch, the rest: torch 1.0"]
    held = [[path for path in ("torch/__init__.py", "torch/lib.so") if part.holds(path)] for part in parts.values()]
    assert held == [["torch/lib.so"], ["torch/__init__.py"]]


def test_the_last_group_of_the_real_images_is_small_to_change():
    """So that a new version of a small dependency is a small download."""
    large = {"numpy", "torch", "tensorflow", "torchvision", "pillow", "libclang", "h5py", "grpcio"}
    loaded = models.load(paths.IMAGES)
    for image in loaded.images.values():
        *_, (_, last) = requirements.check(loaded, image)[1]
        assert not large & {pin.name for pin in last}


def test_what_a_layer_holds_can_be_read_out_of_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path))
    entries = [assemble.file("etc/passwd", b"root"), assemble.file("etc/group", b"wheel")]
    made = assemble.write_layer(assemble.store(), entries, epoch=0, level=1, what="")
    assert assemble.files_in(made.descriptor.digest, {"etc/group", "etc/shadow"}) == {"etc/group": b"wheel"}
    assert assemble.files_in(f"sha256:{'0' * 64}", {"etc/group"}) == {}


# Layers that are made side by side


def layer(what: str) -> Layer:
    return Layer(Descriptor.of(what.encode(), LAYER_TYPE), f"sha256:{'0' * 64}", 1, what)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("abc", ["a", "ab", "abc"]),
        ("cba", ["abc"]),
        ("acb", ["a", "abc"]),
        ("bc", []),
    ],
)
def test_who_asks_hears_of_the_layers_that_are_there_bottom_first_and_without_a_gap(made, told):
    heard = []
    stack = assemble.Stack("abc", lambda layers: heard.append("".join(layer.what for layer in layers)))
    for what in made:
        stack.add(layer(what))
    assert heard == told
    assert [layer.what for layer in stack.layers] == list(told[-1] if told else "")


def test_what_fails_beside_the_block_fails_where_it_is_waited_for():
    def fail() -> None:
        raise SeedbedError("no room")

    with pytest.raises(SeedbedError, match="no room"), assemble.beside(fail) as wait:
        wait()
        pytest.fail("went on")


def test_a_block_that_fails_does_not_wait_for_what_runs_beside_it():
    ended = threading.Event()
    with pytest.raises(SeedbedError, match="no room"), assemble.beside(lambda: ended.wait(60)):
        raise SeedbedError("no room")
    assert not ended.is_set()
    ended.set()
