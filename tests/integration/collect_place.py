"""A collector that runs on topics of its own, and what is stored there.

Decides where a test of the HTTPS API sends, and with which key; must not know what it sends. Invariant: no
process of it outlives the block.
"""

import asyncio
import hashlib
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiokafka import ConsumerRecord

from testing.collector_process import CollectorProcess
from tests.chaos.deployment import Deployment
from tests.chaos.topics import read_all
from worker.core.decode import Decoder
from worker.model.events import Event
from worker.model.rules import IdentityRules, InputRules

KEY = "wk_" + "e" * 30


def key_entry(name: str, key: str, *lines: str) -> str:
    """An entry of the file of keys."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    return "\n".join(["[[keys]]", f'name = "{name}"', f'sha256 = "{digest}"', *lines, ""])


@dataclass(frozen=True)
class CollectPlace:
    """A collector that runs, for pages of every origin and with ``KEY`` or without, and its topics."""

    collector: CollectorProcess
    deployment: Deployment

    def records(self) -> list[ConsumerRecord]:
        """All that the raw topic holds, oldest first within each partition."""
        config = self.deployment.direct
        found = asyncio.run(read_all(config.kafka.bootstrap_servers, config.topics.raw))
        return [record for records in found.values() for record in records]

    def events(self) -> list[Event]:
        """The events in them, as the worker reads them; none of them is refused."""
        decoded = [Decoder(InputRules(), IdentityRules()).decode(record.value) for record in self.records()]
        assert not [each.rejections for each in decoded if each.rejections]
        return [event for each in decoded for event in each.events]


@contextmanager
def collecting(
    bootstrap_servers: str,
    directory: Path,
    options: Mapping[str, str] | None = None,
    *,
    more_keys: str = "",
    module: str = "worker",
    make_topics: Callable[[Deployment], Awaitable[None]] = lambda deployment: deployment.create_topics(3),
) -> Iterator[CollectPlace]:
    """Such a place, with a raw topic of three partitions.

    ``options`` are more variables of the collector, ``more_keys`` entries of its file; ``module`` is another
    one that runs the command line.
    """
    keys = directory / "keys.toml"
    keys.write_text(key_entry("example", KEY, 'origins = ["*"]') + more_keys)
    variables = {
        "COLLECT_KEYS_FILE": str(keys),
        "COLLECT_ANONYMOUS": "true",
        "COLLECT_ACK_TIMEOUT_MS": "60000",  # a busy machine is no outage
        "COLLECT_STALL_MS": "50000",
        **(options or {}),
    }
    prefix = f"collect-{uuid.uuid4().hex[:8]}."
    with Deployment(bootstrap_servers, prefix, directory, variables) as deployment:
        asyncio.run(_awaited(make_topics(deployment)))
        collector = CollectorProcess(deployment.environment, directory)
        deployment.workers.append(collector)
        collector.start_and_wait(module=module)
        yield CollectPlace(collector, deployment)


async def _awaited(work: Awaitable[None]) -> None:
    await work
