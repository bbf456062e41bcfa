"""Crews over HTTP, with the times at which they are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from service.audit.store import actor_of, record
from service.bookings.schemas import SettledAnswer
from service.bookings.telling import told
from service.clock import to_us
from service.crews.changing import SecondVisitWord, engage, locked_point, put_crew, remove_crew, settled
from service.crews.rules import crew_facts, place_of
from service.crews.schemas import (
    CrewAnswer,
    CrewBody,
    CrewsAnswer,
    EngagementBody,
    EngagementsAnswer,
    PutCrewAnswer,
    PutEngagementAnswer,
)
from service.crews.store import CREWS, delete_engagement, find_kept, list_engagements, list_kept
from service.crews.views import crew_answer, engagement_answer
from service.http.access import AdminOrMerchant, not_found
from service.http.context import services_of
from service.http.fields import ID
from service.http.pages import CursorText, PageSize, next_page, read_cursor
from service.http.problems import invalid
from service.http.revisions import check_if_given, check_match, etag
from service.http.routing import StrictRoute, problems
from service.keys.store import revoke_crew_keys
from service.points.routes import own_merchant
from service.points.store import find_point

if TYPE_CHECKING:
    from service.bookings.settling import Settled
    from service.http.context import RequestContext
    from service.services import Services
    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = ["check_id", "router"]

router = APIRouter(prefix="/v1/points/{point_id}/crews", tags=["crews"], route_class=StrictRoute)

_BODIES = ("invalid-json", "text-invalid", "unsupported-media-type", "payload-too-large")
_SHAPES = (
    "coordinate-out-of-range", "geometry-invalid", "geometry-empty", "geometry-unsupported", "geometry-too-large",
    "antimeridian",
)  # fmt: skip
_YEAR_US = 366 * 86_400_000_000


@router.put(
    "/{crew_id}",
    summary="Make a crew, or replace it",
    response_model=PutCrewAnswer,
    responses={
        201: {"model": PutCrewAnswer},
        **problems(*_BODIES, *_SHAPES, "not-found", "state-conflict", "precondition-failed"),
    },
)
async def put_one_crew(
    request: Request,
    context: AdminOrMerchant,
    point_id: str,
    crew_id: str,
    body: CrewBody,
    open_bookings: SecondVisitWord = None,
) -> Response:
    """
    Say who works at a point, when, and what they can do; what was said before is replaced.

    What it has promised is looked at anew: visits that it could not make any more are named, and with a second word
    others make them where they can; who cannot be kept is told first, with other windows.
    """
    merchant_id, services = own_merchant(context, point_id), services_of(request)
    check_id(crew_id, "crew_id")
    facts = await services.work.run(context, crew_facts, body)

    def put(connection: WriteConnection) -> tuple[AnyRow | None, bool, Settled]:
        point = locked_point(connection, merchant_id, point_id)
        before = find_kept(connection, CREWS, point_id, crew_id)
        check_if_given(request, None if before is None else etag(before.revision))
        found = put_crew(connection, services.bookings, point, crew_id, facts, context.key_holder.key_id, open_bookings)
        action = "crew.create" if before is None else "crew.replace"
        record(connection, actor_of(context), action, point_id, merchant_id, crew_id=crew_id)
        return find_kept(connection, CREWS, point_id, crew_id), before is None, found

    row, is_new, found = await services.store.write(put, context.deadline)
    stored = _found(row)
    visits = await told(services, context, found)
    body_text = PutCrewAnswer(**crew_answer(stored).model_dump(), **visits.model_dump()).model_dump_json()
    return Response(body_text, 201 if is_new else 200, {"ETag": etag(stored.revision)}, "application/json")


@router.get("/{crew_id}", summary="Read a crew", responses=problems("not-found"))
async def get_one_crew(
    request: Request, response: Response, context: AdminOrMerchant, point_id: str, crew_id: str
) -> CrewAnswer:
    """Read a crew of one's own."""
    own_merchant(context, point_id)
    read = services_of(request).reads.run
    row = _found(await read(context, lambda connection: find_kept(connection, CREWS, point_id, crew_id)))
    response.headers["ETag"] = etag(row.revision)
    return crew_answer(row)


@router.get("", summary="List the crews of a point", responses=problems("not-found", "cursor-invalid"))
async def get_crews(
    request: Request,
    context: AdminOrMerchant,
    point_id: str,
    page_size: PageSize = 50,
    cursor: CursorText = None,
) -> CrewsAnswer:
    """List the crews of a point by id."""
    own_merchant(context, point_id)
    services, listed = services_of(request), f"crews {point_id}"
    after = read_cursor(services.secret, listed, cursor) or [""]

    def page_of(connection: ReadConnection) -> CrewsAnswer:
        if find_point(connection, point_id) is None:
            raise not_found()
        rows = list_kept(connection, CREWS, point_id, after=after[0], limit=page_size + 1)
        page, following = next_page(services.secret, listed, rows, page_size, lambda row: [row.crew_id])
        return CrewsAnswer(items=[crew_answer(row) for row in page], next_cursor=following)

    return await services.reads.run(context, page_of)


