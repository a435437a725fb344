"""The HTTPS API as a standard ASGI application, for other servers: ``uvicorn worker.asgi:app``.

Configured by the environment alone. Decides when the parts are made and closed, by the server's lifespan
messages; must not know any server. Limits of connections, headers and times are then that server's own, and
so are its signals. The invariant: no request is answered before the start is complete, or after the end.
"""

import asyncio
import os
from typing import Any

from worker import log_output, telemetry
from worker.collector.service import Service
from worker.config import ConfigError, load
from worker.errors import Fatal


class CollectorApp:
    """ASGI 3, with lifespan. Without lifespan messages each request fails: the parts are never made."""

    def __init__(self) -> None:
        self._service: Service | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one scope."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            if self._service is None:
                raise RuntimeError("this server must send lifespan events: turn them on")
            await self._service.application(scope, receive, send)
        else:
            raise RuntimeError(f"there is nothing to answer to {scope['type']}")

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()  # the server starts
        try:
            config = load(None, os.environ, collects=True)
            log_output.configure(
                log_output.format_here(config.log.format),
                config.log.level,
                instance=log_output.instance_here(config.log.instance),
            )
            service = Service(config)
        except (ConfigError, Fatal) as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        ended = asyncio.ensure_future(receive())
        try:
            await self._serve(service, ended, send)
        except Fatal as fatal:
            # The process is the server's, which is not ended from here: it answers 503 until it is stopped.
            telemetry.emit(telemetry.CollectFailed(reason=str(fatal)))
            if self._service is None:
                await send({"type": "lifespan.startup.failed", "message": str(fatal)})
                return
            await ended
        else:
            telemetry.emit(telemetry.CollectStopped(uptime_s=service.uptime_s))
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, service: Service, ended: "asyncio.Future[Any]", send: Any) -> None:
        """Serve until the server's message ``ended`` comes. Raises Fatal where it cannot go on."""
        failed = asyncio.Event()
        async with service.running(failed):
            self._service = service
            await send({"type": "lifespan.startup.complete"})
            failing = asyncio.create_task(failed.wait())
            await asyncio.wait((failing, ended), return_when=asyncio.FIRST_COMPLETED)
            failing.cancel()
            service.application.draining = service.application.drained = True


app = CollectorApp()
