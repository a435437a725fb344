"""``python -m tests.chaos.collect_senders``: many senders on one collector until SIGTERM, a journal each.

A process of its own, so that no fault and no work of the run reaches it. Most senders are fair, some rude.
SIGTERM lets each finish its request and its journal.
"""

import argparse
import asyncio
import signal
from pathlib import Path

from tests.chaos.collect_bodies import FAIR, RUDE
from tests.chaos.collect_journal import SenderJournal
from tests.chaos.collect_sender import Sender


async def send(port: int, directory: Path, fair: int, rude: int, per_second: float) -> int:
    """Send at about this rate in all, less what waiting takes; returns how many requests went out."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    pause_s = (fair + rude) / per_second
    names = [*(f"fair{number}" for number in range(fair)), *(f"rude{number}" for number in range(rude))]
    journals = [SenderJournal(directory / f"{name}.ndjson") for name in names]
    senders = [
        Sender(name, port, RUDE if name.startswith("rude") else FAIR, pause_s, journal)
        for name, journal in zip(names, journals, strict=True)
    ]
    async with asyncio.TaskGroup() as group:
        for sender in senders:
            group.create_task(sender.run())
        await stop.wait()
        for sender in senders:
            sender.stop()
    for journal in journals:
        journal.close()
    return sum(sender.requests for sender in senders)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.collect_senders", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--fair", type=int, default=12)
    parser.add_argument("--rude", type=int, default=4)
    parser.add_argument("--per-second", type=float, default=100.0)
    options = parser.parse_args()
    asyncio.run(send(options.port, options.directory, options.fair, options.rude, options.per_second))


if __name__ == "__main__":
    main()
