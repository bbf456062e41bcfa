"""Points over HTTP: whole ones written, read, listed, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request, Response

from service.audit.store import actor_of, record
from service.bookings.settling import Settled
from service.bookings.stranding import check_no_visits
from service.bookings.telling import told
from service.crews.changing import SecondVisitWord, settle_changed
from service.http.access import AdminOrMerchant, Anyone, not_found, owner_of
from service.http.context import RequestContext, services_of
from service.http.fields import DatumName
from service.http.pages import CursorText, PageSize, next_page, read_cursor
from service.http.problems import invalid
from service.http.revisions import check_match, check_no_match, is_creation
from service.http.routing import StrictRoute, problems
from service.keys.store import revoke_crew_keys
from service.orders.stranding import OpenOrders, SecondWord, write_change
from service.points.ids import merchant_of, why_no_point_id
from service.points.rules import facts_of_one
from service.points.schemas import Kind, PointAnswer, PointBody, PointsAnswer, PublicPoint, PutAnswer, Visibility
from service.points.store import (
    PUBLIC_OFFERS,
    WHOLE_OFFERS,
    PointFilter,
    PointRecord,
    delete_point,
    find_point,
    has_merchant,
    list_points,
    merchant_lock,
    write_points,
)
from service.points.views import (
    is_public,
    n_told_at_once,
    point_answer,
    point_etag,
    public_etag,
    public_point,
    put_answer,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.store.connections import ReadConnection, WriteConnection

__all__ = ["WRITES", "Datum", "json_answer", "own_merchant", "owned", "router"]

router = APIRouter(prefix="/v1/points", tags=["points"], route_class=StrictRoute)

Datum = Annotated[DatumName, Query(description="Datum of the answer's places and areas.")]
WRITES = ("invalid-json", "text-invalid", "unsupported-media-type", "payload-too-large", "not-found")
_SHAPES = (
    "coordinate-out-of-range", "geometry-invalid", "geometry-empty", "geometry-unsupported", "geometry-too-large",
    "antimeridian",
)  # fmt: skip
_MATCHES = ("precondition-failed", "precondition-required")


@router.put(
    "/{point_id}",
    summary="Make a point, or replace it",
    response_model=PutAnswer,
    responses={201: {"model": PutAnswer}, **problems(*WRITES, *_SHAPES, *_MATCHES, "state-conflict")},
)
async def put_point(
    request: Request,
    context: AdminOrMerchant,
    point_id: str,
    body: PointBody,
    open_orders: SecondWord = None,
    open_bookings: SecondVisitWord = None,
) -> Response:
    """
    Make a point (`If-None-Match: *`, or no condition where none is there), or replace all of it (`If-Match`).

    Capacities are replaced, too: once one is set, the point has another ETag. What the body leaves out is told in
    `filled`: time zone and country of the place, the norm's radius. Where it moves, or crews travel more slowly under an
    offer that is new, what they have promised is settled as when they are replaced: who cannot be kept is told first, with
    other windows. An offer under which visits are promised stays: they are named.
    """
    merchant_id = _named_merchant(context, point_id)
    services = services_of(request)
    facts = await services.work.run(context, facts_of_one, point_id, body, services.norms)

    def put(locked: Sequence[str], connection: WriteConnection) -> tuple[PointRecord, bool, Settled]:
        merchant_lock(connection, merchant_id)
        if not has_merchant(connection, merchant_id):
            raise not_found()
        before = find_point(connection, point_id)
        _check_condition(request, None if before is None else point_etag(before))
        gone = set() if before is None else {row.offer for row in before.offers} - {kept.offer for kept in facts.offers}
        orders = OpenOrders(connection, services.orders.checker, point_id, locked)
        if gone:
            check_no_visits(connection, point_id, gone)
        write_points(connection, merchant_id, [facts])
        orders.settle(services, context.key_holder.key_id, open_orders)
        after, found = owned(find_point(connection, point_id)), Settled([], [])
        if before is not None:
            found = settle_changed(
                connection, services.bookings, before, after, context.key_holder.key_id, open_bookings
            )
        action = "point.create" if before is None else "point.replace"
        record(connection, actor_of(context), action, point_id, merchant_id)
        return after, before is None, found

    stored, is_new, found = await write_change(services, context.deadline, put)
    answer = put_answer(stored, body.datum, facts.filled, await told(services, context, found))
    return json_answer(answer, point_etag(stored), status=201 if is_new else 200)


@router.get("/{point_id}", summary="Read a point", responses=problems("not-found"))
async def get_point(
    request: Request, response: Response, context: Anyone, point_id: str, datum: Datum = "wgs84"
) -> PointAnswer | PublicPoint:
    """Read a point: all of it as its merchant or an admin, else what everyone may know of a verified merchant's."""
    reads_all = _reads_all(context)
    if reads_all:
        own_merchant(context, point_id)
    found = await services_of(request).reads.run(context, lambda connection: find_point(connection, point_id))
    if found is None or not (reads_all or is_public(found)):
        raise not_found()
    response.headers["ETag"] = point_etag(found) if reads_all else public_etag(found)
    return point_answer(found, datum) if reads_all else public_point(found, datum)


