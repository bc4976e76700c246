"""What a build in a container leaves on this host: records, locks, images; and what it is not asked to do again."""

import io
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from builder.cli import workplace
from builder.cli.main import seedbed
from builder.cli.workplace import Here, There
from builder.engine import throwaway
from builder.engine.throwaway import Debian
from builder.errors import SeedbedError
from builder.image import assemble, build, kits, record
from builder.image.build import Options
from builder.image.recipe import Recipe, resolve_all
from builder.image.record import LayerRecord, Record
from builder.layers.base import folder_of_packages
from builder.oci.store import Descriptor
from builder.outcomes import Result
from tests.conftest import TINY
from tests.kits import package, recipe_of

BLOBS = (b"manifest", b"config", b"layer")
MANIFEST, CONFIG, LAYER = (Descriptor.of(blob, "").digest for blob in BLOBS)
PASSED = (Result(check="a", outcome="passed", seconds=0),)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def recipe() -> Recipe:
    return resolve_all(TINY, ["tiny"])[0]


def record_of(recipe: Recipe, digest: str = MANIFEST, **others: Any) -> Record:
    layers = (LayerRecord(digest=LAYER, size=5, what="all"),)
    facts = {
        "image": "tiny",
        "inputs": build.inputs_of(recipe),
        "lock": recipe.lock,
        "digest": digest,
        "config": CONFIG,
    }
    return Record(**facts, layers=layers, unpacked=1, seconds=1, **others)


class Container:
    """Holds files, and notes the commands that it is given."""

    def __init__(self, files: dict[str, bytes], status: int = 0) -> None:
        self.files, self.status, self.ran = files, status, []

    def build_py(self, *arguments: str) -> int:
        self.ran.append(arguments)
        return self.status

    @contextmanager
    def opened(self, path: str) -> Any:
        yield io.BytesIO(self.files[path])

    def read(self, path: str) -> bytes:
        return self.files[path]


def there(monkeypatch: pytest.MonkeyPatch, container: Container, *known: str) -> There:
    """A workplace in that container, of an engine that has these images."""

    @contextmanager
    def started(*_: object) -> Any:
        yield container

    monkeypatch.setattr(throwaway, "throwaway", started)
    engine = SimpleNamespace(find=lambda *digests: next((digest for digest in digests if digest in known), None))
    return There(engine, TINY, Debian("debian", "bookworm"), ExitStack())


def holding(recipe: Recipe, built: Record) -> Container:
    blobs = {
        f"{throwaway.STORE}/blobs/{digest.replace(':', '/')}": blob
        for digest, blob in zip((MANIFEST, CONFIG, LAYER), BLOBS, strict=True)
    }
    name = record.path_of(build.inputs_of(recipe)).name
    return Container({**blobs, f"{throwaway.STORE}/records/{name}": built.model_dump_json().encode()})


def test_the_record_comes_out_for_smoke_and_list(recipe, monkeypatch):
    container = holding(recipe, record_of(recipe))
    place = there(monkeypatch, container)
    place.build(recipe, Options(locked=True, cached=False))
    assert container.ran == [("--catalog", "/seedbed/tests/images", "build", "tiny", "--locked", "--no-cache")]
    assert build.find(recipe) == record_of(recipe)


@pytest.mark.parametrize(("digest", "kept"), [(MANIFEST, PASSED), (f"sha256:{'0' * 64}", ())])
def test_what_passed_stays_tested_and_another_image_does_not(digest, kept, recipe, monkeypatch):
    record_of(recipe, smoke=PASSED).save()
    built = there(monkeypatch, holding(recipe, record_of(recipe, digest))).build(recipe, Options())
    assert built.smoke == kept


@pytest.mark.parametrize(
    ("engines", "options", "started"),
    [
        ((CONFIG,), Options(), False),
        ((), Options(), True),  # the engine is to be given the image again
        ((MANIFEST,), Options(cached=False), True),
    ],
)
def test_where_nothing_changed_no_container_is_started(engines, options, started, recipe, monkeypatch):
    record_of(recipe).save()
    container = holding(recipe, record_of(recipe))
    there(monkeypatch, container, *engines).build(recipe, options)
    assert bool(container.ran) == started


def test_the_image_is_brought_for_output_and_push(recipe, monkeypatch):
    place = there(monkeypatch, holding(recipe, record_of(recipe)))
    place.bring(record_of(recipe))
    assert [assemble.store().blob(digest).read_bytes() for digest in (MANIFEST, CONFIG, LAYER)] == list(BLOBS)


