"""Repositories of a registry: images sent straight from files, what is attached to them, and both read back.

Source: OCI distribution specification 1.1.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event
from types import MappingProxyType
from urllib.parse import urljoin

import docker.auth
import requests
from docker.errors import DockerException
from docker.utils import parse_repository_tag

from builder import files
from builder.errors import SeedbedError, UsageError
from builder.oci import artifacts
from builder.oci.artifacts import Artifact
from builder.oci.patience import Passing, patient, patiently
from builder.oci.store import DIGEST, INDEX_TYPE, MANIFEST_TYPE, Blob, Descriptor, Hashing
from builder.oci.transport import ASK, Answer, Connection, Place
from builder.oci.uploads import Sent, Upload, short

UPLOADS_AT_ONCE = 4
MANIFEST_TYPES = ", ".join(
    (
        MANIFEST_TYPE,
        INDEX_TYPE,
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)
"""What a tag may name; a registry shows only what it is asked for."""

LARGEST_IN_MEMORY = 64 << 20
MOST_PAGES = 100
"""Of a list of referrers."""


def check_name(name: str) -> None:
    """Raise UsageError for what is left of an image's name if a variable in it is empty: `/name@`."""
    if name.endswith(("@", ":")) or (name.startswith("/") and "@" in name):
        raise UsageError(f"{name}: expected REGISTRY/NAME@DIGEST; a variable in it is empty")


