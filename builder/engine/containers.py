"""Containers that are started, waited for and removed, whatever becomes of this process."""

import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.types import DeviceRequest, LogConfig

from builder import reading
from builder.errors import SeedbedError
from builder.outcomes import LONGEST_RUN, TIMED_OUT, Finished

ALL_GPUS = DeviceRequest(count=-1, capabilities=[["gpu"]])
LOG = LogConfig(type="local", config={"max-size": "50m", "max-file": "2"})
"""Of what a container says no more is kept: with Docker's own default a check that talks on and on fills the disk."""

LEASE = "io.seedbed.lease"
"""The label of every container that is started here; its value is a name of `builder.leases`."""

LONGEST_COMMAND = LONGEST_RUN + 60
"""Seconds that a command in a running container may take; what ends it gently has LONGEST_RUN."""

Files = Mapping[str, Path | bytes]
"""What is put into a container: at an absolute path a file or folder of this host's, or a file of this content."""

Docker = Callable[..., subprocess.CompletedProcess[str]]
"""Runs the engine's own command-line client with these arguments and a `timeout`, and keeps what it prints."""


@contextmanager
def started(
    client: docker.DockerClient,
    image: str,
    command: Sequence[str],
    *,
    lease: str,
    files: Files,
    **options: Any,
) -> Iterator[Container]:
    """A container that has started, with `files` in it, and is removed at the end."""
    try:
        container = client.containers.create(image, list(command), labels={LEASE: lease}, log_config=LOG, **options)
    except APIError as error:
        raise SeedbedError(f"the engine cannot create a container: {error.explanation}") from None
    try:
        start(container, files)
        yield container
    finally:
        remove(container)


def start(container: Container, files: Files) -> None:
    try:
        if files:
            container.put_archive("/", packed(files))
        container.start()
    except APIError as error:
        raise SeedbedError(f"the engine cannot start a container: {error.explanation}") from None


def remove(container: Container) -> None:
    with suppress(NotFound):
        container.remove(force=True, v=True)


def remove_of(client: docker.DockerClient, lease: str) -> None:
    """Remove the containers that were started under this lease."""
    for container in client.containers.list(all=True, filters={"label": f"{LEASE}={lease}"}):
        remove(container)


@dataclass(frozen=True)
class Running:
    """A container that has started."""

    container: Container
    docker: Docker

    def run(self, command: Sequence[str], *, environment: Mapping[str, str] | None = None, user: str = "") -> Finished:
        """Run one more command in it, as `docker exec` does: in the image's environment, not in that of the first.

        Status 124: it took too long, and the container is killed, for the engine ends no single command.
        """
        options = [f"--env={name}={value}" for name, value in (environment or {}).items()]
        options += [f"--user={user}"] if user else []
        try:
            done = self.docker("exec", *options, str(self.container.id), *command, timeout=LONGEST_COMMAND)
        except subprocess.TimeoutExpired:
            self.container.kill()
            return too_long(LONGEST_COMMAND)
        return Finished(done.returncode, done.stdout, done.stderr)

    def finish(self, limit: float = LONGEST_RUN) -> Finished:
        """Wait for its own command to end; status 124: it took more than `limit` seconds, and was killed."""
        try:
            status = self.container.wait(timeout=limit)["StatusCode"]
        except (requests.ReadTimeout, requests.ConnectionError):  # the second if it had begun to answer
            self.container.kill()
            return too_long(limit, self.output(stdout=True))
        return Finished(status, self.output(stdout=True), self.output(stderr=True))

    def output(self, stdout: bool = False, stderr: bool = False) -> str:
        return str(self.container.logs(stdout=stdout, stderr=stderr).decode(errors="replace"))


def too_long(limit: float, stdout: str = "") -> Finished:
    return Finished(TIMED_OUT, stdout, f"not done after {limit:.0f} s")


def packed(files: Files) -> bytes:
    """A tar with the files or folders at the absolute paths given, readable by any user, and root's."""

    def readable(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        return None if "__pycache__" in member.name else member

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", dereference=True) as archive:
        for target, source in files.items():
            if isinstance(source, bytes):
                member = tarfile.TarInfo(target.lstrip("/"))
                member.size = len(source)
                archive.addfile(member, io.BytesIO(source))
            else:
                archive.add(source, target.lstrip("/"), filter=readable)
    return buffer.getvalue()


def streamed(name: str, source: Path) -> Iterator[bytes]:
    """A tar with one file, piece by piece: it may be larger than the memory."""
    with reading.opened(source) as file:
        member = tarfile.TarInfo(name)
        member.size = os.fstat(file.fileno()).st_size
        yield member.tobuf(tarfile.GNU_FORMAT)
        while chunk := file.read(1 << 20):
            yield chunk
        yield bytes(-member.size % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE)
