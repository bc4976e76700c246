"""`./build.py audit` with the real pip-audit, which asks a database on loopback that has OSV's API."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from builder import paths
from builder.publish.audit import OSV

pytestmark = pytest.mark.long

VULNERABILITY = {
    "id": "PYSEC-2026-1",
    "aliases": ["CVE-2026-7"],
    "summary": "A file of a stranger.",
    "details": "",
    "modified": "2026-11-01T00:00:00Z",
    "affected": [
        {
            "package": {"name": "numpy", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.4.7"}]}],
        }
    ],
}


@contextmanager
def database(known: dict[str, list[dict[str, Any]]], status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """A database of these vulnerabilities by package: its address, and the packages that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(f"{question['package']['name']} {question['version']}")
            found = known.get(question["package"]["name"])
            answer = json.dumps({"vulns": found} if found else {}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query", asked
    server.shutdown()
    server.server_close()


@pytest.fixture
def audit(folder: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """`./build.py audit tiny` of a copied catalog."""

    def audit(address: str, *options: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "build.py", "--catalog", str(folder), "audit", "tiny", *options]
        environment = {**os.environ, OSV: address}
        return subprocess.run(command, cwd=paths.ROOT, env=environment, capture_output=True, text=True, check=False)

    return audit


def test_wheels_without_a_known_vulnerability_pass_and_each_was_looked_up(audit, resolve):
    with database({}) as (address, asked):
        done = audit(address)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert sorted(asked) == [f"{wheel.name} {wheel.version}" for wheel in resolve().wheels.wheels]


def test_a_known_vulnerability_fails_unless_it_is_accepted_until_a_date_to_come(audit, folder):
    with database({"numpy": [VULNERABILITY]}) as (address, _):
        refused = audit(address, "--json")
        entry = f"{{id: CVE-2026-7, package: numpy, reason: None is read., expires: {datetime.now(UTC):%Y-%m-%d}}}"
        (folder / "audit.yaml").write_text(f"allowed:\n  - {entry}\n")
        accepted = audit(address)
        (folder / "audit.yaml").write_text(f"allowed:\n  - {entry.replace('None is read.', '')}\n")
        without_a_reason = audit(address)
    assert refused.returncode == 1
    [found] = json.loads(refused.stdout)["vulnerabilities"]
    assert (found["package"], found["version"], found["id"]) == ("numpy", "2.4.6", "PYSEC-2026-1")
    assert (found["aliases"], found["fixed"], found["accepted"]) == (["CVE-2026-7"], ["2.4.7"], None)
    assert accepted.returncode == 0 and "None is read." in accepted.stdout
    assert without_a_reason.returncode == 2
    assert "audit.yaml:2: allowed.0.reason: expected text" in without_a_reason.stderr


def test_a_database_that_fails_is_no_success(audit):
    with database({}, status=503) as (address, _):
        failed = audit(address)
    silent = audit("http://127.0.0.1:9/v1/query")
    for done in (failed, silent):
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith("seedbed: tiny: not audited: ")
