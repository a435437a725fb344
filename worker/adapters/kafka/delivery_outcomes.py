"""What a broker's error says of a batch that was sent: is it stored, and would it be accepted later?

Decides which answers exclude that the batch is stored, and which of those hold for good. Pure; knows codes of
Kafka's protocol and nothing of clients. Invariant: an error that is not in a table leaves it open whether the
batch is stored.
"""

from worker.ports import Delivery

MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE = 10, 18

TOO_LARGE: frozenset[int] = frozenset({MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE})
"""The size is refused: the same bytes are refused again."""

_CHECKED_BEFORE_STORED: frozenset[int] = TOO_LARGE | {
    2,  # CorruptMessage
    17,  # InvalidTopic
    19,  # NotEnoughReplicas: counted before the append; 20 is counted after it
    29,  # TopicAuthorizationFailed
    31,  # ClusterAuthorizationFailed
    32,  # InvalidTimestamp
    35,  # UnsupportedVersion
    42,  # InvalidRequest
    43,  # UnsupportedForMessageFormat
    44,  # PolicyViolation
    45,  # OutOfOrderSequence
    47,  # InvalidProducerEpoch
    54,  # SecurityDisabled
    59,  # UnknownProducerId
    76,  # UnsupportedCompressionType
    87,  # InvalidRecord
}
"""Errors that a broker finds before it appends.

``NotLeader`` and ``UnknownTopicOrPartition`` are not among them: they are answered too where the leader moved
while the batch, appended, waited for the other replicas.
"""


def excludes_storage(code: int) -> bool:
    """Whether an attempt that was answered with this error code is certainly not stored."""
    return code in _CHECKED_BEFORE_STORED


def outcome(code: int, records: int, *, in_doubt: bool) -> Delivery:
    """What became of each record of a batch that the client gave up with this error code.

    ``in_doubt``: whether some attempt may have been stored. A size is refused for good only where the batch
    is one record: of several, nobody knows which is too large, or whether each would fit by itself.
    """
    if in_doubt:
        return "unknown"
    return "rejected" if code in TOO_LARGE and records == 1 else "not_sent"
