"""Blobs on their way: resumed if the registry says how much it has, mounted from siblings, with tokens that expire."""

import io
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from builder.errors import SeedbedError
from builder.oci import patience
from builder.oci.registry import Repository
from builder.oci.store import LAYER_TYPE, Blob, Descriptor
from builder.oci.uploads import Sent, Upload
from tests.unit.oci.test_registry import LAYERS, MANIFEST, USER, Handler, Registry, digest

DATA = b"0123456789" * 1000
BLOB = Blob.of(DATA, LAYER_TYPE)
UPLOAD = "/v2/team/tiny/blobs/uploads/1?state=new"


class Careful(Handler):
    """Keeps what came of an upload that is cut off, and says how much that is: `range_`, if that is set."""

    def do_GET(self) -> None:
        if "/blobs/uploads/" not in self.path:
            return super().do_GET()
        self.server.asked += 1
        came = self.server.range_ or f"0-{len(self.server.came) - 1}"
        self.answer(204, {"Range": came, "Location": UPLOAD})

    def do_PUT(self) -> None:
        if "/blobs/uploads/" not in self.path or not self.server.cuts:
            return super().do_PUT()
        self.server.cuts -= 1
        self.server.came += self.rfile.read(int(self.headers["Content-Length"]) // 2)
        self.close_connection = True

    def parse_request(self) -> bool:
        parsed = super().parse_request()
        if parsed and self.command == "PUT" and "/blobs/uploads/" in self.path:
            self.server.sizes.append(int(self.headers["Content-Length"]))
            self.server.ranges.append(self.headers["Content-Range"])
        return parsed


class Whole(Careful):
    """Puts the rest behind what came."""

    def do_PUT(self) -> None:
        if "/blobs/uploads/" in self.path and not self.server.cuts:
            data = self.server.came + self.rfile.read(int(self.headers["Content-Length"]))
            wanted = parse_qs(urlsplit(self.path).query)["digest"][0]
            if digest(data) != wanted:
                self.server.came = b""
                return self.answer(400, body=b"digest invalid")
            self.server.blobs[wanted] = data
            return self.answer(201)
        return super().do_PUT()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch) -> None:
    monkeypatch.setattr(patience, "POLICY", patience.POLICY.new(backoff_factor=0, backoff_jitter=0))


def serving(handler: type[Handler], asks: str | None = None) -> Iterator[Registry]:
    with Registry(asks) as server:
        server.RequestHandlerClass = handler
        server.cuts, server.came, server.range_, server.asked, server.sizes, server.ranges = 1, b"", "", 0, [], []
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def careful() -> Iterator[Registry]:
    yield from serving(Whole)


def sent_to(registry: Registry) -> Sent:
    return patience.patiently(Upload(Repository(registry.address, "team/tiny"), BLOB))


@pytest.mark.parametrize("cuts", [1, 2, 3])
def test_an_upload_that_was_cut_off_goes_on_where_it_stopped(careful, cuts):
    """Also several times; no byte is sent twice."""
    careful.cuts = cuts
    assert sent_to(careful) == Sent(len(DATA))
    assert careful.blobs == {BLOB.descriptor.digest: DATA}
    assert careful.sizes == [len(DATA) >> cut for cut in range(cuts + 1)]
    assert careful.ranges[1] == "5000-9999" and careful.ranges[0] is None


@pytest.mark.parametrize("said", ["0-0", "5-9", "0-99999999", "x", "0-", "bytes 0-5"])
def test_where_the_registry_does_not_say_how_much_came_the_upload_begins_again(careful, said):
    careful.range_ = said
    careful.came, careful.RequestHandlerClass = b"", Careful
    assert sent_to(careful) == Sent(len(DATA))
    assert careful.sizes == [len(DATA), len(DATA)]


def test_if_the_rest_does_not_fit_the_upload_begins_again(careful):
    """The digest decides, not what a registry says."""
    careful.range_ = "0-99"
    assert sent_to(careful) == Sent(len(DATA))
    assert careful.sizes == [10_000, 9_900, 10_000]
    assert careful.blobs == {BLOB.descriptor.digest: DATA}


def test_a_whole_blob_that_is_refused_is_sent_once(careful):
    careful.cuts, careful.came = 0, b"other"
    with pytest.raises(SeedbedError, match="refused with status 400: digest invalid"):
        sent_to(careful)
    assert careful.sizes == [len(DATA)]


