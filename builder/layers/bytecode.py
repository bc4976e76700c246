"""Bytecode for an image, compiled by the image's own interpreter.

The interpreter is taken out of the base layer and run through the base's own dynamic loader: no root, no container,
and never the host's Python. Python 3.11.2 and 3.11.7 have one magic number and still compile some files differently.
"""

import marshal
import posixpath
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from builder import scratch
from builder.errors import SeedbedError
from builder.files import check_sha256, sha256
from builder.layers.install import Target, Wheel, installed_files
from builder.layers.parts import cpus
from builder.oci.store import Layer, Store
from builder.oci.tar import Entry, file, layer_key, opened, write_layer

COMPILER = Path(__file__).with_name("compiler.py")

ENVIRONMENT = {"LC_ALL": "C"}
"""With no locale set, Python would load the host's C.UTF-8."""

FILES_A_PROCESS = 100
"""From Python 3.12 on, bytecode depends on what the process compiled before it
(https://github.com/python/cpython/issues/78274): each process gets so many files, in the order of their paths."""


def bytecode_layers(
    groups: Mapping[str, Sequence[Wheel]],
    target: Target,
    interpreter: "Interpreter",
    *,
    store: Store,
    epoch: int,
    level: int,
    made: Callable[[Layer], object] = lambda layer: None,
) -> list[Layer]:
    """One layer of `__pycache__` folders for each group of wheels, in the order given; the keys say what each is.

    `made` is told of each layer as soon as it is there. Raises SeedbedError as `bytecode` does, or where a wheel is not
    as its RECORD says.
    """

    def make(wheels: Sequence[Wheel], what: str) -> Layer:
        entries = bytecode(modules_of(wheels, target), interpreter)
        return write_layer(store, entries, epoch=epoch, level=level, what=what)

    layers = []
    for what, wheels in groups.items():
        key = key_of(wheels, interpreter.base, target, epoch, level)
        layers.append(store.layer(key, partial(make, wheels, what), what=what))
        made(layers[-1])
    return layers


def bytecode(files: Iterable[Entry], interpreter: "Interpreter") -> list[Entry]:
    """The `__pycache__` entries of those files that are Python's; files of wheels are not read before this.

    Sources that do not compile get none. Raises SeedbedError where the base has no such interpreter.
    """
    sources = sorted((entry for entry in files if entry.path.endswith(".py")), key=lambda entry: entry.path)
    chunks = [sources[start : start + FILES_A_PROCESS] for start in range(0, len(sources), FILES_A_PROCESS)]
    with ThreadPoolExecutor(cpus()) as pool:
        return [entry for entries in pool.map(partial(compiled, interpreter.command), chunks) for entry in entries]


def compiler_key() -> list[object]:
    """What bytecode depends on beside its sources and the base: part of the key of every layer that holds some."""
    return [sha256(COMPILER), FILES_A_PROCESS]


@contextmanager
def interpreter_of(base: Layer, store: Store, python: str) -> Iterator["Interpreter"]:
    """The interpreter in a base layer, /usr/bin/python{python}, until the block ends."""
    # Not in /tmp, from which hardened machines let nobody run a program.
    with scratch.folder(store.root) as folder:
        yield Interpreter(base, store.blob(base.descriptor.digest), python, folder)


@dataclass(frozen=True)
class Interpreter:
    """The Python of a base layer, whose file is `layer`, unpacked into the folder as soon as it is needed."""

    base: Layer
    layer: Path
    python: str
    folder: Path

    @cached_property
    def root(self) -> Path:
        """The folder with the interpreter, its standard library and the libraries it is linked with.

        Raises SeedbedError if the layer is not what its digest says: what is in it runs here.
        """
        check_sha256(self.layer, self.layer.name, "the base's layer")
        with opened(self.layer) as tar:
            if hasattr(tarfile, "tar_filter"):  # bookworm's own Python has none yet
                tar.extraction_filter = tarfile.tar_filter
            tar.extractall(self.folder, (member for member in tar if self._needs(member)))
        return self.folder

    @cached_property
    def command(self) -> list[str]:
        """What runs the interpreter with nothing of the host's but its kernel."""
        binary = self.root / "usr" / "bin" / f"python{self.python}"
        loader = next(self.root.glob("usr/lib/*-linux-gnu/ld-linux*.so.*"), None)
        if loader is None or not binary.exists():
            raise SeedbedError(
                f"expected /usr/bin/python{self.python} in the base layer, found none in {self.layer}: "
                f"add python{self.python} to the base's packages"
            )
        return [str(loader), "--library-path", str(loader.parent), str(binary), "-I", "-S", "-B", "-W", "ignore"]

    def _needs(self, member: tarfile.TarInfo) -> bool:
        """The interpreter and its libraries: files, and links to a neighbour, since no other link is among them."""
        folder, base = posixpath.split(member.name)
        return (
            member.name == f"usr/bin/python{self.python}"
            or folder.startswith(f"usr/lib/python{self.python}")
            or (posixpath.dirname(folder) == "usr/lib" and folder.endswith("-linux-gnu") and ".so" in base)
        ) and (member.isreg() or (member.issym() and "/" not in member.linkname))


def modules_of(wheels: Iterable[Wheel], target: Target) -> list[Entry]:
    """What `wheels` install below site-packages, each path once."""
    modules = target.folder("purelib", "").lstrip("/") + "/"
    entries = [file.entry for wheel in wheels for file in installed_files(wheel, target)]
    return list({entry.path: entry for entry in entries if entry.path.startswith(modules)}.values())


def compiled(command: Sequence[str], files: Sequence[Entry]) -> list[Entry]:
    request = marshal.dumps([(f"/{source.path}", b"".join(source.content())) for source in files], 2)
    done = subprocess.run([*command, COMPILER], input=request, capture_output=True, env=ENVIRONMENT, check=False)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().rpartition("\n")[2] or f"exit status {done.returncode}"
        raise SeedbedError(f"could not compile {files[0].path} to {files[-1].path} with the base's Python: {reason}")
    cache_tag, codes = marshal.loads(done.stdout)
    found = zip(files, codes, strict=True)
    return [file(path_of_bytecode(source.path, cache_tag), code) for source, code in found if code is not None]


def path_of_bytecode(source: str, cache_tag: str) -> str:
    folder, base = posixpath.split(source)
    return f"{folder}/__pycache__/{base.removesuffix('.py')}.{cache_tag}.pyc"


def key_of(wheels: Sequence[Wheel], base: Layer, target: Target, epoch: int, level: int) -> str:
    inputs = {
        "wheels": sorted(wheel.sha256 for wheel in wheels),
        "base": base.diff_id,
        "target": [target.prefix, target.python],
        "compiler": compiler_key(),
        "epoch": epoch,
        "level": level,
    }
    return layer_key("bytecode", inputs)
