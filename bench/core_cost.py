"""What each stage of the worker costs in memory, without a broker: where to look before changing anything.

The stages are the calls of the engine (``worker.engine.protocol``) and what the task does between them; the
code under measurement is the worker's own. Records are taken as a task takes them: steps of 256 KiB, drafts
of 4,000 events. Measured is the CPU time of this process, the
least of several passes; beside it stands the naive script's own loop over the same values, so that figures of
different machines and minutes can be compared as ratios.
"""

import argparse
import time
from collections.abc import Sequence

from aiokafka.producer.message_accumulator import BatchBuilder
from msgspec import json
from rich import box
from rich.console import Console
from rich.table import Table

from bench.naive import Device, enrich
from testing.events import Shape, records
from worker.adapters.memory_store import MemoryStore
from worker.core.partitioner import Partitioning
from worker.core.state_codec import SCHEMA_VERSION
from worker.engine.protocol import Engine, EngineOptions
from worker.engine.readable import ReadableEngine
from worker.model.events import PlainRecord
from worker.model.output_records import Outgoing
from worker.model.outputs import OutputRecord
from worker.model.records import ListedRecords, Records
from worker.model.rules import Rules
from worker.model.state import Checkpoint, Meta, StateRecord
from worker.model.topics import OUTPUTS
from worker.task.stored_devices import stored_devices

TOPIC = "raw"
STEP_BYTES = 256 * 1024
FETCHED_RECORDS = 1_000
DRAFT_EVENTS = 4_000
BATCH_BYTES = 512 * 1024
REMEMBERED_DEVICES = 128 * 1024
STAGES = ("read", "store", "step", "draft", "append", "committed")


class Stopwatch:
    """CPU seconds by stage."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._last = time.process_time()

    def start(self) -> None:
        """What was done since the last stage counts for none."""
        self._last = time.process_time()

    def stop(self, stage: str) -> None:
        """What was done since counts for this stage."""
        now = time.process_time()
        self.seconds[stage] += now - self._last
        self._last = now


class Pass:
    """A task's steps and commits, each stage timed. Nothing is sent; the store is a dict."""

    def __init__(self, rules: Rules) -> None:
        self.watch = Stopwatch()
        self._store = MemoryStore()
        options = EngineOptions(
            partition=0,
            rules=rules,
            partitioning=Partitioning(partitions=1, repartitions=False),
            output_partitions=dict.fromkeys(OUTPUTS, 1),
        )
        self._engine: Engine = ReadableEngine(options)
        self._engine.begin(Meta(schema=SCHEMA_VERSION, incarnation="", raw_topic=TOPIC, next_offsets={}))
        self._next_offset = 0

    def run(self, load: Sequence[PlainRecord]) -> None:
        """Take all of it, a fetch at a time."""
        for start in range(0, len(load), FETCHED_RECORDS):
            records = ListedRecords(load[start : start + FETCHED_RECORDS])
            place = 0
            while place < len(records):
                place = self._step(records, place)
                if self._engine.counters.events >= DRAFT_EVENTS:
                    self._commit()
        self._commit()

    def _step(self, records: Records, place: int) -> int:
        watch, engine = self.watch, self._engine
        watch.start()
        reading = engine.read(records, place, STEP_BYTES)
        watch.stop("read")
        found = stored_devices(self._store, reading.unknown)
        watch.stop("store")
        engine.step(found)
        watch.stop("step")
        self._next_offset = reading.next_offset
        return reading.end

    def _commit(self) -> None:
        watch, engine = self.watch, self._engine
        watch.start()
        drafted = engine.draft({TOPIC: self._next_offset})
        watch.stop("draft")
        for outgoing in drafted.outgoing:
            _append(outgoing)
        _append([(key, value, None) for key, value in drafted.states])
        watch.stop("append")
        self._write([*drafted.states, *drafted.timers])
        watch.start()
        engine.committed(REMEMBERED_DEVICES)
        engine.begin(drafted.meta)
        watch.stop("committed")

    def _write(self, changed: list[StateRecord]) -> None:
        checkpoint = Checkpoint(schema=SCHEMA_VERSION, incarnation="", changelog_offset=0, written_at_ms=0)
        self._store.write(changed, checkpoint)


def _append(outputs: Outgoing | Sequence[OutputRecord]) -> None:
    batch = BatchBuilder(BATCH_BYTES, 0, is_transactional=True)
    for key, value, timestamp_ms in outputs:
        if batch.append(timestamp=timestamp_ms, key=key, value=value) is None:
            batch = BatchBuilder(BATCH_BYTES, 0, is_transactional=True)
            batch.append(timestamp=timestamp_ms, key=key, value=value)


def naive_seconds(load: Sequence[PlainRecord]) -> float:
    """CPU seconds of the naive script's loop: decode, a dict, encode; it sends nothing either."""
    decode, encode = json.Decoder().decode, json.Encoder().encode
    devices: dict[bytes | None, Device] = {}
    began = time.process_time()
    for record in load:
        device = devices.get(record.key)
        if device is None:
            device = devices[record.key] = Device()
        for event in decode(record.value or b""):
            enrich(device, event)
            encode(event)
    return time.process_time() - began


def stage_costs(
    events: int, events_per_record: int, devices: int, passes: int, rules: Rules
) -> dict[str, float]:
    """Microseconds an event by stage, their sum, and the naive loop; of each the least that a pass took."""
    shape = Shape(events=events, events_per_record=events_per_record, devices=devices)
    load = [
        PlainRecord(TOPIC, 0, offset, record.timestamp, record.key, record.value)
        for offset, record in enumerate(records(shape))
    ]
    half = len(load) // 2
    seen: list[dict[str, float]] = []
    for _ in range(passes):
        measured = Pass(rules)
        measured.run(load[:half])  # most devices are known from then on, as they are in production
        measured.watch = Stopwatch()
        measured.run(load[half:])
        seconds = measured.watch.seconds
        seen.append({**seconds, "all": sum(seconds.values()), "naive": naive_seconds(load[half:])})
    return {stage: 1e6 * min(one[stage] for one in seen) / (events // 2) for stage in seen[0]}


def table(costs: dict[str, dict[str, float]]) -> Table:
    """A row a stage, a column a job."""
    result = Table(box=box.MARKDOWN)
    result.add_column("us CPU an event")
    for job in costs:
        result.add_column(job, justify="right")
    for stage in next(iter(costs.values())):
        result.add_row(stage, *(f"{cost[stage]:.2f}" for cost in costs.values()))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.core_cost", description="Measure the stages alone."
    )
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument(
        "--devices", type=int, default=12_500, help="default: a quarter, as one of 4 partitions"
    )
    parser.add_argument("--passes", type=int, default=3)
    options = parser.parse_args()
    peers = Rules(publish_sessions=False, publish_identities=False)
    costs = {
        f"{job}, {size} a record": stage_costs(options.events, size, options.devices, options.passes, rules)
        for job, rules in (("peers", peers), ("default", Rules()))
        for size in (20, 1)
    }
    Console(width=110).print(table(costs))


if __name__ == "__main__":
    main()
