"""The collector's process, part by part: what it counts, what it logs of brokers, how it listens and ends."""

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.commands import Sessionizer
from worker import log_output
from worker.collect.observer import Observer
from worker.collector.drain import Drain, finish_s, stop_s
from worker.collector.figures import Figures, Moment
from worker.collector.kafka_watch import KafkaWatch
from worker.collector.listeners import Sockets, address_in_use, bind, bound
from worker.collector.probes import Probes
from worker.config import Config, load
from worker.config.address import Address
from worker.errors import Fatal

pytestmark = pytest.mark.usefixtures("restored_logging")


def moment() -> Moment:
    return Moment(
        ready=True, pending_bytes=7, connections=3, stalled_partitions=1, keys_loaded=2, native_failures=1
    )


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


# --- Figures -----------------------------------------------------------------------------------------------


def test_an_interval_has_what_was_counted_since_the_one_before() -> None:
    figures = Figures(moment)
    observer: Observer = figures
    observer.answered(200, 0.004)
    observer.events("accepted", None, 5, "shop")
    observer.events("refused", "missing_field", 2, "shop")
    observer.events("refused", "missing_field", 1, "shop")
    observer.acknowledged(0.003)
    figures.refused_by_server(413)
    first = figures.interval()
    assert first.answers == {"200": 1, "413": 1}
    assert (first.events_accepted, first.events_refused) == (5, 3)
    assert first.refused == {"shop": {"missing_field": 3}}
    second = figures.interval()
    assert (second.answers, second.refused, second.ack_p50_s) == ({}, {}, None)


@pytest.mark.parametrize("seconds", [0.0001, 0.0007, 0.01, 0.3, 9.0])
def test_a_quantile_is_at_most_an_eighth_too_long(seconds: float) -> None:
    figures = Figures(moment)
    for _ in range(100):
        figures.acknowledged(seconds)
    found = figures.interval()
    assert found.ack_p50_s == found.ack_p99_s
    assert found.ack_p50_s is not None
    assert seconds <= found.ack_p50_s <= max(seconds * 1.125, 0.0005)


def test_the_slowest_of_a_hundred_is_beyond_the_99th_percentile() -> None:
    figures = Figures(moment)
    for seconds in (*([0.002] * 99), 5.0):
        figures.acknowledged(seconds)
    found = figures.interval()
    assert found.ack_p99_s == pytest.approx(0.002, rel=0.13)


def test_metrics_have_the_names_that_are_documented_and_no_name_of_a_key() -> None:
    figures = Figures(moment)
    figures.answered(503, 0.1)
    figures.events("refused", "too_deep", 1, "shop-key")
    figures.acknowledged(0.1)
    text = figures.exposition().decode()
    found = {line.partition("{")[0].partition(" ")[0] for line in text.splitlines() if line[0] != "#"}
    assert found >= {
        f"sessionizer_collect_{name}"
        for name in (
            *("requests_total", "events_total", "ack_seconds_bucket", "ack_seconds_count", "ack_seconds_sum"),
            *("pending_bytes", "connections", "stalled_partitions", "keys_loaded", "ready"),
            "native_failures_total",
        )
    }
    assert 'sessionizer_collect_requests_total{status="503"} 1.0' in text
    assert 'sessionizer_collect_ack_seconds_bucket{le="+Inf"} 1.0' in text
    assert "shop-key" not in text


def test_of_many_bugs_in_an_interval_one_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    log_output.configure("json", "info")
    figures = Figures(moment)
    figures.failed("KeyError < a.py:1 f")
    figures.failed("KeyError < a.py:1 f")
    assert [line["trace"] for line in lines(capsys)] == ["KeyError < a.py:1 f"]
    figures.interval()
    figures.failed("ValueError < b.py:2 g")
    assert [line["event"] for line in lines(capsys)] == ["collect.internal_error"]


# --- Probes ------------------------------------------------------------------------------------------------


def probed(method: str, path: str, *, ready: bool = True) -> tuple[int, bytes, dict[bytes, bytes]]:
    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    probes = Probes(lambda: ready, Figures(moment))
    asyncio.run(probes({"type": "http", "method": method, "path": path}, None, send))
    start, body = sent
    status, headers, content = start["status"], start["headers"], body["body"]
    assert isinstance(status, int)
    assert isinstance(headers, list)
    assert isinstance(content, bytes)
    return status, content, dict(headers)


