"""Vectors about names: partitions of keys, ids of sessions, views and what is remembered of events' ids."""

import zlib
from collections.abc import Sequence

from tests.vectors.files import Vector, Vectors
from worker.core.duplicates import Duplicates
from worker.core.encode import session_key
from worker.core.partitioner import Partitioning, murmur2
from worker.core.sessions import session_id
from worker.core.views import united, view_count, with_view
from worker.model.events import Event
from worker.model.rules import InputRules, Rules
from worker.model.state import DeviceState

DEVICES = (
    *("0123456789"[:length] for length in range(10)),
    *("d1", "gerät", "デバイス", "📱", "\u00ad\u200b", "a b/c%2F", "\0\x7f\x1f", 'quo"te\\', "%", "/", "%/%"),
    *("0b9f3c1e-6a55-4f0e-9d5b-2f6c1a7e8d90", "x" * 512),
)
KEYS = (*(device.encode() for device in DEVICES), b"\x80\xff", b"\xff\xff\xff\xff", b"\x00\x80\x7f\xff\x81")


def names() -> Vectors:
    """All of them."""
    return {
        "hash": [{"key": key.hex(), "murmur2": murmur2(key), "crc32": zlib.crc32(key)} for key in KEYS],
        "partition": [
            _partition(device, partitions) for device in DEVICES for partitions in (1, 2, 6, 1_000)
        ],
        "session_id": [
            {
                "device_id": device,
                "start_ms": start_ms,
                "number": number,
                "id": session_id(device, start_ms, number),
            }
            for device in DEVICES
            for start_ms, number in (
                (100_000_000_000, 1),
                (1_772_445_600_000, 2),
                (99_999_999_999_999, 10**9),
            )
        ],
        "session_key": [
            {"device_id": device, "session_id": name, "key": session_key(device, name).hex()}
            for device in DEVICES
            for name in ("s1", "a/b%", "sitzung-ä")
        ],
        "views": [_views(seen) for seen in VIEWS],
        "united_views": [_united(seen, others) for seen in VIEWS[:6] for others in VIEWS],
        "recent_ids": [_recent_ids(*case) for case in REMEMBERED],
    }


def _partition(device: str, partitions: int) -> Vector:
    of = {
        name: Partitioning(partitions=partitions, partitioner=name).partition_of(device)
        for name in ("murmur2", "crc32")
    }
    return {"device_id": device, "partitions": partitions, **of}


VIEWS: Sequence[Sequence[str]] = (
    [],
    ["v1"],
    ["v1", "v2", "v1"],
    ["ansicht-ä", "", " "],
    ["plumless", "buckeroo", "v1"],  # two names of one CRC-32 count as one
    ["v31", "v114", "v397059"],  # the bytes of the third stand across those of the first two
    [f"view {number}" for number in range(127)],
    [f"view {number}" for number in range(100, 230)],
)


def _packed(seen: Sequence[str]) -> bytes:
    views = b""
    for view in seen:
        views = with_view(views, view)
    return views


def _views(seen: Sequence[str]) -> Vector:
    """What comes of views that are seen in this order."""
    views = _packed(seen)
    return {"seen": seen, "packed": views.hex(), "count": view_count(views)}


def _united(seen: Sequence[str], others: Sequence[str]) -> Vector:
    """What comes of two sessions that merge, of which the first keeps its id."""
    one, other = _packed(seen), _packed(others)
    return {"one": one.hex(), "other": other.hex(), "united": united(one, other).hex()}


_T = 1_772_445_600_000
REMEMBERED: Sequence[tuple[int, int, Sequence[tuple[str, int]]]] = (
    (3, 1_000, [("e1", _T)]),
    (3, 1_000, [("e1", _T), ("e1", _T + 1_000), ("e1", _T + 1_001)]),
    (3, 1_000, [("e1", _T), ("e1", _T - 1_000), ("e1", _T - 1_001)]),
    (3, 10_000, [("e1", _T), ("e2", _T + 1), ("e3", _T + 2), ("e4", _T + 3), ("e1", _T + 4), ("e4", _T + 5)]),
    (5, 1_000, [("e1", _T), ("e2", _T + 2_000), ("e3", _T - 500), ("e1", _T + 100)]),
    (5, 2**31 - 1, [("gerät", 100_000_000_000), ("gerät", 99_999_999_999_999), ("gerät", 100_000_000_000)]),
)
"""How many are remembered, the window, and (id, time) of events of one device that come in one record."""


def _recent_ids(most: int, window_ms: int, events: Sequence[tuple[str, int]]) -> Vector:
    """Which of the events are duplicates, and what the device remembers after them."""
    rules = Rules(input=InputRules(duplicates="flag", duplicates_remembered=most, duplicates_ms=window_ms))
    sent = [Event(event_id, "click", "d1", t_ms) for event_id, t_ms in events]
    found = Duplicates(rules).sort_out(sent, 100_000_000_000_000, 0, {}, {"d1": DeviceState(newest_ms=_T)})
    return {
        "remembered": most,
        "window_ms": window_ms,
        "newest_ms": _T,
        "ids": [event_id for event_id, _ in events],
        "times": [t_ms for _, t_ms in events],
        "duplicates": found.repeated,
        "recent_ids": found.recent_ids.get("d1", b"").hex(),
    }
