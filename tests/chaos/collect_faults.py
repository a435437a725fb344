"""Injects faults into a collector and the brokers that it writes to, and decides their schedule.

Knows what a collector is asked to do at a signal, nothing of its senders. Invariant: when ``carry_out``
returns all is healthy again: the collector is started, every broker runs, the network passes everything.
"""

import asyncio
import contextlib
import signal
import subprocess
import time
from collections.abc import Sequence

import psutil  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException
from msgspec import structs

from testing.collector_process import CollectorProcess
from testing.kafka.cluster import SIZE, Cluster
from testing.kafka.leaders import move_leader
from testing.wait import eventually
from tests.chaos.cluster_faults import ClusterFaults, run_lanes
from tests.chaos.deployment import gone
from tests.chaos.journal import Journal
from tests.chaos.schedule import Fault, Lanes, lane

STOPPED_WITHIN_S = 25.0
"""What the collector promises for the end after SIGTERM."""

_MARGIN_S = 5.0
_QUIET_S = 15.0
_GONE_S = 10.0
_COLLECTOR = {"collector kill": 40, "collector stop": 30, "collector pause": 20}
_PROCESS = {"process kill": 40}
_BROKERS = {"broker kill": 35, "broker pause": 30, "outage": 8, "leader moved": 40}
_NETWORK = {"cut": 20, "reset": 10, "silence": 15, "request lost": 15, "answer lost": 20, "answer eaten": 15}
_REQUESTS = ("PRODUCE", "PRODUCE", "PRODUCE", "METADATA", "INIT_PRODUCER_ID")


def collect_schedule(seed: int, duration_s: float, processes: int = 1) -> Lanes:
    """Faults for so long: the same for the same seed and number of the collector's processes."""
    kinds = {**_COLLECTOR, **(_PROCESS if processes > 1 else {})}
    lanes = {
        "collector": lane(f"{seed}/collector", duration_s, 20.0, kinds, processes),
        "brokers": lane(f"{seed}/collect brokers", duration_s, 25.0, _BROKERS, SIZE),
        "network": lane(f"{seed}/collect network", duration_s, 8.0, _NETWORK, SIZE),
    }
    named = [structs.replace(fault, detail=_request(fault)) for fault in lanes["network"]]
    return {**lanes, "network": named}


def _request(fault: Fault) -> str:
    """Of the requests that a collector makes."""
    return _REQUESTS[fault.chance % len(_REQUESTS)] if fault.detail else ""


class CollectFaults:
    """Injects faults into one collector and its cluster; restarts the collector where it ends by itself."""

    def __init__(self, collector: CollectorProcess, cluster: Cluster, topic: str, journal: Journal) -> None:
        self._collector = collector
        self._cluster = cluster
        self._topic = topic
        self._journal = journal
        self._to_cluster = ClusterFaults(cluster, journal)
        self._expected_down = False
        self.broken: list[str] = []
        """Ends of the collector that no fault explains, or that took too long."""

    async def carry_out(self, lanes: Lanes, duration_s: float) -> None:
        """All of it, until the schedule or the time is at its end."""
        ways = {
            "collector": self._to_collector,
            "brokers": self._to_broker,
            "network": self._to_cluster.to_network,
        }
        watch = asyncio.get_running_loop().create_task(self._restart_ended())
        try:
            await run_lanes(ways, lanes, duration_s)
        finally:
            watch.cancel()
        for proxy in self._cluster.proxies:
            proxy.speak_again()

    async def stop(self) -> None:
        """SIGTERM, and its end: 0 in time; 1 only where brokers were away.

        Before it listens it may be Python that is ended, which knows no signals yet.
        """
        self._expected_down = True
        listened = await self._listens()
        calm = self._cluster.complete_for_s() > _QUIET_S
        started = time.monotonic()
        try:
            code = await self._collector.stop(STOPPED_WITHIN_S + _MARGIN_S)
        except subprocess.TimeoutExpired:
            self._collector.kill()
            self.broken.append(f"the collector did not end {STOPPED_WITHIN_S:.0f} s after SIGTERM")
            return
        seconds = round(time.monotonic() - started, 2)
        self._journal.note("collector stopped", code=code, took_s=seconds, listened=listened)
        if not (code == 0 or (code == 1 and not calm) or (code == -signal.SIGTERM and not listened)):
            self.broken.append(f"the collector ended with {code} after SIGTERM")

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._collector.port)
        except OSError:
            return False
        writer.close()
        return True

    async def _to_collector(self, fault: Fault) -> None:
        collector = self._collector
        self._journal.note_fault(fault)
        processes = collector.processes()
        if fault.kind == "process kill":
            if processes:  # else all are being started again
                processes[fault.target % len(processes)].kill()
            return
        if fault.kind == "collector pause":
            await self._pause(processes, fault.seconds)
            return
        self._expected_down = True
        if fault.kind == "collector kill":
            collector.kill()
            await asyncio.sleep(fault.seconds)
            await self._see_end(processes)
        else:
            await self.stop()
        collector.start()
        self._expected_down = False

    async def _pause(self, processes: Sequence[psutil.Process], seconds: float) -> None:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        await asyncio.sleep(seconds)
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    async def _see_end(self, processes: Sequence[psutil.Process]) -> None:
        """None outlives the command that started it, and so its address is free again."""

        async def ended() -> bool:
            return gone(processes)

        try:
            await eventually(ended, what="all processes have ended", timeout_s=_GONE_S)
        except TimeoutError:
            self.broken.append("a process outlived the command that started it")

    async def _to_broker(self, fault: Fault) -> None:
        if fault.kind != "leader moved":
            await self._to_cluster.to_broker(fault)
            return
        partition, leader = fault.target, 0
        try:
            leader = await move_leader(self._cluster.bootstrap_servers, self._topic, partition)
        except (KafkaError, KafkaException, TimeoutError) as error:
            self._journal.note("leader not moved", error=type(error).__name__)
        else:
            self._journal.note_fault(fault, partition=partition, leader=leader)

    async def _restart_ended(self) -> None:
        """As a platform would, after a second; whatever ends by itself breaks a promise."""
        while True:
            await asyncio.sleep(0.2)
            if not self._expected_down and not self._collector.running:
                code = self._collector.exit_code()
                self.broken.append(f"the collector ended by itself with {code}")
                self._journal.note("collector ended", code=code)
                self._collector.reap()
                self._expected_down = True
                await asyncio.sleep(1.0)
                self._collector.start()
                self._expected_down = False
