"""The table of topics, and what must follow it: options, and whatever repeats a topic in other words."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from msgspec import Raw, json, structs

from tests.core_step import step
from worker.config.options import Topics
from worker.core.encode import encode_step
from worker.model.events import TIMESTAMP_LIMIT_MS
from worker.model.outputs import EnrichedEvent, Flag, largest_bytes
from worker.model.rules import InputRules
from worker.model.topics import OUTPUTS, TOPICS, Role, TopicSpec

ROOT = Path(__file__).parent.parent.parent


def test_every_role_has_a_row() -> None:
    assert sorted(TOPICS) == sorted(get_args(Role))


def test_every_topic_has_an_option_with_its_default_name() -> None:
    options = {field.name: field.default for field in structs.fields(Topics)}
    assert options == {role: spec.default_name for role, spec in TOPICS.items()}


def test_a_step_has_a_list_of_records_for_every_output() -> None:
    assert set(encode_step(step())) == set(OUTPUTS)


def test_every_output_stands_where_people_look_for_it() -> None:
    """Fails with the list of what a new output still needs, besides the code that makes its records."""
    missing = [
        f"{path}: nothing about topics.{role}, looked for {pattern}"
        for role, spec in OUTPUTS.items()
        for path, pattern in mentions(spec)
        if not re.search(pattern, (ROOT / path).read_text(), re.MULTILINE)
    ]
    assert not missing, "\n" + "\n".join(missing)


def mentions(spec: TopicSpec) -> Iterator[tuple[str, str]]:
    """Files that say something of every output, and the pattern of what they say."""
    words, file, topic = spec.role.replace("_", " "), re.escape(spec.file_name), re.escape(spec.default_name)
    yield "README.md", rf"► {topic} "
    yield "docs/architecture.md", rf"\b{topic}\b"
    yield "docs/outputs.md", rf"^\| `topics\.{spec.role}` "
    yield "docs/outputs.md", rf"^## {words.capitalize()}"
    yield "docs/operations.md", rf"^\| ([\w, ]*, )?{words}(, [\w, ]*)? \| "  # settings that matter
    yield "docs/operations.md", rf"^\| outputs: .*\b{words}\b.* \| Write"  # rights
    yield "docs/operations.md", rf"^- .*`{file}`"  # files of a replay
    yield "worker/cli/replay.py", file
    if spec.key != "raw record":  # what analysts read
        yield "docs/recipes/duckdb/tables.sql", f"'{file}'"
        yield "docs/recipes/postgresql/load_files.sql", f"'{file}'"
        yield "docs/recipes/clickhouse/kafka.sql", f"'{topic}'"


def test_an_event_of_the_longest_texts_and_objects_just_fits_in_the_room_for_it() -> None:
    limits = InputRules(max_text_bytes=8_192, max_object_bytes=1_000_000)
    text, data = "\x01" * limits.max_text_bytes, Raw(b'"' + b"x" * (limits.max_object_bytes - 2) + b'"')
    event = EnrichedEvent(
        id=text,
        type=text,
        device_id=text,
        timestamp=TIMESTAMP_LIMIT_MS,
        user_id=text,
        user_source="device",
        session_id=text,
        session_source="assigned",
        session_start=TIMESTAMP_LIMIT_MS,
        session_number=2**63,
        event_number=2**63,
        session_cause="max_duration",
        received_at=TIMESTAMP_LIMIT_MS,
        flags=get_args(Flag),
        view_id=text,
        data=data,
        extra=data,
    )
    value_bytes = len(json.encode(event))
    room_bytes = largest_bytes(EnrichedEvent, limits)
    assert room_bytes - 4_096 < value_bytes <= room_bytes
