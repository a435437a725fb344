"""An address on which a process listens: how its text is read, and which machines can reach it.

Knows no socket and no option. The invariant: a text that names no port, or none that exists, is no address.
"""

import ipaddress
import re
from typing import NamedTuple

_ADDRESS = re.compile(r"(?:([^\s:/\[\]@]+)|\[([0-9A-Fa-f:.]+)\]):(\d{1,5})")


class Address(NamedTuple):
    """Host (a name, or an address without brackets) and port. Port 0: the system chooses one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it. Of names only ``localhost`` is known to be so."""
        ip = self._ip()
        return self.host.lower() == "localhost" if ip is None else ip.is_loopback

    @property
    def is_private(self) -> bool:
        """Whether it is an address that the internet does not route. Names and "all addresses" are not."""
        ip = self._ip()
        return self.is_loopback or (ip is not None and ip.is_private and not ip.is_unspecified)

    def meets(self, other: "Address") -> bool:
        """Whether both cannot be listened on at once."""
        if self.port != other.port or self.port == 0:
            return False
        hosts = {self.host.lower(), other.host.lower()}
        return len(hosts) == 1 or any(one._is_unspecified for one in (self, other))

    @property
    def _is_unspecified(self) -> bool:
        ip = self._ip()
        return ip is not None and ip.is_unspecified

    def _ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


def address_of(text: str) -> Address | None:
    """``host:port``, ``[::1]:port``; None for anything else."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match[3]) > 65_535:
        return None
    return Address(match[1] or match[2], int(match[3]))
