"""What the collector counts: for its log, and as metrics in the form that Prometheus reads.

Decides how figures are counted and named; must not know how a request is answered. Plain counters that are
read when somebody asks, since a request pays for each of them. The invariants: one thread counts and reads;
names and meanings of metrics stay the same from release to release; nothing bears a key, an address or an id.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from msgspec import Struct
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from worker import telemetry
from worker.model.events import Reason

_BOUNDS_S = tuple(0.0005 * 2 ** (step / 6) for step in range(6 * 15 + 1))
"""Upper bounds of the classes in which times are counted: 0.5 ms to 16 s, six for each doubling."""

_SHOWN_EVERY = 6
"""Each sixth bound is one of the histogram's: a doubling."""


class Moment(Struct, frozen=True, kw_only=True):
    """What is true at one moment, as opposed to what was counted."""

    ready: bool
    pending_bytes: int
    connections: int
    stalled_partitions: int
    keys_loaded: int
    native_failures: int


class Interval(Struct, frozen=True, kw_only=True):
    """What was counted since the last look."""

    answers: dict[str, int]
    events_accepted: int
    events_refused: int
    refused: dict[str, dict[str, int]]
    ack_p50_s: float | None
    ack_p99_s: float | None


class Times:
    """How often something took how long."""

    def __init__(self) -> None:
        self.counts = [0] * (len(_BOUNDS_S) + 1)
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(_BOUNDS_S, seconds)] += 1
        self.total_s += seconds

    def since(self, before: list[int]) -> "Times":
        """What was counted after ``before``, an earlier copy of ``counts``."""
        later = Times()
        later.counts = [now - then for now, then in zip(self.counts, before, strict=True)]
        return later

    def quantile(self, share: float) -> float | None:
        """The time that ``share`` of all did not exceed, up to 12 % too long; None where there are none."""
        sums = list(accumulate(self.counts))
        if not sums[-1]:
            return None
        place = bisect_left(sums, share * sums[-1])
        return _BOUNDS_S[min(place, len(_BOUNDS_S) - 1)]

    def buckets(self) -> Sequence[tuple[str, float]]:
        """Cumulative counts by upper bound, as a histogram has them."""
        sums = list(accumulate(self.counts))
        shown = range(0, len(_BOUNDS_S), _SHOWN_EVERY)
        return [(f"{_BOUNDS_S[place]:g}", sums[place]) for place in shown] + [("+Inf", sums[-1])]


class Figures(Collector):
    """Counts what the application reports (its ``Observer``), and gives it out in two forms."""

    def __init__(self, moment: Callable[[], Moment]) -> None:
        self._moment = moment
        self._answers: Counter[int] = Counter()
        self._events: Counter[tuple[str, Reason | None, str]] = Counter()
        self._acks, self._requests = Times(), Times()
        self._seen_answers: Counter[int] = Counter()
        self._seen_events: Counter[tuple[str, Reason | None, str]] = Counter()
        self._seen_acks = list(self._acks.counts)
        self._has_failed = False
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def answered(self, status: int, seconds: float) -> None:
        """A request was answered."""
        self._answers[status] += 1
        self._requests.add(seconds)

    def refused_by_server(self, status: int) -> None:
        """A request was refused before the application saw it: no time is counted."""
        self._answers[status] += 1

    def events(self, outcome: str, reason: Reason | None, count: int, key_name: str) -> None:
        """So many events of one request had that outcome."""
        self._events[outcome, reason, key_name] += count

    def acknowledged(self, seconds: float) -> None:
        """All records of one request were answered for by the brokers."""
        self._acks.add(seconds)

    def failed(self, trace: str) -> None:
        """A request was answered 500: logged, unless one was since the last ``interval``."""
        if not self._has_failed:
            self._has_failed = True
            telemetry.emit(telemetry.CollectInternalError(trace=trace))

    def interval(self) -> Interval:
        """What was counted since the last call."""
        answers, events = self._answers - self._seen_answers, self._events - self._seen_events
        acks = self._acks.since(self._seen_acks)
        self._has_failed = False
        self._seen_answers, self._seen_events = self._answers.copy(), self._events.copy()
        self._seen_acks = list(self._acks.counts)
        refused: dict[str, dict[str, int]] = {}
        for (outcome, reason, key_name), count in sorted(events.items(), key=str):
            if outcome == "refused":
                refused.setdefault(key_name, {})[str(reason)] = count
        of_outcome = {
            outcome: sum(n for (one, _, _), n in events.items() if one == outcome) for outcome in _OUTCOMES
        }
        return Interval(
            answers={str(status): count for status, count in sorted(answers.items())},
            events_accepted=of_outcome["accepted"],
            events_refused=of_outcome["refused"],
            refused=refused,
            ack_p50_s=acks.quantile(0.5),
            ack_p99_s=acks.quantile(0.99),
        )

    def exposition(self) -> bytes:
        """All figures as Prometheus' text format."""
        return generate_latest(self._registry)

    def describe(self) -> Iterator[Metric]:
        """Nothing: names are not registered before they are first asked for."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Every metric of the collector, as its library wants it."""
        requests = CounterMetricFamily(
            f"{_PREFIX}_requests", "Answered requests, by status.", labels=["status"]
        )
        for status, count in sorted(self._answers.items()):
            requests.add_metric([str(status)], count)
        yield requests
        yield self._of_events()
        yield HistogramMetricFamily(
            f"{_PREFIX}_ack_seconds",
            "From handing a request's records to Kafka to its acknowledgement.",
            buckets=self._acks.buckets(),
            sum_value=self._acks.total_s,
        )
        yield HistogramMetricFamily(
            f"{_PREFIX}_request_seconds",
            "From the last byte of a request to its answer.",
            buckets=self._requests.buckets(),
            sum_value=self._requests.total_s,
        )
        moment = self._moment()
        yield CounterMetricFamily(
            f"{_PREFIX}_native_failures", "Failures of the native library.", value=moment.native_failures
        )
        for name, text in _GAUGES.items():
            yield GaugeMetricFamily(f"{_PREFIX}_{name}", text, value=float(getattr(moment, name)))

    def _of_events(self) -> Metric:
        family = CounterMetricFamily(
            f"{_PREFIX}_events",
            "Events by outcome; refused ones by reason, as the worker's dead letters name it.",
            labels=["outcome", "reason"],
        )
        sums: Counter[tuple[str, str]] = Counter()
        for (outcome, reason, _), count in self._events.items():
            sums[outcome, reason or ""] += count
        for (outcome, why), count in sorted(sums.items()):
            family.add_metric([outcome, why], count)
        return family


_PREFIX = "sessionizer_collect"
_OUTCOMES = ("accepted", "refused")
_GAUGES = {
    "ready": "1 where /readyz answers 200.",
    "pending_bytes": "Bytes of requests that are being read or wait for Kafka.",
    "connections": "Open connections.",
    "stalled_partitions": "Partitions of the raw topic whose oldest batch waits too long.",
    "keys_loaded": "Write keys that can be used.",
}
