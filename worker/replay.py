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
from worker.adapters.file_records import FileRecord, longest_line_bytes, record_on
from worker.adapters.files import LinesOut
from worker.adapters.stores import Stores
from worker.config import Config
from worker.core.closing import run_timers
from worker.core.decode import KEPT_OF_TOO_LARGE_BYTES, Decoder
from worker.core.encode import encode_step
from worker.core.expiry import clock_ms
from worker.core.pipeline import DecodedRecords, decode_records, process
from worker.core.state_codec import SCHEMA_VERSION, hot_key
from worker.errors import Fatal, StateCorrupted
from worker.model.events import DecodedValue
from worker.model.outputs import OutputRecord
from worker.model.state import Checkpoint, Meta
from worker.model.topics import OUTPUTS
from worker.ports import StateRecord, StateStore
from worker.task.commit_policy import CommitPolicy, MemoryBudget
from worker.task.device_cache import DeviceCache
from worker.task.draft import Draft
from worker.task.session_share import add_types, most_frequent
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

    records: Sequence[FileRecord]
    read_bytes: int


class _Replay:
    """Turns records into states and outputs, draft by draft, as a partition task does."""

    def __init__(self, config: Config, store: StateStore, outputs: LinesOut, budget: MemoryBudget) -> None:
        self.figures = Figures()
        self._rules = config.rules
        self._decoder = Decoder(config.input, config.identity)
        self._store = store
        self._outputs = outputs
        self._max_events = CommitPolicy().events
        self._devices = DeviceCache(store, budget)
        self._commits = 0
        self._draft = Draft(_NO_META, 0.0)

    def process(self, step: _Step) -> None:
        """Add a step to the draft, and commit it when it is full."""
        draft = self._draft
        decoded = self._decoded(step.records)
        states = self._devices.states_of(decoded.device_ids, draft.states)
        result = process(decoded, states, draft.watermark_ms, draft.expiry, self._rules)
        last = step.records[-1]
        draft.add_step(last.topic, last.offset + 1, len(step.records), result, encode_step(result))
        for device_id, state in result.states.items():
            before = states.get(device_id)
            self.figures.devices += before is None
            self.figures.devices_linked += bool(state.timeline.links) and not (
                before and before.timeline.links
            )
        if draft.is_full(self._max_events, _DRAFT_BYTES, TIMERS_A_DRAFT):
            self.commit()

    def _decoded(self, records: Sequence[FileRecord]) -> DecodedRecords:
        if all(record.refusal is None for record in records):
            return decode_records(records, self._decoder)
        decode = self._decoder.decode
        values = [
            decode(record.value) if record.refusal is None else DecodedValue((), (record.refusal,))
            for record in records
        ]
        device_ids = frozenset([event.device_id for value in values for event in value.events])
        return DecodedRecords(records, values, device_ids)

    def commit(self) -> None:
        """Write the draft: outputs to their files, states to the store."""
        draft = self._draft
        upserts: list[StateRecord] = []
        for role, spec in OUTPUTS.items():
            records = draft.outputs(role)
            if role in _UPSERTS:
                upserts += [(_UPSERTS[role] + (key or b""), value) for key, value, _ in records]
            else:
                self._outputs.write(spec.file_name, _values(records))
        self._commits += 1
        checkpoint = Checkpoint(
            schema=SCHEMA_VERSION, incarnation="", changelog_offset=self._commits, written_at_ms=0
        )
        self._store.write([*draft.state_records(), *upserts], checkpoint)
        self._devices.keep(draft.committed_states())
        figures = self.figures
        figures.records += draft.records
        figures.events += draft.events
        figures.enriched += len(draft.outputs("enriched"))
        figures.dead_letters += draft.dead_letters_by_reason
        figures.sessions += draft.sessions_opened
        figures.events_without_session += draft.without_session.total()
        add_types(figures.types_without_session, draft.without_session)
        figures.duplicates_flagged += draft.duplicates_flagged
        figures.duplicates_dropped += draft.duplicates_dropped
        self._draft = Draft(draft.meta(), 0.0)

    def end(self) -> None:
        """Commit the last draft, close every session, and write the last records of sessions and devices."""
        self.commit()
        for keys in self._pages(hot_key("")):
            device_ids = [key[1:].decode() for key in keys]
            states = self._devices.states_of(device_ids, {})
            result = run_timers(states, clock_ms(self._draft.expiry, self._rules), _NEVER_MS, self._rules)
            self._draft.add_timers(result, publish_identities=self._rules.publish_identities)
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
        records: list[FileRecord] = []
        size_bytes = 0
        with LineFile(path, max_bytes, KEPT_OF_TOO_LARGE_BYTES) as file:
            for offset, line in enumerate(file):
                records.append(record_on(line, topic, offset, max_bytes))
                size_bytes += len(line.text)
                if size_bytes >= _STEP_BYTES:
                    yield _Step(records, files_bytes + file.position_bytes)
                    records, size_bytes = [], 0
            files_bytes += file.position_bytes
        if records:
            yield _Step(records, files_bytes)


def _values(records: Sequence[OutputRecord]) -> Iterator[bytes]:
    return (value for _, value, _ in records if value is not None)
