"""The sockets on which the collector listens, and how they are handed to other processes.

Decides how an address is bound and what is said where it cannot be. Knows nothing of HTTP. The invariants: an
address is bound once, also for several processes, which share one queue of connections: one that ends or
starts again loses none of those that wait; two commands never listen on one address.
"""

import errno
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from worker.config import Config
from worker.config.address import Address, address_of
from worker.errors import Fatal

_MOST_PORT = 65_535
_BACKLOG = 4_096
"""Connections that may wait to be accepted; the system may allow fewer (net.core.somaxconn)."""


class Sockets(NamedTuple):
    """What one process listens on: for everybody, and for whoever operates it (perhaps nothing)."""

    public: Sequence[socket.socket]
    admin: Sequence[socket.socket] = ()

    @classmethod
    def inherited(cls, text: str) -> "Sockets":
        """Those that ``as_text`` of the process that bound them names."""
        public, admin = (
            [socket.socket(fileno=int(each)) for each in part.split(",") if each] for part in text.split("/")
        )
        return cls(public, admin)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The open files of all."""
        return tuple(one.fileno() for one in (*self.public, *self.admin))

    def as_text(self) -> str:
        """Their descriptors, for the command line of a process that inherits them."""
        return "/".join(",".join(str(one.fileno()) for one in each) for each in self)


def bind(config: Config, processes: int = 1) -> list[Sockets]:
    """Bind the addresses of the configuration, for each of so many processes. Raises Fatal, in one line.

    All share ``collect.listen``. Probes and metrics are those of one process, so each has a port of its own:
    that of ``collect.admin_listen`` and the ones behind it.
    """
    listen, admin = address_of(config.collect.listen), address_of(config.collect.admin_listen)
    assert listen is not None, "the configuration is checked"
    opened: list[socket.socket] = []
    several = []
    try:
        public = bound("collect.listen", listen)
        opened += public
        for slot in range(processes):
            own = bound("collect.admin_listen", _of_slot(admin, slot)) if admin is not None else []
            opened += own
            several.append(Sockets(public, own))
    except Fatal:
        _close(opened)
        raise
    return several


def _of_slot(address: Address, slot: int) -> Address:
    if address.port + slot > _MOST_PORT:
        raise Fatal(f"collect.admin_listen = {address}: process {slot} would have port {address.port + slot}")
    return address._replace(port=address.port + slot) if address.port else address


def bound(option: str, address: Address) -> list[socket.socket]:
    """Sockets that listen on all addresses of the host. Raises Fatal, naming the option, where one cannot."""
    sockets: list[socket.socket] = []
    try:
        for family, host, port in _places(address):
            # Port 0: the system has chosen one for the first address, and it is that of each.
            chosen = port or (sockets[0].getsockname()[1] if sockets else 0)
            sockets.append(_listening(family, host, chosen))
    except OSError as error:
        _close(sockets)
        reason = error.strerror or str(error)
        if error.errno == errno.EADDRINUSE:
            reason = "another process listens there already"
        raise Fatal(f"{option} = {address}: cannot listen there: {reason}") from error
    return sockets


def close_all(several: Iterable[Sockets]) -> None:
    """Close this process's copies. Connections that wait stay with the processes that have others."""
    for sockets in several:
        _close((*sockets.public, *sockets.admin))


def address_in_use(sockets: Sequence[socket.socket], address: Address) -> str:
    """The address as configured, with the port that the system chose where it was 0."""
    return str(address._replace(port=sockets[0].getsockname()[1]))


def _close(sockets: Iterable[socket.socket]) -> None:
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
