"""Points over HTTP: parts of them changed, and their days to come."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response

from engine import hours_preview
from service.audit.store import actor_of, record
from service.clock import from_us
from service.feed.columns import joined_features
from service.http.access import AdminOrMerchant, Anyone, not_found
from service.http.context import RequestContext, services_of
from service.http.fields import whole_from
from service.http.problems import as_problem, invalid
from service.http.query_text import day_of
from service.http.revisions import check_match
from service.http.routing import StrictRoute, problems
from service.orders.stranding import OpenOrders, SecondWord, write_change
from service.points.routes import WRITES, json_answer, own_merchant, owned
from service.points.rules import check_hours, special_days_text
from service.points.schemas import (
    CapacityAnswer,
    CapacityBody,
    DayAnswer,
    HoursAnswer,
    PauseBody,
    PointAnswer,
    PointPatch,
)
from service.points.special_days import hours_with_special_days
from service.points.store import PointRecord, change_point, find_point, merchant_lock, set_capacity, set_offer_paused
from service.points.views import is_public, point_answer, point_etag

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.store.connections import AnyRow, WriteConnection

__all__ = ["router"]

router = APIRouter(prefix="/v1/points", tags=["points"], route_class=StrictRoute)


@router.patch(
    "/{point_id}",
    summary="Change some of a point",
    response_model=PointAnswer,
    responses=problems(*WRITES, "state-conflict", "precondition-failed", "precondition-required"),
)
async def patch_point(
    request: Request, context: AdminOrMerchant, point_id: str, body: PointPatch, open_orders: SecondWord = None
) -> Response:
    """
    Change what the body names, and leave the rest; `If-Match` holds the ETag that was read.

    That is `name`, `address`, `visibility`, `features`, `special_days` and `paused`. All else, offers with their hours,
    areas and lead times too, is changed by a `PUT` of the whole point.
    """

    def change(connection: WriteConnection, before: PointRecord) -> None:
        check_match(request, point_etag(before))
        change_point(connection, before, _patched(before, body))

    names = sorted(body.model_fields_set)
    return await _changed(request, context, point_id, change, "point.change", word=open_orders, names=names)


def _patched(before: PointRecord, body: PointPatch) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(body, name) for name in body.model_fields_set}
    if "features" in values:
        values["features"] = joined_features(body.features)
    if "paused" in values:
        values["is_paused"] = values.pop("paused")
    if "special_days" in values:
        values["special_days"] = special_days = special_days_text(body.special_days)
        for offer in before.offers:
            if offer.hours is not None:
                try:
                    check_hours(offer.hours, special_days, before.row.timezone, before.row.country)
                except ValueError as error:
                    raise as_problem(error, "/special_days") or error from error
    return values


@router.post("/{point_id}:pause", summary="Pause a point or an offer", responses=problems(*WRITES, "state-conflict"))
async def pause_point(
    request: Request,
    context: AdminOrMerchant,
    point_id: str,
    body: PauseBody | None = None,
    open_orders: SecondWord = None,
) -> PointAnswer:
    """Let a point, or one offer of it, serve no more until it is resumed; asked again, it does nothing."""
    return await _pause(request, context, point_id, body, is_paused=True, word=open_orders)


@router.post("/{point_id}:resume", summary="Resume a point or an offer", responses=problems(*WRITES))
async def resume_point(
    request: Request, context: AdminOrMerchant, point_id: str, body: PauseBody | None = None
) -> PointAnswer:
    """Let a paused point, or a paused offer of it, serve again; asked again, it does nothing."""
    return await _pause(request, context, point_id, body, is_paused=False)


async def _pause(
    request: Request,
    context: RequestContext,
    point_id: str,
    body: PauseBody | None,
    *,
    is_paused: bool,
    word: str | None = None,
) -> Any:
    offer = None if body is None else body.offer

    def change(connection: WriteConnection, before: PointRecord) -> None:
        if offer is None:
            change_point(connection, before, {"is_paused": is_paused})
        else:
            _offer_of(before, offer)
            set_offer_paused(connection, before, offer, is_paused=is_paused)

    detail = {} if offer is None else {"offer": offer}
    action = f"point.{'pause' if is_paused else 'resume'}"
    return await _changed(request, context, point_id, change, action, word=word, **detail)


async def _changed(
    request: Request,
    context: RequestContext,
    point_id: str,
    change: Callable[[WriteConnection, PointRecord], None],
    action: str,
    *,
    word: str | None,
    **detail: Any,
) -> Response:
    """Change a point of the caller's, record who did, and answer with it as it is then."""
    merchant_id, services = own_merchant(context, point_id), services_of(request)

    def write(locked: Sequence[str], connection: WriteConnection) -> PointRecord:
        merchant_lock(connection, merchant_id)
        before = owned(find_point(connection, point_id))
        orders = OpenOrders(connection, services.orders.checker, point_id, locked)
        change(connection, before)
        orders.settle(services, context.key_holder.key_id, word)
        record(connection, actor_of(context), action, point_id, merchant_id, **detail)
        return owned(find_point(connection, point_id))

    after = await write_change(services, context.deadline, write)
    return json_answer(point_answer(after, "wgs84"), point_etag(after))


