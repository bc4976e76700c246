"""Pushing to a registry straight from files: no engine has to hold them, and what the registry has is not sent.

Source: OCI distribution specification 1.1, "Push"; distribution's token authentication.
"""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import docker.auth
import requests
from docker.errors import DockerException

from builder import network
from builder.credentials import Credentials, origin
from builder.errors import SeedbedError, UsageError
from builder.oci.logins import LOOPBACK, login, token_in, token_server
from builder.oci.store import DIGEST, INDEX_TYPE, MANIFEST_TYPE, Blob
from builder.oci.transport import ONE_ANSWER, TIMEOUT, Bearer, Session, body, well_formed

UPLOADS_AT_ONCE = 4
HUB = f"registry-1.{docker.auth.INDEX_NAME}"
"""Where Docker keeps images that name no registry: its client has this name built in, and the SDK has none for it."""

MANIFEST_TYPES = ", ".join(
    (
        MANIFEST_TYPE,
        INDEX_TYPE,
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)
"""What a tag may name; a registry shows only what it is asked for."""


@dataclass(frozen=True)
class Repository:
    """A repository, `registry.example.org/team/name`. One on loopback needs no TLS, as with Docker's own client.

    `logins` is Docker's config.json, where `docker login` leaves what it was told.
    """

    registry: str
    name: str
    logins: Path | None = None

    @classmethod
    def of(cls, reference: str, logins: Path | None = None) -> "Repository":
        try:
            registry, name = docker.auth.resolve_repository_name(reference)
        except DockerException:
            form = "REGISTRY/NAME, such as registry.example.org/team"
            raise UsageError(f"SEEDBED_REPOSITORY: expected {form}, found {reference!r}") from None
        return cls(registry, name, logins)

    def __str__(self) -> str:
        return f"{self.registry}/{self.name}"

    def digest(self, tag: str) -> str | None:
        """What the tag names by now; None if the registry says that there is no such tag, and says nothing else."""
        with self._session() as session:
            answer = self._head(session, f"manifests/{tag}", {"Accept": MANIFEST_TYPES})
            return self._digest_in(answer) if answer else None

    def push(self, manifest: Blob, blobs: Sequence[Blob], tags: Sequence[str] = ()) -> int:
        """Send what is missing, and at last the manifest, under its digest and `tags`. Returns the blobs' bytes sent.

        Raises SeedbedError where the registry cannot be reached or refuses. Done again, it goes on with what is left.
        """
        with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
            sent = sum(pool.map(self._push_blob, blobs))
        for name in (manifest.descriptor.digest, *tags):
            self._push_manifest(manifest, name)
        return sent

    def _push_blob(self, blob: Blob) -> int:
        digest = blob.descriptor.digest
        with self._session() as session:
            if self._head(session, f"blobs/{digest}"):
                return 0
            opened = self._expect(202, session.post(self._url("blobs/uploads/"), **ONE_ANSWER))
            address = self._upload_address(opened)
            headers = {"Content-Type": "application/octet-stream"}
            with blob.open() as data:
                sent = session.put(address, params={"digest": digest}, data=data, headers=headers, **ONE_ANSWER)
            self._expect(201, sent)
        return blob.descriptor.size

    def _head(
        self, session: requests.Session, path: str, headers: dict[str, str] | None = None
    ) -> requests.Response | None:
        """The answer to a HEAD; None for 404, which alone means that there is no such thing."""
        answer = session.head(self._url(path), headers=headers, allow_redirects=True, timeout=TIMEOUT)
        return None if answer.status_code == requests.codes.not_found else self._expect(200, answer)

    def _digest_in(self, answer: requests.Response) -> str:
        found = answer.headers.get("Docker-Content-Digest", "")
        if not DIGEST.fullmatch(found):
            raise SeedbedError(f"{self}: expected a digest in the header Docker-Content-Digest, found {found[:80]!r}")
        return found

    def _upload_address(self, opened: requests.Response) -> str:
        """Where a blob is to be sent; never from https to a plain connection."""
        location = opened.headers.get("Location", "")
        address = urljoin(opened.url, location) if well_formed(location) else ""
        if urlsplit(address).scheme not in ("https", urlsplit(opened.url).scheme):
            raise SeedbedError(f"{self}: expected an upload over https, found Location: {location[:200]!r}")
        return address

    def _push_manifest(self, manifest: Blob, name: str) -> None:
        headers = {"Content-Type": manifest.descriptor.media_type}
        with self._session() as session, manifest.open() as data:
            self._expect(201, session.put(self._url(f"manifests/{name}"), data=data, headers=headers, **ONE_ANSWER))

    @contextmanager
    def _session(self) -> Iterator[requests.Session]:
        """A connection that may push. Tokens live for minutes only, so each blob gets one of its own."""
        with Session() as session:
            session.verify = str(network.ca_bundle() or requests.certs.where())
            try:
                asked = session.get(f"{self._root()}/v2/", **ONE_ANSWER)
                if asked.status_code == requests.codes.unauthorized:
                    session.auth = self._credentials(session, asked.headers.get("WWW-Authenticate", ""))
                else:
                    self._expect(200, asked)
                yield session
            except requests.RequestException as error:
                complaint = f"{self.registry}: no answer: {error}"
                raise SeedbedError(network.with_clock_remedy(complaint, complaint)) from error

    def _credentials(self, session: requests.Session, challenge: str) -> "Credentials":
        """What the registry's challenge asks for (RFC 7235): the user's login, or a token that it is exchanged for."""
        user = login(self.registry, self.logins)
        if challenge.lower().startswith("basic"):
            return Credentials(origin(self._root()), user)
        asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        realm = token_server(self.registry, asked.get("realm", ""))
        query = {"service": asked.get("service", ""), "scope": f"repository:{self.name}:pull,push"}
        answer = session.get(realm, params=query, auth=Credentials(origin(realm), user), **ONE_ANSWER)
        return Credentials(origin(self._root()), Bearer(token_in(self.registry, self._expect(200, answer))))

    def _expect(self, status: int, answer: requests.Response) -> requests.Response:
        if answer.status_code != status:
            said = " ".join(body(answer).decode(errors="replace").split())[:200] or answer.reason
            remedy = f"; run docker login {self.registry}" if answer.status_code in (401, 403) else ""
            raise SeedbedError(f"{self}: refused with status {answer.status_code}: {said}{remedy}")
        return answer

    def _root(self) -> str:
        host = HUB if self.registry == docker.auth.INDEX_NAME else self.registry
        return f"{'http' if LOOPBACK.fullmatch(host) else 'https'}://{host}"

    def _url(self, path: str) -> str:
        return f"{self._root()}/v2/{self.name}/{path}"
