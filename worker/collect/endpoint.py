"""One request that brings events, from its body to its answer.

Decides the order of the steps: who sends, how the body is read, what is held meanwhile, whether it is a
repetition. Must not know sockets, ASGI or Kafka's client. Invariants: no body is read for a key that is
unknown; what is held for requests that wait never exceeds the limit.
"""

import functools
import uuid
from collections.abc import Sequence

from msgspec import Struct

from worker.collect import answers
from worker.collect.answers import Answer, Header, RequestRefused
from worker.collect.forms import read_form
from worker.collect.idempotency import LONGEST_KEY, IdempotentAnswers
from worker.collect.inflation import MalformedError, TooLargeError, inflate
from worker.collect.media_types import encoding_of, is_supported
from worker.collect.pixel_events import pixel_event
from worker.collect.queries import parse_query
from worker.collect.storage import EventStorage, Submission
from worker.collect.write_keys import ANONYMOUS, KeySource, WriteKey, key_of_request, may_use
from worker.config.options import Config
from worker.ports import Clock

_MEBIBYTE = 1024 * 1024


class Request(Struct, frozen=True):
    """A request whose body is there. Header names are in lower case; ``query`` is as it was sent.

    ``received_at_ms`` is the wall clock after the last byte of the body.
    """

    headers: Sequence[Header]
    query: bytes
    body: bytes
    request_id: bytes
    received_at_ms: int


class EventsEndpoint:
    """Answers requests that bring events. ``pending_bytes``: the bodies of those not answered yet."""

    def __init__(self, config: Config, storage: EventStorage, keys: KeySource, clock: Clock) -> None:
        self._storage = storage
        self._keys = keys
        self._anonymous = config.collect.anonymous
        self._most_body_bytes = EventStorage.most_body_bytes(config)
        self._most_pending_bytes = config.collect.pending_mb * _MEBIBYTE
        self._idempotent = IdempotentAnswers(clock.monotonic)
        self.pending_bytes = 0

    async def post(self, request: Request) -> Answer:
        """The answer to ``POST /v1/events``."""
        try:
            key = self._named_key(request)
            text = self._text_of(request)
            body = read_form(text)
            key = key or self._key(body.write_key or None)
            self._check_origin(key, request)
            submission = Submission(
                body.value, key.name, request.request_id, request.received_at_ms, body.sent_at
            )
            return await self._store(request, submission, text)
        except RequestRefused as refused:
            return refused.answer

    async def pixel(self, request: Request) -> Answer:
        """The answer to ``GET /v1/pixel.gif``: an image, where the key may write."""
        try:
            key = self._named_key(request) or self._key(None)
            self._check_origin(key, request)
            value = pixel_event(parse_query(request.query), str(uuid.uuid4()), request.received_at_ms)
            submission = Submission(value, key.name, request.request_id, request.received_at_ms)
            answer = await self._store(request, submission, request.query)
        except RequestRefused as refused:
            answer = refused.answer
        return answers.pixel(answer) if answer.status in (200, 400) else answer

    def _named_key(self, request: Request) -> WriteKey | None:
        """The key that headers or query name; None where they name none. Raises RequestRefused."""
        text = key_of_request(request.headers, request.query)
        return None if text is None else self._key(text)

    def _key(self, text: bytes | None) -> WriteKey:
        if text is None:
            if self._anonymous:
                return ANONYMOUS
        elif (key := self._keys.find(text)) is not None:
            return key
        raise RequestRefused(answers.UNAUTHORIZED)

    def _check_origin(self, key: WriteKey, request: Request) -> None:
        if not may_use(key, [value for name, value in request.headers if name == b"origin"]):
            raise RequestRefused(answers.ORIGIN_NOT_ALLOWED)

    def _text_of(self, request: Request) -> bytes:
        """The body, decompressed. Raises RequestRefused."""
        if not is_supported(_header(request, b"content-type")):
            raise RequestRefused(answers.UNSUPPORTED_MEDIA_TYPE)
        encoding = encoding_of(_header(request, b"content-encoding"))
        if encoding is None:
            raise RequestRefused(answers.UNSUPPORTED_ENCODING)
        try:
            return inflate(request.body, encoding, self._most_body_bytes)
        except MalformedError:
            raise RequestRefused(answers.MALFORMED_ENCODING) from None
        except TooLargeError:
            raise RequestRefused(answers.over_limit(413, "too_large", self._most_body_bytes)) from None

    async def _store(self, request: Request, submission: Submission, sent: bytes) -> Answer:
        """The answer to what is to be stored, or to the request of which it is a repetition.

        ``sent``: what the sender sent, by which a repetition is recognised.
        """
        held = len(submission.value)
        if self.pending_bytes + held > self._most_pending_bytes:
            return answers.unavailable("overloaded")
        self.pending_bytes += held
        try:
            key = _idempotency_key(request)
            if not key:
                return await self._storage.store(submission)
            process = functools.partial(self._storage.store, submission)
            answer = await self._idempotent.answer((submission.key_name, key), sent, process)
            return answer or answers.CONFLICT
        finally:
            self.pending_bytes -= held


def _header(request: Request, name: bytes) -> bytes:
    """The values of all headers of that name, joined; empty where there is none."""
    return b", ".join([value for key, value in request.headers if key == name])


def _idempotency_key(request: Request) -> bytes:
    """Empty where there is none, and where it is too long to be kept."""
    key = _header(request, b"idempotency-key")
    if not key and b"idempotency_key=" in request.query:
        key = parse_query(request.query).get(b"idempotency_key", b"")
    return key if len(key) <= LONGEST_KEY else b""
