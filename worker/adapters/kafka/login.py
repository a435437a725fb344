"""How clients log in to the brokers: with which credentials, how often, and when to stop trying.

One ``Login`` a process and cluster. Decides with what each new connection logs in (files are read again, so a
rotated password or certificate is used from the next connection on), and how long to wait after a refused
login; which errors are a refusal is ``login_refusals``. Knows nothing of what a connection is for.
Invariants: no password, key or token leaves through an error or a log line; while every broker refuses, at
most ``MOST_TRIES`` logins are tried, however many clients ask.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError, KafkaError
from msgspec import Struct, structs

from worker import telemetry
from worker.adapters.kafka.login_refusals import Refusal, refusal_of
from worker.adapters.kafka.oauth_token import TokenClient
from worker.config import ConfigError, Kafka, Secret
from worker.errors import Fatal, LoginRefused

MOST_TRIES = 6
"""Refused logins in a row, after which the process ends."""

WAITS_S: tuple[float, ...] = (4.0, 8.0, 16.0, 32.0, 60.0)
"""The wait after the first, second ... refusal: the sixth try is two minutes after the first."""

_TURN_S = 1.0
"""The longest wait for the login of another connection, and before a login that is not due yet."""

_SECRETS = [option.name for option in structs.fields(Kafka) if option.type is Secret]
_FILES = [option.name for option in structs.fields(Kafka) if option.name.endswith("file")]


class LoginConnectionError(KafkaConnectionError):  # type: ignore[misc]  # the client is untyped
    """The client's error for a connection that was not made because the login was refused.

    The client takes it for a broker that cannot be reached, and tries again later.
    """


class _Refusals(Struct):
    """The refusals of one address since its last successful login."""

    tries: int
    since: float
    not_before: float
    of_the_account: bool  # another broker would refuse it too, and may lock the account
    line: str


class Login(AbstractTokenProvider):  # type: ignore[misc]  # the client is untyped
    """How every client of one cluster logs in. The client hands it on to each connection."""

    def __init__(
        self,
        kafka: Kafka,
        make_context: Callable[[Kafka], ssl.SSLContext],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``make_context`` reads the certificates of the options, and raises where they cannot be used."""
        self._kafka = kafka
        self._make_context = make_context
        self._now = now
        self._sasl = kafka.security_protocol.startswith("SASL_")
        self._seen = self._unusable = self._contents()
        self._context = make_context(kafka) if kafka.security_protocol.endswith("SSL") else None
        self._tokens = TokenClient(kafka) if kafka.sasl_mechanism == "OAUTHBEARER" else None
        self._refusals: dict[str, _Refusals] = {}
        self._newest = ""  # the line of the newest refusal, where nothing else has happened since
        self._accepted_at = float("-inf")  # by any broker
        self._turn: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    def options(self) -> dict[str, Any]:
        """Keyword arguments of a client, or of a connection, with what is in the files now or was last."""
        options: dict[str, Any] = {"sasl_oauth_token_provider": self}
        if self._context is not None:
            options["ssl_context"] = self._context
        if self._sasl:
            options["sasl_mechanism"] = self._kafka.sasl_mechanism
        if self._sasl and self._tokens is None:
            options["sasl_plain_username"] = self._kafka.sasl_username
            options["sasl_plain_password"] = self._kafka.sasl_password.reveal()
        return options

    async def token(self) -> str:
        """The access token of OAUTHBEARER. Raises the client's errors."""
        assert self._tokens is not None
        return await self._tokens.token(self._kafka.sasl_oauth_client_secret.reveal())

    def check(self) -> None:
        """Raise Fatal where the brokers have refused ``MOST_TRIES`` times and none has accepted a login."""
        for refusals in self._refusals.values():
            if refusals.tries >= MOST_TRIES and self._accepted_at < refusals.since:
                seconds = self._now() - refusals.since
                raise Fatal(f"{refusals.line} (tried {refusals.tries} times in {seconds:.0f} s)")

    def newest_refusal(self) -> LoginRefused | None:
        """The newest refusal; None where a broker has accepted a login since, or was found to be away."""
        return LoginRefused(self._newest) if self._newest else None

    @contextlib.asynccontextmanager
    async def attempt(self, address: str) -> AsyncIterator[None]:
        """Wrap the making of a connection to ``address``: count a refused login, or an accepted one.

        Whatever fails inside is raised as an error of the client. Raises LoginConnectionError for a refused
        login, and where the next try is not due yet.
        """
        self._reload_files()
        await self._wait(address)
        async with self._one_at_a_time():
            self._raise_until_due(address)  # the login before this one may have been refused
            try:
                yield
            except Exception as error:
                refusal = refusal_of(error, self._kafka)
                if refusal is not None:
                    self._count_refusal(address, refusal)
                    raise LoginConnectionError(
                        "the login was refused (authentication.failed says why)"
                    ) from error
                self._newest = ""
                if isinstance(error, KafkaError | OSError | TimeoutError):
                    raise
                # Not one that the client expects: it would end its background tasks for good.
                raise KafkaConnectionError(f"{type(error).__name__} while connecting") from error
            else:
                self._accept(address)

    # --- the files ---

    def _reload_files(self) -> None:
        """Use what is new in the files; where it cannot be used (half written, say) keep the old."""
        contents = self._contents()
        if contents == self._seen:
            return
        try:
            secrets = {name: _read(secret) for name, secret in self._secrets()}
            kafka = structs.replace(self._kafka, **secrets)
            context = self._make_context(kafka) if self._context is not None else None
            tokens = TokenClient(kafka) if self._tokens is not None else None
        except (ConfigError, OSError, ValueError) as error:  # ssl.SSLError is an OSError
            if contents != self._unusable:
                self._unusable = contents
                telemetry.emit(telemetry.CredentialsUnusable(reason=str(error)))
            return
        changed = [file for file, before in zip(contents, self._seen, strict=True) if file != before]
        self._seen = contents
        self._kafka, self._context, self._tokens = kafka, context, tokens
        self._refusals.clear()  # another login: it has not been refused yet
        self._newest = ""
        telemetry.emit(telemetry.CredentialsReloaded(files=[path for path, _ in changed]))

    def _contents(self) -> list[tuple[str, bytes | None]]:
        """(path, content) of each file of the login; None where it cannot be read."""
        named = [getattr(self._kafka, name) for name in _FILES]
        paths = [path for path in named if path] + [str(secret.file) for _, secret in self._secrets()]
        return [(path, _bytes_of(path)) for path in paths]

    def _secrets(self) -> Iterator[tuple[str, Secret]]:
        for name in _SECRETS:
            secret: Secret = getattr(self._kafka, name)
            if secret.file is not None:
                yield name, secret

    # --- refusals ---

    def _count_refusal(self, address: str, refusal: Refusal) -> None:
        """Count a refusal, and log the first, second, fourth ... in a row."""
        now = self._now()
        before = [self._refusals[address]] if address in self._refusals else []
        if refusal.of_the_account:  # it is one account, whichever broker refuses it
            before += [known for known in self._refusals.values() if known.of_the_account]
            if self._tokens is not None:
                self._tokens.discard_token()
        tries = 1 + max([known.tries for known in before], default=0)
        since = min([known.since for known in before], default=now)
        wait_s = WAITS_S[min(tries, len(WAITS_S)) - 1]
        line = f"{address} refuses the login {self._identity()}: " if refusal.by_broker else "no login: "
        line += refusal.reason
        self._refusals[address] = _Refusals(tries, since, now + wait_s, refusal.of_the_account, line)
        self._newest = line
        if tries.bit_count() == 1:
            telemetry.emit(
                telemetry.AuthenticationFailed(
                    reason=line, attempt=tries, max_attempts=MOST_TRIES, retry_in_s=wait_s
                )
            )

    def _accept(self, address: str) -> None:
        self._refusals.pop(address, None)
        self._newest = ""
        self._accepted_at = self._now()
        for refusals in self._refusals.values():
            refusals.of_the_account = False  # the account is accepted; the refusal is of that broker

    def _identity(self) -> str:
        kafka = self._kafka
        if not self._sasl:
            return f"by {kafka.security_protocol}"
        user = kafka.sasl_oauth_client_id or kafka.sasl_username
        return f'of "{user}" by {kafka.security_protocol} with {kafka.sasl_mechanism}'

    def _wait_s(self, address: str) -> float:
        """For how long no login at this address is to be tried."""
        waits = [
            known.not_before - self._now()
            for where, known in self._refusals.items()
            if where == address or known.of_the_account
        ]
        return max(waits, default=0.0)

    def _raise_until_due(self, address: str) -> None:
        wait_s = self._wait_s(address)
        if wait_s > 0:
            raise LoginConnectionError(f"the login was refused, and is tried again in {wait_s:.0f} s")

    async def _wait(self, address: str) -> None:
        """Slow a client that retries at once down to about one try a second."""
        wait_s = self._wait_s(address)
        if wait_s > 0:
            await asyncio.sleep(min(wait_s, _TURN_S))
        self._raise_until_due(address)

    @contextlib.asynccontextmanager
    async def _one_at_a_time(self) -> AsyncIterator[None]:
        """Let one login run at a time, so that a wrong password is sent once, not by every client at once.

        A silent broker holds up the others for at most ``_TURN_S``. Certificates lock no account: no turns.
        """
        if not self._sasl:
            yield
            return
        loop = asyncio.get_running_loop()
        if self._turn is None or self._turn[0] is not loop:
            self._turn = loop, asyncio.Lock()
        lock = self._turn[1]
        mine = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TURN_S):
                mine = await lock.acquire()
        try:
            yield
        finally:
            if mine:
                lock.release()


def login_in(client: Mapping[str, Any]) -> Login | None:
    """The login in the options of a client; None where it has none."""
    login = client.get("sasl_oauth_token_provider")
    return login if isinstance(login, Login) else None


def _read(secret: Secret) -> Secret:
    assert secret.file is not None
    try:
        again = Secret.read(secret.file)
    except OSError as error:
        raise ValueError(f"{secret.file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{secret.file} is not UTF-8 text") from error
    if not again:
        raise ValueError(f"{secret.file} is empty")
    return again


def _bytes_of(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except OSError:
        return None
