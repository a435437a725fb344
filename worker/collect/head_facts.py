"""What a request's head says of its events: write key, Origins, how the body is packed, repetition.

Decides where in a head each of these is found; must not know bodies, sockets or whether a key is valid. All
of it follows from the head alone, so it is found once, and again only with another head. Invariant: nothing
here depends on a request before, but ``key``, which does not count when the keys are others.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from msgspec import Struct

from worker.collect import answers
from worker.collect.answers import Answer, Header
from worker.collect.idempotency import LONGEST_KEY
from worker.collect.media_types import Encoding, encoding_of, is_supported
from worker.collect.queries import parse_query
from worker.collect.write_keys import WriteKey, key_of_request


class SentHead(Protocol):
    """A request's head, as a server read it. ``note`` is ours, kept as long as the server keeps the head."""

    @property
    def method(self) -> str: ...
    @property
    def raw_path(self) -> bytes: ...
    @property
    def query(self) -> bytes: ...
    @property
    def headers(self) -> Sequence[Header]: ...

    note: Any


class HeadFacts(Struct, eq=False):
    """``headers`` are as they came, names in lower case; ``query`` is as it was sent.

    ``key_text``: the key's text, None where the head has none. ``refusal``: why a body cannot be read;
    ``encoding`` else. ``repetition_key``: the sender's; empty where there is none, a refusal where it is too
    long. ``key`` is what ``key_text`` named when the keys had the version ``keys_version``, and which may be
    used with these Origins.
    """

    respond: Callable[["Request"], Awaitable[Answer]]
    headers: Sequence[Header]
    query: bytes
    request_id: bytes
    key_text: bytes | None
    origins: Sequence[bytes]
    encoding: Encoding
    refusal: Answer | None
    repetition_key: bytes | Answer
    key: WriteKey | None = None
    keys_version: int = -1


class Request(Struct, frozen=True, gc=False):
    """A request whose body is there. ``peer``: the other end's address, None where it has none.

    Two clocks after the last byte of the body: ``received_at_ms`` is the wall clock, ``now_s`` the monotonic
    one.
    """

    head: HeadFacts
    body: bytes
    peer: str | None
    request_id: bytes
    received_at_ms: int
    now_s: float


def facts_of(
    respond: Callable[[Request], Awaitable[Answer]],
    request_id: bytes,
    by_name: dict[bytes, bytes],
    headers: Sequence[Header],
    query: bytes,
) -> HeadFacts:
    """The facts of a head whose path and method ``respond`` answers. ``by_name``: see ``header_values``."""
    encoding = encoding_of(by_name.get(b"content-encoding", b""))
    refusal = None
    if not is_supported(by_name.get(b"content-type", b"")):
        refusal = answers.UNSUPPORTED_MEDIA_TYPE
    elif encoding is None:
        refusal = answers.UNSUPPORTED_ENCODING
    return HeadFacts(
        respond=respond,
        headers=headers,
        query=query,
        request_id=request_id,
        key_text=key_of_request(headers, query),
        origins=[value for name, value in headers if name == b"origin"] if b"origin" in by_name else (),
        encoding=encoding or "identity",
        refusal=refusal,
        repetition_key=_repetition_key(by_name, query),
    )


def header_values(headers: Sequence[Header]) -> dict[bytes, bytes]:
    """Header name -> its value; of several of one name all, joined by commas.

    >>> header_values([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")])
    {b'a': b'1, 3', b'b': b'2'}
    """
    by_name = dict(headers)
    if len(by_name) < len(headers):
        by_name = {name: b", ".join([value for key, value in headers if key == name]) for name in by_name}
    return by_name


def _repetition_key(by_name: dict[bytes, bytes], query: bytes) -> bytes | Answer:
    place, key = "Idempotency-Key", by_name.get(b"idempotency-key")
    if not key:
        if b"idempotency_key=" not in query:
            return b""
        place, key = "?idempotency_key=", parse_query(query).get(b"idempotency_key", b"")
    if len(key) > LONGEST_KEY and (length := len(key.decode("utf-8", "replace"))) > LONGEST_KEY:
        return answers.bad_request(f"{place}: has {length} characters, at most {LONGEST_KEY} are allowed")
    return key
