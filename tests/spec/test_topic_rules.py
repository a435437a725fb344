"""What is wrong with a topic, and how it is reported: docs/operations.md, Topics."""

from collections.abc import Collection, Mapping

import pytest
from msgspec.structs import replace

from worker.adapters.kafka.topic_rules import (
    SEVEN_DAYS_MS,
    UNLIMITED,
    Problem,
    Topic,
    problems,
    replication_warnings,
    settings,
)
from worker.config import Config, Kafka
from worker.config.options import Input, Topics
from worker.model.topics import OUTPUTS, TOPICS, Role

CONFIG = Config()
NAMES = CONFIG.topic_names
RAW_TIMES = [role for role, spec in TOPICS.items() if spec.time == "raw record"]
UPSERTS = [role for role, spec in OUTPUTS.items() if spec.cleanup == "compact"]
THIRTY_DAYS_MS = 30 * 86_400_000
BROKER_DEFAULTS = {
    "cleanup.policy": "delete",
    "delete.retention.ms": "86400000",
    "message.timestamp.type": "CreateTime",
    "message.timestamp.after.max.ms": "3600000",
    "message.timestamp.before.max.ms": str(UNLIMITED),
    "retention.ms": str(SEVEN_DAYS_MS),
    "max.message.bytes": "1048588",
    "min.insync.replicas": "1",
}


def made(role: Role, config: Config = CONFIG, raw: Topic | None = None) -> Topic:
    """A topic as ``topics create`` makes it on a broker with default settings."""
    return Topic(
        name=config.topic_names[role],
        partitions=6,
        replication_factor=1,
        settings=BROKER_DEFAULTS | settings(role, config, raw, -1),
    )


def all_made(config: Config = CONFIG, raw: Topic | None = None) -> dict[str, Topic]:
    topics = {name: made(role, config, raw) for role, name in config.topic_names.items()}
    return topics | ({raw.name: raw} if raw else {})


def found(*changed: Topic, without: str = "", config: Config = CONFIG) -> list[Problem]:
    topics = all_made(config) | {topic.name: topic for topic in changed}
    topics.pop(without, None)
    return problems(topics, config)


def with_settings(role: Role, changes: Mapping[str, object]) -> Topic:
    topic = made(role)
    assert topic.settings is not None
    return replace(topic, settings={**topic.settings, **{key: str(value) for key, value in changes.items()}})


def test_topics_as_they_are_made_have_no_problems() -> None:
    assert found() == []


@pytest.mark.parametrize("raw_max_bytes", [1_048_588, 20_000_000])
@pytest.mark.parametrize("limits", [Input(), Input(max_value_bytes=50_000_000, max_object_bytes=5_000_000)])
def test_topics_as_they_are_made_suit_any_raw_topic_and_limits(limits: Input, raw_max_bytes: int) -> None:
    config = Config(input=limits)
    raw = with_settings("raw", {"max.message.bytes": raw_max_bytes})
    assert problems(all_made(config, raw), config) == []


@pytest.mark.parametrize(
    ("of_raw", "least_ms"),
    [
        ({"retention.ms": THIRTY_DAYS_MS}, THIRTY_DAYS_MS),
        ({"retention.ms": -1}, -1),
        ({"cleanup.policy": "compact"}, -1),
        ({"cleanup.policy": "compact,delete", "retention.ms": THIRTY_DAYS_MS}, THIRTY_DAYS_MS),
        (
            {"retention.ms": 86_400_000},
            SEVEN_DAYS_MS,
        ),  # not less than Kafka's own default
    ],
)
def test_what_bears_raw_times_is_kept_at_least_as_long_as_raw(
    of_raw: Mapping[str, object], least_ms: int
) -> None:
    raw = with_settings("raw", of_raw)
    for role in RAW_TIMES:
        assert settings(role, CONFIG, raw, -1)["retention.ms"] == str(least_ms)
    outputs = [problem for problem in problems(all_made(CONFIG, raw), CONFIG) if problem.topic != raw.name]
    assert outputs == []


