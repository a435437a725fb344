"""Vectors about stored records: what is written of a device and of a partition, and what of it is read."""

from collections.abc import Iterator, Sequence
from typing import Any, get_args

from msgspec import json, msgpack, structs

from tests.builders import click, stored_session
from tests.core_step import step
from tests.vectors.files import Vector, Vectors
from worker.core.state_codec import (
    TimerKind,
    cold_key,
    decode_state,
    device_of_timer,
    due_range,
    encode_cold,
    encode_hot,
    encode_meta,
    hot_key,
    moved_timers,
    timer_key,
    times_of,
    whole_range,
)
from worker.model.outputs import CloseReason, SessionCause
from worker.model.state import (
    GREATEST_STORED,
    DeviceState,
    EventRef,
    ExpiryClock,
    Link,
    Meta,
    Timeline,
)

NUMBERS = sorted(
    {0, GREATEST_STORED, 1_772_445_600_000}
    | {edge + more for edge in (2**7, 2**8, 2**16, 2**31, 2**32) for more in (-1, 0)}
)
LENGTHS = (0, 1, 31, 32, 255, 256)
KINDS: Sequence[TimerKind] = get_args(TimerKind)


def states() -> Vectors:
    """All of them."""
    return {
        "device": [_device(state) for state in _devices()],
        "read": [_read(hot, cold) for hot, cold in _other_forms()],
        "refused": [_refused(*case) for case in _no_forms()],
        "key": [
            {"device_id": device, "hot": hot_key(device).hex(), "cold": cold_key(device).hex()}
            for device in ("", "d1", "gerät", "h", "\0")
        ],
        "timer": [
            {
                "kind": kind,
                "at_ms": at_ms,
                "device_id": device,
                "key": timer_key(kind, at_ms, device.encode()).hex(),
                "first": due_range(kind, at_ms)[0].hex(),
                "behind": due_range(kind, at_ms)[1].hex(),
                "all_behind": whole_range(kind)[1].hex(),
            }
            for kind in KINDS
            for at_ms in (1, 258, 1_772_445_600_000, GREATEST_STORED)
            for device in ("d1", "gerät")
        ],
        "no_timer": [{"key": key} for key in _no_timers()],
        "moved_timers": [_moved(*case) for case in MOVES],
        "meta": [_meta(meta) for meta in METAS],
    }


# --- devices ---


