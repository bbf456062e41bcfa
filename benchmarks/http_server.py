"""
A server process of the benchmark: ``python -m benchmarks.http_server VARIANT FOLDER BYTES CORES``.

``bare`` is a raw ASGI route with a constant answer on stock uvicorn; ``gate`` is linli with everything before the
engine (key, limits, deadline, metrics, the question read) and the same constant; ``unsearched`` is linli whose engine
finds the first row at once, so that everything but the search is done; ``linli`` is linli. CORES is ``one`` or ``all``.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

import engine
from engine.answers import Found
from service.garbage import settle_garbage
from service.http.app import create_app
from service.http.gate import Gate
from service.http.protocol import WireLimits, limited_protocol
from service.matching.asks import ask_of
from service.matching.single_route import MATCH
from service.services import open_services
from service.settings import load_settings

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from service.http.context import RequestContext
    from service.services import Services

__all__ = ["VARIANTS", "main", "serve_on"]

VARIANTS = ("bare", "gate", "unsearched", "linli")


def main(variant: str, folder: str, n_bytes: int, cores: str) -> None:
    """Serve until killed; the first line printed is the port."""
    if cores == "one":
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    constant = b'"' + b"x" * (n_bytes - 2) + b'"'
    if variant == "bare":
        serve_on(_bare(constant), listener, "httptools")
        return
    with open_services(load_settings({}, data=Path(folder), verify_s=3600.0, poll_s=1.0)) as services:
        engine.warm_up()
        services.index.view.engine.prepare()
        app = create_app(services)
        if variant == "gate":
            app = Gate(services, {MATCH: _without_engine(constant)}, app)
        if variant == "unsearched":
            kept = Found([0], [1.0], services.index.view.engine.facts)
            services.index.view.engine.found = lambda *_, **__: kept  # type: ignore[method-assign]
        settle_garbage()
        serve_on(app, listener, limited_protocol(WireLimits()))


def _bare(constant: bytes) -> Any:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(constant))]

    async def answer(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["path"] == "/v1/match":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": constant})

    return answer


def _without_engine(constant: bytes) -> Any:
    def answer(services: Services, scope: Scope, _context: RequestContext) -> bytes:
        ask_of(scope["query_string"], services)
        return constant

    return answer


def serve_on(app: Any, listener: socket.socket, protocol: Any) -> None:
    """Serve an application on a socket until killed; its port is printed first."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=protocol,
        ws="none",
        lifespan="off",
        proxy_headers=False,
        access_log=False,
        log_config=None,
    )
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