@pytest.mark.parametrize("role", RAW_TIMES)
@pytest.mark.parametrize(
    ("kept_by_raw_ms", "kept_ms", "remedy_ms"),
    [
        (SEVEN_DAYS_MS + 1, SEVEN_DAYS_MS, SEVEN_DAYS_MS + 1),
        (-1, THIRTY_DAYS_MS, -1),
        (THIRTY_DAYS_MS, 0, THIRTY_DAYS_MS),
    ],
)
def test_one_that_is_kept_for_less_than_raw_is_red_also_where_raw_was_changed_later(
    role: Role, kept_by_raw_ms: int, kept_ms: int, remedy_ms: int
) -> None:
    raw = with_settings("raw", {"retention.ms": kept_by_raw_ms})
    topics = [with_settings(other, {"retention.ms": -1}) for other in RAW_TIMES]
    (problem,) = found(raw, *topics, with_settings(role, {"retention.ms": kept_ms}))
    assert problem.topic == NAMES[role]
    assert problem.what == (
        f"retention.ms is {kept_ms}: records bear the raw record's time, and events.raw keeps them longer: "
        "they are deleted early"
    )
    assert problem.remedy.endswith(f"--entity-name {NAMES[role]} --add-config retention.ms={remedy_ms}")


@pytest.mark.parametrize(("kept_by_raw_ms", "kept_ms"), [(THIRTY_DAYS_MS, THIRTY_DAYS_MS), (-1, -1), (1, 1)])
def test_one_that_is_kept_as_long_is_right(kept_by_raw_ms: int, kept_ms: int) -> None:
    outputs = [with_settings(role, {"retention.ms": kept_ms}) for role in RAW_TIMES]
    assert found(with_settings("raw", {"retention.ms": kept_by_raw_ms}), *outputs) == []


def test_where_the_raw_topic_is_made_too_all_have_the_brokers_retention() -> None:
    assert all("retention.ms" not in settings(role, CONFIG, None, -1) for role in RAW_TIMES)


def missing(role: Role, *, also: Role | None = None, committed: Collection[Role] = ()) -> Problem:
    """What is said of one missing topic where the group has committed offsets of these."""
    topics = all_made()
    for gone in (role, also):
        topics.pop(NAMES[gone] if gone else "", None)
    (problem,) = [
        problem
        for problem in problems(topics, CONFIG, {NAMES[of] for of in committed})
        if problem.topic == NAMES[role]
    ]
    assert problem.fatal
    return problem


def test_a_missing_raw_topic_is_created_only_where_the_group_has_not_run() -> None:
    assert missing("raw", also="changelog").remedy == "sessionizer topics create --partitions N"
    committed_of: list[list[Role]] = [[], ["repartition"]]
    for committed in committed_of:
        problem = missing("raw", committed=committed)
        assert "group sessionizer has run before" in problem.what
        assert problem.remedy.startswith("do not recreate it for this group: set another kafka.group_id")
    assert "If this group has never run" in missing("raw").remedy
    assert "never run" not in missing("raw", committed=["repartition"]).remedy


def test_a_missing_changelog_of_a_group_with_offsets_is_not_created_empty() -> None:
    assert missing("changelog").remedy == "sessionizer topics create"
    problem = missing("changelog", committed=["raw"])
    assert problem.what.endswith(
        "group sessionizer has committed offsets, so its state is lost with the topic"
    )
    assert problem.remedy.startswith("restore the topic from a copy, or set another kafka.group_id")


def test_a_missing_repartition_topic_is_created_where_the_group_never_used_it() -> None:
    assert missing("repartition").remedy == "sessionizer topics create"
    remedy = missing("repartition", committed=["raw"]).remedy
    assert remedy.startswith('if group sessionizer has run with input.repartition = "auto"')
    assert remedy.endswith("Else: sessionizer topics create")


@pytest.mark.parametrize("role", ["enriched", "sessions", "identities", "dead_letters"])
def test_a_missing_output_is_created_whatever_the_group_has_done(role: Role) -> None:
    assert missing(role, committed=["raw", "repartition"]).remedy == "sessionizer topics create"


def test_without_raws_settings_its_retention_is_not_guessed_and_that_is_reported() -> None:
    unreadable = replace(made("raw"), settings=None)
    assert all("retention.ms" not in settings(role, CONFIG, unreadable, -1) for role in RAW_TIMES)
    (problem,) = found(unreadable)
    assert problem.remedy.startswith("kafka-acls.sh ")
    assert problem.remedy.endswith(f" --operation DescribeConfigs --topic {NAMES['raw']}")


def test_sessions_and_identities_bear_the_time_of_writing_so_raw_does_not_matter() -> None:
    raw = with_settings("raw", {"retention.ms": -1})
    outputs = [with_settings(role, {"retention.ms": -1}) for role in RAW_TIMES]
    pruned = with_settings("sessions", {"cleanup.policy": "compact,delete"})
    assert found(raw, pruned, *outputs) == []


