"""One partition, driven as a task drives it, with a dict for its store: what is drafted, committed, lost.

Knows the protocol of engines and what a store is asked for. It has no transaction: a draft is committed or
lost as the test says.
"""

from collections.abc import Sequence

from tests.engines import MakeEngine
from worker.adapters.memory_store import MemoryStore
from worker.core.expiry import clock_ms
from worker.core.partitioner import Partitioning
from worker.core.state_codec import SCHEMA_VERSION, due_range
from worker.engine.protocol import Drafted, EngineOptions
from worker.model.events import InputRecord
from worker.model.records import ListedRecords
from worker.model.rules import Rules
from worker.model.state import Checkpoint, Meta
from worker.model.topics import OUTPUTS
from worker.task.stored_devices import stored_devices

REPARTITION_TOPIC = "g.repartition"
ALONE = Partitioning(partitions=1, repartitions=False)
_START = Meta(schema=SCHEMA_VERSION, incarnation="b2f1", raw_topic="events.raw", next_offsets={})


class DrivenEngine:
    """An engine of partition 0 and its store. ``meta`` is what is committed; a draft is always open."""

    def __init__(self, make_engine: MakeEngine, rules: Rules, partitioning: Partitioning = ALONE) -> None:
        self._rules = rules
        self.store = MemoryStore()
        self.meta = _START
        self.engine = make_engine(
            EngineOptions(
                partition=0,
                rules=rules,
                partitioning=partitioning,
                output_partitions=dict.fromkeys(OUTPUTS, 3),
                repartition_topic=REPARTITION_TOPIC,
            )
        )
        self.engine.begin(self.meta)

    def take(self, records: Sequence[InputRecord], most_bytes: int = 1 << 20) -> None:
        """Process all of the records, in steps of so many bytes."""
        taken, place = ListedRecords(records), 0
        while place < len(taken):
            reading = self.engine.read(taken, place, most_bytes)
            self.engine.step(stored_devices(self.store, reading.unknown))
            place = reading.end

    def run_timers(self, now_ms: int) -> None:
        """Run the timers that are due; before any record of the draft."""
        fired = self.store.keys(*due_range("close", now_ms), 10_000)
        fired += self.store.keys(*due_range("expire", clock_ms(self.meta.expiry, self._rules)), 10_000)
        unknown = self.engine.due(fired)
        self.engine.run_timers(stored_devices(self.store, unknown), now_ms)

    def commit(self, capacity: int = 1_000) -> Drafted:
        """Commit the draft, and begin another."""
        drafted = self.engine.draft({})
        checkpoint = Checkpoint(schema=SCHEMA_VERSION, incarnation="", changelog_offset=0, written_at_ms=0)
        self.store.write([*drafted.states, *drafted.timers], checkpoint)
        self.meta = drafted.meta
        self.engine.committed(capacity)
        self.engine.begin(self.meta)
        return drafted

    def lose(self) -> Drafted:
        """Lose the draft, and begin another on what was committed before."""
        drafted = self.engine.draft({})
        self.engine.abandon()
        self.engine.begin(self.meta)
        return drafted
