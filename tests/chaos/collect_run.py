"""One fault run of the HTTPS API: a cluster, a collector, senders, a schedule of faults, then the account.

Decides the order of things. What faults do is ``collect_faults``, what answers promise ``collect_account``.
The account is made when collector and senders have ended.
"""

import asyncio
import contextlib
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from testing.child_process import started
from testing.collector_process import CollectorProcess
from testing.kafka import cluster as kafka_cluster
from testing.kafka import rights
from testing.kafka.cluster import Cluster
from testing.wait import eventually
from tests.chaos.administration import Administration
from tests.chaos.collect_account import Account, account, read_journals
from tests.chaos.collect_bodies import KEY
from tests.chaos.collect_faults import CollectFaults
from tests.chaos.collect_sender import PATIENCE_S
from tests.chaos.deployment import Deployment
from tests.chaos.journal import Journal
from tests.chaos.schedule import Lanes
from tests.chaos.topics import read_all

READY_AGAIN_S = 60.0
"""After the last fault the collector is ready within this time."""

MOST_WAIT_S = 30.0
"""An answer takes no longer: acknowledgements have 10 s, pauses of the collector are below 8."""


@dataclass(frozen=True)
class CollectPlan:
    """The sizes of a run. ``calm_s``: without faults, at the end, with traffic."""

    duration_s: float
    lanes: Lanes
    seed: int = 1
    partitions: int = 4
    processes: int = 1
    fair: int = 12
    rude: int = 4
    requests_a_second: float = 100.0
    calm_s: float = 5.0
    options: dict[str, str] = field(default_factory=lambda: {"COLLECT_DRAIN_DELAY_S": "1"})


@dataclass
class CollectOutcome:
    """What a run found."""

    account: Account = field(default_factory=Account)
    faults_s: float = 0.0
    ready_again_s: float | None = None
    """From the last fault; None: never."""
    rss_mb: float = 0.0
    """Of the largest of the collector's processes, at its end."""
    log: Counter[str] = field(default_factory=Counter)
    """Warnings and errors in the collector's log, by their name in the catalogue."""

    @property
    def broken(self) -> list[str]:
        return self.account.broken


async def run_collect_chaos(
    jars: Path, directory: Path, plan: CollectPlan, journal: Journal
) -> CollectOutcome:
    """Carry out the plan on a cluster of its own. ``directory`` is for data that nobody needs afterwards."""
    async with kafka_cluster.running(jars, directory / "brokers") as cluster:
        with Deployment(cluster.bootstrap_servers, "chaos.", directory, plan.options) as deployment:
            await deployment.create_topics(plan.partitions)
            return await _Run(deployment, cluster, plan, journal).carry_out()


class _Run:
    def __init__(self, deployment: Deployment, cluster: Cluster, plan: CollectPlan, journal: Journal) -> None:
        self._deployment = deployment
        self._cluster = cluster
        self._plan = plan
        self._journal = journal
        self._topic = deployment.config.topics.raw
        self._administration = Administration(deployment.direct, deployment.directory / "password")
        options = {"KAFKA_BOOTSTRAP_SERVERS": cluster.proxied_servers, **self._administration.login}
        self._collector = CollectorProcess(
            {
                **deployment.environment,
                "SESSIONIZER_COLLECT_KEYS": f"chaos:{KEY}",
                **{f"SESSIONIZER_{name}": value for name, value in options.items()},
            },
            deployment.directory,
            arguments=("--processes", str(plan.processes)) if plan.processes > 1 else (),
        )
        deployment.workers.append(self._collector)
        self._outcome = CollectOutcome()

    async def carry_out(self) -> CollectOutcome:
        outcome, plan, journal = self._outcome, self._plan, self._journal
        await self._administration.make_user(rights.of_collector(self._deployment.config))
        await asyncio.to_thread(self._collector.start_and_wait)
        journals = self._deployment.directory / "journals"
        journals.mkdir()
        faults = CollectFaults(self._collector, self._cluster, self._topic, journal)
        async with self._senders(journals):
            journal.note("faults begin")
            begun = time.monotonic()
            await faults.carry_out(plan.lanes, plan.duration_s)
            outcome.faults_s = time.monotonic() - begun
            journal.note("faults end")
            await self._ready_again()
            await asyncio.sleep(plan.calm_s)
        if self._collector.running:
            outcome.rss_mb = max(one.memory_info().rss for one in self._collector.processes()) / 2**20
            await faults.stop()
        outcome.log = Counter(
            line["event"] for line in self._collector.log() if line.get("level") in ("warning", "error")
        )
        journal.note("counting")
        records = await read_all(self._cluster.bootstrap_servers, self._topic)
        lines, ways = read_journals(journals)
        outcome.account = await asyncio.to_thread(account, lines, ways, records)
        self._check_the_rest(faults)
        journal.note("verdict", broken=outcome.broken, counts=dict(outcome.account.counts))
        return outcome

    def _check_the_rest(self, faults: CollectFaults) -> None:
        """What topic and journals do not show."""
        outcome, broken = self._outcome, self._outcome.broken
        broken += faults.broken
        if outcome.ready_again_s is None:
            broken.append(f"the collector was not ready {READY_AGAIN_S:.0f} s after the last fault")
        for line in self._collector.log("process.exited"):
            if line["exit_code"] != -signal.SIGKILL:
                broken.append(f"a process of the collector ended with {line['exit_code']}")
        if (waited_s := outcome.account.longest_wait_s) > MOST_WAIT_S:
            broken.append(f"an answer took {waited_s:.0f} s, at most {MOST_WAIT_S:.0f}")

    async def _ready_again(self) -> None:
        begun = time.monotonic()

        async def ready() -> bool:
            slots = range(self._plan.processes)
            return all([await asyncio.to_thread(self._collector.is_ready, slot) for slot in slots])

        with contextlib.suppress(TimeoutError):
            await eventually(ready, what="the collector is ready", timeout_s=READY_AGAIN_S)
            self._outcome.ready_again_s = time.monotonic() - begun
            self._journal.note("ready again")

    @contextlib.asynccontextmanager
    async def _senders(self, journals: Path) -> AsyncIterator[None]:
        """Requests, as long as the block lasts; at its end each sender has its last answer."""
        plan = self._plan
        command = [
            *(sys.executable, "-m", "tests.chaos.collect_senders", "--port", str(self._collector.port)),
            *("--directory", str(journals), "--fair", str(plan.fair), "--rude", str(plan.rude)),
            *("--per-second", str(plan.requests_a_second)),
        ]
        log = self._deployment.directory / "senders.log"
        process = started(command, log)
        try:
            yield
            process.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(process.wait, 2 * PATIENCE_S)
            assert code == 0, f"the senders ended with {code}:\n{log.read_text()[-3000:]}"
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
