"""Pushing to a registry straight from files: no engine has to hold them, and what the registry has is not sent.

Source: OCI distribution specification 1.1, "Push"; distribution's token authentication.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin

import docker.auth
import requests

from builder import network
from builder.errors import SeedbedError
from builder.oci import INDEX_TYPE, MANIFEST_TYPE, Descriptor

UPLOADS_AT_ONCE = 4
HUB = f"registry-1.{docker.auth.INDEX_NAME}"
"""Where Docker keeps images that name no registry: its client has this name built in, and the SDK has none for it."""

LOOPBACK = re.compile(r"(localhost|127\.\d+\.\d+\.\d+)(:\d+)?")
MANIFEST_TYPES = ", ".join(
    (
        MANIFEST_TYPE,
        INDEX_TYPE,
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)
"""What a tag may name; a registry shows only what it is asked for."""

TIMEOUT = (20, 600)
"""Seconds to connect, and to wait for an answer."""


@dataclass(frozen=True)
class Blob:
    """What a registry is to hold, and how to read it."""

    descriptor: Descriptor
    open: Callable[[], BinaryIO]


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
        registry, name = docker.auth.resolve_repository_name(reference)
        return cls(registry, name, logins)

    def __str__(self) -> str:
        return f"{self.registry}/{self.name}"

    def digest(self, tag: str) -> str | None:
        """What the tag names by now, None where there is no such tag."""
        with self._session() as session:
            answer = session.head(self._url(f"manifests/{tag}"), headers={"Accept": MANIFEST_TYPES}, timeout=TIMEOUT)
            return answer.headers["Docker-Content-Digest"] if answer.ok else None

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
            if session.head(self._url(f"blobs/{digest}"), timeout=TIMEOUT).ok:
                return 0
            opened = self._expect(202, session.post(self._url("blobs/uploads/"), timeout=TIMEOUT))
            address = urljoin(opened.url, opened.headers["Location"])
            headers = {"Content-Type": "application/octet-stream"}
            with blob.open() as data:
                sent = session.put(address, params={"digest": digest}, data=data, headers=headers, timeout=TIMEOUT)
            self._expect(201, sent)
        return blob.descriptor.size

    def _push_manifest(self, manifest: Blob, name: str) -> None:
        headers = {"Content-Type": manifest.descriptor.media_type}
        with self._session() as session, manifest.open() as data:
            self._expect(201, session.put(self._url(f"manifests/{name}"), data=data, headers=headers, timeout=TIMEOUT))

    @contextmanager
    def _session(self) -> Iterator[requests.Session]:
        """A connection that may push. Tokens live for minutes only, so each blob gets one of its own."""
        with requests.Session() as session:
            session.verify = str(network.ca_bundle() or requests.certs.where())
            try:
                asked = session.get(f"{self._root()}/v2/", timeout=TIMEOUT)
                if asked.status_code == requests.codes.unauthorized:
                    self._log_in(session, asked.headers["WWW-Authenticate"])
                yield session
            except requests.RequestException as error:
                raise SeedbedError(f"{self.registry}: no answer: {error}") from error

    def _log_in(self, session: requests.Session, challenge: str) -> None:
        login = docker.auth.load_config(self.logins and str(self.logins)).resolve_authconfig(self.registry) or {}
        login = {key.lower(): value for key, value in login.items()}
        user = (login["username"], login["password"]) if "username" in login else None
        if challenge.lower().startswith("basic"):
            session.auth = user
            return
        asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        query = {"service": asked.get("service", ""), "scope": f"repository:{self.name}:pull,push"}
        answer = self._expect(200, session.get(asked["realm"], params=query, auth=user, timeout=TIMEOUT)).json()
        session.headers["Authorization"] = f"Bearer {answer.get('token') or answer['access_token']}"

    def _expect(self, status: int, answer: requests.Response) -> requests.Response:
        if answer.status_code != status:
            said = " ".join(answer.text.split())[:200] or answer.reason
            remedy = f"; run docker login {self.registry}" if answer.status_code in (401, 403) else ""
            raise SeedbedError(f"{self}: refused with status {answer.status_code}: {said}{remedy}")
        return answer

    def _root(self) -> str:
        host = HUB if self.registry == docker.auth.INDEX_NAME else self.registry
        return f"{'http' if LOOPBACK.fullmatch(host) else 'https'}://{host}"

    def _url(self, path: str) -> str:
        return f"{self._root()}/v2/{self.name}/{path}"
