"""One page's stream of server-sent events: how messages become bytes, and when the stream ends.

Knows the hub and ASGI; nothing of Kafka or of what messages say. Invariants: a value is one line of its
event, whatever is in it; a reader that does not read costs a bounded queue and ends.
"""

import asyncio

from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from worker.live.hub import FullError, Hub, Message, Subscription

RETRY_MS = 2_000
IDLE_S = 15.0
"""A comment is sent after so long without a message, so that proxies and dead connections are noticed."""
WRITE_S = 20.0
"""How long a write may wait for a page that does not read."""

HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # nginx would keep events back until its buffer is full
}


def encoded(message: Message, event_id: str = "") -> bytes:
    """The event of a message: ``{"seen_at": ms, "value": {...}}``. Without an id the reader keeps its own."""
    head = f"id: {event_id}\n" if event_id else ""
    head += f'event: {message.kind}\ndata: {{"seen_at":{message.seen_at_ms},"value":'
    return head.encode() + message.value + b"}\n\n"


class Stream(Response):
    """Answers with the stream of one device, until the page goes or the hub closes it."""

    def __init__(self, hub: Hub, device: str, last_id: str | None) -> None:
        super().__init__()
        self._hub = hub
        self._device = device
        self._last_id = last_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            subscription = self._hub.subscribe(self._device, self._last_id)
        except FullError:
            full = PlainTextResponse("too many pages are open\n", 503, {"retry-after": "5"})
            await full(scope, receive, send)
            return
        try:
            headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await self._until_gone(subscription, receive, send)
        finally:
            self._hub.unsubscribe(subscription)

    async def _until_gone(self, subscription: Subscription, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(_gone(receive))
        writing = asyncio.create_task(self._write(subscription, send))
        try:
            await asyncio.wait((gone, writing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (gone, writing):
                task.cancel()
            await asyncio.gather(gone, writing, return_exceptions=True)

    async def _write(self, subscription: Subscription, send: Send) -> None:
        async def write(body: bytes, *, more: bool = True) -> None:
            async with asyncio.timeout(WRITE_S):
                await send({"type": "http.response.body", "body": body, "more_body": more})

        first = b"retry: %d\n\n" % RETRY_MS
        if subscription.missed:
            first += b"event: reset\ndata: {}\n\n"
        await write(first)
        for numbered in subscription.backlog:
            await write(self._event(*numbered))
        # What follows the first state of a stream is new.
        await write(encoded(self._hub.state()))
        async for waiting in subscription.messages(IDLE_S):
            await write(b":\n\n" if waiting is None else self._event(*waiting))
        await write(b"", more=False)

    def _event(self, number: int, message: Message) -> bytes:
        return encoded(message, f"{self._hub.epoch}-{number}" if number else "")


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
