"""The commands and examples of README.md and docs/operations.md, run as they stand there.

What cannot be run here stands in ``NOT_RUN`` with the reason, and is checked in another way. A test fails
where a command is neither run nor listed.
"""

import asyncio
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from backports import zstd
from msgspec import json

from testing.child_process import end_with_parent
from testing.kafka.broker import LocalBroker, free_ports
from testing.wait import wait_until
from tests.chaos.deployment import Deployment
from tests.chaos.topics import read_all
from tests.contract.cluster import write
from tests.integration.test_emptied_inputs import batch, delete_everything, read
from worker.cli.main import app
from worker.config import load
from worker.config.address import address_of

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/operations.md")

NOT_RUN = {
    "make test": "this is it",
    "make live": "it runs until Ctrl-C; tests/integration/test_demo.py runs what it starts",
    "make setup": "it has made the environment that this runs in",
    "make wheels": "it takes minutes; its parts are run by tests/spec/test_native_install.py",
    "kcat": "tests install no kcat; its format is filled in by hand",
    "docker compose up": "tests need no Docker engine; tests/test_compose.py checks docker-compose.yml",
    "docker build": "tests need no Docker engine",
    "kafka-": "the page names the tool and shows no command",
}
"""How the command begins -> why it is not run here."""

RUN_ELSEWHERE = ("kafka-consumer-groups.sh",)
"""Run by another test of this file than the one of the README."""

GAP_TOOL = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[str]:
    """Every command of its shell blocks, without the remark behind it; one in quotes has several lines."""
    text = re.sub(r"\s*\\\n\s*", " ", "".join(blocks(page, "sh")))
    found: list[str] = []
    for line in text.splitlines():
        if found and found[-1].count("'") % 2:
            found[-1] += f"\n{line}"
        else:
            found.append(re.sub(r"\s+# .*", "", line))
    return found


def command(beginning: str) -> str:
    """The only command of both pages that begins so."""
    (found,) = [line for page in PAGES for line in commands(page) if line.startswith(beginning)]
    return found


def is_run(line: str) -> bool:
    return not line.startswith((*RUN_ELSEWHERE, *NOT_RUN))


def example(number: int) -> bytes:
    """A JSON example of the README on one line, as the worker writes it."""
    return "".join(line.strip() for line in blocks("README.md", "json")[number].splitlines()).encode()


class Shell:
    """Runs lines one after another, as somebody types them in: make in the checkout, all else in a directory.

    The addresses of the documents' brokers are those of the test's only one, which cannot keep three copies.
    The collector listens on ports that are free.
    """

    def __init__(self, directory: Path, servers: str) -> None:
        self._directory = directory
        self._servers = servers
        self.variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SESSIONIZER_")},
            "PATH": f"{Path(sys.executable).parent}:{directory}:{os.environ['PATH']}",
        }
        ports = free_ports(2)
        self._collector, self._admin = (f"127.0.0.1:{port}" for port in ports)
        self.variables |= {
            "SESSIONIZER_COLLECT_LISTEN": self._collector,
            "SESSIONIZER_COLLECT_ADMIN_LISTEN": self._admin,
        }
        self.running: list[subprocess.Popen[bytes]] = []

    def run(self, line: str) -> None:
        """Run the line; it must succeed. ``export`` counts for the lines behind it, and ``run`` goes on."""
        line = line.replace("kafka-1:9092,kafka-2:9092", self._servers).replace("kafka-1:9092", self._servers)
        line = line.replace("--replication-factor 3", "--replication-factor 1")
        line = line.replace("127.0.0.1:8080", self._collector)
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            self.variables[name] = value
        elif line.startswith(("sessionizer run", "sessionizer collect")):
            self.running.append(self._start(line))
            if line.startswith("sessionizer collect"):
                ready = f"curl --fail --silent {self._collector}/readyz"
                wait_until(
                    lambda: self._start(ready).wait() == 0, what="the collector is ready", timeout_s=60
                )
        elif line.startswith("sessionizer health"):
            wait_until(lambda: self._start(line).wait() == 0, what="the worker is healthy", timeout_s=60)
        else:
            assert self._start(line).wait(timeout=120) == 0, (line, self.log())

    def _start(self, line: str) -> subprocess.Popen[bytes]:
        with (self._directory / "log").open("ab") as log:
            return subprocess.Popen(
                shlex.split(line),
                cwd=ROOT if line.startswith("make ") else self._directory,
                env=self.variables,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent(),
            )

    def log(self) -> str:
        """The end of what the commands printed."""
        return (self._directory / "log").read_text()[-3000:]


@pytest.fixture
def shell(local_broker: LocalBroker, tmp_path: Path) -> Iterator[Shell]:
    directory = tmp_path / "shell"
    directory.mkdir()
    shell = Shell(directory, local_broker.bootstrap_servers)
    yield shell
    for process in shell.running:
        process.kill()
        process.wait()


