"""The topics of the simulated deployment, and the rules in force: what workers and checks agree on."""

from worker.model.rules import Rules
from worker.task.topics import TaskTopics

RULES = Rules(expiry_records=2)  # so that devices expire within a run
RAW_TOPIC = "events.raw"
REPARTITION_TOPIC = "sessionizer.repartition"


def topics_of(partitions: int) -> TaskTopics:
    """By role. Events are repartitioned where there is more than one partition."""
    return TaskTopics(
        raw=RAW_TOPIC,
        repartition=REPARTITION_TOPIC if partitions > 1 else "",
        enriched="events.enriched",
        dead_letters="events.dead-letters",
        sessions="events.sessions",
        identities="events.identities",
        changelog="sessionizer.changelog",
        group_id="sessionizer",
    )