@router.put(
    "/{point_id}/offers/{sector}/{mode}/capacity",
    summary="Say how many orders it can have in work",
    responses=problems(*WRITES),
)
async def put_capacity(
    request: Request, context: AdminOrMerchant, point_id: str, sector: str, mode: str, body: CapacityBody
) -> CapacityAnswer:
    """
    Set how many orders an offer can have in work at once, or null for no limit.

    Those that are in work stay. The point keeps its revision; its ETag and the revision of its stock go on.
    """
    merchant_id, offer = own_merchant(context, point_id), f"{sector}/{mode}"

    def write(connection: WriteConnection) -> int:
        merchant_lock(connection, merchant_id)
        before = owned(find_point(connection, point_id))
        _offer_of(before, offer, is_in_path=True)
        revision = set_capacity(connection, before, offer, body.units)
        record(connection, actor_of(context), "point.stock", point_id, merchant_id, offer=offer)
        return revision

    revision = await services_of(request).store.write(write, context.deadline)
    return CapacityAnswer(point_id=point_id, offer=offer, units=body.units, stock_revision=revision)


@router.get("/{point_id}/hours", summary="Preview the days to come", responses=problems("not-found"))
async def get_hours(
    request: Request,
    context: Anyone,
    point_id: str,
    offer: Annotated[str, Query(max_length=81, examples=["retail/pickup"])],
    first_day: Annotated[
        str | None, Query(alias="from", pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="Today without.")
    ] = None,
    days: Annotated[int, whole_from(1, 31), Query()] = 14,
) -> HoursAnswer:
    """Tell when an offer is open on the days to come, holidays, make-up workdays and special days named."""
    services = services_of(request)
    is_own = context.key_holder.scope in {"admin", "merchant"}
    if is_own:
        own_merchant(context, point_id)
    found = await services.reads.run(context, lambda connection: find_point(connection, point_id))
    if found is None or not (is_own or is_public(found)):
        raise not_found()
    given = (_offer_of(found, offer), first_day, days, services.clock.now_us())
    return await services.work.run(context, _preview, found, *given)


def _preview(found: PointRecord, offer: AnyRow, first_day: str | None, n_days: int, now_us: int) -> HoursAnswer:
    row = found.row
    if offer.hours is None or row.timezone is None:
        raise invalid("offer", f"must have hours for a preview, those of {offer.offer} are unknown")
    special = [] if row.special_days is None else json.loads(row.special_days)
    hours = hours_with_special_days(offer.hours, special) or offer.hours
    special_dates = {day["date"] for day in special}
    days = hours_preview(hours, row.timezone, row.country, _day(first_day, row.timezone, now_us), n_days)
    return HoursAnswer(
        point_id=row.point_id,
        offer=offer.offer,
        timezone=row.timezone,
        country=row.country,
        hours=hours,
        days=[
            DayAnswer(
                date=day.date,
                open=day.spans,
                unknown=day.unknown,
                is_holiday=day.is_holiday,
                is_makeup_workday=day.is_makeup_workday,
                name=day.name,
                is_special=day.date.isoformat() in special_dates,
            )
            for day in days
        ],
    )


def _day(text: str | None, timezone: str, now_us: int) -> dt.date:
    if text is None:
        return from_us(now_us).astimezone(ZoneInfo(timezone)).date()
    return day_of(text, "from")


def _offer_of(found: PointRecord, name: str, *, is_in_path: bool = False) -> AnyRow:
    for offer in found.offers:
        if offer.offer == name:
            return offer
    if is_in_path:
        raise not_found()
    raise invalid(
        "offer", f"must be one of the point's: {', '.join(one.offer for one in found.offers)}, got {name!r:.60}"
    )
