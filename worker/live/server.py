"""The process of the live page: reads the topics, serves the page, ends in order.

The composition of the package. Decides what runs beside what; must not decide what a page shows or who may
open it. Invariant: when it ends, every stream has ended and nothing listens any more.
"""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from worker.adapters.kafka.security import client_options
from worker.adapters.kafka.topic_tail import TopicTail
from worker.config import Config, ConfigError
from worker.config.address import address_of
from worker.errors import Fatal
from worker.lifecycle import in_background
from worker.live.application import PageSettings, application
from worker.live.hub import SUBSCRIBERS, Hub
from worker.live.records import KINDS, message_of
from worker.model.topics import Role

_BACKLOG = 128
_UNREAD_MS = 30_000
_CONNECTIONS = 4 * SUBSCRIBERS


def page_settings(config: Config, collector: str = "") -> PageSettings:
    """What the page is given. ``collector``: its URL, where the options do not name it."""
    scheme = "https" if config.collect.tls_certfile else "http"
    return PageSettings(
        collector=config.live.collector or collector or f"{scheme}://{config.collect.listen}",
        write_key=config.live.write_key.reveal(),
        gap_ms=config.session.gap_ms,
    )


def listening(config: Config) -> socket.socket:
    """A socket on ``live.listen``. ConfigError: it may not be listened on; Fatal: it cannot be."""
    address = address_of(config.live.listen)
    assert address is not None, "checked with the configuration"
    if not address.is_loopback and not config.live.token:
        raise ConfigError(
            [f'live.listen = "{config.live.listen}": needs live.token: others than this machine reach it']
        )
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # a page that never reads: its connection ends, buffer or not
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)
        server.bind((address.host, address.port))
        server.listen(_BACKLOG)
    except OSError as error:
        server.close()
        raise Fatal(f"live.listen: cannot listen on {address}: {error.strerror}") from error
    return server


async def serve(
    config: Config,
    server: socket.socket,
    settings: PageSettings,
    stop: asyncio.Event,
    *,
    has_checksums: bool = True,
) -> None:
    """Serve the page on the socket until ``stop`` is set; closes the socket.

    ``has_checksums``: whether the broker's records have them all.
    """
    hub = Hub()
    app = application(hub, settings, token=config.live.token.reveal())
    async with in_background(stop, _feed(hub, config, has_checksums=has_checksums)):
        web = _Server(
            uvicorn.Config(
                app,
                access_log=False,  # addresses hold tokens and device ids
                http="httptools",
                interface="asgi3",
                lifespan="off",
                limit_concurrency=_CONNECTIONS,
                log_config=None,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=2,
                ws="none",
            )
        )
        serving = asyncio.create_task(web.serve([server]))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        hub.close()
        web.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """uvicorn's server without its own handling of signals, which belongs to the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _feed(hub: Hub, config: Config, *, has_checksums: bool) -> None:
    """Publish what the topics get. Until cancelled."""
    roles: dict[str, Role] = {config.topic_name(role): role for role in KINDS if config.topic_name(role)}
    tail = TopicTail(client_options(config.kafka), roles, check_checksums=has_checksums)
    async for batch in tail.batches():
        hub.set_connected(tail.connected)
        now_ms = time.time_ns() // 1_000_000
        for record in batch:
            message = message_of(roles[record.topic], record, now_ms)
            if message is not None:
                hub.publish(message)
