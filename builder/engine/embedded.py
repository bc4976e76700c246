"""A Docker engine of our own, for hosts of the Debian family on which none answers. It is not installed.

The daemon lives in a PID and a mount namespace of its own, with tini as init: however it ends, the kernel
ends its containers and clears their mounts with it. It shares the host's network, but not the firewall
chains named DOCKER: a daemon that starts flushes them, and they may be those of the host's own Docker.
A few rules of ours let its containers out instead. The one thing `down` does not take back is
net.ipv4.ip_forward=1.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import json
import logging
import os
import re
import resource
import shlex
import shutil
import signal
import socket
import stat
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from builder import files, scratch
from builder.debian import archive as debian
from builder.errors import SeedbedError

COMMANDS = {  # what stands in the engine's own folder for PATH, and the program it is
    "docker": "docker",
    "dockerd": "dockerd",
    "docker-proxy": "docker-proxy",
    "docker-init": "tini-static",  # runs inside containers, whatever their libc
    "containerd": "containerd",
    "containerd-shim-runc-v2": "containerd-shim-runc-v2",
    "runc": "runc",
    "iptables": "xtables-nft-multi",
    "ip6tables": "xtables-nft-multi",
}
DOCKER_SUITE = "trixie"
DOCKER_PACKAGES = ("docker.io", "docker-cli", "containerd", "docker-buildx", "docker-compose")
HOST_PACKAGES = ("runc", "iptables", "tini")  # linked against a libc as old as the host's, unlike trixie's
OLDEST_RELEASE = 12  # trixie's Docker needs glibc 2.34

# Each engine takes a part of both ranges. The first is set apart for benchmarks (RFC 2544), so no mirror stands
# there; Docker turns to the second where the host has a route to the first.
ADDRESS_RANGES = (IPv4Network("198.18.0.0/15"), IPv4Network("10.201.0.0/16"))
POOLS = "default-address-pools"
OWN_NAMESPACES = ("unshare", "--mount", "--propagation=slave", "--mount-proc", "--pid", "--fork", "--kill-child")
NOTING_ITS_PID = ("sh", "-c", 'echo $$ > "$0" && exec "$@"')  # by itself: we could be killed before we have
BUILD_CACHE_LIMIT = "50GB"
START_TIMEOUT = 120.0  # seconds; a full data folder takes a while
STOP_TIMEOUT = 30.0  # seconds; Docker gives a container 10 to end by itself

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
        self._pools = [_part(addresses, int(identity, 16)) for addresses in ADDRESS_RANGES]
        self._programs = self.directory / "programs"
        self._data = self.directory / "data"
        self._networks = self._data / "network/files/local-kv.db"
        self._client = self.directory / "client"
        self._state = Path("/run", self.name)  # a socket's path may have 107 characters, a cache's has more
        self._socket = self._state / "docker.sock"
        self._alive = self._state / "alive"

    def up(self) -> bool:
        """Start the engine and wait until it answers; False where it already did.

        Raises SeedbedError where the host cannot run it, or with the daemon's own last words.
        """
        with self._exclusive():
            if self.running():
                return False
            self.directory.mkdir(mode=0o755, exist_ok=True)
            if reason := host_supported() or _unsuited(self.directory) or _open_to_others(self.directory):
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
        if os.geteuid() == 0 and self._programs.exists() and (reason := _open_to_others(self._programs)):
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
                lock = stack.enter_context(self.directory.with_name(f".{self.directory.name}.lock").open("a"))
                fcntl.flock(lock, fcntl.LOCK_EX)
            stack.enter_context(files.in_one_line(self.directory, *files.FULL))
            yield

    def _install(self) -> None:
        if self._programs.exists():
            return
        log.info("fetching the embedded engine: Docker, containerd, buildx and Compose, about 95 MB, once")
        with scratch.folder(self.directory) as folder:
            programs = folder / "programs"
            for deb in _fetch_packages(folder):
                debian.unpack(deb, programs)
            _link_commands(programs)
            programs.rename(self._programs)

    def _start(self) -> None:
        log.info("starting the embedded engine")
        self._state.mkdir(mode=0o700)
        self._configure()
        _write_json(self._client / "config.json", self._client_configuration(), mode=0o600)
        _add_bridge(self.name)
        self._open_firewall()
        daemon = self._launch()
        deadline = time.monotonic() + START_TIMEOUT
        while not self.running():
            if daemon.poll() is not None or time.monotonic() > deadline:
                self._stop()
                words = _last_words(self.log_file)
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

    def _launch(self) -> subprocess.Popen[bytes]:
        init = ["docker-init", "--", "dockerd", "--config-file", str(self.directory / "daemon.json")]
        with suppress(FileNotFoundError):
            self.log_file.rename(self.log_file.with_suffix(".log.1"))
        with self._alive.open("w") as alive, self.log_file.open("w") as written:
            # All the engine's processes inherit this lock: while it is held, the pid in the file is right.
            fcntl.flock(alive, fcntl.LOCK_EX)
            daemon = subprocess.Popen(
                [*NOTING_ITS_PID, str(self._alive), *_raised_limits(), *OWN_NAMESPACES, *init],
                env=self._daemon_environment(),
                cwd="/",
                umask=0o022,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                start_new_session=True,
                pass_fds=[alive.fileno()],
            )
        return daemon

    def _stop(self) -> bool:
        """End the engine, gently where it lets us, then clear what it, or one before it, has left behind."""
        found = self._lives()
        if found:
            _within(STOP_TIMEOUT, lambda: bool(self._alive.read_text()))  # it may have started a moment ago
            group = int(self._alive.read_text())
            for ending in (signal.SIGTERM, signal.SIGKILL):  # killing unshare kills its child, the init
                with suppress(ProcessLookupError):
                    os.killpg(group, ending)
                if _within(STOP_TIMEOUT, lambda: not self._lives()):
                    break
            else:
                raise SeedbedError(f"the embedded engine (process {group}) cannot be killed: reboot")
        self._clear()
        return found

    def _lives(self) -> bool:
        with suppress(FileNotFoundError), self._alive.open() as alive:
            try:
                fcntl.flock(alive, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _clear(self) -> None:
        self._close_firewall()
        for bridge in (self.name, *_networks_bridges(self._networks)):
            _remove_bridge(bridge)
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
        commands = self._programs / "commands"
        mtu = _mtu()
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
            "userland-proxy-path": str(commands / "docker-proxy"),
            "init-path": str(commands / "docker-init"),
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
        }

    def _open_firewall(self) -> None:
        for rule in self._rules():
            done = self._iptables("--insert", *rule)
            if done.returncode:
                complaint = " ".join(done.stderr.split())
                raise SeedbedError(
                    f"iptables refuses the rules of the embedded engine: {complaint}; "
                    f"the kernel needs nf_tables with NAT"
                )

    def _close_firewall(self) -> None:
        for table in ("filter", "nat") if self._programs.exists() else ():
            for rule in self._iptables("--table", table, "--list-rules").stdout.splitlines():
                if rule.startswith("-A ") and self.name in rule:
                    self._iptables("--table", table, "--delete", *shlex.split(rule)[1:])

    def _rules(self) -> Iterator[Sequence[str]]:
        """Out of the engine's networks goes everything, under the host's address; in come the answers."""
        comment = ("--match", "comment", "--comment", self.name)
        answers = ("--match", "conntrack", "--ctstate", "RELATED,ESTABLISHED")
        for pool in self._pools:
            outward = ("--source", pool, "!", "--destination", pool)
            yield ("POSTROUTING", "--table", "nat", *outward, *comment, "--jump", "MASQUERADE")
            yield ("FORWARD", "--source", pool, *comment, "--jump", "ACCEPT")
            yield ("FORWARD", "--destination", pool, *answers, *comment, "--jump", "ACCEPT")

    def _iptables(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [self._programs / "commands/iptables", "--wait", *arguments]
        return subprocess.run(command, env=self._daemon_environment(), capture_output=True, text=True)


def host_supported() -> str | None:
    """None where the embedded engine can run, else why not and what to do."""
    if reason := debian.host_supported():
        return reason
    release = re.search(r'^VERSION_ID="?(\d+)', debian.OS_RELEASE.read_text(), re.MULTILINE)
    if release is None or int(release[1]) < OLDEST_RELEASE:
        return f"it needs Debian {OLDEST_RELEASE} or newer: install Docker by other means"
    return None


def _unsuited(folder: Path) -> str | None:
    if "," in str(folder):
        return f"containerd cannot mount what is in {folder}, for the comma: set SEEDBED_CACHE to a path without one"
    found = subprocess.run(["stat", "--file-system", "--format=%T", folder], capture_output=True, text=True)
    if found.stdout.strip() != "overlayfs":
        return None
    return f"{folder} is on an overlay file system, which cannot hold containers': set SEEDBED_CACHE to a disk's folder"


def _open_to_others(folder: Path) -> str | None:
    """Why somebody but root could change what is in the folder, or what is called so, and what to do; None: nobody can.

    In a folder with the sticky bit, such as /tmp, nobody can touch what is another's.
    """
    for place in (folder, *folder.parents, *folder.resolve().parents):
        found = place.stat()
        writers = stat.S_IWOTH | (stat.S_IWGRP if found.st_gid else 0)
        shared = found.st_mode & writers and (place == folder or not found.st_mode & stat.S_ISVTX)
        if found.st_uid or shared:
            whose = "others may write to" if shared else f"user {found.st_uid} owns"
            return f"{whose} {place}: set SEEDBED_CACHE to a folder of root's, in folders of root's"
    return None


def _part(addresses: IPv4Network, number: int) -> str:
    """One of the /20 networks in this range: enough for 32 networks of Docker's with 126 containers each."""
    parts = list(addresses.subnets(new_prefix=20))
    return str(parts[number % len(parts)])


