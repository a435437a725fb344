"""Which views a session has seen: distinct view ids, kept as hashes up to a bound.

Knows view ids and nothing of sessions or events. Invariant: what is counted does not depend on the order in
which views were added or united; it is the number of distinct ones, or the bound where there are more.
"""

from zlib import crc32

MAX_VIEWS = 128
"""The most views of a session that are kept: a count of 128 means 128 or more."""

HASH_BYTES = 4
FULL_BYTES = MAX_VIEWS * HASH_BYTES
"""Views are so many bytes at most, and whole hashes."""


def with_view(views: bytes, view_id: str) -> bytes:
    """The views and this one; the same where it is among them, or they are full.

    >>> one = with_view(b"", "v1")
    >>> with_view(one, "v1") == one, view_count(with_view(one, "v2"))
    (True, 2)
    """
    if len(views) == FULL_BYTES:
        return views
    view = crc32(view_id.encode()).to_bytes(HASH_BYTES)
    at = views.find(view)
    while at > 0 and at % HASH_BYTES:  # found across two hashes
        at = views.find(view, at + 1)
    return views if at >= 0 else views + view


def view_count(views: bytes) -> int:
    """How many views these are."""
    return len(views) // HASH_BYTES


def united(views: bytes, others: bytes) -> bytes:
    """The views of both.

    >>> united(b"aaaabbbb", b"bbbbcccc")
    b'aaaabbbbcccc'
    """
    hashes = [
        both[at : at + HASH_BYTES] for both in (views, others) for at in range(0, len(both), HASH_BYTES)
    ]
    return b"".join(dict.fromkeys(hashes))[:FULL_BYTES]
