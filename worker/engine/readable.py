"""The engine in Python: the definition of every rule, one call after the other.

Decides in which order the parts of ``core`` are called, and what is remembered. Must not know stores,
transactions, policies or time. Invariants: the rules see the newest state of each device, the draft's before
a remembered one and that before the store's; outputs are encoded once, in the order of arrival.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from worker.core.closing import run_timers
from worker.core.decode import Decoder
from worker.core.encode import encode_step
from worker.core.expiry import clock_ms
from worker.core.pipeline import process
from worker.core.state_codec import device_of_timer
from worker.engine.device_cache import DeviceCache, stored_states
from worker.engine.draft import Draft
from worker.engine.input_stage import InputBatch, InputStage
from worker.engine.output_partitions import OutputPartitions
from worker.engine.protocol import ENOUGH_KEYS, Counters, Drafted, EngineOptions, Reading, StoredDevice
from worker.errors import StateCorrupted
from worker.model.output_records import Outgoing
from worker.model.records import Records
from worker.model.state import DeviceState, Meta


class _Read(Struct, frozen=True):
    """Records between ``read`` and ``step``."""

    records: int
    batch: InputBatch
    known: dict[str, DeviceState]
    unknown: Sequence[str]


class _Due(Struct, frozen=True):
    """Timers between ``due`` and ``run_timers``."""

    fired: Sequence[bytes]
    device_ids: Sequence[str]
    known: dict[str, DeviceState]
    unknown: Sequence[str]


class ReadableEngine:
    """Implements ``Engine``."""

    def __init__(self, options: EngineOptions, decoder: Decoder | None = None) -> None:
        """``decoder``: one that several engines share, by the same rules; else it makes its own."""
        rules = options.rules
        self._rules = rules
        self._input_stage = InputStage(options, decoder or Decoder(rules.input, rules.identity))
        self._output_partitions = OutputPartitions(
            options.partition, options.partitioning, options.output_partitions
        )
        self._devices = DeviceCache()
        self._draft: Draft | None = None
        self._read: _Read | None = None
        self._due: _Due | None = None

    def begin(self, base: Meta) -> None:
        """Begin a draft on top of ``base``."""
        self._draft, self._read, self._due = Draft(base), None, None

    @property
    def counters(self) -> Counters:
        """What the open draft holds up to here."""
        return self._open().counters

    # --- timers ---

    def due(self, fired: Sequence[bytes]) -> Sequence[str]:
        """Take the keys of timers that have fired."""
        try:
            device_ids = list(dict.fromkeys(map(device_of_timer, fired)))
        except ValueError as error:
            raise StateCorrupted(f"a timer's key does not decode: {error}") from error
        known, unknown = self._devices.known(device_ids, self._open().states)
        self._due = _Due(fired, device_ids, known, unknown)
        return unknown

    def run_timers(self, found: Sequence[StoredDevice | None], now_ms: int) -> None:
        """Close sessions and expire devices, in the order in which their timers fired."""
        draft, due, self._due = self._open(), self._due, None
        assert due is not None, "timers run without due"
        states = due.known | stored_states(due.unknown, found)
        in_order = {device_id: states[device_id] for device_id in due.device_ids if device_id in states}
        result = run_timers(in_order, clock_ms(draft.expiry, self._rules), now_ms, self._rules)
        result.fired = due.fired
        draft.add_timers(result, publish_identities=self._rules.publish_identities)

    # --- records ---

    def read(self, records: Records, start: int, most_bytes: int) -> Reading:
        """Decode some records, and look up what is remembered of their devices."""
        end = records.end_of(start, most_bytes)
        draft = self._open()
        batch = self._input_stage.process(records, start, end, ENOUGH_KEYS - draft.counters.misplaced_keys)
        known, unknown = self._devices.known(batch.decoded.device_ids, draft.states)
        self._read = _Read(end - start, batch, known, unknown)
        last_offset = records.last_offset if end == len(records) else records.between(end - 1, end)[0].offset
        return Reading(unknown, end, last_offset + 1)

    def step(self, found: Sequence[StoredDevice | None]) -> None:
        """Apply the rules to what was read, and add what comes of it to the draft."""
        draft, read, self._read = self._open(), self._read, None
        assert read is not None, "step without read"
        states = read.known | stored_states(read.unknown, found) if read.unknown else read.known
        batch = read.batch
        result = process(batch.decoded, states, draft.watermark_ms, draft.expiry, self._rules)
        draft.add_step(read.records, result, encode_step(result))
        draft.add_repartitioned(batch.to_repartition)
        draft.counters.misplaced_keys += batch.misplaced_keys
        draft.counters.explained_keys += batch.explained_keys
        # Where they were repartitioned: as they were first received.
        draft.note_received([record.timestamp for record in batch.decoded.records])

    # --- the transaction ---

    def draft(self, next_offsets: Mapping[str, int]) -> Drafted:
        """All that the transaction writes."""
        draft, partitions = self._open(), self._output_partitions
        meta = draft.meta(next_offsets)
        outgoing: list[Outgoing] = []
        for role in partitions.roles:
            outgoing += partitions.parts(role, draft.outputs(role))
        return Drafted(
            meta=meta,
            outgoing=outgoing,
            leaving=draft.to_repartition,
            states=draft.state_records(meta),
            timers=draft.timer_records(),
            counters=draft.counters,
        )

    def committed(self, capacity: int) -> None:
        """Remember the draft's states, which the store has now."""
        self._devices.keep(self._open().committed_states(), capacity)
        self._draft = None

    def abandon(self) -> None:
        """Drop the draft and all that is remembered."""
        self._draft = self._read = self._due = None
        self._devices.clear()

    def _open(self) -> Draft:
        assert self._draft is not None, "no draft is open"
        return self._draft