def test_a_process_that_is_not_ready_is_healthy_all_the_same() -> None:
    assert [probed("GET", path, ready=False)[0] for path in ("/healthz", "/readyz")] == [200, 503]
    assert [probed("GET", path)[0] for path in ("/healthz", "/readyz")] == [200, 200]


def test_other_paths_and_methods_are_refused() -> None:
    assert probed("GET", "/v1/events")[0] == 404
    status, _, headers = probed("POST", "/metrics")
    assert (status, headers[b"allow"]) == (405, b"GET, HEAD")
    status, body, headers = probed("HEAD", "/metrics")
    assert (status, body) == (200, b"")
    assert int(headers[b"content-length"]) > 1_000


# --- Brokers that go and come -------------------------------------------------------------------------------


def test_brokers_that_are_slow_at_the_start_were_never_away(capsys: pytest.CaptureFixture[str]) -> None:
    log_output.configure("json", "info")
    watch = KafkaWatch(100.0)
    watch.look(101.0, stores=False, reason="no answer")
    watch.look(104.0, stores=True, reason="")
    assert lines(capsys) == []


def test_each_absence_is_one_pair_of_lines(capsys: pytest.CaptureFixture[str]) -> None:
    log_output.configure("json", "info")
    watch = KafkaWatch(100.0)
    for now, stores in ((101, True), (102, False), (103, False), (110, True), (111, True), (120, False)):
        watch.look(float(now), stores=stores, reason="nobody answers")
    found = [(line["event"], line.get("away_s"), line.get("reason")) for line in lines(capsys)]
    assert found == [
        ("collect.kafka_away", None, "nobody answers"),
        ("collect.kafka_back", 8.0, None),
        ("collect.kafka_away", None, "nobody answers"),
    ]


def test_brokers_that_are_not_there_at_the_start_are_away_after_a_while(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log_output.configure("json", "info")
    watch = KafkaWatch(100.0)
    for now in range(101, 110):
        watch.look(float(now), stores=False, reason="no answer")
    watch.look(112.0, stores=True, reason="")
    assert [line["event"] for line in lines(capsys)] == ["collect.kafka_away", "collect.kafka_back"]


# --- The end -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signals", "delay_s"),
    [
        ((), 0.0),  # a failure, not a signal
        ((signal.SIGTERM,), 600.0),
        ((signal.SIGINT,), 0.0),
        ((signal.SIGTERM, signal.SIGTERM), 0.0),
        ((signal.SIGTERM, signal.SIGINT), 0.0),
    ],
)
def test_only_one_sigterm_waits_for_load_balancers(
    signals: tuple[signal.Signals, ...], delay_s: float
) -> None:
    async def scenario() -> None:
        drain = Drain(600)
        for number in signals:
            drain.note(number)
        assert drain.asked.is_set() is bool(signals)
        assert drain.delay_s == delay_s
        if not delay_s:
            await asyncio.wait_for(drain.delay(), 30)

    asyncio.run(scenario())


def test_a_second_signal_ends_a_delay_that_has_begun() -> None:
    async def scenario() -> None:
        drain = Drain(600)
        drain.note(signal.SIGTERM)
        waiting = asyncio.create_task(drain.delay())
        await asyncio.sleep(0)
        drain.note(signal.SIGTERM)
        await asyncio.wait_for(waiting, 30)

    asyncio.run(scenario())


def test_what_waits_may_be_read_and_acknowledged_before_the_end() -> None:
    assert finish_s(read_s=10, ack_timeout_ms=10_000) == 20
    assert finish_s(read_s=10, ack_timeout_ms=60_500) == 70.5
    assert stop_s(delay_s=5, read_s=10, ack_timeout_ms=10_000) > 25


# --- Addresses ----------------------------------------------------------------------------------------------


def config_of(**variables: str) -> Config:
    return load(None, {f"SESSIONIZER_COLLECT_{name}": value for name, value in variables.items()})


@pytest.fixture
def open_sockets() -> Iterator[list[socket.socket]]:
    """Sockets to close after the test."""
    opened: list[socket.socket] = []
    yield opened
    for one in opened:
        one.close()


def test_several_processes_share_one_address_and_have_a_port_each_for_their_figures(
    open_sockets: list[socket.socket],
) -> None:
    first, second = bind(config_of(LISTEN="127.0.0.1:0", ADMIN_LISTEN="127.0.0.1:0"), processes=2)
    open_sockets += [*first.public, *first.admin, *second.admin]
    assert first.public == second.public
    assert first.admin[0].getsockname() != second.admin[0].getsockname()
    assert len(second.descriptors) == 2


