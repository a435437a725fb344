"""``run --processes``: several workers under one command, on a real broker."""

import asyncio
import os
import signal
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from testing.wait import eventually, wait_until
from testing.worker_process import WorkerProcess
from tests.chaos.deployment import Deployment, feeding, gone
from tests.chaos.promises import check_promises
from tests.conftest import Kafka
from worker.demo.traffic import make_traffic
from worker.health import HealthFile

NOW_MS = 1_760_000_000_000
TWO = ("--processes", "2")


def children(worker: WorkerProcess) -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process(worker.pid).children(recursive=True)
    return found


def pid_of(worker: WorkerProcess, slot: int) -> int:
    """The process that runs for the slot now."""
    return int([line["pid"] for line in worker.log("process.started") if line["slot"] == slot][-1])


def working(worker: WorkerProcess) -> dict[int, int]:
    """How many partitions each slot runs, by its last status line."""
    return {line["slot"]: line["partitions_running"] for line in worker.log("worker.status")}


async def shared(worker: WorkerProcess) -> None:
    """Wait until both processes have two of four partitions."""

    async def both() -> bool:
        return working(worker) == {0: 2, 1: 2}

    await eventually(both, what="each process runs two partitions", timeout_s=60)


def test_two_processes_share_the_partitions_and_survive_a_kill_without_loss(deployment: Deployment) -> None:
    async def scenario() -> None:
        await deployment.create_topics(4)
        worker = deployment.worker("both", arguments=TWO)
        worker.start()
        await shared(worker)
        async with feeding(deployment, make_traffic(60_000, seed=21, now_ms=NOW_MS).records, over_s=6.0):
            for kill, slot in enumerate((1, 0), start=1):
                started = len(worker.log("worker.started"))
                os.kill(pid_of(worker, slot), signal.SIGKILL)
                await worker.wait_for("process.exited", kill)
                await worker.wait_for("worker.started", started + 1)
        await deployment.caught_up()
        verdict = await check_promises(deployment.config)
        assert verdict.broken == []
        assert verdict.events == 60_000
        exits = [(line["slot"], line["exit_code"]) for line in worker.log("process.exited")]
        assert exits == [(1, -signal.SIGKILL), (0, -signal.SIGKILL)]
        workers = children(worker)
        assert len(workers) == 2
        assert await worker.stop(timeout_s=10.0) == 0
        assert gone(workers)
        assert sorted(line["slot"] for line in worker.log("worker.stopped")) == [0, 1]

    asyncio.run(scenario())


def test_each_process_has_a_directory_and_a_member_id_of_its_own(deployment: Deployment) -> None:
    async def scenario() -> WorkerProcess:
        await deployment.create_topics(4)
        worker = deployment.worker("both", {"KAFKA_GROUP_INSTANCE_ID": "pod-7"}, arguments=TWO)
        worker.start()
        await shared(worker)
        assert await worker.stop() == 0
        return worker

    worker = asyncio.run(scenario())
    started = {line["slot"]: line for line in worker.log("worker.started")}
    assert {slot: line["group_instance_id"] for slot, line in started.items()} == {0: "pod-7-0", 1: "pod-7-1"}
    group, root = deployment.config.kafka.group_id, deployment.directory / "both"
    assert {slot: line["state_directory"] for slot, line in started.items()} == {
        0: str(root / group),
        1: str(root / "slot-1" / group),
    }


def test_no_process_is_left_when_the_parent_is_killed_and_the_next_one_goes_on(
    deployment: Deployment,
) -> None:
    async def scenario() -> None:
        await deployment.create_topics(4)
        traffic = make_traffic(20_000, seed=22, now_ms=NOW_MS)
        half = len(traffic.records) // 2
        worker = deployment.worker("both", arguments=TWO)
        worker.start()
        await shared(worker)
        workers = children(worker)
        async with feeding(deployment, traffic.records[:half], over_s=1.0):
            await worker.wait_for("worker.status", len(worker.log("worker.status")) + 1)
            worker.kill()
        wait_until(lambda: gone(workers), what="no worker is left")
        worker.start()
        await deployment.feed(traffic.records[half:])
        await deployment.caught_up()
        verdict = await check_promises(deployment.config)
        assert verdict.broken == []
        assert await worker.stop() == 0

    asyncio.run(scenario())


def test_one_process_is_the_worker_itself_as_ever(deployment: Deployment) -> None:
    async def scenario() -> None:
        await deployment.create_topics(1)
        worker = deployment.worker("only", arguments=("--processes", "1"))
        worker.start()
        await worker.wait_for("partition.initialized")
        assert children(worker) == []
        assert await worker.stop() == 0
        assert not any("slot" in line or line["event"].startswith("process.") for line in worker.log())

    asyncio.run(scenario())


def test_a_wrong_configuration_ends_with_2_before_any_process_is_started(deployment: Deployment) -> None:
    worker = deployment.worker("wrong", {"LOG_LEVEL": "loud"}, arguments=TWO)
    worker.start()
    assert asyncio.run(worker.ended()) == 2
    assert worker.raw_log() == (
        'SESSIONIZER_LOG_LEVEL = "loud": expected one of debug, info, warning, error\n'
    )


def test_what_only_a_human_can_fix_ends_the_whole_with_1_and_names_slot_and_reason(
    deployment: Deployment,
) -> None:
    """Topics that are missing: five starts, with 1, 2, 4 and 8 s between them."""
    worker = deployment.worker("early", arguments=TWO)
    worker.start()
    assert asyncio.run(worker.ended(timeout_s=90.0)) == 1
    lines = worker.log("worker.failed")  # the other process may still log its reason after the whole's
    reasons, (last,) = (
        [line for line in lines if "slot" in line],
        [line for line in lines if "slot" not in line],
    )
    assert {line["slot"] for line in reasons} == {0, 1}
    assert all("topics create" in line["reason"] for line in reasons)
    assert "ended 5 times in a row, at last with exit code 1" in last["reason"]


def test_one_health_file_stands_for_all_processes(kafka: Kafka, topic_prefix: str, tmp_path: Path) -> None:
    file = tmp_path / "health"

    async def scenario(deployment: Deployment) -> None:
        await deployment.create_topics(4)
        worker = deployment.worker("both", arguments=TWO)
        worker.start()

        async def well() -> bool:
            return file.exists()

        await eventually(well, what="the file is there, since both processes are well")
        of_slots = [(tmp_path / f"health.{slot}").stat().st_mtime for slot in (0, 1)]
        assert HealthFile(file).verdict(max(of_slots)).healthy
        os.kill(pid_of(worker, 1), signal.SIGSTOP)
        stopped = (tmp_path / "health.1").stat().st_mtime_ns

        async def stands_still() -> bool:
            oldest, newest = file.stat().st_mtime_ns, (tmp_path / "health.0").stat().st_mtime_ns
            return newest > stopped and oldest == stopped

        await eventually(stands_still, what="the file is as old as that of the process that stands still")
        os.kill(pid_of(worker, 1), signal.SIGCONT)
        assert await worker.stop() == 0

    with Deployment(
        kafka.bootstrap_servers, topic_prefix, tmp_path, {"HEALTH_FILE": str(file)}
    ) as deployment:
        asyncio.run(scenario(deployment))
    assert list(tmp_path.glob("health*")) == []