class Repository(Place):
    """A repository, `registry.example.org/team/name`. Whatever it does is tried again if it meets a passing fault:
    each request by one `patient` method, which calls no other."""

    @classmethod
    def of(cls, reference: str, logins: Path | None = None) -> "Repository":
        try:
            registry, name = docker.auth.resolve_repository_name(reference)
        except DockerException:
            form = "REGISTRY/NAME, such as registry.example.org/team"
            raise UsageError(f"SEEDBED_REPOSITORY: expected {form}, found {reference!r}") from None
        return cls(registry, name, logins)

    @classmethod
    def and_tag(cls, name: str, logins: Path | None = None) -> tuple["Repository", str]:
        """Where an image is, and its tag or digest there, from a name such as `registry.example.org/team/name:1`."""
        where, tag = parse_repository_tag(name)
        return cls.of(where, logins), tag or "latest"

    @patient
    def digest(self, tag: str) -> str | None:
        """What the tag names by now; None if the registry says that there is no such tag, and says nothing else."""
        with self.reading() as connection:
            return self._named(connection, tag)

    def known_digest(self, name: str) -> str:
        """What a tag names, or that digest itself; raises SeedbedError if the registry has no such image."""
        found = self.digest(name)
        if found is None:
            raise SeedbedError(f"{self}{'@' if DIGEST.fullmatch(name) else ':'}{name}: the registry has no such image")
        return found

    @patient
    def refuse_to_move(self, tag: str, digest: str) -> None:
        """Raise SeedbedError if the tag names another image by now."""
        with self.writing() as connection:
            self._is_free(connection, tag, digest)

    def push(
        self,
        manifest: Blob,
        blobs: Sequence[Blob],
        tags: Sequence[str] = (),
        *,
        attached: Sequence[Artifact] = (),
        others: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> Sent:
        """Send what is missing: blobs, then the manifest, then what is attached to it, and at last the tags.

        `others` names, for digests of blobs, repositories of the registry that may have them. Raises SeedbedError
        where the registry cannot be reached or refuses; the tags are then as they were, or name this manifest. Done
        again, it goes on with what is left.
        """
        sent = self._push_blobs(blobs, others)
        self._put(manifest)
        for artifact in attached:
            sent += self._attach(artifact, others)
        for tag in tags:
            self._tag(manifest, tag)
        return sent

    def attach(self, artifact: Artifact) -> str:
        """Send files about an image, to be found by its digest; returns the digest of their manifest."""
        self._attach(artifact)
        return Descriptor.of(artifact.manifest(), MANIFEST_TYPE).digest

    @patient
    def referrers(self, digest: str, media_type: str) -> list[str]:
        """The digests of the manifests of this type that are attached to the image."""
        found = self._referrers(digest, media_type)
        if found is None:  # a registry without the API: its clients keep an index
            index = self._index(artifacts.tag_of(digest))
            found = index.of_type(media_type) if index else []
        return found

    @patient
    def manifest(self, name: str) -> bytes:
        """The manifest that has this digest, or that a tag names."""
        return self._find_manifest(name) or b""

    @patient
    def blob(self, digest: str, size: int, into: Path) -> None:
        """Fetch a blob into a file, which appears once it is whole and has that digest."""
        with files.replacing(into) as file:
            self._fetch(digest, size, file.write)

    @patient
    def read_blob(self, digest: str, largest: int = LARGEST_IN_MEMORY) -> bytes:
        """A blob of at most `largest` bytes."""
        data = bytearray()
        self._fetch(digest, largest, data.extend)
        return bytes(data)

    def _push_blobs(self, blobs: Sequence[Blob], others: Mapping[str, Sequence[str]]) -> Sent:
        """Several at once; as soon as one fails, the others are broken off."""
        ended = Event()
        uploads = [Upload(self, blob, others.get(blob.descriptor.digest, ()), ended) for blob in blobs]
        with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
            try:
                sending = [pool.submit(patiently, upload, ended) for upload in uploads]
                done, _ = wait(sending, return_when=FIRST_EXCEPTION)
                return sum((upload.result() for upload in done), Sent())
            except BaseException:
                ended.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _named(self, connection: Connection, tag: str) -> str | None:
        headers = {"Accept": MANIFEST_TYPES}
        answer = connection.ask(f"tag {tag}", "HEAD", self.url(f"manifests/{tag}"), (200, 404), headers=headers)
        if answer.status != requests.codes.ok:
            return None
        found = self._digest_in(answer, f"tag {tag}")
        if DIGEST.fullmatch(tag):
            self._expect_digest(f"manifest {short(tag)}", tag, found)
        return found

    def _is_free(self, connection: Connection, tag: str, digest: str) -> bool:
        """Whether the tag is not set; raises SeedbedError if it names another image."""
        found = self._named(connection, tag)
        if found not in (None, digest):
            raise SeedbedError(
                f"{self}:{tag} is {found} already, and tags never move: it would become {digest}; "
                "give the new image another tag in image.yaml"
            )
        return found is None

    @patient
    def _tag(self, manifest: Blob, tag: str) -> None:
        """Set a tag, unless it is set: somebody else may have been faster, or the answer of the last try was lost."""
        with self.writing() as connection:
            if self._is_free(connection, tag, manifest.descriptor.digest):
                self._put_by(connection, manifest, tag)

    @patient
    def _put(self, manifest: Blob) -> Answer:
        with self.writing() as connection:
            return self._put_by(connection, manifest, manifest.descriptor.digest)

    def _put_by(self, connection: Connection, manifest: Blob, name: str) -> Answer:
        what = f"manifest {short(name)}" if DIGEST.fullmatch(name) else f"tag {name}"
        headers = {"Content-Type": manifest.descriptor.media_type}
        with manifest.open() as data:
            answer = connection.ask(what, "PUT", self.url(f"manifests/{name}"), (201,), data=data, headers=headers)
        if "Docker-Content-Digest" in answer.headers:
            self._expect_digest(what, manifest.descriptor.digest, self._digest_in(answer, what))
        return answer

    def _attach(self, artifact: Artifact, others: Mapping[str, Sequence[str]] = MappingProxyType({})) -> Sent:
        """A registry with the referrers API names the subject in its answer; else the client keeps the index."""
        sent = self._push_blobs(artifact.blobs, others)
        answer = self._put(Blob.of(artifact.manifest(), MANIFEST_TYPE))
        if artifact.subject and answer.headers.get("OCI-Subject") != artifact.subject.digest:
            self._list(artifact, artifact.subject.digest)
        return sent

    @patient
    def _list(self, artifact: Artifact, subject: str) -> None:
        """Add to the index of what refers to the image, and see that it stayed: others may write it meanwhile."""
        tag = artifacts.tag_of(subject)

        def changed() -> bytes | None:
            return artifacts.with_entry(self._index(tag), artifact.entry())

        if (index := changed()) is not None:
            with self.writing() as connection:
                self._put_by(connection, Blob.of(index, INDEX_TYPE), tag)
            if changed() is not None:
                raise Passing(f"{self}: tag {tag}: another client changed it at the same time")

    def _referrers(self, digest: str, media_type: str) -> list[str] | None:
        """What the referrers API lists of this type, which it need not filter; None if the registry has no such API."""
        address, query = self.url(f"referrers/{digest}"), {"artifactType": media_type}
        found: list[str] = []
        with self.reading() as connection:
            for _ in range(MOST_PAGES):
                headers = {"Accept": INDEX_TYPE}
                answer = connection.ask("referrers", "GET", address, (200, 404), params=query, headers=headers)
                if answer.status == requests.codes.not_found:
                    return None
                found += artifacts.read_index(f"{self}: referrers", answer.body).of_type(media_type)
                links = requests.utils.parse_header_links(answer.headers.get("Link", ""))
                following = next((link["url"] for link in links if link.get("rel") == "next"), "")
                if not following:
                    return found
                address, query = urljoin(answer.url, following), {}
        raise SeedbedError(f"{self}: referrers: expected at most {MOST_PAGES} pages, found more; {ASK}")

    def _index(self, tag: str) -> artifacts.Index | None:
        """The index of referrers with that tag; None if there is no such tag."""
        found = self._find_manifest(tag, (200, 404))
        return None if found is None else artifacts.read_index(f"{self}:{tag}", found)

    def _find_manifest(self, name: str, expected: Collection[int] = (200,)) -> bytes | None:
        what, headers = f"manifest {short(name)}", {"Accept": MANIFEST_TYPES}
        with self.reading() as connection:
            answer = connection.ask(what, "GET", self.url(f"manifests/{name}"), expected, headers=headers)
        if answer.status == requests.codes.not_found:
            return None
        found = Descriptor.of(answer.body, MANIFEST_TYPE).digest
        self._expect_digest(what, name if DIGEST.fullmatch(name) else self._digest_in(answer, what, found), found)
        return answer.body

    def _fetch(self, digest: str, largest: int, write: Callable[[bytes], object]) -> None:
        """Give the blob's content to `write`, in pieces; raises SeedbedError unless it has that digest."""
        what, found = f"blob {short(digest)}", Hashing(write)

        def take(chunk: bytes) -> None:
            if found.size + len(chunk) > largest:
                raise SeedbedError(self.complaint(what, f"expected at most {largest} bytes, found more; {ASK}"))
            found.write(chunk)

        with self.reading() as connection:
            connection.ask(what, "GET", self.url(f"blobs/{digest}"), (200,), into=take)
        self._expect_digest(what, digest, found.digest)

    def _digest_in(self, answer: Answer, what: str, default: str = "") -> str:
        found = answer.headers.get("Docker-Content-Digest", default)
        if not DIGEST.fullmatch(found):
            problem = f"expected a digest in the header Docker-Content-Digest, found {found[:80]!r}"
            raise Passing(self.complaint(what, problem), remedy=ASK)  # it may pass: the answer was cut off
        return found

    def _expect_digest(self, what: str, expected: str, found: str) -> None:
        if found != expected:
            raise SeedbedError(self.complaint(what, f"expected {expected}, found {found}; {ASK}"))
