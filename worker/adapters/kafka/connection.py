"""The connections of the Kafka client, each with a login of its own.

Decides with what a connection is made (what ``Login`` says at that moment), and when it is replaced because
the broker would end its session. Knows aiokafka's connections; nothing of what they carry. Invariant: every
connection of every client with a ``Login`` is made here; a connection is closed only while it carries no
request, so nobody notices.
"""

import json
import random
import weakref
from collections.abc import Awaitable
from typing import Any

import aiokafka.client
from aiokafka.conn import AIOKafkaConnection, CloseReason, OAuthAuthenticator
from aiokafka.errors import SaslAuthenticationFailed
from aiokafka.protocol.admin import SaslAuthenticateRequest

from worker.adapters.kafka.login import Login

_client_connects = aiokafka.client.create_conn
_SHARE_OF_A_SESSION = (0.75, 0.9)


class Connection(AIOKafkaConnection):  # type: ignore[misc]  # the client is untyped
    """The client's connection, which leaves before its session expires.

    A broker may grant a login for some time only: until its token expires, or for
    ``connections.max.reauth.ms``. At the first request after that it closes the connection, and whatever is
    in a transaction then is lost. The client cannot log in again on a connection (KIP-368), but it replaces
    one that was closed as idle without a word.
    """

    _expires = False

    def send(self, request: Any, expect_response: bool = True) -> Awaitable[Any]:
        """As the client's; notes for how long a login holds."""
        answer: Awaitable[Any] = super().send(request, expect_response)
        return self._noted(answer) if isinstance(request, SaslAuthenticateRequest) else answer

    async def _noted(self, answer: Awaitable[Any]) -> Any:
        response = await answer
        lifetime_ms = getattr(response, "session_lifetime_ms", 0)
        if lifetime_ms > 0:
            # Some earlier, some later, so that not all connect at once.
            renew_in_s = lifetime_ms / 1000 * random.uniform(*_SHARE_OF_A_SESSION)  # noqa: S311
            self._loop.call_later(renew_in_s, _expire, weakref.ref(self))
        return response

    def expire(self) -> None:
        """Close as soon as no request is under way."""
        self._expires = True
        if not self._requests:
            self.close(CloseReason.IDLE_DROP)

    def _handle_frame(self, frame: bytes) -> None:
        super()._handle_frame(frame)
        if self._expires and not self._requests:
            self.close(CloseReason.IDLE_DROP)

    def authenticator_oauth(self) -> OAuthAuthenticator:
        """One that hears a refusal."""
        return _Authenticator(sasl_oauth_token_provider=self._sasl_oauth_token_provider)


class _Authenticator(OAuthAuthenticator):  # type: ignore[misc]  # the client is untyped
    """A refused token is answered with a reason (RFC 7628, 3.2.2), which the client takes for a success."""

    async def step(self, payload: bytes | None) -> tuple[bytes, bool] | None:
        if self._token_sent and payload:
            try:
                status = str(json.loads(payload)["status"])
            except (ValueError, LookupError, TypeError):
                status = "no reason given"
            raise SaslAuthenticationFailed(f"the token is refused ({status})")
        following: tuple[bytes, bool] | None = await super().step(payload)
        return following


def _expire(connection: "weakref.ref[Connection]") -> None:
    alive = connection()
    if alive is not None:
        alive.expire()


async def _connect(host: str, port: int, **options: Any) -> AIOKafkaConnection:
    login = options.get("sasl_oauth_token_provider")
    if not isinstance(login, Login):
        return await _client_connects(host, port, **options)
    async with login.attempt(f"{host}:{port}"):
        connection = Connection(host, port, **(options | login.options()))
        await connection.connect()
    return connection


def use_logins() -> None:
    """From now on, for every client of this process. The client offers no other way."""
    aiokafka.client.create_conn = _connect
