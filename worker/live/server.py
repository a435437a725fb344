"""The process of the live page: reads the topics, serves the page, ends in order.

The composition of the package. Decides what runs beside what; must not decide what a page shows or who may
open it. Invariant: when it ends, every stream has ended and nothing listens any more.
"""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import aclosing

from starlette.types import ASGIApp

from worker import __version__, log_output, signals, telemetry
from worker.adapters.http.limits import HttpLimits
from worker.adapters.http.server import HttpServer
from worker.adapters.kafka.security import client_options
from worker.adapters.kafka.topic_tail import TopicTail
from worker.collect.application import trace_of
from worker.collector.listeners import address_in_use, bound
from worker.config import Config
from worker.config.address import address_of
from worker.lifecycle import exit_code, in_background
from worker.live.application import PageSettings, application
from worker.live.hub import SUBSCRIBERS, Hub
from worker.live.records import KINDS, message_of
from worker.model.topics import Role

_CONNECTIONS = 4 * SUBSCRIBERS
_BODY_BYTES = 1_024
"""No path of the page takes a body."""
_END_S = 2.0
_SILENT_S = 60.0


def page_settings(config: Config) -> PageSettings:
    """What the page is given. Where the options name no collector it is the one on this machine."""
    scheme = "https" if config.collect.tls_certfile else "http"
    address = address_of(config.collect.listen)
    assert address is not None, "checked with the configuration"
    if address.host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not listened on
        address = address._replace(host="127.0.0.1")
    types = config.session.event_types
    return PageSettings(
        collector=config.live.collector or f"{scheme}://{address}",
        write_key=config.live.write_key.reveal(),
        gap_ms=config.session.gap_ms,
        unlinks=(types.get("logout") or types.get("*")) == "unlink",
    )


def listening(config: Config) -> list[socket.socket]:
    """Sockets on ``live.listen``. Raises Fatal where none can be."""
    address = address_of(config.live.listen)
    assert address is not None, "checked with the configuration"
    return bound("live.listen", address)


def run(config: Config) -> int:
    """Serve the page in this process until it is asked to stop; returns the exit code."""
    log_output.configure(
        log_output.format_here(config.log.format),
        config.log.level,
        instance=log_output.instance_here(config.log.instance),
    )

    async def until_signalled() -> int:
        started = time.monotonic()
        stop = asyncio.Event()
        signals.listen(stop)
        sockets = listening(config)
        settings = page_settings(config)
        address = address_of(config.live.listen)
        assert address is not None
        telemetry.emit(
            telemetry.LiveStarted(
                version=__version__, listen=address_in_use(sockets, address), collector=settings.collector
            )
        )
        await serve(config, sockets, settings, stop)
        telemetry.emit(telemetry.LiveStopped(uptime_s=round(time.monotonic() - started, 1)))
        return 0

    return exit_code(until_signalled, failure=telemetry.LiveFailed)


async def serve(
    config: Config,
    sockets: list[socket.socket],
    settings: PageSettings,
    stop: asyncio.Event,
    *,
    has_checksums: bool = True,
) -> None:
    """Serve the page on the sockets until ``stop`` is set; closes them.

    ``has_checksums``: whether the broker's records have them all.
    """
    hub = Hub()
    async with in_background(stop, _feed(hub, config, has_checksums=has_checksums)):
        web = web_server(application(hub, settings, token=config.live.token.reveal()), sockets)
        serving = asyncio.create_task(web.serve())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        hub.close()
        web.drain(within_s=_END_S)
        await serving


def web_server(app: ASGIApp, sockets: list[socket.socket]) -> HttpServer:
    """The server of the page: with the deadlines and limits of the HTTPS API's, and as silent as that."""
    return HttpServer(
        app,
        sockets=sockets,
        limits=HttpLimits(max_connections=_CONNECTIONS, max_body_bytes=_BODY_BYTES),
        on_failure=_Failures(time.monotonic).note,
    )


class _Failures:
    """Logs a request at which the code failed, one of them a minute."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._silent_until_s = 0.0

    def note(self, error: BaseException) -> None:
        """A request was answered 500, or cut off."""
        now_s = self._monotonic()
        if now_s >= self._silent_until_s:
            self._silent_until_s = now_s + _SILENT_S
            telemetry.emit(telemetry.LiveInternalError(trace=trace_of(error)))


async def _feed(hub: Hub, config: Config, *, has_checksums: bool) -> None:
    """Publish what the topics get. Until cancelled."""
    roles: dict[str, Role] = {config.topic_name(role): role for role in KINDS if config.topic_name(role)}
    tail = TopicTail(client_options(config.kafka), roles, check_checksums=has_checksums)
    async with aclosing(tail.batches()) as batches:
        async for batch in batches:
            hub.set_connected(tail.connected)
            now_ms = time.time_ns() // 1_000_000
            for record in batch:
                message = message_of(roles[record.topic], record, now_ms)
                if message is not None:
                    hub.publish(message)