def test_the_commands_of_the_readme_do_what_it_says(
    shell: Shell, local_broker: LocalBroker, tmp_path: Path
) -> None:
    event, enriched = example(0), example(1)
    received_at = json.decode(enriched)["received_at"]
    record = kcat_line(received_at, event)
    (tmp_path / "shell" / "day.ndjson.zst").write_bytes(zstd.compress(record))
    for line in commands("README.md"):
        if is_run(line):
            shell.run(line)
    replayed = (tmp_path / "shell" / "replayed" / "enriched.ndjson").read_bytes()
    assert replayed == enriched + b"\n"

    async def came_out() -> list[tuple[bytes | None, bytes | None]]:
        servers = local_broker.bootstrap_servers
        await write(servers, "events.raw", [event], times_ms=[received_at], key=b"d1")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = await read_all(servers, "events.enriched")
            records = [record for some in found.values() for record in some]
            if of_the_example := [(r.key, r.value) for r in records if r.key == b"d1"]:
                assert [json.decode(r.value)["id"] for r in records if r.key == b"phone-1"] == ["e1", "e2"]
                return of_the_example
        raise AssertionError(shell.log())

    assert asyncio.run(came_out()) == [(b"d1", enriched)]
    worker, collector = shell.running
    for process in (worker, collector):
        process.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=10) == 0, shell.log()
    assert collector.wait(timeout=25) == 0, shell.log()


def kcat_line(received_at: int, value: bytes) -> bytes:
    """What kcat would write of a record, by the format that operations.md gives it."""
    given = shlex.split(command("kcat"))
    text = given[given.index("-f") + 1].replace("\\n", "\n")
    return text.replace("%T", str(received_at)).replace("%s", value.decode()).encode()


def test_the_command_that_accepts_a_gap_does_so(
    shell: Shell, local_broker: LocalBroker, kafka_jars: Path, tmp_path: Path
) -> None:
    tool = tmp_path / "shell" / "kafka-consumer-groups.sh"
    tool.write_text(f"#!/bin/sh\nexec java -cp '{kafka_jars}/*' {GAP_TOOL} \"$@\"\n")
    tool.chmod(0o755)
    options = {
        "KAFKA_GROUP_ID": "sessionizer",
        "KAFKA_GROUP_INSTANCE_ID": "",
        "TOPICS_RAW": "events.raw",
    }
    deployment = Deployment(local_broker.bootstrap_servers, "gap.", tmp_path, options)
    documented = command("kafka-consumer-groups.sh")

    async def scenario() -> None:
        servers = local_broker.bootstrap_servers
        await deployment.create_topics(2)
        await write(servers, "events.raw", [batch(0, "first")])
        worker = deployment.worker("only")
        await read(deployment, worker, "first")
        assert await worker.stop() == 0
        await write(servers, "events.raw", [batch(0, "lost"), batch(0, "lost, too")])
        await delete_everything(deployment, "events.raw")
        worker.start()
        assert await worker.ended() == 1
        (failed,) = worker.log("worker.failed")
        assert documented.replace("--bootstrap-server kafka-1:9092 ", "") in failed["reason"]
        await asyncio.to_thread(shell.run, documented)
        await write(servers, "events.raw", [batch(0, "last")])
        await read(deployment, worker, "first", "last")
        assert await worker.stop() == 0

    with deployment:
        asyncio.run(scenario())


def test_every_command_is_run_or_is_listed_with_the_reason() -> None:
    lines = [line for page in PAGES for line in commands(page)]
    unknown = [line for line in lines if is_run(line) and line not in commands("README.md")]
    assert not unknown, "run it in a test of this file, or list it in NOT_RUN"
    others = re.compile(r"`((?:make |docker |kubectl|kcat|kafka-)[^`]*)`")
    in_texts = {span for page in PAGES for span in others.findall((ROOT / page).read_text())}
    assert not {span for span in in_texts if not span.startswith(tuple(NOT_RUN))}


def deployments() -> list[dict[str, Any]]:
    """What operations.md shows of deployments in Kubernetes."""
    return [yaml.safe_load(text) for text in blocks("docs/operations.md", "yaml")]


def test_a_collector_in_kubernetes_has_options_that_exist_and_is_given_the_time_to_drain() -> None:
    (found,) = [found for found in deployments() if "containers" in found]
    (container,) = found["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    collect = load(None, variables).collect
    assert container["args"] == ["collect"]
    assert address_of(collect.admin_listen) == ("0.0.0.0", container["livenessProbe"]["httpGet"]["port"])
    assert container["readinessProbe"]["periodSeconds"] < collect.drain_delay_s
    assert found["terminationGracePeriodSeconds"] > collect.drain_delay_s + 20


def test_the_probes_of_kubernetes_ask_the_command_that_the_readme_shows() -> None:
    (probes,) = [found for found in deployments() if "startupProbe" in found]
    assert probes.keys() == {"startupProbe", "livenessProbe"}
    for probe in probes.values():
        assert shlex.join(probe["exec"]["command"]) == command("sessionizer health")
    startup = probes["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == 120


@pytest.mark.parametrize(
    "page", [*PAGES, *[f"docs/{name}.md" for name in ("tour", "sessions", "outputs", "collect")]]
)
def test_every_command_line_in_a_text_has_a_command_and_options_that_exist(page: str) -> None:
    known = typer.main.get_command(app)
    for line in re.findall(r"`sessionizer ([^`]+)`", (ROOT / page).read_text().replace("\n", " ")):
        words = line.split()
        found = known
        while words and words[0] in getattr(found, "commands", {}):
            found = found.commands[words.pop(0)]  # type: ignore[attr-defined]
        assert found is not known, line
        options = {name for parameter in found.params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, line
