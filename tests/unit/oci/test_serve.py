"""The store as a registry on loopback: it gives the blobs that it has, and nothing else to anybody."""

import socket
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from random import Random

import pytest

from builder.oci.serve import serving
from builder.oci.store import LAYER_TYPE, MANIFEST_TYPE, Store

SECRET = b"this is nobody's to read"
CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(128)) + b"\n"
"""How a TLS connection begins. It always has a line's end somewhere: supported_groups is the extension number 10."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with a manifest and a layer, and a file beside its blobs."""
    store = Store(tmp_path / "cache")
    store.add(b"{}", MANIFEST_TYPE)
    store.add(b"layer", LAYER_TYPE)
    (tmp_path / "cache" / "secret").write_bytes(SECRET)
    (tmp_path / "cache" / "blobs" / "secret").write_bytes(SECRET)
    return store


@pytest.fixture
def address(store):
    with serving(store) as address:
        yield address


def ask(address: str, path: str, method: str = "GET") -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(address, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    return answer, answer.read()


def say(address: str, data: bytes) -> bytes:
    """What comes back for bytes that may be no HTTP, until the server hangs up."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def digest(path: Path) -> str:
    return f"sha256:{path.name}"


@pytest.mark.parametrize(("kind", "media_type"), [("manifests", MANIFEST_TYPE), ("blobs", "application/octet-stream")])
@pytest.mark.parametrize("name", ["tiny", "untested/tiny"])
def test_a_blob_is_given_by_its_digest_under_any_name(store, address, kind, media_type, name):
    for blob in (store.root / "blobs" / "sha256").iterdir():
        answer, body = ask(address, f"/v2/{name}/{kind}/{digest(blob)}")
        assert (answer.status, body) == (200, blob.read_bytes())
        assert answer.headers["Content-Type"] == media_type
        assert answer.headers["Docker-Content-Digest"] == digest(blob)


def test_a_head_has_the_size_and_no_body(store, address):
    blob = store.blob(store.add(b"{}", MANIFEST_TYPE).digest)
    answer, body = ask(address, f"/v2/tiny/manifests/{digest(blob)}", "HEAD")
    assert (answer.status, answer.headers["Content-Length"], body) == (200, "2", b"")


def test_one_connection_is_asked_several_times(store, address):
    connection = HTTPConnection(address, timeout=10)
    layer = store.add(b"layer", LAYER_TYPE).digest
    for path, expected in [("/v2/", b""), (f"/v2/x/blobs/sha256:{'0' * 64}", b""), (f"/v2/x/blobs/{layer}", b"layer")]:
        connection.request("GET", path)
        assert connection.getresponse().read() == expected


def test_it_says_that_it_is_a_registry(address):
    """An engine with the older image store asks this first."""
    answer, body = ask(address, "/v2/")
    assert (answer.status, body) == (200, b"")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/secret",
        "/v2",
        "/v2/tiny/tags/list",
        "/v2/tiny/manifests/latest",
        f"/v2/tiny/blobs/sha256:{'0' * 64}",
        "/v2/tiny/blobs/../../etc/passwd",
        "/v2/tiny/blobs//etc/passwd",
        "/v2/tiny/blobs/sha256:../secret",
        "/v2/tiny/blobs/sha256:../../secret",
        "/v2/tiny/blobs/sha256:%2e%2e%2fsecret",
        "/v2/tiny/blobs/sha256:",
        "/v2/tiny/blobs/",
        "/v2/tiny/blobs/sha512:" + "0" * 128,
        "../../etc/passwd",
        "/blobs/sha256/../../secret",
    ],
)
def test_all_else_is_not_found(address, path, method):
    answer, body = ask(address, path, method)
    assert (answer.status, body) == (404, b"")


def test_a_digest_in_a_path_of_another_form_is_not_found(store, address):
    """Though the blob is there."""
    blob = next((store.root / "blobs" / "sha256").iterdir())
    for path in (f"/v2/{digest(blob)}", f"/{digest(blob)}", f"/v2/x/blobs/{digest(blob)}/..", f"/v2/x/{digest(blob)}"):
        assert ask(address, path)[0].status == 404


def test_a_folder_in_the_place_of_a_blob_is_not_found(store, address):
    store.blob("sha256:" + "e" * 64).mkdir()
    assert ask(address, f"/v2/x/blobs/sha256:{'e' * 64}")[0].status == 404


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE"])
def test_it_takes_nothing(store, address, method):
    layer = store.add(b"layer", LAYER_TYPE).digest
    answer, _ = ask(address, f"/v2/x/blobs/{layer}", method)
    assert answer.status == 501 and store.blob(layer).read_bytes() == b"layer"


@pytest.mark.parametrize(
    "data",
    [
        CLIENT_HELLO,
        b"\0" * 100 + b"\n",
        b"GET\n",
        b"\xff\xfe\n\n",
        b"GET /secret\r\n\r\n",
        b"GET /" + b"x" * 70_000,
        Random(1).randbytes(4096) + b"\n",
    ],
    ids=["TLS", "zeros", "one word", "bytes", "HTTP/0.9", "an endless line", "noise"],
)
def test_what_is_no_http_gets_an_answer_that_is(address, data):
    """Docker tries TLS first, and takes what answers like this for a registry without."""
    answer = say(address, data)
    assert answer.startswith(b"HTTP/1.") and answer.split()[1] in (b"400", b"404", b"414", b"501", b"505")
    assert SECRET not in answer
    assert ask(address, "/v2/")[0].status == 200, "and goes on answering"


def test_whoever_hangs_up_early_is_no_reason_for_a_traceback(store, capfd):
    large = store.add(bytes(50_000_000), LAYER_TYPE).digest
    with serving(store) as address:
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(f"GET /v2/x/blobs/{large} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            connection.recv(100)
        assert ask(address, "/v2/")[0].status == 200
    assert "Traceback" not in capfd.readouterr().err


def test_nobody_beyond_this_machine_reaches_it_and_nobody_at_all_afterwards(store):
    with serving(store) as address:
        host, port = address.split(":")
        assert host == "127.0.0.1"
        listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if " 0A " in line]
        assert [each for each in listening if each.endswith(f":{int(port):04X}")] == [f"0100007F:{int(port):04X}"]
        assert f":{int(port):04X} " not in Path("/proc/net/tcp6").read_text()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=10)
