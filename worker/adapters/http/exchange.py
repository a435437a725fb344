"""One request and its answer, as an application sees them: by ASGI, or asked for a whole answer.

Decides how messages and answers of an application become bytes. It must not know how requests are read, nor
when a connection ends. Invariants: an answer that is not streamed is one write; nothing is written after its
end.
"""

import asyncio
from typing import Any, Protocol

from worker.adapters.http.connections import Connections, Message, Respond
from worker.adapters.http.request_reader import Request
from worker.adapters.http.response_head import ResponseHead, shared_head


class Line(Protocol):
    """The connection that an exchange belongs to."""

    is_lost: bool

    @property
    def has_more(self) -> bool:
        """Whether another answer is due behind this one."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes of the answer."""
        ...

    async def drained(self) -> None:
        """Wait until the peer has read enough of what was written."""
        ...

    def answered(self, *, is_last: bool) -> None:
        """The answer is whole."""
        ...

    def ended(self, exchange: Any) -> None:
        """The application has returned."""
        ...

    def abort(self) -> None:
        """Close at once, in the middle of an answer."""
        ...


class Exchange:
    """Calls the application once, with one request."""

    __slots__ = (
        *("_body", "_chunked", "_head", "_is_last", "_left", "_line", "_shared", "_waiting"),
        *("bytes", "is_ended", "request", "task"),
    )

    def __init__(self, line: Line, shared: Connections, request: Request) -> None:
        self._line = line
        self._shared = shared
        self._body: bytes | None = request.body
        self._head: ResponseHead | None = None
        self._left: int | None = None
        self._chunked = False
        self._is_last = False
        self._waiting: asyncio.Future[None] | None = None
        self.bytes = len(request.body)
        self.request = request
        self.is_ended = False
        self.task: asyncio.Task[None] | None = None

    def scope(self, scheme: str, peer: Any, own: Any) -> Message:
        """What the application is called with. ``peer`` and ``own`` are addresses."""
        head = self.request.head
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": head.version,
            "scheme": scheme,
            "client": peer,
            "server": own,
            "method": head.method,
            "root_path": "",
            "path": head.path,
            "raw_path": head.raw_path,
            "query_string": head.query,
            "headers": head.all_headers(self.request.body),
            "state": self._shared.state.copy(),
        }

    async def run(self, scheme: str, peer: Any, own: Any) -> None:
        """The application's whole work on this request, with an answer where it fails to give one."""
        shared = self._shared
        try:
            if shared.respond is not None:
                await self._respond(shared.respond, peer[0] if peer else None)
                return
            await shared.application(self.scope(scheme, peer, own), self.receive, self.send)
            if not self.is_ended and not self._line.is_lost:
                raise RuntimeError("the application returned without a whole answer")
        except asyncio.CancelledError:
            if not self.is_ended:
                shared.counters.unanswered += 1
                self._line.abort()
        except Exception as failure:  # noqa: BLE001 - whatever it is, its sender gets an answer
            shared.counters.failures += 1
            shared.on_failure(failure)
            self._fail()
        finally:
            self._line.ended(self)

    async def _respond(self, respond: Respond, peer: str | None) -> None:
        """The answer of an application that is asked without ASGI."""
        request, line = self.request, self._line
        head = request.head
        body, request.body, self._body = request.body, b"", None
        reply, request_id = await respond(head, body, peer)
        is_last = request.is_last or ((reply.closes or self._shared.draining) and not line.has_more)
        answer = shared_head(reply.status, reply.headers)
        if b"\n" in request_id or b"\r" in request_id:
            raise ValueError("a header of the answer holds an end of line")
        framing = b"x-request-id: %b\r\n" % request_id
        if answer.has_body:
            framing += b"content-length: %d\r\n" % len(reply.body)
        data = answer.bytes(self._shared.date_line, framing + self._connection(is_last))
        line.write(data + reply.body if answer.has_body and head.method != "HEAD" else data)
        self._end(is_last)

    def _fail(self) -> None:
        if self.is_ended:
            return
        if self._left is not None or self._chunked:
            self._line.abort()  # half an answer was sent: its reader must not take it for a whole one
            return
        headers, body = self._shared.refusal(500, "internal")
        self._head = ResponseHead(500, headers)
        self._answer(self._head, body)

    async def receive(self) -> Message:
        """The whole request in one message, then the end of the connection or of the answer."""
        body, self._body = self._body, None
        if body is not None:
            self.request.body = b""
            return {"type": "http.request", "body": body, "more_body": False}
        if not self._line.is_lost and not self.is_ended:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return {"type": "http.disconnect"}

    @property
    def is_watched_stream(self) -> bool:
        """Whether the answer has begun and has no end in sight: its application waits for the peer to go."""
        return self._waiting is not None and (self._chunked or self._left is not None)

    def disconnect(self) -> None:
        """Wake an application that waits for the end."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def send(self, message: Message) -> None:
        """The head of the answer, which waits for a body; then the body, in one piece or more."""
        kind = message["type"]
        head = self._head
        if kind == "http.response.start" and head is None:
            self._head = ResponseHead(message["status"], message.get("headers", ()))
            return
        if kind != "http.response.body" or head is None or self.is_ended:
            raise RuntimeError(f"the application sent {kind} out of turn")
        body = message.get("body", b"")
        if message.get("more_body", False) or self._left is not None or self._chunked:
            await self._stream(head, body, more=message.get("more_body", False))
        else:
            self._answer(head, body)

    def _answer(self, head: ResponseHead, body: bytes) -> None:
        is_last = self._closes_behind(head)
        if head.length is not None and head.length != len(body) and self.request.head.method != "HEAD":
            raise RuntimeError("the body of the answer has another length than its Content-Length")
        if head.has_body:
            framing = b"content-length: %d\r\n" % (len(body) if head.length is None else head.length)
        else:
            framing = body = b""
        data = head.bytes(self._shared.date_line, framing + self._connection(is_last))
        self._line.write(data if self.request.head.method == "HEAD" else data + body)
        self._end(is_last)

    def _closes_behind(self, head: ResponseHead) -> bool:
        """The sender's wish counts at once, the server's when nothing that was read waits for an answer."""
        return self.request.is_last or ((head.is_last or self._shared.draining) and not self._line.has_more)

    def _connection(self, is_last: bool) -> bytes:
        if is_last:
            return b"connection: close\r\n"
        return b"" if self.request.head.version == "1.1" else b"connection: keep-alive\r\n"

    async def _stream(self, head: ResponseHead, body: bytes, *, more: bool) -> None:
        """Pieces as they come: by the given length, else in chunks, else (HTTP/1.0) up to the end."""
        data = b""
        if self._left is None and not self._chunked:
            framing = b""
            self._is_last = self._closes_behind(head)
            self._left = head.length
            if head.length is not None:
                framing = b"content-length: %d\r\n" % head.length
            elif self.request.head.version == "1.1":
                self._chunked = True
                framing = b"transfer-encoding: chunked\r\n"
            else:
                self._left = 1 << 62
                self._is_last = True
            data = head.bytes(self._shared.date_line, framing + self._connection(self._is_last))
        if self.request.head.method == "HEAD" or not head.has_body:
            body = b""
        elif self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (not more and head.length is not None and self._left):
                raise RuntimeError("the body of the answer has another length than its Content-Length")
        elif body:
            body = b"%x\r\n%b\r\n" % (len(body), body)
        if self._chunked and not more and self.request.head.method != "HEAD":
            body += b"0\r\n\r\n"
        self._line.write(data + body)
        if more:
            await self._line.drained()
        else:
            self._end(self._is_last)

    def _end(self, is_last: bool) -> None:
        self.is_ended = True
        self.disconnect()
        self._line.answered(is_last=is_last)
