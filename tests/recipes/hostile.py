"""A traffic with everything that makes figures differ, made from a seed.

Decides what devices send and when it arrives: logins and logouts of several users on shared devices, more
than are remembered, batches that come days late, out of order or twice, ids that are used again, session ids
of clients, clocks that are ahead, passive events, ids that name nobody. Knows nothing of what becomes of it.
The invariant: the same seed gives the same lines.
"""

from random import Random
from typing import Any

from tests.builders import RawEvent, ms
from tests.recipes.raw_input import Lines

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
GAP_MS = 30 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

USERS = [f"user-{number}" for number in range(14)]
PAGES = ["/", "/shoes", "/tents", "/sale", "/products/p-1"]
REFERRERS = ["https://search.example/", "https://news.example/a", None, None]
TYPES = ["page_view", "product_view", "product_view", "add_to_cart", "purchase", "heartbeat", "heartbeat"]
NOBODY = ["null", "(none)", "anonymous", "0000", 0, ""]


def hostile(seed: int, devices: int = 210) -> Lines:
    """The lines of raw input, in order of arrival."""
    rng = Random(seed)
    lines: Lines = []
    for number in range(devices):
        habit = HABITS[number % len(HABITS)]
        batches = _sent(rng, habit(rng, f"device-{number:02d}"))
        lines += batches
        lines += [again for again in batches if rng.random() < 0.03]  # a client's repetition
    return sorted(lines, key=lambda line: line["received_at"])


def _event(rng: Random, device: str, t: int, type_: str | None = None, **fields: Any) -> RawEvent:
    event: RawEvent = {
        "id": f"e-{rng.randrange(40)}" if rng.random() < 0.05 else f"x{rng.getrandbits(48):012x}",
        "type": type_ or rng.choice(TYPES),
        "device_id": device,
        "timestamp": t,
        "data": {"url": rng.choice(PAGES), "referrer": rng.choice(REFERRERS)},
        **fields,
    }
    if rng.random() < 0.4:
        event["view_id"] = f"v{rng.randrange(5)}"
    if "user_id" not in fields and rng.random() < 0.05:
        event["user_id"] = rng.choice(NOBODY)
    if rng.random() < 0.01:
        del event["id"]  # refused
    return event


def _visits(rng: Random, device: str, number: int, **fields: Any) -> list[RawEvent]:
    """Some visits one after another, of some events each; pauses are around the gap, or just it."""
    t = ms("00:00:00") + rng.randrange(DAY_MS)
    events = []
    for _ in range(number):
        for _ in range(rng.randint(1, 6)):
            events.append(_event(rng, device, t, **fields))
            t += rng.randrange(10 * MINUTE_MS)
        pauses = [
            20 * MINUTE_MS + rng.randrange(20 * MINUTE_MS),
            GAP_MS,
            GAP_MS + 1,
            rng.randrange(12 * HOUR_MS),
        ]
        t = events[-1]["timestamp"] + rng.choice(pauses)
    return events


def _signs_in_at_last(rng: Random, device: str) -> list[RawEvent]:
    """More anonymous visits than are remembered, then a login."""
    events = _visits(rng, device, rng.randint(5, 8))
    t = events[-1]["timestamp"] + MINUTE_MS
    return [*events, _event(rng, device, t, "login", user_id=rng.choice(USERS))]


def _shared(rng: Random, device: str) -> list[RawEvent]:
    """More users, one after another, than links are remembered."""
    events = _visits(rng, device, 8)
    for event in events:
        event_type = rng.choice(["login", "logout", None, None, None])
        if event_type is not None:
            event["type"] = event_type
        if event_type == "login" or rng.random() < 0.1:
            event["user_id"] = rng.choice(USERS)
    return events


def _family(rng: Random, device: str) -> list[RawEvent]:
    """Two users, and nobody between them."""
    events = _visits(rng, device, 4)
    for event, (type_, user) in zip(
        events[1::3],
        [("login", USERS[0]), ("logout", None), ("login", USERS[1]), ("logout", None)],
        strict=False,
    ):
        event["type"] = type_
        if user is not None:
            event["user_id"] = user
    return events


def _app(rng: Random, device: str) -> list[RawEvent]:
    """Names its sessions, and uses the names again."""
    events = _visits(rng, device, 6)
    for event in events:
        if rng.random() < 0.5:
            event["session_id"] = f"s{rng.randrange(3)}"
    return events


def _tunnel(rng: Random, device: str) -> list[RawEvent]:
    """Loses the network again and again: what comes late closes gaps between what has come before."""
    t = ms("06:00:00") + rng.randrange(6 * HOUR_MS)
    steps = [rng.randrange(12, 34) * MINUTE_MS for _ in range(14)]
    events = [_event(rng, device, t + sum(steps[:number])) for number in range(len(steps))]
    for event in events[1::2]:
        event["held_back"] = rng.randrange(45, 60) * MINUTE_MS
    return events


def _clock_ahead(rng: Random, device: str) -> list[RawEvent]:
    """A clock that is hours ahead, until it is put right."""
    events = _visits(rng, device, 3)
    for event in events[: len(events) // 2]:
        event["ahead"] = rng.randint(1, 5) * HOUR_MS
    events[-1]["user_id"] = rng.choice(USERS)
    return events


def _browses(rng: Random, device: str) -> list[RawEvent]:
    """Nobody, with a login now and then."""
    events = _visits(rng, device, 3)
    if rng.random() < 0.5:
        event = rng.choice(events)
        event["type"], event["user_id"] = "login", rng.choice(USERS)
    return events


HABITS = (_signs_in_at_last, _shared, _family, _app, _tunnel, _clock_ahead, _browses, _browses)


def _sent(rng: Random, events: list[RawEvent]) -> Lines:
    """The batches of a device. Some are held back for hours or days, some come shuffled."""
    lines = []
    while events:
        size = 1 if "held_back" in events[0] or "held_back" in events[-1] else rng.randint(1, 4)
        batch, events = events[:size], events[size:]
        received_at = max(event["timestamp"] for event in batch) + rng.randrange(900)
        received_at += batch[0].pop("held_back", 0)
        for event in batch:
            event["timestamp"] += event.pop("ahead", 0)
        if rng.random() < 0.2:
            received_at += rng.choice([20 * MINUTE_MS, 3 * HOUR_MS, 2 * DAY_MS])
        if rng.random() < 0.2:
            rng.shuffle(batch)
        lines.append({"received_at": received_at, "value": batch})
    return lines
