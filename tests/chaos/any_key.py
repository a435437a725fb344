"""Traffic whose keys say nothing, and the promises for it.

Batches of several devices, under random keys and under none, over all partitions. The order in which a
device's events reach its partition is then not known before; what the outputs tell of it must be possible
(what came through one raw partition is in its order), and given that order all else must follow: every event
once, where its device belongs, with the sessions and users of the pure core.
"""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition
from msgspec import json

from tests.builders import Record
from tests.chaos.promises import Verdict, closed_sessions, committed_offsets, expect, last_rows, read_all
from worker.config import Config
from worker.core.decode import Decoder
from worker.core.partitioning import Partitioning
from worker.demo.traffic import RawRecord

Place = tuple[int, int, int]
"""Partition and offset in the raw topic, and index in the batch."""


def shuffled_traffic(records: Sequence[RawRecord], seed: int) -> list[RawRecord]:
    """The same events in other batches: of several devices, under keys of anybody or none, in like order."""
    rng = random.Random(seed)
    shuffled: list[RawRecord] = []
    elements: list[Any] = []
    for record in records:
        try:
            batch = json.decode(record.value)
        except ValueError:
            batch = None
        if not isinstance(batch, list):
            shuffled.append(record)
            continue
        elements += batch
        if len(elements) >= rng.randint(1, 30):
            key = rng.choice((None, record.key, str(rng.random()).encode()))
            shuffled.append(RawRecord(key, json.encode(elements), record.timestamp_ms))
            elements = []
    if elements:
        shuffled.append(RawRecord(None, json.encode(elements), records[-1].timestamp_ms))
    return shuffled


async def everything_is_read(config: Config) -> bool:
    """Whether the group has committed all that is in its two inputs."""
    servers = config.kafka.bootstrap_servers
    committed = await committed_offsets(servers, config.kafka.group_id)
    for topic in (config.topics.raw, config.rekey_topic):
        for number, records in (await read_all(servers, topic)).items():
            # Not the end of the partition: a transaction's marker stands there, which nobody commits.
            if records and committed.get(TopicPartition(topic, number), 0) <= records[-1].offset:
                return False
    return True


async def check_any_key(config: Config) -> Verdict:
    """Read everything and compare. Everything must have been read, and the workers still run."""
    servers = config.kafka.bootstrap_servers
    verdict = Verdict()
    raw = await read_all(servers, config.topics.raw)
    partitioning = Partitioning(partitions=len(raw), partitioner=config.input.partitioner)
    sent, refused = _elements((record for records in raw.values() for record in records), config)
    sessions = await closed_sessions(servers, config.topics.sessions)
    fates: Counter[str] = Counter()
    for number, records in (await read_all(servers, config.topics.enriched)).items():
        arrived = []
        newest: dict[tuple[str, int], Place] = {}
        for record in records:
            event = json.decode(record.value)
            place, again = sent.get(event["id"], (None, None))
            fates[event["id"]] += 1
            if place is None or again is None:
                verdict.broken.append(f"P4 partition {number}: nobody sent {event['id']}")
                continue
            device = event["device_id"]
            if partitioning.partition_of(device) != number:
                verdict.broken.append(f"partition {number}: {device} does not belong here")
            before = newest.get((device, place[0]))
            if before is not None and before >= place:
                verdict.broken.append(f"partition {number}: {device} has {place} after {before}")
            newest[device, place[0]] = place
            arrived.append(again)
        expected = expect(arrived, config)
        wanted = [value for _, value, _ in expected.enriched]
        found = [record.value for record in records]
        if found != wanted:
            at = next(i for i, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b)
            verdict.broken.append(f"P1 partition {number}: {found[at]!r}, expected {wanted[at]!r}")
        rows = last_rows((record.key, record.value) for record in sessions[number])
        different = [k for k in rows.keys() | expected.rows.keys() if rows.get(k) != expected.rows.get(k)]
        if different:
            key = different[0]
            verdict.broken.append(
                f"P7 partition {number}: {rows.get(key)}, expected {expected.rows.get(key)}"
            )
        verdict.enriched += len(records)
        verdict.devices += len(expected.states)
        verdict.sessions += expected.sessions
    letters = Counter(
        _letter_place(json.decode(record.value))
        for records in (await read_all(servers, config.topics.dead_letters)).values()
        for record in records
    )
    if fates != Counter(sent.keys()):
        lost, repeated = Counter(sent.keys()) - fates, fates - Counter(sent.keys())
        verdict.broken.append(f"P4: {len(lost)} events lost, {len(repeated)} repeated or made up")
    if letters != refused:
        verdict.broken.append(f"P4 dead letters: {sum(letters.values())}, expected {sum(refused.values())}")
    verdict.dead_letters = sum(letters.values())
    verdict.events = verdict.enriched + verdict.dead_letters
    return verdict


def _elements(
    records: Iterable[ConsumerRecord], config: Config
) -> tuple[dict[str, tuple[Place, Record]], Counter[tuple[Any, ...]]]:
    """By id each event that is fine, alone in a record of its own; and the places of what is not."""
    decoder = Decoder(config.input, config.identity)
    sent: dict[str, tuple[Place, Record]] = {}
    refused: Counter[tuple[Any, ...]] = Counter()
    for record in records:
        decoded = decoder.decode(record.value)
        rejected = {rejection.index for rejection in decoded.rejections}
        refused.update((record.partition, record.offset, index) for index in rejected)
        if not decoded.events:
            continue
        elements = decoder.elements(record.value)
        fine = [index for index in range(len(elements)) if index not in rejected]
        for index, event in zip(fine, decoded.events, strict=True):
            alone = Record(
                record.topic,
                record.partition,
                record.offset,
                record.timestamp,
                None,
                b"[" + elements[index] + b"]",
            )
            sent[event.id] = ((record.partition, record.offset, index), alone)
    return sent, refused


def _letter_place(letter: dict[str, Any]) -> tuple[Any, ...]:
    return letter["partition"], letter["offset"], letter.get("index")
