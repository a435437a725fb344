"""The HTTPS API on three brokers, where collector, brokers, network and clients all fail: the short form of
``make chaos-collect``.
"""

import asyncio
import contextlib
from pathlib import Path

from tests.chaos.collect_run import CollectPlan, run_collect_chaos
from tests.chaos.journal import Journal
from tests.chaos.schedule import Fault

COLLECTOR = [
    Fault(kind="process kill", pause_s=3.0, target=1),
    Fault(kind="collector pause", pause_s=3.0, seconds=2.0),
    Fault(kind="collector kill", pause_s=2.0, seconds=0.5),
    Fault(kind="collector stop", pause_s=4.0),
    Fault(kind="process kill", pause_s=4.0, target=0),
]
BROKERS = [
    Fault(kind="leader moved", pause_s=1.0, target=1),
    Fault(kind="broker pause", pause_s=1.0, target=0, seconds=5.0),
    Fault(kind="broker kill", pause_s=2.0, target=2, seconds=0.5),
    Fault(kind="outage", pause_s=1.0, seconds=2.0),
]
NETWORK = [
    Fault(kind="answer lost", pause_s=1.0, target=1, detail="PRODUCE"),
    Fault(kind="cut", pause_s=2.0, target=0),
    Fault(kind="request lost", pause_s=1.0, target=2, detail="PRODUCE"),
    Fault(kind="answer eaten", pause_s=1.0, target=0, detail="PRODUCE"),
    Fault(kind="silence", pause_s=1.0, target=1, seconds=3.0),
    Fault(kind="reset", pause_s=2.0, target=2),
]


def test_nothing_answered_200_is_lost_and_nothing_is_stored_twice_whatever_fails(
    kafka_jars: Path, tmp_path: Path
) -> None:
    lanes = {"collector": COLLECTOR, "brokers": BROKERS, "network": NETWORK}
    # A busy machine may need all of the time; on an idle one the lanes end after half of it.
    plan = CollectPlan(
        duration_s=90.0, lanes=lanes, processes=2, fair=8, rude=4, requests_a_second=150.0, calm_s=1.0
    )
    with contextlib.closing(Journal(tmp_path / "faults.ndjson")) as journal:
        outcome = asyncio.run(run_collect_chaos(kafka_jars, tmp_path, plan, journal))
    assert outcome.broken == []
    counts, faults = outcome.account.counts, journal.counts()
    assert counts["answered 200"] > 50, counts
    assert counts["answered 503 unavailable"] > 0
    assert counts["lost, left"] > 0
    assert {
        "answered 400 bad_request",
        "answered 401 unauthorized",
        "answered 413 too_large",
    } <= counts.keys()
    kinds = ("collector kill", "collector stop", "collector pause", "process kill")
    assert [faults[kind] for kind in kinds] == [1, 1, 1, 2]
    assert faults["brokers back"] == 3
