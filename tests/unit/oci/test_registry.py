"""Pushing: what is missing is sent, the manifest last; logins are used where the registry asks for one."""

import base64
import hashlib
import io
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from docker.auth import INDEX_NAME

from builder.errors import SeedbedError, UsageError
from builder.oci import patience, transport
from builder.oci.logins import token_in, token_server
from builder.oci.registry import UPLOADS_AT_ONCE, Repository
from builder.oci.store import LAYER_TYPE, MANIFEST_TYPE, Blob, Descriptor
from builder.oci.transport import Answer
from builder.oci.uploads import Sent, Upload

USER = base64.b64encode(b"gardener:secret").decode()


class Registry(ThreadingHTTPServer):
    """A registry in memory. `asks` is the way it wants clients to log in; it notes what it was sent, in order."""

    def __init__(self, asks: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asks, self.blobs, self.manifests, self.received = asks, {}, {}, []
        self.greetings = 0
        self.credentials = []  # every one that a client has sent
        self.answers = {}  # (method, part of the path) -> status and headers, in place of what a registry answers

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def admits(self, method: str, authorization: str | None) -> bool:
        wanted = {None: None, "basic": f"Basic {USER}", "token": "Bearer of good tidings"}[self.asks]
        reads = self.asks == "token" and method in ("GET", "HEAD") and authorization == "Bearer to read"
        return reads or authorization == wanted


class Handler(BaseHTTPRequestHandler):
    server: Registry
    protocol_version = "HTTP/1.1"

    def parse_request(self) -> bool:
        parsed = super().parse_request()
        self.server.greetings += self.path == "/v2/" if parsed else 0
        if parsed and "Authorization" in self.headers:
            self.server.credentials.append(self.headers["Authorization"])
        return parsed

    def do_GET(self) -> None:
        if self.answered():
            return
        if self.path.startswith("/token?"):
            asked = parse_qs(urlsplit(self.path).query)
            tokens = {"repository:team/tiny:pull,push": "of good tidings", "repository:team/tiny:pull": "to read"}
            token = tokens.get(asked["scope"][0]) if self.headers["Authorization"] == f"Basic {USER}" else None
            self.answer(200 if token else 401, body=json.dumps({"token": token}).encode())
        elif self.admitted():
            self.answer(200)

    def answered(self) -> bool:
        """Whether a test has said what the answer is."""
        for (method, part), (status, headers) in self.server.answers.items():
            if method == self.command and part in self.path:
                self.answer(status, headers)
                return True
        return False

    def do_HEAD(self) -> None:
        if not self.admitted() or self.answered():
            return
        name = self.path.rpartition("/")[2]
        if "/blobs/" in self.path:
            self.answer(200 if name in self.server.blobs else 404)
        else:
            found = self.server.manifests.get(name)
            self.answer(200 if found else 404, {"Docker-Content-Digest": digest(found)} if found else {})

    def do_POST(self) -> None:
        if self.admitted() and not self.answered():
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
        if self.server.admits(self.command, self.headers["Authorization"]):
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


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch) -> None:
    monkeypatch.setattr(patience, "POLICY", patience.POLICY.new(backoff_factor=0, backoff_jitter=0))


@pytest.fixture(params=[None, "basic", "token"], ids=["open", "basic", "token"])
def registry(request) -> Iterator[Registry]:
    with Registry(request.param) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def repository(registry, tmp_path: Path) -> Repository:
    """A repository, with the login that its registry asks for."""
    logins = tmp_path / "config.json"
    logins.write_text(json.dumps({"auths": {registry.address: {"auth": USER}}}))
    return Repository.of(f"{registry.address}/team/tiny", logins)


def blob(data: bytes, media_type: str = LAYER_TYPE) -> Blob:
    return Blob.of(data, media_type)


LAYERS = [blob(b"one"), blob(b"two")]
MANIFEST = blob(b"{}", MANIFEST_TYPE)


def test_blobs_come_before_the_manifest_and_its_tags(registry, repository):
    assert repository.push(MANIFEST, LAYERS, ["1.0"]) == Sent(6)
    assert set(registry.received[:2]) == {digest(b"one"), digest(b"two")}
    assert registry.received[2:] == [digest(b"{}"), "1.0"]
    assert registry.manifests["1.0"] == b"{}"


