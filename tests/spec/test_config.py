"""What an operator may rely on when writing a configuration: docs/operations.md, Set up."""

import typing

import pytest

from tests.configurations import File, faults
from worker.config import Config, ConfigError, load
from worker.config.options import ANY_COUNT, BOUNDS, EXAMPLES
from worker.config.values import OPTIONS, convert, default_of
from worker.model.rules import InputRules, SessionRules

# --- where values come from --------------------------------------------------------------------------------


def test_nothing_set_gives_the_defaults() -> None:
    assert load(None, {}) == Config()


def test_the_file_wins_over_the_default_and_the_environment_over_the_file(file: File) -> None:
    path = file.with_text("[session]\ngap_ms = 60000\ngrace_ms = 400000\n")
    config = load(path, {"SESSIONIZER_SESSION_GAP_MS": "90000"})
    assert config.session.gap_ms == 90_000
    assert config.session.grace_ms == 400_000
    assert config.session.remembered == 4


def test_each_value_says_where_it_came_from(file: File) -> None:
    path = file.with_text("[session]\ngrace_ms = 400000\n")
    config = load(path, {"SESSIONIZER_SESSION_GAP_MS": "90000"})
    assert config.sources == {
        "session.gap_ms": "SESSIONIZER_SESSION_GAP_MS",
        "session.grace_ms": str(path),
    }


def test_every_option_can_be_set_by_a_variable() -> None:
    for key, option in OPTIONS.items():
        variable = "SESSIONIZER_" + key.upper().replace(".", "_")
        lines: list[str] = []
        try:
            load(None, {variable: "\x00"})
        except ConfigError as refused:
            lines = refused.lines
        assert not any("unknown" in line for line in lines), (variable, option)


def test_variables_of_other_programs_and_of_the_tests_are_overlooked() -> None:
    assert load(None, {"HOME": "/", "SESSIONIZER_TEST_KAFKA": "localhost:1"}) == Config()


@pytest.mark.parametrize("text", ["null,guest", " null , guest ,", '["null", "guest"]'])
def test_a_list_in_a_variable_is_parted_by_commas_or_json(text: str) -> None:
    config = load(None, {"SESSIONIZER_IDENTITY_BLOCKED_USER_IDS": text})
    assert config.identity.blocked_user_ids == ("null", "guest")


def test_a_list_item_that_looks_like_json_stays_text() -> None:
    for text in ("0", "true", "[object object]"):
        config = load(None, {"SESSIONIZER_IDENTITY_BLOCKED_USER_IDS": text})
        assert config.identity.blocked_user_ids == (text,)


def test_an_empty_variable_is_an_empty_value() -> None:
    variables = {"SESSIONIZER_TOPICS_SESSIONS": "", "SESSIONIZER_IDENTITY_BLOCKED_USER_IDS": ""}
    config = load(None, variables)
    assert config.topics.sessions == ""
    assert config.identity.blocked_user_ids == ()


def test_a_table_in_a_variable_is_json() -> None:
    config = load(None, {"SESSIONIZER_SESSION_EVENT_TYPES": '{"logout": "unlink", "*": "passive"}'})
    assert config.session.event_types == {"logout": "unlink", "*": "passive"}


@pytest.mark.parametrize(("text", "value"), [("true", True), ("False", False)])
def test_a_switch_in_a_variable_is_true_or_false(text: str, value: bool) -> None:
    config = load(None, {"SESSIONIZER_SESSION_SPLIT_ON_USER_CHANGE": text})
    assert config.session.split_on_user_change is value


# --- how faults are reported --------------------------------------------------------------------------------


def test_a_fault_names_file_option_value_and_what_is_expected(file: File) -> None:
    path = file.with_text('[session]\ngap_ms = "30m"\n')
    assert faults(path) == [
        'prod.toml: session.gap_ms = "30m": expected a whole number of milliseconds, e.g. 1800000'
    ]


def test_a_fault_in_a_variable_names_the_variable() -> None:
    assert faults(KAFKA_COMMIT_INTERVAL_MS="60000") == [
        (
            "SESSIONIZER_KAFKA_COMMIT_INTERVAL_MS = 60000: must be below a third of "
            "kafka.transaction_timeout_ms = 20000, else transactions expire before they commit"
        )
    ]


