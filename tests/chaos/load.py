"""``python -m tests.chaos.load``: steady traffic into a raw topic, until SIGTERM.

A process of its own, so that no fault of the workers' network and no work of the checkers reaches it. Half of
the records are keyed by their device, half hold several devices under any key. What could not be sent is not
sent again: the raw topic is the truth, whatever it holds. Its last line counts what was not sent.
"""

import argparse
import asyncio
import random
import signal
import sys
import time
from collections.abc import Iterator

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.chaos.any_key import shuffled_traffic
from worker.demo.traffic import RawRecord, make_traffic

_EVENTS_A_PART = 20_000
_RECORDS_A_PIECE = 200
_BEGINS_MS = 1_735_689_600_000
_PART_MS = 2 * 86_400_000
_MOST_PARTS = 180
"""Nearly a year of traffic: a device that expires would make its state depend on time."""
_BEAT_S = 0.1


def traffic(seed: int, events_a_part: int = _EVENTS_A_PART) -> Iterator[tuple[RawRecord, int]]:
    """Records without end, each with its number of events, more or less; the same for the same seed."""
    rng = random.Random(seed)
    for part in range(_MOST_PARTS):
        now_ms = _BEGINS_MS + (part + 1) * _PART_MS
        made = make_traffic(events_a_part, seed=seed * 1_000 + part, now_ms=now_ms)
        for start in range(0, len(made.records), _RECORDS_A_PIECE):
            piece = list(made.records[start : start + _RECORDS_A_PIECE])
            if rng.random() < 0.5:
                piece = shuffled_traffic(piece, seed=rng.getrandbits(32))
            for record in piece:
                yield record, record.value.count(b'"device_id"') or 1


async def send_steadily(
    servers: str, topic: str, seed: int, events_a_second: float, events_a_part: int
) -> None:
    """Send until SIGTERM, at that pace; what the brokers' absence held up is not made up for."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    records = traffic(seed, events_a_part)
    sent = failures = 0
    while not stop.is_set():
        producer = AIOKafkaProducer(
            bootstrap_servers=servers, enable_idempotence=True, compression_type="zstd", linger_ms=20
        )
        try:
            await producer.start()
            while not stop.is_set():
                started, events, pending = time.monotonic(), 0, []
                while events < events_a_second * _BEAT_S:
                    record, count = next(records)
                    pending.append(
                        await producer.send(topic, record.value, record.key, timestamp_ms=record.timestamp_ms)
                    )
                    events += count
                await asyncio.gather(*pending)
                sent += events
                await asyncio.sleep(max(0.0, _BEAT_S - (time.monotonic() - started)))
        except KafkaError as error:
            failures += 1
            sys.stdout.write(f"{type(error).__name__}: {error}\n")
            await asyncio.sleep(1.0)
        except StopIteration:
            sys.stdout.write("out of traffic\n")
            await stop.wait()
        finally:
            await producer.stop()
    sys.stdout.write(f"about {sent} events sent, {failures} producers failed\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.load", description=__doc__)
    parser.add_argument("--servers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events-per-second", type=float, default=1000.0)
    parser.add_argument("--events-a-part", type=int, default=_EVENTS_A_PART)
    options = parser.parse_args()
    asyncio.run(
        send_steadily(
            options.servers, options.topic, options.seed, options.events_per_second, options.events_a_part
        )
    )


if __name__ == "__main__":
    main()
