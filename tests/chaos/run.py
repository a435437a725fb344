"""One run: a cluster, a pool, steady traffic, a schedule of faults, and then every promise checked.

Decides the order of things and what the verdict is made of; what faults do is ``faults``, what promises mean
``any_key``. The platform around the workers is part of the run: it restarts what ends, and does nothing else.
"""

import asyncio
import contextlib
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from testing.child_process import started
from testing.kafka import cluster as kafka_cluster
from testing.kafka.cluster import Cluster
from testing.wait import eventually
from tests.chaos.administration import Administration
from tests.chaos.any_key import check_any_key
from tests.chaos.deployment import Deployment
from tests.chaos.faults import Faults
from tests.chaos.journal import Journal
from tests.chaos.promises import Verdict
from tests.chaos.schedule import Lanes
from tests.chaos.watch import Sample, Watch
from tests.chaos.worker_pool import Resources, WorkerPool

LIVENESS_S = 180.0
"""P5: after the last fault everything is read within this time."""
_HANG_BEYOND_TIMEOUT_S = 20.0
_WARM_UP_S = 120.0
_STILL_S = 5.0
_SOCKETS = 12
_SOCKETS_A_PARTITION = 5
_THREADS_MORE = 8
_RSS_MB_MORE = 200


@dataclass
class Outcome:
    """What a run found."""

    verdict: Verdict
    samples: list[Sample]
    ends: dict[str, int] = field(default_factory=dict)
    """Workers' ends that no fault caused, by reason."""
    warnings: Counter[str] = field(default_factory=Counter)
    """Warnings and errors in the workers' logs, by their name in the catalogue."""
    faults_s: float = 0.0
    settled_s: float | None = None
    """From the last fault until all was read; None: never."""
    longest_hang_s: float = 0.0
    before: Resources | None = None
    after: Resources | None = None
    load: str = ""


@dataclass(frozen=True)
class Plan:
    """The sizes of a run."""

    duration_s: float
    lanes: Lanes
    seed: int = 1
    workers: int = 3
    partitions: int = 8
    events_a_second: float = 1000.0
    deployment: dict[str, str] = field(
        default_factory=lambda: {
            "KAFKA_SESSION_TIMEOUT_MS": "6000",
            "KAFKA_HEARTBEAT_INTERVAL_MS": "1000",
            "LOG_STATS_INTERVAL_S": "5",
        }
    )


async def run_chaos(jars: Path, directory: Path, plan: Plan, journal: Journal) -> Outcome:
    """Carry out the plan on a cluster of its own. ``directory`` is for data that nobody needs afterwards."""
    async with kafka_cluster.running(jars, directory / "brokers") as cluster:
        with Deployment(cluster.bootstrap_servers, "chaos.", directory, plan.deployment) as deployment:
            await deployment.create_topics(plan.partitions)
            return await _Run(deployment, cluster, plan, journal).carry_out()


