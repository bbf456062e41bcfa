"""What a change of a point means for the days of its crews: where they start, and how long their ways take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, select

from service.bookings.settling import bring_in_line
from service.crews.facts import CrewFacts
from service.crews.store import CREWS, count_roster, list_kept
from service.points.store import find_point
from service.store.tables import offers, points
from service.store.visit_tables import shifts

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from service.bookings.rosters import Rosters
    from service.points.store import PointRecord
    from service.store.connections import ReadConnection, WriteConnection

__all__ = ["Stand", "carry_plans", "crews_concerned", "stand_of", "stands", "with_plans"]

_IDS: Any = bindparam("ids", expanding=True)
_PLACES = select(points.c.point_id, points.c.lat, points.c.lng).where(points.c.point_id.in_(_IDS))
_OFFERS = select(offers.c.point_id, offers.c.offer).where(offers.c.point_id.in_(_IDS))
_PLANNED = select(shifts.c.point_id).where(shifts.c.point_id.in_(_IDS), shifts.c.ends_at > bindparam("now")).distinct()


class Stand(NamedTuple):
    """What of a point the days of its crews follow from: lat and lng, and the names of its offers."""

    place: tuple[float, float]
    offers: frozenset[str]


def stand_of(point: PointRecord) -> Stand:
    """Return as what a point stands that was read."""
    return Stand((point.row.lat, point.row.lng), frozenset(offer.offer for offer in point.offers))


def stands(connection: ReadConnection, point_ids: Collection[str]) -> dict[str, Stand]:
    """Return as what some points stand now, those of them that are known."""
    if not point_ids:
        return {}
    ids = {"ids": list(point_ids)}
    offered: dict[str, set[str]] = {}
    for row in connection.rows(_OFFERS, ids):
        offered.setdefault(row.point_id, set()).add(row.offer)
    rows = connection.rows(_PLACES, ids)
    return {row.point_id: Stand((row.lat, row.lng), frozenset(offered.get(row.point_id, ()))) for row in rows}


def with_plans(connection: WriteConnection, point_ids: Collection[str]) -> set[str]:
    """Return those of some points whose crews have shifts written down that are not over, be it without any visit."""
    found = connection.rows(_PLANNED, {"ids": list(point_ids), "now": connection.now_us}) if point_ids else ()
    return {row.point_id for row in found}


def crews_concerned(
    connection: ReadConnection, rosters: Rosters, point_id: str, before: Stand, after: Stand
) -> list[str]:
    """Return whose days a change of a point makes others: all crews' where ways last longer, else those that start there."""
    is_slower = rosters.slows(before.offers, after.offers)
    if not is_slower and before.place == after.place:
        return []
    rows = list_kept(connection, CREWS, point_id)
    return [row.crew_id for row in rows if is_slower or CrewFacts.of_json(row.facts).start is None]


def carry_plans(connection: WriteConnection, rosters: Rosters, merchant_id: str, before: Mapping[str, Stand]) -> None:
    """Bring in line what is written down of points that stood otherwise before; no visits are promised there any more."""
    for point_id, after in stands(connection, before).items():
        concerned = crews_concerned(connection, rosters, point_id, before[point_id], after)
        if concerned:
            count_roster(connection, merchant_id, point_id)
            point = find_point(connection, point_id)
            assert point is not None  # noqa: S101 - it was just written
            loose, _ = bring_in_line(connection, rosters, point.row, concerned)
            assert not loose  # noqa: S101 - none is promised
