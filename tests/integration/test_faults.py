"""A registry that fails: a push ends all the same, or says in one line where and why; the next one ends in any case."""

import io
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, cast

import pytest

from builder import paths
from builder.errors import SeedbedError
from builder.oci import patience
from builder.oci.artifacts import Artifact
from builder.oci.registry import Repository
from builder.oci.store import CONFIG_TYPE, LAYER_TYPE, MANIFEST_TYPE, Blob, canonical_json
from builder.oci.transport import ASK, REMEDIES
from builder.oci.uploads import Sent, Upload
from tests.integration import proxy as proxies
from tests.integration.daemon import Daemon
from tests.integration.proxy import ALWAYS, Does, Fault, Proxy, changed, endless, half_way, status

PING = "GET", "/v2/$"
IS_BLOB = "HEAD", "/blobs/sha256"
BEGIN = "POST", "/blobs/uploads/"
BLOB = "PUT", "/blobs/uploads/"
MANIFEST = "PUT", "/manifests/sha256:"
INDEX = "PUT", "/manifests/sha256-"
IS_TAG = "HEAD", "/manifests/1.0$"
TAG = "PUT", "/manifests/1.0$"

NOWHERE = "http://127.0.0.1:1/upload"
OTHER = f"sha256:{'0' * 64}"

LAYERS = [Blob.of(bytes([number]) * 300_000, LAYER_TYPE) for number in range(2)]
CONFIG = Blob.of(b'{"rootfs":{"type":"layers","diff_ids":[]}}', CONFIG_TYPE)
IMAGE = Blob.of(
    canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": CONFIG.descriptor.to_json(),
            "layers": [layer.descriptor.to_json() for layer in LAYERS],
        }
    ),
    MANIFEST_TYPE,
)
SBOM = Artifact(
    "application/vnd.cyclonedx+json", IMAGE.descriptor, (Blob.of(b"{}\n", "application/json", "sbom.json"),)
)
TAGS = ("1.0", "1.0-0123456789ab")

AGAIN = "7 times; run the command again later"


@dataclass(frozen=True)
class Row:
    """A fault, and the line with which a push ends, behind the name of the repository; none if it ends well.

    In a line, `…` is anything.
    """

    what: str
    place: tuple[str, str]
    does: Does
    times: int = 1
    line: str = ""

    def pattern(self, repository: Repository) -> str:
        line = re.escape(f"{repository}: {self.line}").replace("REGISTRY", re.escape(repository.registry))
        return line.replace("…", r"[\w ]+")


