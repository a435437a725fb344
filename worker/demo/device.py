"""One device of a visitor and the SDK on it, in the time of the story.

It decides how events look and when their batches arrive. It does not know who uses it: that is
``personas``' part. Nothing happens after ``now_ms``: what would is not noted.
"""

from random import Random
from typing import Any

from msgspec import Struct

from worker.demo.shop import CATEGORIES, FIRST_NAMES, PRODUCTS, REFERRERS, SEARCHES

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS

SPAN_MS = 46 * HOUR_MS
"""How far before now the first visitors come: two days, so that the picture has a night in it."""

NIGHT_OWLS = 0.1
FLUSH_CHANCE = 0.3
SHUFFLED_SHARE = 0.04
"""The part of batches whose events an SDK sends in the wrong order."""


class Batch(Struct):
    """One POST of one device. ``arrived_ms`` is when it reached the shop."""

    arrived_ms: int
    device_id: str
    events: list[Any]


class Device:
    """A device that notes events and posts them in batches; ``time_ms`` is the time of its story.

    ``clock_ahead_ms`` is the error of its clock, ``session_id`` a name that the app itself gives its session.
    While ``offline`` it keeps what it noted.
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
        """A moment of the span; few visitors come at night."""
        while True:
            at_ms = self.now_ms - int(self.rng.uniform(0.02, 1.0) * SPAN_MS)
            if not _is_night(at_ms) or self.rng.random() < NIGHT_OWLS:
                return at_ms

    def wait(self, shortest_ms: int, longest_ms: int) -> None:
        """Let some time pass."""
        self.time_ms += int(self.rng.uniform(shortest_ms, longest_ms))

    def be_away(self, shortest_ms: int, longest_ms: int) -> None:
        """Let some time pass, and the night too if it has come."""
        self.wait(shortest_ms, longest_ms)
        while _is_night(self.time_ms):
            self.wait(HOUR_MS, 3 * HOUR_MS)

    def track(self, type_: str, *, user_id: str | None = None, **data: object) -> None:
        """Note one event now. What would happen after the demo's now has not happened."""
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
        """Post what was noted, if there is a network."""
        if not self.offline:
            self.post(self.hold_back())

    def hold_back(self) -> list[Any]:
        """Take the noted events off the queue, to post them at another time."""
        events, self._queue = self._queue, []
        return events

    def post(self, events: list[Any]) -> None:
        """Send events as one batch: it arrives a moment later."""
        if not events:
            return
        if self.rng.random() < SHUFFLED_SHARE:
            self.rng.shuffle(events)
        arrived_ms = min(self.time_ms + int(self.rng.uniform(40, 900)), self.now_ms)
        self.batches.append(Batch(arrived_ms, self.id, events))

    def browse(self, pages: int, user_id: str | None = None) -> None:
        """Look at so many pages, buying now and then. ``user_id`` goes along with a purchase only, as real
        SDKs do it: the worker knows by the login whose the other events are.
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
        """Some person says who they are, halfway through their visit. Returns the user id."""
        user_id = f"{self.rng.choice(FIRST_NAMES)}-{self.rng.randrange(1000, 10_000)}"
        self.track("login", user_id=user_id, method=self.rng.choice(("password", "passkey", "google")))
        self.wait(2 * SECOND_MS, 20 * SECOND_MS)
        return user_id


def _is_night(at_ms: int) -> bool:
    return not 7 <= at_ms // HOUR_MS % 24 < 23
