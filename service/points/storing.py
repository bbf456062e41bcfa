"""Points stored many at once: none leaves its open orders behind, and what a points file does not name stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, select

from engine.errors import InvalidHoursError, InvalidTimezoneError
from service.bookings.changed_points import carry_plans, stands, with_plans
from service.bookings.store import offers_with_visits
from service.http.problems import ProblemError, as_problem
from service.orders.store import n_open_orders
from service.orders.stranding import OpenOrders
from service.points.rules import check_hours
from service.points.store import news, write_points
from service.store.tables import offers, points

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from service.bookings.rosters import Rosters
    from service.orders.checks import Checker
    from service.points.rules import OfferFacts, PointFacts
    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = ["StoredPoints", "kept_as_they_stand", "store_points", "with_what_stands"]

_MOST_JUDGED = 20
"""Points whose open orders are judged in one write: some milliseconds each, for which all other writes wait."""
_MOST_ORDERS = 2_000
"""Open orders that are judged in one write, if they are not all of one point."""
_IDS: Any = bindparam("ids", expanding=True)
_POINTS = select(points.c.point_id, points.c.special_days, points.c.is_paused).where(
    points.c.point_id.in_(_IDS), points.c.is_deleted.is_(False)
)
_OFFERS = select(offers.c.point_id, offers.c.offer, offers.c.is_paused, offers.c.slot_orders, offers.c.slot_s).where(
    offers.c.point_id.in_(_IDS)
)


class StoredPoints(NamedTuple):
    """
    What became of points.

    Attributes
    ----------
    n_changed
        How many changed.
    refused
        Those that did not come about, each behind its line.
    stopped_at
        The line of the first that is left for another write, as are those behind it; None where none is.
    """

    n_changed: int
    refused: list[tuple[int, ProblemError]]
    stopped_at: int | None = None


def store_points(
    connection: WriteConnection,
    merchant_id: str,
    facts: Sequence[tuple[int, PointFacts]],
    checker: Checker,
    rosters: Rosters,
    kept: Mapping[str, str] = {},
) -> StoredPoints:
    """
    Store points; one that is so already keeps its revision, and one that would leave orders or visits behind is left.

    As soon as the open orders of so many points are judged as one write has time for, the rest is left for another.

    Parameters
    ----------
    merchant_id
        Whose they are; the caller has locked it.
    facts
        Each behind the number of its line, which no other has; of those that name the same point the last counts.
    checker
        By which open orders are judged.
    rosters
        How the crews of points travel.
    kept
        Points that are not to change, and why.
    """
    new = news(connection, facts)
    busy = n_open_orders(connection, [fact.point_id for _, fact in new])
    new, stopped_at = _within_a_write(new, busy)
    facts, refused = _left_as_they_are(connection, rosters, new, kept)
    before = stands(connection, with_plans(connection, [fact.point_id for _, fact in facts]))
    pieces = _without_repeats([fact for _, fact in facts if fact.point_id not in busy])
    n_changed = sum(write_points(connection, merchant_id, piece, skips_same=True) for piece in pieces)
    for line, fact in facts:
        if fact.point_id in busy:
            try:
                with connection.attempt():
                    orders = OpenOrders(connection, checker, fact.point_id)
                    n_written = write_points(connection, merchant_id, [fact], skips_same=True)
                    orders.check()
                n_changed += n_written
            except ProblemError as problem:
                refused.append((line, problem))
    carry_plans(connection, rosters, merchant_id, before)
    return StoredPoints(n_changed, refused, stopped_at)


def _within_a_write(
    facts: list[tuple[int, PointFacts]], busy: Mapping[str, int]
) -> tuple[list[tuple[int, PointFacts]], int | None]:
    """
    Return the first points, as many as there is time for in one write, and the line of the next; None behind the last.

    ``busy`` tells how many open orders points have. The first point is judged however many it has.
    """
    n_points = n_orders = 0
    for place, (line, fact) in enumerate(facts):
        if fact.point_id in busy:
            n_points, n_orders = n_points + 1, n_orders + busy[fact.point_id]
            if n_points > 1 and (n_points > _MOST_JUDGED or n_orders > _MOST_ORDERS):
                return facts[:place], line
    return facts, None


def _left_as_they_are(
    connection: WriteConnection,
    rosters: Rosters,
    facts: Sequence[tuple[int, PointFacts]],
    kept: Mapping[str, str],
) -> tuple[list[tuple[int, PointFacts]], list[tuple[int, ProblemError]]]:
    """Return points but for those that may not change, by what is promised of visits too; these with their problems."""
    visited = offers_with_visits(connection, [fact.point_id for _, fact in facts])
    before = stands(connection, {point_id for point_id, _ in visited})
    stay, refused = [], []
    for line, fact in facts:
        offered = frozenset(offer.offer for offer in fact.offers)
        stood = before.get(fact.point_id)
        if fact.point_id in kept:
            text = kept[fact.point_id]
        elif stood is not None and stood.place != (fact.lat, fact.lng):
            text = "visits are promised from where it is: move it by PUT with ?open_bookings=replan"
        elif any(point_id == fact.point_id and offer not in offered for point_id, offer in visited):
            text = "visits are promised under an offer that it would lose: cancel them, or let them end"
        elif stood is not None and rosters.slows(stood.offers, offered):
            text = "visits are promised, and crews are slower under an offer that is new: PUT it with ?open_bookings=replan"
        else:
            stay.append((line, fact))
            continue
        refused.append((line, ProblemError("state-conflict", text)))
    return stay, refused


def _without_repeats(facts: Sequence[PointFacts]) -> list[list[PointFacts]]:
    """Return facts in as many pieces as it takes for no piece to name a point twice, their order kept."""
    pieces: list[list[PointFacts]] = [[]]
    seen: set[str] = set()
    for fact in facts:
        if fact.point_id in seen:
            pieces.append([])
            seen.clear()
        seen.add(fact.point_id)
        pieces[-1].append(fact)
    return pieces


def kept_as_they_stand(
    connection: ReadConnection, facts: Sequence[PointFacts], bad_points: Collection[str | None]
) -> dict[str, str]:
    """
    Return which points are not to change by what is left of their rows, and why: only those that stand already.

    Parameters
    ----------
    bad_points
        Of which a row is bad. With None among them such a row may be of any point, and none loses an offer.
    """
    if not bad_points:
        return {}
    offered = {fact.point_id: {offer.offer for offer in fact.offers} for fact in facts}
    ids = {"ids": list(offered)}
    less = {row.point_id for row in connection.rows(_OFFERS, ids) if row.offer not in offered[row.point_id]}
    kept = {}
    for row in connection.rows(_POINTS, ids):
        if row.point_id in bad_points:
            kept[row.point_id] = f"{row.point_id} stays as it stands: another row of it is bad"
        elif None in bad_points and row.point_id in less:
            text = "stays as it stands: it would lose offers, and a bad row does not tell its point"
            kept[row.point_id] = f"{row.point_id} {text}"
    return kept


def with_what_stands(connection: ReadConnection, facts: Sequence[PointFacts]) -> list[PointFacts | ProblemError]:
    """
    Return points with the pauses, the special days and the slots that stand, which a points file does not name.

    Hours that no schedule can be made of with the special days are the problem of their point.
    """
    ids = {"ids": [fact.point_id for fact in facts]}
    stands = {row.point_id: row for row in connection.rows(_POINTS, ids)}
    its_offers = {(row.point_id, row.offer): row for row in connection.rows(_OFFERS, ids)} if stands else {}
    return [_taken_over(fact, stands[fact.point_id], its_offers) if fact.point_id in stands else fact for fact in facts]


def _taken_over(
    fact: PointFacts, stands: AnyRow, its_offers: Mapping[tuple[str, str], AnyRow]
) -> PointFacts | ProblemError:
    new = [_offer_taken_over(offer, its_offers.get((fact.point_id, offer.offer))) for offer in fact.offers]
    try:
        for offer in new:
            if stands.special_days is not None and offer.hours is not None:
                check_hours(offer.hours, stands.special_days, fact.timezone, fact.country)
    except (InvalidHoursError, InvalidTimezoneError) as error:
        problem = as_problem(error, "/hours")
        if problem is None:
            raise
        return problem
    return fact._replace(special_days=stands.special_days, is_paused=stands.is_paused, offers=tuple(new))


def _offer_taken_over(offer: OfferFacts, stands: AnyRow | None) -> OfferFacts:
    if stands is None:
        return offer
    return offer._replace(is_paused=stands.is_paused, slot_orders=stands.slot_orders, slot_s=stands.slot_s)
