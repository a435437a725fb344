"""Keys and bytes of what the store remembers: hot, cold, meta and timer records.

A device has two records: a small hot one, written whenever the device is seen, and a cold one, written only
when it changed. A partition has one meta record. Store and changelog hold the same ones. Timers, which say
when a device is due, are in the store only: the changelog has their times in each device's hot record.

Must not know where records are kept, nor what is done when a timer is due. Invariants: ``decode_state`` of a
state's two records is the state; bytes of another schema version raise ``ValueError`` and are never misread;
a timer's key sorts by kind, then time, then device, so that the timers that are due are one range. A timer
that does not agree with its device's state is stale, and is dropped when it fires.

Layout of a device's record: one byte schema version, in the hot one the times of its two timers (eight bytes
each, big-endian ms, 0 for none: a restore fills the timers without decoding the rest), then a MessagePack
array. What of it is read, and what is refused: docs/architecture.md, Stored records.
"""

import struct
from typing import Literal

from msgspec import Struct, json, msgpack

from worker.core.duplicates import ENTRY_BYTES
from worker.core.views import FULL_BYTES, HASH_BYTES
from worker.model.state import (
    GREATEST_STORED,
    DeviceState,
    EventRef,
    Link,
    Meta,
    Session,
    Stored,
    Timeline,
)

SCHEMA_VERSION = 2

META_KEY = b"m"
_HOT = b"h"
_COLD = b"c"
_VERSION_BYTE = bytes([SCHEMA_VERSION])
_TIMES = struct.Struct(">BQQ")
_HOT_PREFIX_BYTES = _TIMES.size

TimerKind = Literal["close", "expire"]
"""``close``: sessions of the device are due to close. ``expire``: the device is due to expire."""

_TIMER_PREFIXES: dict[TimerKind, bytes] = {"close": b"tc", "expire": b"tf"}
_TIME_BYTES = 8


class _Hot(Struct, array_like=True, gc=False, forbid_unknown_fields=True):
    newest_ms: Stored
    opened: Stored
    event_count: Stored
    current: Session | None
    link_count: Stored
    newest_link: Link | None
    recent_ids: bytes | None  # None, which is a byte, where there are none


class _Cold(Struct, array_like=True, gc=False, forbid_unknown_fields=True):
    first_seen_ms: Stored
    current_first: EventRef | None
    older: tuple[Session, ...]
    links: tuple[Link, ...]  # left empty when the hot record's newest link is the only one
    links_since_ms: Stored


_encoder = msgpack.Encoder()
_hot_decoder = msgpack.Decoder(_Hot)
_cold_decoder = msgpack.Decoder(_Cold)
_meta_decoder = json.Decoder(Meta)


def hot_key(device_id: str) -> bytes:
    """Key of the record that is written whenever the device is seen.

    >>> hot_key("d1"), cold_key("d1")
    (b'hd1', b'cd1')
    """
    return _HOT + device_id.encode()


def cold_key(device_id: str) -> bytes:
    """Key of the record that is written only when older sessions, links or a first event change."""
    return _COLD + device_id.encode()


def device_of_hot_key(key: bytes) -> bytes | None:
    """The device id (UTF-8) when it is the key of a hot record, of which there is one a device; else None."""
    return key[1:] if key.startswith(_HOT) else None


def encode_hot(state: DeviceState) -> bytes:
    """The hot record of the device."""
    current = state.current
    links = state.timeline.links
    hot = _Hot(
        state.newest_ms,
        state.opened,
        state.event_count,
        current,
        len(links),
        links[-1] if links else None,
        state.recent_ids or None,
    )
    if current is None:
        packed = _encoder.encode(hot)
    else:
        # The first event hardly ever changes, so it stays in the cold record: 50 bytes an update.
        first, current.first = current.first, None
        packed = _encoder.encode(hot)
        current.first = first
    return _TIMES.pack(SCHEMA_VERSION, state.close_at_ms, state.expire_at_ms) + packed


def encode_cold(state: DeviceState) -> bytes:
    """The cold record of the device."""
    first = state.current.first if state.current is not None else None
    timeline = state.timeline
    links = timeline.links if len(timeline.links) > 1 else ()
    cold = _Cold(state.first_seen_ms, first, state.older, links, timeline.since_ms)
    return _VERSION_BYTE + _encoder.encode(cold)


