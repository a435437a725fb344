"""An undisturbed run: records through the pure core one by one, its states kept in memory.

It never writes states or reads them back, so batching, transactions, stores and state records are tested
against it. Knows nothing of faults, tasks or brokers.
"""

from collections.abc import Sequence
from itertools import groupby

from tests.builders import Record
from tests.simulation.topics import RULES
from worker.core.closing import run_timers
from worker.core.decode import Decoder
from worker.core.device_step import StepResult
from worker.core.encode import encode_sessions, encode_step
from worker.core.expiry import clock_ms
from worker.core.pipeline import DecodedRecords, decode_records, process
from worker.core.state_codec import cold_key, encode_cold, encode_hot, hot_key
from worker.model.events import DecodedValue
from worker.model.outputs import OutputRecord
from worker.model.state import DeviceState, ExpiryClock
from worker.model.topics import OUTPUTS, Role

_NEVER_MS = 2**53
_DECODER = Decoder(RULES.input, RULES.identity)


class Reference:
    """The outputs of the run, and its state after each record.

    Records in a row with the same offset are parts of one record. ``changes[n]`` are the state records that
    record n changes; ``clocks[n]`` are watermark and expiry clock after n records. ``outputs`` has all
    records by role; at the end every session was closed and every due device expired.
    """

    def __init__(self, records: Sequence[Record]) -> None:
        self.outputs: dict[Role, list[OutputRecord]] = {role: [] for role in OUTPUTS}
        self.clocks = [(0, ExpiryClock())]
        self.changes: list[dict[bytes, bytes]] = []
        states: dict[str, DeviceState] = {}
        for _, arrived in groupby(records, lambda record: (record.partition, record.offset)):
            expiry = self.clocks[-1][1]
            after = []  # the clock after each event of the record alone
            for record in arrived:
                watermark_ms = self.clocks[-1][0]
                result = process(decode_records([record], _DECODER), states, watermark_ms, expiry, RULES)
                states.update(result.states)
                after.append(result.expiry)
                # A record moves the clock once, by its newest event.
                moved = max(after, key=lambda clock: (clock.records, clock.at_ms))
                self.clocks.append((result.watermark_ms, moved))
                self.changes.append(_changes(result))
                for role, encoded in encode_step(result).items():
                    self.outputs[role] += encoded
        closed = run_timers(states, clock_ms(self.clocks[-1][1], RULES), _NEVER_MS, RULES)
        self.outputs["sessions"] += encode_sessions(closed.sessions)
        self.outputs["identities"] += [
            (device_id.encode(), None, None)
            for device_id, state in closed.expired.items()
            if state.timeline.links
        ]


def _changes(result: StepResult) -> dict[bytes, bytes]:
    change: dict[bytes, bytes] = {}
    for device_id, state in result.states.items():
        change[hot_key(device_id)] = encode_hot(state)
        change[cold_key(device_id)] = encode_cold(state)
    return change


def dead_letters_of(records: Sequence[Record]) -> list[OutputRecord]:
    """The dead letters of these records, in order."""
    decoded = decode_records(records, _DECODER)
    refused = [DecodedValue((), value.rejections) for value in decoded.values]
    result = process(DecodedRecords(records, refused, frozenset()), {}, 0, ExpiryClock(), RULES)
    return encode_step(result)["dead_letters"]
