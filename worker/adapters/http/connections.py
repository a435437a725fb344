"""What the connections of one server share: limits, the application, counts, and the sweep of deadlines.

Decides when a deadline is over, and which half-read body makes room where memory is short. It must not know
bytes of HTTP. Invariants: the counts are those of the open connections; the failure of one does not keep the
sweep from the others.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from worker.adapters.http.limits import HttpLimits
from worker.adapters.http.request_heads import Head, KnownHeads

Headers = list[tuple[bytes, bytes]]
Refusal = Callable[[int, str], tuple[Headers, bytes]]
"""Status and reason -> headers and body of the answer."""

_ENDED_AT_ONCE = 32

Message = MutableMapping[str, Any]
Application = Callable[[Message, Callable[[], Any], Callable[[Message], Any]], Any]


class Reply(Protocol):
    """An answer that is whole. ``headers``: the same tuple for many answers. ``closes``: it is the last."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def closes(self) -> bool: ...


Respond = Callable[[Head, bytes, str | None], Awaitable[tuple[Reply, bytes]]]
"""Head, body and address of the peer -> the answer, and a value of ``x-request-id`` for it.

The short way past ASGI, without scopes and messages, for an application whose answers are whole: one that has
a method ``respond`` is asked so.
"""


def plain_refusal(_: int, reason: str) -> tuple[Headers, bytes]:
    """The reason as JSON, for whoever has no contract of answers."""
    return [(b"content-type", b"application/json")], b'{"error":"%b"}' % reason.encode()


class Swept(Protocol):
    """A connection, as the sweep and the end of the server see it."""

    deadline: float

    def expire(self, now: float) -> None:
        """The deadline is over."""
        ...

    def look_at_writer(self, now: float) -> None:
        """See whether the peer reads its answers."""
        ...

    def make_room(self) -> None:
        """Refuse the request whose body is being read, and free it."""
        ...

    def shutdown(self) -> None:
        """Close as soon as nothing waits for an answer."""
        ...


def reset(connection: Any) -> None:
    """Let the close of this socket be a reset: nothing of it stays in the kernel, unsent bytes neither."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


class HttpCounters:
    """What happened since the start. ``refused``: how often for each reason, closed connections included."""

    __slots__ = ("accepted", "failures", "refused", "requests", "unanswered")

    def __init__(self) -> None:
        self.accepted = 0
        self.requests = 0
        self.failures = 0
        self.unanswered = 0
        self.refused: Counter[str] = Counter()


class Connections:
    """Shared by all connections of a server.

    ``draining``: answers ask their senders to close. ``stopping``: a connection's next answer is its last.
    """

    __slots__ = (
        *("application", "counters", "date_line", "draining", "half_read", "handshakes", "heads"),
        *(
            "limits",
            "on_failure",
            "open",
            "pending_bytes",
            "refusal",
            "respond",
            "state",
            "stopping",
            "tasks",
        ),
    )

    def __init__(
        self,
        application: Application,
        limits: HttpLimits,
        refusal: Refusal,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self.application = application
        self.limits = limits
        self.refusal = refusal
        self.respond: Respond | None = getattr(application, "respond", None)
        self.on_failure = on_failure
        self.counters = HttpCounters()
        self.open: set[Any] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.half_read: dict[Swept, None] = {}
        self.heads = KnownHeads()
        self.handshakes = 0
        self.pending_bytes = 0
        self.draining = False
        self.stopping = False
        self.date_line = b""
        self.state: dict[str, Any] = {}

    @property
    def is_full(self) -> bool:
        """Whether one more connection would be over the limit."""
        return len(self.open) + self.handshakes >= self.limits.max_connections

    def has_room(self, asking: Swept) -> bool:
        """Whether the pending bytes are within their limit, after the oldest half-read bodies made room.

        They go before ``asking``, whose body has just grown: what stalls is older than what arrives. False
        where ``asking`` itself is the oldest, or nothing else is left.
        """
        while self.pending_bytes > self.limits.max_pending_bytes:
            oldest = next(iter(self.half_read), None)
            if oldest is None or oldest is asking:
                return False
            oldest.make_room()
        return True

    async def sweep_forever(self) -> None:
        """Look at every deadline, again and again until cancelled."""
        while True:
            await asyncio.sleep(self.limits.sweep_s)
            await self._sweep()

    async def _sweep(self) -> None:
        loop, ended = asyncio.get_running_loop(), 0
        for each in tuple(self.open):
            now = loop.time()
            try:
                if now >= each.deadline:
                    each.expire(now)
                    ended += 1
                if each.has_written:
                    each.look_at_writer(now)
            except Exception as failure:  # noqa: BLE001 - the others have their deadlines all the same
                self.on_failure(failure)
            if ended == _ENDED_AT_ONCE:  # a thousand at once would keep the others waiting for 50 ms
                ended = 0
                await asyncio.sleep(0)
