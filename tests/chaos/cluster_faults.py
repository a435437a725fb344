"""Injects faults into brokers and their network, and runs lanes of faults beside each other.

Decides what each kind means for a cluster; knows nothing of its clients. Every lane goes its own way: its
next fault begins when its last is over. Invariant: after a lane's end every broker runs, and the network
passes everything but to a broker whose proxy is still silent.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from testing.kafka.cluster import SIZE, Cluster
from testing.kafka.proxy import Api, NetworkFault
from tests.chaos.journal import Journal
from tests.chaos.schedule import Fault, Lanes

Way = Callable[[Fault], Awaitable[None]]

_LOSSES = {
    "request lost": NetworkFault.REQUEST_LOST,
    "answer lost": NetworkFault.ANSWER_LOST,
    "answer eaten": NetworkFault.ANSWER_EATEN,
}
_PATIENCE_S = 15.0


async def run_lanes(ways: Mapping[str, Way], lanes: Lanes, duration_s: float) -> None:
    """Each lane by its way, until the schedule or the time is at its end."""
    deadline = time.monotonic() + duration_s
    async with asyncio.TaskGroup() as group:
        for name, faults in lanes.items():
            group.create_task(_run_lane(ways[name], faults, deadline))


async def _run_lane(way: Way, faults: Sequence[Fault], deadline: float) -> None:
    for fault in faults:
        left_s = deadline - time.monotonic()
        await asyncio.sleep(max(0.0, min(fault.pause_s, left_s)))
        if fault.pause_s > left_s:
            return
        await way(fault)


class ClusterFaults:
    """Injects faults into a cluster."""

    def __init__(self, cluster: Cluster, journal: Journal) -> None:
        self._cluster = cluster
        self._journal = journal

    async def to_broker(self, fault: Fault) -> None:
        """A kill, a pause or an outage of all; returns when it is over."""
        cluster = self._cluster
        if fault.kind == "outage":
            self._journal.note_fault(fault)
            for number in range(SIZE):
                cluster.kill(number)
            await asyncio.sleep(fault.seconds)
            await cluster.start(*range(SIZE))
        elif fault.kind == "broker kill":
            self._journal.note_fault(fault, broker=fault.target)
            cluster.kill(fault.target)
            await asyncio.sleep(fault.seconds)
            await cluster.start(fault.target)
        else:
            self._journal.note_fault(fault, broker=fault.target)
            cluster.pause(fault.target)
            await asyncio.sleep(fault.seconds)
            cluster.resume(fault.target)
        self._journal.note("brokers back", after=fault.kind)

    async def to_network(self, fault: Fault) -> None:
        """What befalls connections, requests and answers; returns when it is over."""
        proxy = self._cluster.proxies[fault.target]
        if fault.kind == "cut":
            self._journal.note_fault(fault, broker=fault.target)
            proxy.cut()
        elif fault.kind == "reset":
            self._journal.note_fault(fault, broker=fault.target)
            proxy.reset()
        elif fault.kind == "silence":
            self._journal.note_fault(fault, broker=fault.target)
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
            self._journal.note_fault(fault, broker=fault.target, happened=happened)

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
        self._journal.note_fault(fault, broker=fault.target, happened=happened, answer=answer)


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