def _fetch_packages(scratch: Path) -> list[Path]:
    debs: list[Path] = []
    for suite, names, dependencies in (
        (DOCKER_SUITE, DOCKER_PACKAGES, False),  # they need no more than the libraries any Debian has
        (debian.host_codename(), HOST_PACKAGES, True),
    ):
        archive = debian.Archive(scratch / f"archive-{suite}", suite=suite)
        archive.update()
        packages = archive.resolve(names, dependencies=dependencies)
        # The libc has to be the one the host's loader belongs to.
        debs += archive.fetch([p for p in packages if p.name != "libc6"], scratch / "debs")
    return debs


def _link_commands(programs: Path) -> None:
    """Make the folder for PATH; some of its links are what maintainer scripts would have made."""
    commands = programs / "commands"
    commands.mkdir()
    for name, program in COMMANDS.items():
        places = (f"usr/{folder}/{program}" for folder in ("sbin", "bin"))
        (commands / name).symlink_to(next(f"../{place}" for place in places if (programs / place).exists()))


def _user_client_configuration() -> dict[str, Any]:
    return _read_json(Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker"), "config.json"))


def _read_json(path: Path) -> dict[str, Any]:
    """What a file of Docker's says; nothing if it is not there, or is no JSON."""
    with suppress(FileNotFoundError, ValueError):
        found = json.loads(path.read_bytes())
        return found if isinstance(found, dict) else {}
    return {}


def _last_words(log_file: Path) -> str:
    """The line of a daemon's log that says why it ended, and where to read on."""
    lines = log_file.read_text(errors="replace").splitlines()
    telling = [line for line in lines if re.search(r"^(failed|unable)|level=(error|fatal)", line)]
    last = (telling or lines or ["it said nothing"])[-1]
    message = re.search(r'msg="((?:[^"\\]|\\.)*)"', last)
    return f"{message[1] if message else last}; its log is {log_file}"


def _raised_limits() -> tuple[str, ...]:
    """Containers inherit the limit on open files, and a shell's usual 1024 is too few for data loaders."""
    hard = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 1 << 20)
    return ("prlimit", f"--nofile={hard}:{hard}")


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _remove_cgroup(group: Path) -> None:
    for folder in sorted(group.glob("**/"), reverse=True):  # innermost first, the group itself last
        with suppress(OSError):
            folder.rmdir()


