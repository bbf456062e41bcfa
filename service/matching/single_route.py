"""``GET /v1/match``: the one route that answers past the framework, since it is asked many thousand times a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from service.matching.asks import ask_of
from service.matching.replies import reply_at_once

if TYPE_CHECKING:
    from starlette.types import Scope

    from service.http.context import RequestContext
    from service.services import Services

__all__ = ["MATCH", "dump", "match"]

MATCH = ("GET", "/v1/match")


def match(services: Services, scope: Scope, _context: RequestContext) -> bytes | None:
    """Answer one question; None where that may take longer than a moment, so that a thread must do it."""
    reply = reply_at_once(services, ask_of(scope["query_string"], services))
    return None if reply is None else dump(reply)


def dump(reply: object) -> bytes:
    """Return an answer as JSON, instants in UTC with a Z."""
    return orjson.dumps(reply, option=orjson.OPT_UTC_Z)
