"""A new order: judged, taken and written in one transaction, or not at all."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from service.clock import from_us, to_us
from service.errors import NotFeasibleError, OverloadedError
from service.feed.columns import joined_features
from service.http.access import not_found
from service.http.problems import ProblemError, invalid
from service.matching.asks import check_span
from service.orders.checks import Checker, Wanted, is_hidden
from service.orders.codes import code_digest, code_of
from service.orders.deciding import answer_by_us, place_by_us
from service.orders.limits import check_holds, check_units, lock_holds
from service.orders.rules import MOST_MINOR, Event, State
from service.orders.store import (
    OrderRecord,
    add_events,
    add_lines,
    add_order,
    find_facts,
    new_order_id,
    order_of_code,
)
from service.orders.taking import Place, slot_of, take
from service.stock.counting import count_on_as_read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.norms import Norms, OfferNorm
    from engine.promises import Promise
    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = [
    "OrderTerms",
    "Quote",
    "Wish",
    "free_code",
    "hold",
    "judged",
    "priced",
]

_SECOND_US = 1_000_000
_MOST_READS = 20
_MOST_CODES = 1_000


@dataclass(frozen=True)
class OrderTerms:
    """
    What orders are made with.

    Attributes
    ----------
    secret
        The store's own.
    """

    secret: bytes
    norms: Norms
    checker: Checker


class Wish(NamedTuple):
    """
    What a customer wants of a point.

    Attributes
    ----------
    owner
        The app that asks.
    buyer, device, collector
        Digests.
    at
        When it is to be collected; None for as soon as its lead time allows.
    units
        By SKU.
    max_points
        Between how many points it may be divided where one rejects it.
    total_minor
        What the customer was told that it costs; None if he was told nothing.
    is_placed
        Whether it is placed at once, to be paid at the counter.
    """

    owner: str
    buyer: str
    device: str
    collector: str | None
    point_id: str
    offer: str
    lat: float
    lng: float
    cell: str
    at: dt.datetime | None
    features: tuple[str, ...]
    unknown_hours: str
    units: Mapping[str, int]
    total_minor: int | None
    is_placed: bool
    actor: str
    max_points: int = 1


class Quote(NamedTuple):
    """What a point would do for a wish: the row it was judged by, when, what it promises."""

    facts: AnyRow
    norm: OfferNorm
    at: dt.datetime
    promise: Promise


def judged(connection: ReadConnection, terms: OrderTerms, wish: Wish, now_us: int) -> Quote:
    """
    Return what a point would do, on its row as this transaction reads it.

    Raises
    ------
    NotFeasibleError
        If it cannot serve.
    ProblemError
        not-found for a point that nobody may see; validation for a time that is over, or too far ahead.
    """
    facts = find_facts(connection, wish.point_id, wish.offer)
    if facts is None or is_hidden(facts):
        raise not_found()
    if facts.offer is None:
        raise NotFeasibleError("no_offer")
    now = from_us(now_us)
    at = from_us(now_us + facts.lead_s * _SECOND_US) if wish.at is None else wish.at.astimezone(dt.UTC)
    check_span(at, now, "/at")
    if at < now:
        raise invalid("/at", f"must not lie in the past, got {at.isoformat()}; it is {now.isoformat()}")
    norm = terms.norms.by_offer[wish.offer]
    wanted = Wanted(wish.lat, wish.lng, at, now, wish.features, wish.unknown_hours)
    reason, promise = terms.checker.judge(facts, wanted, norm)
    if promise is None:
        raise NotFeasibleError(reason)
    return Quote(facts, norm, at, promise)


def hold(connection: WriteConnection, terms: OrderTerms, wish: Wish) -> OrderRecord:
    """
    Make an order: what it takes is held, and it is placed at once where the wish says so.

    Raises
    ------
    NotFeasibleError, ProblemError
        As `judged` does, and if there is not enough left, too much is held, or it costs something else.
    """
    lock_holds(connection, wish.buyer, wish.device)
    has_others = check_holds(connection, wish.buyer, wish.device, connection.now_us, is_placed=wish.is_placed)
    for _ in range(_MOST_READS):
        quote = judged(connection, terms, wish, connection.now_us)
        facts = quote.facts
        revision = count_on_as_read(connection, facts.merchant_id, wish.point_id, facts.point_revision)
        if revision is not None:
            return _held(connection, terms, wish, quote, revision, has_others=has_others)
    raise OverloadedError("the point is changed all the time")


def _held(
    connection: WriteConnection, terms: OrderTerms, wish: Wish, quote: Quote, revision: int, *, has_others: bool
) -> OrderRecord:
    place = Place(wish.point_id, wish.offer, slot_of(to_us(quote.at), quote.facts.slot_s))
    entries = take(connection, place, wish.units, slot_orders=quote.facts.slot_orders, revision=revision)
    lines, total_minor = priced(connection, wish, entries, has_others=has_others)
    order_id = new_order_id(connection.now_us)
    values = _values(connection, terms, wish, quote, order_id)
    currency = next((line["currency"] for line in lines), None)
    row = add_order(connection, values | {"total_minor": total_minor, "currency": currency, "slot_at": place.slot_us})
    made = OrderRecord(row, add_lines(connection, [line | {"order_id": order_id} for line in lines]))
    merchant_id = quote.facts.merchant_id
    note = {"order_id": order_id, "point_id": wish.point_id, "actor": wish.actor}
    events = [note | {"revision": 1, "event": Event.HOLD, "state": State.HELD}]
    if wish.is_placed:
        events.append(note | {"revision": 2, "event": Event.PLACE, "state": State.PLACED})
    add_events(connection, merchant_id, events)
    return made


def priced(
    connection: ReadConnection, wish: Wish, entries: Mapping[str, AnyRow], *, has_others: bool
) -> tuple[list[dict[str, Any]], int]:
    """
    Return the lines of an order with the prices that hold now, and what they cost together.

    Parameters
    ----------
    entries
        Of the point's stock, by SKU: all that is wanted.
    has_others
        What `check_holds` told.

    Raises
    ------
    ProblemError
        If too much is held, or it costs something else; validation for more than any sum can be.
    """
    check_units(connection, wish.buyer, wish.device, wish.point_id, wish.units, entries, has_others=has_others)
    lines = []
    for number, (sku, quantity) in enumerate(wish.units.items(), 1):
        told = {name: getattr(entries[sku], name) for name in ("name", "price_minor", "currency")}
        lines.append({"line": number, "sku": sku, "quantity": quantity, "state": "wanted", **told})
    total_minor = sum(line["price_minor"] * line["quantity"] for line in lines)
    if total_minor > MOST_MINOR:
        raise invalid("/items", f"must cost at most {MOST_MINOR} in the currency's smallest unit together")
    if wish.total_minor is not None and wish.total_minor != total_minor:
        text = f"it costs {total_minor} now, not {wish.total_minor}: ask the customer again"
        raise ProblemError("price-changed", text, more={"total_minor": total_minor})
    return lines, total_minor


def _values(connection: WriteConnection, terms: OrderTerms, wish: Wish, quote: Quote, order_id: str) -> dict[str, Any]:
    now_us, at_us = connection.now_us, to_us(quote.at)
    free_until = quote.promise.cancel_free_until
    values: dict[str, Any] = {
        "order_id": order_id,
        "owner": wish.owner,
        "merchant_id": quote.facts.merchant_id,
        "point_id": wish.point_id,
        "offer": wish.offer,
        "state": State.HELD,
        "revision": 1,
        "buyer": wish.buyer,
        "device": wish.device,
        "collector": wish.collector,
        "cell": wish.cell,
        "features": joined_features(wish.features),
        "order_at": now_us,
        "ready_at": to_us(quote.promise.ready_at),
        "handover_at": at_us,
        "cancel_free_until": None if free_until is None else to_us(free_until),
        "fee_minor": 0,
        "payment": None,
        "code_number": 0,
        "code_digest": None,
        "ended_at": None,
        "max_points": wish.max_points,
        "split_of": None,
    }
    if not wish.is_placed:
        expires_us = place_by_us(quote.norm, now_us, None if wish.at is None else at_us)
        return values | {"expires_at": expires_us, "due_at": expires_us}
    number, digest = free_code(connection, terms.secret, order_id, wish.point_id)
    answer_us = answer_by_us(terms.checker, quote.facts, quote.norm, now_us, at_us)
    return values | {
        "state": State.PLACED,
        "revision": 2,
        "payment": "counter",
        "code_number": number,
        "code_digest": digest,
        "expires_at": answer_us,
        "due_at": answer_us,
    }


def free_code(
    connection: ReadConnection, secret: bytes, order_id: str, point_id: str, first: int = 0
) -> tuple[int, str]:
    """Return the number and the digest of a code that no other order at a point has."""
    for number in range(first, first + _MOST_CODES):
        digest = code_digest(secret, point_id, code_of(secret, order_id, number))
        if order_of_code(connection, point_id, digest) is None:
            return number, digest
    raise OverloadedError("no code is free at this point")
