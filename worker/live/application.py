"""The live page as an ASGI application: its files, the stream of a device, the newest dead letters.

Decides what each path answers. Knows nothing of Kafka, nor who is let through (``access``). Invariants: every
file is bytes in memory, so no request reaches the file system; what is put into the page is escaped.
"""

import html
from collections.abc import Mapping
from importlib import resources

from msgspec import Struct
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from worker.live.access import PROBE_PATH, Guard, policy
from worker.live.hub import Hub
from worker.live.stream import HEADERS as STREAM_HEADERS
from worker.live.stream import Stream

TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
MOST_DEVICE_CHARACTERS = 512


class PageSettings(Struct, frozen=True, kw_only=True):
    """What the page has to know.

    ``collector``: the origin, ``https://host``, to which it sends. ``gap_ms``: a session ends after so long.
    ``unlinks``: after the snippet's logout the device is nobody's.
    """

    collector: str
    write_key: str
    gap_ms: int
    unlinks: bool


def application(hub: Hub, settings: PageSettings, *, token: str) -> ASGIApp:
    """The application. Without a token it answers only requests to loopback names."""

    async def stream(request: Request) -> Response:
        device = request.query_params.get("device", "")
        if not 0 < len(device) <= MOST_DEVICE_CHARACTERS:
            return PlainTextResponse("?device= is missing, or too long\n", 400)
        if request.method == "HEAD":
            return Response(headers=STREAM_HEADERS)
        # A page that opens a stream by itself cannot set the header.
        last_id = request.headers.get("last-event-id") or request.query_params.get("last_event_id")
        return Stream(hub, device, last_id)

    async def dead_letters(_: Request) -> Response:
        letters = b",".join(
            b'{"seen_at":%d,"value":%s}' % (letter.seen_at_ms, letter.value) for letter in hub.dead_letters()
        )
        return Response(b"[" + letters + b"]", media_type="application/json")

    async def healthy(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    routes = [
        Route("/live/stream", stream, methods=["GET"]),
        Route("/live/dead-letters", dead_letters, methods=["GET"]),
        Route(PROBE_PATH, healthy, methods=["GET"]),
        *(_file(path, content, kind) for path, (content, kind) in _files(settings).items()),
    ]
    guard = Middleware(Guard, token=token, content_security_policy=policy(settings.collector))
    return Starlette(routes=routes, middleware=[guard])


def _file(path: str, content: bytes, kind: str) -> Route:
    async def answer(_: Request) -> Response:
        return Response(content, headers={"content-type": kind})

    return Route(path, answer, methods=["GET"])


def _files(settings: PageSettings) -> dict[str, tuple[bytes, str]]:
    """Path -> content and type of each file in ``static``; the page itself is ``/``."""
    found = {}
    for file in resources.files("worker.live").joinpath("static").iterdir():
        kind = TYPES["." + file.name.rpartition(".")[2]]
        found[f"/{file.name}"] = (file.read_bytes(), kind)
    page, kind = found.pop("/index.html")
    values = {
        "COLLECTOR": settings.collector,
        "WRITE_KEY": settings.write_key,
        "GAP_MS": str(settings.gap_ms),
        "LOGOUT": "unlink" if settings.unlinks else "",
    }
    text = page.decode()
    for name, value in values.items():
        text = text.replace(f"%{name}%", html.escape(value))
    return {"/": (text.encode(), kind), **found}
