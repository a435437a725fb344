"""What a request brings is validated, cut into records, sent, and answered.

Decides whether all of it can be stored now, and what the deliveries mean. Must not know how a request came,
nor Kafka's client. Invariants: nothing is handed to the producer before every element was validated and every
partition was found able to take its records; the answer is 200 only after all accepted events are stored.
"""

import zlib
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct, structs

from worker.collect import answers
from worker.collect.answers import Answer, RefusedElement, RequestRefused
from worker.collect.batches import BatchDecoder, DeviceEvents, forwarded, refuse_too_long, split
from worker.collect.deliveries import answer_to, too_large_count
from worker.collect.observer import Observer
from worker.collect.rate_limits import RateLimits
from worker.collect.write_keys import WriteKey
from worker.config.options import Config
from worker.core.decode import Decoder
from worker.core.partitioner import Partitioning, PartitionOf
from worker.model.events import DecodedValue, Reason
from worker.model.rules import InputRules
from worker.ports import Clock, Delivery, RawProducer, RawRecord

_IN_TURNS_FROM_BYTES = 256 * 1024
"""A smaller value takes 15 ms, whatever is in it. 500 usual events take 1, and in turns twice that."""


class Submission(Struct, gc=False):
    """What is to be stored: an array of events or one event, as it was sent, and what its records say of it.

    ``now_s`` is the monotonic time of receipt. ``sent_at`` is the sender's clock as text; empty where it sent
    none. ``context`` is a JSON object that each event gets; empty for none.
    """

    value: bytes
    key: WriteKey
    request_id: bytes
    received_at_ms: int
    now_s: float
    sent_at: bytes = b""
    context: bytes = b""


def smaller_limits(config: Config) -> InputRules:
    """The limits of the worker's input, and those of the API where they are smaller."""
    return structs.replace(
        config.input,
        max_events=min(config.collect.max_events, config.input.max_events),
        max_value_bytes=min(config.collect.max_body_bytes, config.input.max_value_bytes),
    )


class EventStorage:
    """Stores submissions, all of each or none, as far as brokers allow."""

    def __init__(
        self,
        config: Config,
        producer: RawProducer,
        rates: RateLimits,
        clock: Clock,
        observer: Observer,
        decoder: BatchDecoder | None = None,
    ) -> None:
        """``decoder`` is one for ``smaller_limits``; the readable one where none is given."""
        self._limits = smaller_limits(config)
        self._rates = rates
        self._decoder = decoder or Decoder(self._limits, config.identity)
        self._forwards_refused = config.collect.refused == "forward"
        self._producer = producer
        self._clock = clock
        self._observer = observer
        self._partitioner = config.input.partitioner
        self._partitions = 0
        self._partition_of: PartitionOf = lambda _: 0

    async def store(self, submission: Submission) -> Answer:
        """The answer, after the brokers' acknowledgement of all that can be stored. Raises RequestRefused."""
        if len(submission.value) < _IN_TURNS_FROM_BYTES:
            decoded = self._decoder.decode(submission.value)
            self._count(submission, len(decoded.events) + len(decoded.rejections))
        else:
            decoded = await self._decoded_in_turns(submission)
        if context := submission.context:
            most_bytes = self._limits.max_object_bytes
            decoded = refuse_too_long(submission.value, decoded, self._decoder, context, most_bytes)
        refused = self._refused(decoded) if decoded.rejections else ()
        records = self._records(submission, decoded)
        deliveries: Sequence[Delivery] = ()
        if records:
            raw_records = self._raw_records(submission, records)
            started_s = self._clock.monotonic()
            deliveries = await self._producer.send(raw_records)
            self._observer.acknowledged(self._clock.monotonic() - started_s)
        most_bytes = self._limits.max_value_bytes
        answer = answer_to(records, deliveries, refused, submission.received_at_ms, most_bytes)
        if answer.status < 500:
            self._report(decoded, too_large_count(records, deliveries), submission.key.name)
        return answer

    async def _decoded_in_turns(self, submission: Submission) -> DecodedValue:
        """Others are answered in between: a hostile megabyte takes 50 ms.

        Its elements are counted before the first of them: of several large bodies at a time, each would be
        within the key's rate otherwise.
        """
        steps = self._decoder.decode_in_steps(submission.value)
        counted = 0
        while True:
            try:
                elements = next(steps)
            except StopIteration as end:
                decoded: DecodedValue = end.value
                self._count(submission, len(decoded.events) + len(decoded.rejections) - counted)
                return decoded
            self._count(submission, elements - counted)
            counted = elements
            await self._clock.sleep(0)

    def _count(self, submission: Submission, elements: int) -> None:
        self._rates.count_events(submission.key, elements, submission.now_s)

    def _records(self, submission: Submission, decoded: DecodedValue) -> list[DeviceEvents]:
        value, decoder = submission.value, self._decoder
        records: list[DeviceEvents] = []
        if decoded.events:
            records = split(value, decoded, decoder, submission.context, self._limits.max_value_bytes)
        if decoded.rejections and self._forwards_refused:
            records += forwarded(value, decoded, decoder)
        return records

    def _refused(self, decoded: DecodedValue) -> Sequence[RefusedElement]:
        """What the decoder refused, as the sender gets it. Raises RequestRefused for what is over a limit."""
        match decoded.rejections[0].reason:
            case "too_many_events":
                raise RequestRefused(answers.over_limit(413, "too_many_events", self._limits.max_events))
            case "too_large":
                raise RequestRefused(answers.over_limit(413, "too_large", self._limits.max_value_bytes))
        return [RefusedElement(each.index, each.reason, each.detail) for each in decoded.rejections]

    def _raw_records(self, submission: Submission, records: Sequence[DeviceEvents]) -> list[RawRecord]:
        """The records for the topic. Raises RequestRefused where one of them could not be written now."""
        partitions = self._producer.partitions()
        if partitions is None:
            raise RequestRefused(answers.unavailable("unavailable"))
        if partitions != self._partitions:  # at the first request, and when the topic has grown
            self._partitions = partitions
            partitioning = Partitioning(partitions=partitions, partitioner=self._partitioner)
            self._partition_of = partitioning.cached()
        headers = [
            ("collect-request", submission.request_id),
            ("collect-key", submission.key.name.encode()),
        ]
        if submission.sent_at:
            headers.append(("collect-sent-at", submission.sent_at))
        time_ms = submission.received_at_ms
        raw_records = []
        for record in records:
            if (device_id := record.device_id) is not None:
                partition, key = self._partition_of(device_id), device_id.encode()
            else:  # refused bytes belong to no device
                partition, key = zlib.crc32(record.value) % partitions, None
            if self._producer.is_stalled(partition):
                raise RequestRefused(answers.unavailable("unavailable"))
            raw_records.append(RawRecord(partition, key, record.value, time_ms, headers))
        return raw_records

    def _report(self, decoded: DecodedValue, too_large: int, key_name: str) -> None:
        if accepted := len(decoded.events) - too_large:
            self._observer.events("accepted", None, accepted, key_name)
        if decoded.rejections or too_large:
            counts: Counter[Reason] = Counter([each.reason for each in decoded.rejections])
            counts["too_large"] += too_large
            for reason, count in (+counts).items():
                self._observer.events("refused", reason, count, key_name)
