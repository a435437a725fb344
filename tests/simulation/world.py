"""Time, the network and chance, all from one seed; the fake ports wait on nothing else.

Decides when a request reaches the broker and what its outcome is; knows nothing of its content. Invariant:
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


class RequestOutcome(Enum):
    """The outcome of a request."""

    DONE = auto()
    REQUEST_LOST = auto()  # no effect, and the caller gets a failure
    ANSWER_LOST = auto()  # it took effect, and the caller gets a failure
    LATE = auto()  # the caller gets a failure, and it takes effect afterwards
    SENT_TWICE = auto()  # the caller gets a success, and a copy of the request arrives later
    REFUSED = auto()  # the broker refuses a batch; only ``acknowledged`` reports it
    FORBIDDEN = auto()  # no right to write to that topic; only ``acknowledged`` reports it


REQUEST_OUTCOMES = {
    "query": (RequestOutcome.REQUEST_LOST,),
    "fence": (RequestOutcome.REQUEST_LOST, RequestOutcome.ANSWER_LOST, RequestOutcome.LATE),
    "send": (
        RequestOutcome.REQUEST_LOST,
        RequestOutcome.ANSWER_LOST,
        RequestOutcome.LATE,
        RequestOutcome.REFUSED,
    ),
    "add_offsets": (RequestOutcome.REQUEST_LOST, RequestOutcome.ANSWER_LOST, RequestOutcome.LATE),
    "commit": (
        RequestOutcome.REQUEST_LOST,
        RequestOutcome.ANSWER_LOST,
        RequestOutcome.LATE,
        RequestOutcome.SENT_TWICE,
    ),
}
"""Kind of request -> the outcomes that a fault may give it."""


@types.coroutine
def until(ready: Callable[[], bool]) -> Generator[Callable[[], bool], None, None]:
    """Let others run, at least once, until ``ready`` is true."""
    yield ready


class Request:
    """A request that was sent to the broker; not delivered before ``due`` (virtual seconds)."""

    def __init__(self, effect: Callable[[], object], due: float) -> None:
        self.due = due
        self.delivered = False
        self.result: object = None
        self.fenced: FencedError | None = None
        self._effect = effect

    def deliver(self) -> None:
        """Apply its effect."""
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
        self.outcomes: list[tuple[str, RequestOutcome]] = []  # of the next requests of a kind
        self.events_in_time: int | None = None  # a slow broker: a transaction of more events times out
        self.rights_were_taken = False
        self._forbidden_until: dict[str, float] = {}  # topics without the right to write
        # Partition and the offsets of its inputs at which a source had returned everything.
        self.fully_read: set[tuple[int, tuple[int, ...]]] = set()
        self._alarms: list[float] = []

    def wall_ms(self) -> int:
        """The wall clock of every machine."""
        return WALL_START_MS + int(self.now * 1000) + self.wall_step_ms

    def wake_at(self, instant: float) -> None:
        """Make sure that time does not jump over this instant."""
        heappush(self._alarms, instant)

    def pass_time(self, *, idle: bool) -> None:
        """Let a little time pass; where all wait, go to the next instant that one of them waits for."""
        self.now += self.random.random() * 0.02
        while self._alarms and (idle or self._alarms[0] <= self.now):
            instant = heappop(self._alarms)
            if instant > self.now:
                self.now = instant
                return

    def send(self, effect: Callable[[], object], delay_s: float = 0.0) -> Request:
        """Send a request."""
        request = Request(effect, self.now + delay_s)
        if delay_s:
            self.wake_at(request.due)
        self.requests.append(request)
        return request

    def forbid(self, topic: str, seconds: float) -> None:
        """Remove the right to write to that topic for so long."""
        self.rights_were_taken = True
        self._forbidden_until[topic] = until = self.now + seconds
        self.wake_at(until)

    def may_write(self, topic: str) -> bool:
        """Whether workers have the right to write to that topic."""
        return self.now >= self._forbidden_until.get(topic, 0.0)

    def grant_all(self) -> None:
        """Give all rights back."""
        self._forbidden_until.clear()

    def outcome_of(self, kind: str) -> RequestOutcome:
        """The outcome of the next request of this kind, where a fault was planned; else DONE."""
        for position, (meant_for, outcome) in enumerate(self.outcomes):
            if meant_for == kind:
                del self.outcomes[position]
                return outcome
        return RequestOutcome.DONE
