"""A Docker engine of our own, for hosts of the Debian family on which none answers. It is not installed.

The daemon lives in a PID and a mount namespace of its own, with tini as init: however it ends, the kernel
ends its containers and clears their mounts with it. It shares the host's network, but not the firewall
chains named DOCKER: a daemon that starts flushes them, and they may be those of the host's own Docker.
A few rules of ours let its containers out instead. The one thing `down` does not take back is
net.ipv4.ip_forward=1.
"""

import atexit
import hashlib
import json
import logging
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from builder import commands, files, scratch
from builder.engine import networking, programs
from builder.engine.daemon import Daemon
from builder.engine.fitness import host_supported, open_to_others, unsuited
from builder.engine.networking import Firewall
from builder.errors import SeedbedError

POOLS = "default-address-pools"
BUILD_CACHE_LIMIT = "50GB"
START_TIMEOUT = 120.0  # seconds; a full data folder takes a while

log = logging.getLogger(__name__)


class EmbeddedEngine:
    """The engine whose programs and data stand in `directory`; sockets and other state in /run.

    `containerd` chooses its image store: the one of Docker 29 and later, or the one before that (overlay2).
    """

    def __init__(self, directory: Path, *, containerd: bool = True) -> None:
        self._containerd = containerd
        self.directory = directory.absolute()
        # Two directories are two engines, which may run side by side.
        identity = hashlib.sha256(bytes(self.directory)).hexdigest()
        self.name = f"seedbed-{identity[:7]}"  # it names the bridge too, so 15 characters at most
        self.log_file = self.directory / "dockerd.log"
        self._pools = networking.pools_of(int(identity, 16))
        self._programs = self.directory / "programs"
        self._data = self.directory / "data"
        self._networks = self._data / "network/files/local-kv.db"
        self._client = self.directory / "client"
        self._temporary = self.directory / "tmp"  # the user's may be gone before the engine
        self._state = Path("/run", self.name)  # a socket's path may have 107 characters, a cache's has more
        self._socket = self._state / "docker.sock"
        self._daemon = Daemon(self._state / "alive", self.log_file)

    def up(self) -> bool:
        """Start the engine and wait until it answers; False where it already did.

        Raises SeedbedError where the host cannot run it, or with the daemon's own last words.
        """
        with self._exclusive():
            if self.running():
                return False
            self.directory.mkdir(mode=0o755, exist_ok=True)
            if reason := host_supported() or unsuited(self.directory) or open_to_others(self.directory):
                raise SeedbedError(f"the embedded engine cannot run here: {reason}")
            self._install()
            self._stop()
            self._start()
            return True

    def down(self) -> bool:
        """Stop containers and engine and take back all they set up outside `directory`; False if none ran."""
        with self._exclusive():
            return self._stop()

    def running(self) -> bool:
        """Whether the engine answers."""
        with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(self._socket))
            connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in connection.recv(64)
        return False

    def environment(self) -> dict[str, str]:
        """What a shell needs to reach this engine with its own docker, buildx and compose.

        Raises SeedbedError if somebody else could have put other programs there.
        """
        if os.geteuid() == 0 and self._programs.exists() and (reason := open_to_others(self._programs)):
            raise SeedbedError(f"the embedded engine's programs run as root: {reason}")
        return {
            "DOCKER_HOST": f"unix://{self._socket}",
            "DOCKER_CONFIG": str(self._client),
            "PATH": f"{self._programs / 'commands'}:{os.environ['PATH']}",
        }

    def session(self) -> dict[str, str]:
        """The same for this process, with the logins that its user has now. They go with the process: a copy that stays
        would outlive `docker logout`."""
        environment = self.environment()
        stack = ExitStack()
        atexit.register(stack.close)
        folder = stack.enter_context(scratch.folder(self._state))
        own = _read_json(self._client / "config.json")
        logins = (_user_client_configuration().get("auths") or {}) | (own.get("auths") or {})
        _write_json(folder / "config.json", own | {"auths": logins}, mode=0o600)
        return environment | {"DOCKER_CONFIG": str(folder), "BUILDX_CONFIG": str(self._client / "buildx")}

    def destroy(self) -> None:
        """Stop the engine and delete its images, its build cache and its programs."""
        with self._exclusive():
            self._stop()
            shutil.rmtree(self.directory, ignore_errors=True)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        with ExitStack() as stack:
            with files.in_one_line(self.directory):
                self.directory.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(files.locked(self.directory.with_name(f".{self.directory.name}.lock")))
            stack.enter_context(files.in_one_line(self.directory, *files.FULL))
            yield

    def _install(self) -> None:
        if self._programs.exists():
            return
        log.info("fetching the embedded engine: Docker, containerd, buildx and Compose, about 95 MB, once")
        with scratch.folder(self.directory) as folder:
            programs.unpacked(folder).rename(self._programs)

    def _start(self) -> None:
        log.info("starting the embedded engine")
        self._state.mkdir(mode=0o700)
        self._temporary.mkdir(mode=0o700, exist_ok=True)
        self._configure()
        _write_json(self._client / "config.json", self._client_configuration(), mode=0o600)
        networking.add_bridge(self.name)
        self._firewall().open()
        command = ["docker-init", "--", "dockerd", "--config-file", str(self.directory / "daemon.json")]
        daemon = self._daemon.launch(command, self._daemon_environment())
        deadline = time.monotonic() + START_TIMEOUT
        while not self.running():
            if daemon.poll() is not None or time.monotonic() > deadline:
                self._stop()
                words = self._daemon.last_words()
                files.check_space(words, self.directory)
                raise SeedbedError(f"the embedded engine did not start: {words}")
            time.sleep(0.1)
        daemon.returncode = 0  # it is meant to outlive this process: Popen would warn of it

    def _configure(self) -> None:
        settings, file = self._daemon_configuration(), self.directory / "daemon.json"
        before = _read_json(file)
        if before.get(POOLS, settings[POOLS]) != settings[POOLS]:  # Docker would keep networks no rule lets out
            self._networks.unlink(missing_ok=True)
        _write_json(file, settings)

    def _stop(self) -> bool:
        """End the engine, gently where it lets us, then clear what it, or one before it, has left behind."""
        found = self._daemon.end()
        self._clear()
        return found

    def _clear(self) -> None:
        if self._programs.exists():
            self._firewall().close()
        for bridge in (self.name, *networking.bridges_in(self._networks)):
            networking.remove_bridge(bridge)
        for hierarchy in ("", "*/"):  # cgroup v2, and v1
            for group in Path("/sys/fs/cgroup").glob(hierarchy + self.name):
                _remove_cgroup(group)
        for shim in self._shim_sockets():
            shim.unlink(missing_ok=True)
        # Docker's parts make these whatever they are told; an engine that needs one makes it anew.
        for folder in ("containerd/s", "containerd", "docker/plugins", "docker", "runc"):
            with suppress(OSError):
                Path("/run", folder).rmdir()
        shutil.rmtree(self._state, ignore_errors=True)

    def _shim_sockets(self) -> list[Path]:
        """The sockets of the containers' shims, which containerd puts outside its state folder."""
        addresses = self._state.glob("containerd/daemon/io.containerd.runtime.v2.task/*/*/address")
        return [Path(address.read_text().removeprefix("unix://")) for address in addresses]

    def _daemon_configuration(self) -> dict[str, object]:
        folder = self._programs / "commands"
        mtu = networking.mtu()
        return {
            "hosts": [f"unix://{self._socket}"],
            "group": "root",
            "data-root": str(self._data),
            "exec-root": str(self._state),
            "pidfile": str(self._state / "docker.pid"),
            "features": {"containerd-snapshotter": self._containerd},
            "storage-driver": "overlayfs" if self._containerd else "overlay2",
            "builder": {"gc": {"enabled": True, "defaultKeepStorage": BUILD_CACHE_LIMIT}},
            "live-restore": False,
            "log-driver": "local",
            # cgroupfs needs no systemd, and gives one group that holds every container.
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "cgroup-parent": f"/{self.name}",
            "bridge": self.name,
            "mtu": mtu,
            "default-network-opts": {"bridge": {"com.docker.network.driver.mtu": str(mtu)}},
            POOLS: [{"base": pool, "size": 25} for pool in self._pools],
            "iptables": False,
            "ip6tables": False,
            "userland-proxy-path": str(folder / "docker-proxy"),
            "init-path": str(folder / "docker-init"),
        }

    def _client_configuration(self) -> dict[str, Any]:
        """The user's proxies and where they keep logins, this engine's plugins, and logins made with its own client."""
        users, own = _user_client_configuration(), _read_json(self._client / "config.json")
        kept = {key: users[key] for key in ("credHelpers", "credsStore", "proxies") if key in users}
        plugins = self._programs / "usr/libexec/docker/cli-plugins"
        return {"auths": own.get("auths") or {}} | kept | {"cliPluginsExtraDirs": [str(plugins)]}

    def _daemon_environment(self) -> dict[str, str]:
        path = self.environment()["PATH"]
        (libraries,) = self._programs.glob("usr/lib/*-linux-gnu*")
        return {
            **os.environ,
            "PATH": path,
            "LD_LIBRARY_PATH": str(libraries),
            "XTABLES_LIBDIR": str(libraries / "xtables"),
            "TMPDIR": str(self._temporary),
        }

    def _firewall(self) -> Firewall:
        return Firewall(self.name, self._pools, self._iptables)

    def _iptables(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [self._programs / "commands/iptables", "--wait", *arguments]
        return commands.run(command, env=self._daemon_environment())


def _user_client_configuration() -> dict[str, Any]:
    return _read_json(Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker"), "config.json"))


def _read_json(path: Path) -> dict[str, Any]:
    """What a file of Docker's says; nothing if it is not there, or is no JSON."""
    with suppress(FileNotFoundError, ValueError):
        found = json.loads(path.read_bytes())
        return found if isinstance(found, dict) else {}
    return {}


def _remove_cgroup(group: Path) -> None:
    for folder in sorted(group.glob("**/"), reverse=True):  # innermost first, the group itself last
        with suppress(OSError):
            folder.rmdir()


def _write_json(path: Path, content: object, mode: int = 0o644) -> None:
    files.write(path, json.dumps(content, indent=2) + "\n", mode)
