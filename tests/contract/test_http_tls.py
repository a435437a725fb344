"""TLS of the HTTP server: versions, handshakes that stall, a certificate that is replaced while it runs."""

import socket
import ssl
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from testing.kafka.certificates import Authority, Certificate
from testing.wait import wait_until
from tests.contract.http_peer import (
    CLOSE,
    LOOPS,
    PATIENCE_S,
    Echo,
    Running,
    answers,
    get,
    one_answer,
    post,
    received,
    request,
    served,
)
from worker.adapters.http.limits import HttpLimits
from worker.adapters.http.server import HttpServer
from worker.adapters.http.tls import TlsFiles
from worker.errors import Fatal

each_loop = pytest.mark.parametrize("loop", LOOPS)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def files_of(issued: Certificate) -> TlsFiles:
    """The same files by the names that the server knows them by."""
    return TlsFiles(certificate=str(issued.certificate), key=str(issued.key))


def connect(server: Running, authority: Authority, **options: ssl.TLSVersion) -> ssl.SSLSocket:
    """A connection after its handshake, by a client that trusts the authority."""
    context = ssl.create_default_context(cafile=str(authority.file))
    for name, value in options.items():
        setattr(context, name, value)
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)
    try:
        return context.wrap_socket(plain, server_hostname="localhost")
    except BaseException:
        plain.close()
        raise


def serial(connection: ssl.SSLSocket) -> str:
    """Which certificate the server has shown."""
    shown = connection.getpeercert()
    assert shown is not None
    number = shown["serialNumber"]
    assert isinstance(number, str)
    return number


@each_loop
def test_requests_are_served(authority: Authority, loop: str) -> None:
    files = files_of(authority.issue("a"))
    with served(Echo(), tls=files, loop=loop) as server, connect(server, authority) as connection:
        assert connection.version() == "TLSv1.3"
        connection.sendall(post(b"a" * 900_000) + get("/", CLOSE))
        found = answers(received(connection))
    assert [len(each.json["body"]) for each in found] == [900_000, 0]


@each_loop
def test_a_413_arrives_although_its_sender_goes_on_sending(authority: Authority, loop: str) -> None:
    files = files_of(authority.issue("a"))
    with served(Echo(), tls=files, loop=loop) as server, connect(server, authority) as connection:
        connection.sendall(request("POST", "/", "Content-Length: 5000000"))
        wait_until(lambda: server.server.counters.refused["too_large"], what="it is refused")
        for _ in range(20):
            connection.sendall(b"a" * 100_000)
        assert one_answer(connection).status == 413


@each_loop
def test_tls_1_1_is_refused(authority: Authority, loop: str) -> None:
    with served(Echo(), tls=files_of(authority.issue("a")), loop=loop) as server:
        old = {"minimum_version": ssl.TLSVersion.TLSv1, "maximum_version": ssl.TLSVersion.TLSv1_1}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the client's version is old
            with pytest.raises(ssl.SSLError):
                connect(server, authority, **old)
        with connect(server, authority, maximum_version=ssl.TLSVersion.TLSv1_2) as connection:
            assert connection.version() == "TLSv1.2"


@each_loop
@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01"])
def test_a_handshake_that_stalls_ends_at_its_deadline(authority: Authority, loop: str, sent: bytes) -> None:
    limits = HttpLimits(handshake_timeout_s=0.3)
    with served(Echo(), tls=files_of(authority.issue("a")), limits=limits, loop=loop) as server:
        with server.connect() as connection:
            connection.sendall(sent)
            wait_until(lambda: server.server.connections == 1, what="the handshake counts as a connection")
            received(connection)
        wait_until(lambda: server.server.connections == 0, what="it counts no more")
        assert server.server.counters.refused == {"tls_handshake": 1}


@each_loop
def test_plain_text_ends_the_handshake(authority: Authority, loop: str) -> None:
    with served(Echo(), tls=files_of(authority.issue("a")), loop=loop) as server:
        with server.connect() as connection:
            connection.sendall(get())
            received(connection)
        wait_until(lambda: server.server.connections == 0, what="it counts no more")
        assert server.server.counters.refused == {"tls_handshake": 1}


@each_loop
def test_handshakes_count_towards_the_limit_of_connections(authority: Authority, loop: str) -> None:
    files, limits = files_of(authority.issue("a")), HttpLimits(max_connections=3)
    with (
        served(Echo(), tls=files, limits=limits, loop=loop) as server,
        connect(server, authority) as first,
        server.connect(),
        server.connect(),
    ):
        wait_until(lambda: server.server.connections == 3, what="the handshakes have begun")
        with pytest.raises(ConnectionResetError):
            server.ask(get())
        assert server.server.counters.refused == {"too_many_connections": 1}
        first.sendall(get())
        assert one_answer(first).status == 200


@each_loop
def test_a_new_certificate_is_for_new_connections(authority: Authority, loop: str) -> None:
    files = files_of(authority.issue("a"))
    with served(Echo(), tls=files, loop=loop) as server, connect(server, authority) as old:
        before = serial(old)
        authority.issue("a")
        wait_until(
            _shows_another(server, authority, before), what="the new certificate is shown", every_s=0.2
        )
        old.sendall(get())
        assert one_answer(old).status == 200


def _shows_another(server: Running, authority: Authority, before: str) -> Callable[[], bool]:
    def look() -> bool:
        with connect(server, authority) as connection:
            return serial(connection) != before

    return look


def test_files_that_cannot_be_used_change_nothing(authority: Authority) -> None:
    """A renewal writes two files one after the other, and may write nonsense."""
    issued = authority.issue("a")
    with served(Echo(), tls=files_of(issued)) as server:
        certificate = server.server.certificate
        assert certificate is not None
        with connect(server, authority) as connection:
            before = serial(connection)
        key, other = issued.key.read_bytes(), authority.issue("b")
        for wrong in (other.key.read_bytes(), b"no key", b""):
            issued.key.write_bytes(wrong)
            assert not certificate.reread()
            assert certificate.failure is not None
            assert "PRIVATE" not in certificate.failure
            with connect(server, authority) as connection:
                assert serial(connection) == before
        issued.key.unlink()
        assert not certificate.reread()
        assert "No such file" in (certificate.failure or "")
        issued.key.write_bytes(key)
        assert certificate.reread()
        assert certificate.failure is None


@pytest.mark.parametrize("wrong", ["missing", "another key", "no certificate", "an encrypted key"])
def test_a_certificate_that_cannot_be_used_is_named_at_the_start(authority: Authority, wrong: str) -> None:
    issued = authority.issue("a")
    if wrong == "missing":
        issued.certificate.unlink()
    elif wrong == "another key":
        issued.key.write_bytes(authority.issue("b").key.read_bytes())
    elif wrong == "no certificate":
        issued.certificate.write_bytes(b"")
    else:
        issued = authority.issue("a", password="secret")
    with pytest.raises(Fatal, match=r"cannot use the certificate \S+a\.pem with the key \S+a\.key: \w+"):
        HttpServer(Echo(), sockets=[], limits=HttpLimits(), tls=files_of(issued))
