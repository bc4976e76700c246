"""Passwords and tokens that go to the server that they are for, and to no other."""

from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase


@dataclass(frozen=True)
class Credentials(AuthBase):
    """Credentials for one origin (scheme, host and port; RFC 6454). A request to any other goes without."""

    origin: str
    secret: AuthBase | None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.secret and origin(request.url or "") == self.origin:
            return self.secret(request)
        return request


def origin(address: str) -> str:
    """`https://host:443` of an address; the address itself if it is none."""
    try:
        split = urlsplit(address)
        return f"{split.scheme}://{split.hostname}:{split.port or {'https': 443, 'http': 80}.get(split.scheme)}"
    except ValueError:
        return address
