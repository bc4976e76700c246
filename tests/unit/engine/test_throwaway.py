"""The container that builds run in, seen from an engine that is none: what it gets, and what it does not get."""

import io
import subprocess
import tarfile
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from builder import files, network, paths
from builder.debian import archive, bootstrap
from builder.engine import client, reach, throwaway
from builder.engine.containers import Files, packed, streamed
from builder.engine.throwaway import Debian
from builder.errors import SeedbedError, UsageError

SECRET = "https://me:hunter2@index.example.org/simple"


class Container:
    """Notes what is done to it."""

    id = "c"
    status = "running"

    def __init__(self, apt: tuple[int, bytes]) -> None:
        self.apt, self.done = apt, []

    def exec_run(self, command: list[str]) -> Any:
        self.done.append(command[-1] if command[0] == "sh" else " ".join(command))
        status, output = self.apt if command[0] == "sh" else (0, b"")
        return SimpleNamespace(exit_code=status, output=output)

    def put_archive(self, folder: str, chunks: Any) -> None:
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            self.given = {f"{folder}/{each.name}": archive.extractfile(each).read() for each in archive}

    def commit(self, repository: str, tag: str) -> None:
        self.done.append(f"commit {repository}:{tag}")

    def attach_socket(self, params: Any) -> Any:
        return SimpleNamespace(close=lambda: self.done.append("let go"))


