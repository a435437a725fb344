"""The answers of the HTTPS API: status, headers and body of each.

Decides how an answer looks, and never when it is given. Must not know requests or records. Invariants: every
answer may be read by any page (CORS), is kept by no cache, and is JSON unless its maker says otherwise; 4xx
but 429 says "do not send this again", 429 and 503 carry ``Retry-After``.
"""

import random
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct, json

from worker.model.events import Reason

Header = tuple[bytes, bytes]

MOST_LISTED = 100
"""So many refused elements are listed; of more, only their number is said."""

RETRY_AFTER_S = (1, 8)
"""The least and the greatest ``Retry-After``: spread, so that senders do not all come back at once."""

CORS: tuple[Header, ...] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"retry-after, x-request-id"),
)
NO_STORE: Header = (b"cache-control", b"no-store")
_NO_SNIFF: Header = (b"x-content-type-options", b"nosniff")
_JSON: Header = (b"content-type", b"application/json")
_COMMON: tuple[Header, ...] = (*CORS, _NO_SNIFF)
_JSON_HEADERS = (_JSON, NO_STORE, *_COMMON)
_CLOSE: Header = (b"connection", b"close")

PIXEL = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)
"""A GIF of one transparent pixel, 43 bytes."""


class Answer(Struct, frozen=True):
    """Status, body and all headers but those of one request or connection (length, request id, close).

    ``closes``: it is the last of its connection, as the process drains or the request was not read whole.
    """

    status: int
    body: bytes
    headers: tuple[Header, ...] = _JSON_HEADERS
    closes: bool = False


class RequestRefused(Exception):  # noqa: N818  its answer says which error it is
    """A request that is answered before anything of it was stored."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class RefusedElement(Struct, frozen=True):
    """What the sender learns of an element that was refused; ``index`` is None for the whole body."""

    index: int | None
    reason: Reason
    detail: str


def header_list(answer: Answer, request_id: bytes) -> list[Header]:
    """All headers of the answer to one request."""
    headers = [*answer.headers, (b"x-request-id", request_id)]
    if answer.status != 204:  # which has no body, so it must not say how long it is
        headers.append((b"content-length", b"%d" % len(answer.body)))
    if answer.closes:
        headers.append(_CLOSE)
    return headers


def stored(accepted: int, refused: Sequence[RefusedElement], received_at_ms: int) -> Answer:
    """200: every accepted event is stored."""
    if not refused:
        return Answer(200, b'{"accepted":%d,"refused":[],"received_at":%d}' % (accepted, received_at_ms))
    body = b'{"accepted":%d,%b,"received_at":%d}' % (accepted, _listed(refused), received_at_ms)
    return Answer(200, body)


def none_accepted(refused: Sequence[RefusedElement]) -> Answer:
    """400: not one event is accepted. ``refused`` is not empty."""
    return Answer(400, b'{"error":"none_accepted","accepted":0,%b}' % _listed(refused))


def partly_stored(
    stored: Sequence[int], retry: Sequence[int | None], refused: Sequence[RefusedElement]
) -> Answer:
    """503: the elements at ``stored`` are stored, those at ``retry`` are not, or it is not known."""
    places = b'"stored":%b,"retry":%b' % (json.encode(stored), json.encode(retry))
    return _retried(503, b'{"error":"partly_stored",%b,%b}' % (places, _listed(refused)))


def not_acknowledged(retry: Sequence[int | None], refused: Sequence[RefusedElement]) -> Answer:
    """503: the brokers did not answer in time; the elements at ``retry`` may be stored, now or later."""
    return _retried(
        503, b'{"error":"not_acknowledged","retry":%b,%b}' % (json.encode(retry), _listed(refused))
    )


def _listed(refused: Sequence[RefusedElement]) -> bytes:
    """The members ``refused`` and, where not all are listed, ``refused_total``."""
    listed = b'"refused":%b' % json.encode(refused[:MOST_LISTED])
    if len(refused) <= MOST_LISTED:
        return listed
    return listed + b',"refused_total":%d' % len(refused)


def error(status: int, name: str, *headers: Header) -> Answer:
    """An answer that says no more than the error's name."""
    return Answer(status, b'{"error":"%b"}' % name.encode(), (*_JSON_HEADERS, *headers))


