"""Bytecode: compiled by the base's own interpreter, and a function of the sources alone."""

import importlib.util
import io
import marshal
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from builder import scratch
from builder.errors import SeedbedError
from builder.layers import bytecode as module
from builder.layers.bytecode import Interpreter, bytecode, bytecode_layers, interpreter_of
from builder.layers.install import Target, Wheel
from builder.oci.store import Layer, Store
from builder.oci.tar import Entry, file, opened, symlink, write_layer
from tests.wheels import Recipe

EPOCH = 1_700_000_000
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
TAG = sys.implementation.cache_tag


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


@pytest.fixture(scope="session")
def interpreter() -> list[Entry]:
    """This test's own Python, laid out as a Debian base has it."""
    binary = os.path.realpath(sys.executable)
    linked = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    libraries = {Path(path) for path in re.findall(r"(/\S+) \(0x", linked)}
    entries = [file(f"usr/bin/python{PYTHON}", Path(binary).read_bytes(), mode=0o755)]
    entries += [
        file(f"usr/lib/x86_64-linux-gnu/{path.name}", path.read_bytes(), mode=0o755) for path in sorted(libraries)
    ]
    modules = Path(sysconfig.get_path("stdlib"))
    for pattern in ("*.py", "encodings/*.py", "importlib/*.py", "collections/*.py"):
        entries += [
            file(f"usr/lib/python{PYTHON}/{path.relative_to(modules)}", path.read_bytes())
            for path in modules.glob(pattern)
        ]
    return entries


@pytest.fixture
def base(store, interpreter) -> Layer:
    return write_layer(store, interpreter, epoch=EPOCH, level=1, what="base")


@pytest.fixture
def compiled(store, base) -> Callable[[list[Entry]], dict[str, bytes]]:
    """The bytecode of these files, by path."""

    def compiled(files: list[Entry], base: Layer = base) -> dict[str, bytes]:
        with interpreter_of(base, store, PYTHON) as interpreter:
            return {entry.path: b"".join(entry.content()) for entry in bytecode(files, interpreter)}

    return compiled


@pytest.fixture
def wheel(tmp_path: Path) -> Wheel:
    return Recipe(files={"demo/one.py": b"x = 1\n", "demo/data.txt": b""}).make(tmp_path)


def layer(store: Store, base: Layer, *wheels: Wheel) -> Layer:
    with interpreter_of(base, store, PYTHON) as interpreter:
        return layer_by(interpreter, store, *wheels)


def layer_by(interpreter: Interpreter, store: Store, *wheels: Wheel) -> Layer:
    target = Target("/opt/venv", PYTHON)
    [made] = bytecode_layers({"bytecode": wheels}, target, interpreter, store=store, epoch=EPOCH, level=1)
    return made


def contents(store: Store, layer: Layer) -> dict[str, bytes]:
    with store.blob(layer.descriptor.digest).open("rb") as blob:
        data = zstandard.ZstdDecompressor().stream_reader(blob).read()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive if member.isreg()}


SOURCES = [
    file("opt/app/one.py", b"WORDS = {'a', 'b'} | frozenset('xyz')\ndef f():\n    return 'one'\n"),
    file("opt/app/two.py", b"from one import f\n"),
]


def test_bytecode_is_found_beside_its_source_and_believed_as_long_as_that_is_not_edited(compiled, tmp_path):
    pycs = compiled(SOURCES)
    assert list(pycs) == [f"opt/app/__pycache__/{name}.{TAG}.pyc" for name in ("one", "two")]
    pyc = pycs[f"opt/app/__pycache__/one.{TAG}.pyc"]
    source = b"".join(SOURCES[0].content())
    assert pyc[:4] == importlib.util.MAGIC_NUMBER
    assert int.from_bytes(pyc[4:8], "little") == 0b11, "hash-based, checked"
    assert pyc[8:16] == importlib.util.source_hash(source)
    assert marshal.loads(pyc[16:]).co_filename == "/opt/app/one.py"

    for path, data in pycs.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    # The mark of bytecode that was read: it says something else than its source.
    path = tmp_path / f"opt/app/__pycache__/one.{TAG}.pyc"
    path.write_bytes(pyc.replace(b"\x03one", b"\x03ONE"))
    (tmp_path / "opt/app/one.py").write_bytes(source)
    assert said_by_one(tmp_path) == "ONE\n"
    (tmp_path / "opt/app/one.py").write_text("def f(): return 'two'")
    os.utime(tmp_path / "opt/app/one.py", (EPOCH, EPOCH))
    assert said_by_one(tmp_path) == "two\n"


