"""The live page's server on a real socket: who is answered, with which headers, and what a stream carries."""

import asyncio
import contextlib
import http.client
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from testing.wait import wait_until
from worker.live import stream
from worker.live.application import PageSettings, application
from worker.live.hub import Hub, Message
from worker.live.server import web_server

TOKEN = "a-token-of-this-test"


@dataclass
class Server:
    """A running server, in a thread of its own. ``call`` runs something in its event loop."""

    port: int
    hub: Hub
    loop: asyncio.AbstractEventLoop

    def get(self, path: str, **headers: str) -> tuple[int, http.client.HTTPMessage, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(
                "GET", path, headers={name.replace("_", "-"): v for name, v in headers.items()}
            )
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()

    def publish(self, *messages: Message) -> None:
        for message in messages:
            self.loop.call_soon_threadsafe(self.hub.publish, message)


@contextlib.contextmanager
def served(token: str = "", *, subscribers: int = 100, queue: int = 256) -> Iterator[Server]:
    """The page's application under its server, on a free port of loopback."""
    hub = Hub(subscribers=subscribers, queue=queue)
    settings = PageSettings(
        collector="https://c.example", write_key='wk"><script>', gap_ms=1_800_000, unlinks=True
    )
    app = application(hub, settings, token=token)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = web_server(app, [listener])
        port = listener.getsockname()[1]
        loops: list[asyncio.AbstractEventLoop] = []

        async def main() -> None:
            loops.append(asyncio.get_running_loop())
            await server.serve()

        thread = threading.Thread(target=lambda: asyncio.run(main()))
        thread.start()
        try:
            wait_until(lambda: server.has_started, what="it listens")
            yield Server(port, hub, loops[0])
        finally:
            loops[0].call_soon_threadsafe(hub.close)
            loops[0].call_soon_threadsafe(lambda: server.drain(within_s=2))
            thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with served() as running:
        yield running


class Reader:
    """One open stream."""

    def __init__(self, server: Server, query: str = "device=d1", last_id: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        headers = {"last-event-id": last_id} if last_id else {}
        self._connection.request("GET", f"/live/stream?{query}", headers=headers)
        self.answer = self._connection.getresponse()

    def block(self) -> str:
        """The lines up to the next empty one."""
        lines = []
        while (line := self.answer.readline().decode()) not in ("\n", ""):
            lines.append(line)
        return "".join(lines)

    def blocks(self, count: int) -> list[str]:
        return [self.block() for _ in range(count)]

    def close(self) -> None:
        self._connection.close()
        self.answer.close()


@contextlib.contextmanager
def reading(server: Server, query: str = "device=d1", last_id: str = "") -> Iterator[Reader]:
    reader = Reader(server, query, last_id)
    try:
        yield reader
    finally:
        reader.close()


def event(number: int, device: str = "d1") -> Message:
    return Message("event", device, b'{"n":%d}' % number, 17)


def test_the_page_has_its_settings_escaped(server: Server) -> None:
    status, headers, page = server.get("/")
    assert status == 200
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert 'data-key="wk&quot;&gt;&lt;script&gt;"' in page
    assert 'src="https://c.example/s.js"' in page


def test_every_answer_keeps_the_page_to_itself(server: Server) -> None:
    for path in ("/", "/page.js", "/nothing", "/live/stream"):
        _, headers, _ = server.get(path)
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self' https://c.example;")
        assert "unsafe" not in policy
        assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


def test_the_page_has_no_script_and_no_style_of_its_own(server: Server) -> None:
    _, _, page = server.get("/")
    assert page.count("<script") == page.count("<script ") == 2
    assert "<style" not in page
    assert "style=" not in page
    assert " on" not in page.replace(" on ", " ").replace(" one", " ")


@pytest.mark.parametrize(
    "path", ["/../page.js", "/%2e%2e/access.py", "/static/page.js", "//page.js", "/page.js/"]
)
def test_only_paths_of_the_table_are_answered(server: Server, path: str) -> None:
    assert server.get(path)[0] in (307, 404)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8700", "localhost", "[::1]:8700", "live.localhost:80", "127.9.9.9"]
)
def test_loopback_names_are_answered(server: Server, host: str) -> None:
    assert server.get("/", host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "", "localhost:80:80"]
)
def test_a_name_that_was_made_to_point_here_is_not(server: Server, host: str) -> None:
    assert server.get("/live/dead-letters", host=host)[0] == 403


def test_other_sites_get_no_stream(server: Server) -> None:
    assert server.get("/live/stream?device=d1", sec_fetch_site="cross-site")[0] == 403


