"""A real broker for the benchmark, removed afterwards.

Decides only how it differs from the tests' broker: more heap and all of the JVM's compilers, since the broker
works for minutes here and must not be what limits a worker.
"""

import argparse
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from bench.load import BOOTSTRAP_VARIABLE
from testing.kafka.broker import LocalBroker
from testing.kafka.discovery import jars
from testing.scratch import scratch_directory

JAVA_OPTIONS = ("-Xms1g", "-Xmx1g")
SETTINGS: dict[str, str | int] = {"log.segment.bytes": 256 * 1024 * 1024}


@contextlib.contextmanager
def throw_away_broker() -> Iterator[str]:
    """The address of a broker that runs for the length of the block; its records go with it."""
    with (
        scratch_directory("bench") as directory,
        LocalBroker(jars(), directory, settings=SETTINGS, java_options=JAVA_OPTIONS) as broker,
    ):
        yield broker.bootstrap_servers


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.broker", description="Run a command beside a throw-away broker."
    )
    parser.add_argument("command", nargs="+", help=f"finds the broker's address in ${BOOTSTRAP_VARIABLE}")
    options = parser.parse_args()
    with throw_away_broker() as address:
        environment = {**os.environ, BOOTSTRAP_VARIABLE: address}
        sys.exit(subprocess.run(options.command, env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
