"""The container engine: the one module that talks to Docker. Builds go through buildx, all else through the SDK."""

import io
import json
import logging
import os
import shutil
import signal
import subprocess
import tarfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container
from docker.types import DeviceRequest, LogConfig

from builder import files, leases, paths
from builder.credentials import Credentials
from builder.engine.embedded import EmbeddedEngine
from builder.errors import SeedbedError, UsageError
from builder.outcomes import LONGEST_RUN, TIMED_OUT, Finished

log = logging.getLogger(__name__)

CONTAINERD_STORE = "io.containerd.snapshotter.v1"
OLDEST_VERSION = "1.43"  # of the API; with the containerd image store
METADATA = "metadata.json"
LARGEST_JSON = 1 << 20
LAST_WORDS = 50  # lines that are shown of a build that fails
ALL_GPUS = DeviceRequest(count=-1, capabilities=[["gpu"]])
LOG = LogConfig(type="local", config={"max-size": "50m", "max-file": "2"})
"""Of what a container says no more is kept: with Docker's own default a check that talks on and on fills the disk."""

LEASE = "io.seedbed.lease"
"""The label of every container that is started here; its value is a name in `Engine.leases`."""
LONGEST_COMMAND = LONGEST_RUN + 60
"""Seconds that a command in a running container may take; what ends it gently has LONGEST_RUN."""


@dataclass(frozen=True)
class Digests:
    """What names an image: its manifest; and its config, which knows nothing of how layers are compressed."""

    manifest: str
    config: str


@dataclass(frozen=True)
class SavedLayer:
    """A layer of an image in the engine; `size` is compressed, in bytes, `what` the step that made it."""

    digest: str
    size: int
    what: str


@dataclass(frozen=True)
class Requirement:
    """One thing a build needs of its engine: what was found, and, where that is not enough, what to do."""

    name: str
    found: str
    remedy: str | None = None


