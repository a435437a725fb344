"""Why records are not stored, in one line that names the remedy.

Decides which of several causes is named: the first of the chain, as a refused login before the missing
connection. Knows answers of brokers and the state of connections; changes nothing. Invariant: a line holds no
secret and no data.
"""

from collections.abc import Collection

from aiokafka.errors import ClusterAuthorizationFailedError, for_code

from worker.adapters.kafka.answers import UNKNOWN_TOPIC, BrokerError, Grants
from worker.adapters.kafka.client_internals.protocol import PRODUCE
from worker.adapters.kafka.raw_connection import RawConnection, TopicNotFound
from worker.adapters.kafka.raw_partition import RawPartition
from worker.adapters.kafka.rights import CLUSTER
from worker.adapters.kafka.security import login_of
from worker.config import Config

_MOST_NAMED = 8


class RawProblems:
    """Remembers what was refused, and says what is wrong now."""

    def __init__(self, config: Config) -> None:
        self._kafka = config.kafka
        self._topic = config.topics.raw
        self._grants = Grants.of(config.kafka)
        self._refusal: str | None = None  # stands until something is stored again
        self._no_connection: str | None = None
        self._after = ""  # which error made another producer necessary

    def not_connected(self, error: Exception) -> None:
        """A producer could not be made."""
        self._no_connection = self._text_of(error)

    def connected(self) -> None:
        """A producer was made, and the topic was found."""
        self._no_connection = None

    def failed(self, error: BaseException) -> None:
        """A batch was given up with this error, which is not about its size."""
        self._after = f", after {type(error).__name__}"
        if BrokerError(PRODUCE, getattr(error, "errno", 0), self._topic).refused:
            self._refusal = self._text_of(error)

    def stored(self) -> None:
        """A batch was acknowledged."""
        self._refusal = None

    def text(self, connection: RawConnection | None, partitions: Collection[RawPartition]) -> str | None:
        """The first cause; None where nothing is wrong. ``connection``: the one in use."""
        if self._refusal is not None:
            return self._refusal
        if connection is None and self._no_connection is not None:
            return self._no_connection
        if connection is not None and connection.is_away:
            return self._away("no answer")
        if connection is not None and not connection.cluster.partitions():
            return self._no_topic(is_hidden=connection.cluster.is_hidden())
        leaderless = [partition.number for partition in partitions if not partition.has_leader]
        if leaderless:
            return f"{_named(leaderless)} of {self._topic}: no leader: a broker with a copy must come back"
        late = [partition for partition in partitions if partition.is_late]
        if late:
            return self._of_late(late)
        unserved = [partition.number for partition in partitions if partition.connection is None]
        if unserved:
            return f"{_named(unserved)} of {self._topic}: their leader does not answer yet{self._after}"
        return None

    def _of_late(self, late: Collection[RawPartition]) -> str:
        which = _named([partition.number for partition in late])
        errors = {batch.last_error for each in late if (batch := each.in_flight) is not None} - {0}
        answers = ", ".join(sorted(for_code(code).__name__ for code in errors))
        answered = f"answered was {answers}" if answers else "no answer"
        return f"{which} of {self._topic}: acknowledgements take longer than collect.stall_ms: {answered}"

    def _no_topic(self, *, is_hidden: bool) -> str:
        if is_hidden:
            return f"{self._topic} may not be seen: {self._grants.needed('Describe', 'topic', self._topic)}"
        return (
            f"{self._topic} does not exist, or may not be seen. Remedy: sessionizer topics create, or "
            f"{self._grants.needed('Describe', 'topic', self._topic)}"
        )

    def _text_of(self, error: BaseException) -> str:
        if isinstance(error, TopicNotFound):
            return self._no_topic(is_hidden=False)
        if isinstance(error, ClusterAuthorizationFailedError):
            return self._grants.needed("IdempotentWrite", "cluster", CLUSTER)
        answer = BrokerError(PRODUCE, getattr(error, "errno", 0), self._topic)
        if answer.refused or answer.code == UNKNOWN_TOPIC:
            return answer.text("", "", self._grants)
        return self._away(f"{type(error).__name__}: {error}".removesuffix(": "))

    def _away(self, reason: str) -> str:
        login = login_of(self._kafka)
        refused = None if login is None else login.newest_refusal()
        if refused is not None:
            return str(refused)
        return (
            f"no broker answers at {self._kafka.bootstrap_servers} as {self._kafka.security_protocol} "
            f"(kafka.bootstrap_servers, kafka.security_protocol): {reason}"
        )


def _named(numbers: Collection[int]) -> str:
    named = ", ".join(str(number) for number in sorted(numbers)[:_MOST_NAMED])
    more = f" and {len(numbers) - _MOST_NAMED} more" if len(numbers) > _MOST_NAMED else ""
    return f"partition{'s' if len(numbers) > 1 else ''} {named}{more}"
