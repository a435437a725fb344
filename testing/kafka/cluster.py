"""Three brokers, each behind a proxy that can act as a bad network.

Decides how brokers become a cluster that survives the loss of any one: three copies of everything, two of
them needed for a write. Knows nothing of what runs on it. Each broker has two addresses: behind its proxy for
the clients under test, and a direct one for the tests themselves. Invariant: the two never mix, because a
broker tells its clients the addresses of the kind under which it was asked.

Behind the proxies everybody logs in (SCRAM-SHA-512) and may do what was granted; direct clients,
the brokers among them, may do everything.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

from testing.kafka.broker import QUICK_START, LocalBroker, free_ports
from testing.kafka.proxy import Proxy

SIZE = 3
_JAVA = ("-Xmx384m", *QUICK_START)

_LOGIN: dict[str, str | int] = {
    "listener.security.protocol.map": "DIRECT:PLAINTEXT,PROXIED:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
    "listener.name.proxied.sasl.enabled.mechanisms": "SCRAM-SHA-512",
    "listener.name.proxied.scram-sha-512.sasl.jaas.config": (
        "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    ),
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "false",
    "super.users": "User:ANONYMOUS",
}

_COPIES: dict[str, str | int] = {
    "default.replication.factor": SIZE,
    "min.insync.replicas": 2,
    "offsets.topic.replication.factor": SIZE,
    "transaction.state.log.replication.factor": SIZE,
    "transaction.state.log.min.isr": 2,
    "share.coordinator.state.topic.replication.factor": SIZE,
    "share.coordinator.state.topic.min.isr": 2,
    "replica.lag.time.max.ms": 4000,  # a paused broker leaves the set that writes wait for
    "controller.quorum.election.timeout.ms": 500,
    "controller.quorum.fetch.timeout.ms": 1000,
}


class Cluster:
    """The brokers with their proxies; made by ``running``."""

    def __init__(self, jars: Path, directory: Path) -> None:
        found = free_ports(4 * SIZE)
        ports, behind = [found[n * 3 : n * 3 + 3] for n in range(SIZE)], found[3 * SIZE :]
        voters = ",".join(f"{number + 1}@127.0.0.1:{port[1]}" for number, port in enumerate(ports))
        self.brokers: list[LocalBroker] = []
        self.proxies: list[Proxy] = []
        self._down: set[int] = set()
        self._complete_since = time.monotonic()
        for number, (direct, controller, proxied) in enumerate(ports):
            settings = {
                **_COPIES,
                **_LOGIN,
                "node.id": number + 1,
                "listeners": (
                    f"DIRECT://127.0.0.1:{direct},PROXIED://127.0.0.1:{proxied},"
                    f"CONTROLLER://127.0.0.1:{controller}"
                ),
                "advertised.listeners": (f"DIRECT://127.0.0.1:{direct},PROXIED://127.0.0.1:{behind[number]}"),
                "inter.broker.listener.name": "DIRECT",
                "controller.quorum.voters": voters,
            }
            broker = LocalBroker(
                jars,
                directory / f"broker-{number + 1}",
                settings=settings,
                java_options=_JAVA,
                ports=(direct, controller),
            )
            self.brokers.append(broker)
            self.proxies.append(Proxy(behind[number], f"127.0.0.1:{proxied}", broker.bootstrap_servers))

    @property
    def bootstrap_servers(self) -> str:
        """The direct addresses, for the tests themselves."""
        return ",".join(broker.bootstrap_servers for broker in self.brokers)

    @property
    def proxied_servers(self) -> str:
        """The addresses behind the proxies, for the workers under test."""
        return ",".join(proxy.bootstrap_servers for proxy in self.proxies)

    def complete_for_s(self) -> float:
        """How long all brokers have been running; 0 while one is not."""
        return 0.0 if self._down else time.monotonic() - self._complete_since

    def kill(self, number: int) -> None:
        """SIGKILL that broker."""
        self._down.add(number)
        self.brokers[number].kill()

    async def start(self, *numbers: int) -> None:
        """Start these brokers, all at once, and wait until each answers."""
        for number in numbers:
            self.brokers[number].launch()
        await asyncio.gather(*(asyncio.to_thread(self.brokers[n].wait_until_ready) for n in numbers))
        self._recover(*numbers)

    def pause(self, number: int) -> None:
        """Freeze that broker."""
        self._down.add(number)
        self.brokers[number].pause()

    def resume(self, number: int) -> None:
        """Let it go on."""
        self.brokers[number].resume()
        self._recover(number)

    def _recover(self, *numbers: int) -> None:
        self._down -= set(numbers)
        self._complete_since = time.monotonic()


@contextlib.asynccontextmanager
async def running(jars: Path, directory: Path) -> AsyncIterator[Cluster]:
    """A cluster that answers, with its proxies listening, for the length of the block."""
    cluster = Cluster(jars, directory)
    async with contextlib.AsyncExitStack() as stack:
        for broker in cluster.brokers:
            stack.callback(broker.kill)
        await cluster.start(*range(SIZE))
        for proxy in cluster.proxies:
            await stack.enter_async_context(proxy)
        yield cluster
