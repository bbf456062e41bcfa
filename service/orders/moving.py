"""A point rejects an order: others of its merchant take it over, by the merchant's rules, or nobody does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.clock import from_us, to_us
from service.errors import NotFeasibleError, StateConflictError
from service.feed.columns import split_features
from service.orders.acting import Act, act, check_act, place_of
from service.orders.checks import Wanted
from service.orders.deciding import answer_by_us
from service.orders.forgetting import whose
from service.orders.ordering import free_code
from service.orders.routing import cooling, districts, points_before, routing_of
from service.orders.rules import Event, State
from service.orders.store import (
    OrderRecord,
    add_event,
    add_lines,
    add_order,
    change_line,
    find_facts,
    find_order,
    new_order_id,
    total_minor,
)
from service.orders.taking import Place, give_back, slot_of, take
from service.places import centre_of
from service.stock.counting import count_on, count_on_as_read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.promises import Promise
    from service.orders.ordering import OrderTerms
    from service.orders.plans import Plan
    from service.store.connections import AnyRow, WriteConnection

__all__ = ["reject"]

_SECOND_US = 1_000_000


def reject(
    connection: WriteConnection, terms: OrderTerms, order: OrderRecord, what: Act, plans: Sequence[Plan]
) -> OrderRecord:
    """
    Let a point reject an order that `locked_order` returned: others take it over, or it ends.

    Parameters
    ----------
    what
        The event ``reject``, by whom and why.
    plans
        What `plans_for` found.

    Raises
    ------
    StateConflictError
        If it cannot be rejected any more.
    """
    check_act(order, what)
    if order.row.state != State.HELD:
        for plan in _in_turn(connection, order, plans):
            try:
                with connection.attempt():
                    return _moved(connection, terms, order, what, plan)
            except NotFeasibleError:
                continue
    return act(connection, terms, order, what)


def _in_turn(connection: WriteConnection, order: OrderRecord, plans: Sequence[Plan]) -> list[Plan]:
    """Return the plans that the merchant's rules allow, the one that they prefer first."""
    routing = routing_of(connection, order.row.merchant_id)
    been = points_before(connection, order.row)
    if not plans or len(been) >= routing.most_moves:
        return []
    ids = sorted({share.point_id for plan in plans for share in plan})
    out = {order.row.point_id, *been, *cooling(connection, ids, routing.cool_since_us(connection.now_us))}
    near = districts(connection, [order.row.point_id, *ids])
    own = near[order.row.point_id]

    def key(plan: Plan) -> tuple[Any, ...]:
        names = tuple(share.point_id for share in plan)
        told = {
            "splits": len(plan),
            "district": not all(own & near[name] for name in names),
            "distance": sum(share.distance_m for share in plan),
        }
        return (*(told[rule] for rule in routing.rules), told["distance"], names)

    able = [plan for plan in plans if len(plan) <= (order.row.max_points if "splits" in routing.rules else 1)]
    return sorted((plan for plan in able if not any(share.point_id in out for share in plan)), key=key)


def _moved(connection: WriteConnection, terms: OrderTerms, order: OrderRecord, what: Act, plan: Plan) -> OrderRecord:
    """Let the points of a plan take an order over: the first one the order itself, others what is parted from it."""
    row = order.row
    judged = {share.point_id: _judged(connection, terms, row, share.point_id) for share in plan}
    revisions = _counted_on(connection, row.point_id, {name: facts for name, (facts, _, _) in judged.items()})
    stays = _without_offers(connection, order)  # behind that: what waits for points has written nothing
    lines = _divided(stays, plan)
    give_back(connection, place_of(connection, row), order.held, revisions[row.point_id])
    first, *others = (share.point_id for share in plan)
    changes = _taken(connection, terms, row, judged[first], row.order_id, lines[first], revisions)
    for other in others:
        order_id = new_order_id(connection.now_us)
        its = _taken(connection, terms, row, judged[other], order_id, lines[other], revisions)
        _part(connection, row, its | {"order_id": order_id}, lines[other], what)
    if others:
        changes |= {"total_minor": total_minor(lines[first]), "max_points": 1}
    return act(connection, terms, stays, Act(Event.MOVE, what.party, what.actor, what.reason), **changes)


