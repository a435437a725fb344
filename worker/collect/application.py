"""The HTTPS API as an ASGI application: paths, methods, bodies, and the headers of every answer.

Decides which path is answered by whom; knows ASGI and no server. Invariants: every request whose body came is
answered exactly once, also where the code fails; a path is compared as it was sent, and nothing in it is
decoded; a body that was not received whole stores nothing.
"""

import itertools
import os
import re
import traceback
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from msgspec import structs

from worker.collect import answers
from worker.collect.answers import Answer, Header, header_list
from worker.collect.batches import BatchDecoder
from worker.collect.endpoint import EventsEndpoint
from worker.collect.head_facts import HeadFacts, Request, SentHead, facts_of, header_values
from worker.collect.observer import Observer
from worker.collect.static_files import static_answers
from worker.collect.storage import smaller_limits
from worker.collect.write_keys import KeySource
from worker.config.options import Config
from worker.ports import Clock, RawProducer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_Respond = Callable[[Request], Awaitable[Answer]]

EVENTS_PATH, PIXEL_PATH = b"/v1/events", b"/v1/pixel.gif"
HEALTH_PATH, READINESS_PATH = b"/healthz", b"/readyz"
_OK = answers.static(b'{"status":"ok"}', "application/json", "no-store")

_is_request_id = re.compile(rb"[A-Za-z0-9_-]{1,64}").fullmatch


class Application:
    """The ASGI 3 application of one process, for ``http`` scopes only.

    ``draining``: the process has been asked to stop; every answer closes its connection and ``ready`` is
    false.
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
        """``decoder`` validates what comes, by ``smaller_limits``; the readable one where none is given."""
        self._producer = producer
        self._clock = clock
        self._observer = observer
        self._most_body_bytes = smaller_limits(config).max_value_bytes
        self._endpoint = EventsEndpoint(config, producer, keys, clock, observer, decoder)
        self._routes = self._routes_with(config.collect.paths)
        self._request_ids = map((os.urandom(6).hex().encode() + b"-%x").__mod__, itertools.count(1))
        self.draining = False

    @property
    def drained(self) -> bool:
        """Whether events that come now are answered 503 ``draining``."""
        return self._endpoint.drained

    @drained.setter
    def drained(self, drained: bool) -> None:
        self._endpoint.drained = drained

    @property
    def pending_bytes(self) -> int:
        """The bytes of requests that are not answered yet."""
        return self._endpoint.pending_bytes

    def ready(self) -> bool:
        """Whether requests should be sent here: not while draining, nor while no partition can be written."""
        partitions = self._producer.partitions()
        if self.draining or not partitions:
            return False
        return not all(map(self._producer.is_stalled, range(partitions)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        assert scope["type"] == "http", "whoever composes the application handles lifespan"
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            body = message.get("body", b"")
        else:
            body = await self._rest_of_body(message, receive)
            if body is None:
                return
        client = scope.get("client")
        facts = self._facts(scope["method"], _raw_path(scope), scope["query_string"], list(scope["headers"]))
        answer, request_id = await self._respond(facts, body, client[0] if client else None)
        headers = header_list(answer, request_id)
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})

    def respond(self, head: SentHead, body: bytes, peer: str | None) -> Awaitable[tuple[Answer, bytes]]:
        """The answer to a request, and its id: without ASGI, for a server that reads whole requests."""
        if head.note is None:
            head.note = self._facts(head.method, head.raw_path, head.query, head.headers)
        return self._respond(head.note, body, peer)

    async def _respond(self, facts: HeadFacts, body: bytes, peer: str | None) -> tuple[Answer, bytes]:
        started_s = self._clock.monotonic()
        request_id = facts.request_id or next(self._request_ids)
        if len(body) > self._most_body_bytes:
            answer = answers.over_limit(413, "too_large", self._most_body_bytes, closes=True)
        else:
            request = Request(facts, body, peer, request_id, self._clock.wall_ms(), started_s)
            try:
                answer = await facts.respond(request)
            except Exception as error:  # noqa: BLE001  whatever failed, the sender gets an answer
                self._observer.failed(trace_of(error))
                answer = answers.INTERNAL
        self._observer.answered(answer.status, self._clock.monotonic() - started_s)
        if self.draining and not answer.closes:
            answer = structs.replace(answer, closes=True)
        return answer, request_id

    async def _rest_of_body(self, message: Message, receive: Receive) -> bytes | None:
        """The body that comes in more than one message, read no further than it is too large.

        None where the client went before its end.
        """
        pieces, size = [], 0
        while message["type"] == "http.request":
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > self._most_body_bytes or not message.get("more_body", False):
                return b"".join(pieces)
            message = await receive()
        return None

    def _facts(self, method: str, path: bytes, query: bytes, headers: Sequence[Header]) -> HeadFacts:
        """What the head of a request says."""
        methods = self._routes.get(path)
        if methods is None:
            respond = _always(answers.NOT_FOUND)
        elif method in methods:
            respond = methods[method]
        else:
            respond = _always(answers.method_not_allowed(", ".join(methods)))
        by_name = header_values(headers)
        request_id = by_name.get(b"x-request-id", b"")
        if not _is_request_id(request_id):
            request_id = b""
        return facts_of(respond, request_id, by_name, headers, query)

    def _routes_with(self, other_paths: tuple[str, ...]) -> dict[bytes, dict[str, _Respond]]:
        """Path -> method -> what answers. A path of ``collect.paths`` takes events and images."""
        post, pixel = self._endpoint.post, self._endpoint.pixel
        preflight = _always(answers.PREFLIGHT)
        routes: dict[bytes, dict[str, _Respond]] = {
            path.encode(): {"POST": post, "GET": pixel, "OPTIONS": preflight} for path in other_paths
        }
        routes[EVENTS_PATH] = {"POST": post, "OPTIONS": preflight}
        routes[PIXEL_PATH] = {"GET": pixel, "OPTIONS": preflight}
        fixed = {HEALTH_PATH: _always(_OK), READINESS_PATH: self._readiness}
        fixed |= {path: _always(answer) for path, answer in static_answers().items()}
        return routes | {path: {"GET": respond, "HEAD": respond} for path, respond in fixed.items()}

    async def _readiness(self, _: Request) -> Answer:
        return _OK if self.ready() else answers.unavailable("draining" if self.draining else "unavailable")


def trace_of(error: BaseException) -> str:
    """Where an error was raised, and its type. Its message is left out: it may quote what was sent."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return " < ".join([type(error).__name__, *reversed(places)])


def _raw_path(scope: Scope) -> bytes:
    """The path as it was sent. A server that does not say it has decoded it, so that is what there is."""
    raw: bytes | None = scope.get("raw_path")
    return scope["path"].encode() if raw is None else raw.partition(b"?")[0]


def _always(answer: Answer) -> _Respond:
    async def respond(_: Request) -> Answer:
        return answer

    return respond
