"""One request that brings events, from its body to its answer.

Decides the order of the steps: who sends and how much, how the body is read, what is held meanwhile, whether
it is a repetition. Must not know sockets, ASGI or Kafka's client. Invariants: a body is neither decompressed
nor parsed for a key that is unknown, or over its rates; what is held for requests that wait never exceeds the
limit.
"""

import functools
import uuid

from worker.collect import answers
from worker.collect.answers import Answer, RequestRefused
from worker.collect.batches import BatchDecoder
from worker.collect.event_context import EventContext
from worker.collect.forms import read_form
from worker.collect.head_facts import Request
from worker.collect.idempotency import IdempotentAnswers
from worker.collect.inflation import MalformedError, TooLargeError, inflate
from worker.collect.observer import Observer
from worker.collect.pixel_events import pixel_event
from worker.collect.queries import parse_query
from worker.collect.rate_limits import RateLimits
from worker.collect.storage import EventStorage, Submission, smaller_limits
from worker.collect.write_keys import ANONYMOUS, KeySource, WriteKey, may_use
from worker.config.options import Config
from worker.ports import Clock, RawProducer

_MEBIBYTE = 1024 * 1024


class EventsEndpoint:
    """Answers requests that bring events. ``pending_bytes``: what they hold that are not answered yet.

    ``drained``: no more are accepted.
    """

    def __init__(
        self,
        config: Config,
        producer: RawProducer,
        keys: KeySource,
        clock: Clock,
        observer: Observer,
        decoder: BatchDecoder | None = None,
    ) -> None:
        self._keys = keys
        self._without_key = ANONYMOUS if config.collect.anonymous else None
        self._limits = smaller_limits(config)
        self._most_pending_bytes = config.collect.pending_mb * _MEBIBYTE
        self._rates = RateLimits()
        self._context = EventContext(config.collect) if config.collect.context else None
        self._idempotent = IdempotentAnswers(clock.monotonic)
        self._storage = EventStorage(config, producer, self._rates, clock, observer, decoder)
        self.pending_bytes = 0
        self.drained = False

    async def post(self, request: Request) -> Answer:
        """The answer to ``POST /v1/events``."""
        head = request.head
        try:
            key = None if head.key_text is None else self._admitted(head.key_text, request)
            text = self._text_of(request)
            body = read_form(text, self._limits.max_events, self._limits.max_depth)
            if key is None:
                key = self._admitted(body.write_key or None, request)
            if len(text) > len(request.body):
                self._rates.count_inflated(key, len(text) - len(request.body), request.now_s)
            return await self._store(request, key, body.value, text, body.sent_at)
        except RequestRefused as refused:
            return refused.answer

    async def pixel(self, request: Request) -> Answer:
        """The answer to ``GET /v1/pixel.gif``: an image, where the key may write."""
        head = request.head
        try:
            key = self._admitted(head.key_text, request)
            value = pixel_event(parse_query(head.query), str(uuid.uuid4()), request.received_at_ms)
            answer = await self._store(request, key, value, head.query)
        except RequestRefused as refused:
            answer = refused.answer
        return answers.pixel(answer) if answer.status in (200, 400) else answer

    def _admitted(self, text: bytes | None, request: Request) -> WriteKey:
        """The write key, which may be used for this request. Raises RequestRefused."""
        head = request.head
        key = head.key
        if key is None or text is not head.key_text or head.keys_version != self._keys.version:
            key = self._keys.find(text) if text is not None else self._without_key
            if key is None:
                raise RequestRefused(answers.UNAUTHORIZED)
            if not may_use(key, head.origins):
                raise RequestRefused(answers.ORIGIN_NOT_ALLOWED)
            if text is head.key_text:
                head.key, head.keys_version = key, self._keys.version
        size_bytes = len(request.body) or len(head.query)
        if wait_s := self._rates.wait_s(key, size_bytes, request.now_s):
            raise RequestRefused(answers.rate_limited(wait_s))
        return key

    def _text_of(self, request: Request) -> bytes:
        """The body, decompressed. Raises RequestRefused."""
        head = request.head
        if head.refusal is not None:
            raise RequestRefused(head.refusal)
        most_bytes = self._limits.max_value_bytes
        try:
            return inflate(request.body, head.encoding, most_bytes)
        except MalformedError:
            raise RequestRefused(answers.MALFORMED_ENCODING) from None
        except TooLargeError:
            raise RequestRefused(answers.over_limit(413, "too_large", most_bytes)) from None

    async def _store(
        self, request: Request, key: WriteKey, value: bytes, sent: bytes, sent_at: bytes = b""
    ) -> Answer:
        """The answer to what is to be stored, or to the request of which it is a repetition.

        ``sent``: what the sender sent, by which a repetition is recognised.
        """
        if self.drained:
            return answers.unavailable("draining")
        held = len(sent)
        if self.pending_bytes + held > self._most_pending_bytes:
            return answers.unavailable("overloaded")
        submission = Submission(
            value, key, request.request_id, request.received_at_ms, request.now_s, sent_at
        )
        if self._context is not None:
            submission.context = self._context.of(request.peer, request.head.headers) or b""
        repetition_key = request.head.repetition_key
        if isinstance(repetition_key, Answer):
            raise RequestRefused(repetition_key)
        self.pending_bytes += held
        try:
            if not repetition_key:
                return await self._storage.store(submission)
            process = functools.partial(self._storage.store, submission)
            answer = await self._idempotent.answer((key.name, repetition_key), sent, process)
            return answer or answers.CONFLICT
        finally:
            self.pending_bytes -= held