@dataclass(frozen=True)
class Engine:
    """A Docker engine that answers. `environment` is what its command-line client needs."""

    client: docker.DockerClient
    environment: Mapping[str, str]
    embedded: bool

    def keeps_manifests(self) -> bool:
        """Whether its image store is containerd's; the older one keeps configs alone, and knows images by those."""
        status = dict(self.client.info().get("DriverStatus") or [])
        return status.get("driver-type") == CONTAINERD_STORE

    def image_store(self) -> Requirement:
        info = self.client.info()
        kind = "containerd" if self.keeps_manifests() else "older image store; no Dockerfile build (build --recipe)"
        return Requirement("image store", f"Docker {info['ServerVersion']}, {info['Driver']} ({kind})")

    def buildx(self) -> Requirement:
        asked = self.docker("buildx", "version")
        if asked.returncode == 0:
            return Requirement("buildx", asked.stdout.split()[1])
        return Requirement("buildx", "missing; only a Dockerfile build (build --recipe) needs it")

    def offers_gpus(self) -> bool:
        """Whether a container may ask for NVIDIA GPUs: by a runtime of that name, or by CDI (Docker 28.3 or newer)."""
        info = self.client.info()
        devices = [device.get("ID", "") for device in info.get("DiscoveredDevices") or []]
        return "nvidia" in info.get("Runtimes", {}) or any(device.startswith("nvidia.com/gpu") for device in devices)

    def docker(self, *arguments: str, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
        """Run the engine's own command-line client and keep what it prints."""
        return subprocess.run(
            [self.client_path(), *arguments],
            env=dict(self.environment),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )

    def client_path(self) -> str:
        found = shutil.which("docker", path=self.environment.get("PATH"))
        if found is None:
            raise SeedbedError("no docker command on PATH; install Docker's client, or set SEEDBED_ENGINE=embedded")
        return found

    def build(self, arguments: Sequence[str], *, folder: Path, epoch: int) -> Digests:
        """`docker buildx build`, run in `folder`, to an image without a name. What it says is shown if it fails.

        Name what is in `folder` without its path: to buildx a comma, a colon or @ in a path is punctuation.
        """
        command = [self.client_path(), "buildx", "build", *arguments, "--progress=plain", "--metadata-file", METADATA]
        environment = {**self.environment, "SOURCE_DATE_EPOCH": str(epoch)}
        # A group of its own: whoever interrupts us hears of that from us, and not from buildx.
        with subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            process_group=0,
        ) as building:
            try:
                said = deque(cast(IO[str], building.stderr), maxlen=LAST_WORDS)
                status = building.wait()
            except BaseException:
                os.killpg(building.pid, signal.SIGKILL)
                raise
        if status:
            for line in said:
                log.info(line.rstrip())
            files.check_space("".join(said), paths.cache())
            raise SeedbedError(f"the build failed with status {status}; BuildKit's own message is above")
        return digests_in(json.loads((folder / METADATA).read_text(encoding="utf-8")))

    def has(self, image: str) -> bool:
        try:
            self.client.images.get(image)
        except ImageNotFound:
            return False
        except APIError as error:
            raise SeedbedError(f"{image}: {error.explanation}") from None
        return True

    def find(self, *digests: str) -> str | None:
        """The first of these by which the engine knows an image: the older image store knows it by its config's."""
        return next((digest for digest in digests if self.has(digest)), None)

    def forget(self, source: str) -> None:
        """Take away the names, `127.0.0.1:PORT/...@sha256:...`, by which images were pulled from this host.

        Those that hold `source`; an image that has no other name is deleted, unless a container uses it.
        """
        for image in self.client.images.list():
            for name in image.attrs["RepoDigests"] or ():
                if name.startswith("127.0.0.1:") and source in name:
                    with suppress(APIError):
                        self.client.images.remove(name)

    def digest(self, image: str) -> str:
        """What the engine knows the image by: its manifest's digest, in the older image store its config's."""
        return str(self.client.images.get(image).id)

    def digests(self) -> frozenset[str]:
        """Every image there is, with a name or without."""
        return frozenset(str(image.id) for image in self.client.images.list(all=True))

    def labels(self, image: str) -> dict[str, str]:
        return dict(self.client.images.get(image).labels)

    def names_registry(self, image: str) -> bool:
        """Whether the name starts with a registry's, other than the one that Docker takes where none is named."""
        try:
            return bool(docker.auth.resolve_repository_name(image)[0] != docker.auth.INDEX_NAME)
        except DockerException:
            raise UsageError(f"{image}: expected the name of an image, without a scheme") from None

    def pull(self, image: str) -> None:
        if complaint := self.try_pull(image):
            raise SeedbedError(f"{image}: cannot be pulled: {complaint}")

    def try_pull(self, image: str) -> str:
        """Why the image cannot be pulled; empty: it is there now."""
        pulled = self.docker("pull", "--quiet", image)
        return " ".join(pulled.stderr.split()) or "no reason given" if pulled.returncode else ""

    def load(self, layout: Path) -> None:
        """Take in the image of an OCI layout, without a name."""
        with subprocess.Popen(["tar", "--create", "--directory", layout, "."], stdout=subprocess.PIPE) as archive:
            command = [self.client_path(), "load", "--quiet"]
            loaded = subprocess.run(
                command,
                env=dict(self.environment),
                stdin=archive.stdout,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                check=False,
            )
        if loaded.returncode:
            raise SeedbedError(f"the engine cannot load the image: {' '.join(loaded.stderr.split())}")

    def tag(self, image: str, name: str) -> None:
        self.client.images.get(image).tag(*name.rsplit(":", 1))

    def remove(self, image: str) -> None:
        """Take away one name, or an image by digest with all its names."""
        try:
            self.client.images.remove(image, force=True)
        except ImageNotFound:
            return

    def diff_ids(self, image: str) -> list[str]:
        return list(self.client.images.get(image).attrs["RootFS"]["Layers"])

    def unpacked_size(self, image: str) -> int:
        """Bytes that the image's layers take once unpacked."""
        return sum(step["Size"] for step in self.client.images.get(image).history())

    def layers(self, image: str) -> list["SavedLayer"]:
        """The image's layers, as its manifest and its history have them: some seconds a gigabyte."""
        documents = self.documents(image)
        manifest = json.loads(documents[f"blobs/{image.replace(':', '/')}"])
        history = json.loads(documents[f"blobs/{manifest['config']['digest'].replace(':', '/')}"])["history"]
        steps = [step.get("created_by", "") for step in history if not step.get("empty_layer")]
        return [
            SavedLayer(layer["digest"], layer["size"], step)
            for layer, step in zip(manifest["layers"], steps, strict=True)
        ]

    def documents(self, image: str) -> dict[str, bytes]:
        """Index, manifest, config and whatever else is small, by its path in the image's OCI layout.

        The API has no call for them, so they are picked out of what `docker save` streams.
        """
        with self.saved(image) as archive:
            small = (member for member in archive if member.isfile() and member.size < LARGEST_JSON)
            return {member.name: read(archive, member) for member in small}

    @contextmanager
    def saved_file(self, image: str, path: str) -> Iterator[BinaryIO]:
        """One file of the image's OCI layout, to be read from front to back."""
        with self.saved(image) as archive:
            for member in archive:
                if member.name == path and (file := archive.extractfile(member)):
                    yield cast(BinaryIO, file)
                    return
        raise SeedbedError(f"{image}: the engine saves it without {path}")

    @contextmanager
    def saved(self, image: str) -> Iterator[tarfile.TarFile]:
        """The image's OCI layout as a tar, as `docker save` streams it."""
        stream = io.BufferedReader(Chunks(self.client.images.get(image).save()), 1 << 20)
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            yield archive

    def run(
        self,
        image: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        files: Mapping[str, Path] | None = None,
        gpus: bool = False,
        **options: Any,
    ) -> Finished:
        """Run a container to its end. `files` are put into it before it starts; `options` are the SDK's own."""
        devices = [ALL_GPUS] if gpus else None
        options |= {"environment": dict(environment or {}), "device_requests": devices}
        with self.started(image, command, files=files, **options) as running:
            return running.finish()

    @contextmanager
    def started(
        self, image: str, command: Sequence[str], *, files: Mapping[str, Path] | None = None, **options: Any
    ) -> Iterator["Running"]:
        """A container that is removed when the block ends, whatever it does by then; otherwise like `run`.

        If this process is killed first, `sweep` in the next run removes it.
        """
        with leases.lease(self.leases()) as lease:
            try:
                container = self.client.containers.create(
                    image, list(command), labels={LEASE: lease}, log_config=LOG, **options
                )
            except APIError as error:
                raise SeedbedError(f"the engine cannot create a container: {error.explanation}") from None
            try:
                start(container, files or {})
                yield Running(self, container)
            finally:
                remove(container)

    def sweep(self) -> None:
        """Remove the containers that runs with this cache started and, killed, did not remove."""

        def end(lease: str) -> None:
            for container in self.client.containers.list(all=True, filters={"label": f"{LEASE}={lease}"}):
                remove(container)

        leases.settle(self.leases(), end)

    def leases(self) -> Path:
        """One folder for each engine: a container is asked for where it was started."""
        return paths.cache() / leases.NAME / self.client.info()["ID"]