def test_a_blob_that_is_damaged_there_is_not_taken_for_the_image(recipe, monkeypatch):
    container = holding(recipe, record_of(recipe))
    container.files |= {path: b"damaged" for path in container.files if path.endswith(LAYER.removeprefix("sha256:"))}
    with pytest.raises(SeedbedError, match=f"expected {LAYER}, found sha256:"):
        there(monkeypatch, container).bring(record_of(recipe))
    assert not assemble.store().blob(LAYER).exists()


def test_the_lock_comes_out_into_the_checkout(folder, load, monkeypatch):
    [base] = load().bases.values()
    container = Container({"/catalog/base/packages.lock": b"locked\n"})
    place = there(monkeypatch, container)
    place.root = folder
    place.lock(base, "2026-11-20T00:00:00Z")
    assert container.ran == [("--catalog", "/catalog", "lock", "base", "--cutoff", "2026-11-20")]
    assert base.lock_path.read_bytes() == b"locked\n"


@pytest.mark.parametrize(("options", "times"), [((), 0), (("--check",), 1)], ids=["made there", "checked here"])
def test_that_a_lock_is_fresh_is_said_where_it_is_found_out(folder, monkeypatch, capsys, options, times):
    """The command in the container says so itself."""

    @contextmanager
    def elsewhere(root: Path, _: object) -> Any:
        place = there(
            monkeypatch, Container({"/catalog/base/packages.lock": (root / "base/packages.lock").read_bytes()})
        )
        place.root = root
        yield place

    monkeypatch.setattr("builder.cli.make.workplace", elsewhere)
    with pytest.raises(SystemExit) as ended:
        seedbed.main(["--catalog", str(folder), "lock", "base", *options])
    assert not ended.value.code
    assert capsys.readouterr().err.count("base: packages.lock is fresh") == times


def test_a_failure_there_is_said_once_and_its_status_is_ours(recipe, monkeypatch, capsys):
    @contextmanager
    def failing(*_: object) -> Any:
        yield there(monkeypatch, Container({}, status=2))

    monkeypatch.setattr("builder.cli.make.workplace", failing)
    with pytest.raises(SystemExit) as ended:
        seedbed.main(["--catalog", str(TINY), "build", "tiny"])
    assert ended.value.code == 2
    assert "seedbed:" not in capsys.readouterr().err


def test_an_engine_is_the_choice_between_here_and_there(recipe, monkeypatch):
    for engine, kind in ((None, Here), ("an engine", There)):
        monkeypatch.setattr(throwaway, "chosen", lambda engine=engine: engine)
        with workplace.workplace(TINY, [recipe.base]) as place:
            assert isinstance(place, kind)


# ---- packages for a rebuild kit ------------------------------------------------------------------------------------


@pytest.fixture
def packages(recipe: Recipe) -> tuple[Recipe, dict[str, bytes]]:
    """The recipe with two packages alone, and their files in a container; one of them is in this host's cache."""
    here, there = package("tini", b"init"), package("mmdebstrap", b"perl")
    (folder_of_packages() / f"{there.sha256}.deb").unlink()
    return recipe_of(recipe, there, here), {f"{throwaway.STORE}/packages/{there.sha256}.deb": b"perl"}


def test_packages_come_out_of_the_container_into_this_hosts_cache(monkeypatch, packages):
    recipe, files = packages
    container = Container(files)
    there(monkeypatch, container).bring_packages(recipe)
    assert container.ran == [("--catalog", "/seedbed/tests/images", "kit", "tiny", "--output", "/tmp/kit")]
    assert kits.missing_packages(recipe) == []


def test_a_package_that_comes_out_with_other_bytes_is_refused_by_name(monkeypatch, packages):
    recipe, files = packages
    with pytest.raises(SeedbedError, match=r"^mmdebstrap=1\.0-1: the container has "):
        there(monkeypatch, Container(dict.fromkeys(files, b"evil"))).bring_packages(recipe)
    assert kits.missing_packages(recipe) == [recipe.packages.mmdebstrap]


@pytest.mark.parametrize(("tests", "options"), [(False, ()), (True, ("--smoke",))])
def test_what_builds_in_a_container_need_is_fetched_there(monkeypatch, recipe, tests, options):
    container = Container({})
    there(monkeypatch, container).fetch(recipe, tests=tests)
    assert container.ran == [("--catalog", "/seedbed/tests/images", "fetch", "tiny", *options)]