@router.get("", summary="List points", responses=problems("cursor-invalid"))
async def get_points(
    request: Request,
    context: Anyone,
    page_size: PageSize = 50,
    cursor: CursorText = None,
    datum: Datum = "wgs84",
    merchant: Annotated[str | None, Query(max_length=40, description="Only those of this merchant.")] = None,
    offer: Annotated[str | None, Query(max_length=81, description="Only those that have this offer.")] = None,
    kind: Annotated[Kind | None, Query(description="Only those of this kind.")] = None,
    visibility: Annotated[Visibility | None, Query(description="Only those seen so.")] = None,
    paused: Annotated[bool | None, Query(description="Only those that are paused as a whole, or are not.")] = None,
    feature: Annotated[str | None, Query(max_length=161, description="Only those that have this feature.")] = None,
) -> PointsAnswer:
    """
    List points by id: a merchant's own, all as an admin, else the public ones of verified merchants.

    A station's key lists those of its merchant, as everyone sees them. Where areas are large, a page has fewer than asked for.
    """
    services, reads_all = services_of(request), _reads_all(context)
    is_of_merchant = reads_all or context.key_holder.scope == "station"
    owner = owner_of(context) if is_of_merchant else None
    wanted = PointFilter(merchant, kind, visibility, paused, offer, feature, owner, is_public=not is_of_merchant)
    if offer is not None and offer not in services.norms.by_offer:
        raise invalid("offer", f"must be one of {', '.join(services.norms.by_offer)}, got {offer!r:.60}")
    listed = f"points {wanted}"
    after = read_cursor(services.secret, listed, cursor) or [""]
    shown = WHOLE_OFFERS if reads_all else PUBLIC_OFFERS

    def page_of(connection: ReadConnection) -> PointsAnswer:
        found = list_points(connection, wanted, after=after[0], limit=page_size + 1, of_offers=shown)
        size = min(page_size, n_told_at_once(found)) if reads_all else page_size
        page, following = next_page(services.secret, listed, found, size, lambda one: [one.row.point_id])
        if reads_all:
            return PointsAnswer(items=[point_answer(one, datum) for one in page], next_cursor=following)
        return PointsAnswer(items=[public_point(one, datum) for one in page], next_cursor=following)

    return await services.reads.run(context, page_of)


@router.delete(
    "/{point_id}",
    status_code=204,
    summary="Delete a point",
    responses=problems("not-found", "state-conflict", *_MATCHES),
)
async def remove_point(
    request: Request, context: AdminOrMerchant, point_id: str, open_orders: SecondWord = None
) -> Response:
    """
    Delete a point; `If-Match` holds the ETag that was read. Should it be made again, its revisions go on.

    One at which visits are promised is not deleted: they are named. The keys and calendar links of its crews are revoked.
    """
    merchant_id, services = own_merchant(context, point_id), services_of(request)

    def remove(locked: Sequence[str], connection: WriteConnection) -> None:
        merchant_lock(connection, merchant_id)
        before = owned(find_point(connection, point_id))
        check_match(request, point_etag(before))
        orders = OpenOrders(connection, services.orders.checker, point_id, locked)
        check_no_visits(connection, point_id)
        delete_point(connection, before)
        revoke_crew_keys(connection, merchant_id, point_id, actor=actor_of(context))
        orders.settle(services, context.key_holder.key_id, open_orders)
        record(connection, actor_of(context), "point.delete", point_id, merchant_id)

    await write_change(services, context.deadline, remove)
    return Response(status_code=204)


def own_merchant(context: RequestContext, point_id: str) -> str:
    """Return the merchant of a point that a caller may change; 404 for what is another's, or no id."""
    merchant_id = merchant_of(point_id)
    if merchant_id is None or owner_of(context) not in {None, merchant_id}:
        raise not_found()
    return merchant_id


def owned(found: PointRecord | None) -> PointRecord:
    """Return what was found; 404 for nothing."""
    if found is None:
        raise not_found()
    return found


def json_answer(answer: PointAnswer, tag: str, *, status: int = 200) -> Response:
    """Return an answer with its ETag."""
    return Response(answer.model_dump_json(), status, {"ETag": tag}, "application/json")


def _named_merchant(context: RequestContext, point_id: str) -> str:
    """Return the merchant of a point that is to be made; a bad name of one's own is told."""
    owner = owner_of(context)
    if owner is not None and point_id.startswith(f"{owner}:"):
        reason = why_no_point_id(point_id, owner)
        if reason is not None:
            raise invalid("point_id", reason)
    return own_merchant(context, point_id)


def _reads_all(context: RequestContext) -> bool:
    return context.key_holder.scope in {"admin", "merchant"}


def _check_condition(request: Request, tag: str | None) -> None:
    check_no_match(request, tag)
    if tag is not None and not is_creation(request):
        check_match(request, tag)