def remove(container: Container) -> None:
    with suppress(NotFound):
        container.remove(force=True, v=True)


def start(container: Container, files: Mapping[str, Path]) -> None:
    try:
        if files:
            container.put_archive("/", packed(files))
        container.start()
    except APIError as error:
        raise SeedbedError(f"the engine cannot start a container: {error.explanation}") from None


@dataclass(frozen=True)
class Running:
    """A container that has started."""

    engine: Engine
    container: Container

    def run(self, command: Sequence[str], *, environment: Mapping[str, str] | None = None, user: str = "") -> Finished:
        """Run one more command in it, as `docker exec` does: in the image's environment, not in that of the first.

        Status 124: it took too long, and the container is killed, for the engine ends no single command.
        """
        options = [f"--env={name}={value}" for name, value in (environment or {}).items()]
        options += [f"--user={user}"] if user else []
        try:
            done = self.engine.docker("exec", *options, str(self.container.id), *command, timeout=LONGEST_COMMAND)
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


def digests_in(metadata: Mapping[str, Any]) -> Digests:
    """The digests in what buildx writes of a build. An index has no config, and another digest in every build: what an
    attestation tells of it changes."""
    digest = metadata["containerimage.digest"]
    if "containerimage.config.digest" not in metadata:
        raise SeedbedError(f"expected one image, without attestations, found {digest}, an index: report this as a bug")
    return Digests(digest, metadata["containerimage.config.digest"])


