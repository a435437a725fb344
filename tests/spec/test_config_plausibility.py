"""Values that are allowed and look like a mistake are warned of, and nothing else is."""

from pathlib import Path

import pytest

from tests.commands import Sessionizer
from worker.config import load, warnings
from worker.process_limits import _bytes_in, _limit_files, memory_limit_mb

CONFIGS = Path(__file__).parents[2] / "config"
MACHINE_MB = 16_000


def warned(variables: dict[str, str], machine_mb: int | None = MACHINE_MB, processes: int = 1) -> list[str]:
    """The warnings about these options."""
    config = load(None, {f"SESSIONIZER_{name}": value for name, value in variables.items()})
    return warnings(config, machine_mb, processes)


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.toml")), ids=lambda path: path.name)
def test_the_files_that_come_with_the_project_are_plausible(path: Path) -> None:
    assert warnings(load(path, {}), MACHINE_MB) == []


@pytest.mark.parametrize(
    "variables",
    [
        {"SESSION_GAP_MS": "60000", "SESSION_GRACE_MS": "10000", "SESSION_MAX_FUTURE_MS": "10000"},
        {"SESSION_GRACE_MS": "0", "SESSION_MAX_FUTURE_MS": "0", "SESSION_MAX_DURATION_MS": "0"},
        {"SESSION_GAP_MS": "604800000", "LOG_STATS_INTERVAL_S": "3600"},
        {"KAFKA_HEARTBEAT_INTERVAL_MS": "100", "KAFKA_COMMIT_INTERVAL_MS": "10"},
        {"INPUT_DUPLICATES": "drop", "INPUT_DUPLICATES_MS": "10000"},
        {"SESSION_BOUNCE_MS": "500"},
    ],
)
def test_what_is_run_on_purpose_is_left_in_peace(variables: dict[str, str]) -> None:
    assert warned(variables) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SESSION_GAP_MS", "1800"),
        ("SESSION_GRACE_MS", "300"),
        ("SESSION_MAX_FUTURE_MS", "300"),
        ("SESSION_MAX_DURATION_MS", "14400"),
        ("SESSION_BOUNCE_MS", "10"),
        ("KAFKA_HEARTBEAT_INTERVAL_MS", "3"),
        ("KAFKA_COMMIT_INTERVAL_MS", "1"),
        ("INPUT_DUPLICATES_MS", "3600"),
    ],
)
def test_seconds_by_mistake_are_warned_of(name: str, value: str) -> None:
    others = {
        "SESSION_GRACE_MS": {"SESSION_MAX_FUTURE_MS": "0"},
        "INPUT_DUPLICATES_MS": {"INPUT_DUPLICATES": "drop"},
    }.get(name, {})
    (line,) = warned({name: value, **others})
    seconds = int(value)
    assert line == (
        f"SESSIONIZER_{name} = {value}: is {seconds / 1000:g} s. "
        f"If {value} s were meant, it must be {seconds}000"
    )


def test_microseconds_and_the_other_way_round_are_warned_of() -> None:
    assert warned({"SESSION_GAP_MS": "1800000000"}) == [
        "SESSIONIZER_SESSION_GAP_MS = 1800000000: is 21 days: the unit is milliseconds"
    ]
    assert warned({"LOG_STATS_INTERVAL_S": "10000"}) == [
        "SESSIONIZER_LOG_STATS_INTERVAL_S = 10000: is more than an hour: the unit is seconds"
    ]


def test_proxies_at_every_address_are_warned_of() -> None:
    (line,) = warned({"COLLECT_TRUSTED_PROXIES": "10.0.0.0/8,0.0.0.0/0"})
    assert "trusts every address" in line


def test_more_memory_than_there_is_is_warned_of() -> None:
    assert warned({"STATE_MEMORY_MB": "1000000"}) == [
        (
            "SESSIONIZER_STATE_MEMORY_MB = 1000000: together with the 256 MiB that it takes besides, it is "
            "more than the 16000 MiB of memory here (the unit is MiB)"
        )
    ]
    assert warned({"STATE_MEMORY_MB": "256"}, 512) == []
    assert len(warned({"STATE_MEMORY_MB": "256"}, 511)) == 1
    assert len(warned({}, 1_000, processes=3)) == 1
    assert warned({"STATE_MEMORY_MB": "1000000"}, None) == []


def test_the_memory_is_that_of_the_closest_limit(tmp_path: Path) -> None:
    """Of both versions of control groups, and of the groups above ours."""
    own, root = tmp_path / "cgroup", tmp_path / "fs"
    own.write_text("4:cpu,cpuacct:/elsewhere\n3:memory:/pod/container\n0::/slice/unit\n")
    for place, text in (
        ("memory/pod/memory.limit_in_bytes", "536870912"),
        ("memory/pod/container/memory.limit_in_bytes", "9223372036854771712"),
        ("slice/memory.max", "268435456"),
        ("slice/unit/memory.max", "max"),
    ):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(f"{text}\n")
    found = [limit for file in _limit_files(own, root) if (limit := _bytes_in(file)) is not None]
    assert sorted(found) == [268435456, 536870912, 9223372036854771712]
    assert list(_limit_files(tmp_path / "none", root)) == []
    machine_mb = memory_limit_mb()
    assert machine_mb is not None
    assert machine_mb > 0


def test_the_commands_warn_on_standard_error(sessionizer: Sessionizer) -> None:
    ended = sessionizer("config", "show", "--format", "toml", SESSION_GAP_MS="1800")
    assert ended.code == 0
    assert "warning" not in ended.out
    assert ended.err == (
        "warning: SESSIONIZER_SESSION_GAP_MS = 1800: is 1.8 s. If 1800 s were meant, it must be 1800000\n"
    )
    checked = sessionizer("check", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert checked.err.startswith("warning: SESSIONIZER_SESSION_GAP_MS = 1800: ")
