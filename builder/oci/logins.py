"""Logins that `docker login` left, and the tokens that they are exchanged for.

Source: distribution's token authentication; RFC 6750, RFC 7235.
"""

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import docker.auth
import requests
from docker.errors import DockerException
from docker.utils.config import find_config_file
from pydantic_core import from_json
from requests.auth import AuthBase, HTTPBasicAuth

from builder.credentials import origin
from builder.errors import SeedbedError

warnings.filterwarnings("ignore", module="docker.credentials")  # what they warn of is an error here

LOOPBACK = re.compile(r"(localhost|127\.[0-9]+\.[0-9]+\.[0-9]+)(:[0-9]+)?")
TOKEN = re.compile("[ -~]+")


@dataclass(frozen=True)
class Bearer(AuthBase):
    """A token (RFC 6750)."""

    token: str

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


def login(registry: str, logins: Path | None) -> HTTPBasicAuth | None:
    """What `docker login` has left for this registry; raises SeedbedError if Docker did not write the file."""
    file = find_config_file(logins and str(logins))
    try:
        if file and not Path(file).is_file():
            raise ValueError("it is no plain file")
        login = docker.auth.load_config(file).resolve_authconfig(registry) or {}
        login = {key.lower(): value for key, value in login.items()}
        return HTTPBasicAuth(login["username"].encode(), login["password"].encode()) if "username" in login else None
    except (DockerException, OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        remedy = f"mend it, or delete it and run docker login {registry}"
        raise SeedbedError(f"{file}: expected Docker's logins: {' '.join(str(error).split())!r}; {remedy}") from None


def token_server(registry: str, realm: str) -> str:
    """The address that tokens come from. It gets the password, so it is https unless all happens on loopback."""
    address = urlsplit(realm if well_formed(realm) else "")
    local = LOOPBACK.fullmatch(registry) and LOOPBACK.fullmatch(address.netloc)
    if address.scheme == "https" or (address.scheme == "http" and local):
        return realm
    raise SeedbedError(f"{registry}: expected an https address to log in at, found realm {realm[:200]!r}")


def token_in(registry: str, address: str, said: bytes) -> str:
    """The token that a server at `address` gave; raises SeedbedError if it gave none."""
    try:
        document = from_json(said)
        token = document.get("token") or document["access_token"]
        if TOKEN.fullmatch(token):
            return str(token)
    except (ValueError, KeyError, AttributeError, TypeError):
        pass
    raise SeedbedError(f"{registry}: expected a token from {origin(address)}, found none")


def well_formed(address: str) -> bool:
    try:
        return bool(urlsplit(address))
    except ValueError:
        return False