def said_by_one(root: Path) -> str:
    command = [sys.executable, "-B", "-c", "import one; print(one.f())"]
    return subprocess.run(command, cwd=root / "opt/app", capture_output=True, text=True, check=True).stdout


def test_the_order_of_sources_and_the_number_of_cpus_do_not_matter(compiled, monkeypatch):
    many = [file(f"opt/app/m{number}.py", f"X = {number}, 'x{number % 7}'\n".encode()) for number in range(300)]
    first = compiled(many)
    monkeypatch.setattr(module, "cpus", lambda: 1)
    assert compiled(many[::-1]) == first


def test_debian_bookworms_own_python_unpacks_the_interpreter_too(compiled, monkeypatch):
    """Python 3.11.2: tarfile knows no filters yet."""
    unpack = tarfile.TarFile.extractall
    monkeypatch.delattr(tarfile, "tar_filter")
    monkeypatch.setattr(tarfile.TarFile, "extractall", lambda tar, path, members: unpack(tar, path, members))
    assert compiled([file("opt/app/one.py", b"x = 1\n")])


def test_what_does_not_compile_has_no_bytecode(compiled):
    broken = [
        file("a/python2.py", b"print 'hi'\n"),
        file("a/null.py", b"\0"),
        file("a/latin.py", b"# \xe9\nx = '\xe9'\n"),
        file("a/deep.py", b"(" * 3000 + b")" * 3000),
        file("a/good.py", b"x = 1\n"),
    ]
    assert list(compiled(broken)) == [f"a/__pycache__/good.{TAG}.pyc"]


def test_only_python_files_are_compiled(compiled):
    files = [file("a/run", b"#!python\n"), file("a/data.txt", b"x = 1\n"), file("a/x.py", b"")]
    assert list(compiled(files)) == [f"a/__pycache__/x.{TAG}.pyc"]


def test_a_layer_holds_the_bytecode_of_what_its_wheels_install(store, base, wheel):
    folder = f"opt/venv/lib/python{PYTHON}/site-packages/demo"
    assert list(contents(store, layer(store, base, wheel))) == [f"{folder}/__pycache__/one.{TAG}.pyc"]


def test_nothing_of_the_host_is_loaded(compiled, tmp_path, monkeypatch):
    spy = tmp_path / "compiler.py"
    spy.write_text(
        "import os, sys\n"
        "root = sys.executable.partition('/usr/bin/')[0]\n"
        "mapped = {line.split()[-1] for line in open('/proc/self/maps') if '/' in line} | {os.__file__}\n"
        "raise SystemExit(f'{len(mapped) > 2} {[path for path in mapped if not path.startswith(root)]}')"
    )
    monkeypatch.setattr(module, "COMPILER", spy)
    with pytest.raises(SeedbedError, match=r": True \[\]$"):
        compiled(SOURCES)


def test_another_base_has_its_bytecode_made_anew(store, base, wheel):
    layer(store, base, wheel)
    other = write_layer(store, [file("etc/issue", b"")], epoch=EPOCH, level=1, what="another base")
    with pytest.raises(SeedbedError):
        layer(store, other, wheel)


