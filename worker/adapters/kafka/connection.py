"""The connections of the Kafka client, each with a login of its own.

Decides with what a connection is made (with what ``Login`` gives at that moment), and when it is replaced
because the broker would end its session. Knows nothing of what connections carry. Invariants: every
connection of every client with a ``Login`` is made here; one is closed only while no request is under way, so
nobody notices.
"""

import asyncio
import json
import random
import weakref
from typing import Any

from aiokafka.errors import SaslAuthenticationFailed

from worker.adapters.kafka.client_internals.connection import (
    ClientConnection,
    connect_plainly,
    connect_with,
)
from worker.adapters.kafka.login import login_in

_SHARE_OF_A_SESSION = (0.75, 0.9)


class Connection(ClientConnection):
    """The client's connection, which closes before its session expires.

    A broker may grant a login for some time only: until its token expires, or for
    ``connections.max.reauth.ms``. At the first request after that it closes the connection, and whatever is
    in a transaction then is lost. The client cannot log in again on a connection (KIP-368), but it replaces
    one that was closed as idle without a word.
    """

    _expires = False

    def logged_in(self, lifetime_ms: int) -> None:
        """Expire well before the session does; some connections earlier, some later."""
        if lifetime_ms > 0:
            renew_in_s = lifetime_ms / 1000 * random.uniform(*_SHARE_OF_A_SESSION)  # noqa: S311
            asyncio.get_running_loop().call_later(renew_in_s, _expire, weakref.ref(self))

    def expire(self) -> None:
        """Close as soon as no request is under way."""
        self._expires = True
        self.answer_received()

    def answer_received(self) -> None:
        """Close it if it has expired and no request is under way."""
        if self._expires and self.is_idle:
            self.close_as_idle()

    def oauth_step(self, challenge: bytes) -> None:
        """Raise: a broker answers a token only to refuse it, with a reason (RFC 7628, 3.2.2)."""
        try:
            status = str(json.loads(challenge)["status"])
        except (ValueError, LookupError, TypeError):
            status = "no reason given"
        raise SaslAuthenticationFailed(f"the token is refused ({status})")


def _expire(connection: "weakref.ref[Connection]") -> None:
    alive = connection()
    if alive is not None:
        alive.expire()


async def _connect(host: str, port: int, **options: Any) -> Any:
    login = login_in(options)
    if login is None:
        return await connect_plainly(host, port, **options)
    async with login.attempt(f"{host}:{port}"):
        connection = Connection(host, port, **(options | login.options()))
        await connection.connect()
    return connection


def use_logins() -> None:
    """Make the connections of every client of this process here from now on."""
    connect_with(_connect)
