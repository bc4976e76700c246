"""An image from its recipe: locked files in, layers and a manifest out."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from builder import files, paths
from builder.catalog.models import LayerGroup
from builder.console import step
from builder.image import contents
from builder.image.recipe import Recipe
from builder.layers import wheels
from builder.layers.base import layer as base_layer
from builder.layers.bytecode import bytecode, bytecode_layers, compiler_key
from builder.layers.install import Target, Wheel, installed_files
from builder.layers.parts import Part, refuse_altered, wheel_layers
from builder.lock.toolchain import LEVEL
from builder.oci.layout import OciImage, compose
from builder.oci.store import Layer, Store
from builder.oci.tar import Entry, directory, file, layer_key, opened, symlink, write_layer

WORTH_A_LAYER = 1_000_000
"""Bytes of Python from which on a group of wheels has its bytecode in a layer of its own."""


def store() -> Store:
    return Store(paths.cache())


def image(recipe: Recipe, *, locked: bool) -> tuple[OciImage, tuple[str, ...]]:
    """The whole image, and which locked Debian packages it holds others for, as `name: locked -> substitute`.

    Layers that the store has are not made again. Raises SeedbedError if one cannot be made, or `locked` and a package
    cannot be had any more.
    """
    debian, substituted = base(recipe, locked=locked)
    layers = [debian, *wheels_and_bytecode(recipe, debian), runtime(recipe, debian)]
    return compose(layers, contents.container(recipe, substituted), epoch=recipe.epoch), substituted


def base(recipe: Recipe, *, locked: bool) -> tuple[Layer, tuple[str, ...]]:
    """Debian's root file system from its locked packages."""
    return base_layer(recipe.base, recipe.packages, store(), locked=locked, level=LEVEL)


def wheels_and_bytecode(recipe: Recipe, debian: Layer) -> list[Layer]:
    """The wheels, each bundle of groups under its bytecode, which Debian's interpreter compiles."""
    groups = groups_of(recipe)
    with files.suspecting(*(partial(refuse_altered, wheel) for group in groups for wheel in group.wheels)):
        return layers_of(recipe, groups, debian)


def layers_of(recipe: Recipe, groups: Sequence["Group"], debian: Layer) -> list[Layer]:
    python = recipe.image.python
    settings = {"epoch": recipe.epoch, "level": LEVEL, "prefix": contents.VENV, "python": python}
    parts = {what: part for group in groups for what, part in group.parts().items()}
    with step(f"{recipe.name}: layers of {len(parts)} groups of wheels"):
        installed = dict(zip(parts, wheel_layers(parts, store=store(), **settings), strict=True))
    bundles = bundles_of(groups, Target(contents.VENV, python))
    with step(f"{recipe.name}: layers of their bytecode"):
        compiled = bytecode_layers(sources_of(bundles), store=store(), base=debian, **settings)
    return [
        layer
        for bundle, code in zip(bundles, compiled, strict=True)
        for layer in (*(installed[what] for group in bundle for what in group.parts()), code)
    ]


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


def sources_of(bundles: Iterable[Iterable[Group]]) -> dict[str, list[Wheel]]:
    """What is compiled, by what its layer is called. Debian brings the standard library's bytecode."""
    return {
        f"bytecode of {', '.join(group.model.name for group in bundle)}": [
            wheel for group in bundle for wheel in group.wheels
        ]
        for bundle in bundles
    }


def runtime(recipe: Recipe, debian: Layer) -> Layer:
    """All that is neither Debian nor a wheel, with its bytecode: kilobytes, and the layer that changes most."""
    image, epoch = recipe.image, recipe.epoch
    texts = {
        contents.DESCRIPTION: contents.description(recipe),
        contents.CONSTRAINTS: contents.constraints(recipe),
        contents.SYSTEM_PACKAGES: contents.system_packages(image),
        f"{contents.VENV}/pyvenv.cfg": contents.VENV_CONFIGURATION,
    }
    links = contents.venv_links(image) | contents.certificate_links(recipe)
    files = {module.target: [module.mode, module.read().decode()] for module in contents.runtime_files(image)}
    users = {"passwd": contents.PASSWD, "group": contents.GROUP}
    inputs = {
        "texts": texts,
        "links": links,
        "files": files,
        "folders": contents.FOLDERS,
        "users": users,
        "base": debian.diff_id,
        "compiler": compiler_key(),
        "epoch": epoch,
        "level": LEVEL,
    }
    what = "runtime: what seeds every process, the user, the working folder"

    def make() -> Layer:
        entries = [file(path.lstrip("/"), text.encode()) for path, text in texts.items()]
        entries += [symlink(path.lstrip("/"), target) for path, target in links.items()]
        modules = [runtime_file(installed) for installed in contents.runtime_files(image)]
        entries += [*modules, *bytecode(modules, store=store(), base=debian, python=image.python)]
        entries += [
            directory(path.lstrip("/"), mode=mode, uid=contents.USER_ID, gid=contents.USER_ID)
            for path, mode in contents.FOLDERS.items()
        ]
        entries += user_database(debian, users)
        return write_layer(store(), entries, epoch=epoch, level=LEVEL, what=what)

    return store().layer(layer_key("runtime", inputs), make, what=what)


def runtime_file(installed: contents.Installed) -> Entry:
    return file(installed.target.lstrip("/"), installed.read(), mode=installed.mode)


def user_database(debian: Layer, users: Mapping[str, str]) -> list[Entry]:
    """Debian's /etc/passwd and /etc/group with the image's user at the end."""
    lines = {f"etc/{name}": f"{line}\n".encode() for name, line in users.items()}
    found = files_in(debian.descriptor.digest, lines.keys())
    return [file(path, data + lines[path]) for path, data in found.items()]


def files_in(layer: str, paths: Collection[str]) -> dict[str, bytes]:
    """Those of the files at `paths` that a layer has, by its digest; none where the store has no such layer."""
    if not store().blob(layer).exists():
        return {}
    with opened(store().proven(layer)) as archive:
        members = (member for member in archive if member.name in paths)
        return {member.name: data.read() for member in members if (data := archive.extractfile(member))}
