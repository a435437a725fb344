"""When a silent device expires: it is new again when it comes back, and its state may be deleted.

Knows one device's newest event, the times of its partition's records, and the rules; no clock, no store. A
device expires by its own next event (``retention_ms`` after its newest one), or by the expiry clock of its
partition. Invariants: the clock is a function of the partition's records in their order; once it has expired
a device it never takes that back; and no record moves it far. It takes ``expiry_records`` records of a later
time, more than there are of earlier ones meanwhile, before it moves at all, which where records come in the
order of time are the usual ones, and as many again to run through the time after which a device expires. So
neither one record from the future nor a device whose clock is ahead expires the others, unless that device
sends most of the records; if the clock were the greatest time seen, one record would do.
"""

from worker.model.rules import Rules
from worker.model.state import DeviceState, ExpiryClock

EXPIRY_DELAY_MS = 32 * 86_400_000
"""How much later than ``retention_ms`` the clock expires a device.

An event that is late by up to a month finds the state that it would have found in time, so that the times of
other devices do not change its ids.
"""


def expires_after_ms(rules: Rules) -> int:
    """How far the expiry clock has to be past a device's newest event for the device to expire."""
    return rules.retention_ms + EXPIRY_DELAY_MS


def expires_at_ms(state: DeviceState, rules: Rules) -> int:
    """The time of the expiry clock after which the device expires, in ms."""
    return state.newest_ms + expires_after_ms(rules)


def clock_ms(clock: ExpiryClock, rules: Rules) -> int:
    """The time that devices are compared with, in ms; 0 expires nobody.

    It is 0 before the clock has seen ``expiry_records`` records: of fewer, a single one from the future may
    be all that it knows.
    """
    return clock.at_ms if clock.records >= rules.expiry_records else 0


def is_expired(newest_ms: int, t_ms: int, expiry_ms: int, rules: Rules) -> bool:
    """Whether the device is new again for an event at ``t_ms``, when the expiry clock says ``expiry_ms``.

    ``newest_ms`` is its newest event so far. It is new again where the event is more than the retention
    younger than that, or where the clock has expired the device, whether or not its state was deleted yet.
    """
    return t_ms > alive_until_ms(newest_ms, expiry_ms, rules)


def alive_until_ms(newest_ms: int, expiry_ms: int, rules: Rules) -> int:
    """The time of the latest event at which the device is not new again; 0 where the clock has expired it."""
    if expiry_ms > newest_ms + expires_after_ms(rules):
        return 0
    return newest_ms + rules.retention_ms


def advanced(clock: ExpiryClock, record_ms: int, rules: Rules) -> ExpiryClock:
    """The clock after a record whose newest event has the held time ``record_ms``.

    ``clock.records`` counts from 0. Up to ``expiry_records`` the clock is the least time seen, and expires
    nobody (``clock_ms``). From there on it counts, up to twice that, how many records more were later than
    the clock than were not; only at the most does a later record move the clock, by one part in
    ``expiry_records`` of the time after which a device expires, and never past the record.
    """
    most = rules.expiry_records
    at_ms, records = clock.at_ms, clock.records
    if records < most:
        return ExpiryClock(min(at_ms, record_ms) if records else record_ms, records + 1)
    if record_ms <= at_ms:
        return ExpiryClock(at_ms, records - 1) if records > most else clock
    if records < 2 * most:
        return ExpiryClock(at_ms, records + 1)
    return ExpiryClock(min(record_ms, at_ms + expires_after_ms(rules) // most), records)
