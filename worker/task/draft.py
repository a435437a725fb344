"""Everything that one transaction may change. It dies with an abort, and nothing of it is left.

Knows values only. Invariants: committed states are never touched, a draft holds forks; outputs are in the
order of arrival; ``next_offsets`` and ``watermark_ms`` belong to exactly the records whose outputs are in it.
"""

from collections import Counter

from worker.core.encode import EncodedStep
from worker.core.pipeline import StepResult
from worker.core.state_records import (
    META_KEY,
    SCHEMA_VERSION,
    cold_key,
    encode_cold,
    encode_hot,
    encode_meta,
    hot_key,
)
from worker.model.outputs import OutputRecord
from worker.model.state import DeviceState, Meta
from worker.ports import StateRecord


class Draft:
    """What the next transaction will make true, on top of ``base``."""

    def __init__(self, base: Meta, opened_at: float) -> None:
        self._base = base
        self.opened_at = opened_at  # monotonic seconds: when the first record came in
        self.next_offsets = dict(base.next_offsets)
        self.watermark_ms = base.watermark_ms
        self.records = 0
        self.events = 0
        self.sessions_opened = 0
        self.devices_linked = 0
        self.rejections: Counter[str] = Counter()
        self.last_rejection: str | None = None  # topic/partition/offset
        self.states: dict[str, DeviceState] = {}
        self.enriched: list[OutputRecord] = []
        self.dead_letters: list[OutputRecord] = []

    def add(
        self, topic: str, next_offset: int, records: int, result: StepResult, encoded: EncodedStep
    ) -> None:
        """Take in what a step decided about ``records`` records of ``topic``, up to ``next_offset``."""
        self.next_offsets[topic] = next_offset
        self.watermark_ms = result.watermark_ms
        self.records += records
        self.events += len(result.enriched) + len(result.dead_letters)
        self.sessions_opened += result.sessions_opened
        self.devices_linked += result.devices_linked
        if result.dead_letters:
            self.rejections.update(letter.reason for letter, _, _ in result.dead_letters)
            letter = result.dead_letters[-1][0]
            self.last_rejection = f"{letter.topic}/{letter.partition}/{letter.offset}"
        self.states.update(result.states)
        self.enriched += encoded.enriched
        self.dead_letters += encoded.dead_letters

    def meta(self) -> Meta:
        """The meta record that goes with it."""
        return Meta(
            schema=SCHEMA_VERSION,
            incarnation=self._base.incarnation,
            raw_topic=self._base.raw_topic,
            next_offsets=self.next_offsets,
            watermark_ms=self.watermark_ms,
        )

    def state_records(self) -> list[StateRecord]:
        """What store and changelog have to take in; the meta record is the last one."""
        records: list[StateRecord] = []
        for device_id, state in self.states.items():
            records.append((hot_key(device_id), encode_hot(state)))
            if state.cold_changed:
                records.append((cold_key(device_id), encode_cold(state)))
        records.append((META_KEY, encode_meta(self.meta())))
        return records

    def committed_states(self) -> dict[str, DeviceState]:
        """The states, from now on committed: what they still owed to the cold record has been written."""
        for state in self.states.values():
            state.cold_changed = False
        return self.states
