"""The topics of the simulated deployment, and the rules in force: what workers and checks agree on."""

from worker.model.rules import InputRules, Rules
from worker.model.topics import OUTPUTS
from worker.task.layout import TaskTopics

RULES = Rules(
    # Few ids for a short time, so that they leave the memory within a run, as devices expire within it.
    input=InputRules(duplicates="flag", duplicates_remembered=8, duplicates_ms=3 * 3_600_000),
    expiry_records=2,
)
RAW_TOPIC = "events.raw"
REPARTITION_TOPIC = "sessionizer.repartition"


def topics_of(partitions: int) -> TaskTopics:
    """By role. Events are repartitioned where there is more than one partition."""
    return TaskTopics(
        raw=RAW_TOPIC,
        repartition=REPARTITION_TOPIC if partitions > 1 else "",
        outputs={role: spec.default_name for role, spec in OUTPUTS.items()},
        changelog="sessionizer.changelog",
        group_id="sessionizer",
    )
