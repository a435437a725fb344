"""This process's membership in the consumer group, and which of its errors are fatal.

Decides which errors no waiting ends: a right that is missing, an option that the brokers refuse, another
process under the same static name. Knows nothing of partitions and records. Invariant: as long as
``raise_errors`` is called again and again, no error of the coordination stays unreported; until one is, the
client neither joins nor fetches.
"""

from collections import deque

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    KafkaError,
    TopicAuthorizationFailedError,
    UnknownError,
)
from msgspec import Struct

from worker.adapters.kafka.answers import Grants, read_failure
from worker.adapters.kafka.client_internals.consumer import Coordination
from worker.errors import Fatal
from worker.ports import Clock

_DISPLACED_TIMES = 3
_DISPLACED_WITHIN_S = 30.0

_REMEDIES = {
    InvalidGroupIdError: "choose another kafka.group_id",
    InvalidSessionTimeoutError: (
        "kafka.session_timeout_ms must be within the brokers' group.min.session.timeout.ms and "
        "group.max.session.timeout.ms"
    ),
    InconsistentGroupProtocolError: (
        "another program is in this group: give this deployment its own kafka.group_id; or workers of a "
        "release that shared partitions in another way: stop those first"
    ),
}


class GroupMember(Struct, frozen=True, kw_only=True):
    """Who this process is in which group. ``group_instance_id`` is its static name; None = it has none."""

    group_id: str
    group_instance_id: str | None
    session_timeout_ms: int
    heartbeat_interval_ms: int


class Membership:
    """The membership of one consumer."""

    def __init__(self, consumer: AIOKafkaConsumer, member: GroupMember, clock: Clock, grants: Grants) -> None:
        self._coordination = Coordination(consumer)
        self._group_id = member.group_id
        self._group_instance_id = member.group_instance_id
        self._clock = clock
        self._grants = grants
        self._member_id: str | None = None
        self._displaced_at: deque[float] = deque(maxlen=_DISPLACED_TIMES)

    def on_assigned(self) -> None:
        """Note under which member id the assignment came: a new one means that the group had evicted us."""
        member_id = self._coordination.member_id
        if self._member_id not in (None, member_id):
            self._displaced_at.append(self._clock.monotonic())
        self._member_id = member_id

    def raise_errors(self) -> None:
        """Raise what has failed in the coordination since the last call: a KafkaError, or Fatal."""
        self._reject_displacement()  # first: a member that cannot join fails with an error every time
        self._coordination.check_errors()

    def _reject_displacement(self) -> None:
        if self._group_instance_id is not None and self._is_displaced_again_and_again():
            raise Fatal(
                f"thrown out of group {self._group_id} {_DISPLACED_TIMES} times within "
                f"{_DISPLACED_WITHIN_S:.0f} s: another worker seems to use the same "
                f'kafka.group_instance_id "{self._group_instance_id}", or a copy of this state directory: '
                "give each its own; or the group's coordinator has just moved between failing brokers: then "
                "a restart is all it needs"
            )

    def raise_if_fatal(self, error: KafkaError) -> None:
        """Raise Fatal, with the remedy, for an error that no retry fixes."""
        if isinstance(error, GroupAuthorizationFailedError | TopicAuthorizationFailedError):
            named = error.args[0] if error.args else ""
            topics = ", ".join(sorted(named)) if isinstance(named, set | frozenset) else str(named)
            raise Fatal(str(read_failure(f"group {self._group_id}", error, topics, self._grants))) from error
        for kind, remedy in _REMEDIES.items():
            if isinstance(error, kind):
                raise Fatal(f"the brokers refuse group {self._group_id}: {error}: {remedy}") from error
        if self._coordination.has_ended:
            raise Fatal(f"the client's coordination of group {self._group_id} ended: {error}") from error
        if UnknownError.__name__ in str(error):  # so the client calls FENCED_INSTANCE_ID (aiokafka #1186)
            self._displaced_at.append(self._clock.monotonic())

    def _is_displaced_again_and_again(self) -> bool:
        times = self._displaced_at
        return len(times) == _DISPLACED_TIMES and times[-1] - times[0] < _DISPLACED_WITHIN_S
