"""Raw events through the core, as a rule's test wants to see it: what comes out, and what is remembered.

Each event is a record of its own that came in at its own time, so that no clock is held; a test about times
of arrival gives records instead.
"""

from collections.abc import Mapping

from tests.builders import RawEvent, Record, record
from worker.core.decode import Decoder
from worker.core.device_step import StepResult
from worker.core.pipeline import decode_records, process
from worker.model.outputs import EnrichedEvent
from worker.model.rules import IdentityRules, InputRules, Rules, SessionRules
from worker.model.state import DeviceState, ExpiryClock, Session

DECODER = Decoder(InputRules(), IdentityRules())
DEFAULTS = SessionRules()
RULES = Rules()
RETENTION_MS = RULES.retention_ms
NO_RECORDS = ExpiryClock()


def step(
    *raw: RawEvent | Record,
    states: Mapping[str, DeviceState] | None = None,
    rules: SessionRules = DEFAULTS,
    retention_ms: int = RETENTION_MS,
    watermark_ms: int = 0,
    expiry: ExpiryClock = NO_RECORDS,
) -> StepResult:
    """One call of the core."""
    records = [r if isinstance(r, Record) else record(offset, r) for offset, r in enumerate(raw)]
    all_rules = Rules(session=rules, retention_ms=retention_ms)
    return process(decode_records(records, DECODER), states or {}, watermark_ms, expiry, all_rules)


def published(
    *raw: RawEvent, states: Mapping[str, DeviceState] | None = None, rules: Rules = RULES
) -> StepResult:
    """One call of the core with all of the rules, what is published among them."""
    records = [record(offset, event) for offset, event in enumerate(raw)]
    return process(decode_records(records, DECODER), states or {}, 0, NO_RECORDS, rules)


def enriched(*raw: RawEvent | Record, rules: SessionRules = DEFAULTS) -> list[EnrichedEvent]:
    """The enriched events, in order of arrival."""
    return step(*raw, rules=rules).enriched


def remembered(*raw: RawEvent | Record, rules: SessionRules = DEFAULTS) -> list[Session]:
    """The sessions remembered of the one device in ``raw``, by start."""
    ((_, state),) = step(*raw, rules=rules).states.items()
    assert state.current is not None
    return sorted([state.current, *state.older], key=lambda session: (session.start_ms, session.number))
