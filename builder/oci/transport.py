"""Talking to a registry: who may see which credentials, which faults may pass, and what the others are called.

Source: OCI distribution specification 1.1; RFC 9110.
"""

import logging
import re
import socket
import ssl
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import docker.auth
import requests
from urllib3.exceptions import HTTPError, LocationParseError

from builder import network
from builder.credentials import Credentials, origin
from builder.errors import SeedbedError
from builder.oci.logins import LOOPBACK, Bearer, login, token_in, token_server
from builder.oci.patience import Passing, seconds_of
from builder.reading import LARGEST

logging.getLogger("urllib3").setLevel(logging.ERROR)  # what it warns of is found here, or tried again

HUB = f"registry-1.{docker.auth.INDEX_NAME}"
"""Where Docker keeps images that name no registry: its client has this name built in, and the SDK has none for it."""

CHUNK = 1 << 16  # bytes
CONNECTED = 20.0
ANSWERED = 60.0
STORED = 600.0
"""Seconds to wait for a connection, for an answer, and for one to what was sent: a registry copies and hashes it."""

LONGEST_ANSWER = 10.0
"""Seconds that an answer's document is read for: some never end."""

MAY_PASS = (408, 429, 500, 502, 503, 504)
FINAL = (ssl.SSLCertVerificationError, requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema,
         requests.exceptions.MissingSchema, requests.TooManyRedirects, LocationParseError)  # fmt: skip
NO_SUCH_HOST = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))

NOBODY = Credentials("", None)

ASK = "ask who runs the registry"
REMEDIES = {
    401: "run docker login {registry}",
    403: "run docker login {registry}",
    404: "check that SEEDBED_REPOSITORY names a repository that is there",
    413: "have the proxy before the registry take larger bodies",
}


