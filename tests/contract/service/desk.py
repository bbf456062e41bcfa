"""An order desk in this process: shops, orders at them, a clock that tests set, and the sweeper that goes by it."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from sqlalchemy import insert, select, update

from engine.errors import UnknownPointError
from service.clock import to_us
from service.orders.store import new_order_id
from service.orders.sweeping import JumpGuard, Sweeper
from service.payments.settler import Settler
from service.store.order_tables import orders, payments, slots, stock
from service.store.tables import merchants, offers
from tests.contract.service.talking import problem
from tests.registry import WAIT_S, Registry, opened

if TYPE_CHECKING:
    from service.store.connections import AnyRow

__all__ = ["LAT", "LNG", "PICKUP", "Desk", "open_desk"]

LAT, LNG = 31.2304, 121.4737
PICKUP = "retail/pickup"
_MERCHANTS = ("corner", "rival")


@dataclass
class Desk:
    """
    Merchants ``corner`` and ``rival``, apps ``app`` and ``other-app``, a station and an admin.

    Attributes
    ----------
    sweeper, settler
        What lets happen what is due, a step at a time; no jump of the clock stops it.
    """

    registry: Registry
    sweeper: Sweeper
    settler: Settler
    town: int = 0
    """Shops are made here, and orders come from here; other towns are too far away."""

    @property
    def lat(self) -> float:
        """Where the town is."""
        return LAT - 0.1 * self.town

    @property
    def plain_shop(self) -> dict[str, Any]:
        """The least that a body says of a shop here."""
        offers_ = [{"offer": PICKUP, "hours": "24/7"}]
        return {"kind": "store", "name": "Shop", "lat": self.lat, "lng": LNG, "offers": offers_}

    @property
    def now(self) -> dt.datetime:
        """What time it is."""
        return self.registry.clock.at

    def set_status(self, status: str) -> None:
        """Let the merchant ``corner`` be suspended, or verified."""
        its = update(merchants).where(merchants.c.merchant_id == "corner").values(status=status)
        self.registry.services.store.write_now(lambda connection: connection.run(its))

    def send(self, method: str, path: str, key: str = "app", **more: Any) -> httpx.Response:
        """Send a request with a key; the answer must be one that is described."""
        return self.registry.send(method, path, key=key, **more)

    def shop(self, name: str = "", *, stock: Mapping[str, int | None] = {}, **changes: Any) -> str:
        """Make a shop that is always open, with stock at 1000 a unit, 500 for bread and 1500 for cake; return its id."""
        offer = {"offer": PICKUP, "hours": "24/7", "area": {"radius_m": 3000}, **changes.pop("offer", {})}
        place = {"lat": self.lat, "lng": LNG, "timezone": "Asia/Shanghai", "country": "CN"}
        body = {"kind": "store", "name": "Shop", "offers": [offer], **place, **changes}
        point_id = f"corner:{name or uuid.uuid4().hex[:12]}"
        answer = self.send("PUT", f"/v1/points/{point_id}", "corner", json=body, headers={"If-None-Match": "*"})
        assert answer.is_success, answer.text
        for sku, counted in stock.items():
            self.count(point_id, sku, counted)
        self._follow(point_id)
        return point_id

    def _follow(self, point_id: str) -> None:
        """Wait until the index knows a point: on PostgreSQL another's transaction may hold its change up for a moment."""
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            self.registry.follow()
            with contextlib.suppress(UnknownPointError):
                self.registry.services.index.view.engine.explain(self.lat, LNG, PICKUP, point=point_id)
                return
        message = f"{point_id} did not come into the index"
        raise AssertionError(message)

    def count(self, point_id: str, sku: str, counted: int | None, price_minor: int | None = None) -> None:
        """Say what a shop has of an SKU."""
        price = {"bread": 500, "cake": 1500}.get(sku, 1000) if price_minor is None else price_minor
        entry = {"name": sku.title(), "price_minor": price, "currency": "CNY", "counted": counted}
        answer = self.send("PUT", f"/v1/points/{point_id}/stock/{sku}", "corner", json=entry)
        assert answer.is_success, answer.text

    def body(self, point_id: str, items: Mapping[str, int] | None = None, **more: Any) -> dict[str, Any]:
        """Return the body of an order, of a customer of its own unless one is named."""
        lines = [{"sku": sku, "quantity": quantity} for sku, quantity in ({} if items is None else items).items()]
        place = {"point_id": point_id, "offer": PICKUP, "lat": self.lat, "lng": LNG}
        return {**place, "items": lines, "buyer": uuid.uuid4().hex, **more}

    def ask(self, body: Mapping[str, Any], key: str = "app", once: str | None = None) -> httpx.Response:
        """Order, whatever comes of it."""
        return self.send("POST", "/v1/orders", key, json=body, headers={"Idempotency-Key": once or uuid.uuid4().hex})

    def order(self, point_id: str, items: Mapping[str, int] | None = None, **more: Any) -> dict[str, Any]:
        """Order, and return the order."""
        answer = self.ask(self.body(point_id, items, **more))
        assert answer.status_code == httpx.codes.CREATED, answer.text
        return dict(answer.json())

    def act(self, order: Mapping[str, Any], event: str, key: str, body: Any = None, **headers: str) -> httpx.Response:
        """Let something happen to an order, whatever comes of it."""
        given = {} if body is None else {"json": body}
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("POST", f"/v1/orders/{order['order_id']}:{event}", key, headers=told, **given)

    def done(self, order: Mapping[str, Any], event: str, key: str, body: Any = None) -> dict[str, Any]:
        """Let something happen to an order, by a merchant who has just read it, and return the order."""
        condition = {} if key == "app" else {"if_match": f'"{self.row(order).revision}"'}
        answer = self.act(order, event, key, body, **condition)
        assert answer.status_code == httpx.codes.OK, answer.text
        return dict(answer.json())

    def brought(self, order: Mapping[str, Any], *events: str) -> dict[str, Any]:
        """Let customer and merchant do what they do where all goes well; return the order as the app reads it."""
        for event in events:
            if event == "place":
                self.done(order, event, "app", {"payment": "counter"})
            elif event == "collect":
                self.done(order, event, "corner", {"code": self.read(order)["code"]})
            else:
                self.done(order, event, "corner")
        return self.read(order)

    def read(self, order: Mapping[str, Any], key: str = "app") -> dict[str, Any]:
        """Read an order."""
        answer = self.send("GET", f"/v1/orders/{order['order_id']}", key)
        assert answer.status_code == httpx.codes.OK, answer.text
        return dict(answer.json())

    def events(self, order: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return what happened to an order: event, and the state after it."""
        answer = self.send("GET", f"/v1/orders/{order['order_id']}/events", "app")
        return [(one["event"], one["state"]) for one in answer.json()["items"]]

    def pass_(self, seconds: float) -> None:
        """Let time pass, and what is then due happen."""
        self.registry.clock.at += dt.timedelta(seconds=seconds)
        self.sweep()

    def pass_until(self, told: str, seconds: float = 0.0) -> None:
        """Let time pass until so long after an instant that an answer told."""
        self.pass_((dt.datetime.fromisoformat(told) - self.now).total_seconds() + seconds)

    def sweep(self) -> None:
        """Let happen what is due, all of it."""
        for _ in range(100):
            n_done = self.sweeper.step()
            self.settler.step()
            if not n_done:
                return
        message = "the sweeper does not come to an end"
        raise AssertionError(message)

    def stock(self, point_id: str, sku: str) -> tuple[int | None, int]:
        """Return what is counted and what is held of an SKU."""
        row = self._row(select(stock.c.counted, stock.c.held).where(stock.c.point_id == point_id, stock.c.sku == sku))
        return row.counted, row.held

    def in_work(self, point_id: str) -> int:
        """Return how many orders a point has in work."""
        return int(self._row(select(offers.c.in_work).where(offers.c.point_id == point_id)).in_work)

    def taken(self, point_id: str) -> dict[int, int]:
        """Return how many orders each preparation slot of a point has, by its start."""
        query = select(slots.c.starts_at, slots.c.taken).where(slots.c.point_id == point_id, slots.c.taken > 0)
        return {int(row.starts_at): int(row.taken) for row in self.rows(query)}

    def row(self, order: Mapping[str, Any]) -> AnyRow:
        """Return the row of an order."""
        return self._row(select(orders).where(orders.c.order_id == order["order_id"]))

    def payment(self, order: Mapping[str, Any]) -> AnyRow:
        """Return the row of an order's payment."""
        return self._row(select(payments).where(payments.c.subject == order["order_id"]))

    def rows(self, query: Any) -> list[AnyRow]:
        """Ask the store."""
        return list(self.registry.services.store.read_now(lambda connection: connection.rows(query)))

    def add_copies(self, order: Mapping[str, Any], changes: Iterable[Mapping[str, Any]]) -> list[str]:
        """Put copies of the row of an order into the store, each with changes of its own; return their ids, in order."""
        row, usual = self.row(order)._asdict(), {"code_digest": None}
        copies = [row | usual | {"order_id": new_order_id(self.now_us)} | dict(one) for one in changes]
        self.registry.services.store.write_now(lambda connection: connection.run(insert(orders), copies), 60.0)
        return sorted(copy["order_id"] for copy in copies)

    def _row(self, query: Any) -> AnyRow:
        (row,) = self.rows(query)
        return row

    def refused(self, answer: httpx.Response) -> dict[str, Any]:
        """Return what a refusal for want of something tells."""
        assert problem(answer) == (409, "sold-out"), answer.text
        return dict(answer.json())

    @property
    def now_us(self) -> int:
        """What time it is, as the store has it."""
        return to_us(self.now)


@contextlib.contextmanager
def open_desk(folder: Path, database: str | None = None) -> Iterator[Desk]:
    """Open a desk over a store of its own."""
    with contextlib.ExitStack() as stack:
        registry = stack.enter_context(opened(folder, database=database))
        registry.add_merchants(**dict.fromkeys(_MERCHANTS, "verified"))
        registry.add_key("other-app", "app")
        for merchant_id in _MERCHANTS:
            registry.add_key(merchant_id, "merchant", merchant_id)
        registry.add_key("station", "station", "corner")
        services = registry.services
        settler = Settler(services.store, services.bookings, services.payments, ask_s=WAIT_S)
        stack.callback(settler.close)
        guard = JumpGuard(jump_s=float("inf"))
        index, terms = services.index, services.orders
        yield Desk(registry, Sweeper(services.store, index, terms, services.bookings, guard=guard), settler)
