"""Sends the demo's generated traffic to a raw topic, two days of it in some minutes, until stopped.

For trying out a deployment: the traffic is that of ``sessionizer demo``, the workers are yours. It reads no
topic and checks nothing. Each round has another seed, and so other visitors; the same seed gives the same
ones.

    python deploy/traffic.py --bootstrap-servers localhost:9092 --events 200000 --minutes 20
"""

import argparse
import asyncio
import itertools
import sys
import time

from worker.demo.topics import feed
from worker.demo.traffic import Traffic, make_traffic


async def send(bootstrap_servers: str, topic: str, traffic: Traffic, *, over_s: float) -> None:
    """Send all records in order of arrival, spread evenly over ``over_s`` seconds, some each second."""
    began_s = time.monotonic()
    seconds = max(1, round(over_s))
    size = -(-len(traffic.records) // seconds)
    for second in range(seconds):
        piece = traffic.records[second * size : (second + 1) * size]
        async for _ in feed({"bootstrap_servers": bootstrap_servers}, topic, piece):
            pass
        await asyncio.sleep(max(0.0, began_s + (second + 1) * over_s / seconds - time.monotonic()))


def main() -> int:
    parser = argparse.ArgumentParser(description="Generated traffic for a raw topic.")
    parser.add_argument("--bootstrap-servers", default="localhost:9092", metavar="HOST:PORT")
    parser.add_argument("--topic", default="events.raw")
    parser.add_argument("--events", type=int, default=200_000, help="events a round, default: %(default)s")
    parser.add_argument("--minutes", type=float, default=20.0, help="how long a round takes")
    parser.add_argument("--rounds", type=int, default=None, help="default: until stopped")
    parser.add_argument("--seed", type=int, default=None, help="of the first round, default: the time")
    options = parser.parse_args()
    first = int(time.time()) if options.seed is None else options.seed
    rounds = itertools.count() if options.rounds is None else range(options.rounds)
    for number in rounds:
        now_ms = time.time_ns() // 1_000_000
        traffic = make_traffic(options.events, seed=first + number, now_ms=now_ms)
        asyncio.run(
            send(options.bootstrap_servers, options.topic, traffic, over_s=60 * float(options.minutes))
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
