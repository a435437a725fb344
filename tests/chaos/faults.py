"""Injects the faults of a schedule: what each kind means for workers and cluster.

Every lane goes its own way; a lane's next fault begins when its last is over. Invariant: when ``carry_out``
returns all is healthy again: every broker runs, the network passes everything, every static worker is
started, and the workers' user has its rights, the password of its file and no quota.
"""

import asyncio
import random
import signal
import time
from collections.abc import Sequence

from testing.kafka.cluster import SIZE, Cluster
from testing.kafka.proxy import Api, NetworkFault
from tests.chaos.administration import Administration
from tests.chaos.damage import DAMAGES
from tests.chaos.journal import Journal
from tests.chaos.schedule import Fault, Lanes
from tests.chaos.worker_pool import WorkerPool

_LOSSES = {
    "request lost": NetworkFault.REQUEST_LOST,
    "answer lost": NetworkFault.ANSWER_LOST,
    "answer eaten": NetworkFault.ANSWER_EATEN,
}
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

    async def carry_out(self, lanes: Lanes, duration_s: float) -> None:
        """All of it, until the schedule or the time is at its end."""
        deadline = time.monotonic() + duration_s
        ways = {
            "workers": self._to_worker,
            "brokers": self._to_broker,
            "network": self._to_network,
            "administration": self._by_administration,
        }
        async with asyncio.TaskGroup() as group:
            for name, faults in lanes.items():
                group.create_task(self._lane(ways[name], faults, deadline))
        if self._pool.extra.running:
            await self._pool.stop(self._pool.extra)
        for proxy in self._cluster.proxies:
            proxy.speak_again()

    async def _lane(self, way, faults: Sequence[Fault], deadline: float) -> None:  # type: ignore[no-untyped-def]
        for fault in faults:
            left_s = deadline - time.monotonic()
            await asyncio.sleep(max(0.0, min(fault.pause_s, left_s)))
            if fault.pause_s > left_s:
                return
            await way(fault)

    # --- workers ---

    async def _to_worker(self, fault: Fault) -> None:
        pool, worker, rng = self._pool, self._pool.workers[fault.target], random.Random(fault.chance)
        if fault.kind == "scale":
            await self._scale()
            return
        if fault.kind == "kill":
            self._note(fault, worker=worker.name)
            pool.kill(worker)
            await asyncio.sleep(fault.seconds)
            pool.keep_running(worker)
        elif fault.kind == "damage":
            pool.kill(worker)
            done = DAMAGES[fault.detail](pool.state_of(worker), rng)
            self._note(fault, worker=worker.name, done=done)
            pool.keep_running(worker)
        elif fault.kind == "crash":
            pool.kill(worker)
            passage = rng.choice((1, 2, 5, 20))
            reached = await pool.run_into(worker, fault.detail, passage, _PATIENCE_S)
            self._note(fault, worker=worker.name, passage=passage, reached=reached)
        elif fault.kind == "stop":
            started = time.monotonic()
            code = await pool.stop(worker)
            seconds = round(time.monotonic() - started, 2)
            self._note(fault, worker=worker.name, code=code, took_s=seconds)
            pool.keep_running(worker)
        elif fault.kind == "zombie" and worker.running:
            worker.signal(signal.SIGSTOP)
            self._note(fault, worker=worker.name)
            await asyncio.sleep(fault.seconds)
            worker.signal(signal.SIGCONT)

        elif fault.kind == "disk full" and worker.running:
            self._note(fault, worker=worker.name)
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

    # --- brokers ---

    async def _to_broker(self, fault: Fault) -> None:
        cluster = self._cluster
        if fault.kind == "outage":
            self._note(fault)
            for number in range(SIZE):
                cluster.kill(number)
            await asyncio.sleep(fault.seconds)
            await cluster.start(*range(SIZE))
        elif fault.kind == "broker kill":
            self._note(fault, broker=fault.target)
            cluster.kill(fault.target)
            await asyncio.sleep(fault.seconds)
            await cluster.start(fault.target)
        else:
            self._note(fault, broker=fault.target)
            cluster.pause(fault.target)
            await asyncio.sleep(fault.seconds)
            cluster.resume(fault.target)
        self._journal.note("brokers back", after=fault.kind)

    # --- their network ---

    async def _to_network(self, fault: Fault) -> None:
        proxy = self._cluster.proxies[fault.target]
        if fault.kind == "cut":
            self._note(fault, broker=fault.target)
            proxy.cut()
        elif fault.kind == "reset":
            self._note(fault, broker=fault.target)
            proxy.reset()
        elif fault.kind == "silence":
            self._note(fault, broker=fault.target)
            proxy.fall_silent()
            await asyncio.sleep(fault.seconds)
            proxy.speak_again()
        elif fault.kind == "EndTxn held":
            await self._hold_an_end(fault)
        else:
            api = Api[fault.detail]
            mishap = proxy.next(api, _LOSSES[fault.kind])
            happened = await _within(mishap.happened, 5.0)
            proxy.withdraw(mishap)
            self._note(fault, broker=fault.target, happened=happened)

    async def _hold_an_end(self, fault: Fault) -> None:
        """The end of a transaction arrives when its sender has long given up, perhaps in the next one."""
        proxy = self._cluster.proxies[fault.target]
        mishap = proxy.next(Api.END_TXN, NetworkFault.HELD)
        happened = await _within(mishap.happened, _PATIENCE_S)
        proxy.withdraw(mishap)
        answer = ""
        if happened:
            await asyncio.sleep(fault.seconds)
            try:
                async with asyncio.timeout(5.0):
                    answer = (await proxy.deliver(mishap)).hex()
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                answer = type(error).__name__
        self._note(fault, broker=fault.target, happened=happened, answer=answer)

    # --- those who administer them ---

    async def _by_administration(self, fault: Fault) -> None:
        administration = self._administration
        if fault.kind == "rights":
            self._note(fault)
            async with administration.without(fault.detail):
                await asyncio.sleep(fault.seconds)
        elif fault.kind == "quota":
            self._note(fault, rate=fault.rate)
            async with administration.quota(fault.detail, fault.rate):
                await asyncio.sleep(fault.seconds)
        elif fault.kind == "password":
            self._note(fault)
            async with administration.rotated(file_first=fault.detail == "file first"):
                self._cut_all()
                await asyncio.sleep(fault.seconds)
            self._cut_all()
        else:
            deleted = await administration.delete_what_was_read(fault.detail, fault.chance)
            self._note(fault, happened=bool(deleted), deleted=deleted)

    def _cut_all(self) -> None:
        """Everybody has to log in again."""
        for proxy in self._cluster.proxies:
            proxy.cut()

    def _note(self, fault: Fault, **fields: object) -> None:
        details = {"detail": fault.detail} if fault.detail else {}
        if fault.seconds:
            details["seconds"] = str(round(fault.seconds, 1))
        self._journal.note(fault.kind, **details, **fields)


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
