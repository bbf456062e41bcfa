"""One order of the demonstration through its whole life, with the service's own functions on a store that is thrown away."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from service.clock import from_us
from service.demo.thrown_away import APP, MERCHANT, SECRET, ThrownAway, order_terms, thrown_away, utc_of
from service.http.problems import ProblemError
from service.orders.acting import Act, act, locked_order
from service.orders.codes import CODE_DIGITS, code_of
from service.orders.collecting import Shown, collect
from service.orders.ordering import OrderTerms, Wish, hold
from service.orders.rules import Event, Party
from service.orders.store import OrderRecord
from service.places import coarse_cell
from service.stock.rules import StockFacts
from service.stock.store import list_entries, put_entries

if TYPE_CHECKING:
    import pyarrow as pa

    from engine import Engine
    from service.demo.day import Day
    from service.store.connections import WriteConnection

__all__ = ["OFFER", "OrderLife", "Shelf", "Step", "live_order"]

OFFER = "retail/pickup"

_KEY = "counter"
_SHELF = (
    StockFacts("milk", "Milk", 145, "EUR", 12, 0, None),
    StockFacts("rye", "Rye bread", 290, "EUR", 8, 0, None),
)
_UNITS = {"milk": 2, "rye": 1}
_FROM_HOUR = 7  # in UTC: shops are open by then
_LEAST_AHEAD, _MOST_AHEAD = dt.timedelta(minutes=30), dt.timedelta(hours=3)
# After it was asked; what comes at the counter is told by how long before or after the time wanted.
_PLACED, _ACCEPTED, _READY = (dt.timedelta(minutes=minutes) for minutes in (1, 5, 20))
_MINUTE = dt.timedelta(minutes=1)


class Shelf(NamedTuple):
    """What a point has of one SKU."""

    sku: str
    name: str
    counted: int
    held: int


class Step(NamedTuple):
    """
    Something that happened to the order.

    Attributes
    ----------
    name
        ``match``, an event of its life, or ``wrong_code``.
    state
        Where the order is then, None before there is one.
    until
        How long that may last, None where it has no end.
    stock
        What the point has then.
    """

    name: str
    at: dt.datetime
    state: str | None
    until: dt.datetime | None
    stock: tuple[Shelf, ...]


@dataclass(frozen=True)
class OrderLife:
    """
    An order from match to collection.

    Attributes
    ----------
    order
        Its place in the day.
    wanted_at
        When it is to be collected.
    lines
        Quantity and name of each.
    code
        What the customer was told; another in each run.
    wrong_code
        What was entered first.
    refusal
        What was answered to that.
    """

    order: int
    point_id: str
    name: str
    distance_m: float
    wanted_at: dt.datetime
    lines: tuple[tuple[int, str], ...]
    total_minor: int
    currency: str
    code: str
    wrong_code: str
    refusal: str
    steps: tuple[Step, ...]


def live_order(points: pa.Table, engine: Engine, day: Day) -> OrderLife:
    """
    Take the first order of a day that is collected in a shop from its match to its end.

    Parameters
    ----------
    points
        Those that the engine was made of.
    """
    i = _chosen(day)
    point_id = str(engine.point_ids(day.row[[i]])[0])
    with thrown_away(points, point_id, utc_of(day, i, "asked_at")) as place:
        place.store.write_now(lambda connection: put_entries(connection, MERCHANT, place.point_id, _SHELF))
        life = _Life(place, _wish(day, i, place.point_id))
        life.live()
    return OrderLife(
        order=i,
        point_id=point_id,
        name=place.name,
        distance_m=float(day.distance_m[i]),
        wanted_at=utc_of(day, i, "at"),
        lines=tuple((line.quantity, line.name) for line in life.record.lines),
        total_minor=life.record.row.total_minor,
        currency=life.record.row.currency,
        code=life.code,
        wrong_code=life.wrong_code,
        refusal=life.refusal,
        steps=tuple(life.steps),
    )


def _chosen(day: Day) -> int:
    """Return the first order that is served and asked in the morning: of those that the nearest shop does not serve."""
    served = [
        i for i in range(len(day.offer)) if day.offer[i] == OFFER and day.served[i] and _is_asked_in_the_morning(day, i)
    ]
    return next((i for i in served if day.distance_m[i] > day.offered_m[i]), served[0])


def _is_asked_in_the_morning(day: Day, i: int) -> bool:
    asked_at = utc_of(day, i, "asked_at")
    return asked_at.hour >= _FROM_HOUR and _LEAST_AHEAD <= utc_of(day, i, "at") - asked_at <= _MOST_AHEAD


def _wish(day: Day, i: int, shop: str) -> Wish:
    lat, lng = float(day.lat[i]), float(day.lng[i])
    return Wish(
        owner=APP,
        buyer="a customer",
        device="a phone",
        collector=None,
        point_id=shop,
        offer=OFFER,
        lat=lat,
        lng=lng,
        cell=coarse_cell(lat, lng),
        at=utc_of(day, i, "at"),
        features=(),
        unknown_hours="refuse",
        units=_UNITS,
        total_minor=None,
        is_placed=False,
        actor=APP,
    )


@dataclass
class _Life:
    """The order as it goes on, each step a transaction of its own."""

    place: ThrownAway
    wish: Wish
    terms: OrderTerms = field(default_factory=order_terms)
    steps: list[Step] = field(default_factory=list)
    code: str = ""
    wrong_code: str = ""
    refusal: str = ""

    def live(self) -> None:
        asked_at, wanted_at = self.place.clock.at, self.wish.at or self.place.clock.at
        self._note("match", None)
        self._write(Event.HOLD, lambda connection: hold(connection, self.terms, self.wish))
        self._act(asked_at + _PLACED, Act(Event.PLACE, Party.CUSTOMER, APP), payment="counter")
        row = self.record.row
        self.code = code_of(SECRET, row.order_id, row.code_number)
        self._act(asked_at + _ACCEPTED, Act(Event.ACCEPT, Party.MERCHANT, _KEY))
        self._act(min(asked_at + _READY, wanted_at - _MINUTE), Act(Event.READY, Party.MERCHANT, _KEY))
        self.wrong_code = f"{(int(self.code) + 1) % 10**CODE_DIGITS:0{CODE_DIGITS}d}"
        self.place.clock.at = wanted_at
        self._enter_wrong_code()
        self.place.clock.at = wanted_at + _MINUTE
        self._write(Event.COLLECT, lambda connection: self._entered(connection, self.code))

    def _act(self, at: dt.datetime, what: Act, **values: str) -> None:
        self.place.clock.at = at
        order_id = self.record.row.order_id

        def write(connection: WriteConnection) -> OrderRecord:
            order = locked_order(connection, order_id)
            assert order is not None  # noqa: S101 - it is this demonstration's own
            return act(connection, self.terms, order, what, **values)

        self._write(what.event, write)

    def _write(self, name: str, fn: Callable[[WriteConnection], OrderRecord | ProblemError]) -> None:
        found = self.place.store.write_now(fn)
        if isinstance(found, ProblemError):
            raise found
        self.record = found
        self._note(str(name), found)

    def _enter_wrong_code(self) -> None:
        found = self.place.store.write_now(lambda connection: self._entered(connection, self.wrong_code))
        assert isinstance(found, ProblemError)  # noqa: S101 - there is one order, and it has another code
        self.refusal = found.detail
        self._note("wrong_code", self.record)

    def _entered(self, connection: WriteConnection, code: str) -> OrderRecord | ProblemError:
        return collect(connection, self.terms, Shown(self.wish.point_id, code), _KEY)

    def _note(self, name: str, order: OrderRecord | None) -> None:
        entries = self.place.store.read_now(lambda connection: list_entries(connection, self.wish.point_id))
        stock = tuple(Shelf(one.sku, one.name, one.counted, one.held) for one in entries)
        until_us = None if order is None else order.row.expires_at
        until = None if until_us is None else from_us(until_us)
        self.steps.append(Step(name, self.place.clock.at, None if order is None else order.row.state, until, stock))
