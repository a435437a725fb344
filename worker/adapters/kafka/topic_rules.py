"""What the worker demands of its topics: the settings it creates them with, and what is wrong with others.

Decides which settings follow from a topic's row in ``model.topics``, and why. Pure: descriptions in, problems
out; it reaches no broker. Invariant: topics created with ``settings`` have no ``problems``. The whole list is
in docs/operations.md, Topics.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Literal

from msgspec import Struct

from worker.adapters.kafka.answers import Grants
from worker.config import Config
from worker.model.outputs import largest_bytes
from worker.model.topics import TOPICS, Role, TopicSpec

SEVEN_DAYS_MS = 604_800_000
UNLIMITED = 2**63 - 1
_BEHIND = ("message.timestamp.before.max.ms", "message.timestamp.difference.max.ms")
"""How old a record may be when it comes. Brokers before 4.0 have the second too, and both hold there."""
LARGEST_BATCH_BYTES = 1_048_588
"""Kafka's own default of ``max.message.bytes``; the worker's batches stay below it."""

_BESIDE_A_VALUE_BYTES = 65_536
"""What stands beside a raw value in a record: where it is from, and why it was refused."""

LARGEST_RAW_BATCH_BYTES = 20 * 1024 * 1024
"""What the memory beside ``state.memory_mb`` has room for: a batch, packed, as it comes and as it is read."""


class Topic(Struct, frozen=True, kw_only=True):
    """A topic as the brokers describe it. ``settings`` is None where we may not read them."""

    name: str
    partitions: int
    replication_factor: int
    settings: Mapping[str, str] | None = None


class Problem(Struct, frozen=True, kw_only=True):
    """Something missing or wrong, and the command or change that fixes it.

    ``fatal``: the worker, or the collector, as ``stops`` says, cannot keep its promises and must not start.
    ``unwise``: it can, and only an accident would show the difference.
    """

    topic: str
    what: str
    remedy: str
    fatal: bool = False
    unwise: bool = False
    stops: Literal["worker", "collector"] = "worker"

    def __str__(self) -> str:
        return f"{self.topic}: {self.what}. Remedy: {self.remedy}"


def names_to_know(config: Config) -> set[str]:
    """The topics that a worker asks the brokers for: its own, and the repartition topic also where nothing is
    sent to it.
    """
    return {*config.topic_names.values(), config.repartition_topic}


def settings(role: Role, config: Config, raw: Topic | None, replication_factor: int) -> dict[str, str]:
    """The settings that a topic is created with; the brokers' defaults hold for all others.

    ``raw``: the raw topic, None when it is created too. ``replication_factor``: -1 is the brokers' default.
    """
    spec = TOPICS[role]
    wanted: dict[str, str] = {}
    if replication_factor >= 3:
        wanted["min.insync.replicas"] = "2"  # with 1 an acknowledged commit may be lost with one broker
    if spec.kind == "input":
        return wanted
    wanted["max.message.bytes"] = str(_roomy_message_bytes(spec, config, raw))
    if spec.time == "broker":
        # By the time of arrival: raw records may be years old, and would be deleted before they are read.
        wanted["message.timestamp.type"] = "LogAppendTime"
        wanted["retention.ms"] = str(SEVEN_DAYS_MS)
        return wanted
    # The raw record's time may be ahead or long ago: a broker that refuses it stops the partition.
    wanted["message.timestamp.type"] = "CreateTime"
    wanted["message.timestamp.after.max.ms"] = str(UNLIMITED)
    wanted["message.timestamp.before.max.ms"] = str(UNLIMITED)
    if spec.time == "raw record" and raw is not None and raw.settings is not None:
        # Brokers delete by that time: what raw still holds must not be too old here. Where raw is created
        # too, all have the brokers' default.
        wanted["retention.ms"] = _as_setting(max(_kept_ms(raw.settings), SEVEN_DAYS_MS))
    if spec.cleanup == "compact":
        wanted["cleanup.policy"] = "compact"
    if role == "changelog":
        wanted["delete.retention.ms"] = str(SEVEN_DAYS_MS)
        wanted["segment.bytes"] = str(64 * 1024 * 1024)  # only closed segments are compacted: less to restore
    return wanted


def shown_settings(role: Role) -> tuple[str, ...]:
    """The settings of a topic that a table of topics shows, of those that matter."""
    always = ("cleanup.policy", "message.timestamp.type", "max.message.bytes")
    if role == "changelog":
        return *always, "delete.retention.ms"
    return always if TOPICS[role].cleanup == "compact" else (*always, "retention.ms")


def timed_by_brokers(topic: Topic) -> bool:
    """Whether its records are known to bear the time at which a broker took them."""
    return topic.settings is not None and topic.settings.get("message.timestamp.type") == "LogAppendTime"


def problems(topics: Mapping[str, Topic], config: Config, committed: Collection[str] = ()) -> list[Problem]:
    """Everything missing or wrong among the described ``topics`` (by name), the fatal ones first.

    ``committed``: the topics of which the group has committed offsets; they are asked for only where an input
    or the changelog is missing. Brokers delete a topic's offsets with the topic.
    """
    raw = topics.get(config.topics.raw)
    found: list[Problem] = []
    for role, name in config.topic_names.items():
        topic = topics.get(name)
        if topic is None:
            has_changelog = config.changelog_topic in topics
            found.append(_missing(role, raw, config, has_changelog=has_changelog, committed=committed))
            continue
        if raw is not None:
            found.extend(_partition_problems(role, topic, raw, config))
        if topic.settings is None:
            what = "its settings may not be read, so they are not checked"
            remedy = Grants.of(config.kafka).command("DescribeConfigs", f"--topic {name}")
            found.append(Problem(topic=name, what=what, remedy=remedy))
        else:
            found.extend(_setting_problems(role, topic, topic.settings, raw, config))
    return sorted(found, key=lambda problem: not problem.fatal)


def replication_warnings(topics: Collection[Topic]) -> Iterator[Problem]:
    """What a broker that is lost for good would take along. One broker for a developer may be meant so."""
    single = sorted(topic.name for topic in topics if topic.replication_factor == 1)
    if single:
        yield Problem(
            topic=", ".join(single),
            what="replication factor 1: what was acknowledged is lost with one broker",
            remedy="in production three, and min.insync.replicas=2 (docs/operations.md, Topics)",
            unwise=True,
        )
    several = [topic for topic in topics if topic.replication_factor > 1 and topic.settings is not None]
    weak = sorted(t.name for t in several if (t.settings or {}).get("min.insync.replicas") == "1")
    if weak:
        yield Problem(
            topic=", ".join(weak),
            what="min.insync.replicas is 1: what one broker alone acknowledged may be lost with it",
            remedy="min.insync.replicas=2 with a replication factor of 3 (docs/operations.md, Topics)",
            unwise=True,
        )


def depends_on_group(missing: Collection[str], config: Config) -> bool:
    """Whether one of the ``missing`` topics must not be recreated for a group that has run."""
    return not {config.topics.raw, config.repartition_topic, config.changelog_topic}.isdisjoint(missing)


def _missing(
    role: Role, raw: Topic | None, config: Config, *, has_changelog: bool, committed: Collection[str]
) -> Problem:
    """``has_changelog``: whether that topic exists. ``committed`` as for ``problems``."""
    group_id = config.kafka.group_id
    create = "sessionizer topics create" + ("" if raw else " --partitions N")
    what, remedy = "does not exist, or may not be seen", create
    if role == "raw" and (committed or has_changelog):
        what = (
            f"{what}; group {group_id} has run before. In a recreated topic it would go on at its old offsets"
        )
        remedy = f"do not recreate it for this group: set another kafka.group_id, then {create}"
        if not committed:
            remedy += f". If this group has never run: delete its changelog {config.changelog_topic} first"
    elif role == "repartition" and has_changelog and committed:
        remedy = (
            f'if group {group_id} has run with input.repartition = "auto", the topic was deleted, with '
            f"events in it: set another kafka.group_id. Else: {create}"
        )
    elif role == "changelog" and committed:
        what = f"{what}; group {group_id} has committed offsets, so its state is lost with the topic"
        remedy = (
            "restore the topic from a copy, or set another kafka.group_id and read the raw topic again: "
            "recreated it is empty, and the worker refuses to start"
        )
    return Problem(topic=config.topic_names[role], what=what, remedy=remedy, fatal=True)


def _partition_problems(role: Role, topic: Topic, raw: Topic, config: Config) -> Iterator[Problem]:
    if topic.partitions == raw.partitions or TOPICS[role].kind != "internal":
        return  # outputs with another number are partitioned by device
    if topic.partitions < raw.partitions:
        remedy = (
            f"if {raw.name} has grown, replay into a new group (docs/operations.md, More partitions); if "
            f"this group has never run, kafka-topics.sh --bootstrap-server {config.kafka.bootstrap_servers} "
            f"--alter --topic {topic.name} --partitions {raw.partitions}"
        )
    else:
        remedy = f"name another topic in topics.{role}: partitions cannot be taken away"
    yield Problem(
        topic=topic.name,
        what=f"has {topic.partitions} partitions, {raw.name} has {raw.partitions}: they must be equal",
        remedy=remedy,
        fatal=True,
    )


def alter_command(topic: str, setting: str, value: object, config: Config) -> str:
    """The command that sets one setting of a topic."""
    return (
        f"kafka-configs.sh --bootstrap-server {config.kafka.bootstrap_servers} --alter "
        f"--entity-type topics --entity-name {topic} --add-config {setting}={value}"
    )


def _setting_problems(
    role: Role, topic: Topic, found: Mapping[str, str], raw: Topic | None, config: Config
) -> Iterator[Problem]:
    def wrong(setting: str, wanted: object, why: str, *, fatal: bool = False) -> Problem:
        return Problem(
            topic=topic.name,
            what=f"{setting} is {found.get(setting, 'not set')}: {why}",
            remedy=alter_command(topic.name, setting, wanted, config),
            fatal=fatal,
        )

    spec = TOPICS[role]
    policy = found.get("cleanup.policy", "delete")
    if spec.cleanup == "delete" and "compact" in policy:
        yield wrong("cleanup.policy", "delete", "compaction deletes all but the last event of a device")
    if spec.kind == "input":
        if int(found.get("max.message.bytes", 0)) > LARGEST_RAW_BATCH_BYTES:
            why = "a batch of that size takes three times as much memory, beside what operations.md grants"
            yield wrong("max.message.bytes", LARGEST_RAW_BATCH_BYTES, why)
        return
    if role == "changelog":
        if policy != "compact":
            yield wrong("cleanup.policy", "compact", "state that nobody touches is lost", fatal=True)
        if int(found.get("delete.retention.ms", SEVEN_DAYS_MS)) < SEVEN_DAYS_MS:
            why = "a worker that was away longer misses deletions and brings expired devices back"
            yield wrong("delete.retention.ms", SEVEN_DAYS_MS, why)
    elif spec.cleanup == "compact" and "compact" not in policy:
        yield wrong("cleanup.policy", "compact", "the last record of what has not changed since is lost")
    least = _least_message_bytes(spec, config, raw)
    if int(found.get("max.message.bytes", least)) < least:
        yield wrong("max.message.bytes", least, f"a record or batch of {least} bytes must fit")
    for setting, wanted, why in _time_problems(spec, found, raw):
        yield wrong(setting, wanted, why)


def _time_problems(
    spec: TopicSpec, found: Mapping[str, str], raw: Topic | None
) -> Iterator[tuple[str, object, str]]:
    """(setting, the right value, why) where brokers would change, refuse or delete by the records' times."""
    if spec.time == "broker":
        if found.get("message.timestamp.type", "LogAppendTime") != "LogAppendTime":
            yield "message.timestamp.type", "LogAppendTime", "old events are deleted before they are read"
        if 0 <= int(found.get("retention.ms", SEVEN_DAYS_MS)) < SEVEN_DAYS_MS:
            yield "retention.ms", SEVEN_DAYS_MS, "what a worker that is away has not read is deleted"
        if int(found.get("retention.bytes", -1)) >= 0:
            yield "retention.bytes", -1, "what a worker that is behind has not read is deleted"
        return
    if found.get("message.timestamp.type", "CreateTime") != "CreateTime":
        yield "message.timestamp.type", "CreateTime", "records lose the time at which they were received"
    # What raw accepted is ahead by no more than raw allows; in tables of older brokers neither is named.
    ahead = "message.timestamp.after.max.ms"
    if int(found.get(ahead, UNLIMITED)) < _most_ahead_ms(raw):
        yield ahead, UNLIMITED, "times that the raw topic accepts are refused, which stops the worker"
    if spec.time == "raw record":
        yield from _age_problems(found, raw)


