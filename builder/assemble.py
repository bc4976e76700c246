"""Stages made without running them: locked files in, an OCI layout out that takes the place of the stage."""

import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import zstandard

from builder import base as bases
from builder import contents, lock, paths, wheels
from builder.bytecode import Sources, bytecode_layers
from builder.catalog import Base, Catalog, Image
from builder.install import Wheel
from builder.layers import wheel_layers
from builder.oci import Layer, Layout, Store
from builder.tar import Entry, directory, file, layer_key, symlink, write_layer

Log = Callable[[str], None]

LEVEL = 3
"""zstd's compression level."""

BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Stage:
    """A stage of the Dockerfile as layers, bottom first. `moved` names locked Debian packages that could not be had."""

    base: Base
    layers: Sequence[Layer]
    moved: tuple[str, ...]
    working_folder: str = "/"

    @contextmanager
    def context(self) -> Iterator[str]:
        """The stage as an OCI layout, in the form that `docker buildx build --build-context NAME=` takes."""
        cache = paths.cache() / "layouts"
        cache.mkdir(parents=True, exist_ok=True)
        config = {"Env": [f"PATH={BASE_PATH}"], "WorkingDir": self.working_folder}
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            manifest = Layout(Path(folder)).write_image(
                store(), self.layers, config=config, epoch=self.base.source_date_epoch
            )
            yield f"oci-layout://{folder}@{manifest.digest}"


def store() -> Store:
    return Store(paths.cache())


def base(model: Base, *, locked: bool, log: Log) -> Stage:
    """Stage `base`: one layer, Debian's root file system from its locked packages."""
    layer, moved = bases.layer(model, store(), locked=locked, level=LEVEL, log=log)
    return Stage(model, [layer], moved)


def env(catalog: Catalog, image: Image, below: Stage, *, log: Log) -> Stage:
    """Stage `env` on stage `base`: a layer for each group of wheels, their bytecode, then the runtime and the user."""
    groups = wheels_of(catalog, image, log)
    log(f"{image.name}: assembling {len(groups)} layers of wheels, and their bytecode")
    epoch = below.base.source_date_epoch
    installed = wheel_layers(groups, store=store(), epoch=epoch, level=LEVEL, prefix=contents.VENV, python=image.python)
    compiled = bytecode_layers(
        sources_of(image, groups),
        store=store(),
        base=below.layers[0],
        epoch=epoch,
        level=LEVEL,
        prefix=contents.VENV,
        python=image.python,
    )
    runtime = runtime_layer(catalog, image, below.layers[0], epoch)
    return Stage(
        below.base, [*below.layers, *installed, *compiled, runtime], below.moved, working_folder=contents.WORKING_FOLDER
    )


def wheels_of(catalog: Catalog, image: Image, log: Log) -> dict[str, list[Wheel]]:
    """The wheels of every layer, fetched, by what the layer is called."""
    locked = lock.read(image)
    files = wheels.fetch(locked.wheels, image.python, log)
    return {
        f"{group.name}: {', '.join(f'{wheel.name} {wheel.version}' for wheel in members)}": [
            Wheel(wheel.name, wheel.version, wheel.sha256, files[wheel]) for wheel in members
        ]
        for group, members in lock.layers_of(catalog, image, locked)
    }


def sources_of(image: Image, groups: Mapping[str, Sequence[Wheel]]) -> dict[str, Sources]:
    """What is compiled, by what its layer is called. Debian brings the standard library's bytecode."""
    modules = [installed for installed in contents.runtime_files(image) if installed.target.endswith(".py")]
    return {
        "bytecode of the wheels": Sources(wheels=[wheel for group in groups.values() for wheel in group]),
        "bytecode of the runtime": Sources(files=[runtime_file(module) for module in modules]),
    }


def runtime_layer(catalog: Catalog, image: Image, debian: Layer, epoch: int) -> Layer:
    """All that is neither Debian nor a wheel: kilobytes, and the layer that changes most."""
    locked = lock.read(image)
    texts = {
        contents.DESCRIPTION: contents.description(image, locked, lock.digest(catalog, image)),
        contents.CONSTRAINTS: contents.constraints(locked),
        f"{contents.VENV}/pyvenv.cfg": contents.VENV_CONFIGURATION,
    }
    links = contents.venv_links(image)
    files = {module.target: [module.mode, module.read().decode()] for module in contents.runtime_files(image)}
    users = {"passwd": contents.PASSWD, "group": contents.GROUP}

    def make() -> Layer:
        entries = [file(path.lstrip("/"), text.encode()) for path, text in texts.items()]
        entries += [symlink(path.lstrip("/"), target) for path, target in links.items()]
        entries += [runtime_file(installed) for installed in contents.runtime_files(image)]
        entries += [
            directory(path.lstrip("/"), mode=0o777, uid=contents.USER_ID, gid=contents.USER_ID)
            for path in contents.OPEN_FOLDERS
        ]
        entries += user_database(debian, users)
        return write_layer(store(), entries, epoch=epoch, level=LEVEL, what=what)

    what = "runtime: what seeds every process, the user, the working folder"
    inputs = {"texts": texts, "links": links, "files": files, "users": users, "base": debian.diff_id, "epoch": epoch}
    return store().layer(layer_key("runtime", inputs), make, what=what)


def runtime_file(installed: contents.Installed) -> Entry:
    return file(installed.target.lstrip("/"), installed.read(), mode=installed.mode)


def user_database(debian: Layer, users: Mapping[str, str]) -> list[Entry]:
    """Debian's /etc/passwd and /etc/group with the image's user at the end."""
    wanted = {f"etc/{name}": line for name, line in users.items()}
    entries = []
    with (
        store().blob(debian.descriptor.digest).open("rb") as blob,
        zstandard.ZstdDecompressor().stream_reader(blob) as stream,
        tarfile.open(fileobj=stream, mode="r|") as archive,
    ):
        for member in archive:
            if member.name in wanted and (found := archive.extractfile(member)):
                entries.append(file(member.name, found.read() + f"{wanted[member.name]}\n".encode()))
    return entries
