"""Heads of requests, and those that came before.

A sender that keeps its connection sends the same head again and again, but for the length of its body. So
what follows from a head's bytes alone is kept when they come again, and looked up from then on. Decides
which heads are kept, and when two are the same; must not know how one is read or whether it may be answered:
only heads that were accepted are added. Invariant: what is found is what reading the head would give.
"""

from typing import Any, Final
from urllib.parse import unquote

END_OF_HEAD: Final = b"\r\n\r\n"
_LENGTHS: Final = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
"""Both forms that clients send. A head that has another one is never found."""

_MOST_KEPT = 512
_MOST_SEEN = 8_192
_MOST_BYTES = 2_048
_MOST_DIGITS = 10

Header = tuple[bytes, bytes]


class Head:
    """A request without its body, and without what says how long that is.

    Names of ``headers`` are in lower case; ``path`` is decoded, ``raw_path`` as it was sent. ``is_last``: its
    sender wants the connection closed behind the answer. ``note`` is the application's: what it found out
    about this head, to find it again with the next request; None at first.
    """

    __slots__ = ("_length_at", "headers", "is_last", "method", "note", "path", "query", "raw_path", "version")

    def __init__(
        self,
        method: str,
        target: tuple[str, bytes, bytes],
        version: str,
        headers: list[Header],
        *,
        length: bytes | None,
        is_last: bool,
    ) -> None:
        """``length``: the value of Content-Length, which is taken out of ``headers``; None without one."""
        self.method = method
        self.path, self.raw_path, self.query = target
        self.version = version
        self._length_at = -1
        if length is not None:
            self._length_at = headers.index((b"content-length", length))
            del headers[self._length_at]
        self.headers = headers
        self.is_last = is_last
        self.note: Any = None

    def all_headers(self, body: bytes) -> list[Header]:
        """The headers of a request with this body, as they were sent."""
        headers = self.headers.copy()
        if self._length_at >= 0:
            headers.insert(self._length_at, (b"content-length", b"%d" % len(body)))
        return headers


class KnownHeads:
    """The heads of some hundred senders, of one process: 3 MB with browsers' headers, 8 MB at most."""

    def __init__(self) -> None:
        self._by_bytes: dict[bytes, Head] = {}
        self._seen_once: set[int] = set()

    def find(self, data: bytes, at: int) -> tuple[Head, int, int] | None:
        """The head that begins at ``at``, where its body begins, and the body's length; None if unknown."""
        end = data.find(END_OF_HEAD, at)
        if end < 0:
            return None
        for name in _LENGTHS:
            start = data.find(name, at, end)
            if start >= 0:
                start += len(name)
                stop = data.index(b"\r", start)
                head = self._by_bytes.get(data[at:start] + data[stop:end])
                digits = data[start:stop]
                if head is None or len(digits) > _MOST_DIGITS or not digits.isdigit():
                    return None
                return head, end + len(END_OF_HEAD), int(digits)
        head = self._by_bytes.get(data[at:end])
        return None if head is None else (head, end + len(END_OF_HEAD), 0)

    def add(self, data: bytes, head: Head, *, has_length: bool) -> None:
        """Keep a head, which ``data`` is all of, when it comes for the second time: many never do.

        ``has_length``: it has a Content-Length; its body must be framed by that alone. Where there are too
        many, all are given up.
        """
        if len(data) > _MOST_BYTES:
            return
        key = data[: -len(END_OF_HEAD)]
        found = [(name, place) for name in _LENGTHS if (place := key.find(name)) >= 0]
        if bool(found) != has_length:
            return
        if found:
            start = found[0][1] + len(found[0][0])
            key = key[:start] + key[start:].lstrip(b"0123456789")
        mark = hash(key)
        if mark not in self._seen_once:
            if len(self._seen_once) >= _MOST_SEEN:
                self._seen_once.clear()
            self._seen_once.add(mark)
            return
        if len(self._by_bytes) >= _MOST_KEPT:
            self._by_bytes.clear()
        self._by_bytes[key] = head


def path_and_query(target: bytes) -> tuple[str, bytes, bytes] | None:
    """Decoded path, path as sent, query; None where the target is none that a server is asked for."""
    if not target.startswith(b"/"):
        scheme, separator, rest = target.partition(b"://")
        if separator and scheme.lower() in (b"http", b"https"):  # as to a proxy; every server must take it
            authority, slash, path = rest.partition(b"/")
            if not authority or b"?" in authority:
                return None
            target = slash + path or b"/"
        elif target != b"*":
            return None
    if b"#" in target:
        return None
    raw_path, _, query = target.partition(b"?")
    decoded = raw_path.decode("ascii")
    return unquote(decoded) if "%" in decoded else decoded, raw_path, query