def packed(files: Mapping[str, Path]) -> bytes:
    """A tar with the files or folders at the absolute paths given, readable by any user."""

    def readable(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        return None if "__pycache__" in member.name else member

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", dereference=True) as archive:
        for target, source in files.items():
            archive.add(source, target.lstrip("/"), filter=readable)
    return buffer.getvalue()


def read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file else b""


class Chunks(io.RawIOBase):
    """What an iterator of bytes yields, as a file to read from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = iter(chunks)
        self.rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self.rest:
            self.rest = memoryview(next(self.chunks, b""))
        taken = min(len(buffer), len(self.rest))
        buffer[:taken] = self.rest[:taken]
        self.rest = self.rest[taken:]
        return taken


def logins(engine: Engine | None) -> Path | None:
    """The file in which the engine's own client keeps logins; None: where Docker's client does for this user."""
    folder = engine.environment.get("DOCKER_CONFIG") if engine else None
    return Path(folder, "config.json") if folder else None


def embedded() -> EmbeddedEngine:
    return EmbeddedEngine(paths.cache() / "engine")


def connect() -> Engine:
    """The engine to work with: the one Docker's client would reach, else the embedded one, started if need be.

    `SEEDBED_ENGINE=embedded` skips the first, `SEEDBED_ENGINE=host` the second, `SEEDBED_ENGINE=none` both. Raises
    SeedbedError, with what to do, if there is none. What killed runs have left in it is removed.
    """
    choice = os.environ.get("SEEDBED_ENGINE", "")
    if choice == "none":
        raise SeedbedError("this needs a Docker engine, and SEEDBED_ENGINE=none forbids one; unset it")
    engine = None if choice == "embedded" else of_host()
    if engine is None and choice == "host":
        raise SeedbedError("no Docker engine answers; start it, or unset SEEDBED_ENGINE to use the embedded one")
    engine = engine or of_embedded()
    engine.sweep()
    return engine


def running() -> Engine | None:
    """The engine that `connect` would return, if it answers already; none is started."""
    choice = os.environ.get("SEEDBED_ENGINE", "")
    if choice == "none":
        return None
    found = None if choice == "embedded" else of_host()
    return found or (of_embedded() if choice != "host" and embedded().running() else None)


def of_host() -> Engine | None:
    try:
        # The SDK asks for the version before it can be told, with a password of ~/.netrc.
        version = without_netrc(OLDEST_VERSION).api.version(api_version=False)["ApiVersion"]
        client = without_netrc(version)
        client.ping()
    except (DockerException, requests.RequestException, KeyError):
        return None
    return Engine(client, dict(os.environ), embedded=False)


def without_netrc(version: str) -> docker.DockerClient:
    """A client that speaks this version of the API, and sends the engine no password of ~/.netrc."""
    client = docker.from_env(version=version, timeout=600)
    client.api.auth = Credentials("", None)
    return client


def of_embedded() -> Engine:
    engine = embedded()
    if not engine.running():
        engine.up()
    environment = {**os.environ, **engine.session()}
    client = docker.DockerClient(base_url=environment["DOCKER_HOST"], timeout=600)
    return Engine(client, environment, embedded=True)
