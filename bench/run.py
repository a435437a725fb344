"""Measures a command that turns a filled raw topic into enriched events: CPU time an event, and what else it
took.

Decides what one run is: fresh topics, a fresh group, a fresh state directory; the command in the worker's
own environment variables; watched until it has written one record for every event. What is read and how it
becomes figures is ``bench.process_cost``'s. A command that loses or repeats events is not fast: the outputs
are counted after each run, and a wrong count is shown as one.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from bench.load import BOOTSTRAP_VARIABLE
from bench.process_cost import (
    ProcessTree,
    Sample,
    figures,
    listening_pid,
    machine_cpu_s,
)
from bench.report import RESULTS, Run, save, table
from bench.topics import ENDS, Topics
from testing.child_process import end_with_parent
from testing.scratch import scratch_directory
from worker.model.topics import TOPICS

INTERVAL_S = 0.2
QUIET_S = 1.0  # outputs complete and unchanged for so long: nothing more comes
STALLED_S = 60.0
LEAST_EVENTS = 200_000  # the fastest command takes several intervals for so many
STOP_S = 15.0

JOBS: dict[str, dict[str, str]] = {
    "default": {},
    # What other engines were measured at, and the least the worker can be asked for: enriched events only.
    "peers": {
        **{f"SESSIONIZER_TOPICS_{role.upper()}": "" for role, spec in TOPICS.items() if spec.optional},
        "SESSIONIZER_KAFKA_COMPRESSION": "none",
    },
}


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """What stays the same from run to run. ``until``: stop at so many outputs, for slow commands."""

    bootstrap_servers: str
    topic: str
    events: int
    command: Sequence[str]
    label: str
    job: str = "default"
    settings: dict[str, str] = {}
    until: int | None = None
    timeout_s: float = 600.0
    broker_pid: int | None = None


def measure(bench: Bench) -> Run:
    """One run from nothing. Ends the program, with one line, where there was nothing to measure."""
    topics = Topics(bench.bootstrap_servers)
    partitions = topics.partitions(bench.topic)
    group, names = topics.fresh_outputs("bench", partitions)
    RESULTS.mkdir(exist_ok=True)
    log = RESULTS / f"{bench.label}.log"
    try:
        with scratch_directory("run") as directory:
            settings = {**JOBS[bench.job], **bench.settings}
            environment = environment_of(
                bench.bootstrap_servers, group, bench.topic, names, directory, settings
            )
            samples = watch(bench, topics, names, partitions, environment, log)
        wanted = bench.until or bench.events
        complete = bench.until is None and samples[-1].outputs >= wanted
        counted = (
            sum(topics.count_records(names[output]) for output in ENDS) if complete else samples[-1].outputs
        )
    finally:
        topics.delete(list(names.values()))
    if samples[-1].outputs < wanted:
        sys.stderr.write("".join(log.read_text(errors="replace").splitlines(keepends=True)[-30:]))
    return run_of(bench, samples, complete=complete, lost_or_repeated=bench.events - counted)


def run_of(bench: Bench, samples: Sequence[Sample], *, complete: bool, lost_or_repeated: int) -> Run:
    """The samples as a run of that bench. Ends the program, with one line, where they are too few."""
    try:
        found = figures(samples)
    except ValueError as error:
        raise SystemExit(f"{bench.label}: {error}; give --events {LEAST_EVENTS} or more") from None
    return Run(
        label=bench.label,
        command=shlex.join(bench.command),
        job=bench.job,
        topic=bench.topic,
        events=bench.events,
        complete=complete,
        lost_or_repeated=lost_or_repeated,
        figures=found,
    )


def environment_of(
    bootstrap_servers: str,
    group: str,
    raw_topic: str,
    names: dict[str, str],
    directory: Path,
    settings: dict[str, str],
) -> dict[str, str]:
    """The command's environment: this process's, the topics of this run, and settings that win over both."""
    return {
        **os.environ,
        BOOTSTRAP_VARIABLE: bootstrap_servers,
        "SESSIONIZER_KAFKA_GROUP_ID": group,
        "SESSIONIZER_STATE_DIRECTORY": str(directory / "state"),
        "SESSIONIZER_TOPICS_RAW": raw_topic,
        **{f"SESSIONIZER_TOPICS_{output}": name for output, name in names.items()},
        **settings,
    }


def watch(
    bench: Bench,
    topics: Topics,
    names: dict[str, str],
    partitions: int,
    environment: dict[str, str],
    log: Path,
) -> list[Sample]:
    """Run the command until it has written as many outputs as it should; the samples taken meanwhile."""
    ends = [names[output] for output in ENDS]
    there = sum(topics.end_offset(name, partitions) for name in ends)
    port = int(bench.bootstrap_servers.split(",")[0].rpartition(":")[2])
    broker_pid = bench.broker_pid or listening_pid(port)
    broker = ProcessTree(broker_pid) if broker_pid else None
    wanted = bench.until or bench.events
    samples: list[Sample] = []
    with log.open("wb") as output:
        process = subprocess.Popen(
            bench.command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent(),
        )
        began = grown = time.monotonic()
        tree = ProcessTree(process.pid)
        try:
            while True:
                outputs = sum(topics.end_offset(name, partitions) for name in ends) - there
                now = time.monotonic()
                cpu_s, rss_mb = tree.read()
                broker_cpu_s = broker.read()[0] if broker else 0.0
                if samples and outputs > samples[-1].outputs:
                    grown = now
                samples.append(
                    Sample(
                        at_s=now - began,
                        outputs=outputs,
                        cpu_s=cpu_s,
                        broker_cpu_s=broker_cpu_s,
                        own_cpu_s=time.process_time(),
                        machine_cpu_s=machine_cpu_s(),
                        rss_mb=rss_mb,
                    )
                )
                if outputs >= wanted and (bench.until or now - grown > QUIET_S):
                    break
                if process.poll() is not None or now - grown > STALLED_S or now - began > bench.timeout_s:
                    break
                time.sleep(max(0.0, INTERVAL_S - (time.monotonic() - now)))
        finally:
            stop(process)
    return samples


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Ask the command to stop; what is left of its session afterwards is ended."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.run", description="Measure a command on a filled raw topic."
    )
    parser.add_argument("--bootstrap-servers", default=os.environ.get(BOOTSTRAP_VARIABLE, "localhost:9092"))
    parser.add_argument("--topic", required=True, help="the raw topic, filled by bench.load")
    parser.add_argument("--events", type=int, help="how many it has (default: count them)")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--job", choices=JOBS, default="default")
    parser.add_argument("--label", help="default: the command's name, job and topic")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="environment variable"
    )
    parser.add_argument("--until", type=int, help="stop at so many outputs")
    parser.add_argument("--broker-pid", type=int, help="default: what listens on the broker's port")
    parser.add_argument("command", nargs="*", help="default: sessionizer run; after --")
    options = parser.parse_args()
    command = options.command or [sys.executable, "-m", "worker", "run"]
    events = options.events
    if events is None:
        events = Topics(options.bootstrap_servers).count_events(options.topic)
    name = command[-1].rpartition(".")[2] if options.command else "worker"
    bench = Bench(
        bootstrap_servers=options.bootstrap_servers,
        topic=options.topic,
        events=events,
        command=command,
        label=options.label or f"{name}-{options.job}-{options.topic}",
        job=options.job,
        settings=dict(setting.split("=", 1) for setting in options.set),
        until=options.until,
        broker_pid=options.broker_pid,
    )
    runs = []
    for number in range(1, options.runs + 1):
        run = measure(bench)
        sys.stderr.write(f"{bench.label}, run {number}: {run.figures.us:.2f} us an event\n")
        runs.append(run)
    Console(width=160).print(table(runs))
    sys.stderr.write(f"{save(runs, bench.label)}\n")


if __name__ == "__main__":
    main()
