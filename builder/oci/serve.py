"""A store as a registry on loopback that only gives: an engine pulls what it lacks, and nothing is sent twice.

Source: OCI distribution specification 1.1, "Pull".
"""

import re
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from builder.oci.store import DIGEST, MANIFEST_TYPE, Store

BLOB = re.compile(rf"/v2/.+/(?P<kind>manifests|blobs)/(?P<digest>{DIGEST.pattern})")


@contextmanager
def serving(store: Store) -> Iterator[str]:
    """Serve the blobs of `store`, under any repository's name; yields the address, `127.0.0.1:PORT`."""
    server = Server(("127.0.0.1", 0), type("Handler", (Handler,), {"store": store}))
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

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Answers `/v2/`, `/v2/NAME/manifests/DIGEST` and `/v2/NAME/blobs/DIGEST`."""

    store: Store
    protocol_version = "HTTP/1.1"
    # Docker tries TLS first, and goes on without it if the answer looks like HTTP. By default an answer to what is not
    # HTTP has no status line.
    default_request_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if path := self.answer():
            with path.open("rb") as blob:
                shutil.copyfileobj(blob, self.wfile, 1 << 20)

    def do_HEAD(self) -> None:
        self.answer()

    def answer(self) -> Path | None:
        """Send the head of the answer; returns the file of its body."""
        asked = BLOB.fullmatch(self.path)
        if asked is None or not (path := self.store.blob(asked["digest"])).is_file():
            self.send_response(HTTPStatus.OK if self.path == "/v2/" else HTTPStatus.NOT_FOUND)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", MANIFEST_TYPE if asked["kind"] == "manifests" else "application/octet-stream")
        self.send_header("Content-Length", str(path.stat().st_size))
        self.send_header("Docker-Content-Digest", asked["digest"])
        self.end_headers()
        return path

    def log_message(self, *_: object) -> None:
        """The engine says what went wrong."""
