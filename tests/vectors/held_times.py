"""Vectors about times: what an event's time is held at, and what the partition's clocks make of it.

A record's own time is any 64-bit integer; sums with it are bounded, whatever they would be.
"""

from msgspec import json

from tests.record_times import RECORD_TIMES_MS
from tests.vectors.files import Vector, Vectors
from worker.core.decode import Decoder
from worker.core.expiry import advanced, alive_until_ms, clock_ms
from worker.core.pipeline import decode_records, process
from worker.model.events import PlainRecord
from worker.model.rules import Rules, SessionRules
from worker.model.state import ExpiryClock

EVENT_TIMES_MS = (100_000_000_000, 1_780_000_000_000, 99_999_999_999_999)
AROUND_MS = (
    *RECORD_TIMES_MS,
    2**63 - 1 - (2**31 - 1),
    2**63 - (2**31 - 1),
    99_999_999_700_000,
    99_999_999_699_998,
)


def held_times() -> Vectors:
    """All of them."""
    return {
        "held": [
            _held(received_ms, max_future_ms, t_ms)
            for received_ms in AROUND_MS
            for max_future_ms in (0, 300_000, 2**31 - 1)
            for t_ms in EVENT_TIMES_MS
        ],
        "expiry_clock": [_clock(times) for times in CLOCKS],
        "alive_until": [
            {
                "newest_ms": newest_ms,
                "expiry_ms": expiry_ms,
                "retention_ms": retention_ms,
                "alive_until_ms": alive_until_ms(newest_ms, expiry_ms, Rules(retention_ms=retention_ms)),
            }
            for newest_ms in EVENT_TIMES_MS
            for retention_ms in (86_400_000, 36_500 * 86_400_000)
            for expiry_ms in (0, newest_ms + retention_ms + 32 * 86_400_000, 99_999_999_999_999)
        ],
    }


def _held(received_ms: int, max_future_ms: int, t_ms: int) -> Vector:
    """One event of a record of that time, and the partition's watermark before it at 0."""
    rules = Rules(session=SessionRules(max_future_ms=max_future_ms))
    value = json.encode({"id": "e1", "type": "click", "device_id": "d1", "timestamp": t_ms})
    record = PlainRecord("events.raw", 0, 0, received_ms, None, value)
    decoder = Decoder(rules.input, rules.identity)
    result = process(decode_records([record], decoder), {}, 0, ExpiryClock(), rules)
    (event,) = result.enriched
    return {
        "record_ms": received_ms,
        "max_future_ms": max_future_ms,
        "timestamp": t_ms,
        "held_ms": result.states["d1"].newest_ms,
        "is_received_at": event.received_at is not None,
        "clock_skew": "clock_skew" in event.flags,
        "watermark_ms": result.watermark_ms,
        "expire_at_ms": result.states["d1"].expire_at_ms,
    }


_T = 1_780_000_000_000
CLOCKS = (
    [_T],
    [_T, _T + 5, _T - 7],
    [_T, _T + 10, _T + 20, _T + 30, _T + 40, _T + 50, _T + 60, _T + 70],
    [_T, _T, _T + 1, _T + 2, _T + 3, _T - 1, _T - 2, _T - 3, _T - 4, _T - 5, _T - 6],
    [100_000_000_000] * 3 + [99_999_999_999_999] * 9,
)
"""The newest held times of records, one after the other."""


def _clock(times: list[int]) -> Vector:
    """A partition's clock after these records, where it takes 3 records to move it."""
    rules = Rules(expiry_records=3)
    clock = ExpiryClock()
    for t_ms in times:
        clock = advanced(clock, t_ms, rules)
    return {
        "records_ms": times,
        "at_ms": clock.at_ms,
        "records": clock.records,
        "expires_at_ms": clock_ms(clock, rules),
    }
