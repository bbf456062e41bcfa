"""A process that serves: it opens everything, listens, and stops without dropping what it has taken."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from typing import TYPE_CHECKING

import uvicorn

from engine import warm_up
from service.garbage import settle_garbage
from service.http.app import create_app
from service.http.protocol import WireLimits, limited_protocol
from service.kernels import prepare_kernels
from service.services import open_services
from service.stopping import end_if_told, end_on_sigterm

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Generator
    from types import FrameType

    from service.services import Services
    from service.settings import Settings

__all__ = ["serve"]

_LOG = logging.getLogger(__name__)
_KEEP_ALIVE_S = 75
_LET_IN_S = 0.05
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class _Server(uvicorn.Server):
    """Stops in three steps: say so to /readyz, take no more, let running requests end."""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self._services = services
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Hear signals while it serves, and none from then on: it is about to end, and closes what it opened first."""
        for number in _SIGNALS:
            signal.signal(number, self.handle_exit)
        try:
            yield
        finally:
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_IGN)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; a second signal cuts the announcement short, a second Ctrl-C the running requests too."""
        if self._loop is None or not self.started:
            super().handle_exit(sig, frame)
            return
        if self._services.is_draining:
            self.force_exit = self.force_exit or sig == signal.SIGINT
            self.should_exit = True
            return
        self._services.is_draining = True
        _LOG.info("draining")
        self._loop.call_soon_threadsafe(self._loop.call_later, self._services.settings.server.announce_s, self._stop)

    def _stop(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Idle connections are closed first; a request that came just before is still let in.
        asyncio.get_running_loop().call_later(_LET_IN_S, self._services.stop_taking)
        await super().shutdown(sockets)
        await self._services.rates.close()


def serve(
    settings: Settings, listener: socket.socket, opened: Callable[[Services], None], *, worker: int | None = None
) -> None:
    """
    Serve until a signal says stop.

    Parameters
    ----------
    settings
        All of them.
    listener
        Bound; several processes may share it.
    opened
        Called once everything is open, before the first request.
    worker
        Its number, where there are several.
    """
    # A signal during the start ends it as an exception does: what was opened is closed.
    end_on_sigterm()
    prepare_kernels()
    warm_up()  # nothing is compiled or loaded under load
    with open_services(settings, worker=worker) as services:
        listener.listen()
        opened(services)
        config = _config(settings, services)
        settle_garbage()
        end_if_told()
        _Server(config, services).run(sockets=[listener])


def _config(settings: Settings, services: Services) -> uvicorn.Config:
    limits = settings.limits
    wire = WireLimits(receive_head_s=limits.receive_s, receive_body_s=limits.receive_s)
    return uvicorn.Config(
        create_app(services),
        http=limited_protocol(wire, services.metrics.count_refusal),
        loop="uvloop",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=bool(settings.server.proxies),
        forwarded_allow_ips=settings.server.proxies or None,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(settings.server.drain_s) or 1,
        backlog=2048,
    )