def test_a_fault_between_two_set_options_names_both_places(file: File) -> None:
    path = file.with_text("[kafka]\nsession_timeout_ms = 6000\n")
    (line,) = faults(path, KAFKA_HEARTBEAT_INTERVAL_MS="2000")
    assert line.startswith("SESSIONIZER_KAFKA_HEARTBEAT_INTERVAL_MS = 2000: must be below a third of ")
    assert "kafka.session_timeout_ms = 6000 (prod.toml)" in line


def test_all_faults_of_file_and_environment_are_reported_at_once(file: File) -> None:
    path = file.with_text(
        '[kafka]\nstart_from = "now"\nheartbeat_interval_ms = 6000\n[session]\nremembered = 1\n[nothing]\n'
    )
    assert faults(path, LOG_LEVEL="loud", SESSION_SPLIT_ON_USER_CHANGE="yes") == [
        'prod.toml: kafka.start_from = "now": expected one of earliest, latest',
        "prod.toml: session.remembered = 1: expected 2 to 64",
        (
            "prod.toml: unknown section [nothing]: expected one of kafka, topics, input, session, identity, "
            "state, engine, log, health, collect, live"
        ),
        'SESSIONIZER_LOG_LEVEL = "loud": expected one of debug, info, warning, error',
        'SESSIONIZER_SESSION_SPLIT_ON_USER_CHANGE = "yes": expected true or false',
        (
            "prod.toml: kafka.heartbeat_interval_ms = 6000: must be below a third of "
            "kafka.session_timeout_ms = 15000, else two lost heartbeats cost the worker its partitions"
        ),
    ]


def test_a_faulty_value_raises_no_second_fault_about_its_default() -> None:
    assert faults(KAFKA_TRANSACTION_TIMEOUT_MS="soon", KAFKA_COMMIT_INTERVAL_MS="60000") == [
        (
            'SESSIONIZER_KAFKA_TRANSACTION_TIMEOUT_MS = "soon": '
            "expected a whole number of milliseconds, e.g. 20000"
        )
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[session]\ngapms = 1\n", "unknown option session.gapms: did you mean session.gap_ms?"),
        ("[kafka]\ngap_ms = 1\n", "unknown option kafka.gap_ms: did you mean session.gap_ms?"),
        ("[kafka]\nbanana = 1\n", "unknown option kafka.banana"),
        ("[sesion]\n", "unknown section [sesion]: did you mean session?"),
        ("session = 1\n", "session: expected a section, [session], with options below it"),
        ("[state]\nstore = 'redis'\n", 'state.store = "redis": expected one of rocksdb, memory'),
        ("[state]\nmemory_mb = 2.5\n", "state.memory_mb = 2.5: expected a whole number of MiB, e.g. 256"),
        ("[topics]\nraw = 5\n", "topics.raw = 5: expected text"),
        (
            '[session]\nevent_types = {"logout" = "leave"}\n',
            (
                'session.event_types = {"logout": "leave"}: '
                "expected a table with the values start, passive, end, unlink or normal, "
                'e.g. {"logout": "unlink"}'
            ),
        ),
        (
            "[identity]\nblocked_user_ids = 'null'\n",
            'identity.blocked_user_ids = "null": expected a list of texts, e.g. ["null", "anonymous"]',
        ),
    ],
)
def test_faults_of_a_file(file: File, text: str, line: str) -> None:
    assert faults(file.with_text(text)) == [f"prod.toml: {line}"]


def test_an_unknown_variable_is_a_fault_with_the_nearest_name() -> None:
    assert faults(SESSION_GAPMS="1", BANANA="1") == [
        "SESSIONIZER_BANANA: unknown variable",
        "SESSIONIZER_SESSION_GAPMS: unknown variable: did you mean SESSIONIZER_SESSION_GAP_MS?",
    ]