def test_a_whole_value_of_the_greatest_size_fits_the_dead_letters_in_base64() -> None:
    wanted = int(settings("dead_letters", CONFIG, made("raw"), -1)["max.message.bytes"])
    assert wanted == 16 * 1024 * 1024
    assert wanted > CONFIG.input.max_value_bytes * 4 / 3


def test_with_three_copies_two_must_have_a_record_before_it_counts() -> None:
    for role in TOPICS:
        assert settings(role, CONFIG, None, 3)["min.insync.replicas"] == "2"
        assert "min.insync.replicas" not in settings(role, CONFIG, None, 2)


def test_the_raw_topic_is_left_to_the_brokers() -> None:
    assert settings("raw", CONFIG, None, -1) == {}


@pytest.mark.parametrize("role", UPSERTS)
def test_a_topic_of_last_records_is_compacted_and_one_that_is_turned_off_is_not_asked_for(role: Role) -> None:
    assert settings(role, CONFIG, None, -1)["cleanup.policy"] == "compact"
    off = Config(topics=Topics(sessions="", identities=""))
    assert role not in off.topic_names
    assert found(without=NAMES[role], config=off) == []


@pytest.mark.parametrize("role", [*OUTPUTS, "changelog"])
def test_a_missing_topic_stops_the_worker_and_names_the_command(role: Role) -> None:
    (problem,) = found(without=NAMES[role])
    assert problem.fatal
    assert str(problem) == (
        f"{NAMES[role]}: does not exist, or may not be seen. Remedy: sessionizer topics create"
    )


def test_a_repartition_topic_or_changelog_of_fewer_partitions_stops_the_worker() -> None:
    config = Config(kafka=Kafka(bootstrap_servers="k:9092"))
    (problem,) = found(replace(made("repartition"), partitions=4), config=config)
    assert problem.fatal
    assert problem.what == "has 4 partitions, events.raw has 6: they must be equal"
    assert "docs/operations.md, More partitions" in problem.remedy
    assert problem.remedy.endswith(
        "kafka-topics.sh --bootstrap-server k:9092 --alter --topic sessionizer.repartition --partitions 6"
    )


@pytest.mark.parametrize("role", OUTPUTS)
def test_outputs_may_have_any_number_of_partitions(role: Role) -> None:
    assert found(replace(made(role), partitions=4)) == []
    assert found(replace(made(role), partitions=7)) == []


def test_one_of_more_partitions_stops_the_worker_and_another_is_needed() -> None:
    (problem,) = found(replace(made("changelog"), partitions=7))
    assert problem.fatal
    assert problem.remedy == "name another topic in topics.changelog: partitions cannot be taken away"


@pytest.mark.parametrize("policy", ["delete", "compact,delete"])
def test_a_changelog_that_is_deleted_by_time_or_size_stops_the_worker(policy: str) -> None:
    (problem,) = found(with_settings("changelog", {"cleanup.policy": policy}))
    assert problem.fatal
    assert problem.remedy == (
        "kafka-configs.sh --bootstrap-server localhost:9092 --alter --entity-type topics "
        "--entity-name sessionizer.changelog --add-config cleanup.policy=compact"
    )


@pytest.mark.parametrize(
    ("role", "changes"),
    [
        ("raw", {"cleanup.policy": "compact,delete"}),
        ("enriched", {"cleanup.policy": "compact,delete"}),
        ("dead_letters", {"cleanup.policy": "compact"}),
        ("sessions", {"cleanup.policy": "delete"}),
        ("identities", {"cleanup.policy": "delete"}),
        ("changelog", {"delete.retention.ms": SEVEN_DAYS_MS - 1}),
        ("sessions", {"message.timestamp.type": "LogAppendTime"}),
        ("enriched", {"message.timestamp.type": "LogAppendTime"}),
        ("dead_letters", {"message.timestamp.after.max.ms": 3_599_999}),
        ("enriched", {"message.timestamp.before.max.ms": UNLIMITED - 1}),
        ("dead_letters", {"message.timestamp.before.max.ms": 86_400_000}),
        ("enriched", {"message.timestamp.difference.max.ms": 86_400_000}),  # brokers before 4.0
        ("enriched", {"max.message.bytes": 1_000_000}),
        ("dead_letters", {"max.message.bytes": 8 * 1024 * 1024}),
    ],
)
def test_a_setting_that_loses_or_refuses_records_is_a_problem(role: Role, changes: dict[str, object]) -> None:
    (problem,) = found(with_settings(role, changes))
    assert not problem.fatal
    assert problem.topic == NAMES[role]
    assert f"--entity-name {NAMES[role]} --add-config {next(iter(changes))}=" in problem.remedy


