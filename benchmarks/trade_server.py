"""
A server process of the benchmark: ``python -m benchmarks.trade_server VARIANT data=FOLDER [database=URL] WORDS``.

``linli`` is linli; ``constant`` is linli whose POST to ``path`` does all but what it is for: key, limits, deadline, body,
what is wanted read, Idempotency-Key, digest of the payload, and then a constant answer. ``routes`` is the module that
holds it, ``skipped`` what else is left out of it, apart by commas.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import socket
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import engine
from benchmarks.http_server import serve_on
from service.garbage import settle_garbage
from service.http.app import create_app
from service.http.idempotency import idempotency_key
from service.http.protocol import WireLimits, limited_protocol
from service.services import open_services
from service.settings import load_settings

if TYPE_CHECKING:
    from fastapi import Request, Response

__all__ = ["main"]

_ANSWER = b'{"x":"' + b"x" * 1_100 + b'"}'


def main(variant: str, words: Mapping[str, str]) -> None:
    """Serve until killed; the first line printed is the port."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    if variant == "constant":
        routes = vars(importlib.import_module(words["routes"]))
        routes |= dict.fromkeys(filter(None, words["skipped"].split(",")), _nothing)
        routes["create_once"] = _constant(f"{words['path']}/x")
    folder, database = words["data"], words.get("database")
    settings = load_settings({}, data=f"{folder}-{variant}" if database else folder, database=database)
    with open_services(settings) as services:
        engine.warm_up()
        services.index.view.engine.prepare()
        app = create_app(services)
        settle_garbage()
        serve_on(app, listener, limited_protocol(WireLimits()))


async def _nothing(*_: Any, **__: Any) -> None:
    pass


def _constant(location: str) -> Any:
    from fastapi import Response

    async def answer(request: Request, *_: Any, **__: Any) -> Response:
        idempotency_key(request)
        hashlib.sha256(await request.body()).hexdigest()
        return Response(_ANSWER, 201, {"ETag": '"2"', "Location": location}, "application/json")

    return answer


if __name__ == "__main__":
    main(sys.argv[1], dict(pair.split("=", 1) for pair in sys.argv[2:]))
