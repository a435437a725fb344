"""How every client reaches the brokers: addresses, encryption and login.

Decides which arguments aiokafka's clients get from the section ``[kafka]``. All clients are made with these,
so that none is less protected than another. Knows nothing of what a client is for. Invariant: no secret
leaves through an error.
"""

import functools
import ssl
from typing import Any

from aiokafka.helpers import create_ssl_context

from worker.adapters.kafka.connection import use_logins
from worker.adapters.kafka.login import Login
from worker.config import ConfigError, Kafka


def client_options(kafka: Kafka) -> dict[str, Any]:
    """Keyword arguments of ``AIOKafkaConsumer``, ``AIOKafkaProducer`` and ``AIOKafkaAdminClient``.

    Raises ``ConfigError`` when a certificate or key cannot be used. Reads files, reaches no network.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in kafka.bootstrap_servers.split(",")],
        "security_protocol": kafka.security_protocol,
    }
    login = login_of(kafka)
    return options if login is None else options | login.options()


@functools.lru_cache(maxsize=16)
def login_of(kafka: Kafka) -> Login | None:
    """The login of these options; None for PLAINTEXT. Raises ``ConfigError`` as ``client_options``.

    All clients of the process get the same one, so that refusals are counted together.
    """
    if kafka.security_protocol == "PLAINTEXT":
        return None
    use_logins()
    try:
        return Login(kafka, _ssl_context)
    except OSError as error:
        line = f'kafka.sasl_oauth_cafile = "{kafka.sasl_oauth_cafile}": expected certificates in PEM: {error}'
        raise ConfigError([line]) from error


def _ssl_context(kafka: Kafka) -> ssl.SSLContext:
    try:
        context: ssl.SSLContext = create_ssl_context(cafile=kafka.ssl_cafile or None)
    except OSError as error:  # ssl.SSLError is one
        line = f'kafka.ssl_cafile = "{kafka.ssl_cafile}": expected certificates in PEM: {error}'
        raise ConfigError([line]) from error
    if kafka.ssl_certfile:
        # Always a password, if an empty one: without any, OpenSSL would stop and ask at the terminal.
        password = kafka.ssl_password.reveal()
        try:
            context.load_cert_chain(kafka.ssl_certfile, kafka.ssl_keyfile or None, password)
        except OSError as error:
            line = (
                f'kafka.ssl_certfile = "{kafka.ssl_certfile}": expected a certificate in PEM, and its key '
                f"(kafka.ssl_keyfile) with its password (kafka.ssl_password): {error}"
            )
            raise ConfigError([line]) from error
    return context
