"""A blob into a repository: not if it is there, mounted if another repository has it, resumed where it was cut off.

Source: OCI distribution specification 1.1, "Pushing blobs", "Mounting a blob from another repository".
"""

import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

from builder.errors import SeedbedError
from builder.oci.logins import well_formed
from builder.oci.patience import NEVER, Passing
from builder.oci.store import Blob
from builder.oci.transport import ASK, Answer, Connection, Place, Refused

OCTETS = {"Content-Type": "application/octet-stream"}
REACHED = re.compile(r"(?:bytes=)?0-([1-9][0-9]{0,14})")
"""Up to where an upload came, as the header Range says. Some write `0-0` for nothing, others for one byte."""

GONE = (400, 404, 416)
"""Statuses by which a registry says that an upload which was cut off cannot go on; another can be begun."""


@dataclass(frozen=True)
class Sent:
    """Bytes of blobs that were sent, and bytes of those that were mounted from other repositories of the registry."""

    sent: int = 0
    mounted: int = 0

    def __add__(self, other: "Sent") -> "Sent":
        return Sent(self.sent + other.sent, self.mounted + other.mounted)


class Upload:
    """A blob on its way into a repository. Each call is one attempt, and goes on where the last was cut off.

    It breaks off if `ended` is set: nobody waits for gigabytes of a push that has failed.
    """

    def __init__(self, place: Place, blob: Blob, others: Sequence[str] = (), ended: Event = NEVER) -> None:
        self.place, self.blob, self.others, self.ended = place, blob, others, ended
        self.what = f"blob {short(blob.descriptor.digest)}"
        self._cut_off = ""  # the address of an upload that the registry may know more of
        self._sending = False

    def __call__(self) -> Sent:
        size = self.blob.descriptor.size
        with self.place.writing() as connection:
            if self._has(connection):
                return Sent(size if self._sending else 0)
            if not self._sending and self._mounted():
                return Sent(mounted=size)
            address, offset = self._reached(connection) or (self._begun(connection), 0)
            self._send(connection, address, offset)
        return Sent(size)

    def _has(self, connection: Connection, name: str = "", statuses: Sequence[int] = (200, 404)) -> bool:
        """Whether the repository, or the one called `name`, has the blob; 404 alone means that it does not."""
        address = self.place.url(f"blobs/{self.blob.descriptor.digest}", name)
        return connection.ask(self.what, "HEAD", address, statuses).status == 200

    def _mounted(self) -> bool:
        """Whether one of the other repositories had the blob, and let this one have it too.

        Nobody has to allow that: where it is refused, the blob is sent.
        """
        for other in self.others:
            try:
                with self.place.writing(other) as connection:
                    if not self._has(connection, other, (200, 401, 403, 404)):
                        continue
                    query = {"mount": self.blob.descriptor.digest, "from": other}
                    address = self.place.url("blobs/uploads/")
                    if connection.ask(self.what, "POST", address, (201, 202), params=query).status == 201:
                        return True
            except Refused:
                continue
        return False

    def _begun(self, connection: Connection) -> str:
        """The address of a new upload."""
        return self._address(connection.ask(self.what, "POST", self.place.url("blobs/uploads/"), (202,)))

    def _reached(self, connection: Connection) -> tuple[str, int] | None:
        """Where the upload that was cut off goes on, and how many bytes of it arrived; None if the registry lost it."""
        address, self._cut_off = self._cut_off, ""
        if not address:
            return None
        try:
            answer = connection.ask(self.what, "GET", address, (204,), allow_redirects=False)
            came = REACHED.fullmatch(answer.headers.get("Range", ""))
            offset = int(came[1]) + 1 if came else 0
            return (self._address(answer), offset) if 0 < offset <= self.blob.descriptor.size else None
        except SeedbedError:
            return None

    def _send(self, connection: Connection, address: str, offset: int) -> None:
        """Send the blob from `offset` on."""
        size, self._sending = self.blob.descriptor.size, True
        query = {"digest": self.blob.descriptor.digest}
        headers = OCTETS | ({"Content-Range": f"{offset}-{size - 1}"} if 0 < offset < size else {})
        with self.blob.open() as content:
            content.seek(offset)
            data = Content(content, self.ended)
            try:
                connection.ask(self.what, "PUT", address, (201,), params=query, data=data, headers=headers)
            except Passing:
                self._cut_off = address
                raise
            except Refused as refused:
                # A whole blob that is refused as such stays refused; an upload that is gone, or its rest, does not.
                if refused.status in GONE and (offset or refused.status != 400):
                    raise Passing(refused.problem) from None
                raise

    def _address(self, answer: Answer) -> str:
        """Where a blob is to be sent; never from https to a plain connection."""
        location = answer.headers.get("Location", "")
        address = urljoin(answer.url, location) if location and well_formed(location) else ""
        if not address or urlsplit(address).scheme not in ("https", urlsplit(answer.url).scheme):
            problem = f"expected an upload over https, found Location: {location[:200]!r}"
            raise Passing(self.place.complaint(self.what, problem), remedy=ASK)  # it may pass: the answer was cut off
        return address


class Content(io.RawIOBase):
    """What is left of a blob, until the push has ended."""

    def __init__(self, content: BinaryIO, ended: Event) -> None:
        self._content, self._ended = content, ended

    def read(self, size: int = -1) -> bytes:
        if self._ended.is_set():
            raise SeedbedError("broken off, for the push has ended")
        return self._content.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._content.seek(offset, whence)

    def tell(self) -> int:
        return self._content.tell()


def short(digest: str) -> str:
    """The digest's first 12 digits, enough to find it by."""
    return digest[: len("sha256:") + 12]
