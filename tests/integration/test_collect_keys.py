"""Write keys from the command line to the topic: a real file, real processes, a real broker."""

import asyncio
import signal
from pathlib import Path

from testing.collector_process import CollectorProcess
from testing.wait import wait_until
from tests.chaos.deployment import Deployment
from tests.chaos.topics import read_all
from tests.commands import Sessionizer
from tests.integration.collector_clients import PATIENCE_S, ask, event, made, post

PROCESSES = 2
ASKED = 8
"""Requests on connections of their own, of which hardly ever all go to one process."""


def statuses(collector: CollectorProcess, key: str) -> set[int]:
    headers = {"X-Write-Key": key, "Content-Type": "application/json"}
    return {post(collector.port, event("e1"), headers=headers) for _ in range(ASKED)}


def test_every_process_takes_the_keys_of_the_command_line_and_shows_none(
    sessionizer: Sessionizer,
    deployment: Deployment,
    collectors: list[CollectorProcess],
    tmp_path: Path,
) -> None:
    path = tmp_path / "keys.toml"

    def command(*arguments: str) -> str:
        ended = sessionizer("collect", "keys", *arguments, "--file", path)
        assert ended.code == 0, ended.err
        return ended.out.strip()

    asyncio.run(deployment.create_topics(4))
    first = command("add", "first")
    collector = made(collectors, deployment.environment, path, tmp_path, "--processes", str(PROCESSES))
    collector.start_and_wait()
    assert statuses(collector, first) == {200}

    second = command("add", "second", "--rate", "requests=1000")
    wait_until(
        lambda: statuses(collector, second) == {200},
        what="every process has the new key",
        timeout_s=PATIENCE_S,
    )
    assert statuses(collector, first) == {200}
    command("disable", "first")
    wait_until(
        lambda: statuses(collector, first) == {401}, what="no process takes the old key", timeout_s=PATIENCE_S
    )
    assert statuses(collector, second) == {200}

    good = path.read_text()
    path.write_text(good + f'[[keys]]\nname = "third"\nkey = "{second}"\n')
    asyncio.run(collector.wait_for("collect.keys_invalid", PROCESSES))
    collector.signal(signal.SIGHUP)
    asyncio.run(collector.wait_for("collect.keys_invalid", 2 * PROCESSES))
    assert statuses(collector, second) == {200}
    before = len(collector.log("collect.keys_loaded"))  # two changes may have been read at once
    path.write_text(good)
    wait_until(
        lambda: len(collector.log("collect.keys_loaded")) == before + PROCESSES,
        what="every process has loaded the keys again",
        timeout_s=PATIENCE_S,
    )

    (reason,) = {line["reason"] for line in collector.log("collect.keys_invalid")}
    assert reason.startswith(f"collect.keys_file: {path}: [[keys]] 3, third: holds a key: write sha256")
    _, metrics = ask(collector.admin_port, "GET", "/metrics")
    records = asyncio.run(read_all(deployment.direct.kafka.bootstrap_servers, deployment.config.topics.raw))
    for key in (first, second):
        assert key not in f"{collector.raw_log()}{metrics}{records}{command('list')}"
    names = {dict(record.headers)["collect-key"] for part in records.values() for record in part}
    assert names == {b"first", b"second"}
    assert asyncio.run(collector.stop(timeout_s=PATIENCE_S)) == 0