ROWS = (
    Row("503 at first contact, twice", PING, status(503), 2),
    Row("429 for a HEAD, to come back in a second", IS_BLOB, status(429, Retry_After="1")),
    Row("429 for the start of an upload, without a time, twice", BEGIN, status(429), 2),
    Row("429 with an invalid time", BEGIN, status(429, Retry_After="soon")),
    Row("500 for a HEAD", IS_BLOB, status(500)),
    Row("connection cut in a HEAD", IS_BLOB, proxies.cut),
    Row("502 for the start of an upload", BEGIN, status(502)),
    Row("connection cut at the start of an upload", BEGIN, proxies.cut),
    Row("answer cut at the start of an upload", BEGIN, proxies.cut_in_the_answer),
    Row("503 after a blob", BLOB, status(503), 2),
    Row("500 in the middle of a blob", BLOB, half_way(500), 2),
    Row("connection cut in the middle of a blob", BLOB, proxies.cut_half_way, 2),
    Row("connection cut before a blob", BLOB, proxies.cut),
    Row("answer to a blob lost", BLOB, proxies.cut_before_the_answer, 4),
    Row("404: the upload is gone", BLOB, status(404)),
    Row("416: the upload is elsewhere", BLOB, status(416)),
    Row("500 with an answer that is shorter than it says", BLOB, proxies.shorter_than_it_says),
    Row("500 with an answer that never ends", BEGIN, endless(500)),
    Row("500 for the manifest", MANIFEST, status(500)),
    Row("connection cut in the manifest", MANIFEST, proxies.cut_half_way),
    Row("answer to the manifest lost", MANIFEST, proxies.cut_before_the_answer, 2),
    Row("429 for the index of what is attached", INDEX, status(429)),
    Row("answer to that index lost", INDEX, proxies.cut_before_the_answer),
    Row("504 for what a tag names", IS_TAG, status(504)),
    Row("429 for a tag", TAG, status(429)),
    Row("500 for a tag", TAG, status(500), 2),
    Row("connection cut in a tag", TAG, proxies.cut_half_way),
    Row("answer to a tag lost, always", TAG, proxies.cut_before_the_answer, ALWAYS),
    Row("503 at first contact, always", PING, status(503), ALWAYS, f"refused with status 503: a fault, {AGAIN}"),
    Row("429 for a HEAD, to come back in an hour", IS_BLOB, status(429, Retry_After="3600"), ALWAYS,
        "blob sha256:…: refused with status 429; run the command again in 3600 s, not earlier"),
    Row("403 for a HEAD", IS_BLOB, status(403), ALWAYS,
        "blob sha256:…: refused with status 403; run docker login REGISTRY"),
    Row("404 for the start of an upload", BEGIN, status(404), ALWAYS,
        f"blob sha256:…: refused with status 404: a fault; {REMEDIES[404]}"),
    Row("401 after a blob", BLOB, status(401), ALWAYS,
        "blob sha256:…: refused with status 401: a fault; run docker login REGISTRY"),
    Row("413 after a blob", BLOB, status(413), ALWAYS,
        "blob sha256:…: refused with status 413: a fault; have the proxy before the registry take larger bodies"),
    Row("500 after a blob, always", BLOB, status(500), ALWAYS,
        f"blob sha256:…: refused with status 500: a fault, {AGAIN}"),
    Row("connection cut before a blob, always", BLOB, proxies.cut, ALWAYS,
        f"blob sha256:…: no answer: …, {AGAIN}"),
    Row("404: the upload is gone, always", BLOB, status(404), ALWAYS,
        f"blob sha256:…: refused with status 404: a fault, {AGAIN}"),
    Row("no address for the upload", BEGIN, changed(Location=None), ALWAYS,
        f"blob sha256:…: expected an upload over https, found Location: '', 7 times; {ASK}"),
    Row("an invalid address", BEGIN, changed(Location="http://["), ALWAYS,
        f"blob sha256:…: expected an upload over https, found Location: 'http://[', 7 times; {ASK}"),
    Row("an address where nobody is", BEGIN, changed(Location=NOWHERE), ALWAYS,
        f"blob sha256:…: no answer: Connection refused, {AGAIN}"),
    Row("500 for the manifest, always", MANIFEST, status(500), ALWAYS,
        f"manifest sha256:…: refused with status 500: a fault, {AGAIN}"),
    Row("400 for the manifest", MANIFEST, status(400), ALWAYS,
        f"manifest sha256:…: refused with status 400: a fault; {ASK}"),
    Row("another digest for the manifest", MANIFEST, changed(Docker_Content_Digest=OTHER), ALWAYS,
        f"manifest sha256:…: expected sha256:…, found {OTHER}; {ASK}"),
    Row("500 for the index of what is attached, always", INDEX, status(500), ALWAYS,
        f"tag sha256-…: refused with status 500: a fault, {AGAIN}"),
    Row("no digest for what a tag names", IS_TAG, status(200, Docker_Content_Digest="?"), ALWAYS,
        f"tag 1.0: expected a digest in the header Docker-Content-Digest, found '?', 7 times; {ASK}"),
    Row("429 for a tag, always", TAG, status(429), ALWAYS, f"tag 1.0: refused with status 429: a fault, {AGAIN}"),
    Row("connection cut in a tag, always", TAG, proxies.cut_half_way, ALWAYS, f"tag 1.0: no answer: …, {AGAIN}"),
)  # fmt: skip


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch) -> None:
    monkeypatch.setattr(patience, "POLICY", patience.POLICY.new(backoff_factor=0.002, backoff_jitter=0.001))


@pytest.fixture(scope="module")
def proxy(registry) -> Iterator[Proxy]:
    with proxies.before(registry) as proxy:
        yield proxy


@pytest.fixture
def behind(registry, request) -> Repository:
    """A repository of the test's own, seen without the proxy."""
    return Repository(registry, re.sub("[^a-z0-9]+", "-", request.node.name.lower()).strip("-"))


@pytest.fixture
def repository(behind, proxy) -> Iterator[Repository]:
    """The same, as the push sees it."""
    yield Repository(proxy.address, behind.name)
    proxy.fails(None)


def push(repository: Repository) -> int:
    for tag in TAGS:
        repository.refuse_to_move(tag, IMAGE.descriptor.digest)
    return repository.push(IMAGE, [*LAYERS, CONFIG], TAGS, attached=[SBOM]).sent


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.what)
def test_a_push_ends_or_says_why_and_the_next_one_ends(row, proxy, repository, behind):
    proxy.fails(Fault(*row.place, row.does, row.times), repository.name)
    if row.line:
        with pytest.raises(SeedbedError) as failed:
            push(repository)
        assert re.fullmatch(row.pattern(repository), str(failed.value))
        assert [behind.digest(tag) for tag in TAGS] == [None, None]
        assert proxy.met
        proxy.fails(None)
    push(repository)
    assert row.line or proxy.met
    assert {behind.digest(tag) for tag in TAGS} == {IMAGE.descriptor.digest}
    assert behind.manifest("1.0") == IMAGE.open().read()
    assert [behind.read_blob(layer.descriptor.digest) for layer in LAYERS] == [layer.open().read() for layer in LAYERS]
    assert behind.referrers(IMAGE.descriptor.digest, SBOM.media_type) == [SBOM.entry()["digest"]]


def uploads(proxy: Proxy) -> list[int]:
    """The sizes of what was sent of blobs, from now on."""
    return [size for request, size in proxy.requests if request.startswith("PUT") and "/blobs/uploads/" in request]


