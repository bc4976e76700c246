"""A proxy before a registry that makes it fail: at one place, in one way, so many times."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ALWAYS = 1000

Does = Callable[["Handler"], None]


@dataclass(frozen=True)
class Fault:
    """What goes wrong with the first `times` requests of that method and path."""

    method: str
    path: str
    does: Does
    times: int = 1

    def meets(self, method: str, path: str) -> bool:
        return method == self.method and bool(re.search(self.path, path))


class Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream, self.fault, self.name, self.met = upstream, None, "", 0
        self.requests: list[tuple[str, int]] = []  # and the bytes that they say they have
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def fails(self, fault: Fault | None, name: str = "") -> None:
        """From now on with that fault, in the repository of this name: late requests to others do not count."""
        with self.lock:
            self.fault, self.name, self.met = fault, name, 0

    def does(self, method: str, path: str, size: int) -> Does:
        with self.lock:
            self.requests.append((f"{method} {path}", size))
            concerned = path == "/v2/" or path.startswith(f"/v2/{self.name}/")
            if concerned and self.fault and self.met < self.fault.times and self.fault.meets(method, path):
                self.met += 1
                return self.fault.does
        return relay

    def handle_error(self, *_: object) -> None:
        """A client or a registry that hangs up is what this is about."""


@contextmanager
def before(upstream: str) -> Iterator[Proxy]:
    with Proxy(upstream) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.01,), daemon=True).start()
        yield proxy
        proxy.shutdown()


class Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"

    def handle_one(self) -> None:
        self.left = int(self.headers.get("Content-Length", 0))  # bytes of the body that were not read
        self.server.does(self.command, self.path, self.left)(self)

    do_GET = do_HEAD = do_POST = do_PUT = handle_one

    def read(self, count: int) -> bytes:
        data = self.rfile.read(min(count, self.left))
        if self.left and count and not data:
            raise ConnectionError("the client has hung up")
        self.left -= len(data)
        return data

    def answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *what: object) -> None:
        """Say nothing."""


def relayed(handler: Handler, upstream: HTTPConnection, share: float = 1.0) -> None:
    """Send the request on, with that share of its body."""
    upstream.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
    for name, value in handler.headers.items():
        upstream.putheader(name, value)
    upstream.endheaders()
    rest = int(handler.left * (1 - share))
    while handler.left > rest:
        upstream.send(handler.read(min(1 << 16, handler.left - rest)))


def relay(handler: Handler, **changes: str | None) -> None:
    """Nothing goes wrong, but that these headers of the answer are changed, or missing."""
    with closing(HTTPConnection(handler.server.upstream)) as upstream:
        relayed(handler, upstream)
        with upstream.getresponse() as answer:
            changed = {name.replace("_", "-"): value for name, value in changes.items()}
            headers = dict(answer.headers) | changed
            kept = {name: value for name, value in headers.items() if value is not None}
            handler.answer(answer.status, kept, answer.read())


def status(code: int, **headers: str) -> Does:
    def does(handler: Handler) -> None:
        handler.read(handler.left)
        handler.answer(code, {name.replace("_", "-"): value for name, value in headers.items()}, b"a fault")

    return does


def half_way(code: int) -> Does:
    """The answer comes before half of the body has."""

    def does(handler: Handler) -> None:
        handler.read(handler.left // 2)
        handler.answer(code, {"Connection": "close"}, b"a fault")
        handler.close_connection = True

    return does


def cut(handler: Handler) -> None:
    handler.close_connection = True


def cut_half_way(handler: Handler) -> None:
    """The registry gets half of the body."""
    with closing(HTTPConnection(handler.server.upstream)) as upstream:
        relayed(handler, upstream, 0.5)
    handler.close_connection = True


def cut_before_the_answer(handler: Handler) -> None:
    """The registry does what it is asked for, and nobody hears of it."""
    with closing(HTTPConnection(handler.server.upstream)) as upstream:
        relayed(handler, upstream)
        upstream.getresponse().read()
    handler.close_connection = True


def cut_in_the_answer(handler: Handler) -> None:
    handler.read(handler.left)
    handler.wfile.write(b"HTTP/1.1 202 Accepted\r\nLocat")
    handler.close_connection = True


def shorter_than_it_says(handler: Handler) -> None:
    handler.read(handler.left)
    handler.answer(500, {"Content-Length": "1000"}, b"a fault")
    handler.close_connection = True


def endless(code: int) -> Does:
    def does(handler: Handler) -> None:
        handler.read(handler.left)
        handler.send_response(code)
        handler.end_headers()
        with suppress(OSError):
            while True:
                handler.wfile.write(b"a fault " * 10_000)

    return does


def changed(**headers: str | None) -> Does:
    return lambda handler: relay(handler, **headers)