@pytest.mark.parametrize(
    ("largest_bytes", "warned"), [(20 * 1024 * 1024, False), (20 * 1024 * 1024 + 1, True)]
)
def test_a_raw_topic_of_batches_that_take_more_memory_than_is_granted_is_reported(
    largest_bytes: int, warned: bool
) -> None:
    config = Config()
    raw = with_settings("raw", {"max.message.bytes": largest_bytes})
    whats = [problem.what for problem in problems(all_made(config, raw), config)]
    assert [what.startswith(f"max.message.bytes is {largest_bytes}: a batch") for what in whats] == [
        True
    ] * warned


def test_a_compacted_raw_topic_keeps_records_of_any_age() -> None:
    policy, *ages = found(with_settings("raw", {"cleanup.policy": "compact"}))
    assert policy.topic == NAMES["raw"]
    assert policy.what.startswith("cleanup.policy is compact")
    assert [problem.topic for problem in ages] == [NAMES[role] for role in RAW_TIMES]
    assert all(problem.remedy.endswith("retention.ms=-1") for problem in ages)


@pytest.mark.parametrize(
    ("role", "changes"),
    [
        ("changelog", {"delete.retention.ms": SEVEN_DAYS_MS}),
        ("sessions", {"cleanup.policy": "compact,delete"}),  # old sessions may go
        ("dead_letters", {"message.timestamp.after.max.ms": 3_600_000}),  # as much as raw allows
        ("enriched", {"max.message.bytes": 1_048_588}),
    ],
)
def test_a_setting_that_just_suffices_is_none(role: Role, changes: dict[str, object]) -> None:
    assert found(with_settings(role, changes)) == []


def test_the_remedy_of_each_setting_fixes_it() -> None:
    roles: tuple[Role, ...] = (*OUTPUTS, "changelog")
    for role in roles:
        # As somebody makes it by hand; with a raw topic that accepts any time and keeps it for long.
        before = BROKER_DEFAULTS | {"message.timestamp.before.max.ms": "1000"}
        by_hand = replace(made(role), settings=before)
        changes = {"message.timestamp.after.max.ms": UNLIMITED, "retention.ms": THIRTY_DAYS_MS}
        raw = with_settings("raw", changes)
        others = [with_settings(other, {"retention.ms": -1}) for other in RAW_TIMES]
        fixed = dict(before)
        for problem in found(raw, *others, by_hand):
            setting, _, value = problem.remedy.rpartition("--add-config ")[2].partition("=")
            fixed[setting] = value
        assert fixed != before
        assert found(raw, *others, replace(by_hand, settings=fixed)) == []


def test_brokers_that_know_no_limit_of_times_have_none() -> None:
    topics = all_made()
    for name, topic in topics.items():
        kept = {k: v for k, v in (topic.settings or {}).items() if not k.endswith(".max.ms")}
        topics[name] = replace(topic, settings=kept)
    assert problems(topics, CONFIG) == []


def test_settings_that_may_not_be_read_are_reported_but_do_not_stop_the_worker() -> None:
    (problem,) = found(replace(made("changelog"), settings=None))
    assert not problem.fatal
    assert problem.remedy.startswith("kafka-acls.sh ")
    assert problem.remedy.endswith(f" --operation DescribeConfigs --topic {NAMES['changelog']}")


def test_what_stops_the_worker_is_reported_first() -> None:
    broken = with_settings("enriched", {"cleanup.policy": "compact"})
    problems = found(broken, without=NAMES["changelog"])
    assert [problem.fatal for problem in problems] == [True, False]


def _copies(name: str, replication_factor: int, settings: Mapping[str, str] | None) -> Topic:
    return Topic(name=name, partitions=1, replication_factor=replication_factor, settings=settings)


def test_topics_that_one_lost_broker_takes_along_are_warned_of_together_and_stop_nobody() -> None:
    topics = [
        _copies("one-b", 1, {"min.insync.replicas": "1"}),
        _copies("one-a", 1, None),
        _copies("weak", 3, {"min.insync.replicas": "1"}),
        _copies("strong", 3, {"min.insync.replicas": "2"}),
        _copies("unreadable", 3, None),
    ]

    single, weak = replication_warnings(topics)

    assert (single.topic, weak.topic) == ("one-a, one-b", "weak")
    assert "replication factor 1" in single.what
    assert "min.insync.replicas is 1" in weak.what
    assert single.unwise
    assert weak.unwise
    assert not single.fatal
    assert not weak.fatal
    assert not [*replication_warnings([topics[3]])]
