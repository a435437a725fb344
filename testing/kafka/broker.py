"""One real Apache Kafka broker as a child process: for all that need Kafka, and for what breaks it.

Decides how a broker is set up, started, found ready and ended. Must not know who uses it, nor where its jars
come from (``testing.kafka.discovery``). Invariants: address and data stay the same from one start to the
next, so that clients and records outlive ``stop``, ``kill`` and ``restart``; no broker outlives the process
that started it.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from testing.child_process import end_with_parent
from testing.kafka.settings import SETTINGS, as_properties
from testing.wait import wait_until

CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0

_PORTS_A_PROCESS = 4_250  # 15,000 to 32,000 for four

# Quick to start rather than quick for hours: ready in 2.4 s instead of 4.7 s (2 cores, Java 17).
QUICK_START = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")


class BrokerError(Exception):
    """The broker ended or stayed silent where it had to answer; the message holds the end of its log."""


class LocalBroker:
    """A KRaft node that is broker and controller at once, on 127.0.0.1, with its data under ``directory``.

    ``settings`` are broker settings that replace or extend ``SETTINGS``; ``java_options`` those of the JVM;
    ``ports`` those of clients and of controllers, free ones if not given.
    The address is fixed when the object is made; nothing runs before ``start``.
    As a context manager it starts on entry; on exit it stops, and its data goes. Its log stays.
    """

    def __init__(
        self,
        jars: Path,
        directory: Path,
        *,
        settings: Mapping[str, str | int] | None = None,
        java_options: tuple[str, ...] = ("-Xmx512m", *QUICK_START),
        ports: tuple[int, int] | None = None,
    ) -> None:
        self._jars = jars
        self._java_options = java_options
        self._directory = directory
        self._data = directory / "data"
        self._port, controller_port = ports or free_ports(2)
        self._settings = {
            **SETTINGS,
            "listeners": f"PLAINTEXT://127.0.0.1:{self._port},CONTROLLER://127.0.0.1:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self._port}",
            "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
            "log.dirs": str(self._data),
            **(settings or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def log(self) -> Path:
        """What the broker printed, over all its starts."""
        return self._directory / "broker.log"

    def start(self) -> None:
        """Start the broker and return when it answers requests. Raises BrokerError."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the broker and return at once: one of several answers only when most of them run.

        From the main thread: the broker ends with the thread that started it.
        """
        assert self._process is None, "the broker is already started"
        properties = self._directory / "server.properties"
        if not properties.exists():
            self._directory.mkdir(parents=True, exist_ok=True)
            properties.write_text(as_properties(self._settings))
            self._format(properties)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(properties)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # the terminal's interrupt is for the tests alone
                preexec_fn=end_with_parent(),
            )

    def wait_until_ready(self) -> None:
        """Return when it answers requests; it is killed when it does not. Raises BrokerError."""
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End the broker in order. Does nothing when it is not running; a paused broker is resumed first."""
        if self._process is None:
            return
        self.resume()
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise BrokerError(
                f"the broker did not stop within {STOP_TIMEOUT_S:.0f} s\n{self._last_words()}"
            ) from None
        self._process = None

    def kill(self) -> None:
        """End the broker at once (SIGKILL), nothing put in order. Does nothing when it is not running."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None

    def restart(self) -> None:
        """Stop, if it runs, and start again: the same address, the same records."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze the broker (SIGSTOP): connections stay open and nothing is answered."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused broker go on (SIGCONT)."""
        self._running().send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self._data, ignore_errors=True)

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the broker is not running"
        return self._process

    def _java(self, main_class: str, *arguments: str) -> list[str]:
        classpath = str(self._jars / "*")
        logging = (
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
        )
        return ["java", *self._java_options, *logging, "-cp", classpath, main_class, *arguments]

    def _format(self, properties: Path) -> None:
        command = self._java("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(properties))
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BrokerError(f"formatting the broker's storage failed:\n{done.stdout}{done.stderr}")

    def _wait_until_ready(self) -> None:
        process = self._running()

        def ready() -> bool:
            if process.poll() is not None:
                raise BrokerError(f"the broker ended with {process.returncode}\n{self._last_words()}")
            return answers(self._port)

        try:
            wait_until(ready, what="the broker answers", timeout_s=START_TIMEOUT_S)
        except TimeoutError as error:
            raise BrokerError(f"{error}\n{self._last_words()}") from None

    def _last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])


def answers(port: int) -> bool:
    """Whether a broker on 127.0.0.1 answers its first request (ApiVersions, version 0).

    A broker binds its port early but answers only once it is registered and unfenced.
    """
    request = struct.pack(">hhih", 18, 0, 1, -1)  # api key, version, correlation id, no client id
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            return len(connection.recv(4)) == 4
    except OSError:
        return False


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, all below the range from which the system serves outgoing connections.

    From that range another client might take a broker's port while the broker is down, or a client that
    retries could connect to itself. Test processes of one run have ports of their own: one could take the
    port of another's broker while that is down.
    """
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 15_000 + process % 4 * _PORTS_A_PROCESS
    pick = random.SystemRandom()  # property tests seed the common one, each process alike
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            port = pick.randrange(first, first + _PORTS_A_PROCESS)
            listener = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                listener.bind(("127.0.0.1", port))
                found.append(port)
    return found
