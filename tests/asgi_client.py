"""Calls an ASGI application as a server does, and returns its answer."""

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import json

from worker.collect.application import Application


@dataclass(frozen=True)
class Answered:
    """Status, headers by name (each at most once) and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.decode(self.body)


async def ask(
    application: Application,
    path: str = "/v1/events",
    body: bytes | Iterable[bytes] = b"",
    *,
    method: str = "POST",
    headers: Sequence[tuple[str, str]] = (),
    client: str = "127.0.0.1",
) -> Answered:
    """The answer to one request. A body in pieces is delivered in as many messages."""
    raw_path, _, query = path.partition("?")
    pieces = [body] if isinstance(body, bytes) else list(body)
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": place < len(pieces)}
        for place, piece in enumerate(pieces, 1)
    ]
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": raw_path,
        "raw_path": raw_path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
        "client": (client, 40_000),
    }
    await application(scope, receive, send)
    start, end = sent
    names = [name for name, _ in start["headers"]]
    assert len(set(names)) == len(names), "a header is there twice"
    return Answered(
        start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, end["body"]
    )