def _mtu() -> int:
    """The largest packet the default route takes, in bytes; a bridge that allows more stalls connections."""
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        device, destination, *_ = line.split()
        if destination == "00000000":
            return min(1500, int(Path(f"/sys/class/net/{device}/mtu").read_text()))
    return 1500


def _networks_bridges(database: Path) -> set[str]:
    """The bridges of users' and Compose's networks, from Docker's database: a dead daemon cannot be asked."""
    with suppress(OSError):
        return {name.decode() for name in re.findall(rb"\bbr-[0-9a-f]{12}\b", database.read_bytes())}
    return set()


# From linux/sockios.h and linux/if.h: not every host has the `ip` command.
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCBRADDBR, SIOCBRDELBR, IFF_UP = 0x8913, 0x8914, 0x89A0, 0x89A1, 1


def _add_bridge(name: str) -> None:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, SIOCBRADDBR, name.encode().ljust(16, b"\0"))
    except OSError as error:
        remedy = "give this root CAP_NET_ADMIN, as a privileged container has it, and the kernel its module bridge"
        raise SeedbedError(f"the embedded engine gets no network bridge: {error.strerror}; {remedy}") from None


def _remove_bridge(name: str) -> None:
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16sH14x", name.encode(), 0))
        flags = struct.unpack("16sH14x", request)[1] & ~IFF_UP
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", name.encode(), flags))
        fcntl.ioctl(control, SIOCBRDELBR, name.encode().ljust(16, b"\0"))


def _write_json(path: Path, content: object, mode: int = 0o644) -> None:
    files.write(path, json.dumps(content, indent=2) + "\n", mode)
