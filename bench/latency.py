"""How long an event takes from the raw topic to a reader of committed records, at a steady rate.

Decides how the time is taken: the raw topic is stamped by the broker on append, the worker hands that
timestamp on to its output, and the reader takes the wall clock of the same machine when a record arrives. So
nothing has to be matched, and what is measured includes the wait for the transaction's commit.
"""

import argparse
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

from confluent_kafka import Consumer, Producer, TopicPartition

from bench.load import BOOTSTRAP_VARIABLE
from bench.report import RESULTS
from bench.run import JOBS, environment_of, stop
from bench.topics import APPEND_TIME, Topics
from testing.child_process import end_with_parent
from testing.events import Shape, records
from testing.scratch import scratch_directory

PARTITIONS = 4
WARM_UP_S = 10.0


def send_steadily(shape: Shape, servers: str, topic: str, seconds: float) -> None:
    """Append the load at its own pace in wall time; each record when it is due."""
    producer = Producer({"bootstrap.servers": servers, "partitioner": "murmur2", "linger.ms": 0})
    began = time.monotonic()
    for record in records(shape):
        due_s = (record.timestamp - shape.start_ms) / 1000
        if due_s > seconds:
            break
        time.sleep(max(0.0, began + due_s - time.monotonic()))
        producer.produce(topic, record.value, record.key)
        producer.poll(0)
    producer.flush()


def latencies_ms(servers: str, topic: str, seconds: float) -> list[int]:
    """Of all committed records that arrive from now on for so many seconds, less the warm-up."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": f"{topic}-latency",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    seen = []
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        message = consumer.poll(0.1)
        if message is not None and message.error() is None and passed > WARM_UP_S:
            seen.append(int(time.time() * 1000) - message.timestamp()[1])
    consumer.close()
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description="Measure append to visible.")
    parser.add_argument("--bootstrap-servers", default=os.environ.get(BOOTSTRAP_VARIABLE, "localhost:9092"))
    parser.add_argument("--events-per-second", type=float, default=5000.0)
    parser.add_argument("--events-per-record", type=int, default=1)
    parser.add_argument(
        "--seconds", type=float, default=60.0, help=f"the first {WARM_UP_S:.0f} are not counted"
    )
    parser.add_argument("--job", choices=JOBS, default="default")
    parser.add_argument("command", nargs="*", default=[sys.executable, "-m", "worker", "run"])
    options = parser.parse_args()
    topics = Topics(options.bootstrap_servers)
    group, names = topics.fresh_outputs("bench", PARTITIONS)
    raw = f"{group}.raw"
    topics.create(raw, PARTITIONS, APPEND_TIME)
    shape = Shape(
        events=int(options.events_per_second * options.seconds) + 1,
        events_per_record=options.events_per_record,
        events_per_second=options.events_per_second,
        start_ms=int(time.time() * 1000),
    )
    RESULTS.mkdir(exist_ok=True)
    try:
        with (
            scratch_directory("latency") as directory,
            Path(RESULTS, "latency.log").open("wb") as log,
        ):
            process = subprocess.Popen(
                options.command,
                env=environment_of(
                    options.bootstrap_servers, group, raw, names, directory, JOBS[options.job]
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=end_with_parent(),
            )
            try:
                sender = Thread(
                    target=send_steadily, args=(shape, options.bootstrap_servers, raw, options.seconds)
                )
                sender.start()
                seen = sorted(latencies_ms(options.bootstrap_servers, names["ENRICHED"], options.seconds))
                sender.join()
            finally:
                stop(process)
    finally:
        topics.delete([raw, *names.values()])
    if not seen:
        sys.exit(f"{shlex.join(options.command)}: nothing came out, see {RESULTS / 'latency.log'}")
    percentiles = ", ".join(
        f"p{share:g} {seen[min(len(seen) - 1, int(len(seen) * share / 100))]} ms" for share in (50, 99, 99.9)
    )
    print(f"{len(seen):,} events at {options.events_per_second:,.0f}/s: {percentiles}, max {seen[-1]} ms")


if __name__ == "__main__":
    main()
