"""One connection: bytes in, answers out in the order of the requests, one deadline for what is awaited.

Decides when to read, when to call the application, and how a connection ends. It must not know how requests
are framed (``request_reader``) nor how answers look (``exchange``). Invariants: one request of a connection
at a time is with the application; a refusal goes out behind the answers that are due before it, as the last.
"""

import asyncio
from collections import deque
from typing import Any, Final

from worker.adapters.http.connections import Connections, reset
from worker.adapters.http.exchange import Exchange
from worker.adapters.http.request_reader import Refused, Request, RequestReader
from worker.adapters.http.response_head import CONTINUE, ResponseHead

_NEVER: Final = float("inf")


class HttpProtocol(asyncio.Protocol):
    """A connection of the server. ``deadline`` is in the loop's time; nothing a sender does moves it."""

    __slots__ = (
        *("_addresses", "_counted", "_exchange", "_first_byte_at", "_held", "_is_closing", "_is_half_open"),
        *(
            "_is_paused",
            "_is_tls",
            "_last_refusal",
            "_loop",
            "_queue",
            "_reader",
            "_shared",
            "_transport",
            "_writable",
        ),
        *("_write_deadline", "_write_mark", "_written", "deadline", "has_written", "is_lost"),
    )

    def __init__(self, shared: Connections, loop: asyncio.AbstractEventLoop, *, is_tls: bool = False) -> None:
        """``is_tls``: the handshake was counted, so that the connection is within the limit."""
        self._shared = shared
        self._loop = loop
        self._transport: Any = None
        self._reader: RequestReader | None = None
        self._exchange: Exchange | None = None
        self._queue: deque[Exchange] | None = None
        self._held = b""
        self._counted = 0
        self._first_byte_at = 0.0
        self._last_refusal: bytes | None = None
        self._is_closing = False
        self._is_half_open = False
        self._is_paused = False
        self._is_tls = is_tls
        self._addresses: tuple[Any, Any] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._written = 0
        self._write_mark = 0
        self._write_deadline = _NEVER
        self.has_written = False
        self.is_lost = False
        self.deadline = _NEVER

    @property
    def has_begun(self) -> bool:
        """Whether it was connected, with TLS after the handshake."""
        return self._transport is not None

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer has connected; over the limit it is reset at once."""
        shared = self._shared
        self._transport = transport
        if self._is_tls:
            shared.handshakes -= 1
        elif shared.is_full:
            shared.counters.refused["too_many_connections"] += 1
            self.abort()
            return
        shared.counters.accepted += 1
        shared.open.add(self)
        self.deadline = self._loop.time() + shared.limits.header_timeout_s

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the loop's signature
        """The connection is gone; requests that are whole are served all the same."""
        self.is_lost = True
        self._is_closing = True
        self.deadline = _NEVER
        self.has_written = False
        self._shared.open.discard(self)
        self._drop_reader()
        self._held = b""
        if self._exchange is not None:
            self._exchange.disconnect()
        self.resume_writing()

    def eof_received(self) -> bool:
        """The peer sends no more. What was asked is answered, where the transport can be half open."""
        self._is_half_open = True
        if self._exchange is not None and self._exchange.is_watched_stream:
            return False  # a page that was closed looks the same, and would keep its place
        if not self._held:
            if self._reader is not None and self._reader.began:
                self._shared.counters.refused["incomplete"] += 1
            self._drop_reader()
        return self.is_busy and not self._is_tls

    def pause_writing(self) -> None:
        """The peer does not read: streams wait, and the next request is not begun."""
        if self._writable is None:
            self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """The peer has read."""
        writable, self._writable = self._writable, None
        if writable is not None:
            writable.set_result(None)
            if self._exchange is None:
                self._next()

    def data_received(self, data: bytes) -> None:
        """Read requests, or drop what comes after the last one."""
        if self._is_closing or self._last_refusal is not None:
            return  # drop it: left in the kernel, it would make a reset of the end
        if self._held:
            self._held += data
            self._shared.pending_bytes += len(data)
            return
        reader = self._reader
        if reader is None:
            reader = self._reader = RequestReader(self._shared.limits, self._shared.heads)
        if not reader.began:
            if reader.skips(data):
                return
            self._begin()
        self._read(reader, data)

    # Reading.

    def _begin(self) -> None:
        self._first_byte_at = now = self._loop.time()
        self.deadline = now + self._shared.limits.header_timeout_s

    def _read(self, reader: RequestReader, data: bytes) -> None:
        at, end = 0, len(data)
        most = self._shared.limits.max_waiting_requests
        try:
            while at < end:
                if self._queue is not None and len(self._queue) >= most:
                    self._hold(data[at:])
                    return
                if not reader.began and at:
                    self._begin()
                at = reader.feed(data, at)
                request = reader.take()
                if request is not None:
                    self._accept(request)
                    if request.is_last:
                        self._is_closing = True
                        self._drop_reader()
                        return
        except Refused as refused:
            self._refuse(refused)
            return
        if reader.began:
            self._read_on(reader)

    def _read_on(self, reader: RequestReader) -> None:
        """The request is not whole yet: count its bytes, set its deadline, let its sender continue."""
        if not reader.in_body:
            return
        shared = self._shared
        self.deadline = self._first_byte_at + shared.limits.body_timeout_s
        if reader.body_bytes != self._counted:
            if not self._counted:
                shared.half_read[self] = None
            shared.pending_bytes += reader.body_bytes - self._counted
            self._counted = reader.body_bytes
            if shared.pending_bytes > shared.limits.max_pending_bytes and not shared.has_room(self):
                self.make_room()
                return
        if reader.wants_continue and self._exchange is None and not self._queue:
            reader.wants_continue = False
            self.write(CONTINUE)

    def _accept(self, request: Request) -> None:
        """A whole request: to the application, or behind those that wait."""
        shared = self._shared
        exchange = Exchange(self, shared, request)
        shared.pending_bytes += exchange.bytes - self._counted
        if self._counted:
            self._counted = 0
            shared.half_read.pop(self, None)
        if shared.pending_bytes > shared.limits.max_pending_bytes and not shared.has_room(self):
            shared.pending_bytes -= exchange.bytes
            raise Refused(503, "overloaded")
        shared.counters.requests += 1
        if shared.stopping:
            request.is_last = True
        self.deadline = _NEVER
        if self._exchange is None and not self._queue and self._writable is None:
            self._start(exchange)
        else:
            if self._queue is None:
                self._queue = deque()
            self._queue.append(exchange)

    def _hold(self, rest: bytes) -> None:
        """Keep what follows until those that wait are answered, and read no more."""
        self._held = rest
        self._shared.pending_bytes += len(rest)
        self._is_paused = True
        self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    def _drop_reader(self) -> None:
        shared = self._shared
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        shared.pending_bytes -= self._counted + len(self._held)
        self._held = b""
        self._counted = 0
        shared.half_read.pop(self, None)

    # The application.

    def _start(self, exchange: Exchange) -> None:
        if self._addresses is None:
            peer, own = (self._transport.get_extra_info(name) for name in ("peername", "sockname"))
            self._addresses = (peer[:2] if peer else None, own[:2] if own else None)
        self._exchange = exchange
        running = exchange.run("https" if self._is_tls else "http", *self._addresses)
        exchange.task = task = self._loop.create_task(running, name="request")
        self._shared.tasks.add(task)

    def ended(self, exchange: Exchange) -> None:
        """The application has returned: its request is no longer in memory."""
        self._shared.pending_bytes -= exchange.bytes
        if exchange.task is not None:
            self._shared.tasks.discard(exchange.task)
        if self._exchange is exchange:  # it has not answered: its peer is gone
            self._exchange = None
            self._next()

    def answered(self, *, is_last: bool) -> None:
        """The answer is written: end, or go on with the next request."""
        self._exchange = None
        if is_last and not self.is_lost:
            self._finish()
        else:
            self._next()

    def _next(self) -> None:
        """Nothing is with the application: what is next?"""
        if self._queue:
            if self._writable is None:
                self._start(self._queue.popleft())
        elif self.is_lost:
            pass
        elif self._held:
            self._read_held()
        elif self._last_refusal is not None:
            refusal, self._last_refusal = self._last_refusal, None
            self.write(refusal)
            self._finish(has_refused=True)
        elif self._is_closing or self._is_half_open:
            self._finish()
        elif self._reader is not None and self._reader.began:
            self._read_on(self._reader)
        elif self._shared.stopping:
            self.shutdown()
        else:
            self.deadline = self._loop.time() + self._shared.limits.idle_timeout_s

    @property
    def is_busy(self) -> bool:
        """Whether an answer is due."""
        return self._exchange is not None or bool(self._queue) or self._last_refusal is not None

    @property
    def is_idle(self) -> bool:
        """Whether neither an answer is due nor a request begun."""
        is_reading = self._reader is not None and self._reader.began
        return not (self.is_busy or self._held or is_reading)

    @property
    def has_more(self) -> bool:
        """Whether another answer is due behind the one that is being made."""
        return bool(self._queue or self._held) or self._last_refusal is not None

    def _read_held(self) -> None:
        held, self._held = self._held, b""
        self._shared.pending_bytes -= len(held)
        self._resume_reading()
        reader = self._reader
        assert reader is not None
        self._begin()
        self._read(reader, held)

    # Writing, and the end.

    def write(self, data: bytes) -> None:
        """Send bytes of an answer; nothing where the peer is gone."""
        if not self.is_lost:
            self._transport.write(data)
            self._written += len(data)
            self.has_written = True

    async def drained(self) -> None:
        """Wait until the peer has read enough."""
        if self._writable is not None:
            await asyncio.shield(self._writable)

    def look_at_writer(self, now: float) -> None:
        """An answer that its peer does not read in time ends the connection."""
        unsent = self._transport.get_write_buffer_size()
        if not unsent:
            self.has_written = False
            self._write_deadline = _NEVER
            if self.is_idle:
                self._drop_reader()  # an idle connection needs no parser: 2 KB
        elif self._write_deadline == _NEVER or self._written - unsent >= self._write_mark:
            self._write_mark = self._written
            self._write_deadline = now + self._shared.limits.write_timeout_s
        elif now >= self._write_deadline:
            self._shared.counters.refused["answer_not_read"] += 1
            self.abort()

    def _refuse(self, refused: Refused) -> None:
        """Answer behind what is due before, then end. What arrives from now on is dropped."""
        shared = self._shared
        shared.counters.refused[refused.reason] += 1
        headers, body = shared.refusal(refused.status, refused.reason)
        head = ResponseHead(refused.status, headers)
        framing = b"content-length: %d\r\nconnection: close\r\n" % len(body)
        self._drop_reader()
        self._last_refusal = head.bytes(shared.date_line, framing) + body
        self.deadline = _NEVER
        self._resume_reading()
        if self._exchange is None:
            self._next()

    def _finish(self, *, has_refused: bool = False) -> None:
        """No more answers. The peer gets time to read the last one: a reset would take it away."""
        self._is_closing = True
        self._drop_reader()
        self.deadline = self._loop.time() + self._shared.limits.linger_s
        self._resume_reading()
        if self._is_half_open:
            self._transport.close()
        elif not self._is_tls:
            try:
                self._transport.write_eof()
            except OSError:  # the peer has reset it, and the loop does not know yet
                self._transport.abort()
        elif not has_refused:  # behind a refusal, unread bytes would make a reset of it
            self._transport.close()

    def expire(self, now: float) -> None:
        """The deadline is over: 408 for a request that is not whole, the end for everything else."""
        reader = self._reader
        if reader is not None and reader.began and not self._is_closing:
            self._refuse(Refused(408, "request_timeout"))
            return
        self.deadline = now + self._shared.limits.linger_s
        if self._is_closing:
            self._transport.abort()
        else:
            self._is_closing = True
            self._transport.close()

    def make_room(self) -> None:
        """Free the half-read body: memory is short."""
        self._refuse(Refused(503, "overloaded"))

    def shutdown(self) -> None:
        """The server ends: an idle connection closes, others after their answer.

        One that is new and has asked nothing yet is not idle: its first request may be in the kernel, where
        closing would turn it into a reset.
        """
        is_new = self._addresses is None
        if self.is_idle and not is_new and not self._is_closing:
            self._is_closing = True
            self.deadline = self._loop.time() + self._shared.limits.linger_s
            self._transport.close()

    def abort(self) -> None:
        """Reset the connection."""
        self._is_closing = True
        if not self.is_lost:
            reset(self._transport.get_extra_info("socket"))
            self._transport.abort()
