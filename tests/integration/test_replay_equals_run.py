"""The same records through ``run`` on a real broker and through ``replay``: the same, byte for byte."""

import asyncio
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.chaos.deployment import Deployment
from tests.chaos.topics import read_all
from tests.commands import Sessionizer
from tests.conftest import Kafka
from worker.demo.traffic import RawRecord, make_traffic
from worker.model.outputs import DeadLetter

NOW_MS = 1_760_000_000_000


def as_text(record: RawRecord) -> bytes:
    return json.dumps({"received_at": record.timestamp_ms, "value": record.value.decode()}).encode()


def as_json(record: RawRecord) -> bytes:
    """The value as it stands, where it is JSON at all."""
    if record.value[:1] not in b"[{":
        return as_text(record)
    return b'{"received_at":%d,"value":%s}' % (record.timestamp_ms, record.value)


def by_device(values: Iterable[bytes]) -> dict[str, list[bytes]]:
    """Enriched events in their order, a device at a time."""
    devices = defaultdict(list)
    for value in values:
        devices[json.loads(value)["device_id"]].append(value)
    return devices


def refusals(values: Iterable[bytes]) -> Counter[tuple[object, ...]]:
    """Dead letters without the place of the record, which a file and a topic number differently."""
    places = ("topic", "partition", "offset")
    letters = [json.loads(value) for value in values]
    return Counter(
        tuple(letter.get(name) for name in DeadLetter.__struct_fields__ if name not in places)
        for letter in letters
    )


async def through_kafka(deployment: Deployment, records: list[RawRecord]) -> tuple[list[bytes], list[bytes]]:
    """Enriched events and dead letters as ``run`` writes them."""
    await deployment.create_topics(4)
    deployment.worker("only").start()
    await deployment.feed(records)
    await deployment.caught_up()
    servers, topics = deployment.config.kafka.bootstrap_servers, deployment.config.topics
    enriched, dead_letters = [
        [record.value for partition in (await read_all(servers, topic)).values() for record in partition]
        for topic in (topics.enriched, topics.dead_letters)
    ]
    return enriched, dead_letters


@pytest.mark.parametrize("options", [{}, {"SESSION_EVENT_TYPES": '{"login": "start", "logout": "unlink"}'}])
def test_replay_makes_of_the_same_records_what_run_makes_of_them(
    kafka: Kafka, topic_prefix: str, tmp_path: Path, sessionizer: Sessionizer, options: dict[str, str]
) -> None:
    records = list(make_traffic(20_000, seed=21, now_ms=NOW_MS).records)
    with Deployment(kafka.bootstrap_servers, topic_prefix, tmp_path, options) as deployment:
        enriched, dead_letters = asyncio.run(through_kafka(deployment, records))
    assert len(enriched) + len(dead_letters) == 20_000
    for line_of in (as_text, as_json):
        raw, output = tmp_path / f"{line_of.__name__}.ndjson", tmp_path / line_of.__name__
        raw.write_bytes(b"".join(line_of(record) + b"\n" for record in records))
        assert sessionizer("replay", raw, "--output", output, **options).code == 0
        replayed = (output / "enriched.ndjson").read_bytes().splitlines()
        assert by_device(replayed) == by_device(enriched)
        letters = (output / "dead-letters.ndjson").read_bytes().splitlines()
        assert refusals(letters) == refusals(dead_letters)


@pytest.mark.parametrize("duplicates", ["flag", "drop"])
def test_replay_finds_the_duplicates_that_run_finds(
    kafka: Kafka, topic_prefix: str, tmp_path: Path, sessionizer: Sessionizer, duplicates: str
) -> None:
    """Every fourth record is sent again, 20 records later."""
    options = {"INPUT_DUPLICATES": duplicates}
    once = list(make_traffic(5_000, seed=22, now_ms=NOW_MS).records)
    records = []
    for number, sent in enumerate(once):
        records.append(sent)
        if number >= 20 and number % 4 == 0:
            records.append(once[number - 20])
    with Deployment(kafka.bootstrap_servers, topic_prefix, tmp_path, options) as deployment:
        enriched, _ = asyncio.run(through_kafka(deployment, records))
    raw, output = tmp_path / "raw.ndjson", tmp_path / "output"
    raw.write_bytes(b"".join(as_text(record) + b"\n" for record in records))
    assert sessionizer("replay", raw, "--output", output, **options).code == 0
    assert by_device((output / "enriched.ndjson").read_bytes().splitlines()) == by_device(enriched)
    ids = Counter((event["device_id"], event["id"]) for event in map(json.loads, enriched))
    flagged = sum("duplicate" in json.loads(value).get("flags", ()) for value in enriched)
    assert flagged == len(enriched) - len(ids)
    assert flagged > 500 if duplicates == "flag" else flagged == 0


def test_replay_makes_of_the_demo_s_raw_batches_what_the_demo_made_of_them(
    tmp_path: Path, sessionizer: Sessionizer
) -> None:
    """The demo suggests it to its users."""
    demo, replayed = tmp_path / "demo", tmp_path / "replayed"
    shown = subprocess.run(
        [sys.executable, "-m", "worker", "demo", "--events", "3000", "--output", demo],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    assert f"sessionizer replay {demo / 'raw.ndjson'} --output replayed" in shown
    assert sessionizer("replay", demo / "raw.ndjson", "--output", replayed).code == 0
    enriched, again = ((each / "enriched.ndjson").read_bytes().splitlines() for each in (demo, replayed))
    assert by_device(again) == by_device(enriched)
    refused, again = ((each / "dead-letters.ndjson").read_bytes().splitlines() for each in (demo, replayed))
    assert refusals(again) == refusals(refused)
