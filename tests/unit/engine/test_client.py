"""What is asked of an engine and how, seen from an engine that is none."""

import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker
import pytest
import requests
from docker.errors import NotFound

from builder import paths
from builder.engine import client, doctor
from builder.engine.building import Digests, digests_in
from builder.engine.client import Engine
from builder.engine.containers import LEASE
from builder.errors import SeedbedError, UsageError
from builder.outcomes import Finished


class Client:
    """Answers as the SDK's client does."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.images = self

    def info(self) -> Any:
        return self.answers["info"]

    def get(self, name: str) -> Any:
        raise self.answers["get"]


@pytest.fixture
def command(tmp_path: Path) -> dict[str, str]:
    """The environment of a `docker` that builds nothing and notes what it sees."""
    program = tmp_path / "docker"
    metadata = '{"containerimage.digest": "sha256:m", "containerimage.config.digest": "sha256:c"}'
    program.write_text(f"""\
#!/bin/sh
env > {tmp_path}/seen
for word; do last=$word; done
echo '{metadata}' > "$last"
""")
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SOURCE_DATE_EPOCH": "1999999999"}


def test_a_build_is_dated_by_its_lock_and_not_by_the_users_own_epoch(command, tmp_path):
    """Control: with the commit's date or today's every digest would be another."""
    built = Engine(Client(), command, embedded=False).build(["."], folder=tmp_path, epoch=1735689600)
    assert built == Digests(manifest="sha256:m", config="sha256:c")
    assert "SOURCE_DATE_EPOCH=1735689600\n" in (tmp_path / "seen").read_text()


def test_an_index_in_the_place_of_an_image_is_refused_and_named():
    with pytest.raises(SeedbedError, match="expected one image, without attestations, found sha256:i, an index"):
        digests_in({"containerimage.digest": "sha256:i", "containerimage.descriptor": {}})


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ([["driver-type", "io.containerd.snapshotter.v1"]], "containerd"),
        ([["Backing Filesystem", "extfs"]], "older image store; no Dockerfile build (build --recipe)"),
        (None, "older image store; no Dockerfile build (build --recipe)"),
    ],
)
def test_either_image_store_will_do_and_is_named(status, kind):
    info = {"ServerVersion": "28.0", "Driver": "overlay2", "DriverStatus": status}
    store = doctor.image_store(Engine(Client(info=info), {}, embedded=False))
    assert (store.found, store.remedy) == (f"Docker 28.0, overlay2 ({kind})", None)


def test_names_of_images_that_were_pulled_from_here_are_taken_away_and_no_other():
    digest = f"@sha256:{'1' * 64}"
    ours = [f"127.0.0.1:1234/untested/tiny{digest}", f"127.0.0.1:99/untested/tiny{digest}"]
    others = [
        f"seedbed/tiny{digest}",
        f"127.0.0.1:5000/team/tiny{digest}",
        f"127.0.0.1:5000/untested/tiny2{digest}",
        f"registry.example/untested/tiny{digest}",
    ]
    removed: list[str] = []
    listed = [{"RepoDigests": names} for names in ([*ours, *others], None, [])]
    client = SimpleNamespace(
        api=SimpleNamespace(images=lambda name: listed), images=SimpleNamespace(remove=removed.append)
    )  # one that lists is not asked of each image: others delete some meanwhile
    Engine(client, {}, embedded=False).forget("/untested/tiny@")
    assert removed == ours


@pytest.mark.parametrize("failures", [0, 1, client.LISTING_RETRIES, client.LISTING_RETRIES + 1])
def test_a_list_of_images_outlives_the_deletion_of_one_and_no_lasting_failure(failures):
    answers = iter([*[NotFound("content digest sha256:1: not found")] * failures, [{"Id": "sha256:2"}]])

    def images(_: str | None) -> list[dict[str, str]]:
        answer = next(answers)
        if isinstance(answer, NotFound):
            raise answer
        return answer

    engine = Engine(SimpleNamespace(api=SimpleNamespace(images=images)), {}, embedded=False)
    if failures <= client.LISTING_RETRIES:
        assert engine.summaries() == [{"Id": "sha256:2"}]
    else:
        with pytest.raises(NotFound):
            engine.summaries()


@pytest.mark.parametrize(
    ("known", "found"),
    [({"manifest", "config"}, "manifest"), ({"config"}, "config"), (set(), None)],
    ids=["containerd", "older image store", "not there"],
)
def test_an_image_is_found_by_its_manifest_or_by_its_config(known, found, monkeypatch):
    monkeypatch.setattr(Engine, "has", lambda engine, digest: digest in known)
    assert Engine(Client(), {}, embedded=False).find("manifest", "config") == found


def test_a_name_that_can_be_no_images_is_one_line():
    answer = requests.Response()
    answer.status_code = 400
    refusal = docker.errors.APIError("400", answer, explanation="invalid reference format")
    with pytest.raises(SeedbedError, match=r"^A B: invalid reference format$"):
        Engine(Client(get=refusal), {}, embedded=False).has("A B")


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("127.0.0.1:5000/tiny:1", True),
        ("registry.example/team/tiny@sha256:0", True),
        ("seedbed/tiny:1", False),
        (f"sha256:{'0' * 64}", False),
    ],
)
def test_what_names_a_registry_is_told_from_what_does_not(name, named):
    assert Engine(Client(), {}, embedded=False).names_registry(name) is named


def test_the_engine_is_sent_no_password_of_netrc(tmp_path, monkeypatch):
    seen: list[str | None] = []

    class Daemon(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            body = b'{"ApiVersion": "1.44"}' if "version" in self.path else b"OK"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    (tmp_path / "netrc").write_text("default login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with HTTPServer(("127.0.0.1", 0), Daemon) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"tcp://127.0.0.1:{server.server_port}"
        docker.DockerClient(base_url=address, version="1.44").ping()
        assert seen.pop() is not None, "control"
        monkeypatch.setenv("DOCKER_HOST", address)
        assert client.of_host() is not None
        server.shutdown()
    assert seen and set(seen) == {None}


@pytest.mark.parametrize("ask", [client.connect, client.running])
def test_a_choice_of_no_engine_is_a_wrong_request(ask, monkeypatch):
    """Control: with a slip of the pen, `nome` or `embeded`, the host's engine was used."""
    monkeypatch.setenv("SEEDBED_ENGINE", "nome")
    with pytest.raises(UsageError, match=r"^SEEDBED_ENGINE=nome: expected host, embedded or none$"):
        ask()


