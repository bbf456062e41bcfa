"""What became of promised visits, as it is told to whoever changed what they were promised by."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from engine.errors import EngineError
from service.bookings.finding import windows_near
from service.bookings.rules import Party
from service.bookings.schemas import SettledAnswer, UnkeptVisit
from service.bookings.views import booking_answer
from service.errors import DeadlineExceededError, OverloadedError, ServiceError, StorageUnavailableError
from service.http.access import crew_of
from service.http.problems import ProblemError

if TYPE_CHECKING:
    from service.bookings.settling import Settled
    from service.http.context import RequestContext
    from service.services import Services
    from service.store.connections import AnyRow, ReadConnection

__all__ = ["told"]

_MOST_WITH_WINDOWS, _LEAST_S = 10, 1.0


async def told(services: Services, context: RequestContext, found: Settled) -> SettledAnswer:
    """Return what became of visits, to a merchant with other windows for the first of those that nobody can make."""
    now_us, own = services.clock.now_us(), crew_of(context)

    def look(connection: ReadConnection) -> list[list[dict[str, Any]]]:
        known: list[list[dict[str, Any]]] = []
        for row in found.unkept[:_MOST_WITH_WINDOWS]:
            if context.deadline.left_s() < _LEAST_S:  # what has happened is told, with windows or without
                break
            known.append(_others(connection, services, row, now_us))
        return known

    others: list[list[dict[str, Any]]] = []
    if found.unkept and own is None:
        with contextlib.suppress(DeadlineExceededError, OverloadedError, StorageUnavailableError, ProblemError):
            others = await services.reads.run(context, look)
    others += [[]] * (len(found.unkept) - len(others))
    norms = services.norms
    seen_as = Party.MERCHANT if own is None else Party.CUSTOMER  # a crew does not learn who comes in its place
    unkept = [
        UnkeptVisit(**booking_answer(row, norms, party=seen_as, payment=None).model_dump(), slots=slots)
        for row, slots in zip(found.unkept, others, strict=True)
    ]
    moved = [booking_answer(row, norms, party=seen_as, payment=None) for row in found.moved]
    return SettledAnswer(unkept=unkept, moved=moved)


def _others(connection: ReadConnection, services: Services, row: AnyRow, now_us: int) -> list[dict[str, Any]]:
    wanted = (row.point_id, row.service_id, row.lat, row.lng)
    try:
        at_s = row.starts_at // 1_000_000
        return windows_near(connection, services.bookings, wanted, at_s, now_us, promised=row, is_fresh=True)
    except (ServiceError, EngineError):  # it is offered no more
        return []
