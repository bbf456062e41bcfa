"""GET /v1/events."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request

from service.events.streams import MEDIA_TYPE, EventStream
from service.feed.events import Place, read_page
from service.feed.outbox import BadPositionError
from service.http.access import AdminOrMerchant, owner_of
from service.http.context import services_of
from service.http.problems import ProblemError, Trouble
from service.http.routing import StrictRoute

__all__ = ["router"]

router = APIRouter(tags=["events"], route_class=StrictRoute)

_EXAMPLE = (
    "id: 0-17-1f2e3d4c\nevent: point.changed\n"
    'data: {"kind":"point","subject":"corner-shop:1","revision":3,"merchant_id":"corner-shop","at":"2026-01-01T00:00:00+00:00"}\n\n'
)
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events, until the client goes",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE}},
    }
}


@router.get(
    "/v1/events",
    status_code=200,  # not to be read from the class: a stream takes none
    summary="What changes, as it changes",
    response_class=EventStream,
    responses=_STREAM,
)
async def events(
    request: Request,
    context: AdminOrMerchant,
    after: Annotated[str | None, Query(description="The id of the last event that is known.")] = None,
    last_event_id: Annotated[
        str | None, Header(description="The same, as browsers send it; it goes before `after`.")
    ] = None,
) -> EventStream:
    """
    Send server-sent events: which subject changed, and its revision since; a merchant's key hears of its own.

    An event may come twice, with the same id, never not at all; those of one subject come in order. Without an id
    they begin now. `event: reset` says that what lies between is no longer kept: read anew what you keep.
    """
    services, merchant_id = services_of(request), owner_of(context)
    place = _place("after", after) if last_event_id is None else _place("Last-Event-ID", last_event_id)
    first = await services.reads.run(context, lambda connection: read_page(connection, place, merchant_id))
    return EventStream(services, context.key_holder, merchant_id, first)


def _place(where: str, text: str | None) -> Place | None:
    try:
        return None if text is None else Place.parse(text)
    except BadPositionError as error:
        raise ProblemError("validation", f"{where}: {error}", (Trouble(where, str(error)),)) from error
