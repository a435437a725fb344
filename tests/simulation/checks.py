"""The promises of exactly-once, each as a check of what the broker holds against an undisturbed run.

With one partition the run reads the raw log. With more, events reach the partition of their device in an
order that only its output shows (``arrival_order``). Knows nothing of faults or tasks. A broken promise
raises ``BrokenPromiseError``.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from tests.simulation.arrival_order import arrival_order, events_by_name
from tests.simulation.broken_promise import BrokenPromiseError
from tests.simulation.broker import Broker, TopicPartition, TransactionUnit
from tests.simulation.output_partitions import OutputPartitions
from tests.simulation.reference import Reference, dead_letters_of
from tests.simulation.sent_elements import Place, Sent
from tests.simulation.store import Disk, apply
from tests.simulation.timer_checks import check_armed, check_streams, check_timers, unexpired
from tests.simulation.topics import RULES
from tests.simulation.traffic import name_of
from tests.simulation.transaction_checks import check_transactions, committed_transactions
from worker.core.expiry import clock_ms
from worker.core.state_codec import META_KEY, decode_meta
from worker.model.outputs import OutputRecord
from worker.model.state import Meta
from worker.model.topics import OUTPUTS
from worker.task.layout import TaskTopics

ProcessedAfter = Callable[[TransactionUnit, Meta], int]
"""How many of the reference's records a task has processed when a transaction is committed."""

FullyRead = Iterable[tuple[int, tuple[int, ...]]]


def check_all(
    broker: Broker,
    topics: TaskTopics,
    output_partitions: OutputPartitions,
    sent: Sent,
    disks: Iterable[tuple[int, Disk]],
    fully_read: FullyRead,
) -> None:
    """Check every promise, once everything is consumed and all workers have stopped."""
    check_conservation(broker, topics, sent)
    check_transactions(broker, topics, sent)
    check_offsets(broker, topics, sent)
    events = events_by_name(sent)
    for partition in sent.partitions:
        taken: ProcessedAfter
        if len(sent.partitions) == 1:
            records = sent.records[partition]
            taken = _by_offset(topics, [record.offset for record in records])
        else:
            records = arrival_order(broker, topics, partition, events)
            taken = _by_output(broker, topics, partition)
        reference = Reference(records)
        # Dead letters stay where their raw record is, whatever the order of arrival.
        expected = reference.outputs | {"dead_letters": dead_letters_of(sent.records[partition])}
        for role, spec in OUTPUTS.items():
            if spec.cleanup == "delete":
                _same_records(broker, output_partitions, topics.outputs[role], partition, expected[role])
        check_state(broker, topics, partition, reference, taken)
        check_streams(broker, topics, partition, RULES, reference.outputs, fully_read)
    for partition, disk in disks:
        check_store(broker, (topics.changelog, partition), disk)


def _same_records(
    broker: Broker,
    output_partitions: OutputPartitions,
    topic: str,
    partition: int,
    expected: Sequence[OutputRecord],
) -> None:
    """P1: outputs are those of the undisturbed run, in order and byte for byte, where they belong."""
    by_place: dict[TopicPartition, list[OutputRecord]] = {}
    for record in expected:
        by_place.setdefault((topic, output_partitions.of(topic, partition, record[0])), []).append(record)
    places = {place for place, _ in broker.written(topic, partition)} | by_place.keys()
    for place in sorted(places):
        _same_order(place, broker.committed_records(place), by_place.get(place, []))


def _same_order(
    place: TopicPartition, found: Sequence[OutputRecord], expected: Sequence[OutputRecord]
) -> None:
    if found != expected:
        at = next((i for i, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), len(found))
        raise BrokenPromiseError(
            f"P1 equality: {place} has {len(found)} records, expected {len(expected)}; at {at}: "
            f"{found[at : at + 1]} instead of {expected[at : at + 1]}"
        )


