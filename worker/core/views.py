"""Which views a session has seen: distinct view ids, kept as hashes up to a bound.

Knows view ids and nothing of sessions or events. Invariant: what is counted does not depend on the order in
which views were added or united; it is the number of distinct ones, or the bound where there are more.
"""

from zlib import crc32

MAX_VIEWS = 128
"""The most views of a session that are kept: a count of 128 means 128 or more."""

Views = tuple[int, ...]
"""32 bits of each view, in order of arrival."""


def with_view(views: Views, view_id: str) -> Views:
    """The views and this one; the very same object where it is among them, or they are full.

    >>> one = with_view((), "v1")
    >>> with_view(one, "v1") is one, len(with_view(one, "v2"))
    (True, 2)
    """
    view = crc32(view_id.encode())
    return views if view in views or len(views) == MAX_VIEWS else (*views, view)


def united(views: Views, others: Views) -> Views:
    """The views of both.

    >>> united((1, 2), (2, 3))
    (1, 2, 3)
    """
    return tuple(dict.fromkeys((*views, *others)))[:MAX_VIEWS]
