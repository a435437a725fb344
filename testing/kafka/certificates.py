"""An authority of the tests' own, and the certificates that it issues: for the broker, and for clients.

Decides what stands in them. Every file is PEM, which Kafka, OpenSSL and Python read alike. Invariant: who
trusts this authority trusts nothing but what one test run has made.
"""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = datetime.timedelta(days=1)
_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of the tests")])


@dataclass(frozen=True)
class Certificate:
    """The files of a certificate and of its key."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates below ``directory``; ``file`` is what those have to know who trust it."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        own = _builder(_NAME, self._key, valid_days=2.0).add_extension(x509.BasicConstraints(True, 0), True)
        self.file = directory / "authority.pem"
        self.file.write_bytes(_pem(own.sign(self._key, hashes.SHA256())))

    def issue(self, name: str, *, valid_days: float = 1.0, password: str = "") -> Certificate:
        """A certificate for that common name, and for 127.0.0.1; the same name again replaces its files.

        ``valid_days`` below 0: it expired so long ago. With a ``password`` its key is encrypted.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        addresses = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        issued = (
            _builder(subject, key, valid_days)
            .add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(x509.SubjectAlternativeName(addresses), False)
            .sign(self._key, hashes.SHA256())
        )
        files = Certificate(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        files.certificate.write_bytes(_pem(issued))
        encryption = (
            serialization.BestAvailableEncryption(password.encode())
            if password
            else serialization.NoEncryption()
        )
        files.key.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        )
        return files

    def key_store(self, name: str) -> Path:
        """One file with key and certificate, as Kafka wants them."""
        issued = self.issue(name)
        store = self._directory / f"{name}.store.pem"
        store.write_bytes(issued.key.read_bytes() + issued.certificate.read_bytes())
        return store


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, valid_days: float
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 3 * _DAY)
        .not_valid_after(now + valid_days * _DAY)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
