"""Batches as Arrow IPC streams: columns in, columns out, and no Python object a place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from engine import REASONS, promises_many
from service.clock import from_us
from service.http.problems import ProblemError, Trouble
from service.http.query_text import number, read_query
from service.matching.arrow_streams import MAX_PLACES, read_places
from service.matching.asking import Terms, match_together
from service.matching.asks import (
    Ask,
    check_datum,
    check_limit,
    check_offer,
    check_span,
    check_unknown_hours,
    features_of,
)
from service.matching.checks import check_orders
from service.matching.columns import BadRow, RawOrders
from service.matching.free_slots import found_free, refused_now
from service.matching.parameters import MAX_QUANTITY, OF_STREAMS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from engine import Engine
    from service.deadlines import Deadline
    from service.matching.asking import Found
    from service.matching.columns import Orders
    from service.services import Services

__all__ = ["ARROW", "MAX_PLACES", "OPTIONS", "answer_arrow"]

ARROW = "application/vnd.apache.arrow.stream"
OPTIONS = frozenset(parameter.name for parameter in OF_STREAMS)
_MOST_TOLD = 100
_MAX_FEATURE_SETS = 100  # each is a search of its own
_ROWS_A_QUERY = 4
_INSTANT = pa.timestamp("us", tz="UTC")
_INSTANTS = ("order_by", "ready_at", "hold_until", "cancel_free_until")
_NAT = np.datetime64("NaT", "us")


def answer_arrow(services: Services, body: bytes, query: bytes, deadline: Deadline) -> bytes:
    """
    Return the answers to the places of a stream, as a stream.

    Raises
    ------
    ProblemError
        For a body that is no such stream, holds too much, or a place that cannot be asked for, naming its row.
    DeadlineExceededError
        If it is over before all places are asked for.
    """
    options = read_query(query, OPTIONS)
    datum = check_datum(options.get("datum", "wgs84"))
    limit = options.get("max_distance_m")
    terms = Terms(
        unknown_hours=check_unknown_hours(options.get("unknown_hours", "refuse")),
        max_distance_m=None if limit is None else check_limit(number(limit, "max_distance_m")),
    )
    orders = _orders(services, read_places(body), datum)
    view = services.index.view
    engine = view.engine.still()
    if len(orders) * _ROWS_A_QUERY > engine.n_rows:
        view.engine.prepare(wait=False)  # a still engine leaves it to others to list what is near
    found = match_together(engine, orders, terms)
    if any(map(services.rooms.concern, orders.offers)):
        _pass_full(services, engine, orders, terms, found, deadline)
    return _written(_answers(services, engine, orders, found), view.position_of(engine.version))


def _orders(services: Services, columns: dict[str, pa.Array[Any]], datum: str) -> Orders:
    rows = np.arange(len(columns["lat"]))
    orders, bad = check_orders(RawOrders(rows, columns, []), datum=datum)
    if bad:
        raise _bad_rows(bad, rows.size)
    used, offer = np.unique(orders.offer, return_inverse=True)  # a dictionary may hold others, which nobody asks for
    orders = replace(orders, offer=offer.astype(np.int32), offers=[orders.offers[number_] for number_ in used.tolist()])
    for number_, name in enumerate(orders.offers):
        check_offer(services, name, f"/{np.argmax(orders.offer == number_)}/offer")
    most = orders.quantity > MAX_QUANTITY
    if most.any():
        raise _bad_rows([BadRow(int(np.argmax(most)), f"quantity must be at most {MAX_QUANTITY}")], rows.size)
    if len(orders.feature_sets) - 1 > _MAX_FEATURE_SETS:
        raise ProblemError("batch-too-large", f"at most {_MAX_FEATURE_SETS} different sets of features are taken")
    for number_, wanted in enumerate(orders.feature_sets):
        if wanted:
            features_of(sorted(wanted), f"/{np.argmax(orders.wants == number_)}/features")
    return _timed(services, orders)


def _bad_rows(bad: list[BadRow], n_rows: int) -> ProblemError:
    row, reason = bad[0]
    is_place = reason.startswith(("lat must be in", "lng must be in"))
    return ProblemError(
        "coordinate-out-of-range" if is_place else "validation",
        f"{len(bad)} of {n_rows} places cannot be asked for, the first in row {row}: {reason}",
        [Trouble(f"/{row}", reason) for row, reason in bad[:_MOST_TOLD]],
    )


def _timed(services: Services, orders: Orders) -> Orders:
    now_us = services.clock.now_us()
    now = np.datetime64(now_us, "us")
    at = np.where(np.isnat(orders.at), now, orders.at)
    for row in (at.argmin(), at.argmax()) if at.size else ():
        check_span(from_us(int(at[row].astype(np.int64))), from_us(now_us), f"/{row}/at")
    return replace(orders, at=at, asked_at=np.minimum(now, at))


def _pass_full(
    services: Services, engine: Engine, orders: Orders, terms: Terms, found: Found, deadline: Deadline
) -> None:
    """Ask once more, in place, for those whose match has no room then: the store is read once a point and day."""
    facts, rooms = engine.facts, services.rooms.for_batch()
    for i in np.flatnonzero(found.row >= 0).tolist():
        deadline.demand()
        at, offer = from_us(int(orders.at[i].astype(np.int64))), orders.offers[orders.offer[i]]
        ask = Ask(
            float(orders.lat[i]),
            float(orders.lng[i]),
            offer,
            at,
            from_us(int(orders.asked_at[i].astype(np.int64))),
            int(orders.quantity[i]),
            max_distance_m=terms.max_distance_m,
            features=tuple(sorted(orders.feature_sets[orders.wants[i]])),
            unknown_hours=terms.unknown_hours,
            deadline=deadline,
        )
        if rooms.is_free(facts.row(int(found.row[i])).point_id, ask):
            continue
        other = found_free(engine, rooms, ask)
        if other.rows:
            found.row[i], found.distance_m[i] = other.rows[0], other.distance_m[0]
        else:
            nearest = refused_now(engine, rooms, ask, 1)[0]  # there is one: that which has no room
            found.row[i], found.distance_m[i], found.code[i] = -1, np.inf, REASONS.index(nearest.reason)


def _answers(services: Services, engine: Engine, orders: Orders, found: Found) -> dict[str, pa.Array[Any]]:
    matched = found.row >= 0
    n_matched = int(matched.sum())
    services.metrics.count_places(n_matched, matched.size - n_matched)
    code = np.where(matched, 0, found.code).astype(np.int8)
    instants = _promised(services, engine, orders, found, matched)
    return {
        "status": pa.DictionaryArray.from_arrays(code, pa.array(REASONS)),
        "point_id": engine.facts.point_ids(found.row),
        "distance_m": pa.array(found.distance_m, mask=~matched),
        **{name: pa.array(instants[i]).cast(_INSTANT) for i, name in enumerate(_INSTANTS)},
    }


def _promised(
    services: Services, engine: Engine, orders: Orders, found: Found, matched: NDArray[np.bool_]
) -> NDArray[np.datetime64]:
    """Return the four instants of each place, NaT where there is no match."""
    facts = engine.facts
    instants = np.full((len(_INSTANTS), found.row.size), _NAT)
    lead_s, schedule = facts.lead_s(found.row), facts.schedule(found.row)
    for number_, offer in enumerate(orders.offers):
        mask = matched & (orders.offer == number_)
        if mask.any():
            own = slice(None) if mask.all() else np.flatnonzero(mask)
            promised = promises_many(
                services.norms.by_offer[offer],
                lead_s[own],
                orders.at[own].view(np.int64),
                orders.asked_at[own].view(np.int64),
                schedule[own],
                facts.schedules,
                facts.openings,
            )
            for told, instant in zip(instants, promised, strict=True):
                told[own] = instant.view("datetime64[us]")
    return instants


def _written(columns: dict[str, pa.Array[Any]], version: str) -> bytes:
    table = pa.table(columns).replace_schema_metadata({"index_version": version})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()
