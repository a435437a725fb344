"""``sessionizer demo`` as a user runs it: one command, every event accounted for, and files to look into."""

import json
import math
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from testing.wait import wait_until
from tests.conftest import Kafka


def run_demo(output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "worker", "demo", "--seed", "1", "--output", str(output), *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={"PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "utf-8"},
        timeout=120,
        check=False,
    )


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_demo_accounts_for_every_event_without_any_broker(tmp_path: Path) -> None:
    done = run_demo(tmp_path / "out", "--events", "3000")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""

    enriched = lines(tmp_path / "out" / "enriched.ndjson")
    dead_letters = lines(tmp_path / "out" / "dead-letters.ndjson")
    assert len(enriched) + len(dead_letters) == 3_000
    assert all(event["session_id"] for event in enriched)
    assert {event.get("user_source") for event in enriched} == {"event", "device", None}

    summary = done.stdout
    assert f"dead letters     {len(dead_letters):>10}" in summary
    assert "missing                   0" in summary
    assert "claimed for" in summary, "one device's story, with a login that claims its past"
    assert str(tmp_path / "out" / "enriched.ndjson") in summary
    assert max(len(line) for line in summary.splitlines() if str(tmp_path) not in line) <= 80


GAP_MS, MAX_FUTURE_MS = 1_800_000, 300_000
"""The defaults of ``session.gap_ms`` and ``session.max_future_ms``: the demo changes no rule."""


def visits(raw: list[dict[str, Any]], accepted: set[str]) -> list[tuple[int, int]]:
    """Duration in ms and number of events of every session, from the raw batches alone, by plain loops.

    A named session is all that has the name; of the rest a pause of more than the gap ends one.
    """
    times: dict[tuple[str, str | None], list[int]] = {}
    for record in raw:
        for event in json.loads(record["value"]) if record["value"].startswith("[") else []:
            if isinstance(event, dict) and event.get("id") in accepted:
                held_ms = min(event["timestamp"], record["received_at"] + MAX_FUTURE_MS)
                times.setdefault((event["device_id"], event.get("session_id")), []).append(held_ms)
    found: list[list[int]] = []
    for (_, name), unsorted in times.items():
        for index, t_ms in enumerate(sorted(unsorted)):
            if index == 0 or (name is None and t_ms - found[-1][1] > GAP_MS):
                found.append([t_ms, t_ms, 0])
            found[-1][1:] = [t_ms, found[-1][2] + 1]
    return [(end - start, count) for start, end, count in found]


def test_the_demos_picture_counts_what_the_raw_batches_say(tmp_path: Path) -> None:
    summary = run_demo(tmp_path, "--events", "3000").stdout
    accepted = {event["id"] for event in lines(tmp_path / "enriched.ndjson")}
    sessions = visits(lines(tmp_path / "raw.ndjson"), accepted)
    assert any(row["status"] == "open" for row in lines(tmp_path / "sessions.ndjson")), "or it shows nothing"

    minutes: dict[float, str] = {0: "one moment", 1: "to 1 minute", 5: "to 5 minutes", 15: "to 15 minutes"}
    minutes |= {30: "to 30 minutes", 60: "to 1 hour", math.inf: "longer"}
    counts: dict[float, str] = {1: "1 event", 5: "2 to 5", 10: "6 to 10", 20: "11 to 20"}
    counts |= {50: "21 to 50", math.inf: "more"}
    expected = Counter(
        next(name for most, name in minutes.items() if duration_ms <= most * 60_000)
        for duration_ms, _ in sessions
    )
    expected += Counter(next(name for most, name in counts.items() if count <= most) for _, count in sessions)
    bars = re.findall(r"^    (\S.{14}) *([\d,]+)  ", summary, re.MULTILINE)
    shown = Counter({name.strip(): int(number.replace(",", "")) for name, number in bars})
    assert +shown == expected
    assert f"Its {len(sessions):,} sessions" in summary


def test_demo_keeps_the_raw_batches_with_their_time(tmp_path: Path) -> None:
    run_demo(tmp_path, "--events", "200")
    raw = lines(tmp_path / "raw.ndjson")
    assert all(record["received_at"] > 1e11 for record in raw)
    assert any(record["value"].startswith("<html>") for record in raw)
    times = [record["received_at"] for record in raw]
    assert times == sorted(times)


def test_demo_of_a_single_event_ends_well(tmp_path: Path) -> None:
    assert run_demo(tmp_path, "--events", "1").returncode == 0


def test_demo_runs_on_a_real_broker_twice(kafka: Kafka, tmp_path: Path) -> None:
    for _ in range(2):  # topics of an earlier demo must not be counted
        done = run_demo(tmp_path, "--events", "2000", "--bootstrap-servers", kafka.bootstrap_servers)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "missing                   0" in done.stdout


def test_demo_on_a_broker_that_is_not_there_says_so(tmp_path: Path) -> None:
    done = run_demo(tmp_path, "--bootstrap-servers", "127.0.0.1:1")
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_demo_web_shows_a_page_and_ends_in_order(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "worker", "demo", "--web", "--output", str(tmp_path)]
    with (tmp_path / "stdout").open("wb") as stdout:
        demo = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.STDOUT)
    try:

        def address() -> str | None:
            assert demo.poll() is None, (tmp_path / "stdout").read_text()
            found = re.search(r"open +(http://\S+)", (tmp_path / "stdout").read_text())
            return found[1] if found else None

        wait_until(address, what="the address is printed", timeout_s=90)
        page = urllib.request.urlopen(str(address()), timeout=20).read().decode()
        collector = re.search(r'data-collector="(http://127\.0\.0\.1:\d+)"', page)
        assert collector is not None
        event = {"id": "e1", "type": "click", "device_id": "d1", "timestamp": time.time_ns() // 1_000_000}
        stream = urllib.request.urlopen(f"{address()}live/stream?device=d1", timeout=60)
        body = json.dumps([event]).encode()
        answer = urllib.request.urlopen(f"{collector[1]}/v1/events", body, timeout=20).read()
        assert json.loads(answer)["accepted"] == 1
        data = next(line for line in stream if b'"id":"e1"' in line)
        assert json.loads(data.removeprefix(b"data: "))["value"]["session_number"] == 1
        stream.close()
    finally:
        demo.send_signal(signal.SIGINT)
        code = demo.wait(30)
    assert code == 0, (tmp_path / "stdout").read_text()
    assert "nothing is left running" in (tmp_path / "stdout").read_text()