def test_what_is_inherited_listens_on_the_same_port(open_sockets: list[socket.socket]) -> None:
    (bound_here,) = bind(config_of(LISTEN="127.0.0.1:0", ADMIN_LISTEN=""))
    open_sockets += bound_here.public
    assert bound_here.as_text() == f"{bound_here.public[0].fileno()}/"
    copy = bound_here.public[0].dup()
    taken = Sockets.inherited(f"{copy.detach()}/")
    open_sockets += taken.public
    assert taken.public[0].getsockname() == bound_here.public[0].getsockname()
    assert not taken.admin


def test_a_name_with_two_addresses_has_one_port(open_sockets: list[socket.socket]) -> None:
    sockets = bound("collect.listen", Address("localhost", 0))
    open_sockets += sockets
    assert len({one.getsockname()[1] for one in sockets}) == 1
    port = sockets[0].getsockname()[1]
    assert address_in_use(sockets, Address("localhost", 0)) == f"localhost:{port}"


@pytest.mark.parametrize("host", ["no-such-host.invalid", "203.0.113.7"])
def test_an_address_that_is_not_here_is_one_line(host: str) -> None:
    with pytest.raises(Fatal) as refused:
        bound("collect.listen", Address(host, 8080))
    assert str(refused.value).startswith(f"collect.listen = {host}:8080: cannot listen there: ")
    assert "\n" not in str(refused.value)


def test_no_socket_stays_open_where_the_second_address_is_taken(open_sockets: list[socket.socket]) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    open_sockets.append(taken)
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    config = config_of(LISTEN=f"127.0.0.1:{port}", ADMIN_LISTEN=f"127.0.0.1:{taken.getsockname()[1]}")
    with pytest.raises(Fatal, match=r"^collect\.admin_listen = .* another process listens there already$"):
        bind(config)
    open_sockets += bound("collect.listen", Address("127.0.0.1", port))


def test_more_processes_than_ports_are_refused() -> None:
    with pytest.raises(Fatal, match="process 1 would have port 65536"):
        bind(config_of(LISTEN="127.0.0.1:0", ADMIN_LISTEN="127.0.0.1:65535"), processes=2)


# --- The commands -------------------------------------------------------------------------------------------


@pytest.fixture
def answering() -> Iterator[HTTPServer]:
    """Something that answers /healthz with 200 and all else with 503."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/healthz" else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_health_asks_the_admin_address(sessionizer: Sessionizer, answering: HTTPServer) -> None:
    port = answering.server_port
    place = {"COLLECT_ADMIN_LISTEN": f"0.0.0.0:{port}", "COLLECT_LISTEN": "127.0.0.1:1"}
    ended = sessionizer("collect", "health", **place)
    assert (ended.code, ended.out) == (0, f"http://127.0.0.1:{port}/healthz: 200\n")
    ended = sessionizer("collect", "health", "--ready", **place)
    assert (ended.code, ended.out) == (1, f"http://127.0.0.1:{port}/readyz: 503\n")


def test_health_of_nobody_is_one_line(sessionizer: Sessionizer) -> None:
    ended = sessionizer("collect", "health", COLLECT_ADMIN_LISTEN="127.0.0.1:1")
    assert (ended.code, ended.out) == (1, "http://127.0.0.1:1/healthz: no answer: Connection refused\n")
    ended = sessionizer("collect", "health", COLLECT_ADMIN_LISTEN="")
    assert (ended.code, ended.err.count("\n")) == (2, 1)


@pytest.mark.parametrize("count", ["0", "two"])
def test_a_wrong_number_of_processes_is_wrong_usage(sessionizer: Sessionizer, count: str) -> None:
    ended = sessionizer("collect", "--processes", count, COLLECT_ANONYMOUS="true")
    assert ended.code == 2
    assert "from 1 on, or auto" in ended.err


@pytest.mark.parametrize("arguments", [(), ("--processes", "2")], ids=["one process", "several"])
def test_more_connections_than_open_files_are_no_start(arguments: tuple[str, ...]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "worker", "collect", *arguments],
        env={**os.environ, "SESSIONIZER_COLLECT_ANONYMOUS": "true", "SESSIONIZER_LOG_FORMAT": "json"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1_000, 1_000)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    (line,) = [json.loads(line) for line in ended.stdout.splitlines()]
    assert line["event"] == "collect.failed"
    assert line["reason"] == (
        "collect.max_connections = 10000: needs 10,100 open files, and 1,000 are allowed here: raise the "
        "limit (ulimit -n, LimitNOFILE=), or lower the option"
    )
