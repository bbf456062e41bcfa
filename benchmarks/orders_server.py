"""
A server process of the benchmark: ``python -m benchmarks.orders_server VARIANT data=FOLDER [database=URL]``.

``linli`` is linli; ``constant`` is linli whose ``POST /v1/orders`` does all but the order itself: key, limits,
deadline, body, the wish read, Idempotency-Key, digest of the payload, and then a constant answer.
"""

from __future__ import annotations

import gc
import hashlib
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

import engine
from benchmarks.http_server import serve_on
from service.http.app import create_app
from service.http.idempotency import idempotency_key
from service.http.protocol import WireLimits, limited_protocol
from service.orders import routes
from service.services import open_services
from service.settings import load_settings

if TYPE_CHECKING:
    from fastapi import Request, Response

__all__ = ["main"]

_ANSWER = b'{"x":"' + b"x" * 1_100 + b'"}'


def main(variant: str, **place: str) -> None:
    """Serve until killed; the first line printed is the port."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    if variant == "constant":
        vars(routes)["create_once"] = _constant
    folder, database = place["data"], place.get("database")
    settings = load_settings({}, data=f"{folder}-{variant}" if database else folder, database=database)
    with open_services(settings) as services:
        engine.warm_up()
        services.index.view.engine.prepare()
        app = create_app(services)
        gc.collect()
        gc.freeze()  # as `service.server.serve` does
        serve_on(app, listener, limited_protocol(WireLimits()))


async def _constant(request: Request, *_: Any, **__: Any) -> Response:
    from fastapi import Response

    idempotency_key(request)
    hashlib.sha256(await request.body()).hexdigest()
    return Response(_ANSWER, 201, {"ETag": '"2"', "Location": "/v1/orders/x"}, "application/json")


if __name__ == "__main__":
    main(sys.argv[1], **dict(pair.split("=", 1) for pair in sys.argv[2:]))