def _devices() -> Iterator[DeviceState]:
    """Of streams, and one for each width of a number and of a length."""
    yield _with()
    yield step(click("d1", at="10:00:00")).states["d1"]
    yield step(
        click("d1", at="10:00:00", user="ann", view="v1"),
        click("d1", at="11:00:00", user="bob"),
        click("d1", at="09:00:00", session="s1"),
        click("d1", at="12:00:00", user="ann"),
        click("d1", at="13:00:00", session="gerät"),
    ).states["d1"]
    for number in NUMBERS:
        session = stored_session(
            **dict.fromkeys(("number", "start_ms", "end_ms", "revision", "event_count"), number),
            **dict.fromkeys(("passive_count", "touched", "user_at_ms"), number),
            last=EventRef(number, "e2", "click"),
            first=EventRef(number, "e1", "click"),
        )
        yield _with(
            newest_ms=number,
            opened=number,
            event_count=number,
            current=session,
            close_at_ms=number,
            expire_at_ms=number,
            older=(session,),
            timeline=Timeline((Link(number, "ann"), Link(number, None)), number),
            first_seen_ms=number,
        )
    for length in LENGTHS:
        text = "ü" * (length // 2) + "x" * (length % 2)
        session = stored_session(id=text, user_id=text, last=EventRef(1, text, text))
        yield _with(current=session, timeline=Timeline((Link(1, text),)))
    for views in (1, 63, 64, 128):
        yield _with(current=stored_session(views=bytes(range(256))[: 4 * views % 256] or bytes(4 * views)))
    for ids in (1, 18, 19, 4_682):
        yield _with(recent_ids=bytes(14 * ids))
    yield _with(timeline=Timeline((Link(1, "x" * 65_535),)))
    yield _with(timeline=Timeline((Link(1, "x" * 65_536),)))
    for older in (15, 16, 64):
        yield _with(older=tuple([stored_session(number=number) for number in range(older)]))
    for cause in get_args(SessionCause):
        yield _with(current=stored_session(cause=cause, client=True, fixed_start=True))
    for closed in get_args(CloseReason):
        yield _with(current=stored_session(closed=closed, ended=True))


def _with(**more: Any) -> DeviceState:
    """A device of that much."""
    return structs.replace(DeviceState(newest_ms=1, first_seen_ms=1), **more)


def _device(state: DeviceState) -> Vector:
    """Both records of a device, and its timers' times, which are read without the rest."""
    hot, cold = encode_hot(state), encode_cold(state)
    close_at_ms, expire_at_ms = times_of(hot)
    return {
        "hot": hot.hex(),
        "cold": cold.hex(),
        "close_at_ms": close_at_ms,
        "expire_at_ms": expire_at_ms,
    }


# --- what is read, and what is refused ---

ONE_EVENT = [7, "e1", "page_view"]
SESSION = ["s", 1, 7, 7, False, "gap", False, False, None, 0, 1, 0, 1, bytes(4), None, 0, ONE_EVENT, None]
HOT = [7, 1, 1, SESSION, 1, [7, "ann"], bytes(14)]
COLD = [7, ONE_EVENT, [[*SESSION[:-1], ONE_EVENT]], [], 0]


def hot_record(values: object = HOT, times: bytes = bytes(16), version: int = 2) -> bytes:
    """The record of such an array, or of bytes in its place."""
    return bytes([version]) + times + (values if isinstance(values, bytes) else msgpack.encode(values))


def cold_record(values: object = COLD, version: int = 2) -> bytes:
    """The same of a cold record."""
    return bytes([version]) + (values if isinstance(values, bytes) else msgpack.encode(values))


def with_value(values: list[Any], place: Sequence[int], value: object) -> list[Any]:
    """The same nested arrays with another value at a place."""
    first, *rest = place
    inner = with_value(values[first], rest, value) if rest else value
    return [*values[:first], inner, *values[first + 1 :]]


def _first_number(written: str) -> bytes:
    """A hot record's array whose first number, 7, is written so."""
    return b"\x97" + bytes.fromhex(written) + msgpack.encode(HOT)[2:]


def _instead(before: bytes, after: bytes) -> bytes:
    """A hot record's array with other bytes at one place."""
    assert msgpack.encode(HOT).count(before) == 1
    return msgpack.encode(HOT).replace(before, after)


WIDTHS = ("07", "cc07", "cd0007", "ce00000007", "cf0000000000000007")
SIGNED = ("d007", "d10007", "d200000007", "d30000000000000007")
ARRAY_HEADS = ("dc0007", "dd00000007")


ARRAYS: Sequence[tuple[Sequence[int], list[Any]]] = (
    ((), HOT),
    ((3,), SESSION),
    ((3, 16), ONE_EVENT),
    ((5,), [7, "ann"]),
)
"""The arrays in ``HOT`` and where they are."""
WORDS: Sequence[tuple[Sequence[int], str | None]] = (
    ((3, 5), "new"),
    ((3, 5), "Gap"),
    ((3, 5), None),
    ((3, 8), "new"),
    ((3, 8), ""),
)
"""Where a session has its cause and why it is closed, and what is no such word."""


def _other_forms() -> Iterator[tuple[bytes, bytes]]:
    """Records that no worker writes so, and that are read."""
    for written in (*WIDTHS, *SIGNED):
        yield hot_record(_first_number(written)), cold_record()
    for head in ("d903", "da0003", "db00000003"):
        yield hot_record(_instead(b"\xa3ann", bytes.fromhex(head) + b"ann")), cold_record()
    for head in ("c404", "c50004", "c600000004"):
        yield hot_record(_instead(b"\xc4\x04", bytes.fromhex(head))), cold_record()
    for head in ARRAY_HEADS:
        yield hot_record(bytes.fromhex(head) + msgpack.encode(HOT)[1:]), cold_record()
    yield hot_record(with_value(HOT, (6,), b"")), cold_record()
    yield hot_record(times=b"\0\x1f" + b"\xff" * 6 + bytes(8)), cold_record()


def _no_forms() -> Iterator[tuple[str, bytes, bytes]]:
    """Records that are refused, each with what is wrong with it."""
    for version in (0, 1, 3, 255):
        yield "another schema", hot_record(version=version), cold_record()
        yield "another schema", hot_record(), cold_record(version=version)
    for cut in (0, 1, 16, 17, 18, 40, -1):
        yield "cut off", hot_record()[:cut], cold_record()
        yield "cut off", hot_record(), cold_record()[:cut]
    yield "bytes behind", hot_record() + b"\xc0", cold_record()
    yield "bytes behind", hot_record(), cold_record() + b"\0"
    for written in ("ff", "d0ff", "d3ffffffffffffffff", "cf0020000000000000", "cfffffffffffffffff"):
        yield "a number out of range", hot_record(_first_number(written)), cold_record()
    for written in ("ca40e00000", "cb401c000000000000", "c0", "c3", "a137", "c40137", "9107", "80", "d40007"):
        yield "no number", hot_record(_first_number(written)), cold_record()
    yield "a number out of range", hot_record(times=b"\0\x20" + bytes(14)), cold_record()
    yield "a number out of range", hot_record(times=b"\xff" * 16), cold_record()
    for place in ((3, 1), (3, 2), (3, 3), (3, 9), (3, 10), (3, 11), (3, 12), (3, 15), (3, 16, 0), (5, 0)):
        for number in (-1, GREATEST_STORED + 1):
            yield "a number out of range", hot_record(with_value(HOT, place, number)), cold_record()
    for text in (b"\xff\xff\xff", b"\xed\xa0\x80", b"\xe2\x82\x00", b"\xc0\x80a", b"\xf4\x90\x80"):
        yield "no UTF-8", hot_record(_instead(b"ann", text)), cold_record()
    yield "bytes for a text", hot_record(_instead(b"\xa3ann", b"\xc4\x03ann")), cold_record()
    yield "a text for bytes", hot_record(with_value(HOT, (6,), "\0" * 14)), cold_record()
    yield "a number for a word", hot_record(with_value(HOT, (3, 4), 0)), cold_record()
    for at, values in ARRAYS:
        others: Sequence[object] = (values[:-1], [*values, None], [], {})
        for other in others:
            changed = with_value(HOT, at, other) if at else other
            yield "another number of values", hot_record(changed), cold_record()
    for cold in (COLD[:-1], [*COLD, 0], [], with_value(COLD, (2, 0), SESSION[:-1])):
        yield "another number of values", hot_record(), cold_record(cold)
    for at, word in WORDS:
        yield "an unknown word", hot_record(with_value(HOT, at, word)), cold_record()
    yield from _not_together()


def _not_together() -> Iterator[tuple[str, bytes, bytes]]:
    """Records of which each is well made, and that hold what no device has."""
    for count in (0, 2):
        yield "another number of links", hot_record(with_value(HOT, (4,), count)), cold_record()
    yield "no newest link", hot_record(with_value(HOT, (5,), None)), cold_record()
    yield "a first event of no session", hot_record(with_value(HOT, (3,), None)), cold_record()
    yield "no first event", hot_record(), cold_record(with_value(COLD, (1,), None))
    yield "no first event", hot_record(), cold_record(with_value(COLD, (2,), [SESSION]))
    yield "a first event in the hot record", hot_record(with_value(HOT, (3, 17), ONE_EVENT)), cold_record()
    yield "no last event", hot_record(with_value(HOT, (3, 16), None)), cold_record()
    for size in (3, 516):
        yield "views", hot_record(with_value(HOT, (3, 13), bytes(size))), cold_record()
    for size in (1, 13, 15):
        yield "recent ids", hot_record(with_value(HOT, (6,), bytes(size))), cold_record()


def _read(hot: bytes, cold: bytes) -> Vector:
    """Two records, and what they are as a worker writes them."""
    state = decode_state(hot, cold)
    return {
        "hot": hot.hex(),
        "cold": cold.hex(),
        "hot_as_written": encode_hot(state).hex(),
        "cold_as_written": encode_cold(state).hex(),
    }


def _refused(why: str, hot: bytes, cold: bytes) -> Vector:
    try:
        decode_state(hot, cold)
    except ValueError:
        return {"why": why, "hot": hot.hex(), "cold": cold.hex()}
    raise AssertionError(f"{why} is read: {hot.hex()} {cold.hex()}")


# --- timers and the partition ---

MOVES: Sequence[tuple[tuple[int, int], tuple[int, int] | None, bool]] = (
    ((0, 0), (5, 9), False),
    ((5, 9), (5, 9), False),
    ((5, 9), (6, 9), False),
    ((5, 9), (0, 9), False),
    ((5, 9), (5, 9), True),
    ((5, 9), (7, 9), True),
    ((5, 9), None, True),
    ((5, 9), None, False),
    ((0, 9), (0, 12), False),
)
"""The times that the store has, those of the state (None: the device has expired), whether a timer fired."""


def _no_timers() -> Iterator[str]:
    """Keys that are refused."""
    for key in ("", "6d", "7463", f"7478{'00' * 8}6431", f"7463{'00' * 7}", f"7466{'00' * 8}ff"):
        try:
            device_of_timer(bytes.fromhex(key))
        except ValueError:
            yield key


def _moved(armed: tuple[int, int], times: tuple[int, int] | None, fired: bool) -> Vector:
    state = None if times is None else _with(close_at_ms=times[0], expire_at_ms=times[1])
    moved = moved_timers("d1", state, armed, fired=fired)
    return {
        "armed": armed,
        "times": times or (),
        "fired": fired,
        "put": [key.hex() for key, value in moved if value is not None],
        "deleted": [key.hex() for key, value in moved if value is None],
    }


METAS = (
    Meta(schema=2, incarnation="", raw_topic="events.raw", next_offsets={}),
    Meta(
        schema=2,
        incarnation="b2f1",
        raw_topic="events.raw",
        next_offsets={"events.raw": 2**63 - 1, "g.repartition": 0},
        watermark_ms=GREATEST_STORED,
        expiry=ExpiryClock(1_772_440_000_000, 2_000),
        partitions=6,
        partitioner="murmur2",
    ),
)


def _meta(meta: Meta) -> Vector:
    value = encode_meta(meta)
    return {"value": value.decode(), "watermark_ms": meta.watermark_ms, "fields": len(json.decode(value))}
