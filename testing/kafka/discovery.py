"""Finds a broker for tests and benchmark: the first of these that is there.

1. ``SESSIONIZER_TEST_KAFKA``: the address of a running cluster.
2. A Docker engine: the official image in a container.
3. Java and Maven: the same broker from its jars, as a process.

None of them: ``NoBrokerError`` says in one line what to install. Nothing is ever skipped.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from testing.kafka.broker import CLUSTER_ID, LocalBroker, answers, free_ports
from testing.kafka.settings import IMAGE, SETTINGS, as_environment
from testing.scratch import scratch_directory
from testing.wait import wait_until

ADDRESS_VARIABLE = "SESSIONIZER_TEST_KAFKA"
HERE = Path(__file__).parent
DOCKER_TIMEOUT_S = 3.0
MAVEN_TIMEOUT_S = 600.0


class NoBrokerError(Exception):
    """There is no way to a broker on this machine; the message says what to install."""


@contextlib.contextmanager
def found_broker() -> Iterator[str]:
    """The address of a broker that runs as long as the context, and its data with it."""
    with contextlib.ExitStack() as running:
        if address := os.environ.get(ADDRESS_VARIABLE):
            yield address
        elif docker_answers() and (container := _started_container()):
            running.callback(container.stop)
            yield container.address
        else:
            directory = running.enter_context(scratch_directory("broker"))
            yield running.enter_context(LocalBroker(jars(), directory)).bootstrap_servers


def jars() -> Path:
    """The directory of the broker's jars, fetched once by Maven. Raises NoBrokerError."""
    if shutil.which("java") is None:
        raise NoBrokerError(
            f"no broker: install Java 17 and Maven, or start a Docker engine, or set {ADDRESS_VARIABLE}"
        )
    libs = HERE / "libs"
    complete = libs / (hashlib.sha256((HERE / "pom.xml").read_bytes()).hexdigest()[:12] + ".complete")
    if complete.exists():
        return libs
    with (HERE / "pom.xml").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs of one checkout fetch them once
        if not complete.exists():
            _fetch_jars(libs)
            complete.touch()
    return libs


def docker_answers() -> bool:
    """Whether there is an engine behind the docker command; a command alone is not enough."""
    if shutil.which("docker") is None:
        return False
    try:
        ping = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=DOCKER_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return ping.returncode == 0 and ping.stdout.strip() != b""


def _fetch_jars(libs: Path) -> None:
    if shutil.which("mvn") is None:
        raise NoBrokerError(f"no broker: install Maven, or start a Docker engine, or set {ADDRESS_VARIABLE}")
    shutil.rmtree(libs, ignore_errors=True)
    command = ["mvn", "--quiet", "--batch-mode", "dependency:copy-dependencies", f"-DoutputDirectory={libs}"]
    done = subprocess.run(
        command,
        cwd=HERE,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=MAVEN_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        reason = next(
            (line for line in done.stdout.splitlines() if line.startswith("[ERROR]")), done.stderr.strip()
        )
        raise NoBrokerError(f"no broker: Maven could not fetch its jars: {reason}")


class _Container:
    """The official image, with the settings of all test brokers, on a port of this machine."""

    def __init__(self) -> None:
        from testcontainers.core.container import DockerContainer

        (port,) = free_ports(1)  # the broker advertises the address under which its clients find it
        self.address = f"127.0.0.1:{port}"
        settings = {
            **SETTINGS,
            "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "controller.quorum.voters": "1@localhost:9093",
            "log.dirs": "/tmp/kafka-logs",
        }
        self._container = DockerContainer(IMAGE).with_bind_ports(9092, port)
        for name, value in {"CLUSTER_ID": CLUSTER_ID, **as_environment(settings)}.items():
            self._container.with_env(name, value)
        self._container.start()
        try:
            wait_until(lambda: answers(port), what="the broker in its container answers", timeout_s=90)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self._container.stop()


def _started_container() -> _Container | None:
    """None where the engine cannot get the image: the jars may still be at hand."""
    from docker.errors import DockerException

    try:
        return _Container()
    except DockerException as error:
        sys.stderr.write(f"the Docker engine cannot start {IMAGE}: {error}\n")
        return None