class Refused(SeedbedError):
    """An answer with a status that asking again does not change."""

    def __init__(self, problem: str, status: int, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem, self.status = problem, status


@dataclass(frozen=True)
class Answer:
    """An answer of the server at `url`; `body` is what was read of it, at most `LARGEST` bytes."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Place:
    """A repository's address, and Docker's config.json with the logins; None: where Docker's client has it."""

    registry: str
    name: str
    logins: Path | None = None
    keys: dict[tuple[str, ...], Credentials] = field(default_factory=dict, compare=False, repr=False)
    """What the registry asked for, by scopes: it is asked once, not by each connection."""

    def __str__(self) -> str:
        return f"{self.registry}/{self.name}"

    @property
    def root(self) -> str:
        """Where the registry is. One on loopback needs no TLS, as with Docker's own client."""
        host = HUB if self.registry == docker.auth.INDEX_NAME else self.registry
        return f"{'http' if LOOPBACK.fullmatch(host) else 'https'}://{host}"

    def url(self, path: str, name: str = "") -> str:
        """The address of something in the repository, or in the one called `name`."""
        return f"{self.root}/v2/{name or self.name}/{path}"

    def complaint(self, what: str, problem: str) -> str:
        """One line on what went wrong with a part of it."""
        return ": ".join(filter(None, [str(self), what, problem]))

    def reading(self) -> "Connection":
        return Connection(self, (f"repository:{self.name}:pull",))

    def writing(self, *others: str) -> "Connection":
        """A connection that may push to the repository, and pull from these others."""
        scopes = (f"repository:{self.name}:pull,push", *(f"repository:{other}:pull" for other in others))
        return Connection(self, scopes)


class Connection(requests.Session):
    """A connection for one thread. If its token has expired, it gets a fresh one, once.

    It knows no credentials but the registry's: none of ~/.netrc's, and after a redirect `auth` decides anew.
    """

    def __init__(self, place: Place, scopes: tuple[str, ...]) -> None:
        super().__init__()
        self.place, self.scopes = place, scopes
        self.max_redirects = 5
        self._authorities = str(network.ca_bundle() or requests.certs.where())
        self._renewable = False

    def __enter__(self) -> "Connection":
        try:
            self.auth = self.place.keys.get(self.scopes) or self._log_in()
        except BaseException:
            self.close()
            raise
        self._renewable = isinstance(self.auth.secret, Bearer)  # a token is good for some minutes
        return self

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        prepared_request.headers.pop("Authorization", None)
        self.auth(prepared_request)

    def ask(
        self,
        what: str,
        method: str,
        url: str,
        expected: Collection[int],
        *,
        data: IO[bytes] | None = None,
        into: Callable[[bytes], object] | None = None,
        **options: Any,
    ) -> Answer:
        """The answer, which has one of these statuses; `into` gets the chunks of one with status 200.

        `what` the request is about stands in errors. Raises Passing where trying again may help, else SeedbedError.
        What is sent stays with the server asked; only reading follows redirects, without credentials.
        """
        options["allow_redirects"] = method in ("HEAD", "GET") and options.get("allow_redirects", True)
        start = data.tell() if data else 0
        answer = self._once(what, method, url, data=data, into=into, **options)
        if answer.status == requests.codes.unauthorized and answer.status not in expected and self._renewable:
            self._renewable = False
            self.auth = self._log_in()
            if data:
                data.seek(start)
            answer = self._once(what, method, url, data=data, into=into, **options)
        if answer.status not in expected:
            raise self._refusal(what, answer)
        return answer

    def _once(
        self, what: str, method: str, url: str, *, into: Callable[[bytes], object] | None, **options: Any
    ) -> Answer:
        options["timeout"] = (CONNECTED, STORED if method == "PUT" else ANSWERED)
        options["verify"] = self._authorities  # a session's own gives way to the environment
        try:
            with self.request(method, url, stream=True, **options) as answer:
                said = b""
                if into and answer.status_code == requests.codes.ok:
                    for chunk in chunks(answer):
                        into(chunk)
                else:
                    said = document(answer)
                return Answer(answer.url, answer.status_code, answer.headers, said)
        except (requests.RequestException, HTTPError) as error:
            said = self.place.complaint(what, f"no answer: {reason(error)}")
            problem = network.with_remedy(said, said)
            if any(is_final(cause) for cause in causes(error)):
                raise SeedbedError(f"{problem}; check SEEDBED_REPOSITORY and {ASK}") from error
            raise Passing(problem) from error

    def _refusal(self, what: str, answer: Answer) -> SeedbedError:
        said = " ".join(answer.body.decode(errors="replace").split())[:200]
        problem = self.place.complaint(what, f"refused with status {answer.status}{said and f': {said}'}")
        if answer.status in MAY_PASS:
            return Passing(problem, seconds_of(answer.headers.get("Retry-After")))
        remedy = REMEDIES.get(answer.status, ASK).format(registry=self.place.registry)
        return Refused(problem, answer.status, remedy)

    def _log_in(self) -> Credentials:
        """What lets this connection in, which is remembered for the next."""
        self.auth = NOBODY
        found = self.place.keys[self.scopes] = self._credentials()
        return found

    def _credentials(self) -> Credentials:
        """What the registry asks for: the login, or a token for it.

        Nobody but the registry itself is believed in this: the request follows no redirect.
        """
        asked = self.ask("", "GET", f"{self.place.root}/v2/", (200, 401), allow_redirects=False)
        if asked.status == requests.codes.ok:
            return NOBODY
        registry, home = self.place.registry, origin(self.place.root)
        user = login(registry, self.place.logins)
        challenge = asked.headers.get("WWW-Authenticate", "")
        if challenge.lower().startswith("basic"):
            return Credentials(home, user)
        wanted = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        realm = token_server(registry, wanted.get("realm", ""))
        query = [("service", wanted.get("service", "")), *(("scope", scope) for scope in self.scopes)]
        auth = Credentials(origin(realm), user)
        given = self.ask("login", "GET", realm, (200,), params=query, auth=auth, allow_redirects=False)
        return Credentials(home, Bearer(token_in(registry, given.url, given.body)))


def document(answer: requests.Response) -> bytes:
    """What the answer says, up to 1 MiB of it and for some seconds: some answers never end."""
    said, began = b"", time.monotonic()
    for chunk in chunks(answer):
        said += chunk
        if len(said) > LARGEST or time.monotonic() - began > LONGEST_ANSWER:
            break
    return said[:LARGEST]


def chunks(answer: requests.Response) -> Iterator[bytes]:
    """The content as it comes in; urllib3's own errors if it breaks off."""
    while chunk := answer.raw.read1(CHUNK, decode_content=True):
        yield chunk


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what is below it: libraries wrap those of the system several times."""
    while error:
        yield error
        inner = [getattr(error, "reason", None), *error.args, error.__cause__, error.__context__]
        error = next((cause for cause in inner if isinstance(cause, BaseException)), None)


def is_final(error: BaseException) -> bool:
    """Whether trying again cannot help: an address that is none, a host that does not exist, a certificate."""
    return isinstance(error, FINAL) or (isinstance(error, socket.gaierror) and error.errno in NO_SUCH_HOST)


def reason(error: BaseException) -> str:
    """What is at the bottom of it, in the system's words."""
    *_, last = causes(error)
    return getattr(last, "strerror", None) or str(last) or type(last).__name__