def _age_problems(found: Mapping[str, str], raw: Topic | None) -> Iterator[tuple[str, object, str]]:
    """(setting, what it ought to be, why) where a record with the time of an old raw record is not safe."""
    for behind in _BEHIND:
        if int(found.get(behind, UNLIMITED)) < UNLIMITED:
            yield behind, UNLIMITED, "raw records that have waited longer are refused: the worker stops"
    if raw is None or raw.settings is None:
        return
    least_ms = _kept_ms(raw.settings)
    if _kept_ms(found) < least_ms:
        why = f"records bear the raw record's time, and {raw.name} keeps them longer: they are deleted early"
        yield "retention.ms", _as_setting(least_ms), why


def _kept_ms(found: Mapping[str, str]) -> int:
    """How old a record may get before the brokers delete it; ``UNLIMITED`` where age does not matter."""
    if "delete" not in found.get("cleanup.policy", "delete"):
        return UNLIMITED
    kept_ms = int(found.get("retention.ms", SEVEN_DAYS_MS))
    return kept_ms if kept_ms >= 0 else UNLIMITED


def _as_setting(kept_ms: int) -> str:
    return "-1" if kept_ms == UNLIMITED else str(kept_ms)


def _least_message_bytes(spec: TopicSpec, config: Config, raw: Topic | None) -> int:
    """The largest record or batch that the topic must take."""
    largest_value = max(_max_message_bytes(raw), config.input.max_value_bytes)
    if spec.raw_value == "base64":
        return (largest_value + 2) // 3 * 4 + _BESIDE_A_VALUE_BYTES
    if spec.raw_value == "whole":
        return largest_value + _BESIDE_A_VALUE_BYTES
    record_bytes = 0 if spec.record is None else largest_bytes(spec.record, config.input)
    return max(LARGEST_BATCH_BYTES, record_bytes)


def _roomy_message_bytes(spec: TopicSpec, config: Config, raw: Topic | None) -> int:
    """``max.message.bytes`` of a new topic: enough also after limits or the raw topic's settings grew."""
    least = _least_message_bytes(spec, config, raw)
    if spec.raw_value == "base64":
        return max(16 * 1024 * 1024, 2 * max(_max_message_bytes(raw), config.input.max_value_bytes))
    if spec.raw_value == "whole":
        return 2 * least
    return max(2 * LARGEST_BATCH_BYTES, least)


def _max_message_bytes(raw: Topic | None) -> int:
    found = raw.settings if raw is not None and raw.settings is not None else {}
    return int(found.get("max.message.bytes", LARGEST_BATCH_BYTES))


def _most_ahead_ms(raw: Topic | None) -> int:
    found = raw.settings if raw is not None and raw.settings is not None else {}
    if found.get("message.timestamp.type") == "LogAppendTime":
        return 0
    return int(found.get("message.timestamp.after.max.ms", 0))
