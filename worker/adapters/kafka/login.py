"""Logging in to the brokers: with what, how often, and when trying again has become pointless.

One ``Login`` a process and cluster. Decides what each new connection logs in with (files are read again, so a
rotated password or certificate is used from the next connection on), which failures are a refusal of the
login and no broker that is away, and how long a refused login waits before it is tried again. Knows nothing
of what a connection is for. Invariants: no password, key or token leaves through an error or a log line;
while every broker refuses, at most ``MOST_TRIES`` logins are tried, however many clients ask.
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
"""After the first, second ... refusal: the sixth try is two minutes after the first."""

_TURN_S = 1.0
"""The longest wait for the login of another connection, and in front of a login that is not to be tried yet.
"""

_SECRETS = [option.name for option in structs.fields(Kafka) if option.type is Secret]
_FILES = [option.name for option in structs.fields(Kafka) if option.name.endswith("file")]


class LoginConnectionError(KafkaConnectionError):  # type: ignore[misc]  # the client is untyped
    """A connection that was not made because the login was refused. The client takes it as a broker that
    cannot be reached, and tries again later.
    """


class _Refusals(Struct):
    """Those of one address since it last let us in."""

    tries: int
    since: float
    not_before: float
    of_the_account: bool  # another broker would refuse it too, and may lock the account
    line: str


class Login(AbstractTokenProvider):  # type: ignore[misc]  # the client is untyped
    """How every client of one cluster logs in. The client hands it on, untouched, to each connection."""

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
        self._let_in_at = float("-inf")  # by any broker
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
        """Raise Fatal where the brokers have refused so often, and none has let us in, that a human must
        help.
        """
        for refusals in self._refusals.values():
            if refusals.tries >= MOST_TRIES and self._let_in_at < refusals.since:
                seconds = self._now() - refusals.since
                raise Fatal(f"{refusals.line} (tried {refusals.tries} times in {seconds:.0f} s)")

    def refused(self) -> LoginRefused | None:
        """The newest refusal, unless a broker has let us in since, or was found to be away."""
        return LoginRefused(self._newest) if self._newest else None

    @contextlib.asynccontextmanager
    async def attempt(self, address: str) -> AsyncIterator[None]:
        """Around each new connection to ``address``. Whatever fails inside leaves as an error of the client;
        a refusal is counted. Raises LoginConnectionError, too, where it is not yet time to try again.
        """
        self._read_again()
        await self._wait(address)
        async with self._in_turn():
            self._refuse_early(address)  # the one ahead may have been refused
            try:
                yield
            except Exception as error:
                refusal = refusal_of(error, self._kafka)
                if refusal is not None:
                    self._count(address, refusal)
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

    def _read_again(self) -> None:
        """Use what is new in the files; where it cannot be used (written by half, say) keep what there is."""
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
        """Each file of the login, with what it holds; None where it cannot be read."""
        named = [getattr(self._kafka, name) for name in _FILES]
        paths = [path for path in named if path] + [str(secret.file) for _, secret in self._secrets()]
        return [(path, _bytes_of(path)) for path in paths]

    def _secrets(self) -> Iterator[tuple[str, Secret]]:
        for name in _SECRETS:
            secret: Secret = getattr(self._kafka, name)
            if secret.file is not None:
                yield name, secret

    # --- refusals ---

    def _count(self, address: str, refusal: Refusal) -> None:
        """Count a refusal, and log the 1st, 2nd, 4th ... in a row."""
        now = self._now()
        before = [self._refusals[address]] if address in self._refusals else []
        if refusal.of_the_account:  # it is one account, whichever broker refuses it
            before += [known for known in self._refusals.values() if known.of_the_account]
            if self._tokens is not None:
                self._tokens.forget()
        tries = 1 + max([known.tries for known in before], default=0)
        since = min([known.since for known in before], default=now)
        wait_s = WAITS_S[min(tries, len(WAITS_S)) - 1]
        line = f"{address} refuses the login {self._who()}: " if refusal.by_broker else "no login: "
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
        self._let_in_at = self._now()
        for refusals in self._refusals.values():
            refusals.of_the_account = False  # the account is well; it is that broker

    def _who(self) -> str:
        kafka = self._kafka
        if not self._sasl:
            return f"by {kafka.security_protocol}"
        user = kafka.sasl_oauth_client_id or kafka.sasl_username
        return f'of "{user}" by {kafka.security_protocol} with {kafka.sasl_mechanism}'

    def _wait_s(self, address: str) -> float:
        """For how long a login at this address is not to be tried."""
        waits = [
            known.not_before - self._now()
            for where, known in self._refusals.items()
            if where == address or known.of_the_account
        ]
        return max(waits, default=0.0)

    def _refuse_early(self, address: str) -> None:
        wait_s = self._wait_s(address)
        if wait_s > 0:
            raise LoginConnectionError(f"the login was refused, and is tried again in {wait_s:.0f} s")

    async def _wait(self, address: str) -> None:
        """A client that tries again at once is to do so about once a second."""
        wait_s = self._wait_s(address)
        if wait_s > 0:
            await asyncio.sleep(min(wait_s, _TURN_S))
        self._refuse_early(address)

    @contextlib.asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        """One login at a time, so that a password that is wrong is sent once and not by every client at once;
        but a silent broker holds up nobody for longer than ``_TURN_S``. Certificates lock no account.
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