def test_a_tag_that_another_client_sets_meanwhile_stays(registry, repository):
    """After the look at the tags, and before this push gets to them."""
    repository.refuse_to_move("1.0", MANIFEST.descriptor.digest)
    registry.manifests["1.0"] = b"another"
    with pytest.raises(SeedbedError, match=rf":1\.0 is {digest(b'another')} already, and tags never move"):
        repository.push(MANIFEST, LAYERS, ["1.0", "1.1"])
    assert (registry.manifests["1.0"], "1.1" in registry.manifests) == (b"another", False)


def test_a_registry_is_asked_once_how_it_lets_clients_in(registry, repository):
    """And not for each blob: that is one more request, or two, for each."""
    greetings = registry.greetings
    repository.push(MANIFEST, [*LAYERS, blob(b"three"), blob(b"four"), blob(b"five")], ["1.0"])
    assert registry.greetings - greetings <= UPLOADS_AT_ONCE


def test_what_the_registry_has_is_not_sent(registry, repository):
    registry.blobs[digest(b"one")] = b"one"
    assert repository.push(MANIFEST, LAYERS) == Sent(3)
    assert registry.received == [digest(b"two"), digest(b"{}")]


def test_a_tag_can_be_asked_what_it_names(repository):
    assert repository.digest("1.0") is None
    repository.push(MANIFEST, LAYERS, ["1.0"])
    assert repository.digest("1.0") == digest(b"{}")


def test_a_blob_that_is_not_what_it_says_is_refused_and_no_manifest_follows(registry, repository):
    altered = Blob(Descriptor.of(b"one", LAYER_TYPE), lambda: io.BytesIO(b"0ne"))
    with pytest.raises(
        SeedbedError, match=r"/team/tiny: blob sha256:\w{12}: refused with status 400: digest invalid; "
    ):
        repository.push(MANIFEST, [altered])
    assert registry.manifests == {}


@pytest.mark.parametrize("registry", ["basic", "token"], indirect=True)
def test_without_a_login_the_error_says_what_to_type(registry):
    stranger = Repository.of(f"{registry.address}/team/tiny", Path("/nonexistent"))
    with pytest.raises(SeedbedError, match=rf"refused with status 401.*; run docker login {registry.address}"):
        stranger.push(MANIFEST, LAYERS)


def test_a_registry_that_does_not_answer_is_one_line():
    with pytest.raises(
        SeedbedError, match=r"^127\.0\.0\.1:1/team/tiny: no answer: Connection refused, 7 times; run"
    ) as error:
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
    assert Repository.of(reference).url("x") == expected


@pytest.fixture
def stranger() -> Iterator[Registry]:
    """A server that is not the registry, and takes whatever comes."""
    with Registry() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


every_login = pytest.mark.parametrize("registry", ["basic", "token"], indirect=True)


@every_login
def test_an_upload_elsewhere_goes_there_without_the_login(registry, repository, stranger):
    elsewhere = f"http://{stranger.address}/v2/team/tiny/blobs/uploads/1?state=new"
    registry.answers["POST", "/uploads/"] = 202, {"Location": elsewhere}
    assert repository.push(MANIFEST, LAYERS) == Sent(6)
    assert set(stranger.received) == {digest(b"one"), digest(b"two")}
    assert (bool(registry.credentials), stranger.credentials) == (True, [])


@every_login
def test_a_redirect_is_followed_without_the_login(registry, repository, stranger):
    stranger.manifests["1.0"] = b"{}"
    registry.answers["HEAD", "/manifests/"] = 307, {"Location": f"http://{stranger.address}/v2/team/tiny/manifests/1.0"}
    assert repository.digest("1.0") == digest(b"{}")
    assert (bool(registry.credentials), stranger.credentials) == (True, [])


def test_the_ping_is_not_redirected(registry, repository, stranger):
    registry.answers["GET", "/v2/"] = 307, {"Location": f"http://{stranger.address}/v2/"}
    with pytest.raises(SeedbedError, match="refused with status 307"):
        repository.push(MANIFEST, LAYERS)
    assert stranger.credentials == []


