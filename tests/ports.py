"""TCP ports for programs that have to be told theirs."""

import secrets
import socket
from contextlib import closing

_reserved: list[socket.socket] = []


def reserve(count: int = 1) -> list[int]:
    """Nobody listens there, and until this process ends no other test of this machine gets them.

    They are below those that the system hands out to whoever asks for any. An abstract Unix socket stands for each:
    between a look whether a port is free and the start of its program, another process could look as well.
    """
    found: list[int] = []
    while len(found) < count:
        port = 10_000 + secrets.randbelow(10_000)
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0seedbed-tests-{port}")
            with closing(socket.socket()) as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:  # somebody has it
            name.close()
        else:
            _reserved.append(name)
            found.append(port)
    return found