def test_an_upload_that_was_cut_off_is_begun_again_and_the_log_says_so_once(proxy, repository, behind, caplog):
    """This registry forgets what it got; tests/unit/oci/test_uploads.py has one that does not."""
    [layer, _], size = LAYERS, LAYERS[0].descriptor.size
    proxy.requests.clear()
    proxy.fails(Fault(*BLOB, proxies.cut_half_way), repository.name)
    with caplog.at_level(logging.INFO, "builder"):
        assert patience.patiently(Upload(repository, layer)) == Sent(size)
    assert uploads(proxy) == [size, size]
    assert re.fullmatch(r"\S+: blob sha256:\w{12}: no answer: .*; trying again in 0 s", "\n".join(caplog.messages))
    assert behind.read_blob(layer.descriptor.digest) == layer.open().read()


def test_what_arrived_though_the_answer_was_lost_is_not_sent_again(proxy, repository):
    [layer, _], size = LAYERS, LAYERS[0].descriptor.size
    proxy.requests.clear()
    proxy.fails(Fault(*BLOB, proxies.cut_before_the_answer), repository.name)
    assert patience.patiently(Upload(repository, layer)) == Sent(size)
    assert uploads(proxy) == [size]


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405])
def test_what_does_not_pass_is_asked_once(proxy, repository, code):
    proxy.fails(Fault(*IS_TAG, status(code), ALWAYS), repository.name)
    with suppress(SeedbedError):
        repository.digest("1.0")
    assert proxy.met == 1


def test_the_page_about_publishing_has_this_table():
    lines = [f"| {row.what} | {f'`{row.line}`' if row.line else 'the push succeeds'} |" for row in ROWS]
    page = (paths.ROOT / "docs" / "publishing.md").read_text()
    assert "\n".join(lines).replace("REGISTRY", "registry.example.org") in page, "\n".join(lines)


def test_control_without_new_tries_the_first_fault_ends_a_push(proxy, repository, behind, monkeypatch):
    monkeypatch.setattr(patience, "POLICY", patience.POLICY.new(total=0))
    for row in ROWS:
        if not row.line:
            each = Repository(repository.registry, f"{repository.name}/{ROWS.index(row)}")
            proxy.fails(Fault(*row.place, row.does, ALWAYS), each.name)
            with pytest.raises(SeedbedError, match=r", 1 times; "):
                push(each)


class Trap:
    """A blob's content that ends the registry when half of it is read, and starts it again a little later."""

    def __init__(self, blob: Blob, daemon: Daemon, pause: float) -> None:
        self.blob, self.daemon, self.pause, self.sprung = blob, daemon, pause, False

    def open(self) -> BinaryIO:
        content, trap = self.blob.open(), self

        class Content(io.RawIOBase):
            def seek(self, *where: int) -> int:
                return content.seek(*where)

            def tell(self) -> int:
                return content.tell()

            def read(self, size: int = -1) -> bytes:
                if content.tell() >= trap.blob.descriptor.size // 2:
                    trap.spring()
                return content.read(size)

        return cast(BinaryIO, Content())

    def spring(self) -> None:
        if not self.sprung:
            self.sprung = True
            self.daemon.kill()
            timer = threading.Timer(self.pause, self.daemon.start)
            timer.daemon = True
            timer.start()


@pytest.fixture
def daemon(registry_program, tmp_path) -> Iterator[Daemon]:
    daemon = Daemon(registry_program, tmp_path)
    daemon.start()
    yield daemon
    daemon.kill()


def test_a_registry_that_is_killed_and_started_again_gets_the_rest(daemon, monkeypatch):
    """In the meantime nobody listens."""
    monkeypatch.setattr(patience, "POLICY", patience.POLICY.new(backoff_factor=0.2))
    repository, [first, *others] = Repository(daemon.address, "team/tiny"), LAYERS
    trap = Trap(first, daemon, 0.5)
    repository.push(IMAGE, [Blob(first.descriptor, trap.open), *others, CONFIG], TAGS, attached=[SBOM])
    assert trap.sprung
    assert {repository.digest(tag) for tag in TAGS} == {IMAGE.descriptor.digest}
    assert repository.read_blob(first.descriptor.digest) == first.open().read()


def test_a_registry_that_is_killed_for_good_has_no_tag_and_the_next_push_ends(daemon):
    repository, [first, *others] = Repository(daemon.address, "team/tiny"), LAYERS
    trap = Trap(first, daemon, 3600)
    with pytest.raises(SeedbedError, match=rf"^{repository}: .*no answer: [\w ]+, {AGAIN}$"):
        repository.push(IMAGE, [Blob(first.descriptor, trap.open), *others, CONFIG], TAGS)
    daemon.start()
    assert [repository.digest(tag) for tag in TAGS] == [None, None]
    push(repository)
    assert {repository.digest(tag) for tag in TAGS} == {IMAGE.descriptor.digest}