@pytest.mark.parametrize("service", ["", "UI_", "RAW_2_"])
def test_what_kubernetes_sets_beside_a_service_is_overlooked(service: str) -> None:
    names = ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT_80_TCP", "PORT_80_TCP_ADDR"]
    set_by_kubernetes = {f"SESSIONIZER_{service}{name}": "10.0.0.1" for name in names}

    load(None, {**set_by_kubernetes, f"SESSIONIZER_{service}PORT": "tcp://10.0.0.1:80"})


def test_a_port_that_kubernetes_did_not_set_is_a_fault() -> None:
    assert faults(KAFKA_PORT="9092") == ["SESSIONIZER_KAFKA_PORT: unknown variable"]


def test_whoever_does_not_connect_needs_nothing_that_a_connection_needs() -> None:
    connecting = {
        "SESSIONIZER_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "SESSIONIZER_KAFKA_SSL_CAFILE": "/not/there.pem",
        "SESSIONIZER_KAFKA_SASL_PASSWORD_FILE": "/not/there",
    }

    assert load(None, connecting, connects=False).kafka.security_protocol == "SASL_SSL"
    with pytest.raises(ConfigError):
        load(None, connecting)


def test_a_file_that_is_no_toml_or_is_not_there_is_reported(file: File) -> None:
    assert faults(file.path) == ["prod.toml: cannot be read: No such file or directory"]
    (line,) = faults(file.with_text("[kafka\n"))
    assert line.startswith("prod.toml: is not TOML: ")
    assert "line 1" in line
    file.path.write_bytes(b"\xff\xfe")
    assert faults(file.path) == ["prod.toml: is not UTF-8 text"]


# --- what is allowed ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "variables",
    [
        {"KAFKA_COMMIT_INTERVAL_MS": "6666"},  # a third of 20000 is 6666.7
        {"KAFKA_HEARTBEAT_INTERVAL_MS": "4999"},
        {"SESSION_MAX_FUTURE_MS": "300000"},
        {"SESSION_GRACE_MS": "0", "SESSION_MAX_FUTURE_MS": "0"},
        {"SESSION_REMEMBERED": "2"},
        {"KAFKA_BOOTSTRAP_SERVERS": "a:1, [::1]:9092,b.example.com:65535"},
        {"KAFKA_GROUP_INSTANCE_ID": ""},
        {"TOPICS_SESSIONS": "", "TOPICS_IDENTITIES": ""},
        {"TOPICS_RAW": "r" * 249},
        {"KAFKA_COMPRESSION": "lz4"},
        {"INPUT_DUPLICATES": "keep", "INPUT_DUPLICATES_MS": "86400000"},
        {"INPUT_DUPLICATES": "flag", "STATE_RETENTION_DAYS": "1"},
        {"INPUT_DUPLICATES": "drop", "INPUT_DUPLICATES_REMEMBERED": "5000", "INPUT_DUPLICATES_MS": "1"},
    ],
)
def test_values_at_the_edge_are_allowed(variables: dict[str, str]) -> None:
    load(None, {f"SESSIONIZER_{name}": value for name, value in variables.items()})


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"KAFKA_COMMIT_INTERVAL_MS": "6667"}, "below a third"),
        ({"KAFKA_COMMIT_INTERVAL_MS": "0"}, "expected 1 to 2147483647 milliseconds"),
        ({"KAFKA_HEARTBEAT_INTERVAL_MS": "5000"}, "below a third"),
        ({"SESSION_MAX_FUTURE_MS": "300001"}, "must not be above session.grace_ms = 300000"),
        ({"SESSION_GAP_MS": "0"}, "expected 1 to"),
        ({"SESSION_REMEMBERED": "1"}, "expected 2 to 64"),
        ({"STATE_RETENTION_DAYS": "1", "SESSION_GAP_MS": "86400000"}, "must be longer than session.gap_ms"),
        ({"INPUT_MAX_TEXT_BYTES": "0"}, "expected 16 to 8192 bytes"),
        ({"INPUT_MAX_OBJECT_BYTES": "9999999"}, "must not be above input.max_value_bytes"),
        ({"INPUT_MAX_EVENTS": "-1"}, "expected 1 to 2147483647"),
        ({"INPUT_DUPLICATES": "yes"}, "expected one of keep, flag, drop"),
        (
            {"INPUT_DUPLICATES_MS": "3600000"},
            'has no meaning with input.duplicates = "keep": use flag or drop',
        ),
        ({"INPUT_DUPLICATES_REMEMBERED": "9"}, 'has no meaning with input.duplicates = "keep"'),
        ({"INPUT_DUPLICATES": "drop", "INPUT_DUPLICATES_REMEMBERED": "5001"}, "expected 1 to 5000"),
        ({"INPUT_DUPLICATES": "drop", "INPUT_DUPLICATES_MS": "0"}, "expected 1 to 2147483647 milliseconds"),
        (
            {"INPUT_DUPLICATES": "flag", "INPUT_DUPLICATES_MS": "86400001", "STATE_RETENTION_DAYS": "1"},
            "must not be longer than state.retention_days = 1",
        ),
        ({"KAFKA_BOOTSTRAP_SERVERS": "kafka"}, "expected host:port"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "kafka:99999"}, "expected host:port"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "a:1,,b:1"}, "expected host:port"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "http://a:1"}, "expected host:port"),
        ({"KAFKA_GROUP_ID": ""}, "must not be empty"),
        ({"KAFKA_GROUP_ID": "my group"}, "topics are named after it"),
        ({"KAFKA_GROUP_INSTANCE_ID": "worker one"}, "expected a name that Kafka allows"),
        ({"TOPICS_RAW": ""}, "must not be empty"),
        ({"TOPICS_RAW": ".."}, "expected a name that Kafka allows"),
        ({"TOPICS_RAW": "r" * 250}, "expected a name that Kafka allows"),
        ({"TOPICS_RAW": "{0}"}, "expected a name that Kafka allows"),
        ({"TOPICS_RAW": "events.enriched"}, "must be another topic than topics.raw"),
        ({"TOPICS_RAW": "events_enriched"}, "must be another topic than topics.raw"),
        ({"TOPICS_RAW": "sessionizer.changelog"}, "must be another topic than topics.raw"),
        ({"STATE_DIRECTORY": ""}, "must not be empty"),
        ({"STATE_DIRECTORY": "a\x00b"}, "without control characters"),
    ],
)
def test_values_beyond_the_edge_are_refused_with_the_reason(variables: dict[str, str], reason: str) -> None:
    (line,) = faults(**variables)
    assert reason in line


