"""Files about an image: the same bytes each time, found through the referrers API or, without one, through a tag."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from builder.errors import SeedbedError
from builder.oci import patience
from builder.oci.artifacts import EMPTY_TYPE, Artifact
from builder.oci.registry import Repository
from builder.oci.store import INDEX_TYPE, LAYER_TYPE, MANIFEST_TYPE, Blob, Descriptor, canonical_json
from tests.unit.oci.test_registry import MANIFEST, Handler, Registry, digest

SBOM, STATEMENT = "application/vnd.cyclonedx+json", "application/vnd.in-toto+json"
IMAGE = MANIFEST.descriptor


def artifact(media_type: str, text: bytes, title: str = "") -> Artifact:
    return Artifact(media_type, IMAGE, (Blob.of(text, "application/json", title),))


SOME = [artifact(SBOM, b"1", "sbom.json"), artifact(STATEMENT, b"2")]


class WithManifests(Handler):
    """Gives what it has, has no API for referrers, and says of each manifest which it is."""

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        found = self.server.manifests.get(name, self.server.blobs.get(name))
        if not re.search("/manifests/|/blobs/", self.path):
            return self.answer(404) if "/referrers/" in self.path else super().do_GET()
        if not self.admitted() or self.answered():
            return None
        headers = {"Docker-Content-Digest": digest(found)} if found else {}
        return self.answer(200 if found else 404, headers, found or b"")


class WithApi(WithManifests):
    """Lists referrers, two a page; filters if `server.filters`."""

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if "/referrers/" not in self.path:
            return super().do_GET()
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        subject, start = address.path.rpartition("/")[2], int(query.get("from", 0))
        entries = [
            Descriptor.of(data, MANIFEST_TYPE).to_json() | {"artifactType": json.loads(data)["artifactType"]}
            for data in self.server.manifests.values()
            if json.loads(data).get("subject", {}).get("digest") == subject
        ]
        if self.server.filters and "artifactType" in query:
            entries = [entry for entry in entries if entry["artifactType"] == query["artifactType"]]
        self.server.pages += 1
        headers = {"Content-Type": INDEX_TYPE} | (
            {"OCI-Filters-Applied": "artifactType"} if self.server.filters else {}
        )
        if len(entries) > start + 2:
            headers["Link"] = f'<{address.path}?from={start + 2}>; rel="next"'
        index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries[start : start + 2]}
        return self.answer(200, headers, canonical_json(index))

    def answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        if self.command == "PUT" and "/manifests/" in self.path:
            headers = (headers or {}) | {"OCI-Subject": IMAGE.digest}
        super().answer(status, headers, body)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch) -> None:
    monkeypatch.setattr(patience, "POLICY", patience.POLICY.new(backoff_factor=0, backoff_jitter=0))


@pytest.fixture(params=[WithManifests, WithApi])
def server(request) -> Iterator[Registry]:
    with Registry() as server:
        server.RequestHandlerClass, server.filters, server.pages = request.param, False, 0
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def repository(server) -> Repository:
    return Repository(server.address, "team/tiny")


without_api = pytest.mark.parametrize("server", [WithManifests], indirect=True)
with_api = pytest.mark.parametrize("server", [WithApi], indirect=True)


def test_a_manifest_is_as_the_specification_has_it():
    manifest = json.loads(SOME[0].manifest())
    assert manifest == {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": SBOM,
        "config": {"mediaType": EMPTY_TYPE, "digest": digest(b"{}"), "size": 2},
        "layers": [
            {
                "mediaType": "application/json",
                "digest": digest(b"1"),
                "size": 1,
                "annotations": {"org.opencontainers.image.title": "sbom.json"},
            }
        ],
        "subject": {"mediaType": MANIFEST_TYPE, "digest": IMAGE.digest, "size": IMAGE.size},
    }
    assert "annotations" not in json.loads(SOME[1].manifest())["layers"][0]


def test_what_is_attached_is_found_by_its_type_and_read_back(repository):
    assert repository.referrers(IMAGE.digest, SBOM) == []
    digests = [repository.attach(artifact) for artifact in SOME]
    assert [repository.referrers(IMAGE.digest, one) for one in (SBOM, STATEMENT)] == [[each] for each in digests]
    manifest = repository.manifest(digests[0])
    assert manifest == SOME[0].manifest()
    assert repository.read_blob(json.loads(manifest)["layers"][0]["digest"]) == b"1"


@without_api
def test_the_index_is_the_same_whoever_came_first_and_however_often(server, repository):
    tag, indexes = IMAGE.digest.replace(":", "-"), []
    for order in (SOME, SOME[::-1], [*SOME, *SOME]):
        server.manifests.clear()
        for each in order:
            repository.attach(each)
        indexes.append(server.manifests[tag])
    assert len({*indexes}) == 1
    assert json.loads(indexes[0])["mediaType"] == INDEX_TYPE


@without_api
def test_what_others_put_into_the_index_stays(server, repository):
    theirs = {"mediaType": MANIFEST_TYPE, "digest": digest(b"theirs"), "size": 6, "artifactType": "x/y", "new": "field"}
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [theirs], "annotations": {"a": "b"}}
    server.manifests[IMAGE.digest.replace(":", "-")] = canonical_json(index)
    repository.attach(SOME[0])
    written = json.loads(server.manifests[IMAGE.digest.replace(":", "-")])
    assert theirs in written["manifests"] and len(written["manifests"]) == 2
    assert written["annotations"] == {"a": "b"}


@without_api
def test_an_entry_that_another_client_overwrites_is_written_again(server, repository, monkeypatch):
    """Control: without the look at what became of it, the entry is gone."""
    tag, answer = IMAGE.digest.replace(":", "-"), Handler.answer
    overwrites = [canonical_json({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": []})]

    def overwritten(handler: Handler, status: int, *rest: object) -> None:
        """Before the client hears that its index is stored, and so before it looks."""
        if handler.command == "PUT" and tag in handler.path and overwrites:
            server.manifests[tag] = overwrites.pop()
        answer(handler, status, *rest)

    monkeypatch.setattr(Handler, "answer", overwritten)
    repository.attach(SOME[0])
    assert len(repository.referrers(IMAGE.digest, SBOM)) == 1 and not overwrites


@with_api
def test_with_the_api_no_index_is_kept(server, repository):
    repository.attach(SOME[0])
    assert IMAGE.digest.replace(":", "-") not in server.manifests


@with_api
@pytest.mark.parametrize("filters", [True, False])
def test_pages_are_followed_and_what_is_not_filtered_there_is_filtered_here(server, repository, filters):
    server.filters = filters
    several = [artifact(SBOM, bytes([number])) for number in range(3)] + [SOME[1]]
    digests = [repository.attach(each) for each in several]
    server.pages = 0
    assert {*repository.referrers(IMAGE.digest, SBOM)} == {*digests[:3]}
    assert server.pages == 2
    assert repository.referrers(IMAGE.digest, STATEMENT) == digests[3:]


@with_api
def test_a_list_without_an_end_is_one_line(server, repository, monkeypatch):
    index = canonical_json({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": []})
    link = {"Link": f'</v2/team/tiny/referrers/{IMAGE.digest}>; rel="next"'}
    monkeypatch.setattr(WithApi, "do_GET", lambda handler: handler.answer(200, link, index))
    with pytest.raises(SeedbedError, match="referrers: expected at most 100 pages, found more"):
        repository.referrers(IMAGE.digest, SBOM)


@pytest.mark.parametrize("said", [b"", b"{}", b"[]", b'{"manifests": 5}', b'{"manifests": [{"digest": "x"}]}', b"\xff"])
def test_an_index_that_is_none_is_one_line(server, repository, said, monkeypatch):
    def do_get(handler: Handler) -> None:
        wanted = "/referrers/" if isinstance(handler, WithApi) else "/manifests/sha256-"
        headers = {"Docker-Content-Digest": digest(said)}
        handler.answer(200 if wanted in handler.path or handler.path == "/v2/" else 404, headers, said)

    monkeypatch.setattr(server.RequestHandlerClass, "do_GET", do_get)
    with pytest.raises(SeedbedError, match="expected an image index of referrers, found none"):
        repository.referrers(IMAGE.digest, SBOM)


BLOB = Blob.of(b"layer" * 100, LAYER_TYPE)


@without_api
def test_a_blob_is_fetched_into_a_file_or_not_at_all(server, repository, tmp_path):
    server.blobs[BLOB.descriptor.digest] = BLOB.open().read()
    repository.blob(BLOB.descriptor.digest, 500, tmp_path / "blob")
    assert (tmp_path / "blob").read_bytes() == BLOB.open().read()
    for size, data in ((499, BLOB.open().read()), (500, b"1ayer" * 100)):
        server.blobs[BLOB.descriptor.digest] = data
        with pytest.raises(SeedbedError, match=r"blob sha256:\w{12}: expected "):
            repository.blob(BLOB.descriptor.digest, size, tmp_path / "other")
        with pytest.raises(SeedbedError, match=r"blob sha256:\w{12}: expected "):
            repository.read_blob(BLOB.descriptor.digest, size)
    assert [path.name for path in tmp_path.iterdir()] == ["blob"]


@without_api
def test_a_manifest_that_is_not_what_its_digest_says_is_refused(server, repository):
    name = f"sha256:{hashlib.sha256(b'{}').hexdigest()}"
    server.manifests[name] = server.manifests["1.0"] = b"{ }"
    with pytest.raises(SeedbedError, match=rf"expected {name}, found {digest(b'{ }')}"):
        repository.manifest(name)
    assert repository.manifest("1.0") == b"{ }"
    server.answers["GET", "/manifests/1.0"] = 200, {"Docker-Content-Digest": name}
    with pytest.raises(SeedbedError, match=rf"expected {name}, found "):
        repository.manifest("1.0")


@without_api
def test_what_is_not_there_is_one_line(repository):
    with pytest.raises(SeedbedError, match=r"manifest 1\.0: refused with status 404"):
        repository.manifest("1.0")
    with pytest.raises(SeedbedError, match=r"blob sha256:\w{12}: refused with status 404"):
        repository.read_blob(BLOB.descriptor.digest)


def test_the_image_comes_before_what_is_attached_and_that_before_the_tags(server, repository):
    image = Blob.of(b'{"an": "image"}', MANIFEST_TYPE)
    repository.push(image, [BLOB], ["1.0", "1"], attached=[SOME[0]])
    order = [image.descriptor.digest, digest(SOME[0].manifest()), "1.0", "1"]
    assert [name for name in server.received if name in order] == order
