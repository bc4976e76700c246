"""A registry that lies: what it answers is spoiled, in one way for each kind of request, and repeatably so."""

import json
import threading
import time
from pathlib import Path
from random import Random

from builder.oci import patience, transport
from builder.oci.registry import Repository
from builder.oci.store import LAYER_TYPE, MANIFEST_TYPE, Blob
from tests.torture.harness import Try, as_command
from tests.torture.mutations import NOISE, ODD_TEXTS, other_bytes, spoil
from tests.unit.oci.test_registry import USER, Handler, Registry

STATUSES = (100, 200, 201, 204, 206, 301, 302, 307, 308, 400, 401, 403, 404, 405, 416, 429, 500, 502, 503, 999)
HEADERS = (
    "Location",
    "WWW-Authenticate",
    "Docker-Content-Digest",
    "Content-Length",
    "Transfer-Encoding",
    "Content-Type",
)
VALUES = (
    *(text for text in ODD_TEXTS if len(text) < 1000 and not {*text} & {"\n", "\r", "\x00"} and text.isascii()),
    *(
        "http://",
        "http://[",
        "//evil.example",
        "https://127.0.0.1:9/",
        "file:///etc/passwd",
        "/",
        "",
        "?",
        "http://a:b/",
    ),
    *(
        "Basic",
        'Bearer realm="',
        "Bearer",
        'Bearer realm="https://127.0.0.1:9/token"',
        "chunked",
        "-5",
        "9" * 30,
        "gzip",
    ),
)


class Liar(Handler):
    """Answers as a registry does, and spoils some of it."""

    def answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        random = Random(f"{self.server.lie} {self.command} {self.path.rpartition('/')[0]}")
        headers = {**(headers or {}), "Content-Length": str(len(body))}
        lie = random.choice(("", "", "status", "status", "header", "header", "body", "bytes", "bytes", "hang", "close"))
        match lie:
            case "status":
                status = random.choice(STATUSES)
            case "header":
                headers[random.choice(HEADERS)] = random.choice(VALUES)
            case "body":
                body = random.choice((b"{", b"[" * 100_000, b"{}", b'{"token": 5}', b"[]", b"\x1b[31m", *NOISE))
                headers["Content-Length"] = str(len(body))
            case "hang":
                time.sleep(2.5)
            case "close":
                self.close_connection = True
                return
        lines = [f"HTTP/1.1 {status} Fine", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        raw = "\r\n".join(lines).encode("latin-1", errors="replace") + (b"" if self.command == "HEAD" else body)
        self.wfile.write(other_bytes(random, raw) if lie == "bytes" else raw)
        self.close_connection = lie != ""


def serve(lie: str, asks: str | None) -> Registry:
    server = Registry(asks)
    server.RequestHandlerClass, server.lie = Liar, lie
    server.handle_error = lambda *_: None  # that the client hangs up is its right
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


def push(random: Random, folder: Path) -> Try:
    """An image pushed to a registry that lies."""
    asks, lie = random.choice((None, "basic", "token")), str(random.random())

    def run() -> object:
        server = serve(lie, asks)
        (folder / "home" / "config.json").write_text(json.dumps({"auths": {server.address: {"auth": USER}}}))
        return pushed(server, folder / "home" / "config.json")

    what = f"registry: asks for {asks}, lies as {lie}"
    return Try(what, run, ("127.0.0.1",), writes=("home/config.json",), answers=True)


def logins(random: Random, folder: Path) -> Try:
    """Docker's own file of logins, spoiled."""
    file = folder / "home" / "config.json"
    address = "127.0.0.1:5000"
    file.write_text(json.dumps({"auths": {address: {"auth": USER}}, "credHelpers": {}, "credsStore": ""}, indent=1))
    done = spoil(random, file)
    asks = random.choice(("basic", "token"))

    def run() -> object:
        server = Registry(asks)
        if file.is_file() and not file.is_symlink():
            file.write_bytes(file.read_bytes().replace(address.encode(), server.address.encode()))
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return pushed(server, file)

    return Try(f"logins: {done}", run, ("127.0.0.1", "config.json"), writes=("home/config.json",), answers=True)


def pushed(server: Registry, logins: Path) -> object:
    """Push, and end as ./build.py would."""
    transport.CONNECTED = transport.ANSWERED = transport.STORED = 1.0
    patience.POLICY = patience.POLICY.new(total=1)
    patience.LONGEST_WAIT = 1.0
    repository = Repository.of(f"{server.address}/team/tiny", logins)
    manifest, layer = Blob.of(b'{"a": "manifest"}', MANIFEST_TYPE), Blob.of(b"layer" * 1000, LAYER_TYPE)

    def push() -> None:
        repository.refuse_to_move("1.0", manifest.descriptor.digest)
        repository.push(manifest, [layer, Blob.of(b"config", LAYER_TYPE)], ["1.0"])

    return as_command(push)()
