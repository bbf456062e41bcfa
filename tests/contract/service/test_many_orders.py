"""What many orders cost those who do not wait for them: nothing reads, or judges, more of them than it needs."""

from __future__ import annotations

import datetime as dt
import functools
import random
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import shapely
from sqlalchemy import update

from engine import Engine
from service.clock import from_us
from service.feed.columns import split_features
from service.orders.checks import Wanted
from service.orders.store import find_facts
from service.orders.stranding import OpenOrders
from service.places import coarse_cell, place_in_both, places_in
from service.store.order_tables import orders
from service.store.tables import offers, points
from tests.contract.service.desk import LNG, PICKUP, Desk
from tests.contract.service.talking import problem

if TYPE_CHECKING:
    from sqlalchemy import Table

    from service.store.connections import AnyRow, WriteConnection

HOUR_US = 3_600_000_000
OPEN_BY_DAY = {"hours": "Mo-Su 08:00-22:00"}


class Brute:
    """Tells what a change leaves behind by the whole judgement of each place of each order, one by one."""

    def __init__(self, desk: Desk) -> None:
        services = desk.registry.services
        self._checker, self._norms, self._now_us = services.orders.checker, services.norms, desk.now_us
        self._known: dict[Any, bool] = {}

    def leaves(self, before: AnyRow | None, after: AnyRow | None, order: AnyRow) -> bool:
        """Tell whether a change leaves an order behind."""
        if after is None or after.offer is None:
            return True
        if before is None or before.offer is None:
            return False
        served = next((place for place in _places(before, order) if self._serves(before, order, place)), None)
        if served is not None:
            return not self._serves(after, order, served)
        before, after = (facts._replace(area=None, radius_m=None) for facts in (before, after))
        here = before.lat, before.lng
        return self._serves(before, order, here) and not self._serves(after, order, here)

    def _serves(self, facts: AnyRow, order: AnyRow, place: tuple[float, float]) -> bool:
        asked = (facts, order.order_id, place)
        if asked not in self._known:
            self._known[asked] = self._judged(facts, order, place)
        return self._known[asked]

    def _judged(self, facts: AnyRow, order: AnyRow, place: tuple[float, float]) -> bool:
        at_us, until_us = order.handover_at, order.expires_at
        if at_us < self._now_us:
            at_us = self._checker.opens_us(facts, self._now_us)
            if order.state in {"accepted", "ready"} and until_us is not None and at_us > until_us:
                return False
        wanted = Wanted(*place, from_us(at_us), None, tuple(split_features(order.features)), "allow")
        judged = self._checker.judge(facts._replace(status="verified"), wanted, self._norms.by_offer[order.offer])
        return judged.promise is not None


def _places(facts: AnyRow, order: AnyRow) -> list[tuple[float, float]]:
    if order.cell is None:
        return [(facts.lat, facts.lng)]
    inside = None if facts.area is None else place_in_both(order.cell, facts.area)
    return [*places_in(order.cell), *([] if inside is None else [inside]), (facts.lat, facts.lng)]


def _square(lat: float, lng: float, half_deg: float) -> bytes:
    return bytes(shapely.to_wkb(shapely.box(lng - half_deg, lat - half_deg, lng + half_deg, lat + half_deg)))


SOME = {"features", "hours", "never", "radius", "area"}


def _changes(desk: Desk) -> dict[str, tuple[Table, dict[str, Any]]]:
    return {
        "name": (points, {"name": "New"}),
        "pause": (points, {"is_paused": True}),
        "pause of the offer": (offers, {"is_paused": True}),
        "internal": (points, {"visibility": "internal"}),
        "unlisted": (points, {"visibility": "unlisted"}),
        "place": (points, {"lat": desk.lat + 0.01}),
        "features": (points, {"features": ";ramp;"}),
        "hours": (offers, {"hours": "Mo-Su 08:00-13:00"}),
        "unknown hours": (offers, {"hours": None}),
        "never": (offers, {"hours": "off"}),
        "radius": (offers, {"radius_m": 900.0}),
        "area": (offers, {"radius_m": None, "area": _square(desk.lat, LNG, 0.006)}),
        "lead time": (offers, {"lead_s": 90_000}),
        "slots": (offers, {"slot_orders": 5, "slot_s": 600}),
        "capacity": (offers, {"capacity": 3}),
        "delete": (points, {"is_deleted": True}),
        "another offer": (offers, {"offer": "laundry/pickup"}),
    }


