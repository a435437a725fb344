"""A Kafka broker inside this process, for the demo: the mock cluster in confluent-kafka's librdkafka.

Decides nothing: it starts, names its address and makes topics. It serves groups, transactions and
idempotent producers, but (measured 2026-11 with confluent-kafka 2.16.1 and aiokafka 0.14.0) it loses
everything at the end, drops offsets committed inside transactions, shows aborted and open transactions to
every reader, fences nobody, and writes commit markers with a checksum of 0, so that readers of what was
written in transactions must not check checksums. Hence the limit to keep: good for a show with one worker
that ends well, never for a test of recovery.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import confluent_kafka

_ANSWER_WITHIN_S = 10.0


class EmbeddedBroker:
    """A running mock cluster of one node, at ``bootstrap_servers``."""

    def __init__(self) -> None:
        self._client = confluent_kafka.Producer({"test.mock.num.brokers": 1, "log_level": 0})
        brokers = self._client.list_topics(timeout=_ANSWER_WITHIN_S).brokers.values()
        self.bootstrap_servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)

    def create_topics(self, names: Iterable[str]) -> None:
        """Make the topics, of 4 partitions each: the cluster makes any topic that is asked about."""
        for name in names:
            self._client.list_topics(name, timeout=_ANSWER_WITHIN_S)

    def stop(self) -> None:
        """End the cluster, which lives as long as the client that brought it up."""
        del self._client


@contextmanager
def embedded_broker() -> Iterator[EmbeddedBroker]:
    """Run a broker for the length of the block, on a free port of the loopback interface."""
    broker = EmbeddedBroker()
    try:
        yield broker
    finally:
        broker.stop()
