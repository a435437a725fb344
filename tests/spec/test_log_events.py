"""What operators search and alert on: the shape of log lines, their names, and what is never in them."""

import errno
import io
import json
import logging
import os
import socket
import typing
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import pytest
from msgspec import structs

from docs.generate_log_events import DOCUMENT, document, part_of
from worker import log_output, telemetry
from worker.telemetry import CATALOGUE, LogEvent

EXAMPLES = {
    str: "text",
    int: 3,
    float: 1.5,
    str | None: None,
    float | None: 2.5,
    bool: True,
    dict[str, int]: {"a": 1},
    dict[str, dict[str, int]]: {"a": {"b": 1}},
    dict[str, int | None]: {"a": 1, "b": None},
    list[str]: ["a"],
}

pytestmark = pytest.mark.usefixtures("restored_logging")


def test_the_page_of_log_events_is_that_of_the_catalogue() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run: make docs"


def test_the_catalogue_is_complete_and_its_names_are_unique() -> None:
    assert set(CATALOGUE) == set(LogEvent.__subclasses__())
    assert len({kind.NAME for kind in CATALOGUE}) == len(CATALOGUE)


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.NAME)
def test_a_line_begins_with_event_level_and_timestamp_and_has_the_events_fields(
    kind: type[LogEvent], capsys: pytest.CaptureFixture[str]
) -> None:
    log_output.configure("json", "info")
    event = example(kind)
    telemetry.emit(event)
    (line,) = lines(capsys)
    assert list(line)[:3] == ["event", "level", "timestamp"]
    assert (line.pop("event"), line.pop("level")) == (kind.NAME, kind.LEVEL)
    assert datetime.fromisoformat(line.pop("timestamp")).tzinfo == UTC
    assert line == structs.asdict(event)


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.NAME)
def test_no_event_has_a_field_for_what_must_not_be_logged(kind: type[LogEvent]) -> None:
    secret_or_personal = {
        "password",
        "secret",
        "token",
        "user_id",
        "device_id",
        "session_id",
        "payload",
        "key",
    }
    assert not secret_or_personal & {field.name for field in structs.fields(kind)}


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.NAME)
def test_every_event_says_what_it_means(kind: type[LogEvent]) -> None:
    assert kind.__doc__ is not None
    assert kind.LEVEL in {"info", "warning", "error"}


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.NAME)
def test_every_warning_and_every_alert_says_what_to_do(kind: type[LogEvent]) -> None:
    if kind.LEVEL != "info":
        assert part_of(kind, "Remedy")


def test_a_level_silences_what_is_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    log_output.configure("json", "error")
    for kind in CATALOGUE:
        telemetry.emit(example(kind))
    assert {line["event"] for line in lines(capsys)} == {
        *("worker.failed", "collect.failed", "collect.internal_error", "live.failed"),
        "live.internal_error",
    }


def test_a_librarys_line_has_the_same_shape_and_names_its_logger(capsys: pytest.CaptureFixture[str]) -> None:
    log_output.configure("json", "info")
    logging.getLogger("aiokafka.consumer.fetcher").warning("partition %d is\nlost", 3)
    (line,) = lines(capsys)
    assert list(line) == [
        "event",
        "level",
        "timestamp",
        "logger",
        "message",
        "suppressed",
        "age_s",
        "traceback",
    ]
    assert (line["event"], line["level"]) == ("library.warning", "warning")
    assert (line["logger"], line["message"]) == ("aiokafka.consumer.fetcher", "partition 3 is\nlost")


@pytest.mark.parametrize("level", ["debug", "info"])
def test_the_kafka_clients_lines_with_keys_and_values_are_never_written(
    level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log_output.configure("json", level)
    for name in ("aiokafka.producer.producer", "aiokafka.conn", "aiokafka"):
        logging.getLogger(name).debug("Sending (key=%r value=%r)", b"device", b"purchase")
    assert lines(capsys) == []


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_no_variables(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    """They hold people's data, and passwords."""
    log_output.configure(log_format, "info")

    def connect(password: str) -> None:
        raise ConnectionError(f"refused after {len(password)} letters")

    try:
        connect("hunter" + str(2))  # a traceback shows the source line too
    except ConnectionError:
        logging.getLogger("aiokafka.conn").exception("cannot connect")
    written = capsys.readouterr().out
    assert "refused after 7 letters" in written
    assert "hunter2" not in written


def test_every_line_of_one_process_among_several_bears_its_slot(capsys: pytest.CaptureFixture[str]) -> None:
    log_output.configure("json", "info", slot=2)
    telemetry.emit(telemetry.PartitionAssigned(partition=3))
    logging.getLogger("aiokafka.conn").warning("lost")
    assert [(line["event"], line["slot"]) for line in lines(capsys)] == [
        ("partition.assigned", 2),
        ("library.warning", 2),
    ]


def test_every_line_bears_the_workers_instance(capsys: pytest.CaptureFixture[str]) -> None:
    log_output.configure("json", "info", instance="eu-1", slot=0)
    telemetry.emit(telemetry.PartitionAssigned(partition=3))
    logging.getLogger("aiokafka.conn").warning("lost")
    assert [(line["instance"], line["slot"]) for line in lines(capsys)] == [("eu-1", 0)] * 2


def test_two_workers_of_one_machine_are_kept_apart_by_themselves() -> None:
    host, _, pid = log_output.instance_here("").rpartition(":")
    assert (host, pid) == (socket.gethostname(), str(os.getpid()))
    assert log_output.instance_here("eu-1") == "eu-1"


def test_the_console_shows_the_same_events_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    log_output.configure("console", "info")
    telemetry.emit(telemetry.PartitionAssigned(partition=3))
    written = capsys.readouterr().out
    assert "partition.assigned" in written
    assert "partition=3" in written


def example(kind: type[LogEvent]) -> LogEvent:
    """An event of that kind with some value of the right type in every field."""
    hints = typing.get_type_hints(kind)
    return kind(**{field.name: EXAMPLES[hints[field.name]] for field in structs.fields(kind)})


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was written to stdout, line by line."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


class Disk(io.StringIO):
    """A file on a disk that may be full."""

    full = False

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


def test_a_full_disk_stops_no_work_and_what_the_log_lost_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk()
    monkeypatch.setattr("sys.stdout", disk)
    log_output.configure("json", "info")
    disk.full = True
    telemetry.emit(example(CATALOGUE[0]))
    logging.getLogger("aiokafka").error("the client's lines too")
    disk.full = False
    telemetry.emit(example(CATALOGUE[0]))
    telemetry.emit(example(CATALOGUE[0]))
    written = [json.loads(line) for line in disk.getvalue().splitlines()]
    assert [line.get("log_lines_lost", 0) for line in written] == [2, 0]


def test_a_log_that_nobody_reads_any_more_ends_the_program_as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk()
    monkeypatch.setattr(disk, "flush", Mock(side_effect=BrokenPipeError))
    monkeypatch.setattr("sys.stdout", disk)
    log_output.configure("json", "info")
    with pytest.raises(BrokenPipeError):
        telemetry.emit(example(CATALOGUE[0]))
