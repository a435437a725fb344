"""Who gets which message, and what one gets who comes back: the hub between the topics and the open pages.

Knows neither Kafka nor HTTP. Messages are numbered; the newest of them are kept for pages that come back.
Invariants: a subscriber gets the messages of its device in order, each once, or is informed that some are
missing; memory is bounded whatever pages do, and nobody waits for a page that reads slowly.
"""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Callable

from msgspec import Struct

KEPT_MESSAGES = 1_000
SUBSCRIBERS = 100
QUEUED_MESSAGES = 256
WATCHED_S = 600.0
"""For how long a device's messages are kept after its last page has gone."""
WATCHED_DEVICES = 1_000


class Message(Struct, frozen=True, gc=False):
    """Something that a page shows. ``value`` is JSON in one line. ``device``: empty where it has none.

    ``seen_at_ms`` is the wall clock's time at which it was read.
    """

    kind: str
    device: str
    value: bytes
    seen_at_ms: int


Numbered = tuple[int, Message]
"""A message with its number; 0 for the state of the hub, which is not kept."""


class FullError(Exception):
    """There are as many subscribers as are allowed."""


class Subscription:
    """One page's place in the hub. ``missed``: the page asked to go on after what is no longer kept."""

    def __init__(self, device: str, backlog: list[Numbered], *, missed: bool, queue: int) -> None:
        self.device = device
        self.missed = missed
        self.backlog = backlog
        self._queue: asyncio.Queue[Numbered | None] = asyncio.Queue(queue + 1)
        self._most = queue
        self.closed = False

    def offer(self, message: Numbered) -> None:
        """Queue a message. A page that has too many waiting is closed: it comes back for them."""
        if self.closed:
            return
        if self._queue.qsize() >= self._most:
            self.close()
        else:
            self._queue.put_nowait(message)

    def close(self) -> None:
        """End ``messages`` after what is queued."""
        if not self.closed:
            self.closed = True
            self._queue.put_nowait(None)

    async def messages(self, idle_s: float) -> AsyncIterator[Numbered | None]:
        """Messages as they come; None after each ``idle_s`` without one. Ends when it is closed."""
        while True:
            try:
                async with asyncio.timeout(idle_s):
                    message = await self._queue.get()
            except TimeoutError:
                yield None
                continue
            if message is None:
                return
            yield message


class Hub:
    """Distributes messages to subscribers, and keeps the newest ones of devices that somebody watches."""

    def __init__(
        self,
        *,
        kept: int = KEPT_MESSAGES,
        subscribers: int = SUBSCRIBERS,
        queue: int = QUEUED_MESSAGES,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.epoch = secrets.token_hex(4)
        self._kept: deque[Numbered] = deque(maxlen=kept)
        self._dead_letters: deque[Message] = deque(maxlen=100)
        self._number = 0
        self._subscriptions: set[Subscription] = set()
        self._most = subscribers
        self._queue = queue
        self._now = now
        self._watched: dict[str, float] = {}  # device -> until when; the one watched last at the end
        self._connected = False

    @property
    def subscribers(self) -> int:
        """How many pages are open."""
        return len(self._subscriptions)

    def state(self) -> Message:
        """Whether the brokers answer, as a message for everybody."""
        return Message("state", "", b'{"kafka":%s}' % (b"true" if self._connected else b"false"), 0)

    def set_connected(self, connected: bool) -> None:
        """Note whether the brokers answer; every page gets to know a change."""
        if connected != self._connected:
            self._connected = connected
            for subscription in list(self._subscriptions):
                subscription.offer((0, self.state()))

    def publish(self, message: Message) -> None:
        """Give a message to the pages of its device, and keep it if any was open lately."""
        if message.kind == "dead_letter":
            self._dead_letters.append(message)
        if not self._is_watched(message.device):
            return
        self._number += 1
        numbered = (self._number, message)
        self._kept.append(numbered)
        for subscription in list(self._subscriptions):
            if subscription.device == message.device:
                subscription.offer(numbered)

    def dead_letters(self) -> list[Message]:
        """The newest 100 of all devices, oldest first."""
        return list(self._dead_letters)

    def subscribe(self, device: str, last_id: str | None = None) -> Subscription:
        """A place for one page; it must be given back by ``unsubscribe``. Raises FullError.

        ``last_id``: the id of the last message that the page got, ``epoch-number``. Without one, and where
        what followed is not kept any more, the backlog is all that is kept of the device.
        """
        if len(self._subscriptions) >= self._most:
            raise FullError
        self._watch(device)
        after = self._number_in(last_id) if last_id else None
        backlog = [(number, m) for number, m in self._kept if m.device == device and number > (after or 0)]
        missed = bool(last_id) and after is None
        subscription = Subscription(device, backlog, missed=missed, queue=self._queue)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Give the place back. Twice is allowed."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
            self._watch(subscription.device)

    def close(self) -> None:
        """End every subscription."""
        for subscription in self._subscriptions:
            subscription.close()

    def _number_in(self, last_id: str) -> int | None:
        """The number in an id; None unless everything after it is still kept."""
        epoch, _, text = last_id.partition("-")
        if epoch != self.epoch or not (text.isascii() and text.isdigit() and len(text) < 16):
            return None
        number = int(text)
        first = self._kept[0][0] if self._kept else self._number + 1
        return number if first - 1 <= number <= self._number else None

    def _watch(self, device: str) -> None:
        self._watched.pop(device, None)
        self._watched[device] = self._now() + WATCHED_S
        while len(self._watched) > WATCHED_DEVICES:
            del self._watched[next(iter(self._watched))]

    def _is_watched(self, device: str) -> bool:
        until = self._watched.get(device)
        if until is None:
            return False
        if until > self._now() or any(each.device == device for each in self._subscriptions):
            return True
        del self._watched[device]
        return False
