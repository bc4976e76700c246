"""Pushing: what is missing is sent, the manifest last; logins are used where the registry asks for one."""

import base64
import hashlib
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from docker.auth import INDEX_NAME

from builder.errors import SeedbedError
from builder.oci import LAYER_TYPE, MANIFEST_TYPE, Descriptor
from builder.registry import Blob, Repository

USER = base64.b64encode(b"gardener:secret").decode()


class Registry(ThreadingHTTPServer):
    """A registry in memory. `asks` is the way it wants clients to log in; it notes what it was sent, in order."""

    def __init__(self, asks: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asks, self.blobs, self.manifests, self.received = asks, {}, {}, []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def admits(self, authorization: str | None) -> bool:
        wanted = {None: None, "basic": f"Basic {USER}", "token": "Bearer of good tidings"}[self.asks]
        return authorization == wanted


class Handler(BaseHTTPRequestHandler):
    server: Registry
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.startswith("/token?"):
            good = (
                self.headers["Authorization"] == f"Basic {USER}"
                and "repository%3Ateam%2Ftiny%3Apull%2Cpush" in self.path
            )
            self.answer(200 if good else 401, body=json.dumps({"token": "of good tidings"}).encode())
        elif self.admitted():
            self.answer(200)

    def do_HEAD(self) -> None:
        if not self.admitted():
            return
        name = self.path.rpartition("/")[2]
        if "/blobs/" in self.path:
            self.answer(200 if name in self.server.blobs else 404)
        else:
            found = self.server.manifests.get(name)
            self.answer(200 if found else 404, {"Docker-Content-Digest": digest(found)} if found else {})

    def do_POST(self) -> None:
        if self.admitted():
            self.answer(202, {"Location": "/v2/team/tiny/blobs/uploads/1?state=new"})

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.admitted():
            return
        name = self.path.rpartition("/")[2]
        if "/manifests/" in self.path:
            self.server.manifests[name] = data
            self.server.received.append(name)
            self.answer(201)
        elif f"state=new&digest={digest(data)}".replace(":", "%3A") in self.path:
            self.server.blobs[digest(data)] = data
            self.server.received.append(digest(data))
            self.answer(201)
        else:
            self.answer(400, body=b"digest invalid")

    def admitted(self) -> bool:
        if self.server.admits(self.headers["Authorization"]):
            return True
        realm = f'Bearer realm="http://{self.server.address}/token",service="fake"'
        self.answer(401, {"WWW-Authenticate": realm if self.server.asks == "token" else 'Basic realm="fake"'})
        return False

    def answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *what: object) -> None:
        """Say nothing."""


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.fixture(params=[None, "basic", "token"], ids=["open", "basic", "token"])
def registry(request) -> Iterator[Registry]:
    with Registry(request.param) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def repository(registry, tmp_path: Path) -> Repository:
    """A repository, with the login that its registry asks for."""
    logins = tmp_path / "config.json"
    logins.write_text(json.dumps({"auths": {registry.address: {"auth": USER}}}))
    return Repository.of(f"{registry.address}/team/tiny", logins)


def blob(data: bytes, media_type: str = LAYER_TYPE) -> Blob:
    return Blob(Descriptor.of(data, media_type), lambda: io.BytesIO(data))


LAYERS = [blob(b"one"), blob(b"two")]
MANIFEST = blob(b"{}", MANIFEST_TYPE)


def test_blobs_come_before_the_manifest_and_its_tags(registry, repository):
    assert repository.push(MANIFEST, LAYERS, ["1.0"]) == 6
    assert set(registry.received[:2]) == {digest(b"one"), digest(b"two")}
    assert registry.received[2:] == [digest(b"{}"), "1.0"]
    assert registry.manifests["1.0"] == b"{}"


def test_what_the_registry_has_is_not_sent(registry, repository):
    registry.blobs[digest(b"one")] = b"one"
    assert repository.push(MANIFEST, LAYERS) == 3
    assert registry.received == [digest(b"two"), digest(b"{}")]


def test_a_tag_can_be_asked_what_it_names(repository):
    assert repository.digest("1.0") is None
    repository.push(MANIFEST, LAYERS, ["1.0"])
    assert repository.digest("1.0") == digest(b"{}")


def test_a_blob_that_is_not_what_it_says_is_refused_and_no_manifest_follows(registry, repository):
    altered = Blob(Descriptor.of(b"one", LAYER_TYPE), lambda: io.BytesIO(b"0ne"))
    with pytest.raises(SeedbedError, match=r"/team/tiny: refused with status 400: digest invalid"):
        repository.push(MANIFEST, [altered])
    assert registry.manifests == {}


@pytest.mark.parametrize("registry", ["basic", "token"], indirect=True)
def test_without_a_login_the_error_says_what_to_type(registry):
    stranger = Repository.of(f"{registry.address}/team/tiny", Path("/nonexistent"))
    with pytest.raises(SeedbedError, match=rf"refused with status 401.*; run docker login {registry.address}"):
        stranger.push(MANIFEST, LAYERS)


def test_a_registry_that_does_not_answer_is_one_line():
    with pytest.raises(SeedbedError, match=r"127\.0\.0\.1:1: no answer: ") as error:
        Repository.of("127.0.0.1:1/team/tiny").push(MANIFEST, LAYERS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("registry.example.org/team/tiny", "https://registry.example.org/v2/team/tiny/x"),
        ("team/tiny", f"https://registry-1.{INDEX_NAME}/v2/team/tiny/x"),
        ("localhost:5000/tiny", "http://localhost:5000/v2/tiny/x"),
    ],
)
def test_a_reference_is_read_as_docker_reads_it(reference, expected):
    assert Repository.of(reference)._url("x") == expected
