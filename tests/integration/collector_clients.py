"""What tests of ``sessionizer collect`` share: a collector with a key, requests, clients that go on sending.

Decides what an answer is to a client that follows the contract. The invariant: a client reports what broke
its connection, and never sends an event twice.
"""

import asyncio
import http.client
import itertools
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testing.collector_process import CollectorProcess
from tests.chaos.deployment import Deployment
from tests.chaos.topics import read_all
from worker.config.key_entries import digest_of

KEY = "wk_of_this_test_alone"
HEADERS = {"X-Write-Key": KEY, "Content-Type": "application/json"}
PATIENCE_S = 60.0


def event(name: str, device: str = "d1") -> dict[str, Any]:
    return {"id": name, "type": "click", "device_id": device, "timestamp": 1_764_500_000_000}


def made(
    collectors: list[CollectorProcess],
    environment: Mapping[str, str],
    keys_file: Path,
    directory: Path,
    *arguments: str,
    **options: str,
) -> CollectorProcess:
    """A collector that ends with the test; ``options`` are variables without their prefix."""
    variables = {
        **environment,
        "SESSIONIZER_COLLECT_KEYS_FILE": str(keys_file),
        "SESSIONIZER_COLLECT_DRAIN_DELAY_S": "1",
        **{f"SESSIONIZER_{name}": value for name, value in options.items()},
    }
    one = CollectorProcess(variables, directory, f"collector-{len(collectors)}", arguments)
    collectors.append(one)
    return one


def write_keys(path: Path, **keys: str) -> None:
    entries = (
        f'[[keys]]\nname = "{name}"\nsha256 = "{digest_of(key.encode()).hex()}"\n'
        for name, key in keys.items()
    )
    path.write_text("\n".join(entries))


def ask(
    port: int, method: str, path: str, body: str | None = None, headers: Mapping[str, str] = HEADERS
) -> tuple[int, dict[str, Any] | str]:
    """One request on a connection of its own: status, and body (an object where it is JSON)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        text = answer.read().decode()
        is_json = answer.headers["content-type"] == "application/json"
        return answer.status, json.loads(text) if is_json else text
    finally:
        connection.close()


def post(port: int, *events: dict[str, Any], headers: Mapping[str, str] = HEADERS) -> int:
    """The status of a request with these events."""
    return ask(port, "POST", "/v1/events", json.dumps(events), headers)[0]


def stored(deployment: Deployment) -> list[str]:
    """The ids of all events in the raw topic, each as often as it is there."""
    servers, topic = deployment.direct.kafka.bootstrap_servers, deployment.config.topics.raw
    partitions = asyncio.run(read_all(servers, topic))
    values = [json.loads(record.value) for records in partitions.values() for record in records]
    return [element["id"] for value in values for element in value]


def pending(collector: CollectorProcess) -> float:
    """The bytes of requests that wait, by its own figures."""
    _, metrics = ask(collector.admin_port, "GET", "/metrics")
    assert isinstance(metrics, str)
    (line,) = [line for line in metrics.splitlines() if line.startswith("sessionizer_collect_pending_bytes ")]
    return float(line.split()[1])


@dataclass
class Senders:
    """Some clients that send one event after another, until nobody listens any more."""

    port: int
    answered: dict[int, list[str]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    refused_connections: int = 0
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _threads: list[threading.Thread] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, count: int) -> None:
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def total(self) -> int:
        return sum(map(len, self.answered.values()))

    def join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()

    def _send(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while True:
            name = f"e{next(self._numbers)}"
            is_new = connection is None
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
                try:
                    connection.connect()
                except (ConnectionRefusedError, ConnectionResetError):  # it closed during the handshake
                    self.refused_connections += 1
                    return
            try:
                connection.request("POST", "/v1/events", json.dumps([event(name, name)]), HEADERS)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                # The system resets what came between the last accept and the close of the listening socket.
                if is_new and isinstance(error, ConnectionResetError | BrokenPipeError):
                    self.refused_connections += 1
                else:
                    self.broken.append(f"{name}: {error!r}")
                connection.close()
                connection = None
                continue
            with self._lock:
                self.answered.setdefault(answer.status, []).append(name)
            if answer.getheader("connection") == "close":
                connection.close()
                connection = None
