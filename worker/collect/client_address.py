"""The IP address of who sent a request: that of the connection, or what trusted proxies say.

Decides which element of ``X-Forwarded-For`` is believed. Knows no socket. The invariant: an address that a
sender wrote itself is never taken, however many it writes: from the right each address counts only if a
trusted proxy wrote it.
"""

import ipaddress
import re
from collections.abc import Sequence

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_MOST_HOPS = 32
_WITH_PORT = re.compile(r"(\d+\.\d+\.\d+\.\d+):\d+|\[([^\]]+)\](?::\d+)?")
_MAPPED_BITS = 96  # of an IPv6 address before the IPv4 address in it
_LONGEST = 64  # the longest IPv6 address, with brackets, port and zone


class ClientAddresses:
    """Finds the address of each request's sender behind the proxies of these networks."""

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        """``trusted_proxies``: networks or addresses. Raises ValueError for one that is neither."""
        self._trusted = [_network(text) for text in trusted_proxies]

    def of(self, peer: str | None, forwarded_for: Sequence[bytes]) -> IpAddress | None:
        """The sender's address; None where the connection has none, as on a Unix socket.

        ``peer`` is the other end of the connection, ``forwarded_for`` the values of X-Forwarded-For in their
        order. What is no address ends the search: the last proxy before it is the nearest that is known.
        """
        address = _address(peer or "")
        if address is None or not self._trusts(address):
            return address
        for text in reversed(b",".join(forwarded_for).decode("latin-1").split(",")[-_MOST_HOPS:]):
            before = _address(text)
            if before is None:
                break
            address = before
            if not self._trusts(address):
                break
        return address

    def _trusts(self, address: IpAddress) -> bool:
        return any(address in network for network in self._trusted)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """A network. IPv4 in IPv6 is IPv4, as it is in addresses."""
    network = ipaddress.ip_network(text)
    first = getattr(network.network_address, "ipv4_mapped", None)
    if first is None or network.prefixlen < _MAPPED_BITS:
        return network
    return ipaddress.ip_network((first, network.prefixlen - _MAPPED_BITS))


def _address(text: str) -> IpAddress | None:
    """An address, which may have a port, brackets, quotes or a zone. IPv4 in IPv6 is IPv4."""
    text = text.strip(' \t"')
    if len(text) > _LONGEST:
        return None
    if match := _WITH_PORT.fullmatch(text):
        text = match[1] or match[2]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