def test_elsewhere_the_token_is_asked_for() -> None:
    with served(TOKEN) as server:
        status, headers, text = server.get("/", host="live.example")
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
        assert TOKEN not in text
        assert server.get("/healthz", host="live.example")[0] == 200, "a probe has no token"
        assert server.get("/?token=wrong")[0] == 401
        assert server.get("/", cookie=f"sessionizer_live={TOKEN}")[0] == 401
        assert server.get("/", cookie="=;; a b; sessionizer_live")[0] == 401
        assert server.get("/", authorization=f"Bearer {TOKEN}", host="live.example")[0] == 200

        status, headers, _ = server.get(f"/?token={TOKEN}&a=1", host="live.example")
        assert (status, headers["location"]) == (303, "/?a=1"), "no token stays in the address"
        name, _, rest = headers["set-cookie"].partition("=")
        value, _, attributes = rest.partition(";")
        assert TOKEN not in value
        assert "httponly" in attributes.lower()
        assert "samesite=strict" in attributes.lower()
        assert server.get("/live/dead-letters", cookie=f"{name}={value}")[0] == 200


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example", "///evil.example/live/stream"])
def test_no_token_leads_to_another_host(path: str) -> None:
    with served(TOKEN) as server:
        status, headers, _ = server.get(f"{path}?token={TOKEN}", host="live.example")
        assert status == 303
        assert headers["location"].startswith("/evil.example")


def test_head_of_a_stream_has_an_end(server: Server) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as connection:
        connection.request("HEAD", "/live/stream?device=d1")
        answer = connection.getresponse()
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        answer.read()
        connection.request("GET", "/healthz")  # on the same connection
        assert connection.getresponse().status == 200
    assert server.hub.subscribers == 0


def test_a_stream_begins_with_what_is_kept_then_its_state(server: Server) -> None:
    with reading(server) as first:
        assert first.answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert first.answer.headers["x-accel-buffering"] == "no"
        assert first.blocks(2) == [
            "retry: 2000\n",
            'event: state\ndata: {"seen_at":0,"value":{"kafka":false}}\n',
        ]
        server.publish(event(1), event(2, "other"), event(3))
        epoch = server.hub.epoch
        assert first.blocks(2) == [
            f'id: {epoch}-1\nevent: event\ndata: {{"seen_at":17,"value":{{"n":1}}}}\n',
            f'id: {epoch}-2\nevent: event\ndata: {{"seen_at":17,"value":{{"n":3}}}}\n',
        ]
    for query, last_id in (("device=d1", f"{epoch}-1"), (f"device=d1&last_event_id={epoch}-1", "")):
        with reading(server, query, last_id) as back:
            _, missed, state = back.blocks(3)
            assert missed.startswith(f"id: {epoch}-2\n")
            assert state.startswith("event: state\n")


def test_who_missed_something_is_reset(server: Server) -> None:
    with reading(server, last_id="0000-7") as back:
        assert back.blocks(2) == ["retry: 2000\n", "event: reset\ndata: {}\n"]


def test_a_silent_stream_has_comments(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stream.IDLE_S == 15
    monkeypatch.setattr(stream, "IDLE_S", 0.05)
    with reading(server) as reader:
        assert reader.blocks(4)[2:] == [":\n", ":\n"]


def test_a_page_too_many_is_asked_to_come_back() -> None:
    with served(subscribers=1) as server, reading(server):
        status, headers, _ = server.get("/live/stream?device=d2")
        assert (status, headers["retry-after"]) == (503, "5")


def test_the_place_of_a_page_that_went_is_free_again() -> None:
    with served(subscribers=1) as server:
        with reading(server) as reader:
            reader.blocks(2)
        wait_until(lambda: server.hub.subscribers == 0, what="it was noticed")
        with reading(server) as reader:
            assert reader.answer.status == 200


def test_a_page_that_does_not_read_is_closed_and_costs_nobody_else() -> None:
    large = b'"' + b"x" * 100_000 + b'"'
    with served(queue=8) as server, reading(server) as slow:
        slow.blocks(2)
        for _ in range(400):
            server.publish(Message("event", "d1", large, 17))
        wait_until(lambda: server.hub.subscribers == 0 or _is_closed(server.hub), what="it was closed")
        with reading(server, "device=d2") as other:
            other.blocks(2)
            server.publish(event(1, "d2"))
            assert '"n":1' in other.block()


def _is_closed(hub: Hub) -> bool:
    return all(each.closed for each in list(hub._subscriptions))


@pytest.mark.parametrize("query", ["", "device=", "device=" + 513 * "x"])
def test_a_stream_is_of_a_device(server: Server, query: str) -> None:
    assert server.get(f"/live/stream?{query}")[0] == 400


def test_dead_letters_of_all_devices_can_be_looked_at(server: Server) -> None:
    assert server.get("/live/dead-letters")[2] == "[]"
    server.publish(Message("dead_letter", "", b'{"reason":"too_deep"}', 5))
    wait_until(server.hub.dead_letters, what="it is there")
    assert server.get("/live/dead-letters")[2] == '[{"seen_at":5,"value":{"reason":"too_deep"}}]'


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_connection_that_does_not_end_its_request_is_closed(server: Server, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as peer:
        peer.sendall(sent)
        answer = b"".join(iter(lambda: peer.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 408 ") if sent else not answer


def test_of_many_faults_of_the_page_one_is_logged(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_: Hub) -> list[Message]:
        raise ValueError("what a device sent")

    monkeypatch.setattr(Hub, "dead_letters", fails)
    for _ in range(3):
        assert server.get("/live/dead-letters")[0] == 500
    (line,) = capsys.readouterr().out.splitlines()
    assert "live.internal_error" in line
    assert "ValueError < " in line
    assert "what a device sent" not in line
