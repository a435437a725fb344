"""Every client reaches the brokers as the section [kafka] says, and with nothing less."""

import asyncio
import ssl
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from worker.adapters.kafka.security import client_options
from worker.config import ConfigError, Kafka, Secret

# Made for these tests alone: it protects nothing.
KEY_PASSWORD = "open sesame"
KEY = """-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHjME4GCSqGSIb3DQEFDTBBMCkGCSqGSIb3DQEFDDAcBAggG4xj3KSseAICCAAw
DAYIKoZIhvcNAgkFADAUBggqhkiG9w0DBwQIXrL5VN9qCo8EgZAfUVWnfLn4jde4
IvHqgV6w+tj0YTRTnzi6i9mD6s5Cc0AzHARG0x/+g7YiUh+Jz+YH+7nc6S7oanHf
mVjgQEriveGj0eHQtRh0xQ6uREFxDwCKd8i4Wo/eNJnAwCzy9T5bHckEY4rZJT0q
1lWddT1+lcFCqWgeRflcDK0V/phG0Ax/9tXHlLnQDxTA4LceCok=
-----END ENCRYPTED PRIVATE KEY-----
"""
CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIUNe5QZm0vJcwAO83n2fy7mPEtY4QwCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLYnJva2VyLnRlc3QwIBcNMjYxMTI0MDkxNzQ1WhgPMjEyNjEw
MzEwOTE3NDVaMBYxFDASBgNVBAMMC2Jyb2tlci50ZXN0MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAE/w5H+mo/tRF6VMWFc7pBaD6EfJ0R2DoL1Y7ht3cUmCeyBg9M
4jXlwA4kQ39vjJoXBBoqPNDuCJtxZscHZPPzgKNTMFEwHQYDVR0OBBYEFE1LqSR8
VTyldzEkmAHEmQQFGcicMB8GA1UdIwQYMBaAFE1LqSR8VTyldzEkmAHEmQQFGcic
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAODPrsnKNXar98el
a1SEliAvHyJFFlwKkxfZXZxfDABPAiAf/2g6isXmOXL6LfhyySVIuA77WnYxUTB4
XfGA6377aA==
-----END CERTIFICATE-----
"""


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """A directory with ``cert.pem`` and the encrypted ``key.pem``."""
    (tmp_path / "cert.pem").write_text(CERTIFICATE, encoding="ascii")
    (tmp_path / "key.pem").write_text(KEY, encoding="ascii")
    return tmp_path


def test_plaintext_says_nothing_of_who_we_are() -> None:
    assert client_options(Kafka(bootstrap_servers="a:1, b:2")) == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "PLAINTEXT",
    }


def test_ssl_trusts_the_given_authority_and_checks_the_brokers_name(pem: Path) -> None:
    options = client_options(Kafka(security_protocol="SSL", ssl_cafile=str(pem / "cert.pem")))
    context = options["ssl_context"]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert [subject["subject"] for subject in context.get_ca_certs()] == [((("commonName", "broker.test"),),)]
    assert "sasl_mechanism" not in options


def test_ssl_without_files_trusts_the_systems_authorities() -> None:
    context = client_options(Kafka(security_protocol="SSL"))["ssl_context"]
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_sasl_ssl_is_both() -> None:
    options = client_options(
        Kafka(
            security_protocol="SASL_SSL",
            sasl_mechanism="SCRAM-SHA-512",
            sasl_username="worker",
            sasl_password=Secret("hunter2"),
        )
    )
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert options["sasl_plain_username"] == "worker"
    assert options["sasl_plain_password"] == "hunter2"
    assert isinstance(options["ssl_context"], ssl.SSLContext)


def test_an_encrypted_key_opens_with_its_password(pem: Path) -> None:
    client_options(
        Kafka(
            security_protocol="SSL",
            ssl_certfile=str(pem / "cert.pem"),
            ssl_keyfile=str(pem / "key.pem"),
            ssl_password=Secret(KEY_PASSWORD),
        )
    )


@pytest.mark.parametrize("password", ["", "wrong"])
def test_a_key_without_its_password_is_a_fault_and_asks_nobody(pem: Path, password: str) -> None:
    kafka = Kafka(
        security_protocol="SSL",
        ssl_certfile=str(pem / "cert.pem"),
        ssl_keyfile=str(pem / "key.pem"),
        ssl_password=Secret(password),
    )
    with pytest.raises(ConfigError) as refused:
        client_options(kafka)
    (line,) = refused.value.lines
    assert line.startswith(
        f'kafka.ssl_certfile = "{pem}/cert.pem": expected a certificate in PEM, and its key'
    )


def test_an_authority_that_is_no_certificate_is_a_fault(pem: Path) -> None:
    (pem / "ca.pem").write_text("nonsense", encoding="ascii")
    with pytest.raises(ConfigError) as refused:
        client_options(Kafka(security_protocol="SSL", ssl_cafile=str(pem / "ca.pem")))
    (line,) = refused.value.lines
    assert line.startswith(f'kafka.ssl_cafile = "{pem}/ca.pem": expected certificates in PEM')


async def _make_consumer(kafka: Kafka) -> None:
    await AIOKafkaConsumer(**client_options(kafka)).stop()


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_the_client_accepts_what_it_is_given(protocol: str, mechanism: str) -> None:
    """aiokafka refuses unknown options and combinations when a client is made."""
    kafka = Kafka(
        security_protocol=protocol,  # type: ignore[arg-type]
        sasl_mechanism=mechanism,  # type: ignore[arg-type]
        sasl_username="worker",
        sasl_password=Secret("hunter2"),
    )
    asyncio.run(_make_consumer(kafka))
