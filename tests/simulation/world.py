"""Time, the network and chance, all from one seed; the only thing that the fake ports wait on.

Decides when a request reaches the broker and what becomes of it; knows nothing of what is in it. Invariant:
the same seed and the same calls give the same history, so nothing here may depend on hashes, addresses or
real time.
"""

import types
from collections.abc import Callable, Generator
from enum import Enum, auto
from heapq import heappop, heappush
from random import Random

from tests.simulation.broker import Broker, FencedError

WALL_START_MS = 1_772_409_600_000


class Fate(Enum):
    """What becomes of a request."""

    DONE = auto()
    REQUEST_LOST = auto()  # no effect, and the caller hears of a failure
    ANSWER_LOST = auto()  # the effect happened, the caller hears of a failure
    LATE = auto()  # the caller hears of a failure, the effect comes afterwards
    SENT_TWICE = auto()  # the caller hears of success; the first copy of the request is still on its way
    REFUSED = auto()  # a batch that the broker will not take; only ``acknowledged`` tells
    FORBIDDEN = auto()  # the right to write to that topic is missing: nothing is stored; the same


FATES_OF = {
    "query": (Fate.REQUEST_LOST,),
    "fence": (Fate.REQUEST_LOST, Fate.ANSWER_LOST, Fate.LATE),
    "send": (Fate.REQUEST_LOST, Fate.ANSWER_LOST, Fate.LATE, Fate.REFUSED),
    "add_offsets": (Fate.REQUEST_LOST, Fate.ANSWER_LOST, Fate.LATE),
    "commit": (Fate.REQUEST_LOST, Fate.ANSWER_LOST, Fate.LATE, Fate.SENT_TWICE),
}
"""By kind of request: what may go wrong with it."""


@types.coroutine
def until(ready: Callable[[], bool]) -> Generator[Callable[[], bool], None, None]:
    """Give way, at least once, until ``ready`` says that it goes on."""
    yield ready


class Request:
    """A request on its way to the broker; not delivered before ``due`` (virtual seconds)."""

    def __init__(self, effect: Callable[[], object], due: float) -> None:
        self.due = due
        self.delivered = False
        self.result: object = None
        self.fenced: FencedError | None = None
        self._effect = effect

    def deliver(self) -> None:
        """Let it take effect."""
        try:
            self.result = self._effect()
        except FencedError as fenced:
            self.fenced = fenced
        self.delivered = True


class World:
    """What all processes of a simulation share."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 0.0
        self.wall_step_ms = 0  # how far the wall clock was stepped
        self.broker = Broker(self.random, lambda: self.now)
        self.requests: list[Request] = []
        self.fates: list[tuple[str, Fate]] = []  # what becomes of the next requests of a kind
        self.events_in_time: int | None = None  # a slow broker: a transaction of more is not done in its time
        self.rights_were_taken = False
        self._forbidden_until: dict[str, float] = {}  # topics that nobody may write to
        # Partition and offsets of its inputs at which a source had returned all that there was.
        self.fully_read: set[tuple[int, tuple[int, ...]]] = set()
        self._alarms: list[float] = []

    def wall_ms(self) -> int:
        """The wall clock of every machine."""
        return WALL_START_MS + int(self.now * 1000) + self.wall_step_ms

    def wake_at(self, instant: float) -> None:
        """Promise that time will not jump over this instant."""
        heappush(self._alarms, instant)

    def pass_time(self, *, idle: bool) -> None:
        """Let a little time pass; when everybody waits, pass to the next instant that somebody waits for."""
        self.now += self.random.random() * 0.02
        while self._alarms and (idle or self._alarms[0] <= self.now):
            instant = heappop(self._alarms)
            if instant > self.now:
                self.now = instant
                return

    def send(self, effect: Callable[[], object], delay_s: float = 0.0) -> Request:
        """Put a request on its way."""
        request = Request(effect, self.now + delay_s)
        if delay_s:
            self.wake_at(request.due)
        self.requests.append(request)
        return request

    def forbid(self, topic: str, seconds: float) -> None:
        """Take the right to write to that topic away, for so long."""
        self.rights_were_taken = True
        self._forbidden_until[topic] = until = self.now + seconds
        self.wake_at(until)

    def may_write(self, topic: str) -> bool:
        """Whether the right is there."""
        return self.now >= self._forbidden_until.get(topic, 0.0)

    def grant_all(self) -> None:
        """Every right is there again."""
        self._forbidden_until.clear()

    def fate_of(self, kind: str) -> Fate:
        """Take the fate that was meant for the next request of this kind."""
        for position, (meant_for, fate) in enumerate(self.fates):
            if meant_for == kind:
                del self.fates[position]
                return fate
        return Fate.DONE
