"""Random raw traffic: a few devices, users, client sessions, late and bad events, gaps between the offsets.

Decides only what arrives, and in which partition. Some batches are sent again, perhaps to another partition.
Every good event differs from all others by its id and, where it is a copy, by the number of that, so that
its outcome can be counted. Batches hold events of several devices, so with more than one partition most
batches have some that are misplaced.
"""

from collections.abc import Mapping
from random import Random
from typing import Any

from msgspec import json

from tests.builders import Record, click, ms, record

Incoming = tuple[int, Record | None]
"""A record and its partition; None is a marker of the sender's own transaction."""

_MINUTE_MS = 60_000
_BAD_VALUES = (b"", b"not json", b'[{"id":"cut', None)


def traffic(random: Random, records: int, partitions: int) -> list[Incoming]:
    """That many records, of 1 to 5 events each, in order of arrival."""
    now_ms = ms("08:00:00")
    incoming: list[Incoming] = []
    ends = [0] * partitions
    sent: list[Record] = []
    for number in range(records):
        now_ms += random.choice((1_000, 1_000, _MINUTE_MS, 10 * _MINUTE_MS, 40 * _MINUTE_MS))
        if random.random() < 0.01:
            now_ms += 450 * 86_400_000  # long enough for devices to expire
        partition = random.randrange(partitions)
        while random.random() < 0.1:
            incoming.append((partition, None))
            ends[partition] += 1
        if sent and random.random() < 0.15:
            made = _again(random.choice(sent[-5:]), partition, ends[partition], now_ms, number)
        else:
            made = _record(random, partition, ends[partition], now_ms)
        incoming.append((partition, made))
        sent.append(made)
        ends[partition] += 1
    for partition in range(partitions):  # markers of the sender's last transactions
        incoming += [(partition, None)] * random.choice((0, 0, 1, 3))
    return incoming


def _record(random: Random, partition: int, offset: int, now_ms: int) -> Record:
    if random.random() < 0.05:
        return record(offset, random.choice(_BAD_VALUES), received_at=now_ms, partition=partition)
    number = random.randint(1, 5)
    batch: list[Any] = [_event(random, f"{partition}-{offset}-{index}", now_ms) for index in range(number)]
    received_at = now_ms if random.random() < 0.95 else -1
    return record(offset, batch, received_at=received_at, partition=partition)


def _again(first: Record, partition: int, offset: int, now_ms: int, number: int) -> Record:
    """The record as a sender without an answer sends it once more, each event marked as that copy."""
    if first.value in _BAD_VALUES:
        return record(offset, first.value, received_at=now_ms, partition=partition)
    batch = [
        element | {"copy": number} if isinstance(element, dict) else element
        for element in json.decode(first.value or b"")
    ]
    return record(offset, batch, received_at=now_ms, partition=partition)


def name_of(event: Mapping[str, Any]) -> str:
    """What distinguishes an event from all others, as it was sent or as it was written."""
    copy = event.get("copy", event.get("extra", {}).get("copy"))
    name: str = event["id"]
    return name if copy is None else f"{name} as sent again by {copy}"


def _event(random: Random, id_: str, now_ms: int) -> Any:
    if random.random() < 0.04:
        too_old = {"id": id_, "type": "page_view", "device_id": "d1", "timestamp": 1}
        return random.choice((17, {"id": id_}, too_old))
    ahead_ms = random.choice((0, 0, 0, 0, -10, -20, -45, -90, 20)) * _MINUTE_MS
    device = random.randint(1, 6)
    t_ms = now_ms + ahead_ms + random.randrange(1_000)
    user = random.choice((None, None, None, "ann", "bob"))
    if device == 1 and user is not None:
        user += str(t_ms % 10)  # shared by so many that its older links are given up
    return click(
        f"d{device}",
        t_ms,
        id=id_,
        user=user,
        session=random.choice((None, None, None, None, "s1", "s2")),
        view=random.choice((None, "v1", "v2")),
        **random.choice(({}, {"data": {"price": 1.0}})),
    )
