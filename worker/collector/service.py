"""The parts of the HTTPS API in one process: producer, keys, application and figures, and what runs beside.

The composition root of the collector: the one place where ``collect`` meets its adapters. Decides what is
made, what is checked before the first record, and what is logged each interval. Must not know sockets,
signals or servers. The invariants: nothing is stored before the topic is known to fit; brokers that are away
end nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from worker import telemetry
from worker.adapters.kafka import topics as kafka_topics
from worker.adapters.kafka.raw_producer import KafkaRawProducer
from worker.adapters.key_file import KeyFile
from worker.adapters.system_clock import SystemClock
from worker.collect.answers import Header, protocol_refusal
from worker.collect.application import Application, trace_of
from worker.collect.storage import smaller_limits
from worker.collect.write_keys import WriteKey, WriteKeys
from worker.collector.figures import Figures, Moment
from worker.collector.kafka_watch import KafkaWatch
from worker.config import Config
from worker.errors import BrokersAway, Fatal, LoginRefused
from worker.lifecycle import in_background
from worker.native.chosen_decoder import chosen_decoder
from worker.native.parts import native_parts
from worker.process_limits import resident_mb

_ASK_AGAIN_S = 3.0
_LOOK_S = 1.0
_CLOSE_S = 2.0
_POLL_S = 0.02
_FIRST_READY_S = 3.0
"""Brokers that are there have named the topic within this, also on a busy machine."""


class Load(NamedTuple):
    """What a server holds: open connections, and bytes of bodies that are being read or wait."""

    connections: int
    pending_bytes: int


class Service:
    """``application`` answers requests as soon as ``running`` is entered."""

    def __init__(
        self, config: Config, load: Callable[[], Load] | None = None, *, checks_topic: bool = True
    ) -> None:
        """``load``: what the server holds now; None where another server does not say.

        ``checks_topic``: False only for the demo's embedded broker, which knows no settings of topics.
        """
        self._config = config
        self._checks_topic = checks_topic
        self._clock = clock = SystemClock()
        self._load = load or (lambda: Load(0, 0))
        self._started_s = clock.monotonic()
        self._limits = {"too_large": config.collect.max_body_bytes}
        self._away = "the brokers have not answered yet"
        self.figures = Figures(self.moment)
        self._keys, self._keys_loaded = WriteKeys(), 0
        self._key_file = KeyFile(config.collect, self._replace_keys, _log_invalid)
        self._producer = KafkaRawProducer(config, clock)
        native = self._native = native_parts(config.engine.implementation)
        self.is_native = native.library is not None
        decoder = chosen_decoder(smaller_limits(config), config.identity, native)
        self.application = Application(config, self._producer, self._keys, clock, self.figures, decoder)

    @asynccontextmanager
    async def running(self, stop: asyncio.Event) -> AsyncIterator[None]:
        """Serve within the block. Raises Fatal at once where there are no usable keys.

        Where the topic does not fit, ``stop`` is set, and Fatal raised at the end. What was handed to Kafka
        within the block has ended when this returns.
        """
        self._key_file.load()
        try:
            async with in_background(
                stop,
                *(self._begin(), self._watch_kafka(), self._watch_native()),
                *(self._report_forever(), self._key_file.watch()),
            ):
                yield
        finally:
            self.report()
            await self._producer.close(_CLOSE_S)

    def moment(self) -> Moment:
        """What is true now."""
        partitions, load = self._producer.partitions() or 0, self._load()
        return Moment(
            ready=self.application.ready(),
            # The server counts bodies as they came, also half-read ones; the application, inflated ones.
            pending_bytes=max(load.pending_bytes, self.application.pending_bytes),
            connections=load.connections,
            stalled_partitions=sum(map(self._producer.is_stalled, range(partitions))),
            keys_loaded=self._keys_loaded,
            native_failures=self._native.failures,
        )

    async def first_ready(self, stop: asyncio.Event) -> None:
        """Wait until requests can be stored, or ``stop`` is set; at most as long as brokers need."""
        deadline = self._clock.monotonic() + _FIRST_READY_S
        while not (self.application.ready() or stop.is_set()):
            if self._clock.monotonic() > deadline:
                return
            await asyncio.sleep(_POLL_S)

    def reread_keys(self) -> None:
        """Read the file of keys at once, and log what was found."""
        self._key_file.reread()

    def refusal(self, status: int, reason: str) -> tuple[list[Header], bytes]:
        """The answer to what the server refuses by itself, which is counted."""
        self.figures.refused_by_server(status)
        return protocol_refusal(status, reason, self._limits)

    def on_failure(self, error: BaseException) -> None:
        """Log where the code failed outside of the application's own care."""
        self.figures.failed(trace_of(error))

    def _replace_keys(self, keys: Sequence[WriteKey]) -> None:
        self._keys.replace(keys)
        self._keys_loaded = sum(not key.disabled for key in keys)
        telemetry.emit(
            telemetry.CollectKeysLoaded(enabled=self._keys_loaded, disabled=len(keys) - self._keys_loaded)
        )

    async def _begin(self) -> None:
        """Check the topic as soon as brokers answer, and only then let records be written."""
        while True:
            try:
                await self._check_topic()
            except LoginRefused as refused:  # it was logged; the login counts its attempts
                self._away = str(refused)
            except BrokersAway as away:
                self._away = str(away)
            else:
                break
            await asyncio.sleep(_ASK_AGAIN_S)
        await self._producer.start()

    async def _check_topic(self) -> None:
        """Raises Fatal where what is answered 200 could not be kept; logs all else."""
        if not self._checks_topic:
            return
        problems = await kafka_topics.check_collect(self._config)
        if fatal := [str(problem) for problem in problems if problem.fatal]:
            raise Fatal("; ".join(fatal))
        for problem in problems:
            telemetry.emit(telemetry.TopicWarning(problem=str(problem)))

    async def _watch_kafka(self) -> None:
        """Log when brokers go away and come back. Until cancelled."""
        watch = KafkaWatch(self._clock.monotonic())
        while True:
            reason = self._producer.problem() if self._producer.partitions() else None
            watch.look(self._clock.monotonic(), self._stores(), reason or self._away)
            await asyncio.sleep(_LOOK_S)

    async def _watch_native(self) -> None:
        """Raise Fatal where the native library must be used, and has failed. Until cancelled."""
        while True:
            self._native.check()
            await asyncio.sleep(_LOOK_S)

    def _stores(self) -> bool:
        """Whether at least one partition takes records."""
        return not all(map(self._producer.is_stalled, range(self._producer.partitions() or 0)))

    async def _report_forever(self) -> None:
        while True:
            await asyncio.sleep(self._config.log.stats_interval_s)
            self.report()

    def report(self) -> None:
        """Log what happened since the last time."""
        counted, moment = self.figures.interval(), self.moment()
        telemetry.emit(
            telemetry.CollectStatus(
                requests=sum(counted.answers.values()),
                answers=counted.answers,
                events_accepted=counted.events_accepted,
                events_refused=counted.events_refused,
                ack_p50_ms=_ms(counted.ack_p50_s),
                ack_p99_ms=_ms(counted.ack_p99_s),
                pending_bytes=moment.pending_bytes,
                connections=moment.connections,
                stalled_partitions=moment.stalled_partitions,
                ready=moment.ready,
                memory_mb=round(resident_mb(), 1),
                uptime_s=self.uptime_s,
            )
        )
        if counted.refused:
            telemetry.emit(telemetry.CollectRefused(by_key_name=counted.refused))

    @property
    def uptime_s(self) -> float:
        """Seconds since it was made."""
        return round(self._clock.monotonic() - self._started_s, 1)


def _log_invalid(reason: str) -> None:
    telemetry.emit(telemetry.CollectKeysInvalid(reason=reason))


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
