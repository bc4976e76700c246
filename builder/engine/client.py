"""A Docker engine that answers, and which one to work with. Builds go through buildx, all else through the SDK."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from builder import commands, leases, paths
from builder.credentials import Credentials
from builder.engine import building, containers, saved
from builder.engine.building import Digests
from builder.engine.containers import Files, Running
from builder.engine.embedded import EmbeddedEngine
from builder.errors import SeedbedError, UsageError
from builder.oci.images import Image
from builder.outcomes import Finished
from builder.text import one_line

CONTAINERD_STORE = "io.containerd.snapshotter.v1"
LISTING_RETRIES = 10
OLDEST_VERSION = "1.43"  # of the API; with the containerd image store


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

    def offers_gpus(self) -> bool:
        """Whether a container may ask for NVIDIA GPUs: by a runtime of that name, or by CDI (Docker 28.3 or newer)."""
        info = self.client.info()
        devices = [device.get("ID", "") for device in info.get("DiscoveredDevices") or []]
        return "nvidia" in info.get("Runtimes", {}) or any(device.startswith("nvidia.com/gpu") for device in devices)

    def docker(
        self, *arguments: str, timeout: float | None = None, stdin: IO[bytes] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the engine's own command-line client and keep what it prints."""
        command = [self.client_path(), *arguments]
        return commands.run(command, env=dict(self.environment), stdin=stdin, timeout=timeout)

    def client_path(self) -> str:
        found = shutil.which("docker", path=self.environment.get("PATH"))
        if found is None:
            raise SeedbedError("no docker command on PATH; install Docker's client, or set SEEDBED_ENGINE=embedded")
        return found

    def build(self, arguments: Sequence[str], *, folder: Path, epoch: int) -> Digests:
        """`docker buildx build`, run in `folder`, to an image without a name. What it says is shown if it fails.

        Name what is in `folder` without its path: to buildx a comma, a colon or @ in a path is punctuation.
        """
        command = [self.client_path(), "buildx", "build", *arguments]
        return building.build(command, {**self.environment, "SOURCE_DATE_EPOCH": str(epoch)}, folder)

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

    def summaries(self, name: str | None = None) -> list[dict[str, Any]]:
        """What the engine lists: all images, or those of a name."""
        for _ in range(LISTING_RETRIES):
            with suppress(NotFound):  # the containerd store's whole list, for one image that is deleted meanwhile
                return list(self.client.api.images(name))
        return list(self.client.api.images(name))

    def forget(self, source: str) -> None:
        """Take away the names, `127.0.0.1:PORT/...@sha256:...`, by which images were pulled from this host.

        Those that hold `source`; an image that has no other name is deleted, unless a container uses it.
        """
        for image in self.summaries():
            for name in image["RepoDigests"] or ():
                if name.startswith("127.0.0.1:") and source in name:
                    with suppress(APIError):
                        self.client.images.remove(name)

    def digest(self, image: str) -> str:
        """What the engine knows the image by: its manifest's digest, in the older image store its config's."""
        return str(self.client.images.get(image).id)

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

    def try_pull(self, image: str, *, platform: str | None = None) -> str:
        """Why the image cannot be pulled; empty: it is there now."""
        options = ["--platform", platform] if platform else []
        pulled = self.docker("pull", "--quiet", *options, image)
        return one_line(pulled.stderr) or "no reason given" if pulled.returncode else ""

    def load(self, layout: Path) -> None:
        """Take in the image of an OCI layout, without a name."""
        with subprocess.Popen(["tar", "--create", "--directory", layout, "."], stdout=subprocess.PIPE) as archive:
            loaded = self.docker("load", "--quiet", stdin=archive.stdout)
        if loaded.returncode:
            raise SeedbedError(f"the engine cannot load the image: {one_line(loaded.stderr)}")

    def tag(self, image: str, name: str) -> None:
        self.client.images.get(image).tag(*name.rsplit(":", 1))

    def remove(self, image: str) -> None:
        """Take away one name, or an image by digest with all its names."""
        try:
            self.client.images.remove(image, force=True)
        except ImageNotFound:
            return

    def unpacked_size(self, image: str) -> int:
        """Bytes that the image's layers take once unpacked."""
        return sum(step["Size"] for step in self.client.images.get(image).history())

    def read(self, image: str) -> Image:
        """The image itself, layer by layer; to have it takes some seconds a gigabyte."""
        return saved.read(image, self.client.images.get(image))

    def run(
        self,
        image: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        files: Files | None = None,
        gpus: bool = False,
        **options: Any,
    ) -> Finished:
        """Run a container to its end. `files` are put into it before it starts; `options` are the SDK's own."""
        devices = [containers.ALL_GPUS] if gpus else None
        options |= {"environment": dict(environment or {}), "device_requests": devices}
        with self.started(image, command, files=files, **options) as running:
            return running.finish()

    @contextmanager
    def started(
        self, image: str, command: Sequence[str], *, files: Files | None = None, **options: Any
    ) -> Iterator[Running]:
        """A container that is removed when the block ends, whatever it does by then; otherwise like `run`.

        If this process is killed first, `sweep` in the next run removes it.
        """
        with (
            leases.lease(self.leases()) as lease,
            containers.started(self.client, image, command, lease=lease, files=files or {}, **options) as container,
        ):
            yield Running(container, self.docker)

    def sweep(self) -> None:
        """Remove the containers that runs with this cache started and, killed, did not remove."""
        leases.settle(self.leases(), partial(containers.remove_of, self.client))

    def leases(self) -> Path:
        """One folder for each engine: a container is asked for where it was started."""
        return paths.cache() / leases.NAME / self.client.info()["ID"]


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
    choice = wanted()
    if choice == "none":
        raise SeedbedError("this needs a Docker engine, and SEEDBED_ENGINE=none forbids one; unset it")
    try:
        engine = running()
        if engine is None and choice == "host":
            raise SeedbedError("no Docker engine answers; start it, or unset SEEDBED_ENGINE to use the embedded one")
        engine = engine or of_embedded()
    except SeedbedError as error:
        raise error if choice else SeedbedError(f"no Docker engine answers: start it; {error}") from None
    engine.sweep()
    return engine


def running() -> Engine | None:
    """The engine that `connect` would return, if it answers already; none is started."""
    choice = wanted()
    if choice == "none":
        return None
    found = None if choice == "embedded" else of_host()
    return found or (of_embedded() if choice != "host" and embedded().running() else None)


def wanted() -> str:
    """What `SEEDBED_ENGINE` says; raises UsageError if that is no engine."""
    return setting("SEEDBED_ENGINE", "host", "embedded", "none")


def setting(variable: str, *choices: str) -> str:
    """What a variable of the environment says; raises UsageError unless that is one of the choices, or nothing."""
    found = os.environ.get(variable, "")
    if found not in ("", *choices):
        raise UsageError(f"{variable}={found}: expected {', '.join(choices[:-1])} or {choices[-1]}")
    return found


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