def _divided(order: OrderRecord, plan: Plan) -> dict[str, list[AnyRow]]:
    """Return the lines that each point of a plan takes; raises `NotFeasibleError` if they are others now."""
    wanted = [line for line in order.lines if line.state == "wanted"]
    if len(plan) == 1:
        return {plan[0].point_id: wanted}
    if order.units("wanted") != {sku: n for share in plan for sku, n in share.units.items()}:
        raise NotFeasibleError("out_of_stock")
    return {share.point_id: [line for line in wanted if line.sku in share.units] for share in plan}


def _taken(
    connection: WriteConnection,
    terms: OrderTerms,
    row: AnyRow,
    judged: tuple[AnyRow, int, Promise],
    order_id: str,
    lines: Sequence[AnyRow],
    revisions: Mapping[str, int],
) -> dict[str, Any]:
    """Take what a point gives, and return the columns of the order that it gives it to."""
    facts, at_us, promise = judged
    place = Place(facts.point_id, row.offer, slot_of(at_us, facts.slot_s))
    units = OrderRecord(row, lines).units("wanted")
    entries = take(connection, place, units, slot_orders=facts.slot_orders, revision=revisions[facts.point_id])
    if other := next((sku for sku, entry in entries.items() if entry.currency != row.currency), None):
        raise NotFeasibleError("out_of_stock", other)  # its price would be no price there
    first = row.code_number + 1 if order_id == row.order_id else 0
    number, digest = free_code(connection, terms.secret, order_id, facts.point_id, first=first)
    until_us = answer_by_us(terms.checker, facts, terms.norms.by_offer[row.offer], connection.now_us, at_us)
    return {
        "point_id": facts.point_id,
        "slot_at": place.slot_us,
        "handover_at": at_us,
        "ready_at": to_us(promise.ready_at),
        "cancel_free_until": max(at_us, row.cancel_free_until or 0),  # the customer agreed to another point
        "code_number": number,
        "code_digest": digest,
        "expires_at": until_us,
        "due_at": until_us,
    }


def _part(
    connection: WriteConnection, row: AnyRow, changes: dict[str, Any], lines: Sequence[AnyRow], what: Act
) -> None:
    """Make an order of lines that are parted from another; they cost what they did, and it is paid as that is."""
    order_id, its = changes["order_id"], whose(connection, row.order_id)  # who was forgotten since does not come back
    if its is None:
        raise StateConflictError("the order is gone")
    same = {"state": State.PLACED, "revision": 1, "max_points": 1, "split_of": row.order_id}
    add_order(connection, row._asdict() | its._asdict() | same | {"total_minor": total_minor(lines)} | changes)
    alone = {"order_id": order_id, "replaces": None, "answer_by": None}
    add_lines(connection, [line._asdict() | alone | {"line": number} for number, line in enumerate(lines, 1)])
    for line in lines:
        change_line(connection, row.order_id, line.line, state="parted")
    note = {"order_id": order_id, "point_id": row.point_id, "actor": what.actor, "reason": what.reason}
    add_event(connection, row.merchant_id, note | {"revision": 1, "event": Event.SPLIT, "state": State.PLACED})


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


def _counted_on(connection: WriteConnection, old_id: str, facts: Mapping[str, AnyRow]) -> dict[str, int]:
    """Count the stock of all points on, in the order of their ids, so that two orders never wait for each other."""
    merchant_id = next(iter(facts.values())).merchant_id
    revisions = {}
    for point_id in sorted({old_id, *facts}):
        its = (connection, merchant_id, point_id)
        revision = count_on_as_read(*its, facts[point_id].point_revision) if point_id in facts else count_on(*its)
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