class Sharing(Handler):
    """Has other repositories, `server.elsewhere`: names and digests of what they hold."""

    def do_HEAD(self) -> None:
        found = re.fullmatch(r"/v2/(?!team/tiny/)(.+)/blobs/(.+)", self.path)
        if not found:
            return super().do_HEAD()
        if self.admitted():
            self.server.seen.append(found[1])
            self.answer(self.server.refuses or (200 if found[2] in self.server.elsewhere.get(found[1], ()) else 404))

    def do_POST(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        if not asked or not self.server.mounts:
            return super().do_POST()
        if self.admitted():
            self.server.blobs[asked["mount"][0]] = b"mounted"
            self.server.mounted.append(asked["from"][0])
            self.answer(201)

    def do_GET(self) -> None:
        """Gives a token for everything that `server.scopes` allows."""
        if not self.path.startswith("/token?"):
            return super().do_GET()
        scopes = parse_qs(urlsplit(self.path).query)["scope"]
        self.server.tokens.append(scopes)
        good = set(scopes) <= self.server.scopes and self.headers["Authorization"] == f"Basic {USER}"
        self.answer(200 if good else 403, body=b'{"token": "of good tidings"}' if good else b"")


OWN = "repository:team/tiny:pull,push"
ONE, TWO = (digest(data) for data in (b"one", b"two"))


@pytest.fixture(params=[None, "token"], ids=["open", "token"])
def sharing(request) -> Iterator[Registry]:
    for server in serving(Sharing, request.param):
        server.elsewhere = {"team/other": [ONE], "team/third": [ONE, TWO]}
        server.mounts, server.refuses, server.seen, server.mounted, server.tokens = True, 0, [], [], []
        server.scopes = {OWN, "repository:team/other:pull", "repository:team/third:pull"}
        yield server


def login_of(registry: Registry, tmp_path: Path) -> Path:
    logins = tmp_path / "config.json"
    logins.write_text(f'{{"auths": {{"{registry.address}": {{"auth": "{USER}"}}}}}}')
    return logins


def pushed_to(registry: Registry, tmp_path: Path) -> Sent:
    others = {ONE: ["team/none", "team/other", "team/third"], TWO: ["team/other", "team/third"]}
    return Repository(registry.address, "team/tiny", login_of(registry, tmp_path)).push(MANIFEST, LAYERS, others=others)


def test_what_a_sibling_has_is_mounted_and_not_sent(sharing, tmp_path):
    sharing.scopes.add("repository:team/none:pull")
    assert pushed_to(sharing, tmp_path) == Sent(0, mounted=6)
    assert sorted(sharing.mounted) == ["team/other", "team/third"]
    assert sharing.received == [MANIFEST.descriptor.digest]
    if sharing.asks:
        assert [OWN, "repository:team/other:pull"] in sharing.tokens


def test_what_is_there_is_neither_mounted_nor_sent(sharing, tmp_path):
    sharing.blobs = {ONE: b"one", TWO: b"two"}
    assert pushed_to(sharing, tmp_path) == Sent()
    assert sharing.seen == []


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_a_sibling_does_not_show_is_sent(sharing, tmp_path, status):
    sharing.refuses = status
    assert pushed_to(sharing, tmp_path) == Sent(6)


@pytest.mark.parametrize("status", [202, 400, 401, 403, 404, 405])
def test_where_mounting_is_refused_the_blob_is_sent(sharing, tmp_path, status):
    """A registry may know nothing of mounting."""
    sharing.answers["POST", "mount="] = status, {"Location": UPLOAD}
    sharing.mounts = False
    assert pushed_to(sharing, tmp_path) == Sent(6)


def test_where_no_token_is_given_for_a_sibling_the_blob_is_sent(sharing, tmp_path):
    sharing.scopes = {OWN}
    if sharing.asks:
        assert pushed_to(sharing, tmp_path) == Sent(6)


class Forgetful(Handler):
    """Its tokens are good for `server.good` requests."""

    def do_GET(self) -> None:
        if self.path.startswith("/token?"):
            self.server.given += 1
            self.server.used = 0
        super().do_GET()

    def admitted(self) -> bool:
        self.server.used += 1
        if self.command in ("PUT", "POST") and self.server.used > self.server.good:
            self.headers.replace_header("Authorization", "Bearer of old")
        return super().admitted()


@pytest.fixture
def forgetful() -> Iterator[Registry]:
    for server in serving(Forgetful, "token"):
        server.given = server.used = 0
        yield server


def test_a_token_that_expires_on_the_way_is_renewed_once_and_the_blob_sent_again(forgetful, tmp_path):
    """The token is good for HEAD and POST, and not for the data."""
    forgetful.good = 2
    upload = Upload(Repository(forgetful.address, "team/tiny", login_of(forgetful, tmp_path)), BLOB)
    assert upload() == Sent(len(DATA))
    assert forgetful.blobs == {BLOB.descriptor.digest: DATA}
    assert forgetful.given == 2


def test_if_the_fresh_token_is_not_taken_either_the_error_says_what_to_type(forgetful, tmp_path):
    forgetful.good = 0
    upload = Upload(Repository(forgetful.address, "team/tiny", login_of(forgetful, tmp_path)), BLOB)
    with pytest.raises(SeedbedError, match=rf"refused with status 401; run docker login {forgetful.address}$"):
        patience.patiently(upload)
    assert forgetful.given == 2


class Slow(io.BytesIO):
    """A long content, of which each piece takes a while; `pieces` has one entry for each."""

    def __init__(self, pieces: list[int], begun: threading.Event) -> None:
        super().__init__(bytes(1000 * 16384))
        self.pieces, self.begun = pieces, begun

    def read(self, size: int | None = -1) -> bytes:
        self.begun.set()
        self.pieces.append(size or 0)
        time.sleep(0.02)
        return super().read(size)


@pytest.mark.parametrize("turned", [False, True])
def test_once_a_blob_is_refused_the_others_are_broken_off(careful, turned):
    """Control: otherwise all of the slow one is sent, which nobody needs any more."""
    careful.cuts, pieces, begun = 0, [], threading.Event()

    def altered() -> io.BytesIO:
        begun.wait(10)
        return io.BytesIO(DATA[::-1])

    slow = Blob(Descriptor(LAYER_TYPE, digest(b"other"), 1000 * 16384), lambda: Slow(pieces, begun))
    blobs = [Blob(BLOB.descriptor, altered), slow]
    with pytest.raises(SeedbedError, match="refused with status 400: digest invalid"):
        Repository(careful.address, "team/tiny").push(MANIFEST, blobs[::-1] if turned else blobs)
    assert 0 < len(pieces) < 500
