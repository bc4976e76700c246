"""How registries are talked to: no credentials but those given, no redirects with them, answers read for a while.

Source: RFC 6750; RFC 9110.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from builder.credentials import Credentials
from builder.reading import LARGEST

CHUNK = 1 << 16  # bytes

TIMEOUT = (20, 600)
"""Seconds to connect, and to wait for an answer."""


ONE_ANSWER: Any = {"timeout": TIMEOUT, "allow_redirects": False, "stream": True}
"""How to ask for what is never to be asked of anybody else; `body` reads the answer."""


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
