"""What the operator's side asks a collector: ``/healthz``, ``/readyz`` and ``/metrics``.

An ASGI application of three paths, for an address of its own. Decides their answers; must not know how ready
or healthy are found. The invariant: whoever gets an answer from here learns figures, and nothing of events,
keys or clients.
"""

from collections.abc import Callable
from typing import Any

from prometheus_client.exposition import CONTENT_TYPE_LATEST

from worker.collector.figures import Figures

_TEXT = b"text/plain; charset=utf-8"


class Probes:
    """The ASGI application of the admin address."""

    def __init__(self, ready: Callable[[], bool], figures: Figures) -> None:
        self._ready = ready
        self._figures = figures

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        """Answer one request."""
        status, kind, body = self._answer(scope["method"], scope["path"])
        headers = [
            (b"content-type", kind),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        if status == 405:
            headers.append((b"allow", b"GET, HEAD"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _answer(self, method: str, path: str) -> tuple[int, bytes, bytes]:
        if path not in ("/healthz", "/readyz", "/metrics"):
            return 404, _TEXT, b"not found: there are /healthz, /readyz and /metrics\n"
        if method not in ("GET", "HEAD"):
            return 405, _TEXT, b"method not allowed\n"
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST.encode(), self._figures.exposition()
        if path == "/healthz" or self._ready():
            return 200, _TEXT, b"ok\n"
        return 503, _TEXT, b"not ready\n"