def decode_state(hot: bytes, cold: bytes) -> DeviceState:
    """The device that the two records hold.

    Raises ValueError (msgspec's are) for bytes that are not such records.
    """
    if hot[:1] != _VERSION_BYTE or cold[:1] != _VERSION_BYTE:
        raise ValueError(
            f"device record of schema {hot[:1].hex()}/{cold[:1].hex()}, expected {SCHEMA_VERSION}"
        )
    h = _hot_decoder.decode(memoryview(hot)[_HOT_PREFIX_BYTES:])
    c = _cold_decoder.decode(memoryview(cold)[1:])
    _, close_at_ms, expire_at_ms = _TIMES.unpack_from(hot)
    links = c.links if h.link_count > 1 else (h.newest_link,) if h.newest_link is not None else ()
    if close_at_ms > GREATEST_STORED or expire_at_ms > GREATEST_STORED or len(links) != h.link_count:
        raise ValueError("a timer's time is out of range, or the links are not as many as is said")
    recent_ids = h.recent_ids or b""
    if len(recent_ids) % ENTRY_BYTES:
        raise ValueError(f"{len(recent_ids)} bytes of recent ids, which have {ENTRY_BYTES} each")
    if (h.current is None) != (c.current_first is None):
        raise ValueError("the current session is in one record, and its first event not in the other")
    sessions = c.older
    if h.current is not None:
        if h.current.first is not None:
            raise ValueError("the current session's first event is in the hot record")
        h.current.first = c.current_first
        sessions = (*sessions, h.current)
    for session in sessions:
        if session.first is None:
            raise ValueError("an older session has no first event")
        if (size := len(session.views)) and (size % HASH_BYTES or size > FULL_BYTES):
            raise ValueError(f"{size} bytes of views")
    return DeviceState(
        newest_ms=h.newest_ms,
        opened=h.opened,
        event_count=h.event_count,
        current=h.current,
        close_at_ms=close_at_ms,
        expire_at_ms=expire_at_ms,
        older=c.older,
        timeline=Timeline(links, c.links_since_ms),
        first_seen_ms=c.first_seen_ms,
        cold_changed=False,
        armed=(close_at_ms, expire_at_ms),
        recent_ids=recent_ids,
    )


def times_of(hot: bytes) -> tuple[int, int]:
    """When the device of a hot record is due: to close sessions, and to expire (ms, 0 for never).

    Never for one of another schema: the meta record after it tells that it cannot be used.
    """
    if hot[:1] != _VERSION_BYTE or len(hot) < _HOT_PREFIX_BYTES:
        return 0, 0
    _, close_at_ms, expire_at_ms = _TIMES.unpack_from(hot)
    return close_at_ms, expire_at_ms


def encode_meta(meta: Meta) -> bytes:
    """The meta record, as JSON: it is written once a transaction and read by people."""
    return json.encode(meta)


def decode_meta(value: bytes) -> Meta:
    """The meta record. Raises ValueError when it is none."""
    return _meta_decoder.decode(value)


# --- Timers ---


def timer_key(kind: TimerKind, at_ms: int, device_id: bytes) -> bytes:
    """The key of one timer.

    >>> timer_key("close", 258, b"d1")
    b'tc\\x00\\x00\\x00\\x00\\x00\\x00\\x01\\x02d1'
    """
    return _TIMER_PREFIXES[kind] + at_ms.to_bytes(_TIME_BYTES, "big") + device_id


def due_range(kind: TimerKind, now_ms: int) -> tuple[bytes, bytes]:
    """(first key, key after the last) of the timers that are due: their time is before ``now_ms``."""
    return _TIMER_PREFIXES[kind], timer_key(kind, max(0, now_ms), b"")


def whole_range(kind: TimerKind) -> tuple[bytes, bytes]:
    """The range of all timers of that kind."""
    return _TIMER_PREFIXES[kind], _TIMER_PREFIXES[kind] + b"\xff" * (_TIME_BYTES + 1)


def kind_of_timer(key: bytes) -> TimerKind:
    """What the timer of that key is for."""
    return "close" if key.startswith(_TIMER_PREFIXES["close"]) else "expire"


def device_of_timer(key: bytes) -> str:
    """The device whose timer has that key. Raises ValueError for the key of no timer."""
    device_id = key[2 + _TIME_BYTES :].decode()
    if len(key) < 2 + _TIME_BYTES or key[:2] not in _TIMER_PREFIXES.values():
        raise ValueError(f"{key.hex()} is the key of no timer")
    return device_id


def restored_timers(
    device_id: bytes, close_at_ms: int, expire_at_ms: int
) -> list[tuple[bytes, bytes | None]]:
    """The timers of a device whose hot record was read from the changelog. Former ones stay and are stale."""
    times: tuple[tuple[TimerKind, int], ...] = (("close", close_at_ms), ("expire", expire_at_ms))
    return [(timer_key(kind, at_ms, device_id), b"") for kind, at_ms in times if at_ms]


def moved_timers(
    device_id: str, state: DeviceState | None, armed: tuple[int, int], *, fired: bool
) -> list[tuple[bytes, bytes | None]]:
    """The timers to set (key, empty value) and to delete (key, None) after the device's state has changed.

    ``armed`` are the times that the store has. ``fired``: one of its timers has, and is gone from the store;
    a session that was closed by it and opened again by a late event is due at the very same time.
    """
    times = (0, 0) if state is None else (state.close_at_ms, state.expire_at_ms)
    if times == armed and not fired:  # as for most devices
        return []
    device = device_id.encode()
    moved: list[tuple[bytes, bytes | None]] = []
    for kind, before, after in zip(_TIMER_PREFIXES, armed, times, strict=True):
        if before != after or fired:
            if before and before != after:
                moved.append((timer_key(kind, before, device), None))
            if after:
                moved.append((timer_key(kind, after, device), b""))
    return moved
