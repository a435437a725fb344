"""The servers that answer the load: the collector, the Go program beside it, and the floor without Kafka.

Decides how each is started and when it is ready. Knows nothing of what is sent. Invariant: no server outlives
the context that started it.
"""

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Protocol

from msgspec import Struct, structs

from bench.collect_client import MOST_CONNECTIONS, Target, request
from bench.process_cost import ProcessTree
from bench.topics import KEPT, Topics
from testing.child_process import end_with_parent
from testing.collector_process import CollectorProcess
from testing.kafka.broker import free_ports
from testing.kafka.certificates import Authority
from testing.wait import wait_until

GO_PROGRAM = Path(__file__).parent / "peers" / "collect-go"
KEY = "wk_bench_0123456789abcdef"
PARTITIONS = 4
MANY_CONNECTIONS = {"COLLECT_MAX_CONNECTIONS": str(MOST_CONNECTIONS)}
FLOOR, COLLECT, GO = "floor, no Kafka", "collect", "Go program"


class Server(Struct, frozen=True):
    """A server that is ready: where it listens, what runs it, and by what its certificate is trusted."""

    port: int
    pid: int
    tls: ssl.SSLContext | None = None

    def request(self, body: bytes) -> bytes:
        """A request with these events, as every server here takes it."""
        return request(self.port, body, {"Authorization": f"Bearer {KEY}"})

    @property
    def target(self) -> Target:
        return Target(self.port, tls=self.tls)

    def tree(self) -> ProcessTree:
        return ProcessTree(self.pid)


class Start(Protocol):
    """Starts a server beside these brokers, with this raw topic and a directory of its own."""

    def __call__(self, servers: str, topic: str, directory: Path) -> AbstractContextManager[Server]: ...


@contextlib.contextmanager
def collector(
    servers: str, topic: str, directory: Path, *, options: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """``sessionizer collect``. ``options``: variables without their ``SESSIONIZER_``."""
    environment = {
        "SESSIONIZER_KAFKA_BOOTSTRAP_SERVERS": servers,
        "SESSIONIZER_TOPICS_RAW": topic,
        "SESSIONIZER_COLLECT_KEYS": f"bench:{KEY}",
        "SESSIONIZER_LOG_FORMAT": "json",
        **{f"SESSIONIZER_{name}": value for name, value in (options or {}).items()},
    }
    process = CollectorProcess(environment, directory, "collector")
    try:
        process.start_and_wait()
        yield Server(process.port, process.pid)
    finally:
        if process.running:
            process.kill()


@contextlib.contextmanager
def tls_collector(servers: str, topic: str, directory: Path) -> Iterator[Server]:
    """``sessionizer collect`` with a certificate; as many connections as the client makes are accepted."""
    authority = Authority(directory)
    own = authority.issue("collector")
    files = {"COLLECT_TLS_CERTFILE": str(own.certificate), "COLLECT_TLS_KEYFILE": str(own.key)}
    with collector(servers, topic, directory, options={**files, **MANY_CONNECTIONS}) as server:
        yield structs.replace(server, tls=ssl.create_default_context(cafile=str(authority.file)))


@contextlib.contextmanager
def go_program(
    servers: str, topic: str, directory: Path, *, program: Path, compression: str = "none"
) -> Iterator[Server]:
    """The Go program, built before."""
    (port,) = free_ports(1)
    environment = {
        "BOOTSTRAP_SERVERS": servers,
        "TOPIC": topic,
        "PORT": str(port),
        "COMPRESSION": compression,
    }
    with _started([str(program)], environment, directory / "go.log", port) as server:
        yield server


@contextlib.contextmanager
def floor(servers: str, topic: str, directory: Path) -> Iterator[Server]:  # noqa: ARG001 - it stores nothing
    """The floor: decode and answer, nothing stored."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "bench.collect_floor", "--port", str(port)]
    with _started(command, {}, directory / "floor.log", port) as server:
        yield server


def all_servers(directory: Path) -> dict[str, Start]:
    """Those of this machine by name; the Go program where a Go compiler is found."""
    found: dict[str, Start] = {
        FLOOR: floor,
        COLLECT: collector,
        f"{COLLECT}, uncompressed": partial(collector, options={"KAFKA_COMPRESSION": "none"}),
    }
    if program := build_go_program(directory):
        found[f"{GO}, uncompressed"] = partial(go_program, program=program)
        found[f"{GO}, zstd"] = partial(go_program, program=program, compression="zstd")
    return found


def build_go_program(directory: Path) -> Path | None:
    """Build it into the directory; None, with a line, where there is no Go."""
    if shutil.which("go") is None:
        sys.stderr.write("no Go compiler: the Go program is left out\n")
        return None
    program = directory / "collect-go"
    subprocess.run(["go", "build", "-o", str(program), "."], cwd=GO_PROGRAM, check=True)
    return program


@contextlib.contextmanager
def raw_topic(servers: str, name: str = "bench-collect", partitions: int = PARTITIONS) -> Iterator[str]:
    """An empty raw topic for the length of the block."""
    topics = Topics(servers)
    topics.delete([name])
    topics.create(name, partitions, KEPT)
    yield name
    topics.delete([name])


@contextlib.contextmanager
def _started(command: list[str], environment: Mapping[str, str], log: Path, port: int) -> Iterator[Server]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=end_with_parent(),
        )
    try:
        wait_until(partial(_listens, port, process), what=f"{command[0]} listens", timeout_s=30)
        yield Server(port, process.pid)
    finally:
        process.kill()
        process.wait()


def _listens(port: int, process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None, f"ended with {process.returncode}"
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
