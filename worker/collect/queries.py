"""The query string of a request.

Decides how it is split and decoded; must not know what its names mean. Invariant: never raises, whatever the
bytes.
"""

from urllib.parse import unquote_to_bytes


def parse_query(query: bytes) -> dict[bytes, bytes]:
    """Names and values, decoded, in order. Of a repeated name the last counts.

    >>> parse_query(b"a=1&b=x+y%20z&c&a=2")
    {b'a': b'2', b'b': b'x y z', b'c': b''}
    """
    found = {}
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if name:
            found[_decoded(name)] = _decoded(value)
    return found


def _decoded(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))
