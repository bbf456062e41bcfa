"""A point rejects an order: the next one of its merchant takes it over, by the merchant's rules, or nobody does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.clock import from_us, to_us
from service.errors import NotFeasibleError, StateConflictError
from service.feed.columns import split_features
from service.orders.acting import Act, act, check_act, place_of
from service.orders.checks import Wanted
from service.orders.ordering import answer_by_us, free_code
from service.orders.routing import cooling, districts, points_before, routing_of
from service.orders.rules import Event, State
from service.orders.store import OrderRecord, change_line, find_facts, find_order
from service.orders.taking import Place, give_back, slot_of, take
from service.places import centre_of
from service.stock.counting import count_on, count_on_as_read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine import Engine
    from engine.promises import Promise
    from service.orders.ordering import OrderTerms
    from service.store.connections import AnyRow, WriteConnection

__all__ = ["candidates", "reject"]

_MOST_CANDIDATES = 20
_SECOND_US = 1_000_000


def candidates(engine: Engine, order: OrderRecord, now_us: int) -> list[tuple[str, float]]:
    """
    Return which points of the merchant can take an order over as the index knows it, with their distance in metres.

    The customer's place is known as a cell alone, so distances are from its centre. Lead times are left out: what is
    handed on may be ready later.
    """
    row = order.row
    if row.cell is None:
        return []
    lat, lng = centre_of(row.cell)
    features = (*split_features(row.features), f"merchant:{row.merchant_id}")
    at = from_us(max(row.handover_at, now_us))
    basket = order.units("wanted") or None
    answer = engine.nearest(lat, lng, row.offer, k=_MOST_CANDIDATES, at=at, features=features, items=basket)
    return [(match.point_id, match.distance_m) for match in answer.matches if match.point_id != row.point_id]


def reject(
    connection: WriteConnection,
    terms: OrderTerms,
    order: OrderRecord,
    what: Act,
    others: Sequence[tuple[str, float]],
) -> OrderRecord:
    """
    Let a point reject an order that `locked_order` returned: another takes it over, or it ends.

    Parameters
    ----------
    what
        The event ``reject``, by whom and why.
    others
        What `candidates` found.

    Raises
    ------
    StateConflictError
        If it cannot be rejected any more.
    """
    check_act(order, what)
    if order.row.state != State.HELD:
        for point_id in _in_turn(connection, order, others):
            try:
                with connection.attempt():
                    return _moved(connection, terms, order, what, point_id)
            except NotFeasibleError:
                continue
    return act(connection, terms, order, what)


def _in_turn(connection: WriteConnection, order: OrderRecord, others: Sequence[tuple[str, float]]) -> list[str]:
    routing = routing_of(connection, order.row.merchant_id)
    been = points_before(connection, order.row.order_id)
    if not others or len(been) >= routing.most_moves:
        return []
    new = [other for other in others if other[0] not in been]
    ids = [point_id for point_id, _ in new]
    cool = cooling(connection, ids, connection.now_us - routing.cool_down_s * _SECOND_US)
    near = districts(connection, [order.row.point_id, *ids])
    own = near[order.row.point_id]

    def key(other: tuple[str, float]) -> tuple[Any, ...]:
        told = {"district": not (own & near[other[0]]), "distance": other[1]}
        return (*(told[rule] for rule in routing.rules), other[1], other[0])

    return [point_id for point_id, _ in sorted(new, key=key) if point_id not in cool]


def _moved(connection: WriteConnection, terms: OrderTerms, order: OrderRecord, what: Act, point_id: str) -> OrderRecord:
    row = order.row
    facts, at_us, promise = _judged(connection, terms, row, point_id)
    revisions = _counted_on(connection, row.point_id, facts)
    stays = _without_offers(connection, order)
    place = Place(point_id, row.offer, slot_of(at_us, facts.slot_s))
    take(connection, place, stays.held, slot_orders=facts.slot_orders, revision=revisions[point_id])
    give_back(connection, place_of(row), order.held, revisions[row.point_id])
    number, digest = free_code(connection, terms.secret, row.order_id, point_id, first=row.code_number + 1)
    norm = terms.norms.by_offer[row.offer]
    until_us = answer_by_us(terms, facts, norm, connection.now_us, at_us)
    move = Act(Event.MOVE, what.party, what.actor, what.reason)
    return act(
        connection,
        terms,
        stays,
        move,
        point_id=point_id,
        slot_at=place.slot_us,
        handover_at=at_us,
        ready_at=to_us(promise.ready_at),
        cancel_free_until=None if promise.cancel_free_until is None else to_us(promise.cancel_free_until),
        code_number=number,
        code_digest=digest,
        expires_at=until_us,
        due_at=until_us,
    )


def _judged(connection: WriteConnection, terms: OrderTerms, row: AnyRow, point_id: str) -> tuple[AnyRow, int, Promise]:
    """Return the row of a point that can take an order over, when it can hand it out, and what it promises."""
    facts = find_facts(connection, point_id, row.offer)
    if facts is None or facts.offer is None or row.cell is None:  # the customer may have been forgotten since
        raise NotFeasibleError("no_offer")
    lat, lng = centre_of(row.cell)
    at_us = max(row.handover_at, connection.now_us + facts.lead_s * _SECOND_US)
    now = from_us(connection.now_us)
    wanted = Wanted(lat, lng, from_us(at_us), now, tuple(split_features(row.features)))
    reason, promise = terms.checker.judge(facts, wanted, terms.norms.by_offer[row.offer])
    if promise is None:
        raise NotFeasibleError(reason)
    return facts, at_us, promise


def _counted_on(connection: WriteConnection, old_id: str, facts: AnyRow) -> dict[str, int]:
    """Count the stock of both points on, in the order of their ids, so that two orders never wait for each other."""
    revisions = {}
    for point_id in sorted((old_id, facts.point_id)):
        its = (connection, facts.merchant_id, point_id)
        revision = count_on(*its) if point_id == old_id else count_on_as_read(*its, facts.point_revision)
        if revision is None:
            raise NotFeasibleError("paused")
        revisions[point_id] = revision
    return revisions


def _without_offers(connection: WriteConnection, order: OrderRecord) -> OrderRecord:
    """Withdraw what the old point offered; the lines in whose place it stood are wanted again."""
    offered = [line for line in order.lines if line.state == "offered"]
    for line in offered:
        change_line(connection, order.row.order_id, line.line, state="declined")
    found = find_order(connection, order.row.order_id) if offered else order
    if found is None:
        raise StateConflictError("the order is gone")
    return found
