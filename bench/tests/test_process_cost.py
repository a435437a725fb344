"""How samples of a benchmark run become figures."""

import subprocess
import sys

import pytest

from bench.process_cost import ProcessTree, Sample, figures
from bench.run import Bench, run_of


def sample(
    at_s: float, outputs: int, cpu_s: float, *, machine_cpu_s: float = 0.0, rss_mb: float = 50.0
) -> Sample:
    return Sample(
        at_s=at_s,
        outputs=outputs,
        cpu_s=cpu_s,
        broker_cpu_s=at_s / 10,
        own_cpu_s=0.0,
        machine_cpu_s=machine_cpu_s,
        rss_mb=rss_mb,
    )


WARMING_UP = [
    sample(0, 0, 0.0),
    sample(3, 1_000_000, 5.0, machine_cpu_s=10.0),
    sample(7, 2_000_000, 11.0, rss_mb=90.0),
    sample(9, 3_000_000, 13.0, machine_cpu_s=20.0),
    sample(12, 3_000_000, 14.0),  # idle: not measured
]


def test_what_comes_before_the_first_and_after_the_last_output_is_kept_apart() -> None:
    run = figures(WARMING_UP)
    assert run.us == pytest.approx(4.0)
    assert run.events_per_s == pytest.approx(2_000_000 / 6)
    assert (run.first_output_s, run.startup_cpu_s, run.peak_rss_mb) == (3, 5.0, 90.0)


def test_the_second_half_is_that_of_the_outputs_not_of_the_time() -> None:
    run = figures(WARMING_UP)
    assert run.us_second_half == pytest.approx(2.0)
    assert run.events_per_s_second_half == pytest.approx(500_000)


def test_what_others_used_is_the_machine_less_all_that_belongs_to_the_run() -> None:
    assert figures(WARMING_UP).others_cpu_s == pytest.approx(10.0 - 8.0 - 0.6)


def test_outputs_that_were_all_seen_at_once_measure_nothing() -> None:
    with pytest.raises(ValueError, match="all seen at once"):
        figures([sample(0, 0, 0.0), sample(1, 500, 1.0)])


def test_a_load_that_is_too_small_to_measure_ends_the_program_with_what_is_enough() -> None:
    bench = Bench(
        bootstrap_servers="", topic="raw", events=500, command=["worker"], label="worker, 20 a record"
    )
    with pytest.raises(SystemExit) as ended:
        run_of(bench, [sample(0, 0, 0.0), sample(1, 500, 1.0)], complete=True, lost_or_repeated=0)
    assert ended.value.code == (
        "worker, 20 a record: nothing to measure: 500 outputs, all seen at once; give --events 200000 or more"
    )


def test_the_cpu_time_of_children_counts_also_after_they_ended() -> None:
    # A little more than is asked for: the kernel counts user and system time in whole hundredths, cut off.
    burn = "import time; exec('while time.process_time() < 0.35: pass')"
    work = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    parent = f"{work}; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        tree = ProcessTree(process.pid)
        process.stdout.readline()  # the child has ended
        cpu_s, rss_mb = tree.read()
        process.communicate(b"\n")
    assert cpu_s >= 0.3
    assert rss_mb > 1
