"""The demo in a browser: collector, worker and live page in this process, until it is asked to stop.

Decides the order of things, the addresses, and when the page may be opened: when the worker runs. Each part
is the one that its own command starts. Invariant: whatever fails, all of them have ended when this returns.
"""

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from msgspec import structs

from worker import signals
from worker.adapters.http.limits import HttpLimits
from worker.adapters.http.server import HttpServer
from worker.app import run_worker
from worker.collector.listeners import address_in_use, bound
from worker.collector.service import Service
from worker.config import Config
from worker.config.address import Address, address_of
from worker.demo.run import running_since_s
from worker.errors import Fatal
from worker.live import server as live

GAP_MS = 15_000
OPTIONS: Mapping[str, str] = {
    # Short, so that one sees sessions end, begin and merge.
    "SESSIONIZER_SESSION_GAP_MS": str(GAP_MS),
    "SESSIONIZER_SESSION_GRACE_MS": "5000",
    "SESSIONIZER_SESSION_MAX_FUTURE_MS": "5000",
    "SESSIONIZER_SESSION_EVENT_TYPES": '{"logout": "unlink"}',
    "SESSIONIZER_COLLECT_ANONYMOUS": "true",
    "SESSIONIZER_COLLECT_REFUSED": "forward",  # so that dead letters can be looked at
    "SESSIONIZER_COLLECT_ADMIN_LISTEN": "",
}
"""What is different from the defaults, as variables."""

START_S = 60.0
DRAIN_S = 2.0


async def run_web(config: Config, log: Path, opened: Callable[[str], None], *, has_checksums: bool) -> None:
    """Run until a signal asks it to stop; ``opened`` is called with the page's address as soon as it works.

    ``log``: the file of the process's log. ``has_checksums``: whether the broker's records have them all.
    Raises Fatal where it cannot start, and what the worker raises.
    """
    stop = asyncio.Event()
    signals.listen(stop)
    public, config = _listening(config, "collect")
    pages, config = _listening(config, "live")
    service = Service(config, checks_topic=has_checksums)
    collector = HttpServer(
        service.application,
        sockets=public,
        limits=HttpLimits(max_body_bytes=config.collect.max_body_bytes),
        refusal=service.refusal,
        on_failure=service.on_failure,
    )
    settings = live.page_settings(config)
    parts = (
        run_worker(config, stop),
        collector.serve(),
        live.serve(config, pages, settings, stop, has_checksums=has_checksums),
        _open(service, log, stop, lambda: opened(f"http://{config.live.listen}/")),
    )
    async with service.running(stop):
        tasks = [asyncio.create_task(_stopping(stop, part)) for part in parts]
        await stop.wait()
        collector.drain(within_s=DRAIN_S)
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def _stopping(stop: asyncio.Event, part: Coroutine[Any, Any, object]) -> None:
    """Run a part; where one fails, all end."""
    try:
        await part
    except BaseException:
        stop.set()
        raise


async def _open(service: Service, log: Path, stop: asyncio.Event, opened: Callable[[], None]) -> None:
    """Call ``opened`` as soon as events can be stored and are processed."""
    deadline = time.monotonic() + START_S
    while not stop.is_set():
        if service.application.ready() and running_since_s(log) is not None:
            opened()
            return
        if time.monotonic() > deadline:
            raise Fatal(f"the worker did not start within {START_S:.0f} s: {log} says why")
        await asyncio.sleep(0.05)


def _listening(config: Config, section: str) -> tuple[list[socket.socket], Config]:
    """Sockets of ``collect`` or ``live``, and the configuration with their address.

    Where the configured port is taken, the system chooses one: a demo should start beside anything.
    """
    options = getattr(config, section)
    address = address_of(options.listen)
    assert address is not None, "checked with the configuration"
    try:
        sockets = bound(f"{section}.listen", address)
    except Fatal:
        sockets = bound(f"{section}.listen", Address(address.host, 0))
    listen = structs.replace(options, listen=address_in_use(sockets, address))
    return sockets, structs.replace(config, **{section: listen})
