"""The promises on three brokers and a bad network, with a little of everything: the short form of
``make chaos``.
"""

import asyncio
import contextlib
from pathlib import Path

from tests.chaos.journal import Journal
from tests.chaos.run import Plan, run_chaos
from tests.chaos.schedule import Fault

WORKERS = [
    Fault(kind="kill", pause_s=0.5, target=0),
    Fault(kind="kill", pause_s=1.5, target=1, seconds=1.0),
    Fault(kind="damage", pause_s=1.5, target=0, detail="half deleted"),
    Fault(kind="crash", pause_s=1.5, target=1, detail="after commit"),
    Fault(kind="disk full", pause_s=1.0, target=0, seconds=4.0),
    Fault(kind="kill", pause_s=1.0, target=0),
]
BROKERS = [Fault(kind="broker kill", pause_s=3.0, target=1)]
NETWORK = [
    Fault(kind="cut", pause_s=0.5, target=0),
    Fault(kind="answer lost", pause_s=0.5, target=1, detail="PRODUCE"),
    Fault(kind="request lost", pause_s=0.5, target=2, detail="FETCH"),
    Fault(kind="EndTxn held", pause_s=0.5, target=0, seconds=1.0),
    Fault(kind="reset", pause_s=0.5, target=2),
]
ADMINISTRATION = [
    Fault(kind="password", pause_s=0.5, detail="file first", seconds=1.0),
    Fault(kind="records deleted", pause_s=0.5, detail="repartition"),
    Fault(kind="quota", pause_s=0.5, detail="producer_byte_rate", rate=20_000, seconds=5.0),
    Fault(kind="rights", pause_s=0.5, detail="Write enriched", seconds=4.0),
    Fault(kind="password", pause_s=0.5, detail="brokers first", seconds=1.0),
    Fault(kind="records deleted", pause_s=0.5, detail="raw"),
    Fault(kind="quota", pause_s=0.5, detail="consumer_byte_rate", rate=20_000, seconds=5.0),
]


def test_promises_hold_when_workers_brokers_their_network_and_their_administrators_fail_together(
    kafka_jars: Path, tmp_path: Path
) -> None:
    lanes = {"workers": WORKERS, "brokers": BROKERS, "network": NETWORK, "administration": ADMINISTRATION}
    plan = Plan(duration_s=120.0, lanes=lanes, partitions=4, events_a_second=300.0)
    with contextlib.closing(Journal(tmp_path / "faults.ndjson")) as journal:
        outcome = asyncio.run(run_chaos(kafka_jars, tmp_path, plan, journal))
    assert outcome.verdict.broken == []
    assert outcome.verdict.events > 1_000
    counts = journal.counts()
    assert counts["kill"] == 3
    assert counts["brokers back"] == 1
    assert counts["password"] == counts["quota"] == counts["records deleted"] == 2
    assert counts["rights"] == 1
