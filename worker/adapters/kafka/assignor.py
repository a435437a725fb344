"""The group's assignor: what each member sends when it joins, and what the leader answers.

Carries claims in the group's protocol; who gets which partition is decided in ``core.assignment``. Task p is
partition p of every input topic that has it: all of them go to one member. Invariant: no method raises,
whatever others send, for that would end the client's coordination; what cannot be read is no claim.

The client gives an assignor neither the broker's generation nor the static ids of members. So the leader
counts generations of its own, one more than any member knows, and sends the number with its answer. Static
members keep their order all the same: brokers begin a member id with the static id.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Annotated, Any, TypeVar

from msgspec import Meta, MsgspecError, Struct, msgpack

from worker import telemetry
from worker.adapters.kafka.client_internals.consumer import (
    AbstractPartitionAssignor,
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)
from worker.core.assignment import Claim, Member, assign

_VERSION = 1
_PROTOCOL_VERSION = 0
_MOST_FORMER = 400
"""The most partitions that a member names beyond those it owns: 3 to 5 KB, the newest state first.

The brokers keep what all members sent in one record of at most 1 MB; a group whose record is larger never
forms. With this bound 200 members fit, also where each of them has once had so many partitions.
"""

_Count = Annotated[int, Meta(ge=0)]


class _Answer(Struct, frozen=True, array_like=True):
    """What the leader sends to every member with its partitions: MessagePack, the version first."""

    version: int
    generation: _Count


class _JoinData(_Answer, frozen=True, array_like=True):
    """What a member sends when it joins: MessagePack.

    ``owned``: the partitions it runs, by the assignment ``generation``. ``held``: partition -> the changelog
    offset that its state on disk has reached.
    """

    owned: tuple[_Count, ...]
    held: dict[_Count, _Count]


_Known = TypeVar("_Known", bound=_Answer)
_join_data_decoder = msgpack.Decoder(_JoinData)
_answer_decoder = msgpack.Decoder(_Answer)


class StickyAssignor(AbstractPartitionAssignor):  # type: ignore[misc]  # the client is untyped
    """The assignor of one consumer: give the instance alone to ``partition_assignment_strategy``.

    (The client joins the group once for every strategy that it is given.)
    """

    name = "sessionizer-sticky"

    def __init__(
        self, *, held: Callable[[], Mapping[int, int]], owned: Callable[[], Collection[int]]
    ) -> None:
        """Both are asked at every join, within the event loop.

        ``held``: partition -> the changelog offset of the checkpoint of its state on this machine's disk,
        also of partitions that went elsewhere. ``owned``: the partitions that have a task here now, also
        where it still restores.
        """
        self._held = held
        self._owned = owned
        self._generation = 0
        self._assigned: frozenset[int] = frozenset()

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """What this member sends when it joins."""
        try:
            user_data = msgpack.encode(self._claims())
        except Exception as error:  # noqa: BLE001 - without claims it can join, with an exception it cannot
            _log_ignored("this worker could not say what it holds", error)
            user_data = b""
        return ConsumerProtocolMemberMetadata(_PROTOCOL_VERSION, sorted(topics), user_data)

    def assign(
        self, cluster: Any, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """The assignment of the whole group, made by the member that leads it.

        ``cluster`` knows the topics' partitions. A topic that it does not know is left out: the client
        rebalances when it appears.
        """
        generation = self._generation
        claims: dict[str, Member] = {}
        for member, metadata in members.items():
            sent = _read(_join_data_decoder, metadata.user_data)
            if sent is not None:
                generation = max(generation, sent.generation)
                claims[member] = _member(sent)
        answer = msgpack.encode(_Answer(_VERSION, generation + 1))
        try:
            return _assignments(cluster, members, claims, answer)
        except Exception as error:  # noqa: BLE001 - any assignment is better than none, for ever
            _log_ignored("the group's partitions are assigned again, without regard to who has them", error)
            return _assignments(cluster, members, {}, answer)

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Remember what became ours, and by which generation."""
        answered = _read(_answer_decoder, assignment.user_data)
        self._generation = 0 if answered is None else answered.generation
        self._assigned = frozenset(p for _, partitions in assignment.assignment for p in partitions)

    def _claims(self) -> _JoinData:
        owned = self._assigned.intersection(self._owned())  # a task given away may take a while to end
        held = {partition: offset for partition, offset in self._held().items() if offset > 0}
        former = sorted(held.keys() - owned, key=lambda partition: (-held[partition], partition))
        sent = [*sorted(owned & held.keys()), *former[:_MOST_FORMER]]
        return _JoinData(_VERSION, self._generation, tuple(sorted(owned)), {p: held[p] for p in sent})


def _assignments(
    cluster: Any,
    members: Mapping[str, ConsumerProtocolMemberMetadata],
    claims: Mapping[str, Member],
    answer: bytes,
) -> dict[str, ConsumerProtocolMemberAssignment]:
    """Every member's partitions of the topics that it reads."""
    assigned = {}
    for topics, ids in _deployments(members):
        counts = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}
        tasks = max(counts.values(), default=0)
        shares = assign(tasks, {member: claims.get(member, Member()) for member in ids})
        for member, own in shares.items():
            of_topics = [
                (topic, [partition for partition in own if partition < counts[topic]])
                for topic in sorted(set(members[member].subscription))
            ]
            assigned[member] = ConsumerProtocolMemberAssignment(_PROTOCOL_VERSION, of_topics, answer)
    return assigned


def _deployments(
    members: Mapping[str, ConsumerProtocolMemberMetadata],
) -> Iterator[tuple[frozenset[str], list[str]]]:
    """Groups of members that share tasks: those with a topic in common.

    So a task has one owner also where not all its members read all its topics yet; partitions of a topic that
    the task's owner does not read wait until it does. Members that have nothing in common (another deployment
    got into the group by mistake) take nothing from each other.
    """
    found: list[tuple[frozenset[str], list[str]]] = []
    for member, metadata in members.items():
        topics, ids = frozenset(metadata.subscription), [member]
        apart = []
        for other in found:
            if topics.isdisjoint(other[0]):
                apart.append(other)
            else:
                topics, ids = topics | other[0], ids + other[1]
        found = [*apart, (topics, ids)]
    return iter(found)


def _member(sent: _JoinData) -> Member:
    owned = frozenset(sent.owned)
    return Member(
        {
            partition: Claim(
                offset=sent.held.get(partition, 0),
                generation=sent.generation if partition in owned else None,
            )
            for partition in owned.union(sent.held)
        }
    )


def _read(decoder: msgpack.Decoder[_Known], user_data: bytes | None) -> _Known | None:
    """The decoded user data; None where there is none, or it cannot be read."""
    if not user_data:
        return None
    try:
        known = decoder.decode(user_data)
        if known.version != _VERSION:
            raise ValueError(f"it is of version {known.version}, this worker's is {_VERSION}")
    except (MsgspecError, ValueError, RecursionError) as error:
        _log_ignored("what another worker says it holds cannot be read", error)
        return None
    return known


def _log_ignored(problem: str, error: Exception) -> None:
    telemetry.emit(telemetry.AssignmentNotSticky(problem=problem, reason=f"{type(error).__name__}: {error}"))
