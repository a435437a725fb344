"""What a failover is watched with: workers as processes with a disk each, a steady load, and an observer.

Decides how each is run and what is noted of it. Knows nothing of scenes, nor what arrivals mean
(``bench.silences``). Invariant: every event goes to its device's own partition, so nothing is repartitioned.
"""

import shutil
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition

from bench.process_cost import ProcessTree
from bench.run import STOP_S
from bench.silences import Arrival
from testing.worker_process import WorkerProcess
from worker.core.partitioner import Partitioning

BATCH = 100  # devices in one record of the filling, all of one partition
LOAD_DEVICES = 200  # of each partition


class Load(threading.Thread):
    """Appends small events of known devices to every partition, at a steady pace, until ``end``."""

    def __init__(self, servers: str, topic: str, devices: list[list[str]], per_second: float) -> None:
        super().__init__(daemon=True)
        self._producer = Producer({"bootstrap.servers": servers, "linger.ms": 0})
        self._topic, self._devices, self._pause_s = topic, devices, 1 / per_second
        self._ended = threading.Event()

    def run(self) -> None:
        began = time.monotonic()
        number = 0
        while not self._ended.wait(max(0.0, began + number * self._pause_s - time.monotonic())):
            for partition, devices in enumerate(self._devices):
                value = event(f"load-{number}-{partition}", devices[number % len(devices)])
                self._producer.produce(self._topic, b"[" + value + b"]", partition=partition)
            self._producer.poll(0)
            number += 1
        self._producer.flush()

    def end(self) -> None:
        self._ended.set()
        self.join()


class Reader(threading.Thread):
    """Sees every committed output: counts them, and keeps when each came since the last ``clear``."""

    def __init__(self, servers: str, topic: str, partitions: int) -> None:
        super().__init__(daemon=True)
        self._consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": f"{topic}-observer",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 50,
            }
        )
        self._consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
        self._ended = False
        self.arrivals: dict[int, list[Arrival]] = defaultdict(list)
        self.seen = 0

    def run(self) -> None:
        while not self._ended:
            messages = self._consumer.consume(1_000, 0.01)
            at_s, now_ms = time.monotonic(), time.time() * 1000
            for message in messages:
                if message.error() is None:
                    self.seen += 1
                    age_s = (now_ms - message.timestamp()[1]) / 1000
                    self.arrivals[message.partition()].append(Arrival(at_s, age_s))
        self._consumer.close()

    def clear(self) -> None:
        self.arrivals = defaultdict(list)

    def end(self) -> None:
        self._ended = True
        self.join()


class Worker:
    """A member of the group: static or dynamic, measured, with a disk that can be lost."""

    def __init__(self, name: str, directory: Path, environment: dict[str, str]) -> None:
        self._name = name
        logged = {"SESSIONIZER_LOG_FORMAT": "json", "SESSIONIZER_LOG_STATS_INTERVAL_S": "1"}
        self._process = WorkerProcess({**environment, **logged}, directory, name)
        self.directory = self._process.state_directory
        self.kill = self._process.kill
        self.lines = self._process.log
        self._tree: ProcessTree | None = None

    def start(self, *, static: bool) -> None:
        instance = self._name if static else ""
        self._process.start(variables={"SESSIONIZER_KAFKA_GROUP_INSTANCE_ID": instance})
        self._tree = ProcessTree(self._process.pid)

    def cpu_s(self) -> float:
        """CPU seconds since its start."""
        assert self._tree is not None
        return self._tree.read()[0]

    def peak_mb(self) -> float:
        """The most resident memory since its start, MiB, as the kernel knows it."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that takes too long. Does nothing when it does not run."""
        if self._process.running:
            try:
                self._process.stop_and_wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        else:
            self._process.reap()

    def lose_disk(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)

    def owned(self) -> set[int]:
        """The partitions it has, as its last status line says."""
        status = self.lines("worker.status")
        return {int(number) for number in status[-1]["lag"]} if status and self._process.running else set()


def fill(servers: str, topic: str, partitions: int, devices: Iterable[int], name: str) -> list[list[str]]:
    """An event of each of these devices, in its partition; returns some of the devices of each partition.

    ``name`` begins the events' ids.
    """
    producer = Producer({"bootstrap.servers": servers, "compression.type": "zstd", "linger.ms": 50})
    partition_of = Partitioning(partitions=partitions).partition_of
    waiting: list[list[bytes]] = [[] for _ in range(partitions)]
    known: list[list[str]] = [[] for _ in range(partitions)]

    def send(partition: int) -> None:
        value = b"[" + b",".join(waiting[partition]) + b"]"
        waiting[partition] = []
        while True:
            try:
                producer.produce(topic, value, partition=partition)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)

    for count, number in enumerate(devices):
        device_id = f"device-{number:010d}"
        partition = partition_of(device_id)
        waiting[partition].append(event(f"{name}-{count}", device_id))
        if len(known[partition]) < LOAD_DEVICES:
            known[partition].append(device_id)
        if len(waiting[partition]) == BATCH:
            send(partition)
    for partition in range(partitions):
        if waiting[partition]:
            send(partition)
    producer.flush()
    return known


def event(event_id: str, device_id: str) -> bytes:
    now_ms = time.time_ns() // 1_000_000
    text = f'{{"id":"{event_id}","type":"page_view","device_id":"{device_id}","timestamp":{now_ms}}}'
    return text.encode()
