"""What the collector adds to each event about its request, as ``collect.context`` asks for: none by default.

Decides what each value is and how long it may be. Knows no event: the same bytes go into all of a request.
Invariants: they are one JSON object in UTF-8, whatever a sender writes into its headers, of at most
``MOST_BYTES``; nothing is in it that was not asked for.
"""

import ipaddress

import msgspec

from worker.collect.client_address import ClientAddresses, IpAddress
from worker.collect.write_keys import Headers
from worker.config.options import Collect

MOST_CHARACTERS = 256
"""The most characters of a header's value; the rest is cut off."""

MOST_BYTES = 4_096
"""More than two headers of ``MOST_CHARACTERS`` need, if each character is escaped, with the addresses."""

_KEPT_BITS = {4: 24, 6: 48}
_encode = msgspec.json.Encoder().encode


class EventContext:
    """Makes the ``collector`` object of a request's events."""

    def __init__(self, collect: Collect) -> None:
        self._fields = collect.context
        self._needs_address = "ip" in self._fields or "ip_truncated" in self._fields
        self._addresses = ClientAddresses(collect.trusted_proxies)

    def of(self, peer: str | None, headers: Headers) -> bytes | None:
        """The object's JSON; None where nothing is to be added.

        What is not known is left out. An object that is empty is added all the same: what a sender wrote
        under that name must not be taken for it.
        """
        if not self._fields:
            return None
        found = {}
        if self._needs_address:
            forwarded_for = [value for name, value in headers if name == b"x-forwarded-for"]
            address = self._addresses.of(peer, forwarded_for)
            if address is not None:
                found = {"ip": str(address), "ip_truncated": str(truncated(address))}
        for name, value in headers:
            if name == b"user-agent":
                found.setdefault("user_agent", _text(value))
            elif name == b"origin":
                found.setdefault("origin", _text(value))
        return _encode({field: found[field] for field in self._fields if field in found})


def truncated(address: IpAddress) -> IpAddress:
    """The first address of its network: of IPv4 /24, of IPv6 /48, which is a customer's."""
    network = ipaddress.ip_network((address, _KEPT_BITS[address.version]), strict=False)
    return network.network_address


def _text(value: bytes) -> str:
    """A header's value as text, of which bytes that are not UTF-8 become U+FFFD."""
    return value[: 4 * MOST_CHARACTERS].decode("utf-8", "replace")[:MOST_CHARACTERS]
