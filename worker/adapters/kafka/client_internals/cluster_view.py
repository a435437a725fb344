"""What a producer knows of the cluster: topics, partitions and their leaders.

Decides nothing: when to ask again, and what a missing leader means, is its caller's. Knows nothing of
batches. Invariant: asking never creates a topic: one is named in a request only after it was seen in a list
of all.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition


class ClusterView:
    """The cluster as the client of a started producer sees it.

    The public ``partitions_for`` names the topic at once, and waits; nothing public names a leader, or
    reports that no broker answers. Held by test_raw_producer.py and test_raw_producer_outages.py.
    """

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._client = producer.client
        self._topic = topic

    def watch(self, updated: Callable[[bool], None], every_s: float) -> None:
        """Call ``updated`` after each time the brokers were asked: whether one answered.

        Keeps the client from asking again within ``every_s``: without a leader it asks without a pause.
        """
        client, update = self._client, self._client._metadata_update
        not_before = 0.0

        async def spaced_update(cluster: Any, topics: Any) -> bool:
            nonlocal not_before
            loop = asyncio.get_running_loop()
            if (wait_s := not_before - loop.time()) > 0:
                await asyncio.sleep(wait_s)
            not_before = loop.time() + every_s
            answered = bool(await update(cluster, topics))
            if cluster is client.cluster:
                updated(answered)
            return answered

        client._metadata_update = spaced_update

    async def find_topic(self) -> bool:
        """Whether the topic is there and may be seen; if so, the client keeps itself informed of it.

        Raises the client's errors.
        """
        everything = await self._client.fetch_all_metadata()
        if not everything.partitions_for_topic(self._topic):
            return False
        await self._client.set_topics([self._topic])
        return self.partitions() > 0

    def ask_again(self) -> None:
        """Ask the brokers in the background."""
        self._client.force_metadata_update()

    def partitions(self) -> int:
        """How many partitions the topic has; 0 where the last answer does not name it."""
        return len(self._client.cluster.partitions_for_topic(self._topic) or ())

    def is_hidden(self) -> bool:
        """Whether the brokers refuse to show the topic."""
        return self._topic in self._client.cluster.unauthorized_topics

    def leader(self, partition: int) -> int | None:
        """The partition's leader; None where there is none, or it is not known."""
        node = self._client.cluster.leader_for_partition(TopicPartition(self._topic, partition))
        return None if node in (None, -1) else int(node)

    async def reaches(self, node: int) -> bool:
        """Whether there is a connection to that broker; makes one, which takes up to a request's time."""
        return bool(await self._client.ready(node))
