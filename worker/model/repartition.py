"""The records of the repartition topic, as they are sent and as they arrive.

They take events to the partition of their device. A repartitioned record's value is raw again: the original
bytes of one or more events. Where they come from travels in its headers, in words, so that any tool can read
it.
"""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from worker.model.events import InputRecord, PlainRecord

Headers = Sequence[tuple[str, bytes]]


class RepartitionedRecord(Struct, frozen=True):
    """What is sent to the repartition topic: ``value`` is a raw value, for the devices of ``partition``.

    ``events`` is how many are in it.
    """

    partition: int
    key: bytes
    value: bytes
    headers: Headers
    events: int


class RecordWithHeaders(InputRecord, Protocol):
    """A record of the repartition topic, as the consumer gives it."""

    @property
    def headers(self) -> Headers: ...


class ArrivedRecord(PlainRecord, frozen=True):
    """A record that came through the repartition topic: place and time are those of the raw record.

    ``indexes`` are the places of its events in the raw record's batch; None where it is that whole value.
    """

    indexes: Sequence[int] | None = None
