"""The counter over HTTP: orders are handed over to whoever shows their code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from service.http.access import Counter, not_found
from service.http.context import RequestContext, services_of
from service.http.problems import ProblemError
from service.http.routing import StrictRoute, problems
from service.orders.act_routes import answer_with
from service.orders.collecting import Shown, collect
from service.orders.rules import ENDED, Party
from service.orders.schemas import CollectBody, OrderAnswer
from service.orders.seeing import find_seen
from service.payments.store import payment_of
from service.points.routes import own_merchant
from service.points.store import find_point

if TYPE_CHECKING:
    from service.orders.store import OrderRecord
    from service.store.connections import AnyRow, WriteConnection

__all__ = ["router"]

router = APIRouter(tags=["orders"], route_class=StrictRoute)

_COLLECTS = problems(
    "not-found", "state-conflict", "code-wrong", "code-used", "invalid-json", "text-invalid", "unsupported-media-type",
    "payload-too-large",
)  # fmt: skip


@router.post(
    "/v1/points/{point_id}:collect",
    summary="Hand over what a code stands for",
    response_model=OrderAnswer,
    responses=_COLLECTS,
)
async def collect_at_point(request: Request, context: Counter, point_id: str, body: CollectBody) -> Response:
    """Enter a code at the counter: the order that it stands for is handed over. After five wrong codes, wait."""
    own_merchant(context, point_id)
    found = await services_of(request).reads.run(context, lambda connection: find_point(connection, point_id))
    if found is None:
        raise not_found()
    return await _collect(request, context, Shown(point_id, body.code, None, body.collector))


@router.post(
    "/v1/orders/{order_id}:collect", summary="Hand an order over", response_model=OrderAnswer, responses=_COLLECTS
)
async def collect_order(request: Request, context: Counter, order_id: str, body: CollectBody) -> Response:
    """Hand a known order over to whoever shows its code."""
    services = services_of(request)
    found = await services.reads.run(context, lambda connection: find_seen(connection, context, order_id))
    if found.row.state in ENDED:
        raise ProblemError("state-conflict", f"the order is {found.row.state}: it cannot be collected any more")
    return await _collect(request, context, Shown(found.row.point_id, body.code, order_id, body.collector))


async def _collect(request: Request, context: RequestContext, shown: Shown) -> Response:
    services, actor = services_of(request), context.key_holder.key_id

    def write(connection: WriteConnection) -> tuple[OrderRecord | ProblemError, AnyRow | None]:
        found = collect(connection, services.orders, shown, actor)
        if isinstance(found, ProblemError):
            return found, None
        return found, payment_of(connection, found.row)

    found, payment = await services.store.write(write, context.deadline)
    if isinstance(found, ProblemError):
        raise found
    return answer_with(found, payment, Party.MERCHANT)
