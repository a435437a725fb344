"""A collector whose answers a test decides, and a site on another origin whose pages have the snippet.

For what the snippet does with answers that a real collector gives only in trouble. Knows nothing of events.
Invariant: every request is recorded before it is answered.
"""

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from worker.collect.snippet import served


@dataclass(frozen=True)
class Request:
    """A request that carried events."""

    query: dict[str, list[str]]
    headers: Mapping[str, str]  # names in lower case
    body: str

    @property
    def events(self) -> list[dict[str, Any]]:
        decoded: list[dict[str, Any]] = json.loads(self.body)
        return decoded

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def key(self) -> str:
        return self.query["idempotency_key"][0]


@dataclass(frozen=True)
class Answer:
    status: int
    body: dict[str, Any] = field(default_factory=dict)
    retry_after: int | None = None


class ScriptedCollector:
    """``requests``: those with events, in order. ``answers``: what the next ones get; then all get 200."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.methods: list[str] = []
        self.answers: list[Answer] = []
        self.attributes = 'data-key="wk_test"'
        self.url = self.site = ""

    @property
    def types(self) -> list[str]:
        """The types of all events that came, in order."""
        return [name for request in list(self.requests) for name in request.types]

    def page(self) -> bytes:
        """A page of the site."""
        script = f'<script src="{self.url}/s.js" {self.attributes}></script>'
        return f"<!doctype html><title>A shop</title>{script}<p>goods".encode()


@contextlib.contextmanager
def scripted_collector() -> Iterator[ScriptedCollector]:
    """Collector and site, each on a port of loopback, within the block."""
    collector = ScriptedCollector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/s.js":
                self._answer(200, served(), "text/javascript")
            else:
                self._answer(200, collector.page(), "text/html")

        def do_OPTIONS(self) -> None:
            collector.methods.append("OPTIONS")
            self._answer(204, b"", "text/plain")

        def do_POST(self) -> None:
            collector.methods.append("POST")
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            query = parse_qs(urlsplit(self.path).query)
            headers = {name.lower(): value for name, value in self.headers.items()}
            collector.requests.append(Request(query, headers, body))
            answer = collector.answers.pop(0) if collector.answers else Answer(200, {"refused": []})
            self._answer(
                answer.status, json.dumps(answer.body).encode(), "application/json", answer.retry_after
            )

        def _answer(self, status: int, body: bytes, kind: str, retry_after: int | None = None) -> None:
            with contextlib.suppress(OSError):  # the page may be gone
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.send_header("access-control-allow-origin", "*")
                self.send_header("access-control-expose-headers", "Retry-After")
                if retry_after is not None:
                    self.send_header("retry-after", str(retry_after))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing on the screen."""

    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(_serving(Handler)) for _ in range(2)]
        collector.url, collector.site = (f"http://127.0.0.1:{server.server_port}" for server in servers)
        yield collector


@contextlib.contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
