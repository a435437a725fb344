"""Traffic whose keys say nothing, and the promises for it.

Batches of several devices, under random keys and under none, over all partitions. The order in which a
device's events reach its partition is then not known before; the order that the outputs show must be possible
(what came through one raw partition is in its order), and given that order all else must follow: every event
once, where its device belongs, with the sessions and users of the pure core.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition
from msgspec import json

from tests.chaos.deployment import Deployment
from tests.chaos.promises import (
    UPSERTS,
    Expected,
    Verdict,
    closed_sessions,
    compacted,
    compare,
    compare_offsets,
    compare_state,
    compare_upserts,
    expect_decoded,
)
from tests.chaos.sent import Place, Sent
from tests.chaos.topics import committed_offsets, end_offsets, read_all
from worker.adapters.rocksdb_store import RocksDBMemory, RocksDBStore
from worker.config import Config
from worker.core.partitioner import Partitioning
from worker.core.pipeline import DecodedRecords
from worker.core.state_codec import META_KEY
from worker.demo.traffic import RawRecord
from worker.errors import StateCorrupted
from worker.model.events import DecodedValue, Event

_RECORDS_A_STEP = 100


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


async def verdict_once_all_is_read(deployment: Deployment) -> Verdict:
    """Wait until nothing is left to read, and compare."""
    await deployment.caught_up()
    return await check_any_key(deployment.config)


async def check_any_key(
    config: Config,
    state_directories: Sequence[Path] = (),
    raw: Mapping[int, Sequence[ConsumerRecord]] | None = None,
) -> Verdict:
    """Read everything and compare. Everything must have been read, and every session be closed, or the
    workers still run.

    ``state_directories`` of workers that have stopped: their stores must hold what the changelog holds.
    ``raw``: all that the raw topic ever held, by partition, where records of it were deleted.
    """
    servers = config.kafka.bootstrap_servers
    verdict = Verdict()
    if raw is None:
        raw = await read_all(servers, config.topics.raw)
    committed = await committed_offsets(servers, config.kafka.group_id)
    partitioning = Partitioning(partitions=len(raw), partitioner=config.input.partitioner)
    sent = Sent(config)
    for number, records in raw.items():
        letters = sent.take(number, records)
        found = (await read_all(servers, config.topics.dead_letters, number))[number]
        compare(verdict, f"P1 dead_letters, partition {number}", found, letters)
        verdict.dead_letters += len(found)
    for number in raw:
        # No name for it here: an hour's partition is gigabytes, and must be freed before the next is read.
        await _check_what_follows(
            config,
            number,
            await _check_enriched(config, number, sent, partitioning, verdict),
            committed,
            state_directories,
            verdict,
        )
    if sent.left or sent.unknown:
        verdict.broken.append(f"P4: {sent.left} events lost, {sent.unknown} repeated or made up")
    verdict.events = verdict.enriched + verdict.dead_letters
    return verdict


async def _check_enriched(
    config: Config, number: int, sent: Sent, partitioning: Partitioning, verdict: Verdict
) -> Expected:
    """Compare the enriched events of one partition; what a run over them, in their order, comes to."""
    enriched = (await read_all(config.kafka.bootstrap_servers, config.topics.enriched, number))[number]
    arrived = _records(order_of_arrival(enriched, sent, number, partitioning, verdict))
    steps = (arrived[start : start + _RECORDS_A_STEP] for start in range(0, len(arrived), _RECORDS_A_STEP))
    expected = expect_decoded(map(_decoded, steps), config)
    compare(verdict, f"P1 enriched, partition {number}", enriched, expected.kept["enriched"])
    verdict.enriched += len(enriched)
    verdict.devices += len(expected.states)
    verdict.sessions += expected.sessions
    return expected


async def _check_what_follows(
    config: Config,
    number: int,
    expected: Expected,
    committed: Mapping[TopicPartition, int],
    state_directories: Sequence[Path],
    verdict: Verdict,
) -> None:
    """Compare upserts, state, offsets and stores of one partition with that run."""
    servers = config.kafka.bootstrap_servers
    await closed_sessions(servers, config.topics.sessions, number)
    for role in UPSERTS:
        found = (await read_all(servers, config.topic_name(role), number))[number]
        compare_upserts(verdict, number, role, found, expected)
    changelog = (await read_all(servers, config.changelog_topic, number))[number]
    compare_state(verdict, number, changelog, expected)
    offsets = {
        topic: ((await end_offsets(servers, topic))[number], committed.get(TopicPartition(topic, number)))
        for topic in (config.topics.raw, config.repartition_topic)
    }
    compare_offsets(verdict, number, changelog, offsets)
    if state_directories:
        await compare_stores(verdict, number, changelog, state_directories)


def order_of_arrival(
    enriched: Sequence[ConsumerRecord], sent: Sent, number: int, partitioning: Partitioning, verdict: Verdict
) -> list[tuple[ConsumerRecord, Event]]:
    """The raw events in the order that the output shows, which must be a possible one."""
    arrived = []
    newest: dict[tuple[str, int], Place] = {}
    for record in enriched:
        event = json.decode(record.value)
        place = sent.seen(event["id"])
        if place is None:
            verdict.broken.append(f"P4 partition {number}: nobody sent {event['id']}, or not so often")
            continue
        device = event["device_id"]
        if partitioning.partition_of(device) != number:
            verdict.broken.append(f"P1 partition {number}: {device} does not belong here")
        before = newest.get((device, place[0]))
        if before is not None and before >= place:
            verdict.broken.append(f"P1 partition {number}: {device} has {place} after {before}")
        newest[device, place[0]] = place
        arrived.append(sent.at(place))
    return arrived


def _records(
    arrived: Iterable[tuple[ConsumerRecord, Event]],
) -> list[tuple[ConsumerRecord, list[Event]]]:
    """As they reached the partition: what it gets of a raw record comes in one record."""
    by_record = groupby(arrived, lambda each: (each[0].partition, each[0].offset))
    parts = (list(part) for _, part in by_record)
    return [(part[0][0], [event for _, event in part]) for part in parts]


def _decoded(arrived: Sequence[tuple[ConsumerRecord, list[Event]]]) -> DecodedRecords:
    """As if the records held nothing but these events, received when the raw ones were."""
    return DecodedRecords(
        [record for record, _ in arrived],
        [DecodedValue(events, []) for _, events in arrived],
        frozenset([event.device_id for _, events in arrived for event in events]),
    )


async def compare_stores(
    verdict: Verdict, number: int, changelog: Sequence[ConsumerRecord], directories: Sequence[Path]
) -> None:
    """P2: the store that its last owner left holds what the changelog holds, key by key.

    One that cannot be read was damaged by us, and says so: it would be wiped by the read that needs it.
    """
    if not changelog:
        return
    values = compacted(changelog)
    wanted = {key: value for key, value in values.items() if key != META_KEY}
    looked_at = 0
    for directory in directories:
        for path in directory.glob(f"*/partition-{number}"):
            store = RocksDBStore(path, RocksDBMemory(64 * 1024 * 1024))
            try:
                await store.open()
                checkpoint = store.checkpoint()
                if checkpoint is None or checkpoint.changelog_offset <= changelog[-1].offset:
                    continue
                held = _devices_in(store)
            except StateCorrupted:
                looked_at += 1
                continue
            finally:
                await store.close()
            looked_at += 1
            different = [key for key in held.keys() | wanted.keys() if held.get(key) != wanted.get(key)]
            if different:
                verdict.broken.append(
                    f"P2 partition {number}: {len(different)} records of {path} differ from the changelog, "
                    f"{different[0]!r}"
                )
    if not looked_at:
        verdict.broken.append(f"P2 partition {number}: no worker left a store that is up to date")


def _devices_in(store: RocksDBStore) -> dict[bytes, bytes | None]:
    ranges = ((b"c", b"d"), (b"h", b"i"))
    return {key: store.get(key) for first, end in ranges for key in store.keys(first, end, 2**31)}
