"""What the collector demands of the raw topic, beyond what the worker does.

Decides which settings would make it refuse or lose what it accepted. Pure: a description in, problems out; it
reaches no broker. Invariant: a collector that starts can store every body that it accepts.
"""

from collections.abc import Iterator

from worker.adapters.kafka.topic_rules import Problem, Topic, alter_command, problems, replication_warnings
from worker.config import Config
from worker.config.options import BOUNDS

BESIDE_A_BODY_BYTES = 48_000
"""What a record has beside the body: key, headers, and the batch around it."""


def collect_problems(raw: Topic | None, config: Config) -> Iterator[Problem]:
    """Everything missing or wrong for the collector. ``raw``: None where it is not there, or hidden."""
    name = config.topics.raw
    if raw is None:
        yield Problem(
            topic=name,
            what="does not exist, or may not be seen",
            remedy="sessionizer topics create --partitions N",
            fatal=True,
            stops="collector",
        )
        return
    if raw.settings is not None:
        yield from _setting_problems(raw, int(raw.settings.get("max.message.bytes", 0)), config)


def all_problems(raw: Topic | None, config: Config) -> Iterator[Problem]:
    """The same, and what every reader of the raw topic would be warned of."""
    yield from collect_problems(raw, config)
    if raw is not None:
        yield from [each for each in problems({raw.name: raw}, config) if each.topic == raw.name]
        yield from replication_warnings([raw])


def _setting_problems(raw: Topic, most_bytes: int, config: Config) -> Iterator[Problem]:
    assert raw.settings is not None
    body_bytes = config.collect.max_body_bytes
    if most_bytes < body_bytes + BESIDE_A_BODY_BYTES:
        what = f"max.message.bytes is {most_bytes}: a body of collect.max_body_bytes, {body_bytes}, "
        what += f"and {BESIDE_A_BODY_BYTES} beside it must fit"
        remedy = alter_command(raw.name, "max.message.bytes", body_bytes + BESIDE_A_BODY_BYTES, config)
        if most_bytes - BESIDE_A_BODY_BYTES >= BOUNDS["collect.max_body_bytes"][0]:
            remedy = f"collect.max_body_bytes = {most_bytes - BESIDE_A_BODY_BYTES}, or {remedy}"
        yield Problem(topic=raw.name, what=what, remedy=remedy, fatal=True, stops="collector")
    if raw.settings.get("message.timestamp.type") == "LogAppendTime":
        yield Problem(
            topic=raw.name,
            what="message.timestamp.type is LogAppendTime: received_at of events is when a broker stored "
            "them, not the received_at that the collector answered",
            remedy=alter_command(raw.name, "message.timestamp.type", "CreateTime", config)
            + ", where nobody but the collector writes to it",
            unwise=True,
        )
    least, copies = int(raw.settings.get("min.insync.replicas", 1)), raw.replication_factor
    if least > copies:
        yield Problem(
            topic=raw.name,
            what=f"min.insync.replicas is {least}, and there are {copies} replicas: nothing can be stored",
            remedy=alter_command(raw.name, "min.insync.replicas", max(1, copies - 1), config),
            fatal=True,
            stops="collector",
        )
    elif least == copies > 1:
        yield Problem(
            topic=raw.name,
            what=f"min.insync.replicas is {least}, as many as there are replicas: while one broker is away "
            "its partitions store nothing",
            remedy=alter_command(raw.name, "min.insync.replicas", copies - 1, config),
            unwise=True,
        )
