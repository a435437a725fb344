"""What the HTTPS API reports of itself while it runs: to metrics and to the log.

Decides what is reported, and must not know how it is counted or written. Invariants: nothing reported holds a
key, an address, an id or event data, only names of keys and reasons; each method is called at most once a
request for each value it is about, never once an event.
"""

from typing import Literal, Protocol

from worker.model.events import Reason

EventOutcome = Literal["accepted", "refused"]


class Observer(Protocol):
    """Is called on the event loop; must neither wait nor raise."""

    def answered(self, status: int, seconds: float) -> None:
        """A request was answered with that status, so long after its body was there."""
        ...

    def events(self, outcome: EventOutcome, reason: Reason | None, count: int, key_name: str) -> None:
        """So many events of one request had that outcome. ``reason`` is None for accepted ones."""
        ...

    def acknowledged(self, seconds: float) -> None:
        """The brokers took that long to answer for all records of one request."""
        ...

    def failed(self, trace: str) -> None:
        """A request was answered 500. ``trace`` names places in the code and the error's type, no data."""
        ...
