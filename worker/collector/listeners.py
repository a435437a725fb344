"""The sockets on which the collector listens, and how they are handed to other processes.

Decides how an address is bound and what is said where it cannot be. Knows nothing of HTTP. The invariants: an
address is bound once, also for several processes, which share one queue of connections: one that ends or
starts again loses none of those that wait; two commands never listen on one address.
"""

import errno
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress

from worker.config.address import Address
from worker.errors import Fatal

_BACKLOG = 4_096
"""Connections that may wait to be accepted; the system may allow fewer (net.core.somaxconn)."""


def bound(option: str, address: Address) -> list[socket.socket]:
    """Sockets that listen on all addresses of the host. Raises Fatal, naming the option, where one cannot."""
    sockets: list[socket.socket] = []
    try:
        for family, host, port in _places(address):
            # Port 0: the system has chosen one for the first address, and it is that of each.
            chosen = port or (sockets[0].getsockname()[1] if sockets else 0)
            sockets.append(_listening(family, host, chosen))
    except OSError as error:
        close(sockets)
        reason = error.strerror or str(error)
        if error.errno == errno.EADDRINUSE:
            reason = "another process listens there already"
        raise Fatal(f"{option} = {address}: cannot listen there: {reason}") from error
    return sockets


def inherited(descriptors: Iterable[int]) -> list[socket.socket]:
    """The sockets that the supervisor bound."""
    return [socket.socket(fileno=descriptor) for descriptor in descriptors]


def address_in_use(sockets: Sequence[socket.socket], address: Address) -> str:
    """The address as configured, with the port that the system chose where it was 0."""
    return str(Address(address.host, sockets[0].getsockname()[1]))


def close(sockets: Iterable[socket.socket]) -> None:
    """Close this process's copies. Connections that wait stay with the processes that have others."""
    for one in sockets:
        with suppress(OSError):
            one.close()


def _places(address: Address) -> list[tuple[int, str, int]]:
    """Family, address and port, each once."""
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, str(place[0]), int(place[1])) for family, _, _, _, place in found))


def _listening(family: int, host: str, port: int) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Else a restart waits for the last connections' TIME_WAIT. Not SO_REUSEPORT: it loses what waits.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # [::] is all addresses of both kinds
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        one.bind((host, port))
        one.listen(_BACKLOG)
        one.setblocking(False)
    except OSError:
        one.close()
        raise
    return one