@pytest.mark.parametrize("request_", [("POST", "/uploads/"), ("PUT", "/uploads/"), ("PUT", "/manifests/")])
def test_what_is_sent_is_not_redirected(registry, repository, stranger, request_, monkeypatch):
    method, part = request_
    put = Handler.do_PUT

    def do_put(handler: Handler) -> None:
        if handler.server is registry and method == "PUT" and part in handler.path:
            handler.rfile.read(int(handler.headers["Content-Length"]))
            return handler.answer(307, {"Location": f"http://{stranger.address}{handler.path}"})
        return put(handler)

    monkeypatch.setattr(Handler, "do_PUT", do_put)
    if method == "POST":
        registry.answers[method, part] = 307, {"Location": f"http://{stranger.address}/v2/team/tiny/blobs/uploads/"}
    with pytest.raises(SeedbedError, match="refused with status 307"):
        repository.push(MANIFEST, LAYERS, ["1.0"])
    assert (stranger.received, stranger.credentials) == ([], [])


@pytest.mark.parametrize(("number", "tries"), [(socket.EAI_NONAME, 1), (socket.EAI_AGAIN, 7)])
def test_a_host_that_does_not_exist_is_looked_for_once(monkeypatch, number, tries):
    """And one that is not found for the moment, for a while."""
    looked = []

    def getaddrinfo(host: str, *_: object) -> None:
        looked.append(host)
        raise socket.gaierror(number, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SeedbedError, match=r"^registry\.example\.org/tiny: no answer: Name or service not known"):
        Repository.of("registry.example.org/tiny").digest("1.0")
    assert len(looked) == tries


REALMS = [
    "http://registry.example.org/token",
    "ftp://127.0.0.1/token",
    "file:///etc/passwd",
    "//token",
    "",
    "http://a:b",
]


@pytest.mark.parametrize("realm", REALMS)
def test_a_login_is_given_to_https_or_loopback_alone(realm):
    with pytest.raises(SeedbedError, match="expected an https address to log in at"):
        token_server("127.0.0.1:1", realm)


def test_a_registry_elsewhere_cannot_have_the_login_sent_to_this_machine():
    with pytest.raises(SeedbedError, match="expected an https address to log in at"):
        token_server("registry.example.org", "http://127.0.0.1/token")


def test_an_upload_never_goes_from_https_to_a_plain_connection():
    answer = Answer("https://registry.example.org/v2/", 202, {"Location": "http://registry.example.org/upload"})
    with pytest.raises(SeedbedError, match="expected an upload over https"):
        Upload(Repository.of("registry.example.org/tiny"), MANIFEST)._address(answer)


@pytest.mark.parametrize("status", [400, 401, 403, 418, 429, 500, 502, 503])
def test_only_404_means_that_there_is_no_such_tag(registry, repository, status):
    registry.answers["HEAD", "/manifests/"] = status, {}
    with pytest.raises(SeedbedError, match=f"refused with status {status}"):
        repository.refuse_to_move("1.0", digest(b"{}"))


@pytest.mark.parametrize("found", ["", "sha256:12", "../../x"])
def test_a_tag_that_names_no_digest_is_an_error(registry, repository, found):
    registry.answers["HEAD", "/manifests/"] = 200, {"Docker-Content-Digest": found}
    with pytest.raises(SeedbedError, match="expected a digest in the header Docker-Content-Digest"):
        repository.digest("1.0")


def test_an_image_that_is_asked_for_by_digest_is_that_image_whatever_the_registry_says(repository, registry):
    """Control: others who rebuilt that other image would count for this one."""
    asked, other = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
    registry.answers["HEAD", "/manifests/"] = 200, {"Docker-Content-Digest": other}
    with pytest.raises(SeedbedError, match=rf"expected {asked}, found {other}"):
        repository.known_digest(asked)
    assert repository.known_digest("1.0") == other