class Container:
    """One that never ends by itself; it notes what is done to it."""

    id = "c0"

    def __init__(self, wait: Exception | int = 0) -> None:
        self.waited, self.done = wait, []

    def wait(self, timeout: float) -> dict[str, int]:
        self.done.append(f"wait {timeout}")
        if isinstance(self.waited, Exception):
            raise self.waited
        return {"StatusCode": self.waited}

    def logs(self, stdout: bool, stderr: bool) -> bytes:
        return b"out\xff" if stdout else b"err"

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **options: self.done.append(name)


class Containers:
    """Makes that one container."""

    def __init__(self, container: Container) -> None:
        self.container, self.options, self.containers = container, {}, self

    def info(self) -> dict[str, str]:
        return {"ID": "the engine"}

    def create(self, image: str, command: list[str], **options: Any) -> Container:
        self.options = options
        return self.container

    def list(self, **options: Any) -> list[Container]:
        self.options = options
        return [self.container]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path))
    return paths.cache()


@pytest.mark.parametrize("late", [requests.ReadTimeout(), requests.ConnectionError("Read timed out.")])
def test_a_command_that_does_not_end_is_killed_and_has_status_124(late, cache):
    """Control: without the limit a check that hangs hangs the smoke tests for ever."""
    container = Container(wait=late)
    finished = Engine(Containers(container), {}, embedded=False).run("image", ["sleep", "infinity"])
    assert finished == Finished(124, "out\N{REPLACEMENT CHARACTER}", "not done after 600 s")
    assert container.done == ["start", "wait 600", "kill", "remove"]


def test_a_command_that_ends_is_not_killed(cache):
    container = Container(wait=7)
    finished = Engine(Containers(container), {}, embedded=False).run("image", ["false"])
    assert (finished.status, finished.stderr) == (7, "err")
    assert container.done == ["start", "wait 600", "remove"]


def test_a_command_in_a_running_container_has_a_limit_too(tmp_path, cache, monkeypatch):
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr("builder.engine.containers.LONGEST_COMMAND", 0.2)
    container = Container()
    ran = Engine(Containers(container), {"PATH": f"{tmp_path}:{os.environ['PATH']}"}, embedded=False)
    with ran.started("image", ["sleep", "infinity"]) as running:
        assert running.run(["sleep", "infinity"]).status == 124
    assert container.done == ["start", "kill", "remove"]


def test_a_container_has_a_label_by_which_the_next_run_knows_that_its_owner_is_gone(cache):
    made = Containers(Container())
    ran = Engine(made, {}, embedded=False)
    with ran.started("image", ["true"]):
        [lease] = (cache / "leases" / "the engine").iterdir()
        assert made.options["labels"] == {LEASE: lease.name}
        assert made.options["log_config"]["Config"] == {"max-size": "50m", "max-file": "2"}
        ran.sweep()
        assert made.container.done == ["start"]  # its owner lives
    lease.mkdir()  # a killed process leaves it
    ran.sweep()
    assert made.options["filters"] == {"label": f"{LEASE}={lease.name}"}
    assert made.container.done == ["start", "remove", "remove"] and not lease.exists()


def test_output_in_any_encoding_is_kept(tmp_path):
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\nprintf 'a\\377'\n")
    program.chmod(0o755)
    said = Engine(Client(), {"PATH": str(tmp_path)}, embedded=False).docker("version").stdout
    assert said == "a\N{REPLACEMENT CHARACTER}"


def test_an_address_in_the_place_of_a_name_is_one_line():
    with pytest.raises(UsageError, match=r"^https://x/y: expected the name of an image, without a scheme$"):
        Engine(Client(), {}, embedded=False).names_registry("https://x/y")
