"""The load: raw records that look like a shop's clickstream, the same for the same shape, for ever.

Decides what is in the records. Knows neither Kafka nor files nor the clock. Published figures are
comparable only while this module's output is unchanged, so a test holds its digest.

Every record's device is drawn again, by a Zipf-like law, so that consecutive records hardly ever share one:
each record costs a look-up of state. All devices live on one time line that advances with the records; a
record bears the time of its sending, and its events happened shortly before. So watermarks, gaps and
closing times behave as in production although the topic was filled in seconds.
"""

from collections.abc import Iterator
from itertools import accumulate
from random import Random

from msgspec import Struct
from msgspec.json import Encoder

GAP_MS = 1_800_000
MEAN_STEP_MS = 45_000  # between two events of one device in one record
OUT_OF_ORDER_MS = 20_000  # such an event is at most so much older than the device's newest
DRAWS = 4096  # devices drawn at once: one call instead of thousands

TYPES = ("page_view", "page_view", "click", "scroll", "search", "add_to_cart", "login", "purchase")


class Shape(Struct, frozen=True, kw_only=True):
    """What to generate. Rates and shares are of the generated time line, not of the machine.

    ``events_per_second`` paces the time line: by default so that among two million events 7.5 to 7.7 % open a
    session, for either size of records. ``extra`` adds top-level properties that no rule knows. ``skew`` is
    the exponent by which devices differ in activity: 0 makes all alike. With ``known`` the load begins with
    one more event of each device, a record each, so that all that follows finds its device's state.
    """

    events: int = 2_000_000
    events_per_record: int = 20
    devices: int = 50_000
    seed: int = 7
    start_ms: int = 1_700_000_000_000
    events_per_second: float = 0.0  # 0: 150 at one event a record, else 20
    extra: bool = False
    skew: float = 0.9
    known: bool = False

    def pace(self) -> float:
        return self.events_per_second or (150.0 if self.events_per_record == 1 else 20.0)

    def first_seen_ms(self, device: int) -> int:
        """When a known device sent its first event: one after another, in the mean time between its records.

        So as many of the later events open a session, however many devices there are.
        """
        between_ms = 1000 * self.devices * self.events_per_record / self.pace()
        return self.start_ms - int(between_ms * (1 - device / self.devices))


class Record(Struct, frozen=True, gc=False):
    """One raw record. ``timestamp`` (ms) is the time of its sending."""

    key: bytes
    value: bytes
    timestamp: int
    events: int


class Properties(Struct, gc=False):
    """The six properties of ``data``: text in two lengths and beyond ASCII, numbers, a truth value."""

    url: str
    title: str
    price: float
    quantity: int
    currency: str
    mobile: bool


class RawEvent(Struct, gc=False, omit_defaults=True):
    """One event as a device sends it."""

    id: str
    type: str
    device_id: str
    timestamp: int
    user_id: str | None = None
    session_id: str | None = None
    view_id: str | None = None
    app_version: str | None = None
    consent: list[str] | None = None
    data: Properties | None = None


def records(shape: Shape) -> Iterator[Record]:
    """The records of a shape, in the order of their sending. Never raises; the last record may be shorter."""
    random = Random(shape.seed)
    chance, encode = random.random, Encoder().encode
    cumulative_weights = list(accumulate((rank + 10) ** -shape.skew for rank in range(shape.devices)))
    population = range(shape.devices)
    newest = [0] * shape.devices
    visit = [0] * shape.devices
    drawn: list[int] = []
    made = sent = 0
    if shape.known:
        newest = [shape.first_seen_ms(device) for device in population]
        for device, t in enumerate(newest):
            device_id = f"dev-{device:08d}"
            first = _event(random.getrandbits(62), shape.events + device, shape.seed, device_id, t)
            yield Record(device_id.encode(), encode([first]), t, 1)
    while made < shape.events:
        if not drawn:
            drawn = random.choices(population, cum_weights=cumulative_weights, k=DRAWS)
        device = drawn.pop()
        count = min(shape.events_per_record, shape.events - made)
        sent += count
        now_ms = shape.start_ms + int(sent * 1000 / shape.pace())
        device_id = f"dev-{device:08d}"
        batch = []
        for t in _event_times(random, count, newest[device], now_ms):
            if t - newest[device] > GAP_MS:
                visit[device] += 1
            timestamp = t
            if newest[device] and chance() < 0.02:
                timestamp = newest[device] - 1 - int(chance() * OUT_OF_ORDER_MS)
            newest[device] = max(newest[device], timestamp)
            event = _event(random.getrandbits(62), made, shape.seed, device_id, timestamp)
            if chance() < 0.05:
                event.user_id = f"user-{device:07d}"
            named = chance()
            if named < 0.10:
                event.session_id = f"cs-{device:08d}-{visit[device]}"
            elif named < 0.12:
                event.session_id = ""  # some trackers send the field always
            if shape.extra:
                event.app_version = "4.2.1"
                event.consent = ["analytics", "marketing"] if made & 1 else ["analytics"]
            batch.append(event)
            made += 1
        yield Record(device_id.encode(), encode(batch), now_ms, count)


def _event_times(random: Random, count: int, newest_ms: int, now_ms: int) -> list[int]:
    """When a record's events happened: after the device's newest, the last one just now.

    Steps are up to twice ``MEAN_STEP_MS``; one in thirty is a pause long enough to part two sessions (the
    device was put away with unsent events). Where the device sent an event too recently for that, all shrink.
    """
    chance = random.random
    if count == 1:
        return [now_ms - int(chance() * min(500, now_ms - newest_ms))]
    steps = []
    for _ in range(count):
        pause = chance() < 0.035
        steps.append(GAP_MS * (1 + 10 * chance()) if pause else 200 + chance() * 2 * MEAN_STEP_MS)
    total = sum(steps)
    shrink = min(1.0, (now_ms - newest_ms) / total)
    t = now_ms - total * shrink
    return [int(t := t + step * shrink) for step in steps]


def _event(bits: int, number: int, seed: int, device_id: str, timestamp: int) -> RawEvent:
    """An event from random ``bits``: each of its values takes some of them."""
    product = bits % 5000
    return RawEvent(
        f"{seed:08x}-{bits & 0xFFFF:04x}-4{bits >> 16 & 0xFFF:03x}-8{bits >> 28 & 0xFFF:03x}-{number:012x}",
        TYPES[bits >> 40 & 7],
        device_id,
        timestamp,
        view_id=f"v-{bits >> 24 & 0xFFFFF:06x}" if bits >> 44 & 1 else None,
        data=Properties(
            f"https://shop.example/p/{product}?ref=home&pos={bits >> 45 & 31}",
            f"Product no. {product}, crème brûlée",
            (bits >> 13) % 10_000 / 100,
            bits >> 50 & 7,
            "EUR",
            bool(bits >> 53 & 1),
        ),
    )
