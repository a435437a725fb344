"""How the client connects and logs in.

Decides nothing: when to connect, with which login, and when to close is its caller's. Knows no credentials.
Invariant: a connection works as the client's own; a subclass is only called at logins and answers.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import aiokafka.client
from aiokafka.conn import AIOKafkaConnection, CloseReason, OAuthAuthenticator
from aiokafka.protocol.admin import SaslAuthenticateRequest

Connect = Callable[..., Awaitable[Any]]

connect_plainly: Connect = aiokafka.client.create_conn
"""The client's own way to make a connection. Held by tests/integration/test_login.py."""


def connect_with(connect: Connect) -> None:
    """Let every client of this process make its connections so from now on.

    The client offers no other way to log in with what is valid at that moment. Held by
    tests/integration/test_login.py.
    """
    aiokafka.client.create_conn = connect


class ClientConnection(AIOKafkaConnection):  # type: ignore[misc]  # the client is untyped
    """The client's connection, for a subclass that is to know about logins and answers.

    The client reads no session lifetime, and reports no answer to others. Held by
    tests/integration/test_login.py.
    """

    def logged_in(self, lifetime_ms: int) -> None:
        """Called after a login, which the broker grants for so long; 0 = without limit."""

    def answer_received(self) -> None:
        """Called after each answer."""

    def oauth_step(self, challenge: bytes) -> None:
        """Called where the broker answers a token with something; an error raised here ends the login."""

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return not self._requests

    def close_as_idle(self) -> None:
        """Close it; the client makes another one without a word."""
        self.close(CloseReason.IDLE_DROP)

    def send(self, request: Any, expect_response: bool = True) -> Awaitable[Any]:
        """Send as the client's does; read from the answer to a login how long it is granted."""
        answer: Awaitable[Any] = super().send(request, expect_response)
        return self._noted(answer) if isinstance(request, SaslAuthenticateRequest) else answer

    async def _noted(self, answer: Awaitable[Any]) -> Any:
        response = await answer
        self.logged_in(getattr(response, "session_lifetime_ms", 0))
        return response

    def _handle_frame(self, frame: bytes) -> None:
        super()._handle_frame(frame)
        self.answer_received()

    def authenticator_oauth(self) -> OAuthAuthenticator:
        """The client's authenticator, which calls ``oauth_step``."""
        return _Authenticator(self.oauth_step, self._sasl_oauth_token_provider)


class _Authenticator(OAuthAuthenticator):  # type: ignore[misc]  # the client is untyped
    """The client's authenticator takes any answer to a token for a success."""

    def __init__(self, answered: Callable[[bytes], None], token_provider: object) -> None:
        super().__init__(sasl_oauth_token_provider=token_provider)
        self._answered = answered

    async def step(self, payload: bytes | None) -> tuple[bytes, bool] | None:
        if self._token_sent and payload:
            self._answered(payload)
        following: tuple[bytes, bool] | None = await super().step(payload)
        return following
