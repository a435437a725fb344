"""One visitor's device and the tracking SDK on it, in simulated time.

Decides how events look and when their batches arrive. Knows nothing of who uses the device: ``personas``
does. The invariant: no event is later than ``now_ms``.
"""

from random import Random
from typing import Any

from msgspec import Struct

from worker.demo.shop import CATEGORIES, FIRST_NAMES, PRODUCTS, REFERRERS, SEARCHES

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS

SPAN_MS = 46 * HOUR_MS
"""How far before now the first visitors come: two days, so that there is a night between."""

NIGHT_OWLS = 0.1
FLUSH_CHANCE = 0.3
SHUFFLED_SHARE = 0.04
"""The share of batches whose events the SDK sends in the wrong order."""


class Batch(Struct):
    """One POST request of a device. ``arrived_ms`` is when it reached the shop."""

    arrived_ms: int
    device_id: str
    events: list[Any]


class Device:
    """A device that queues events and posts them in batches; ``time_ms`` is its simulated time.

    ``clock_ahead_ms`` is the error of its clock, ``session_id`` the id that its app gives the session. While
    ``offline`` it posts nothing.
    """

    def __init__(self, rng: Random, now_ms: int) -> None:
        self.rng = rng
        self.now_ms = now_ms
        self.id = f"{rng.getrandbits(32):08x}-{rng.getrandbits(16):04x}-4{rng.getrandbits(12):03x}"
        self.sdk = "web-2.4"
        self.clock_ahead_ms = 0
        self.session_id: str | None = None
        self.offline = False
        self.batches: list[Batch] = []
        self._queue: list[dict[str, Any]] = []
        self._view_id = ""
        self.time_ms = self._daytime()

    def _daytime(self) -> int:
        """A random time of the two days; few visitors come at night."""
        while True:
            at_ms = self.now_ms - int(self.rng.uniform(0.02, 1.0) * SPAN_MS)
            if not _is_night(at_ms) or self.rng.random() < NIGHT_OWLS:
                return at_ms

    def wait(self, shortest_ms: int, longest_ms: int) -> None:
        """Let some time pass."""
        self.time_ms += int(self.rng.uniform(shortest_ms, longest_ms))

    def be_away(self, shortest_ms: int, longest_ms: int) -> None:
        """Let some time pass, and the rest of the night if it is night then."""
        self.wait(shortest_ms, longest_ms)
        while _is_night(self.time_ms):
            self.wait(HOUR_MS, 3 * HOUR_MS)

    def track(self, type_: str, *, user_id: str | None = None, **data: object) -> None:
        """Queue one event, unless its time would be after the demo's now."""
        if self.time_ms >= self.now_ms - SECOND_MS:
            return
        event: dict[str, Any] = {
            "id": f"{self.rng.getrandbits(64):016x}",
            "type": type_,
            "device_id": self.id,
            "timestamp": self.time_ms + self.clock_ahead_ms,
        }
        if user_id is not None:
            event["user_id"] = user_id
        if self.session_id is not None:
            event["session_id"] = self.session_id
        if self._view_id:
            event["view_id"] = self._view_id
        event["data"] = data
        event["sdk"] = self.sdk
        self._queue.append(event)
        if self.rng.random() < FLUSH_CHANCE:
            self.flush()

    def flush(self) -> None:
        """Post the queue, unless the device is offline."""
        if not self.offline:
            self.post(self.take_queue())

    def take_queue(self) -> list[Any]:
        """Empty the queue and return its events, to post them later."""
        events, self._queue = self._queue, []
        return events

    def post(self, events: list[Any]) -> None:
        """Send events as one batch. It arrives less than a second later."""
        if not events:
            return
        if self.rng.random() < SHUFFLED_SHARE:
            self.rng.shuffle(events)
        arrived_ms = min(self.time_ms + int(self.rng.uniform(40, 900)), self.now_ms)
        self.batches.append(Batch(arrived_ms, self.id, events))

    def browse(self, pages: int, user_id: str | None = None) -> None:
        """Look at that many pages, and buy now and then.

        Only purchases carry ``user_id``, as with real SDKs: the worker knows the user from the login.
        """
        rng = self.rng
        referrer = rng.choice(REFERRERS)
        for _ in range(pages):
            self._view_id = f"v-{rng.getrandbits(40):010x}"
            product = rng.choice(PRODUCTS)
            what = rng.random()
            if what < 0.35:
                category = rng.choice(CATEGORIES)
                self.track("page_view", url=f"/{category}", title=category.title(), referrer=referrer)
            elif what < 0.5:
                query = rng.choice(SEARCHES)
                self.track("search", url="/search", query=query, results=rng.randrange(40))
            else:
                self.track(
                    "product_view",
                    url=f"/products/{product.number}",
                    title=product.title,
                    price=product.price,
                    currency="EUR",
                    in_stock=rng.random() < 0.9,
                )
                if what > 0.85:
                    self.wait(4 * SECOND_MS, 40 * SECOND_MS)
                    self.track("add_to_cart", product=product.number, price=product.price, quantity=1)
                if what > 0.96:
                    self.wait(MINUTE_MS, 3 * MINUTE_MS)
                    order = f"o-{rng.randrange(10**6):06d}"
                    self.track("purchase", user_id=user_id, order=order, total=product.price, currency="EUR")
            referrer = None
            self.wait(5 * SECOND_MS, 90 * SECOND_MS)
        self.flush()

    def log_in(self) -> str:
        """Log a random user in, and return the user id."""
        user_id = f"{self.rng.choice(FIRST_NAMES)}-{self.rng.randrange(1000, 10_000)}"
        self.track("login", user_id=user_id, method=self.rng.choice(("password", "passkey", "google")))
        self.wait(2 * SECOND_MS, 20 * SECOND_MS)
        return user_id


def _is_night(at_ms: int) -> bool:
    return not 7 <= at_ms // HOUR_MS % 24 < 23