def check_state(
    broker: Broker, topics: TaskTopics, partition: int, reference: Reference, taken: ProcessedAfter
) -> None:
    """P2: after every transaction the changelog holds the state of the undisturbed run at the same place.

    Sessions that timers closed and devices that expired are left out.
    """
    content: dict[bytes, bytes] = {}
    expected: dict[bytes, bytes] = {}
    done = 0
    for offset, entry in broker.history((topics.changelog, partition)):
        assert entry.record is not None
        key, value, _ = entry.record
        assert key is not None
        apply(content, [(key, value)])
        if key != META_KEY:
            continue
        assert entry.unit is not None
        what = f"partition {partition}: the changelog below {offset + 1}"
        meta = decode_meta(value or b"")
        now = taken(entry.unit, meta)
        for change in reference.changes[done:now]:
            expected.update(change)
        done = now
        _same_content(
            f"P2 state: {what}",
            unexpired(content, clock_ms(meta.expiry, RULES), RULES),
            unexpired(expected, clock_ms(meta.expiry, RULES), RULES),
        )
        check_armed(what, content, RULES)
        clocks = meta.watermark_ms, meta.expiry
        if clocks != reference.clocks[done]:
            raise BrokenPromiseError(
                f"P2 state: {what}: watermark and expiry clock {clocks}, expected {reference.clocks[done]}"
            )


def _by_offset(topics: TaskTopics, offsets: Sequence[int]) -> ProcessedAfter:
    """For a reference of raw records: how many are below the offset that the task has committed."""
    return lambda _, meta: bisect_left(offsets, meta.next_offsets[topics.raw])


def _by_output(broker: Broker, topics: TaskTopics, partition: int) -> ProcessedAfter:
    """For a reference of single events: how many are enriched so far."""
    outputs = Counter(id(entry.unit) for _, entry in broker.written(topics.outputs["enriched"], partition))
    sums: dict[int, int] = {}
    total = 0
    for unit, _ in committed_transactions(broker, topics, partition):
        total += outputs[id(unit)]
        sums[id(unit)] = total
    return lambda unit, _: sums[id(unit)]


def check_store(broker: Broker, changelog: TopicPartition, disk: Disk) -> None:
    """P2: a store holds exactly what the changelog holds, or held before compaction, below its checkpoint."""
    if disk.corrupt or not disk.writes:
        return
    end = disk.writes[-1][1].changelog_offset
    found = disk.content()
    expected: dict[bytes, bytes] = {}
    for offset, entry in broker.history(changelog):
        assert entry.record is not None
        key, value, _ = entry.record
        assert key is not None
        # A compacted record may be missing in this store, which read later: a newer value follows.
        if offset < end and (found.get(key) == value or not entry.compacted):
            apply(expected, [(key, value)])
    what = f"a store at {end} of {changelog}"
    _same_content(f"P2 state: {what}", _without_timers(found), expected)
    check_timers(what, found)


def check_offsets(broker: Broker, topics: TaskTopics, sent: Sent) -> None:
    """P3: the group's committed offsets are the meta records', and the ends of the inputs."""
    for partition, expected in sent.next_offsets(broker).items():
        in_meta: dict[str, int] = {}
        for unit, meta in committed_transactions(broker, topics, partition):
            in_meta = meta.next_offsets
            if unit.group_offsets != {(topic, partition): offset for topic, offset in in_meta.items()}:
                raise BrokenPromiseError(
                    f"P3 offsets: a transaction has {unit.group_offsets} for the group, in its meta {in_meta}"
                )
        in_group = {topic: n for (topic, number), n in broker.group_offsets.items() if number == partition}
        if not in_meta == in_group == expected:
            raise BrokenPromiseError(
                f"P3 offsets: partition {partition}: meta record {in_meta}, group {in_group}, "
                f"inputs end at {expected}"
            )


def check_conservation(broker: Broker, topics: TaskTopics, sent: Sent) -> None:
    """P4: each element that was sent has exactly one outcome."""
    outcomes: Counter[str | Place] = Counter()
    for partition in sent.partitions:
        for _, entry in broker.written(topics.outputs["enriched"], partition):
            outcomes[name_of(entry.decoded())] += 1
        for _, entry in broker.written(topics.outputs["dead_letters"], partition):
            letter = entry.decoded()
            outcomes[letter["partition"], letter["offset"], letter.get("index")] += 1
    expected = Counter(element.name or element.place for element in sent.all_elements())
    if outcomes != expected:
        lost, made_up = dict(expected - outcomes), dict(outcomes - expected)
        raise BrokenPromiseError(f"P4 conservation: lost {lost}, repeated or made up {made_up}")


def _without_timers(content: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    return {key: value for key, value in content.items() if not key.startswith(b"t")}


def _same_content(what: str, found: Mapping[bytes, bytes], expected: Mapping[bytes, bytes]) -> None:
    if found != expected:
        keys = sorted(key for key in {*found, *expected} if found.get(key) != expected.get(key))
        raise BrokenPromiseError(
            f"{what}: {len(keys)} keys differ, first {keys[0]!r}: "
            f"{found.get(keys[0])!r} instead of {expected.get(keys[0])!r}"
        )