def test_the_changelog_is_named_after_the_group_unless_it_has_a_name() -> None:
    assert load(None, {"SESSIONIZER_KAFKA_GROUP_ID": "eu"}).changelog_topic == "eu.changelog"
    assert load(None, {"SESSIONIZER_TOPICS_CHANGELOG": "state"}).changelog_topic == "state"


def test_the_core_gets_the_rules_that_were_set() -> None:
    variables = {
        "SESSIONIZER_SESSION_GAP_MS": "60000",
        "SESSIONIZER_INPUT_MAX_EVENTS": "7",
        "SESSIONIZER_IDENTITY_BLOCKED_DEVICE_IDS": "x",
    }
    rules = load(None, variables).rules
    assert rules.session.gap_ms == 60_000
    assert rules.input.max_events == 7
    assert rules.identity.blocked_device_ids == ("x",)


def test_the_defaults_of_the_core_are_the_defaults_of_the_configuration() -> None:
    for section, rules in (("input", InputRules()), ("session", SessionRules())):
        for name in rules.__struct_fields__:
            assert default_of(f"{section}.{name}") == getattr(rules, name)


def test_every_table_and_list_has_an_example_that_is_a_right_value() -> None:
    assert set(EXAMPLES) == {key for key, option in OPTIONS.items() if is_table_or_list(option.type)}
    for key, example in EXAMPLES.items():
        convert(key, example)


def is_table_or_list(kind: object) -> bool:
    return typing.get_origin(kind) in {dict, tuple}


def test_places_within_a_value_fit_32_bits_and_sums_of_durations_64() -> None:
    """An engine with numbers of fixed width rests on it (docs/architecture.md, Stored records)."""
    assert BOUNDS["input.max_value_bytes"][1] < 2**31
    assert all(most < 2**31 for _, most in (*BOUNDS.values(), ANY_COUNT))
    assert BOUNDS["state.retention_days"][1] * 86_400_000 < 2**42