def over_limit(status: int, name: str, limit: int, *, closes: bool = False) -> Answer:
    """A request over a limit, which the answer names."""
    return Answer(status, b'{"error":"%b","limit":%d}' % (name.encode(), limit), closes=closes)


def bad_request(detail: str) -> Answer:
    """400: what is wrong with the request, where, and what is allowed."""
    return Answer(400, b'{"error":"bad_request","detail":%b}' % json.encode(detail))


def unavailable(name: str) -> Answer:
    """503: ``overloaded``, ``unavailable`` or ``draining``. Nothing of the request was stored."""
    return _retried(503, b'{"error":"%b"}' % name.encode())


def rate_limited(wait_s: float) -> Answer:
    """429: the key sends more than it may. ``Retry-After`` is at least the time after which it may again."""
    return _retried(429, b'{"error":"rate_limited"}', at_least_s=wait_s)


def _retried(status: int, body: bytes, at_least_s: float = 0) -> Answer:
    least, most = RETRY_AFTER_S
    seconds = max(random.randint(least, most), int(at_least_s) + 1)  # noqa: S311  spreads, hides nothing
    return Answer(status, body, (*_JSON_HEADERS, (b"retry-after", b"%d" % seconds)))


def method_not_allowed(allowed: str) -> Answer:
    """405, with the methods that the path has."""
    return error(405, "method_not_allowed", (b"allow", allowed.encode()))


def pixel(answer: Answer) -> Answer:
    """The image, with the status and the headers of what the event itself would be answered."""
    kept = tuple(header for header in answer.headers if header is not _JSON)
    return Answer(answer.status, PIXEL, ((b"content-type", b"image/gif"), *kept), answer.closes)


def static(body: bytes, content_type: str, cache_control: str) -> Answer:
    """Bytes that are the same for everyone."""
    headers = ((b"content-type", content_type.encode()), (b"cache-control", cache_control.encode()))
    return Answer(200, body, (*headers, *_COMMON))


def protocol_refusal(
    status: int, reason: str, limits: Mapping[str, int] = MappingProxyType({})
) -> tuple[list[Header], bytes]:
    """Headers, without those of length and connection, and body of what the server refuses by itself.

    ``reason`` is the error's name. ``limits``: reason -> the limit that the answer names.
    """
    if status == 503:
        answer = unavailable(reason)
    elif reason in limits:
        answer = over_limit(status, reason, limits[reason])
    else:
        answer = error(status, reason)
    return list(answer.headers), answer.body


UNAUTHORIZED = error(401, "unauthorized", (b"www-authenticate", b"Bearer"))
"""Missing, unknown and disabled keys are the same."""

ORIGIN_NOT_ALLOWED = error(403, "origin_not_allowed")
NOT_FOUND = error(404, "not_found")
CONFLICT = error(409, "idempotency_conflict")
MALFORMED_ENCODING = error(400, "malformed_encoding")
UNSUPPORTED_MEDIA_TYPE = error(415, "unsupported_media_type")
UNSUPPORTED_ENCODING = error(415, "unsupported_encoding", (b"accept-encoding", b"gzip, zstd"))
INTERNAL = error(500, "internal")
PREFLIGHT = Answer(
    204,
    b"",
    (
        (b"access-control-allow-methods", b"POST, GET"),
        (
            b"access-control-allow-headers",
            b"authorization, content-type, content-encoding, x-write-key, idempotency-key, x-request-id",
        ),
        (b"access-control-max-age", b"86400"),
        *_COMMON,
    ),
)
