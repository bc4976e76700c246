"""A registry on loopback for benchmarks: Debian's package docker-registry, unpacked and not installed."""

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from builder.debian import archive as debian
from builder.debian import sources
from builder.oci.registry import Repository

CONFIGURATION = """\
version: 0.1
log: {{accesslog: {{disabled: true}}, level: error}}
storage: {{filesystem: {{rootdirectory: {data}}}}}
http: {{addr: "{address}"}}
"""


@dataclass(frozen=True)
class Registry:
    """A registry that answers at `address` (host:port)."""

    address: str
    process: int

    def received(self) -> int:
        """Bytes it has written so far, which are those that pushes sent it, and some for its own notes."""
        counters = Path(f"/proc/{self.process}/io").read_text(encoding="ascii").splitlines()
        return int(dict(line.split(": ") for line in counters)["wchar"])

    def layers(self, image: str) -> dict[str, int]:
        """The layers of an image that was pushed here: digest to compressed bytes."""
        repository, name = Repository.and_tag(image)
        return {layer["digest"]: layer["size"] for layer in json.loads(repository.manifest(name))["layers"]}


def unpack_registry(folder: Path) -> Path:
    """The program, fetched with the host's own apt configuration."""
    program = folder / "root/usr/bin/docker-registry"
    if not program.exists():
        archive = debian.Archive(folder / "archive", suite=sources.host_codename())
        archive.update()
        [deb] = archive.fetch(archive.resolve(["docker-registry"], dependencies=False), folder / "debs")
        debian.unpack(deb, folder / "root")
    return program


@contextmanager
def running(program: Path, scratch: Path) -> Iterator[Registry]:
    """An empty registry; what it holds, in `scratch`, is gone at the end."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    scratch.mkdir(parents=True)
    configuration = scratch / "config.yml"
    configuration.write_text(CONFIGURATION.format(data=scratch / "data", address=address), encoding="utf-8")
    server = subprocess.Popen([program, "serve", configuration], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"http://{address}/v2/")
        yield Registry(address, server.pid)
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(scratch)


def wait_for(address: str) -> None:
    for _ in range(100):
        with suppress(OSError):
            urllib.request.urlopen(address, timeout=1).close()
            return
        time.sleep(0.1)
    raise TimeoutError(f"{address} does not answer")
