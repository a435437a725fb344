"""How every client reaches the brokers: addresses, encryption, and who we are to them.

Decides which arguments aiokafka's clients get from the section ``[kafka]``; all clients are made with these,
so that none can be less protected than another. Knows nothing of what a client is for. The invariant: no
secret leaves through an error.
"""

import ssl
from typing import Any

from aiokafka.helpers import create_ssl_context

from worker.config import ConfigError, Kafka


def client_options(kafka: Kafka) -> dict[str, Any]:
    """Keyword arguments of ``AIOKafkaConsumer``, ``AIOKafkaProducer`` and ``AIOKafkaAdminClient``.

    Raises ``ConfigError`` when a certificate or key cannot be used. Reads files, reaches no network.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in kafka.bootstrap_servers.split(",")],
        "security_protocol": kafka.security_protocol,
    }
    if kafka.security_protocol.endswith("SSL"):
        options["ssl_context"] = _ssl_context(kafka)
    if kafka.security_protocol.startswith("SASL_"):
        options["sasl_mechanism"] = kafka.sasl_mechanism
        options["sasl_plain_username"] = kafka.sasl_username
        options["sasl_plain_password"] = kafka.sasl_password.reveal()
    return options


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
