"""Which connection sends the batches of which partition: made, attached, replaced and closed here.

Decides when another producer is made and from when on a partition uses it. Knows nothing of batches, but that
a connection that holds one stays open. Invariants: at most one connection is made at a time; a partition is
attached only once its leader answered on that connection; partitions keep theirs until then, unless it
failed for them.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from worker.adapters.kafka.raw_connection import ConnectionOptions, RawConnection
from worker.adapters.kafka.raw_partition import RawPartition
from worker.adapters.kafka.raw_problems import RawProblems

_TRY_AGAIN_S = 0.5
_PAUSES_S = (0.0, 0.1, 0.5, 1.0, 2.0)
"""Before a new producer is made, by how many were made since the last acknowledgement."""


class RawConnections:
    """The connections of one process to the raw topic, and its partitions by number."""

    def __init__(
        self, options: ConnectionOptions, problems: RawProblems, ready: Callable[[RawPartition], None]
    ) -> None:
        """``ready`` is called when a partition that could not send can."""
        self._options = options
        self._problems = problems
        self._ready = ready
        self._former: set[RawConnection] = set()
        self._made = 0
        self._wanted = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._reaching: set[tuple[RawConnection, int]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._newest: RawConnection | None = None
        self.current: RawConnection | None = None
        self.partitions: dict[int, RawPartition] = {}
        self.count = 0
        """Partitions of the topic as last reported; of a topic that is gone the former number."""

    def start(self) -> None:
        """Begin to connect; it is tried until ``close``."""
        self._wanted.set()
        self._run(self._keep_connected())

    def replace(self, failed: RawConnection, partition: RawPartition) -> None:
        """Send nothing more for the partition through ``failed``; make another one for it."""
        if partition.connection is failed:
            partition.detach()
        if self.current is failed:
            self.current = None
            self._former.add(failed)
        self._wanted.set()

    def create_batch(self) -> Any:
        """An empty batch; there is a partition, so there was a connection. Any connection may send it."""
        assert self._newest is not None
        return self._newest.create_batch()

    def acknowledged(self) -> None:
        """A batch was stored: the next replacement need not wait."""
        self._made = 0

    def close_unused(self) -> None:
        """Close the former connections that hold nothing and that no partition uses."""
        used = {partition.connection for partition in self.partitions.values()}
        for connection in [*self._former]:
            if connection.is_idle and connection not in used:
                self._former.discard(connection)
                self._run(connection.close())

    async def close(self) -> None:
        """Close all of them, within a few seconds."""
        if self._retry is not None:
            self._retry.cancel()
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        connections = [*self._former, *([self.current] if self.current else [])]
        self._former.clear()
        self.current = None
        await asyncio.gather(*tasks, *(each.close() for each in connections), return_exceptions=True)

    def _run(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep_connected(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            if self.current is None:
                await self._connect()
            self._attach_all()
            self.close_unused()

    async def _connect(self) -> None:
        await asyncio.sleep(_PAUSES_S[min(self._made, len(_PAUSES_S) - 1)])
        self._made += 1
        connection: RawConnection | None = None
        try:
            connection = RawConnection(self._options, self._asked)
            await connection.open()
        except BaseException as error:
            if connection is not None:
                await connection.close()
            if not isinstance(error, Exception):
                raise
            # Whatever keeps it from the brokers, it tries again.
            self._problems.not_connected(error)
            self._wanted.set()
            return
        self._problems.connected()
        self.current = self._newest = connection
        self._asked(connection)

    def _asked(self, connection: RawConnection) -> None:
        """The brokers were asked about the topic: partitions may have been added, leaders may be others."""
        if connection is not self.current:
            return
        self.count = connection.cluster.partitions() or self.count
        for number in range(self.count):
            if number not in self.partitions:
                self.partitions[number] = RawPartition(number)
        for partition in self.partitions.values():
            leader = connection.cluster.leader(partition.number)
            partition.has_leader = leader is not None and not connection.is_away
            partition.refresh()
            if partition.can_send:
                self._ready(partition)
        self._attach_all()

    def _attach_all(self) -> None:
        """Attach the partitions that the current connection does not serve yet."""
        connection = self.current
        if connection is None:
            return
        lacking = {
            connection.cluster.leader(partition.number)
            for partition in self.partitions.values()
            if partition.connection is not connection
        }
        for leader in lacking - {None}:
            assert leader is not None
            if (connection, leader) not in self._reaching:
                self._reaching.add((connection, leader))
                self._run(self._attach(connection, leader))

    async def _attach(self, connection: RawConnection, leader: int) -> None:
        """Attach the partitions of that leader, once it answers."""
        try:
            reached = await connection.cluster.reaches(leader)
        except Exception:  # noqa: BLE001 - the same
            reached = False
        finally:
            self._reaching.discard((connection, leader))
        if connection is not self.current:
            return
        if not reached:
            self._retry = asyncio.get_running_loop().call_later(_TRY_AGAIN_S, self._wanted.set)
            return
        for partition in self.partitions.values():
            is_led = connection.cluster.leader(partition.number) == leader
            if is_led and partition.connection is not connection:
                partition.attach(connection)
                if partition.can_send:
                    self._ready(partition)
        self.close_unused()
