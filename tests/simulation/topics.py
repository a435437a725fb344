"""The topics of the simulated deployment, and the rules in force: what workers and checks agree on."""

from worker.model.rules import Rules
from worker.model.topics import OUTPUTS
from worker.task.layout import TaskTopics

RULES = Rules(expiry_records=2)  # so that devices expire within a run
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
