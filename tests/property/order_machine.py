"""The orders of a real store and a plain model of them, changed side by side and compared after every step."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter
from typing import Any, ClassVar

import h3
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import insert, select, update

from service.clock import from_us, to_us
from service.errors import NotFeasibleError, StateConflictError
from service.orders.acting import Act, act, check_act, check_in_time, locked_order
from service.orders.codes import code_of
from service.orders.collecting import Shown, collect
from service.orders.moving import reject
from service.orders.ordering import Wish, hold
from service.orders.plans import Plan, Share
from service.orders.rules import Event, Party
from service.orders.store import OrderRecord, due_orders, find_order
from service.orders.substituting import answer_offer, check_answered, offer_line
from service.orders.sweeping import _let_happen
from service.store.connections import ReadConnection, WriteConnection
from service.store.order_tables import order_lines, orders, slots, stock
from service.store.tables import offers
from tests.property.order_model import AT_ONCE, EVENTS, Model, RefusedError
from tests.registry import NOW, Offer, Point, Registry

__all__ = ["PATHS", "Orders"]

OFFER = "fresh_food/pickup"
LAT, LNG = 31.2304, 121.4737
CELL = h3.latlng_to_cell(LAT, LNG, 8)
COUNTED = {"milk": 6, "bread": 4, "tea": 2}
PRICES = {"milk": 805, "bread": 500, "tea": 401}
MOST, PER_SLOT, SLOT_S = 4, 2, 1800
_IN_WORK = select(offers.c.point_id, offers.c.in_work)
_names = itertools.count()
UNITS = st.dictionaries(st.sampled_from(["milk", "bread"]), st.integers(1, 3), min_size=1)
PICK = st.integers(0, 99)
AHEAD_S = st.sampled_from([None, 1, 400, 2_000, 2_400, 7_200, 90_000])
PASSED_S = st.sampled_from([0, 250, 400, 650, 1_000, 15_000, 90_000])
BY_CLOCK = {"hold", "move", "split", "expire", "remind", "release"}
_OFFERED = ("place", "offer")
_ACCEPTED = ("place", "accept")
_READY = (*_ACCEPTED, "ready")
_LATE = (*_ACCEPTED, -4_000, "ready")
PATHS: tuple[tuple[str | int, ...], ...] = (
    *((), ("cancel",), ("reject",), (700,), (-700, "place")),
    *(("place",), ("place", "cancel"), ("place", "reject"), ("place", 1_000)),
    ("place", "reject", "accept", -1_300, "cancel"),
    *((*_OFFERED, event) for event in ("take", "decline", 650)),
    *((*_OFFERED, -650, event) for event in ("take", "decline")),
    *(_ACCEPTED, (*_ACCEPTED, "cancel"), (*_ACCEPTED, "reject"), (*_ACCEPTED, 90_000), (*_ACCEPTED, -1_300, "cancel")),
    *((*_OFFERED, "accept", event) for event in ("take", "decline", 650)),
    *((*_ACCEPTED, "offer", event) for event in ("take", "decline", 650)),
    *((*_LATE, event) for event in ("cancel", "reject")),
    *((*_LATE, -90_000, "cancel"), (*_LATE, 90_000)),
    *(_READY, (*_READY, "cancel"), (*_READY, "reject"), (*_READY, "collect"), (*_READY, 18_000, 90_000)),
)
"""Ways that an order can go: what is done, and for how many seconds nothing is; if negative, unnoticed by the clock."""


class Orders(RuleBasedStateMachine):
    """The orders of three points are what the model says."""

    registry: ClassVar[Registry]
    hits: ClassVar[Counter[tuple[str, str]]] = Counter()
    """How often each event met each state, over all machines: the test asks that all did."""

    @initialize()
    def start(self) -> None:
        number = next(_names)
        self.points = [f"shop:{number}-{one}" for one in "abc"]
        self.store, self.terms = self.registry.services.store, self.registry.services.orders
        self.registry.clock.at = NOW + dt.timedelta(days=3 * number % 300)
        given = [Point(point, LAT, LNG, [Offer(OFFER, 3000.0, capacity=MOST)]) for point in self.points]
        self.registry.put(*given, follow=False, silently=True)
        self.store.write_now(self._stocked)
        self.model = Model(self.points, COUNTED, PRICES, MOST, PER_SLOT)

    def _stocked(self, connection: WriteConnection) -> None:
        its = offers.c.point_id.in_(self.points)
        connection.run(update(offers).where(its).values(slot_orders=PER_SLOT, slot_s=SLOT_S))
        told = {"currency": "CNY", "held": 0, "safety": 0, "counted_at": 0, "is_deleted": False, "revision": 1}
        rows = [
            told | {"point_id": point, "sku": sku, "name": sku, "price_minor": PRICES[sku], "counted": counted}
            for point in self.points
            for sku, counted in COUNTED.items()
        ]
        connection.run(insert(stock), rows)

    # What happens

    @rule(point=st.integers(0, 2), units=UNITS, ahead_s=AHEAD_S, max_points=st.integers(1, 2))
    def hold(self, point: int, units: dict[str, int], ahead_s: int | None, max_points: int) -> None:
        now = self._tick()
        at = None if ahead_s is None else now + ahead_s * 1_000_000
        self._held(self.points[point], units, at, now, max_points)

    def _held(self, point: str, units: dict[str, int], at: int | None, now: int, max_points: int = 1) -> str | None:
        name = f"{self.points[0]} {len(self.model.orders)}"
        wish = Wish(
            owner="app", buyer=name, device=name, collector=None, point_id=point, offer=OFFER, lat=LAT, lng=LNG,
            cell=CELL, at=None if at is None else from_us(at), features=(), unknown_hours="refuse", units=units,
            total_minor=None, is_placed=False, actor="app", max_points=max_points,
        )  # fmt: skip
        try:
            made = self.store.write_now(lambda connection: hold(connection, self.terms, wish))
        except NotFeasibleError:
            made = None
        try:
            self.model.hold("" if made is None else made.row.order_id, point, units, at, now, max_points)
        except RefusedError:
            assert made is None
            return None
        assert made is not None
        return str(made.row.order_id)

    @rule(pick=PICK, which=PICK, line=st.integers(1, 4), sku=st.sampled_from(["tea", "bread"]))
    @precondition(lambda self: self.model.orders)
    def do(self, pick: int, which: int, line: int, sku: str) -> None:
        name = self._pick(pick)
        fitting = [event for event in AT_ONCE if self.model.fits(name, event)]
        if fitting:
            self._do(name, fitting[which % len(fitting)], self._tick(), line, sku)

    def divided(self) -> bool:
        """An order that no point alone can take over is divided between two; tell whether it was."""
        now = self._tick()
        at, (own, one, two) = now + 3_000_000_000, self.points
        self._held(one, {"milk": 3}, at, now)
        self._held(two, {"bread": 3}, at, now)
        name = self._held(own, {"milk": 4, "bread": 2}, at, now, 2)
        assert name is not None
        for event in ("place", "accept", "reject"):
            self._do(name, event, self._tick())
        self.is_as_the_model_says()
        return any(line.state == "parted" for line in self.model.orders[name].lines)

    @rule(point=st.integers(0, 2), path=st.sampled_from(PATHS))
    def live(self, point: int, path: tuple[str | int, ...]) -> None:
        """An order goes one of the ways that there are; and wherever it is then, all else is refused."""
        now = self._tick()
        name = self._held(self.points[point], {"milk": 1}, now + 3_000_000_000, now)
        if name is None:
            return
        for step in path:
            if isinstance(step, int):
                self.time_passes(abs(step), is_swept=step > 0)
            else:
                self._do(name, step, self._tick(), len(self.model.orders[name].lines))
        self._all_else_is_refused(name)

    def _all_else_is_refused(self, name: str) -> None:
        """What the state of an order does not know is refused, whoever asks; what is the clock's is nobody's."""
        self._tick()
        state, tried = self.model.orders[name].state, []
        for event in EVENTS:
            fits = self.model.fits(name, event)
            if event in BY_CLOCK:
                tried.append(Act(Event(event), Party.CUSTOMER, "somebody"))
            elif not fits:
                tried += [Act(Event(event), party, "somebody") for party in Party]
            if not fits:
                self.hits[state, event] += 1

        def write(connection: WriteConnection) -> list[Act]:
            return [what for what in tried if not self._is_refused(connection, name, what)]

        assert self.store.write_now(write) == []

    def _is_refused(self, connection: WriteConnection, name: str, what: Act) -> bool:
        try:
            act(connection, self.terms, _found(connection, name), what)
        except StateConflictError:
            return True
        return False

    @rule(seconds=PASSED_S, is_swept=st.booleans())
    def time_passes(self, seconds: int, *, is_swept: bool) -> None:
        self.registry.clock.at += dt.timedelta(seconds=seconds)
        now = self._tick()
        for _ in range(20 if is_swept else 0):
            due = [
                name
                for name in self.store.write_now(lambda one: due_orders(one, 1_000_000))
                if name in self.model.orders
            ]
            assert due == self.model.due(now)
            if not due:
                return
            for name in due:
                self._let_happen(name, now)
        assert not is_swept, "it does not come to an end"

    def _let_happen(self, name: str, now: int) -> None:
        state = self.model.orders[name].state

        def write(connection: WriteConnection) -> bool:
            order = _found(connection, name)
            return _let_happen(connection, self.terms, order, self._plans(order))

        assert self.store.write_now(write)
        self.hits[state, self.model.let_happen(name, now, self._part_of(name))] += 1

    def _do(self, name: str, event: str, now: int, line: int = 1, sku: str = "tea") -> None:
        state = self.model.orders[name].state
        refused = self._tried(name, lambda connection, order: self._acted(connection, order, event, line, sku))
        try:
            came_to = self.model.act(name, event, now, line, sku, part=self._part_of(name))
        except RefusedError:
            assert refused
            if not self.model.fits(name, event):
                self.hits[state, event] += 1
            return
        assert refused is None
        self.hits[state, came_to] += 1

    def _tried(self, name: str, fn: Any) -> Exception | None:
        try:
            self.store.write_now(lambda connection: fn(connection, _found(connection, name)))
        except (StateConflictError, NotFeasibleError) as error:
            return error
        return None

    def _acted(self, connection: WriteConnection, order: OrderRecord, event: str, line: int, sku: str) -> object:
        """Do what the routes do."""
        row, terms = order.row, self.terms
        party = Party.CUSTOMER if event in {"place", "cancel", "take", "decline"} else Party.MERCHANT
        what = Act(Event(event), party, "somebody")
        if event == "offer":
            return offer_line(connection, terms, order, "somebody", line=line, sku=sku, quantity=1)
        if event in {"take", "decline"}:
            return answer_offer(connection, terms, order, what, line=line)
        if event == "reject":
            return reject(connection, terms, order, what, self._plans(order))
        check_act(order, what)
        if event == "collect":
            code = code_of(terms.secret, row.order_id, row.code_number)
            return collect(connection, terms, Shown(row.point_id, code, row.order_id), "somebody")
        if event == "ready":
            check_answered(order)
        if event == "place":
            check_in_time(connection, order)
            return act(connection, terms, order, what, payment="counter")
        return act(connection, terms, order, what)

    def _tick(self) -> int:
        """Let a moment pass, so that no two things happen, or are due, at one instant."""
        self.registry.clock.at += dt.timedelta(microseconds=1_000_003)
        return to_us(self.registry.clock.at)

    def _pick(self, pick: int) -> str:
        names = list(self.model.orders)
        return names[-1 - pick % min(len(names), 6)]

    def _plans(self, order: OrderRecord) -> list[Plan]:
        one, two = (point for point in self.points if point != order.row.point_id)
        units = order.units("wanted")
        plans: list[Plan] = [(Share(two, 2.0, units),), (Share(one, 1.0, units),)]
        if len(units) > 1:
            least = min(units)
            rest = {sku: n for sku, n in units.items() if sku != least}
            plans.insert(0, (Share(one, 1.0, {least: units[least]}), Share(two, 2.0, rest)))
        return plans

    def _part_of(self, name: str) -> str:
        """Return the order that was parted from one."""
        its = select(orders.c.order_id).where(orders.c.split_of == name)
        return str(self.store.read_now(lambda connection: connection.value(its)) or "")

    # What must hold after each step

    @invariant()
    def is_as_the_model_says(self) -> None:
        if hasattr(self, "model"):
            self.store.read_now(self._compare)

    def _compare(self, connection: ReadConnection) -> None:
        model, points = self.model, self.points
        told = connection.rows(select(stock).where(stock.c.point_id.in_(points)))
        held = {(row.point_id, row.sku): (row.counted, row.held) for row in told}
        assert held == {
            (point, sku): (model.counted[point][sku], model.held(point, sku)) for point in points for sku in COUNTED
        }
        told = connection.rows(_IN_WORK.where(offers.c.point_id.in_(points)))
        assert {row.point_id: row.in_work for row in told} == {point: model.in_work(point) for point in points}
        told = connection.rows(select(slots).where(slots.c.point_id.in_(points), slots.c.taken > 0))
        taken = {(row.point_id, row.starts_at): row.taken for row in told}
        assert taken == {(point, start): n for point in points for start, n in model.taken(point).items()}
        told = connection.rows(select(orders).where(orders.c.point_id.in_(points)))
        names = ("state", "point_id", "total_minor", "fee_minor", "due_at", "cancel_free_until")
        found = {row.order_id: tuple(getattr(row, name) for name in names) for row in told}
        assert found == {
            name: (one.state, one.point, one.total, one.fee, one.due, one.free) for name, one in model.orders.items()
        }
        of_lines = select(order_lines).where(order_lines.c.order_id.in_(list(model.orders)))
        lines: dict[str, list[tuple[str, int, str]]] = {name: [] for name in model.orders}
        for row in connection.rows(of_lines.order_by(order_lines.c.order_id, order_lines.c.line)):
            lines[row.order_id].append((row.sku, row.quantity, row.state))
        assert lines == {
            name: [(line.sku, line.quantity, line.state) for line in one.lines] for name, one in model.orders.items()
        }


def _found(connection: WriteConnection, name: str) -> OrderRecord:
    order = locked_order(connection, name)
    assert order is not None
    assert find_order(connection, name) is not None
    return order
