"""Injects the faults of a schedule: what each kind means for workers and cluster.

Every lane goes its own way; a lane's next fault begins when its last is over. Invariant: when ``carry_out``
returns all is healthy again: every broker runs, the network passes everything, every static worker is
started, and the workers' user has its rights, the password of its file and no quota.
"""

import asyncio
import random
import signal
import time

from testing.kafka.cluster import Cluster
from tests.chaos.administration import Administration
from tests.chaos.cluster_faults import ClusterFaults, run_lanes
from tests.chaos.damage import DAMAGES
from tests.chaos.journal import Journal
from tests.chaos.schedule import Fault, Lanes
from tests.chaos.worker_pool import WorkerPool

_PATIENCE_S = 15.0


class Faults:
    """Injects faults into a pool of workers and their cluster."""

    def __init__(
        self, pool: WorkerPool, cluster: Cluster, administration: Administration, journal: Journal
    ) -> None:
        self._pool = pool
        self._cluster = cluster
        self._administration = administration
        self._journal = journal
        self._to_cluster = ClusterFaults(cluster, journal)

    async def carry_out(self, lanes: Lanes, duration_s: float) -> None:
        """All of it, until the schedule or the time is at its end."""
        ways = {
            "workers": self._to_worker,
            "brokers": self._to_cluster.to_broker,
            "network": self._to_cluster.to_network,
            "administration": self._by_administration,
        }
        await run_lanes(ways, lanes, duration_s)
        if self._pool.extra.running:
            await self._pool.stop(self._pool.extra)
        for proxy in self._cluster.proxies:
            proxy.speak_again()

    # --- workers ---

    async def _to_worker(self, fault: Fault) -> None:
        pool, worker, rng = self._pool, self._pool.workers[fault.target], random.Random(fault.chance)
        if fault.kind == "scale":
            await self._scale()
            return
        if fault.kind == "kill":
            self._journal.note_fault(fault, worker=worker.name)
            pool.kill(worker)
            await asyncio.sleep(fault.seconds)
            pool.keep_running(worker)
        elif fault.kind == "damage":
            pool.kill(worker)
            done = DAMAGES[fault.detail](pool.state_of(worker), rng)
            self._journal.note_fault(fault, worker=worker.name, done=done)
            pool.keep_running(worker)
        elif fault.kind == "crash":
            pool.kill(worker)
            passage = rng.choice((1, 2, 5, 20))
            reached = await pool.run_into(worker, fault.detail, passage, _PATIENCE_S)
            self._journal.note_fault(fault, worker=worker.name, passage=passage, reached=reached)
        elif fault.kind == "stop":
            started = time.monotonic()
            code = await pool.stop(worker)
            seconds = round(time.monotonic() - started, 2)
            self._journal.note_fault(fault, worker=worker.name, code=code, took_s=seconds)
            pool.keep_running(worker)
        elif fault.kind == "zombie" and worker.running:
            worker.signal(signal.SIGSTOP)
            self._journal.note_fault(fault, worker=worker.name)
            await asyncio.sleep(fault.seconds)
            worker.signal(signal.SIGCONT)

        elif fault.kind == "disk full" and worker.running:
            self._journal.note_fault(fault, worker=worker.name)
            with pool.disk_full(worker):
                await asyncio.sleep(fault.seconds / 2)
                await self._scale()  # partitions move: stores are closed and opened
                await asyncio.sleep(fault.seconds / 2)

    async def _scale(self) -> None:
        """One dynamic worker more, or that one less."""
        pool = self._pool
        if pool.extra.running:
            self._journal.note("scale", workers=len(pool.workers), code=await pool.stop(pool.extra))
        else:
            pool.keep_running(pool.extra)
            self._journal.note("scale", workers=len(pool.workers) + 1)

    # --- those who administer them ---

    async def _by_administration(self, fault: Fault) -> None:
        administration = self._administration
        if fault.kind == "rights":
            self._journal.note_fault(fault)
            async with administration.without(fault.detail):
                await asyncio.sleep(fault.seconds)
        elif fault.kind == "quota":
            self._journal.note_fault(fault, rate=fault.rate)
            async with administration.quota(fault.detail, fault.rate):
                await asyncio.sleep(fault.seconds)
        elif fault.kind == "password":
            self._journal.note_fault(fault)
            async with administration.rotated(file_first=fault.detail == "file first"):
                self._cut_all()
                await asyncio.sleep(fault.seconds)
            self._cut_all()
        else:
            deleted = await administration.delete_what_was_read(fault.detail, fault.chance)
            self._journal.note_fault(fault, happened=bool(deleted), deleted=deleted)

    def _cut_all(self) -> None:
        """Everybody has to log in again."""
        for proxy in self._cluster.proxies:
            proxy.cut()
