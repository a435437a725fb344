"""``sessionizer replay``: the same core as ``run``, and what it prints of its work."""

import pytest

from tests.builders import click
from tests.engines import twin
from tests.replay_directory import ReplayDirectory, text
from worker.replay import OUTPUT_FILES

# --- The same core ---


def test_the_same_input_gives_the_same_output_byte_for_byte(replay: ReplayDirectory, traffic: bytes) -> None:
    replay.lines(traffic[:-1])
    outputs = []
    for name in ("first", "second"):
        replay.output = replay.directory / name
        assert replay.run().code == 0
        assert replay.left_behind() == sorted(OUTPUT_FILES)
        outputs.append([(replay.output / file).read_bytes() for file in replay.left_behind()])
    assert outputs[0] == outputs[1]
    assert len(replay.read("enriched.ndjson")) + len(replay.read("dead-letters.ndjson")) == 5_000


def test_two_engines_make_the_same_output(
    replay: ReplayDirectory, traffic: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay.lines(traffic[:-1])
    replay.run()
    alone = [(replay.output / file).read_bytes() for file in OUTPUT_FILES]
    monkeypatch.setattr("worker.replay.ReadableEngine", twin)
    replay.output = replay.directory / "second"
    assert replay.run().code == 0
    assert [(replay.output / file).read_bytes() for file in OUTPUT_FILES] == alone


def test_the_end_of_the_input_closes_every_session_and_each_has_one_line(replay: ReplayDirectory) -> None:
    visit = [click("d1", at) for at in ("10:00:00", "10:50:00", "10:25:00")]
    replay.lines(*map(text, visit), text(click("d2", "12:00:00")), text(click("d2", "12:01:00", user="ann")))
    assert replay.run().code == 0
    rows = {(row["device_id"], row["status"]): row for row in replay.read("sessions.ndjson")}
    assert rows.keys() == {("d1", "merged"), ("d1", "closed"), ("d2", "closed")}
    assert rows["d1", "merged"]["merged_into"] == rows["d1", "closed"]["session_id"]
    assert rows["d1", "closed"]["event_count"] == 3
    assert rows["d2", "closed"]["close_reason"] == "inactivity"
    assert rows["d2", "closed"]["user_id"] == "ann"
    (identity,) = replay.read("identities.ndjson")
    assert (identity["device_id"], identity["user_id"]) == ("d2", "ann")


def test_how_the_input_is_cut_into_files_changes_no_event(replay: ReplayDirectory, traffic: bytes) -> None:
    replay.lines(traffic[:-1]).run()
    whole = (replay.output / "enriched.ndjson").read_bytes()
    lines = traffic.splitlines(keepends=True)
    files = [replay.directory / name for name in ("one", "two", "three")]
    for number, file in enumerate(files):
        file.write_bytes(b"".join(lines[number * 500 : (number + 1) * 500 if number < 2 else None]))
    replay.run(*files, "--overwrite")
    assert (replay.output / "enriched.ndjson").read_bytes() == whole


@pytest.mark.parametrize("store", ["rocksdb", "memory"])
def test_devices_that_do_not_fit_in_memory_are_found_again(replay: ReplayDirectory, store: str) -> None:
    """16 MiB keep 4,000 devices at most; each of 6,000 comes twice."""
    devices = [f"d{number}" for number in range(6_000)]
    batches = [[click(device, at) for device in devices] for at in ("10:00:00", "10:20:00")]
    enriched = replay.lines(*map(text, batches)).enriched(STATE_MEMORY_MB="16", STATE_STORE=store)
    assert [event["event_number"] for event in enriched] == [1] * 6_000 + [2] * 6_000


def test_the_configuration_s_rules_apply(replay: ReplayDirectory) -> None:
    config = replay.directory / "my.toml"
    config.write_text('[session]\ngap_ms = 60000\nevent_types = { "ping" = "passive" }\n', encoding="utf-8")
    replay.lines(text(click("d1", "10:00:00")), text(click("d1", "10:02:00")), text(click("d2", type="ping")))
    enriched = replay.enriched(replay.input, "--config", config)
    assert [event.get("session_number") for event in enriched] == [1, 2, None]


def test_ids_are_remembered_over_commits_and_files(replay: ReplayDirectory) -> None:
    """A commit at 4,000 events, and devices that do not fit in memory: the second file is the first again."""
    events = [click(f"d{number % 5_000}", id=f"e{number}") for number in range(10_000)]
    replay.lines(*(text(events[start : start + 500]) for start in range(0, 10_000, 500)))
    flagged = replay.enriched(replay.input, replay.input, INPUT_DUPLICATES="flag", STATE_MEMORY_MB="16")
    assert ["duplicate" in event.get("flags", ()) for event in flagged] == [False] * 10_000 + [True] * 10_000
    replay.output = replay.directory / "dropped"
    ended = replay.run(replay.input, replay.input, INPUT_DUPLICATES="drop", STATE_MEMORY_MB="16")
    assert [event["id"] for event in replay.read("enriched.ndjson")] == [event["id"] for event in events]
    assert ["duplicates", "10,000", "dropped"] in [line.split() for line in ended.out.splitlines()]


# --- What is printed ---


def test_the_summary_says_what_became_of_the_input(replay: ReplayDirectory) -> None:
    replay.lines(
        text([click("d1", "10:00:00", user="ann"), click("d1", "10:01:00", user="bob"), {}]),
        text([click("d2", "10:00:00"), click("d2", "14:00:00"), 7]),
        b"bad",
        text([]),
    )
    printed = [line.split() for line in replay.run().out.splitlines()]
    assert ["records", "4"] in printed
    assert [words[:2] for words in printed if words[0] == "events"] == [["events", "7"]]
    assert ["enriched", "4", "on", "2", "devices"] in printed
    assert ["dead", "letters", "3", "each", "with", "its", "reason:"] in printed
    assert printed[4:7] == [["1", "malformed_json"], ["1", "missing_field"], ["1", "not_an_object"]]
    assert ["sessions", "3", "opened,", "0", "merged", "into", "another"] in printed
    assert ["devices", "linked", "1", "to", "a", "user"] in printed


@pytest.mark.parametrize(("visible", "remark"), [(2, "more than half"), (3, "most of these types")])
def test_the_summary_names_the_types_of_events_in_no_session(
    replay: ReplayDirectory, visible: int, remark: str
) -> None:
    config = replay.directory / "my.toml"
    config.write_text(
        '[session]\nevent_types = { "*" = "passive", "pageview" = "normal" }\n', encoding="utf-8"
    )
    calls = ["pageview"] * visible + ["page_view", "page_view", "ping"]
    replay.lines(text([click(f"d{number}", type=name) for number, name in enumerate(calls)]))
    ended = replay.run(replay.input, "--config", config)
    found = [line for line in ended.out.splitlines() if "in no session" in line]
    assert [line.split()[3] for line in found] == ["3"]
    assert remark in found[0]
    assert [line.split() for line in ended.out.splitlines()[-2:]] == [["2", "page_view"], ["1", "ping"]]
    assert ("session.event_types" in found[0]) == (visible == 2)


def test_a_summary_without_events_outside_sessions_says_nothing_of_them(replay: ReplayDirectory) -> None:
    assert "in no session" not in replay.lines(text(click("d1"))).run().out


def test_progress_is_printed_in_bytes_on_standard_error(replay: ReplayDirectory) -> None:
    replay.lines(*[text(click("d1"))] * 10_000)
    size = replay.input.stat().st_size
    lines = replay.run().err.splitlines()
    assert lines == [f"  read: {part} % of {size:,} bytes" for part in (25, 50, 75, 100)]
