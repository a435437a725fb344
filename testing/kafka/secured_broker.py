"""A real broker that authenticates and authorizes its clients.

Decides how it is set up: one listener each for passwords (SASL_SSL: SCRAM, PLAIN, OAUTHBEARER with unsigned
tokens) and for client certificates (mutual TLS), Kafka's own authorizer, and nothing allowed that was not
granted. A third listener, on loopback without any login, is for the tests themselves: every client there
may do everything. Invariant: a client under test is never given that third address.
"""

import contextlib
import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from confluent_kafka.admin import AdminClient

from testing.kafka import rights, scram
from testing.kafka.broker import QUICK_START, LocalBroker, free_ports
from testing.kafka.certificates import Authority, Certificate
from testing.kafka.relay import Relay
from testing.kafka.rights import Right

PLAIN_USERS = {"plain-user": "plain-Pa55word-of-the-tests"}
"""Known from the start; those of SCRAM come with ``set_password``."""

_MODULES = "org.apache.kafka.common.security"


class SecuredBroker:
    """The broker with its users; made by ``running``."""

    def __init__(
        self,
        jars: Path,
        directory: Path,
        settings: Mapping[str, str | int] | None = None,
        *,
        relayed: bool = False,
        java_options: tuple[str, ...] = (),
    ) -> None:
        """``settings`` replace or extend those made here. ``relayed``: what asks for a login is reached only
        through relays, at ``sasl_servers`` and ``mutual_servers``; see ``sasl_relay`` and ``mutual_relay``.
        """
        direct, self._controller, sasl, mutual, *relays = free_ports(6)
        self._listeners = {"DIRECT": direct, "PASSWORD": sasl, "MUTUAL": mutual}
        self._sasl, self._mutual = relays if relayed else (sasl, mutual)
        self.authority = Authority(directory / "certificates")
        self.broker = LocalBroker(
            jars,
            directory / "broker",
            settings={**self._settings(), **(settings or {})},
            java_options=("-Xmx512m", *QUICK_START, *java_options),
            ports=(direct, self._controller),
        )

    def sasl_relay(self) -> Relay:
        """The way to the listener for passwords, where it is ``relayed``."""
        return Relay(self._sasl, self._listeners["PASSWORD"])

    def mutual_relay(self) -> Relay:
        """The way to the listener for certificates, where it is ``relayed``."""
        return Relay(self._mutual, self._listeners["MUTUAL"])

    @property
    def direct_servers(self) -> str:
        """The way of the tests themselves: no login, every right."""
        return self.broker.bootstrap_servers

    @property
    def sasl_servers(self) -> str:
        """The way of users with a password: SASL_SSL."""
        return f"127.0.0.1:{self._sasl}"

    @property
    def mutual_servers(self) -> str:
        """The way of users with a certificate: SSL; the user is the certificate's common name."""
        return f"127.0.0.1:{self._mutual}"

    @functools.cached_property
    def admin(self) -> AdminClient:
        """A client that may do everything."""
        return AdminClient({"bootstrap.servers": self.direct_servers, "log_level": 0})

    def set_password(self, user: str, password: str) -> None:
        """Make the SCRAM-SHA-512 user, or give it another password."""
        scram.set_password(self.admin, user, password)

    def certificate(self, user: str, *, valid_days: float = 1.0, password: str = "") -> Certificate:
        """A client certificate of that user."""
        return self.authority.issue(user, valid_days=valid_days, password=password)

    def grant(self, user: str, granted: Iterable[Right]) -> None:
        """Grant these rights."""
        rights.grant(self.admin, user, granted)

    def take_away(self, user: str, taken: Iterable[Right]) -> None:
        """Take these rights away."""
        rights.take_away(self.admin, user, taken)

    @contextlib.contextmanager
    def without(self, user: str, *missing: Right) -> Iterator[None]:
        """These rights are missing as long as the context lasts."""
        self.take_away(user, missing)
        try:
            yield
        finally:
            self.grant(user, missing)

    def scram_options(self, user: str, password_file: Path) -> dict[str, str]:
        """The worker's variables, without their ``SESSIONIZER_``, for that user of SCRAM."""
        return {
            **self._sasl_options(),
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD_FILE": str(password_file),
        }

    def plain_options(self, user: str = "plain-user") -> dict[str, str]:
        """The same for a user of PLAIN, the password in the environment."""
        return {
            **self._sasl_options(),
            "KAFKA_SASL_MECHANISM": "PLAIN",
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD": PLAIN_USERS[user],
        }

    def token_options(self, client: str, url: str, secret_file: Path) -> dict[str, str]:
        """The same for a client of OAUTHBEARER."""
        return {
            **self._sasl_options(),
            "KAFKA_SASL_MECHANISM": "OAUTHBEARER",
            "KAFKA_SASL_OAUTH_TOKEN_URL": url,
            "KAFKA_SASL_OAUTH_CLIENT_ID": client,
            "KAFKA_SASL_OAUTH_CLIENT_SECRET_FILE": str(secret_file),
        }

    def mutual_options(self, certificate: Certificate) -> dict[str, str]:
        """The same for a client with that certificate."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.mutual_servers,
            "KAFKA_SECURITY_PROTOCOL": "SSL",
            "KAFKA_SSL_CAFILE": str(self.authority.file),
            "KAFKA_SSL_CERTFILE": str(certificate.certificate),
            "KAFKA_SSL_KEYFILE": str(certificate.key),
        }

    def _sasl_options(self) -> dict[str, str]:
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.sasl_servers,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SSL_CAFILE": str(self.authority.file),
        }

    def _settings(self) -> dict[str, str | int]:
        reached = {**self._listeners, "PASSWORD": self._sasl, "MUTUAL": self._mutual}
        listeners = {**self._listeners, "CONTROLLER": self._controller}
        users = " ".join(f'user_{user}="{password}"' for user, password in PLAIN_USERS.items())
        password = "listener.name.password"
        return {
            "listeners": _addresses(listeners),
            "advertised.listeners": _addresses(reached),
            "listener.security.protocol.map": (
                "DIRECT:PLAINTEXT,PASSWORD:SASL_SSL,MUTUAL:SSL,CONTROLLER:PLAINTEXT"
            ),
            "inter.broker.listener.name": "DIRECT",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.authority.key_store("broker")),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority.file),
            "listener.name.mutual.ssl.client.auth": "required",
            "listener.name.mutual.ssl.principal.mapping.rules": "RULE:^CN=([^,]+)$/$1/",
            f"{password}.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN,OAUTHBEARER",
            f"{password}.scram-sha-512.sasl.jaas.config": f"{_MODULES}.scram.ScramLoginModule required;",
            f"{password}.plain.sasl.jaas.config": f"{_MODULES}.plain.PlainLoginModule required {users};",
            f"{password}.oauthbearer.sasl.jaas.config": (
                f"{_MODULES}.oauthbearer.OAuthBearerLoginModule required;"
            ),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "false",
            "super.users": "User:ANONYMOUS",
        }


def _addresses(ports: Mapping[str, int]) -> str:
    return ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())


@contextlib.contextmanager
def running(
    jars: Path, directory: Path, settings: Mapping[str, str | int] | None = None
) -> Iterator[SecuredBroker]:
    """A secured broker that answers, for the length of the block."""
    secured = SecuredBroker(jars, directory, settings)
    with secured.broker:
        yield secured