def _varied(desk: Desk, n_orders: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield what differs between orders: from where and for when they are, what they ask for, and how far they are."""
    drawn = random.Random(seed)  # noqa: S311
    for _ in range(n_orders):
        lat, lng = desk.lat + drawn.uniform(-0.04, 0.04), LNG + drawn.uniform(-0.04, 0.04)
        yield {
            "cell": drawn.choice([None, *[coarse_cell(lat, lng)] * 9]),
            "handover_at": desk.now_us + int(drawn.uniform(-20, 60) * HOUR_US),
            "features": drawn.choice([";", ";", ";", ";lift;"]),
            "state": drawn.choice(["held", "placed", "accepted", "ready"]),
            "expires_at": drawn.choice([None, desk.now_us + int(drawn.uniform(0, 30) * HOUR_US)]),
        }


def _tomorrow_at(desk: Desk, clock: str) -> str:
    return f"{(desk.now + dt.timedelta(days=1)).date()}T{clock}+08:00"


class _TakenBackError(Exception):
    """So that all is as it was."""


@pytest.mark.parametrize("is_paused", [False, True])
def test_change__leaves_behind_what_it_does_when_each_order_is_judged_by_itself(desk: Desk, is_paused: bool) -> None:
    shop = desk.shop(offer=OPEN_BY_DAY, paused=is_paused, features=["lift", "ramp"])
    elsewhere = desk.order(desk.shop(offer=OPEN_BY_DAY), at=_tomorrow_at(desk, "12:00:00"))
    desk.add_copies(elsewhere, [one | {"point_id": shop} for one in _varied(desk, 60, seed=6)])
    found = desk.rows(orders.select().where(orders.c.point_id == shop).order_by(orders.c.order_id))
    told: dict[str, list[list[str]]] = {}
    brute = Brute(desk)

    def change(connection: WriteConnection, name: str, table: Table, values: dict[str, Any]) -> None:
        before = find_facts(connection, shop, PICKUP)
        open_there = OpenOrders(connection, desk.registry.services.orders.checker, shop)
        connection.run(update(table).where(table.c.point_id == shop).values(values))
        after = find_facts(connection, shop, PICKUP)
        left = [order.order_id for order in found if brute.leaves(before, after, order)]
        told[name] = [[order.order_id for order in open_there._left()], left]
        raise _TakenBackError

    for name, (table, values) in _changes(desk).items():
        with pytest.raises(_TakenBackError):
            desk.registry.services.store.write_now(functools.partial(change, name=name, table=table, values=values))
    assert {name: left for name, (left, _) in told.items()} == {name: left for name, (_, left) in told.items()}
    some = {name for name, (left, _) in told.items() if 0 < len(left) < len(found)}
    assert some == (set() if is_paused else {"pause", "pause of the offer", "internal", "place", *SOME})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Return how often an index of one point is asked whether it serves, and why it does not."""
    told: Counter[str] = Counter()
    for name in ("found", "explain"):
        usual = getattr(Engine, name)

        def counted(self: Engine, *given: Any, name: str = name, usual: Any = usual, **more: Any) -> Any:
            told[name] += self.n_rows == 1
            return usual(self, *given, **more)

        monkeypatch.setattr(Engine, name, counted)
    return told


def test_change__asks_of_many_orders_only_what_it_may_change_and_explains_nothing(
    desk: Desk, asked: Counter[str]
) -> None:
    shop = desk.shop(offer=OPEN_BY_DAY)
    first = desk.order(shop, payment="counter", at=_tomorrow_at(desk, "12:00:00"))
    ids = sorted([first["order_id"], *desk.add_copies(first, [{} for _ in range(150)])])
    asked.clear()
    path, any_tag = f"/v1/points/{shop}", {"If-Match": "*"}
    assert desk.send("PATCH", path, "corner", json={"name": "New"}, headers=any_tag).is_success
    assert asked.total() == 0
    refused = desk.send("POST", f"{path}:pause", "corner")
    assert problem(refused) == (409, "state-conflict")
    assert (refused.json()["orders"], refused.json()["n_orders"]) == (ids[:100], 151)
    assert asked == {"found": 151}
    refused = desk.send("PATCH", path, "corner", json={"special_days": _off(desk)}, headers=any_tag)
    assert (refused.json()["orders"], refused.json()["n_orders"]) == (ids[:100], 151)
    assert asked == {"found": 3 * 151}


def _off(desk: Desk) -> list[dict[str, str]]:
    return [{"date": str((desk.now + dt.timedelta(days=1)).date()), "hours": "off"}]