class _Run:
    def __init__(self, deployment: Deployment, cluster: Cluster, plan: Plan, journal: Journal) -> None:
        self._deployment = deployment
        self._config = deployment.config
        self._cluster = cluster
        self._plan = plan
        self._journal = journal
        self._administration = Administration(deployment.direct, deployment.directory / "password")
        options = {"KAFKA_BOOTSTRAP_SERVERS": cluster.proxied_servers, **self._administration.login}
        self._pool = WorkerPool(deployment, plan.workers, options, journal)
        self._watch = Watch(self._config, cluster, journal, plan.partitions)
        self._outcome = Outcome(Verdict(), self._watch.samples)
        self._ends_badly: list[str] = []

    async def carry_out(self) -> Outcome:
        outcome, pool, journal = self._outcome, self._pool, self._journal
        await self._administration.make_user()
        async with self._restarted_and_watched():
            async with self._load():
                pool.start()
                await self._warmed_up()
                outcome.before = pool.resources(pool.survivor)
                journal.note("faults begin")
                begun = time.monotonic()
                faults = Faults(pool, self._cluster, self._administration, journal)
                await faults.carry_out(self._plan.lanes, self._plan.duration_s)
                outcome.faults_s = time.monotonic() - begun
                journal.note("faults end")
            settled = time.monotonic()
            if await self._everything_read(LIVENESS_S):
                outcome.settled_s = time.monotonic() - settled
                journal.note("all is read")
            outcome.after = pool.resources(pool.survivor)
            outcome.ends = dict(pool.ends)
            await self._stop_all()
        outcome.warnings = pool.warnings()
        outcome.longest_hang_s = self._watch.longest_hang_s
        if outcome.settled_s is not None:
            journal.note("checking")
            directories = [pool.state_of(worker) for worker in [*pool.workers, pool.extra]]
            try:
                raw = await self._administration.retention.raw()
                outcome.verdict = await check_any_key(self._config, directories, raw)
            except Exception:  # noqa: BLE001 - what was measured is reported, however the check ends
                outcome.verdict.broken.append(f"the check itself failed: {traceback.format_exc()}")
        self._check_the_rest()
        journal.note("verdict", broken=outcome.verdict.broken)
        return outcome

    def _check_the_rest(self) -> None:
        """What the topics do not show: P5, P6 and P7."""
        outcome, broken = self._outcome, self._outcome.verdict.broken
        broken += self._ends_badly
        if outcome.settled_s is None:
            broken.append(f"P5: not everything was read {LIVENESS_S:.0f} s after the last fault")
        broken += [f"P5: ended without a reason: {end}" for end in self._pool.silent_ends]
        limit_s = self._config.kafka.transaction_timeout_ms / 1000 + _HANG_BEYOND_TIMEOUT_S
        if outcome.longest_hang_s > limit_s:
            broken.append(
                f"P6: {self._watch.hanging_longest} hung for {outcome.longest_hang_s:.0f} s, at most "
                f"{limit_s:.0f}"
            )
        before, after = outcome.before, outcome.after
        if before is None or after is None:
            broken.append("P7: the worker that nobody kills is gone")
            return
        if after.sockets > _SOCKETS + _SOCKETS_A_PARTITION * max(1, after.partitions):
            broken.append(f"P7: {after.sockets} sockets with {after.partitions} partitions")
        if after.threads > before.threads + _THREADS_MORE:
            broken.append(f"P7: {after.threads} threads, {before.threads} at the beginning")
        if after.rss_mb > before.rss_mb + _RSS_MB_MORE:
            broken.append(f"P7: {after.rss_mb} MB, {before.rss_mb} at the beginning")

    async def _stop_all(self) -> None:
        """SIGTERM to everybody: each has to end with 0, and leave a store that is up to date."""
        for worker in [*self._pool.workers, self._pool.extra]:
            if worker.running:
                code = await self._pool.stop(worker)
                self._journal.note("stopped", worker=worker.name, code=code)
                if code != 0:
                    self._outcome.verdict.broken.append(
                        f"{worker.name} ended with {code} when it was stopped"
                    )

    async def _warmed_up(self) -> None:
        """Every partition is run by somebody, and something has come out."""

        async def warm() -> bool:
            samples = self._watch.samples
            return bool(samples) and samples[-1].enriched > 0 and self._all_run()

        await eventually(warm, what="every partition is run", timeout_s=_WARM_UP_S)

    def _all_run(self) -> bool:
        return sum(w.partitions_running() for w in self._pool.workers) == self._plan.partitions

    async def _everything_read(self, within_s: float) -> bool:
        """Whether the lag becomes 0 and nothing moves any more: the last sessions have closed."""
        deadline = time.monotonic() + within_s
        quiet_since: float | None = None
        last: tuple[int, ...] = ()
        while time.monotonic() < deadline:
            await asyncio.sleep(1.0)
            now = await self._watch.now()
            if now is None or now.lag or now.all_ends != last:
                quiet_since, last = None, () if now is None else now.all_ends
            elif quiet_since is None:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > _STILL_S:
                return True
        return False

    @contextlib.asynccontextmanager
    async def _restarted_and_watched(self) -> AsyncIterator[None]:
        """The platform and the watch, as long as the block lasts."""
        spawn = asyncio.get_running_loop().create_task
        beside = [spawn(self._pool.restart_ended()), spawn(self._watch.look())]
        try:
            yield
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def _load(self) -> AsyncIterator[None]:
        """Traffic, as long as the block lasts, by the direct addresses."""
        plan = self._plan
        events = plan.events_a_second * (plan.duration_s + _WARM_UP_S)
        command = [
            *(sys.executable, "-m", "tests.chaos.load", "--seed", str(plan.seed)),
            *("--servers", self._cluster.bootstrap_servers, "--topic", self._config.topics.raw),
            *("--events-per-second", str(plan.events_a_second)),
            *("--events-a-part", str(max(2_000, int(events / 150)))),
        ]
        log = self._deployment.directory / "load.log"
        process = started(command, log)
        try:
            yield
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait, 60)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            self._outcome.load = log.read_text()
            self._journal.note("load", output=self._outcome.load[-1000:])