@router.delete(
    "/{crew_id}",
    status_code=204,
    summary="Delete a crew",
    responses={
        200: {"model": SettledAnswer, "description": "What became of its promised visits, where there were any."},
        **problems("not-found", "state-conflict", "precondition-failed", "precondition-required"),
    },
)
async def delete_one_crew(
    request: Request,
    context: AdminOrMerchant,
    point_id: str,
    crew_id: str,
    open_bookings: SecondVisitWord = None,
) -> Response:
    """
    Delete a crew; `If-Match` holds the ETag that was read. What it has promised is settled as when it is replaced.

    Its keys and its calendar link are revoked.
    """
    merchant_id, services = own_merchant(context, point_id), services_of(request)

    def remove(connection: WriteConnection) -> Settled:
        point = locked_point(connection, merchant_id, point_id)
        row = _found(find_kept(connection, CREWS, point_id, crew_id))
        check_match(request, etag(row.revision))
        found = remove_crew(connection, services.bookings, point, row, context.key_holder.key_id, open_bookings)
        revoke_crew_keys(connection, merchant_id, point_id, crew_id, actor_of(context))
        record(connection, actor_of(context), "crew.delete", point_id, merchant_id, crew_id=crew_id)
        return found

    return await _removed(services, context, await services.store.write(remove, context.deadline))


@router.put(
    "/{crew_id}/busy/{engagement_id}",
    summary="Say when a crew is taken",
    response_model=PutEngagementAnswer,
    responses={
        201: {"model": PutEngagementAnswer},
        **problems(*_BODIES, "coordinate-out-of-range", "not-found", "state-conflict"),
    },
)
async def put_one_engagement(
    request: Request,
    context: AdminOrMerchant,
    point_id: str,
    crew_id: str,
    engagement_id: str,
    body: EngagementBody,
    open_bookings: SecondVisitWord = None,
) -> Response:
    """Let nothing be booked for a crew at some time; what it has promised then is settled as when it is replaced."""
    merchant_id, services = own_merchant(context, point_id), services_of(request)
    check_id(engagement_id, "engagement_id")
    place = place_of(body.place, body.datum, "/place")
    starts_us, ends_us = to_us(body.starts_at), to_us(body.ends_at)
    if not 0 < ends_us - starts_us <= _YEAR_US:
        raise invalid("/ends_at", "must lie behind starts_at, by a year at most")
    values = {"point_id": point_id, "crew_id": crew_id, "engagement_id": engagement_id, "starts_at": starts_us}
    values |= {"ends_at": ends_us, "lat": None, "lng": None}
    if place is not None:
        values |= {"lat": place[0], "lng": place[1]}

    def put(connection: WriteConnection) -> tuple[bool, Settled]:
        point = locked_point(connection, merchant_id, point_id)
        _found(find_kept(connection, CREWS, point_id, crew_id))
        is_new = engage(connection, values)
        found = settled(connection, services.bookings, point, crew_id, context.key_holder.key_id, open_bookings)
        record(connection, actor_of(context), "crew.busy", point_id, merchant_id, crew_id=crew_id)
        return is_new, found

    is_new, found = await services.store.write(put, context.deadline)
    visits = await told(services, context, found)
    answer = PutEngagementAnswer(
        engagement_id=engagement_id,
        starts_at=body.starts_at,
        ends_at=body.ends_at,
        place=None if place is None else {"lat": place[0], "lng": place[1]},
        **visits.model_dump(),
    )
    return Response(answer.model_dump_json(), 201 if is_new else 200, media_type="application/json")


@router.get("/{crew_id}/busy", summary="List when a crew is taken", responses=problems("not-found"))
async def get_engagements(request: Request, context: AdminOrMerchant, point_id: str, crew_id: str) -> EngagementsAnswer:
    """List the engagements of a crew that are not over."""
    own_merchant(context, point_id)
    services = services_of(request)

    def read(connection: ReadConnection) -> EngagementsAnswer:
        _found(find_kept(connection, CREWS, point_id, crew_id))
        rows = list_engagements(connection, point_id, services.clock.now_us(), crew_id)
        return EngagementsAnswer(items=[engagement_answer(row) for row in rows])

    return await services.reads.run(context, read)


@router.delete(
    "/{crew_id}/busy/{engagement_id}",
    status_code=204,
    summary="Let a crew be free again",
    responses={
        200: {"model": SettledAnswer, "description": "What became of its promised visits, where any were concerned."},
        **problems("not-found", "state-conflict"),
    },
)
async def delete_one_engagement(
    request: Request,
    context: AdminOrMerchant,
    point_id: str,
    crew_id: str,
    engagement_id: str,
    open_bookings: SecondVisitWord = None,
) -> Response:
    """
    Delete an engagement; visits that others make by now stay theirs.

    A break that it stood in for is due again: what the crew has promised is settled as when it is replaced.
    """
    merchant_id, services = own_merchant(context, point_id), services_of(request)

    def remove(connection: WriteConnection) -> Settled:
        point = locked_point(connection, merchant_id, point_id)
        if not delete_engagement(connection, point_id, crew_id, engagement_id):
            raise not_found()
        found = settled(connection, services.bookings, point, crew_id, context.key_holder.key_id, open_bookings)
        record(connection, actor_of(context), "crew.free", point_id, merchant_id, crew_id=crew_id)
        return found

    return await _removed(services, context, await services.store.write(remove, context.deadline))


async def _removed(services: Services, context: RequestContext, found: Settled) -> Response:
    """Answer what became of promised visits, without a body where none were concerned."""
    if not any(found):
        return Response(status_code=204)
    answer = await told(services, context, found)
    return Response(answer.model_dump_json(), media_type="application/json")


def check_id(name: str, where: str) -> None:
    """Refuse a name in a path that its owner could not choose so."""
    if ID.fullmatch(name) is None:
        raise invalid(where, f"must be 2 to 40 small letters, digits and -, got {name!r:.60}")


def _found(row: AnyRow | None) -> AnyRow:
    if row is None:
        raise not_found()
    return row
