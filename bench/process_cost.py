"""What a process tree costs between its first output and its last.

Decides what is read, how often, and how samples become figures. Knows neither Kafka nor what the processes
do: the caller counts the outputs. CPU time is the measure because wall time says little on a shared
machine; what all other processes used in that time is given too, so that a disturbed run can be seen.
"""

import contextlib
from collections.abc import Sequence
from itertools import pairwise

import psutil  # type: ignore[import-untyped]
from msgspec import Struct


class Sample(Struct, frozen=True):
    """All that is read at one moment. CPU times are user + system, in seconds since each one's beginning."""

    at_s: float
    outputs: int
    cpu_s: float
    broker_cpu_s: float
    own_cpu_s: float
    machine_cpu_s: float
    rss_mb: float


class Figures(Struct, frozen=True):
    """One run. ``us`` are microseconds of CPU time per output of the command's process tree.

    The second half is that of the outputs: what is warmed up by then (just-in-time compilers, caches) shows.
    ``first_output_s`` and ``startup_cpu_s`` are what came before the first output was seen.
    """

    outputs: int
    us: float
    us_second_half: float
    events_per_s: float
    events_per_s_second_half: float
    wall_s: float
    cpu_s: float
    first_output_s: float
    startup_cpu_s: float
    broker_us: float
    others_cpu_s: float
    peak_rss_mb: float


class ProcessTree:
    """A process and what it started. A child that ended counts in its parent, which the kernel sees to."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._cpu_s = 0.0

    def read(self) -> tuple[float, float]:
        """CPU seconds used so far, never less than before, and resident MiB now."""
        cpu_s = rss = 0.0
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in [self._root, *self._root.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess), process.oneshot():
                    cpu_s += sum(process.cpu_times()[:4])  # user, system, and both of ended children
                    rss += process.memory_info().rss
        self._cpu_s = max(self._cpu_s, cpu_s)
        return self._cpu_s, rss / 2**20


def machine_cpu_s() -> float:
    """CPU seconds that all processes of the machine have used."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq + times.steal)


def listening_pid(port: int) -> int | None:
    """The process that listens on a TCP port of this machine, None when it cannot be seen."""
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
            return int(connection.pid) if connection.pid else None
    return None


def figures(samples: Sequence[Sample]) -> Figures:
    """What a run cost, from the first sample with an output to the first one with all of them.

    Raises ValueError when the outputs did not grow between two samples: nothing was measured then.
    """
    last = next(index for index, sample in enumerate(samples) if sample.outputs == samples[-1].outputs)
    begin = next((sample for sample in samples if sample.outputs > 0), samples[-1])
    end = samples[last]
    outputs = end.outputs - begin.outputs
    if outputs <= 0:
        raise ValueError(f"nothing to measure: {end.outputs} outputs, all seen at once")
    half = _at(samples[: last + 1], begin.outputs + outputs / 2)
    cpu_s, wall_s = end.cpu_s - begin.cpu_s, end.at_s - begin.at_s
    broker_s, own_s = end.broker_cpu_s - begin.broker_cpu_s, end.own_cpu_s - begin.own_cpu_s
    return Figures(
        outputs=end.outputs,
        us=1e6 * cpu_s / outputs,
        us_second_half=2e6 * (end.cpu_s - half[1]) / outputs,
        events_per_s=outputs / wall_s,
        events_per_s_second_half=outputs / 2 / (end.at_s - half[0]),
        wall_s=wall_s,
        cpu_s=cpu_s,
        first_output_s=begin.at_s,
        startup_cpu_s=begin.cpu_s,
        broker_us=1e6 * broker_s / outputs,
        others_cpu_s=end.machine_cpu_s - begin.machine_cpu_s - cpu_s - broker_s - own_s,
        peak_rss_mb=max(sample.rss_mb for sample in samples),
    )


def _at(samples: Sequence[Sample], outputs: float) -> tuple[float, float]:
    """When so many outputs were there, and the CPU seconds used by then; interpolated between two samples."""
    for before, after in pairwise(samples):
        if after.outputs >= outputs:
            share = (outputs - before.outputs) / (after.outputs - before.outputs)
            return (
                before.at_s + (after.at_s - before.at_s) * share,
                before.cpu_s + (after.cpu_s - before.cpu_s) * share,
            )
    return samples[-1].at_s, samples[-1].cpu_s
