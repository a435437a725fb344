"""The composition root for files: raw records from files go through the same core, without Kafka.

Decides when states are committed to the store, and what is counted. Knows no rule of events or sessions, and
no format of files. Invariants: the same files in the same order give the same output, byte for byte; the
output is that of ``run`` for the same records; memory does not grow with the input.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct, field

from worker.adapters.file_lines import LineFile
from worker.adapters.file_records import longest_line_bytes, record_on
from worker.adapters.files import LinesOut
from worker.adapters.stores import Stores
from worker.config import Config
from worker.core.decode import KEPT_OF_TOO_LARGE_BYTES
from worker.core.partitioner import Partitioning
from worker.core.state_codec import SCHEMA_VERSION, hot_key, timer_key
from worker.engine.protocol import Counters, Engine, EngineOptions
from worker.engine.readable import ReadableEngine
from worker.errors import Fatal, StateCorrupted
from worker.model.events import InputRecord, Rejection
from worker.model.output_records import Outgoing
from worker.model.records import ListedRecords, Records
from worker.model.state import Checkpoint, Meta, StateRecord
from worker.model.topics import OUTPUTS
from worker.ports import StateStore
from worker.task.commit_policy import CommitPolicy, MemoryBudget
from worker.task.session_share import add_types, most_frequent
from worker.task.stored_devices import stored_devices
from worker.task.timers import TIMERS_A_DRAFT

OUTPUT_FILES = [spec.file_name for spec in OUTPUTS.values()]

# Last records are in the store until the end, so that memory does not grow with the input.
_UPSERTS = {role: f"{role}/".encode() for role, spec in OUTPUTS.items() if spec.cleanup == "compact"}
"""Compacted outputs with the prefix of their records' keys in the store."""

_KEYS_A_PAGE = 1_000
_NEVER_MS = 2**53
_STEP_BYTES = 256 * 1024
_DRAFT_BYTES = 8 * 1024 * 1024  # 4,000 values that are refused whole would be any size
_NO_META = Meta(schema=SCHEMA_VERSION, incarnation="", raw_topic="", next_offsets={})


