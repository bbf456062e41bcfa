"""Whether it lives, whether it should get requests, what it has counted."""

from __future__ import annotations

import ipaddress
from typing import Any

from fastapi import APIRouter, Request, Response

from service.http.context import services_of
from service.http.problems import unauthenticated
from service.http.routing import StrictRoute
from service.keys.formats import is_well_formed
from service.metrics import MEDIA_TYPE

__all__ = ["router"]

router = APIRouter(tags=["operation"], route_class=StrictRoute)


@router.get("/healthz", summary="Whether this process lives")
async def healthz() -> dict[str, str]:
    """Answer while the process can; neither database nor Redis is asked."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    summary="Whether this process should get requests",
    responses={503: {"description": "It should get none; `why` says so."}},
)
async def readyz(request: Request, response: Response) -> dict[str, Any]:
    """Answer 503 while the index is behind or the server is about to stop."""
    services = services_of(request)
    why = services.why_not_ready()
    response.status_code = 200 if why is None else 503
    age_s = services.follower.age_s
    return {
        "ready": why is None,
        "why": why,
        "index_version": str(services.follower.position),
        "index_age_s": None if age_s is None else round(age_s, 3),
        "points": services.index.n_points,
    }


@router.get("/metrics", summary="What was counted, as Prometheus reads it", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Tell the metrics to this machine, and to holders of an admin key."""
    if not (_is_local(request) or _is_admin(request)):
        raise unauthenticated("metrics are told on this machine, or with an admin key")
    return Response(services_of(request).metrics.text(), media_type=MEDIA_TYPE)


def _is_local(request: Request) -> bool:
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:  # a proxy may tell a name
        return False


def _is_admin(request: Request) -> bool:
    kind, _, key = request.headers.get("authorization", "").partition(" ")
    services = services_of(request)
    caller = services.ring.caller_of(key, services.clock.now_us()) if is_well_formed(key) else None
    return kind.lower() == "bearer" and caller is not None and caller.scope == "admin"