class Engine:
    """Has these images; starts containers that do nothing."""

    def __init__(self, *images: str, apt: tuple[int, bytes] = (0, b""), pull: str = "connection refused") -> None:
        self.images, self.apt, self.pull, self.containers, self.options = set(images), apt, pull, [], {}
        self.client = SimpleNamespace(images=self, api=None)

    def get(self, name: str) -> Any:
        return SimpleNamespace(id=f"sha256:{name}")

    def has(self, image: str) -> bool:
        return image in self.images

    def try_pull(self, image: str, *, platform: str) -> str:
        return self.pull

    def sweep(self) -> None: ...

    @contextmanager
    def started(self, image: str, command: list[str], **options: Any) -> Any:
        self.options = options
        self.containers.append(Container(self.apt))
        yield SimpleNamespace(container=self.containers[-1])
        self.images |= {name for step in self.containers[-1].done if (name := step.removeprefix("commit ")) != step}

    def steps(self) -> list[str]:
        return [step for container in self.containers for step in container.done]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose Python index and proxy are secrets."""
    monkeypatch.setenv("PIP_INDEX_URL", SECRET)
    monkeypatch.setenv("HTTPS_PROXY", "http://me:it's secret@proxy.example.org")


# ---- where builds run ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "trouble", "answers", "inside"),
    [
        ("", None, True, False),
        ("", "not root", True, True),
        ("", "not root", False, False),  # and there it fails, with a line that names both ways
        ("host", "not root", True, False),
        ("container", None, True, True),
    ],
)
def test_builds_run_in_a_container_where_the_host_cannot(choice, trouble, answers, inside, monkeypatch):
    monkeypatch.setenv("SEEDBED_BUILD_IN", choice)
    monkeypatch.setattr(bootstrap, "trouble", lambda: trouble)
    monkeypatch.setattr(client, "running", lambda: "an engine" if answers else None)
    monkeypatch.setattr(client, "connect", lambda: "an engine")
    assert throwaway.chosen() == ("an engine" if inside else None)


def test_a_place_that_is_none_is_a_wrong_request(monkeypatch):
    monkeypatch.setenv("SEEDBED_BUILD_IN", "docker")
    with pytest.raises(UsageError, match="SEEDBED_BUILD_IN=docker: expected host or container"):
        throwaway.chosen()


def test_where_no_engine_answers_the_line_names_both_ways(monkeypatch):
    monkeypatch.setattr(archive, "host_supported", lambda: "this needs root: run it with sudo")
    with pytest.raises(SeedbedError, match=r"needs root: run it with sudo.*or start Docker"):
        bootstrap.check_host()


def test_each_cache_has_a_volume_of_its_own(monkeypatch, tmp_path):
    names = []
    for cache in ("one", "two", "one"):
        monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / cache))
        names.append(throwaway.volume())
    assert names[0] == names[2] != names[1]


# ---- what the container gets ---------------------------------------------------------------------------------------


def test_the_container_has_no_privilege_no_folder_of_the_host_and_no_variable(host):
    engine = Engine("debian")
    with throwaway.throwaway(engine, Debian("debian", "bookworm"), paths.IMAGES):
        options = engine.options
    assert options["cap_drop"] == ["ALL"] and not {"SYS_ADMIN", "NET_ADMIN"} & set(options["cap_add"])
    assert options["security_opt"] == ["no-new-privileges"]
    assert list(options["volumes"]) == [throwaway.volume()], "a volume's name, and no path"
    assert not {"environment", "privileged", "network_mode", "pid_mode", "devices"} & options.keys()
    assert options["use_config_proxy"] is False, "Docker's own proxies would be variables"


def test_addresses_with_passwords_are_in_one_file_that_a_shell_reads(host, tmp_path):
    given = reach.files("bookworm")
    holding = [path for path, content in given.items() if isinstance(content, bytes) and b"hunter2" in content]
    assert holding == [reach.VARIABLES]
    script = tmp_path / "variables"
    script.write_bytes(given[reach.VARIABLES])
    said = subprocess.run(
        ["sh", "-c", f'. {script}; echo "$PIP_INDEX_URL $HTTPS_PROXY"'], env={}, capture_output=True, text=True
    )
    assert said.stdout == f"{SECRET} http://me:it's secret@proxy.example.org\n"


def test_a_private_authority_is_believed_by_apt_pip_and_python(monkeypatch, tmp_path):
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    monkeypatch.setattr(network, "ca_bundle", lambda: bundle)
    given = reach.files("bookworm")
    assert given[reach.BUNDLE] == bundle
    assert reach.BUNDLE.encode() in given[f"{reach.GIVEN}/apt.conf"]
    assert given[reach.VARIABLES].count(f"={reach.BUNDLE}\n".encode()) == 3


def test_a_debian_host_passes_its_sources_on_and_another_leaves_the_images_own(monkeypatch):
    monkeypatch.setattr(reach, "sources_text", lambda suite: f"Suites: {suite}\n")
    assert b"Suites: bookworm\n" in reach.sources("bookworm").values()

    def refuse(suite: str) -> str:
        raise SeedbedError("no Debian")

    monkeypatch.setattr(reach, "sources_text", refuse)
    assert reach.sources("bookworm") == {}
    assert b"Dir::Etc" not in reach.files("bookworm")[f"{reach.GIVEN}/apt.conf"]


def test_a_rebuild_kit_goes_along(monkeypatch, tmp_path):
    """It is sent piece by piece: it may be larger than the memory."""
    (tmp_path / "kit.tar").write_bytes(b"kit" * 1_000_000)
    monkeypatch.setenv("SEEDBED_KIT", str(tmp_path / "kit.tar"))
    engine = Engine("debian")
    with throwaway.throwaway(engine, Debian("debian", "bookworm"), paths.IMAGES) as container:
        assert container.running.container.given == {reach.KIT: b"kit" * 1_000_000}
    assert f"export SEEDBED_KIT={reach.KIT}\n".encode() in reach.files("bookworm")[reach.VARIABLES]
    assert max(map(len, streamed("kit.tar", tmp_path / "kit.tar"))) <= 1 << 20


def test_a_rebuild_kit_that_is_a_folder_is_refused_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("SEEDBED_KIT", str(tmp_path))
    with pytest.raises(UsageError, match=f"^SEEDBED_KIT={tmp_path}: expected a file, for builds run in a container"):
        reach.files("bookworm")


def members(files: Files) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(packed(files))) as archive:
        return archive.getmembers()


def test_the_checkout_goes_along_without_what_was_made_in_it(tmp_path):
    parts = throwaway.checkout(tmp_path)
    names = [member.name for member in members(parts)]
    assert {"seedbed/build.py", "seedbed/builder/paths.py", "catalog"} <= set(names)
    assert not [name for name in names if "/.venv" in name or "/.git" in name or "__pycache__" in name]
    assert not [name for name in names if name.startswith("seedbed/images")], "another catalog was asked for"


def test_a_catalog_of_the_checkout_keeps_its_place():
    assert throwaway.catalog_in(paths.ROOT / "tests" / "images") == "/seedbed/tests/images"


def test_files_put_into_a_container_are_roots():
    [member] = members({"/build.py": paths.ROOT / "build.py"})
    assert (member.uid, member.gid, member.mode) == (0, 0, 0o755)


# ---- what it starts from -------------------------------------------------------------------------------------------


def test_packages_are_installed_once_and_what_was_given_stays_out_of_the_image():
    engine = Engine("debian")
    name = throwaway.prepared(engine, "debian", {})
    assert engine.steps() == [throwaway.INSTALL, f"rm -r {reach.GIVEN}", f"commit {name}", "let go"]
    assert throwaway.prepared(engine, "debian", {}) == name
    assert len(engine.containers) == 1


def test_another_debian_is_another_image_to_start_from():
    assert len({throwaway.prepared(Engine("a", "b"), name, {}) for name in ("a", "b")}) == 2


def test_where_apt_fails_nothing_is_kept_and_its_reason_is_one_line():
    engine = Engine("debian", apt=(100, b"Get:1\nE: Could not resolve 'archive.example'\n"))
    with pytest.raises(SeedbedError, match=r"^debian: apt-get failed in it: Could not resolve 'archive\.example'$"):
        throwaway.prepared(engine, "debian", {})
    assert engine.steps() == [throwaway.INSTALL, "let go"]


def test_a_debian_that_can_not_be_pulled_is_named_with_what_to_do():
    with pytest.raises(SeedbedError, match=r"^debian@sha256:0: cannot be pulled \(connection.*SEEDBED_DEBIAN_IMAGE"):
        throwaway.prepared(Engine(), "debian@sha256:0", {})


def test_another_image_of_debian_may_be_named(monkeypatch):
    monkeypatch.setenv("SEEDBED_DEBIAN_IMAGE", "mine")
    with throwaway.throwaway(Engine("mine"), Debian("debian@sha256:0", "bookworm"), paths.IMAGES) as container:
        assert container.engine.containers


# ---- inside --------------------------------------------------------------------------------------------------------


def test_inside_mmdebstrap_is_confined_by_the_container_alone(monkeypatch):
    """Control: without the variable that the container sets it has namespaces of its own."""
    assert "--net" in bootstrap.confinement()
    monkeypatch.setenv(*next(item for item in throwaway.SETTINGS.items() if item[0] == paths.THROWAWAY))
    assert bootstrap.confinement() == bootstrap.ENDS_WITH_US


class Streams:
    """An engine's API whose commands write this and end so."""

    def __init__(self, chunks: list[tuple[bytes | None, bytes | None]], status: int | None) -> None:
        self.chunks, self.status = chunks, status

    def exec_create(self, container: str, command: list[str], **options: Any) -> dict[str, str]:
        return {"Id": "e"}

    def exec_start(self, made: str, **options: Any) -> Any:
        return iter(self.chunks)

    def exec_inspect(self, made: str) -> dict[str, int | None]:
        return {"ExitCode": self.status}


