"""An image from its recipe: locked files in, layers and a manifest out."""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, takewhile
from multiprocessing import active_children

from builder import files, paths
from builder.catalog.image import LayerGroup
from builder.console import step
from builder.image import contents, kits
from builder.image.recipe import Recipe
from builder.layers import wheels
from builder.layers.base import layer as base_layer
from builder.layers.base import what as base_name
from builder.layers.bytecode import Interpreter, bytecode, bytecode_layers, compiler_key, interpreter_of
from builder.layers.install import Target, Wheel, installed_files
from builder.layers.parts import Part, refuse_altered, wheel_layers
from builder.lock.toolchain import LEVEL
from builder.oci.layout import OciImage, compose
from builder.oci.store import Layer, Store
from builder.oci.tar import Entry, directory, file, layer_key, opened, symlink, write_layer

Made = Callable[[Layer], object]
Grown = Callable[[Sequence[Layer]], object]

RUNTIME = "runtime: what seeds every process, the user, the working folder"
WORTH_A_LAYER = 1_000_000
"""Bytes of Python from which on a group of wheels has its bytecode in a layer of its own."""


def store() -> Store:
    return Store(paths.cache())


def image(recipe: Recipe, *, locked: bool, grown: Grown = lambda layers: None) -> tuple[OciImage, tuple[str, ...]]:
    """The whole image, and which locked Debian packages it holds others for, as `name: locked -> substitute`.

    Layers that the store has are not made again. `grown` gets the layers made so far, bottom first without a gap.
    Raises SeedbedError if one cannot be made, or `locked` and a package is no longer available.
    """
    groups = groups_of(recipe)
    bundles = bundles_of(groups, target_of(recipe))
    stack = Stack(order_of(recipe, bundles), grown)
    proofs = [partial(refuse_altered, wheel) for group in groups for wheel in group.wheels]
    with files.suspecting(*proofs), beside(partial(wheels_of, recipe, groups, stack.add)) as installed:
        debian, substituted = base(recipe, locked=locked)
        stack.add(debian)
        installed()
        with interpreter_of(debian, store(), recipe.image.python) as interpreter:
            bytecode_of(recipe, bundles, interpreter, stack.add)
            stack.add(runtime(recipe, interpreter))
    return compose(stack.layers, contents.container(recipe, substituted), epoch=recipe.epoch), substituted


def order_of(recipe: Recipe, bundles: Sequence[Sequence["Group"]]) -> list[str]:
    """What the image's layers are, bottom first: those of wheels, each bundle of groups under its bytecode."""
    above = [[*(what for group in bundle for what in group.parts()), bytecode_name(bundle)] for bundle in bundles]
    return [base_name(recipe.base), *chain.from_iterable(above), RUNTIME]


class Stack:
    """The layers of an image, which are made in any order, by several threads."""

    def __init__(self, order: Sequence[str], grown: Grown) -> None:
        self._made: dict[str, Layer | None] = dict.fromkeys(order)
        self._grown = grown
        self._lock = threading.Lock()

    def add(self, layer: Layer) -> None:
        with self._lock:
            before = len(self.layers)
            self._made[layer.what] = layer
            if len(self.layers) > before:
                self._grown(self.layers)

    @property
    def layers(self) -> list[Layer]:
        """Those that are there, bottom first, up to the first that is not."""
        return list(takewhile(bool, self._made.values()))


@contextmanager
def beside(task: Callable[[], object]) -> Iterator[Callable[[], None]]:
    """Run `task` in a thread beside the block, which calls what it is given to wait for the task's end.

    If the block fails, the processes that the task has started are ended, and nobody waits for the rest.
    """
    ended: Future[object] = Future()

    def run() -> None:
        try:
            ended.set_result(task())
        except BaseException as error:
            ended.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        yield lambda: ended.result() and None
    except BaseException:
        for process in active_children():
            process.terminate()
        raise


def base(recipe: Recipe, *, locked: bool) -> tuple[Layer, tuple[str, ...]]:
    """Debian's root file system from its locked packages."""
    return base_layer(recipe.base, recipe.packages, store(), locked=locked, level=LEVEL, kits=kits.of(recipe))


def wheels_of(recipe: Recipe, groups: Sequence["Group"], made: Made) -> None:
    """The layers of wheels."""
    parts = {what: part for group in groups for what, part in group.parts().items()}
    with step(f"{recipe.name}: layers of {len(parts)} groups of wheels"):
        wheel_layers(parts, target_of(recipe), store=store(), epoch=recipe.epoch, level=LEVEL, made=made)


def bytecode_of(recipe: Recipe, bundles: Iterable[Sequence["Group"]], interpreter: Interpreter, made: Made) -> None:
    """The layers of what Debian's interpreter compiles. Debian brings the standard library's bytecode."""
    settings = {"store": store(), "epoch": recipe.epoch, "level": LEVEL}
    wheels = {bytecode_name(bundle): [wheel for group in bundle for wheel in group.wheels] for bundle in bundles}
    with step(f"{recipe.name}: layers of their bytecode"):
        bytecode_layers(wheels, target_of(recipe), interpreter, made=made, **settings)


