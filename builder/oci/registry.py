"""Pushing to a registry straight from files: no engine has to hold them, and what the registry has is not sent.

Source: OCI distribution specification 1.1, "Push"; distribution's token authentication.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

import docker.auth
import requests
from docker.errors import DockerException
from docker.utils.config import find_config_file
from pydantic_core import from_json
from requests.auth import AuthBase, HTTPBasicAuth

from builder import network
from builder.credentials import Credentials, origin
from builder.errors import SeedbedError, UsageError
from builder.oci.store import DIGEST, INDEX_TYPE, MANIFEST_TYPE, Descriptor
from builder.reading import LARGEST

warnings.filterwarnings("ignore", module="docker.credentials")  # what they warn of is an error here

UPLOADS_AT_ONCE = 4
CHUNK = 1 << 16  # bytes
HUB = f"registry-1.{docker.auth.INDEX_NAME}"
"""Where Docker keeps images that name no registry: its client has this name built in, and the SDK has none for it."""

LOOPBACK = re.compile(r"(localhost|127\.[0-9]+\.[0-9]+\.[0-9]+)(:[0-9]+)?")
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


ONE_ANSWER: Any = {"timeout": TIMEOUT, "allow_redirects": False, "stream": True}
"""How to ask for what is never to be asked of anybody else; `body` reads the answer."""

TOKEN = re.compile("[ -~]+")


class Session(requests.Session):
    """Knows no credentials but those given: none of ~/.netrc's, and after a redirect `auth` decides anew."""

    def __init__(self) -> None:
        super().__init__()
        self.auth = Credentials("", None)

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        prepared_request.headers.pop("Authorization", None)
        self.auth(prepared_request)


@dataclass(frozen=True)
class Bearer(AuthBase):
    """A token (RFC 6750)."""

    token: str

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


def well_formed(address: str) -> bool:
    try:
        return bool(urlsplit(address))
    except ValueError:
        return False


def body(answer: requests.Response) -> bytes:
    """What the answer says, up to 1 MiB of it: some answers never end."""
    said = b""
    for chunk in answer.iter_content(CHUNK):
        said += chunk
        if len(said) > LARGEST:
            break
    return said[:LARGEST]


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
        user = self._login()
        if challenge.lower().startswith("basic"):
            return Credentials(origin(self._root()), user)
        asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        realm = self._token_server(asked.get("realm", ""))
        query = {"service": asked.get("service", ""), "scope": f"repository:{self.name}:pull,push"}
        answer = session.get(realm, params=query, auth=Credentials(origin(realm), user), **ONE_ANSWER)
        return Credentials(origin(self._root()), Bearer(self._token_in(self._expect(200, answer))))

    def _login(self) -> HTTPBasicAuth | None:
        """What `docker login` has left for this registry; raises SeedbedError if Docker did not write the file."""
        file = find_config_file(self.logins and str(self.logins))
        try:
            if file and not Path(file).is_file():
                raise ValueError("it is no plain file")
            login = docker.auth.load_config(file).resolve_authconfig(self.registry) or {}
            login = {key.lower(): value for key, value in login.items()}
            return (
                HTTPBasicAuth(login["username"].encode(), login["password"].encode()) if "username" in login else None
            )
        except (DockerException, OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            remedy = f"mend it, or delete it and run docker login {self.registry}"
            raise SeedbedError(
                f"{file}: expected Docker's logins: {' '.join(str(error).split())!r}; {remedy}"
            ) from None

    def _token_server(self, realm: str) -> str:
        """The address that tokens come from. It gets the password, so it is https unless all happens on loopback."""
        address = urlsplit(realm if well_formed(realm) else "")
        local = LOOPBACK.fullmatch(self.registry) and LOOPBACK.fullmatch(address.netloc)
        if address.scheme == "https" or (address.scheme == "http" and local):
            return realm
        raise SeedbedError(f"{self.registry}: expected an https address to log in at, found realm {realm[:200]!r}")

    def _token_in(self, answer: requests.Response) -> str:
        try:
            document = from_json(body(answer))
            token = document.get("token") or document["access_token"]
            if TOKEN.fullmatch(token):
                return str(token)
        except (ValueError, KeyError, AttributeError, TypeError):
            pass
        raise SeedbedError(f"{self.registry}: expected a token from {origin(answer.url)}, found none")

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