@every_login
def test_no_login_but_dockers_own_is_used(registry, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login gardener password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(SeedbedError, match="refused with status 401"):
        Repository.of(f"{registry.address}/team/tiny", Path("/nonexistent")).push(MANIFEST, LAYERS)
    assert registry.credentials == []


@pytest.mark.parametrize("location", ["http://[", "//[x", "file:///etc/passwd", "ftp://127.0.0.1/", ""])
def test_an_upload_to_nowhere_is_one_line(registry, repository, location):
    registry.answers["POST", "/uploads/"] = 202, {"Location": location}
    with pytest.raises(SeedbedError) as refused:
        repository.push(MANIFEST, LAYERS)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("realm", ["http://[", "https://[x/token", "//[x"])
def test_a_realm_that_is_no_address_is_one_line(realm):
    with pytest.raises(SeedbedError, match="expected an https address to log in at"):
        token_server("127.0.0.1:1", realm)


TOKENS = [b"", b"[]", b"1", b"{", b"{}", b'{"token": []}', b'{"token": "a\\nb"}', '{"token": "é"}'.encode()]


@pytest.mark.parametrize("said", [*TOKENS, b"[" * 100_000, b"\xff", b"9" * 10_000], ids=lambda said: repr(said[:20]))
def test_a_token_that_is_none_is_one_line(said):
    with pytest.raises(SeedbedError, match=r"expected a token from https://registry\.example\.org:443, found none"):
        token_in("registry.example.org", "https://registry.example.org/token", said)


def test_an_answer_without_an_end_is_read_for_a_while(registry, repository, monkeypatch):
    """What is shown of it does not act on the terminal."""
    count = 0

    def answer(handler: Handler, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        nonlocal count
        handler.send_response(418)
        handler.end_headers()
        with suppress(ConnectionError):
            while count < 100_000_000:
                count += handler.wfile.write(b"\x1b" * 100_000)
        handler.close_connection = True

    monkeypatch.setattr(Handler, "answer", answer)
    with pytest.raises(SeedbedError, match=r"refused with status 418: (\\x1b){150,200}"):
        repository.manifest("1.0")
    assert count < 50_000_000


@pytest.mark.parametrize("registry", [None], indirect=True)
def test_an_answer_that_trickles_is_read_for_some_seconds(registry, repository, monkeypatch):
    """No pause in it is long enough for a timeout."""
    ended = threading.Event()

    def answer(handler: Handler, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        handler.send_response(418)
        handler.end_headers()
        with suppress(ConnectionError):
            while not ended.wait(0.01):
                handler.wfile.write(b"x")
        handler.close_connection = True

    monkeypatch.setattr(Handler, "answer", answer)
    monkeypatch.setattr(transport, "LONGEST_ANSWER", 0.1)
    timer = threading.Timer(5, ended.set)
    timer.start()
    with pytest.raises(SeedbedError, match=r"refused with status 418: x+;"):
        repository.manifest("1.0")
    assert not ended.is_set()
    timer.cancel()
    ended.set()


@pytest.mark.parametrize("reference", ["https://registry.example.org/team", "-registry.example.org/y", "http://"])
def test_a_repository_that_can_be_none_is_one_line(reference):
    with pytest.raises(UsageError, match="SEEDBED_REPOSITORY: expected REGISTRY/NAME"):
        Repository.of(reference)


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b'{"auths": 5}',
        b'{"auths": {"ADDRESS": {"auth": "not base64"}}}',
        b'{"auths": {"ADDRESS": 5}}',
        b'{"auths": {}, "credHelpers": "x"}',
        b'{"auths": {}, "credsStore": "../../../bin/sh"}',
        b"[" * 100_000,
    ],
)
def test_a_file_of_logins_that_docker_did_not_write_is_one_line_that_names_it(tmp_path, text):
    """Control: each of these was a traceback, or a complaint about the engine."""
    with Registry("basic") as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        logins = tmp_path / "config.json"
        logins.write_bytes(text.replace(b"ADDRESS", server.address.encode()))
        with pytest.raises(SeedbedError, match=r"^\S+/config\.json: expected Docker's logins: .*docker login .*$"):
            Repository.of(f"{server.address}/team/tiny", logins).digest("1.0")
        server.shutdown()


def test_a_fifo_in_place_of_the_logins_does_not_hang_a_push(tmp_path):
    os.mkfifo(tmp_path / "config.json")
    with Registry("basic") as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with pytest.raises(SeedbedError, match="no plain file"):
            Repository.of(f"{server.address}/team/tiny", tmp_path / "config.json").digest("1.0")
        server.shutdown()
