"""One sender of a fault run: sends requests one after another, as its kind does, and keeps a journal.

Decides how each way of sending looks on a socket, and what is sent again. Must not know faults, brokers or
topics: all that it learns is what any client of the HTTPS API learns. Invariant: it has one request under way
at most, and has noted the outcome of one before it sends the next.
"""

import asyncio
import contextlib
import time
from random import Random

from msgspec import Struct, structs

from tests.chaos.collect_bodies import Origin, Shipment, shipment, wire_request
from tests.chaos.collect_journal import Answered, Line, Lost, SenderJournal, Sent

PATIENCE_S = 60.0
"""For an answer; the collector promises one in a fraction of it."""
_CONNECT_S = 5.0
_TRIES = 6
_LONGEST_BACKOFF_S = 1.0
_LATER = (429, 500, 503)


class Reply(Struct, frozen=True):
    """An answer as read. ``closes``: the connection ends with it."""

    status: int
    body: bytes
    closes: bool


class Sender:
    """Sends to one port until stopped. ``ways``: of ``collect_bodies``; ``pause_s``: mean, between two."""

    def __init__(
        self, name: str, port: int, ways: dict[str, int], pause_s: float, journal: SenderJournal
    ) -> None:
        self._name = name
        self._port = port
        self._ways = ways
        self._pause_s = pause_s
        self._journal = journal
        self._began = time.monotonic()
        self._rng = Random(f"{name}/pauses")
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._stop = asyncio.Event()
        self.requests = 0

    def stop(self) -> None:
        """Let ``run`` end with the request that is under way; what stalls is given up."""
        self._stop.set()

    async def run(self) -> None:
        """Request after request, each until it is stored or refused or was tried often enough."""
        number = 0
        try:
            while not self._stop.is_set():
                number += 1
                await self._deliver(number)
                await asyncio.sleep(self._rng.expovariate(1 / self._pause_s) if self._pause_s else 0)
        finally:
            self._close()

    async def _deliver(self, number: int) -> None:
        for attempt in range(_TRIES):
            one = shipment(Origin(self._name, number, attempt), self._ways)
            if one.key:  # the same bytes at every attempt
                one = structs.replace(one, origin=Origin(self._name, number))
            line = await self._send(one, attempt + 1)
            if isinstance(line, Answered) and line.status not in _LATER:
                if one.key and line.status == 200:
                    await self._send_again(one, attempt + 2)
                return
            if one.way != "waits" or self._stop.is_set():
                return
            await asyncio.sleep(self._rng.uniform(0, min(_LONGEST_BACKOFF_S, 0.1 * 2**attempt)))

    async def _send_again(self, one: Shipment, send: int) -> None:
        """The answer was there and is supposed lost: the same key and body, to the same process."""
        if self._streams is not None and self._rng.random() < 0.5:
            await self._send(one, send, again=True)

    async def _send(self, one: Shipment, send: int, *, again: bool = False) -> Line:
        origin = one.origin
        if not again and not await self._connected():
            line: Line = Lost(origin, send, "not connected", self._now_s())
            self._journal.note(Sent(origin, send, one.way, self._now_s()))
        else:
            self._journal.note(Sent(origin, send, one.way, self._now_s(), again))
            self.requests += 1
            line = await self._exchange(one, send)
        self._journal.note(line)
        return line

    async def _exchange(self, one: Shipment, send: int) -> Line:
        started = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._write(one)
                if one.way in ("hangs up", "leaves"):
                    await asyncio.sleep(self._rng.uniform(0, 0.03))
                    self._close()
                    return Lost(one.origin, send, "left", self._now_s())
                started = time.monotonic()
                reply = await (self._reply_unless_stopped() if one.way == "stalls" else self._reply())
        except (OSError, EOFError, asyncio.IncompleteReadError):
            self._close()
            return Lost(one.origin, send, "cut", self._now_s(), time.monotonic() - started)
        except TimeoutError:
            self._close()
            return Lost(one.origin, send, "no answer", self._now_s(), time.monotonic() - started)
        if reply is None:
            self._close()
            return Lost(one.origin, send, "left", self._now_s())
        if reply.closes:
            self._close()
        seconds = time.monotonic() - started
        return Answered(one.origin, send, reply.status, reply.body.decode(), self._now_s(), seconds)

    async def _write(self, one: Shipment) -> None:
        assert self._streams is not None
        _, writer = self._streams
        head, body = wire_request(one, self._port)
        if not one.whole:
            body = body[: self._rng.randrange(len(body))]
        if one.way == "drips":
            writer.write(head[:-2])
            size = max(1, len(body) // 15)
            for piece in (head[-2:], *(body[start : start + size] for start in range(0, len(body), size))):
                await asyncio.sleep(self._rng.uniform(0, 0.2))
                writer.write(piece)
                await writer.drain()
        else:
            writer.write(head + body)
            with contextlib.suppress(ConnectionError):  # refused before its end: the answer says why
                await writer.drain()

    async def _reply_unless_stopped(self) -> Reply | None:
        """The answer; None where the run ends first. That to what stalls takes 10 s."""
        reply = asyncio.create_task(self._reply())
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait((reply, stopped), return_when=asyncio.FIRST_COMPLETED)
            return await reply if reply.done() else None
        finally:
            reply.cancel()
            stopped.cancel()

    async def _reply(self) -> Reply:
        assert self._streams is not None
        reader, _ = self._streams
        status, headers = 100, {}
        while status == 100:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            status = int(head[0].split()[1])
            pairs = (line.partition(":") for line in head[1:] if line)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers["content-length"]))
        return Reply(status, body, headers.get("connection", "").lower() == "close")

    async def _connected(self) -> bool:
        if self._streams is not None:
            reader, writer = self._streams
            if not reader.at_eof() and not writer.is_closing():
                return True
            self._close()
        try:
            async with asyncio.timeout(_CONNECT_S):
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        except (OSError, TimeoutError):
            return False
        return True

    def _close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    def _now_s(self) -> float:
        return round(time.monotonic() - self._began, 3)
