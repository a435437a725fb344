"""Which write key a request has, whether it is known, and whether the request's Origin may use it.

Decides where a key is looked for, and in which order. Knows no file and no clock: who reads the keys calls
``replace``. Invariants: a key is compared by its SHA-256 in constant time; an unknown and a disabled key
cannot be distinguished.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable, Sequence
from typing import Protocol
from urllib.parse import unquote_to_bytes

from worker.config.key_entries import ANONYMOUS_NAME, ANY_ORIGIN, digest_of
from worker.config.key_entries import WriteKey as WriteKey

Headers = Iterable[tuple[bytes, bytes]]
"""Names in lower case and values, as ASGI has them."""

ANONYMOUS = WriteKey(name=ANONYMOUS_NAME, origins=(ANY_ORIGIN,))
"""What a request without a key has, where ``collect.anonymous`` allows that. A key that is there must be
known all the same.
"""

_INDEXED_BYTES = 8


class KeySource(Protocol):
    """The write keys of now. ``version`` changes whenever they do."""

    @property
    def version(self) -> int: ...

    def find(self, key: bytes) -> WriteKey | None:
        """The key as it is configured; None where it is unknown or disabled."""
        ...


class WriteKeys:
    """The write keys of a process. Implements ``KeySource``; ``replace`` changes all of them at once."""

    def __init__(self, keys: Sequence[WriteKey] = ()) -> None:
        self._by_digest: dict[bytes, list[WriteKey]] = {}
        self.version = 0
        self.replace(keys)

    def replace(self, keys: Sequence[WriteKey]) -> None:
        """From now on these are the keys, and no others."""
        by_digest: dict[bytes, list[WriteKey]] = {}
        for key in keys:
            if not key.disabled:
                by_digest.setdefault(key.sha256[:_INDEXED_BYTES], []).append(key)
        self._by_digest = by_digest
        self.version += 1

    def find(self, key: bytes) -> WriteKey | None:
        """The key as it is configured; None where it is unknown or disabled."""
        digest = digest_of(key)
        for known in self._by_digest.get(digest[:_INDEXED_BYTES], ()):
            if hmac.compare_digest(known.sha256, digest):
                return known
        return None


def key_of_request(headers: Headers, query: bytes) -> bytes | None:
    """The key of a request: that of ``Authorization``, else of ``X-Write-Key``, else of ``?write_key=``.

    None: there is none, so that of the envelope counts. An empty one is none; one that cannot be read, such
    as Basic without base64, is ``b""``, which is no key. Of several in one place the first counts.
    """
    authorization = named = None
    for name, value in headers:
        if name == b"authorization" and authorization is None:
            authorization = _of_authorization(value)
        elif name == b"x-write-key" and not named:
            named = value.strip()
    if authorization is not None:
        return authorization
    return named or _of_query(query)


def may_use(key: WriteKey, origins: Sequence[bytes]) -> bool:
    """Whether a request with these ``Origin`` headers may use the key.

    Without such a header no page sent it, so it may. A key without ``origins`` is a server's, which no page
    may use; other keys are for exactly the listed ones, ``*`` for all.
    """
    if not origins:
        return True
    if len(origins) > 1:  # no browser sends two
        return False
    return ANY_ORIGIN in key.origins or origins[0].decode("latin-1") in key.origins


def _of_authorization(value: bytes) -> bytes | None:
    """The key in a value of ``Authorization``; None where it is of another scheme, or empty."""
    scheme, _, credentials = value.strip().partition(b" ")
    credentials = credentials.strip()
    if not credentials:
        return None
    match scheme.lower():
        case b"bearer":
            return credentials
        case b"basic":
            try:
                return base64.b64decode(credentials, validate=True).partition(b":")[0] or None
            except binascii.Error:
                return b""
    return None


def _of_query(query: bytes) -> bytes | None:
    if b"write_key=" not in query:
        return None
    for parameter in query.split(b"&"):
        name, _, value = parameter.partition(b"=")
        if name == b"write_key" and value:
            return unquote_to_bytes(value.replace(b"+", b" "))
    return None
