"""By which rules a merchant's orders find their next point, over HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import AfterValidator, Field

from service.audit.store import actor_of, record
from service.http.access import AdminOrMerchant, not_found, owner_of
from service.http.context import RequestContext, services_of
from service.http.fields import Answer, Body
from service.http.problems import invalid
from service.http.routing import StrictRoute, problems
from service.orders.routing import RULES, Routing, routing_of, set_routing
from service.points.store import has_merchant, merchant_lock

if TYPE_CHECKING:
    from service.store.connections import ReadConnection, WriteConnection

__all__ = ["router"]

router = APIRouter(prefix="/v1/merchants", tags=["merchants"], route_class=StrictRoute)
_USUAL = Routing()


def _once(rules: list[str]) -> list[str]:
    if len(set(rules)) != len(rules):
        raise invalid("", "must name a rule once")
    return rules


class RoutingBody(Body):
    """Who takes an order over that a point rejects: the first rule that tells two ways apart decides."""

    rules: Annotated[
        list[Literal["splits", "district", "distance"]],
        Field(min_length=1, max_length=len(RULES)),
        AfterValidator(_once),
    ] = Field(
        ["splits", "district", "distance"],
        description="splits: the fewest points go first; left out: no order is divided, whatever its `max_points` says. "
        "district: those with the same `district:` feature go first.",
    )
    cool_down_s: Annotated[int, Field(ge=0, le=86_400)] = Field(
        _USUAL.cool_down_s, description="For how long a point that rejected gets no order that another rejects."
    )
    most_moves: Annotated[int, Field(ge=0, le=10)] = Field(
        _USUAL.most_moves, description="How often an order is handed on; 0: never."
    )


class RoutingAnswer(Answer):
    """The rules of a merchant."""

    merchant_id: str
    rules: list[str]
    cool_down_s: int
    most_moves: int


@router.put(
    "/{merchant_id}/routing",
    summary="Say who takes over what a point rejects",
    responses=problems("not-found", "invalid-json", "text-invalid", "unsupported-media-type", "payload-too-large"),
)
async def put_routing(request: Request, context: AdminOrMerchant, merchant_id: str, body: RoutingBody) -> RoutingAnswer:
    """Set the rules by which a rejected order finds the merchant's next point, or the few that have all of it together."""
    _check_own(context, merchant_id)

    def write(connection: WriteConnection) -> None:
        merchant_lock(connection, merchant_id)
        if not has_merchant(connection, merchant_id):
            raise not_found()
        set_routing(connection, merchant_id, json.dumps(body.model_dump()))
        record(connection, actor_of(context), "merchant.routing", merchant_id, merchant_id, rules=list(body.rules))

    await services_of(request).store.write(write, context.deadline)
    return RoutingAnswer(merchant_id=merchant_id, **body.model_dump())


@router.get("/{merchant_id}/routing", summary="Who takes over what a point rejects", responses=problems("not-found"))
async def get_routing(request: Request, context: AdminOrMerchant, merchant_id: str) -> RoutingAnswer:
    """Read the rules by which a rejected order finds the merchant's next point."""
    _check_own(context, merchant_id)

    def read(connection: ReadConnection) -> Routing:
        if not has_merchant(connection, merchant_id):
            raise not_found()
        return routing_of(connection, merchant_id)

    found = await services_of(request).reads.run(context, read)
    return RoutingAnswer(
        merchant_id=merchant_id, rules=list(found.rules), cool_down_s=found.cool_down_s, most_moves=found.most_moves
    )


def _check_own(context: RequestContext, merchant_id: str) -> None:
    if owner_of(context) not in {None, merchant_id}:
        raise not_found()