def bytecode_name(bundle: Iterable["Group"]) -> str:
    return f"bytecode of {', '.join(group.model.name for group in bundle)}"


def target_of(recipe: Recipe) -> Target:
    return Target(contents.VENV, recipe.image.python)


@dataclass(frozen=True)
class Group:
    """A group of image.yaml and its wheels on disk."""

    model: LayerGroup
    wheels: Sequence[Wheel]

    def parts(self) -> dict[str, Part]:
        """Its layers, by what they are called: two where image.yaml splits it."""
        name, split, wheels = self.model.name, self.model.split, ", ".join(map(str, self.wheels))
        removed = tuple(f"../../..{path.removeprefix(contents.VENV)}" for path in contents.removed_commands(self.model))
        if not split:
            return {f"{name}: {wheels}": Part(self.wheels, without=removed)}
        return {
            f"{name}, {' '.join(split)}: {wheels}": Part(self.wheels, only=split),
            f"{name}, the rest: {wheels}": Part(self.wheels, without=(*split, *removed)),
        }

    def python_size(self, target: Target) -> int:
        """The bytes of its Python sources."""
        files = [file.entry for wheel in self.wheels for file in installed_files(wheel, target)]
        return sum(entry.size for entry in files if entry.path.endswith(".py"))


def groups_of(recipe: Recipe) -> list[Group]:
    """The image's groups of wheels, bottom first, fetched."""
    files = wheels.fetch(recipe.wheels.wheels, recipe.image.python)
    return [Group(model, [files[pin] for pin in pins]) for model, pins in recipe.layers]


def bundles_of(groups: Iterable[Group], target: Target) -> list[list[Group]]:
    """The groups whose bytecode is one layer each: a group with hardly any Python waits for the next that has some."""
    bundles: list[list[Group]] = [[]]
    for group in groups:
        bundles[-1].append(group)
        if group.python_size(target) >= WORTH_A_LAYER:
            bundles.append([])
    return [bundle for bundle in bundles if bundle]


def runtime(recipe: Recipe, interpreter: Interpreter) -> Layer:
    """All that is neither Debian nor a wheel, with its bytecode: kilobytes, and the layer that changes most."""
    image, epoch, debian = recipe.image, recipe.epoch, interpreter.base
    texts = {
        contents.DESCRIPTION: contents.description(recipe),
        contents.CONSTRAINTS: contents.constraints(recipe),
        contents.SYSTEM_PACKAGES: contents.system_packages(image),
        f"{contents.VENV}/pyvenv.cfg": contents.VENV_CONFIGURATION,
    }
    links = contents.venv_links(image) | contents.certificate_links(recipe)
    owner = {"uid": contents.USER_ID, "gid": contents.USER_ID}
    modules = [file(each.target.lstrip("/"), each.read(), mode=each.mode) for each in contents.runtime_files(image)]
    entries = [
        *(file(path.lstrip("/"), text.encode()) for path, text in texts.items()),
        *(symlink(path.lstrip("/"), target) for path, target in links.items()),
        *(directory(path.lstrip("/"), mode=mode, **owner) for path, mode in contents.FOLDERS.items()),
        *modules,
    ]
    users = {"etc/passwd": contents.PASSWD, "etc/group": contents.GROUP}
    inputs = {
        "entries": [(each.path, each.mode, each.uid, each.link, text_of(each)) for each in entries],
        "users": users,
        "base": debian.diff_id,
        "compiler": compiler_key(),
        "epoch": epoch,
        "level": LEVEL,
    }

    def make() -> Layer:
        made = [*entries, *bytecode(modules, interpreter), *user_database(debian, users)]
        return write_layer(store(), made, epoch=epoch, level=LEVEL, what=RUNTIME)

    return store().layer(layer_key("runtime", inputs), make, what=RUNTIME)


def text_of(entry: Entry) -> str:
    return b"".join(entry.content()).decode()


def user_database(debian: Layer, users: Mapping[str, str]) -> list[Entry]:
    """Files of Debian's that list users, each with this line at the end."""
    found = files_in(debian.descriptor.digest, users.keys())
    return [file(path, data + f"{users[path]}\n".encode()) for path, data in found.items()]


def files_in(layer: str, paths: Collection[str]) -> dict[str, bytes]:
    """Those of the files at `paths` that a layer has, by its digest; none where the store has no such layer."""
    if not store().blob(layer).exists():
        return {}
    with opened(store().proven(layer)) as archive:
        members = (member for member in archive if member.name in paths)
        return {member.name: data.read() for member in members if (data := archive.extractfile(member))}