class UnusableFilesError(Exception):
    """The files cannot be used, and nothing was done. ``lines`` has one line for each fault. Exit code 2."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class Figures(Struct):
    """Counts of one replay. ``dead_letters`` by reason; ``devices_linked``: devices that have a user.

    ``types_without_session``: the most frequent types of events that are in no session.
    """

    records: int = 0
    events: int = 0
    enriched: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    sessions: int = 0
    sessions_merged: int = 0
    devices: int = 0
    devices_linked: int = 0
    duplicates_flagged: int = 0
    duplicates_dropped: int = 0
    events_without_session: int = 0
    types_without_session: Counter[str] = field(default_factory=Counter)

    def most_frequent_without_session(self) -> dict[str, int]:
        """Of the events in no session the most frequent types, as they are shown."""
        return most_frequent(self.types_without_session)


def check_files(paths: Sequence[Path], output: Path, *, overwrite: bool) -> int:
    """The size of the input in bytes, without pipes. Creates the output directory.

    Raises UnusableFilesError with every fault: input that cannot be read, output files that exist.
    """
    lines = []
    size_bytes = 0
    for path in paths:
        try:
            if path.is_fifo():  # opening it here would take its data from the replay
                continue
            with path.open("rb"):
                size_bytes += path.stat().st_size
        except OSError as error:
            lines.append(f"{path}: cannot be read: {error.strerror}")
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output):
            pass
    except OSError as error:
        lines.append(f"{output}: cannot be written into: {error.strerror}")
    for name in OUTPUT_FILES:
        path = output / name
        if path.exists():
            if any(given.exists() and given.samefile(path) for given in paths):
                lines.append(f"{path}: is input too: name another output directory")
            elif not overwrite:
                lines.append(f"{path}: exists already: name another directory, or use --overwrite")
    if lines:
        raise UnusableFilesError(lines)
    return size_bytes


async def replay(
    config: Config, paths: Sequence[Path], output: Path, *, progress: Callable[[int], None]
) -> Figures:
    """Turn the records of the files, in the order given, into files in ``output``, which must exist.

    ``progress`` is called with the bytes read so far. Raises Fatal where a file is damaged or the disk is
    full; then there is no output.
    """
    with (
        LinesOut(output, OUTPUT_FILES) as outputs,
        tempfile.TemporaryDirectory(prefix=".sessionizer-state-", dir=output) as state_directory,
    ):
        stores = Stores(config.state)
        store = stores.at(Path(state_directory) / "store")
        try:
            await store.open()
            replaying = _Replay(config, store, outputs, MemoryBudget(stores.live_states_bytes, 0))
            for step in _steps(config, paths):
                replaying.process(step)
                progress(step.read_bytes)
            replaying.end()
        except StateCorrupted as error:
            raise Fatal(f"the temporary state is unreadable, the disk may be failing: {error}") from error
        finally:
            await store.close()
        outputs.complete()
    return replaying.figures


class _Step(NamedTuple):
    """Some records of one file, and the bytes of all files that were read up to them."""

    records: Records
    read_bytes: int


class _Replay:
    """Turns records into states and outputs, draft by draft, as a partition task does."""

    def __init__(self, config: Config, store: StateStore, outputs: LinesOut, budget: MemoryBudget) -> None:
        self.figures = Figures()
        self._store = store
        self._outputs = outputs
        self._budget = budget
        self._max_events = CommitPolicy().events
        self._commits = 0
        options = EngineOptions(
            partition=0,
            rules=config.rules,
            partitioning=Partitioning(partitions=1, repartitions=False),
            output_partitions=dict.fromkeys(OUTPUTS, 1),
        )
        self._engine: Engine = ReadableEngine(options)
        self._engine.begin(_NO_META)

    def process(self, step: _Step) -> None:
        """Add a step to the draft, and commit it when it is full."""
        place = 0
        while place < len(step.records):
            reading = self._engine.read(step.records, place, _STEP_BYTES)
            self._engine.step(stored_devices(self._store, reading.unknown))
            place = reading.end
        if self._engine.counters.fullness(self._max_events, _DRAFT_BYTES, TIMERS_A_DRAFT) >= 1:
            self.commit()

    def commit(self) -> None:
        """Write the draft: outputs to their files, states to the store."""
        drafted = self._engine.draft({})
        upserts: list[StateRecord] = []
        for outgoing in drafted.outgoing:
            role = outgoing.role
            if role in _UPSERTS:
                upserts += [(_UPSERTS[role] + (key or b""), value) for key, value, _ in outgoing]
            else:
                self._outputs.write(OUTPUTS[role].file_name, _values(outgoing))
        self._commits += 1
        checkpoint = Checkpoint(
            schema=SCHEMA_VERSION, incarnation="", changelog_offset=self._commits, written_at_ms=0
        )
        self._store.write([*drafted.states, *upserts], checkpoint)
        self._engine.committed(self._budget.devices_per_task)
        self._count(drafted.counters)
        self._engine.begin(drafted.meta)

    def _count(self, counters: Counters) -> None:
        figures = self.figures
        figures.records += counters.records
        figures.events += counters.events
        figures.enriched += counters.enriched
        figures.dead_letters += counters.dead_letters_by_reason
        figures.sessions += counters.sessions_opened
        figures.devices += counters.devices_added
        figures.devices_linked += counters.devices_identified
        figures.events_without_session += counters.without_session.total()
        add_types(figures.types_without_session, counters.without_session)
        figures.duplicates_flagged += counters.duplicates_flagged
        figures.duplicates_dropped += counters.duplicates_dropped

    def end(self) -> None:
        """Commit the last draft, close every session, and write the last records of sessions and devices.

        At the end of time a timer of every device has fired.
        """
        self.commit()
        for keys in self._pages(hot_key("")):
            unknown = self._engine.due([timer_key("close", _NEVER_MS, key[1:]) for key in keys])
            self._engine.run_timers(stored_devices(self._store, unknown), _NEVER_MS)
            self.commit()
        for role, prefix in _UPSERTS.items():
            for keys in self._pages(prefix):
                values = [self._store.get(key) or b"" for key in keys]
                self._outputs.write(OUTPUTS[role].file_name, values)
                if role == "sessions":
                    self.figures.sessions_merged += sum(b'"status":"merged"' in value for value in values)

    def _pages(self, prefix: bytes) -> Iterator[list[bytes]]:
        """The store's keys with the prefix, in order, some at a time."""
        start, end = prefix, prefix[:-1] + bytes([prefix[-1] + 1])
        while keys := self._store.keys(start, end, _KEYS_A_PAGE):
            yield keys
            start = keys[-1] + b"\0"


def _steps(config: Config, paths: Sequence[Path]) -> Iterator[_Step]:
    """The records of all files in their order, some at a time."""
    names = Counter(path.name for path in paths)
    max_bytes = longest_line_bytes(config.input.max_value_bytes)
    files_bytes = 0
    for path in paths:
        topic = path.name if names[path.name] == 1 else str(path)
        records: list[InputRecord] = []
        refusals: dict[int, Rejection] = {}
        size_bytes = 0
        with LineFile(path, max_bytes, KEPT_OF_TOO_LARGE_BYTES) as file:
            for offset, line in enumerate(file):
                record = record_on(line, topic, offset, max_bytes)
                if record.refusal is not None:
                    refusals[len(records)] = record.refusal
                records.append(record)
                size_bytes += len(line.text)
                if size_bytes >= _STEP_BYTES:
                    yield _Step(ListedRecords(records, refusals), files_bytes + file.position_bytes)
                    records, refusals, size_bytes = [], {}, 0
            files_bytes += file.position_bytes
        if records:
            yield _Step(ListedRecords(records, refusals), files_bytes)


def _values(outgoing: Outgoing) -> Iterator[bytes]:
    return (value for _, value, _ in outgoing if value is not None)