def test_a_base_without_the_interpreter_is_refused_and_told_what_to_add(store, compiled):
    base = write_layer(store, [file("etc/issue", b"")], epoch=EPOCH, level=1, what="base")
    with pytest.raises(SeedbedError, match=rf"expected /usr/bin/python{re.escape(PYTHON)} in the base layer"):
        compiled(SOURCES, base)


def test_an_interpreter_that_fails_is_an_error_and_leaves_no_layer(store, base, wheel, tmp_path, monkeypatch):
    failing = tmp_path / "compiler.py"
    failing.write_text("raise SystemExit('out of luck')")
    monkeypatch.setattr(module, "COMPILER", failing)
    before = sorted(store.root.rglob("*"))
    with pytest.raises(SeedbedError, match=r"could not compile \S+/demo/one\.py to \S+/demo/one\.py .*: out of luck"):
        layer(store, base, wheel)
    assert sorted(path for path in store.root.rglob("*") if path.name != scratch.NAME) == before


def test_bytecode_that_is_known_takes_no_work(store, base, wheel):
    first = layer(store, base, wheel)
    store.blob(base.descriptor.digest).unlink()
    assert layer(store, base, wheel) == first


def test_one_interpreter_is_unpacked_once_for_all_that_it_compiles(store, base, wheel, monkeypatch):
    read = []
    monkeypatch.setattr(module, "opened", lambda layer: read.append(layer) or opened(layer))
    with interpreter_of(base, store, PYTHON) as interpreter:
        assert read == [], "before there is anything to compile"
        layer_by(interpreter, store, wheel)
        assert bytecode(SOURCES, interpreter)
    assert read == [store.blob(base.descriptor.digest)]


def test_another_compiler_makes_bytecode_anew(store, base, wheel, tmp_path, monkeypatch):
    layer(store, base, wheel)
    other = tmp_path / "compiler.py"
    other.write_text("raise SystemExit('asked')")
    monkeypatch.setattr(module, "COMPILER", other)
    with pytest.raises(SeedbedError, match="asked"):
        layer(store, base, wheel)


def test_a_link_in_the_base_does_not_bring_in_a_file_of_the_host(store, compiled, interpreter, tmp_path, monkeypatch):
    of_the_host, path = tmp_path / "host.py", f"usr/lib/python{PYTHON}/sitecustomize.py"
    of_the_host.write_text("x = 1\n")
    base = write_layer(store, [*interpreter, symlink(path, str(of_the_host))], epoch=EPOCH, level=1, what="base")
    spy = tmp_path / "compiler.py"
    spy.write_text(
        "import os, sys\n"
        "root = sys.executable.partition('/usr/bin/')[0]\n"
        f"raise SystemExit(f'{{os.path.lexists(os.__file__)}} {{os.path.lexists(root + \"/{path}\")}}')"
    )
    monkeypatch.setattr(module, "COMPILER", spy)
    with pytest.raises(SeedbedError, match=r": True False$"):
        compiled(SOURCES, base)


def test_sources_are_compiled_in_the_order_of_their_paths(compiled, tmp_path, monkeypatch):
    """From Python 3.12 on, bytecode depends on it."""
    spy = tmp_path / "compiler.py"
    spy.write_text("import marshal, sys\nraise SystemExit(str([path for path, _ in marshal.load(sys.stdin.buffer)]))")
    monkeypatch.setattr(module, "COMPILER", spy)
    for files in (SOURCES, SOURCES[::-1]):
        with pytest.raises(SeedbedError, match=r": \['/opt/app/one\.py', '/opt/app/two\.py'\]"):
            compiled(files)


def test_an_interpreter_that_is_not_what_its_digest_says_does_not_run(store, base, compiled, interpreter):
    other = write_layer(store, [*interpreter, file("planted", b"")], epoch=EPOCH, level=1, what="another")
    store.blob(other.descriptor.digest).replace(store.blob(base.descriptor.digest))
    with pytest.raises(
        SeedbedError, match=rf"expected sha256 {base.descriptor.digest[7:]}, found .*, which is now deleted: run"
    ):
        compiled(SOURCES, base)