def ran(streams: Streams, status: str = "running") -> int:
    container = SimpleNamespace(id="c", status=status, reload=lambda: None)
    engine = SimpleNamespace(client=SimpleNamespace(api=streams))
    return throwaway.Throwaway(engine, SimpleNamespace(container=container)).build_py("verify", "tiny")


def test_streams_and_exit_status_are_passed_through(capsys):
    assert ran(Streams([(None, b"building\n"), (b'{"equal"', None), (b": false}\n", None)], 1)) == 1
    assert capsys.readouterr() == ('{"equal": false}\n', "building\n")


def test_a_letter_that_comes_in_two_pieces_is_one_letter(capsys):
    ran(Streams([("ü".encode()[:1], None), ("ü".encode()[1:], None)], 0))
    assert capsys.readouterr().out == "ü"


@pytest.mark.parametrize(("code", "status"), [(137, "running"), (1, "exited"), (None, "running")])
def test_a_container_that_is_killed_is_one_line(code, status):
    with pytest.raises(SeedbedError, match="the container of the build was ended by somebody else"):
        ran(Streams([], code), status)


def test_inside_a_full_disk_is_dockers(monkeypatch, tmp_path):
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path))
    assert "set SEEDBED_CACHE to a larger disk" in files.no_space(paths.cache())
    monkeypatch.setenv(paths.THROWAWAY, "1")
    assert "give Docker a larger disk" in files.no_space(paths.cache())
