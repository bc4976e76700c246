"""A store as a registry on loopback that only gives: an engine pulls what it lacks, and nothing is sent twice.

`python -m builder.oci.serve FOLDER PORT` does it in a container, for the engine that the container runs in.

Source: OCI distribution specification 1.1, "Pull".
"""

import os
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

from builder.oci.store import DIGEST, MANIFEST_TYPE, Store

BLOB = re.compile(rf"/v2/.+/(?P<kind>manifests|blobs)/(?P<digest>{DIGEST.pattern})")


@contextmanager
def serving(store: Store) -> Iterator[str]:
    """Serve the blobs of `store` under any repository's name; yields the address, `127.0.0.1:PORT`."""
    server = Server(store, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Server(ThreadingHTTPServer):
    """A server that has nothing to say if an engine hangs up, as it does when a pull is cancelled."""

    def __init__(self, store: Store, host: str, port: int) -> None:
        super().__init__((host, port), Handler)
        self.store = store

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Answers `/v2/`, `/v2/NAME/manifests/DIGEST` and `/v2/NAME/blobs/DIGEST`."""

    server: Server
    protocol_version = "HTTP/1.1"
    # Docker tries TLS first, and goes on without it if the answer looks like HTTP. By default an answer to what is not
    # HTTP has no status line.
    default_request_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if blob := self.answer():
            with blob:
                shutil.copyfileobj(blob, self.wfile, 1 << 20)

    def do_HEAD(self) -> None:
        if blob := self.answer():
            blob.close()

    def answer(self) -> BinaryIO | None:
        """Send the head of the answer; returns its body."""
        asked = BLOB.fullmatch(self.path)
        if not (asked and (path := self.server.store.blob(asked["digest"])).is_file()):
            self.send_response(HTTPStatus.OK if self.path == "/v2/" else HTTPStatus.NOT_FOUND)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        blob = path.open("rb")
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", MANIFEST_TYPE if asked["kind"] == "manifests" else "application/octet-stream")
        self.send_header("Content-Length", str(os.fstat(blob.fileno()).st_size))
        self.send_header("Docker-Content-Digest", asked["digest"])
        self.end_headers()
        return blob

    def log_message(self, *_: object) -> None:
        """The engine says what went wrong."""


def main(folder: str, port: str) -> None:
    """Serve the store in that folder until the end, in a container whose port is published; says when it listens."""
    server = Server(Store(Path(folder)), "", int(port))
    print("serving", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
