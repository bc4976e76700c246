"""Passwords that this host knows go nowhere: a canary is looked for in all that a build, an SBOM and a push leave."""

import base64
import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from builder import paths
from builder.oci.store import Store
from builder.oci.tar import file, write_layer
from tests.canary import forms_of, holders, watching

USER = "canary"
NOWHERE = "127.0.0.1:9"


@dataclass
class Index:
    """A Python index on loopback with the wheels of the user's cache, for those who know the password."""

    password: str
    wheels: Path
    asked: list[str] = field(default_factory=list)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        index = self
        credentials = base64.b64encode(f"{USER}:{self.password}".encode()).decode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.headers["Authorization"] != f"Basic {credentials}":
                    return self.answer(HTTPStatus.UNAUTHORIZED, b"")
                index.asked.append(self.path)
                return self.answer(HTTPStatus.OK, index.content(self.path))

            def answer(self, status: HTTPStatus, data: bytes) -> None:
                self.send_response(status)
                self.send_header("WWW-Authenticate", 'Basic realm="wheels"')
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler

    def content(self, path: str) -> bytes:
        name = path.rstrip("/").rpartition("/")[2]
        if name.endswith(".whl"):
            return next(self.wheels.glob(f"*/{name}")).read_bytes()
        found = [wheel for wheel in self.wheels.glob("*/*.whl") if wheel.name.startswith(f"{name}-")]
        links = (f'<a href="/files/{each.name}#sha256={each.parent.name}">{each.name}</a>' for each in found)
        return "\n".join(links).encode()


@pytest.fixture
def canary() -> str:
    return f"canary{secrets.token_hex(16)}"


@pytest.fixture
def index(canary, built) -> Iterator[tuple[Index, str]]:
    """An index, and its address with user and password."""
    index = Index(canary, paths.cache() / "wheels")
    server = ThreadingHTTPServer(("127.0.0.1", 0), index.handler())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield index, f"http://{USER}:{canary}@127.0.0.1:{server.server_port}/simple"
    server.shutdown()
    server.server_close()


@pytest.fixture
def build_py(canary, built, folder, tmp_path) -> Callable[..., str]:
    """`./build.py` in an empty cache, which has Debian's packages alone, with secrets in its environment."""
    docker = tmp_path / "docker"
    docker.mkdir()
    auth = base64.b64encode(f"{USER}:{canary}".encode()).decode()
    (docker / "config.json").write_text(json.dumps({"auths": {"registry.example.org": {"auth": auth}}}))
    (tmp_path / "cache" / "seedbed").mkdir(parents=True)
    (tmp_path / "cache" / "seedbed" / "packages").symlink_to(paths.cache() / "packages")
    proxy = f"http://{USER}:{canary}@{NOWHERE}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))} | {
        "SEEDBED_CACHE": str(tmp_path / "cache"),
        "SEEDBED_ENGINE": "none",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_RETRIES": "0",
        "UV_HTTP_RETRIES": "0",
        "UV_NO_CACHE": "1",
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        "NO_PROXY": "127.0.0.1,localhost",
        "DOCKER_CONFIG": str(docker),
        **dict.fromkeys(("REGISTRY_TOKEN", "GITHUB_TOKEN", "SEEDBED_SIGNING_KEY", "AWS_SECRET_ACCESS_KEY"), canary),
    }

    def build_py(*arguments: str, expected: int = 0, **variables: str) -> str:
        command = [sys.executable, "build.py", "--catalog", str(folder), *arguments]
        settings = environment | variables
        done = subprocess.run(command, cwd=paths.ROOT, env=settings, capture_output=True, text=True, check=False)
        assert done.returncode == expected, done.stderr
        return done.stdout + done.stderr

    return build_py


@pytest.mark.long
def test_a_build_leaves_no_secret_in_layers_documents_records_logs_and_arguments(
    build_py, index, canary, built, repository, tmp_path
):
    wheels, address = index
    needles, cache, said = forms_of(USER, canary), tmp_path / "cache", []
    with watching(needles) as arguments:
        said += [build_py("build", "tiny", PIP_INDEX_URL=address)]
        for form in ("cyclonedx", "spdx"):
            said += [build_py("sbom", "tiny", "--format", form, "--output", str(cache / form))]
        said += [build_py("push", "tiny", SEEDBED_REPOSITORY=repository.removesuffix("/tiny"))]
        said += [build_py("list", "--json"), build_py("show", "tiny"), build_py("report", "tiny")]
    (cache / "said").write_text("".join(said))
    assert any("numpy-" in path for path in wheels.asked)  # with the password
    assert built.digest in said[0]
    assert holders(cache, needles) == []
    assert arguments == set()


def test_nor_do_the_errors_of_an_index_that_fails(build_py, canary, tmp_path):
    needles = forms_of(USER, canary)
    address = f"http://{USER}:{canary}@{NOWHERE}/simple"
    with watching(needles) as arguments:
        said = [
            build_py("build", "tiny", PIP_INDEX_URL=address, expected=1),
            build_py("audit", "tiny", PIP_INDEX_URL=address, expected=1),
            build_py("lock", "tiny", PIP_INDEX_URL=address, expected=1),
        ]
    (tmp_path / "cache" / "said").write_text("".join(said))
    assert "not fetched: " in said[0] and "not audited: " in said[1] and "uv found no solution: " in said[2]
    assert holders(tmp_path / "cache", needles) == []
    assert arguments == set()


def test_a_canary_that_is_there_is_found(canary, tmp_path):
    """Control: in a file, in a layer, and in what a program is called with."""
    needles = forms_of(USER, canary)
    (tmp_path / "log").write_text(f"GET http://{USER}:{canary}@example.org/")
    (tmp_path / "header").write_text(f"Basic {base64.b64encode(f'{USER}:{canary}'.encode()).decode()}")
    store = Store(tmp_path)
    padding = bytes((1 << 20) - 600)  # so that the canary lies across two chunks
    entries = [file("a", padding + canary.encode()), file("b", bytes(100))]
    layer = write_layer(store, entries, epoch=0, level=3, what="")
    expected = {tmp_path / "log", tmp_path / "header", store.blob(layer.descriptor.digest)}
    assert set(holders(tmp_path, needles)) == expected
    with watching(needles) as arguments:
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.5)", canary], check=True)
    assert len(arguments) == 1
