"""Debian's docker-registry as a process that tests kill and start again, with a password and TLS if they want."""

import json
import socket
import subprocess
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests import ports


@dataclass
class Daemon:
    """A registry on a port of its own. What it holds is in `folder`; `settings` are added to its config.yml."""

    program: Path
    folder: Path
    settings: dict[str, object] = field(default_factory=dict)
    tls: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        [self.port] = ports.reserve()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        configuration = {
            "version": 0.1,
            "log": {"accesslog": {"disabled": True}, "level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "data")}},
            "http": {"addr": self.address, **({"tls": self.tls} if self.tls else {})},
            **self.settings,
        }
        file = self.folder / "config.yml"
        file.write_text(json.dumps(configuration))  # JSON is YAML
        self.process = subprocess.Popen(
            [self.program, "serve", file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(100):
            with suppress(OSError), closing(socket.create_connection(("127.0.0.1", self.port))):
                return
            time.sleep(0.05)
        raise TimeoutError(f"{self.address} does not answer")

    def kill(self) -> None:
        """End it by SIGKILL."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
