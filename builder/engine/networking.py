"""The embedded engine's network: a bridge, a part of two address ranges, and the firewall rules that let it out.

The rules are ours, since the daemon is to leave the chains named DOCKER alone: they may be those of the host's own
Docker.
"""

import fcntl
import re
import shlex
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from builder.errors import SeedbedError
from builder.text import one_line

# Each engine takes a part of both ranges. The first is set apart for benchmarks (RFC 2544), so no mirror stands
# there; Docker turns to the second where the host has a route to the first.
ADDRESS_RANGES = (IPv4Network("198.18.0.0/15"), IPv4Network("10.201.0.0/16"))

Iptables = Callable[..., subprocess.CompletedProcess[str]]
"""Runs iptables with these arguments and keeps what it prints."""


@dataclass(frozen=True)
class Firewall:
    """The rules for the networks `pools` of the engine `name`."""

    name: str
    pools: Sequence[str]
    iptables: Iptables

    def open(self) -> None:
        for rule in self.rules():
            done = self.iptables("--insert", *rule)
            if done.returncode:
                raise SeedbedError(
                    f"iptables refuses the rules of the embedded engine: {one_line(done.stderr)}; "
                    f"the kernel needs nf_tables with NAT"
                )

    def close(self) -> None:
        for table in ("filter", "nat"):
            for rule in self.iptables("--table", table, "--list-rules").stdout.splitlines():
                if rule.startswith("-A ") and self.name in rule:
                    self.iptables("--table", table, "--delete", *shlex.split(rule)[1:])

    def rules(self) -> Iterator[Sequence[str]]:
        """Out of the engine's networks goes everything, under the host's address; in come the answers."""
        comment = ("--match", "comment", "--comment", self.name)
        answers = ("--match", "conntrack", "--ctstate", "RELATED,ESTABLISHED")
        for pool in self.pools:
            outward = ("--source", pool, "!", "--destination", pool)
            yield ("POSTROUTING", "--table", "nat", *outward, *comment, "--jump", "MASQUERADE")
            yield ("FORWARD", "--source", pool, *comment, "--jump", "ACCEPT")
            yield ("FORWARD", "--destination", pool, *answers, *comment, "--jump", "ACCEPT")


def pools_of(number: int) -> list[str]:
    """The networks of the engine with this number: two engines hardly ever have the same.

    Each is a /20 network: enough for 32 networks of Docker's with 126 containers each.
    """
    parts = [list(addresses.subnets(new_prefix=20)) for addresses in ADDRESS_RANGES]
    return [str(part[number % len(part)]) for part in parts]


def mtu() -> int:
    """The largest packet the default route takes, in bytes; a bridge that allows more stalls connections."""
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        device, destination, *_ = line.split()
        if destination == "00000000":
            return min(1500, int(Path(f"/sys/class/net/{device}/mtu").read_text()))
    return 1500


def bridges_in(database: Path) -> set[str]:
    """The bridges of users' and Compose's networks, from Docker's database: a dead daemon cannot be asked."""
    with suppress(OSError):
        return {name.decode() for name in re.findall(rb"\bbr-[0-9a-f]{12}\b", database.read_bytes())}
    return set()


# From linux/sockios.h and linux/if.h: not every host has the `ip` command.
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCBRADDBR, SIOCBRDELBR, IFF_UP = 0x8913, 0x8914, 0x89A0, 0x89A1, 1


def add_bridge(name: str) -> None:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, SIOCBRADDBR, name.encode().ljust(16, b"\0"))
    except OSError as error:
        remedy = "give this root CAP_NET_ADMIN, as a privileged container has it, and the kernel its module bridge"
        raise SeedbedError(f"the embedded engine gets no network bridge: {error.strerror}; {remedy}") from None


def remove_bridge(name: str) -> None:
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16sH14x", name.encode(), 0))
        flags = struct.unpack("16sH14x", request)[1] & ~IFF_UP
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", name.encode(), flags))
        fcntl.ioctl(control, SIOCBRDELBR, name.encode().ljust(16, b"\0"))
