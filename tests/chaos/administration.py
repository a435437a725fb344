"""What an administrator may do to the workers' user and topics: passwords, rights, quotas, deleted records.

Decides how each is changed while brokers come and go: a change is tried again until a broker has taken it.
Knows nothing of workers. Invariant: outside the contexts given here the user has every right that
docs/operations.md lists, the password that stands in its file, and no quota.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import TimeoutError as AdminTimeout
from pathlib import Path
from typing import cast

from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from testing.kafka import rights
from testing.kafka.quotas import Quota, set_quotas
from testing.kafka.rights import Right
from testing.kafka.scram import set_password
from tests.chaos.retention import Retention
from worker.adapters.kafka.rights import OPERATIONS
from worker.config import Config
from worker.model.topics import TOPICS, Role

USER = "chaos-worker"
_AGAIN_S = 1.0
_PATIENCE_S = 240.0
"""Longer than an outage of all brokers, and their start after it."""
_DELETED_WITHIN_S = 20.0
_FAILURES = (KafkaException, KafkaError, AdminTimeout, TimeoutError, OSError)

RIGHTS = (
    *(f"{operation} {role}" for role, spec in TOPICS.items() for operation in OPERATIONS[spec.kind]),
    "Write transactional ids",
    "Read group",
)
"""Those that may be taken away: what is done, and to the topic of which role or to what else."""


class Administration:
    """The workers' user and topics, by the way of who may do everything."""

    def __init__(self, config: Config, password_file: Path) -> None:
        """``config`` with the servers of that way."""
        self._servers = config.kafka.bootstrap_servers
        self._config = config
        self._file = password_file
        self._admin = AdminClient({"bootstrap.servers": self._servers, "log_level": 0})
        self.retention = Retention(config)

    @property
    def login(self) -> Mapping[str, str]:
        """How the workers log in: their variables, without their ``SESSIONIZER_``."""
        return {
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "KAFKA_SASL_USERNAME": USER,
            "KAFKA_SASL_PASSWORD_FILE": str(self._file),
        }

    async def make_user(self, needed: Iterable[Right] | None = None) -> None:
        """Before the first worker starts. ``needed``: the rights of another program than a worker."""
        password = secrets.token_urlsafe(24)
        self._write_password(password)
        await self._set_password(password)
        granted = rights.of_worker(self._config) if needed is None else list(needed)
        await self._insist(lambda: rights.grant(self._admin, USER, granted))

    @contextlib.asynccontextmanager
    async def without(self, name: str) -> AsyncIterator[None]:
        """One of ``RIGHTS`` is missing."""
        taken = self._right(name)

        def take() -> None:
            # Not granted: an earlier try was carried out, and its answer was lost.
            with contextlib.suppress(AssertionError):
                rights.take_away(self._admin, USER, [taken])

        await self._insist(take)
        yield
        await self._insist(lambda: rights.grant(self._admin, USER, [taken]))

    @contextlib.asynccontextmanager
    async def rotated(self, *, file_first: bool) -> AsyncIterator[None]:
        """The password becomes another one: inside, the file and the brokers differ."""
        password = secrets.token_urlsafe(24)
        if file_first:
            self._write_password(password)
            yield
            await self._set_password(password)
        else:
            await self._set_password(password)
            yield
            self._write_password(password)

    @contextlib.asynccontextmanager
    async def quota(self, name: str, bytes_a_second: float) -> AsyncIterator[None]:
        """Each broker lets the user have so much."""
        quota = cast("Quota", name)
        await _until_done(lambda: set_quotas(self._servers, USER, {quota: bytes_a_second}))
        yield
        await _until_done(lambda: set_quotas(self._servers, USER, {quota: None}))

    async def delete_what_was_read(self, role: str, chance: int) -> int:
        """Of some partition of the topic with that role; up to which offset. 0: nothing, or not in time."""
        topic = self._topic(role)
        with contextlib.suppress(*_FAILURES):
            async with asyncio.timeout(_DELETED_WITHIN_S):
                return await self.retention.delete(topic, chance)
        return 0

    def _right(self, name: str) -> Right:
        operation, _, what = name.partition(" ")
        group_id = self._config.kafka.group_id
        if what == "group":
            return Right("group", group_id, operation)
        if what == "transactional ids":
            return Right("transactional_id", f"{group_id}/", operation, prefixed=True)
        return Right("topic", self._topic(what), operation)

    def _topic(self, role: str) -> str:
        return self._config.topic_name(cast("Role", role))

    def _write_password(self, password: str) -> None:
        """Whole or not at all, as stores of secrets do it."""
        new = self._file.with_suffix(".new")
        new.touch(0o600)
        new.write_text(password)
        new.replace(self._file)

    async def _set_password(self, password: str) -> None:
        await self._insist(lambda: set_password(self._admin, USER, password))

    async def _insist(self, change: Callable[[], None]) -> None:
        await _until_done(lambda: asyncio.to_thread(change))


async def _until_done(change: Callable[[], Awaitable[None]]) -> None:
    """Again and again until the brokers have taken it."""
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            try:
                await change()
                return
            except _FAILURES:
                await asyncio.sleep(_AGAIN_S)
