"""What a point has not got: something else is offered in its place, or the next point takes the order over."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import update

from service.clock import to_us
from service.orders import act_routes
from service.orders.acting import Act, locked_order
from service.orders.moving import reject
from service.orders.plans import plans_for
from service.orders.rules import Event, Party
from service.places import centre_of, coarse_cell
from service.store.connections import WriteConnection
from service.store.order_tables import orders
from service.store.tables import merchants
from tests.contract.service.desk import LNG, Desk
from tests.contract.service.talking import problem

COUNTER = {"payment": "counter"}
MEALS = "food_service/pickup"
REJECTED = {"reason": "out_of_stock"}
TAKES, DECLINES = {"line": 3, "takes": True}, {"line": 3, "takes": False}


def _offered(desk: Desk, shop: str, **offer: Any) -> dict[str, Any]:
    order = desk.order(shop, {"milk": 2, "bread": 1}, **COUNTER)
    return desk.done(order, "offer", "corner", {"line": 1, "sku": "oatmilk", "quantity": 1} | offer)


@pytest.fixture
def shop(desk: Desk) -> str:
    return desk.shop(stock={"milk": 5, "bread": 5, "oatmilk": 5, "cake": 5})


def _held(desk: Desk, shop: str) -> dict[str, int]:
    return {sku: desk.stock(shop, sku)[1] for sku in ("milk", "bread", "oatmilk")}


def _lines(order: dict[str, Any]) -> list[tuple[str, str]]:
    return [(line["sku"], line["state"]) for line in order["lines"]]


def test_substitute__is_held_beside_the_line_until_it_is_taken(desk: Desk, shop: str) -> None:
    order = _offered(desk, shop)
    assert _lines(order) == [("milk", "wanted"), ("bread", "wanted"), ("oatmilk", "offered")]
    assert dt.datetime.fromisoformat(order["lines"][2]["answer_by"]) == desk.now + dt.timedelta(minutes=15)
    assert (order["total_minor"], _held(desk, shop)) == (2500, {"milk": 2, "bread": 1, "oatmilk": 1})
    assert problem(desk.act(desk.brought(order, "accept"), "ready", "corner")) == (409, "state-conflict")
    taken = desk.done(order, "answer", "app", TAKES)
    assert _lines(taken) == [("milk", "replaced"), ("bread", "wanted"), ("oatmilk", "wanted")]
    assert (taken["total_minor"], _held(desk, shop)) == (1500, {"milk": 0, "bread": 1, "oatmilk": 1})
    assert problem(desk.act(order, "answer", "app", TAKES)) == (409, "state-conflict")
    desk.brought(order, "ready", "collect")
    assert [desk.stock(shop, sku)[0] for sku in ("milk", "bread", "oatmilk")] == [5, 4, 4]
    assert _held(desk, shop) == {"milk": 0, "bread": 0, "oatmilk": 0}


@pytest.mark.parametrize("accepts", [True, False])
def test_substitute__that_is_offered_late_can_be_answered_for_as_long_as_was_said(
    desk: Desk, shop: str, accepts: bool
) -> None:
    order = desk.order(shop, {"milk": 2, "bread": 1}, at=(desk.now + dt.timedelta(hours=9)).isoformat(), **COUNTER)
    desk.pass_until(order["expires_at"], -60)  # the point has a minute left
    order = desk.done(order, "offer", "corner", {"line": 1, "sku": "oatmilk"})
    answer_by = order["lines"][2]["answer_by"]
    assert dt.datetime.fromisoformat(answer_by) == desk.now + dt.timedelta(minutes=15)
    desk.pass_until(answer_by, -1)
    assert desk.read(order)["state"] == "placed"
    desk.done(order, "answer", "app", TAKES)
    if accepts:
        assert desk.done(order, "accept", "corner")["state"] == "accepted"
    else:
        desk.pass_until(answer_by, 301)
        assert desk.read(order)["state"] == "rejected"


def test_substitute__that_is_declined_leaves_the_line_out(desk: Desk, shop: str) -> None:
    order = _offered(desk, shop)
    declined = desk.done(order, "answer", "app", DECLINES)
    assert _lines(declined) == [("milk", "missing"), ("bread", "wanted"), ("oatmilk", "declined")]
    assert (declined["total_minor"], _held(desk, shop)) == (500, {"milk": 0, "bread": 1, "oatmilk": 0})
    desk.brought(order, "accept", "ready", "collect")
    assert [desk.stock(shop, sku)[0] for sku in ("milk", "bread", "oatmilk")] == [5, 4, 5]


@pytest.mark.parametrize("is_accepted", [False, True])
def test_substitute__that_is_not_answered_in_time_is_declined_by_the_clock(
    desk: Desk, shop: str, is_accepted: bool
) -> None:
    order = desk.order(shop, {"milk": 2, "bread": 1}, at=(desk.now + dt.timedelta(hours=9)).isoformat(), **COUNTER)
    desk.done(order, "offer", "corner", {"line": 1, "sku": "oatmilk"})
    if is_accepted:
        desk.brought(order, "accept")
    desk.registry.clock.at += dt.timedelta(minutes=15)  # and nobody has noticed yet
    for answer in (TAKES, DECLINES):
        assert problem(desk.act(order, "answer", "app", answer)) == (409, "state-conflict")
    desk.sweep()
    assert desk.events(order)[-1] == ("decline", "accepted" if is_accepted else "placed")
    assert (desk.read(order)["total_minor"], _held(desk, shop)) == (500, {"milk": 0, "bread": 1, "oatmilk": 0})


@pytest.mark.parametrize("by_clock", [False, True])
@pytest.mark.parametrize("is_accepted", [False, True])
def test_order_of_which_nothing_is_left__is_rejected_and_goes_to_no_other_point(
    desk: Desk, shop: str, *, is_accepted: bool, by_clock: bool
) -> None:
    desk.shop(stock={"milk": 5})
    order = desk.order(shop, {"milk": 2}, at=(desk.now + dt.timedelta(hours=9)).isoformat(), **COUNTER)
    desk.done(order, "offer", "corner", {"line": 1, "sku": "oatmilk"})
    if is_accepted:
        desk.brought(order, "accept")
    if by_clock:
        desk.pass_(15 * 60)
    else:
        desk.done(order, "answer", "app", {"line": 2, "takes": False})
    order = desk.read(order)
    assert (order["state"], order["point_id"], order["next"]) == ("rejected", shop, [])
    assert (order["total_minor"], order["fee_minor"], _lines(order)) == (
        0,
        0,
        [("milk", "missing"), ("oatmilk", "declined")],
    )
    before = "accepted" if is_accepted else "placed"
    assert desk.events(order)[-2:] == [("decline", before), ("reject", "rejected")]
    told = desk.send("GET", f"/v1/orders/{order['order_id']}/events", "app").json()["items"]
    assert (told[-1]["by"], told[-1]["reason"]) == ("clock", "out_of_stock")
    assert (_held(desk, shop), desk.in_work(shop)) == ({"milk": 0, "bread": 0, "oatmilk": 0}, 0)


def test_order_of_which_something_is_still_offered__goes_on(desk: Desk, shop: str) -> None:
    desk.count(shop, "rusk", 3, price_minor=100)
    order = _offered(desk, shop)
    desk.done(order, "offer", "corner", {"line": 2, "sku": "rusk"})
    order = desk.done(order, "answer", "app", DECLINES)
    assert (order["state"], order["total_minor"]) == ("placed", 500)
    done = desk.done(order, "answer", "app", {"line": 4, "takes": False})
    assert (done["state"], done["total_minor"]) == ("rejected", 0)


@pytest.mark.parametrize(
    ("offer", "wanted"),
    [
        ({"sku": "cake", "quantity": 2}, "state-conflict"),  # it costs more
        ({"sku": "bread", "quantity": 5}, "state-conflict"),
        ({"sku": "milk"}, "state-conflict"),  # the same
        ({"sku": "caviar"}, "state-conflict"),
        ({"line": 9}, "state-conflict"),
        ({"sku": "rusk", "quantity": 4}, "sold-out"),
    ],
)
def test_substitute__must_be_there_and_must_not_cost_more(
    desk: Desk, shop: str, offer: dict[str, Any], wanted: str
) -> None:
    desk.count(shop, "rusk", 3, price_minor=100)
    order = desk.order(shop, {"milk": 2, "bread": 1}, **COUNTER)
    answer = desk.act(order, "offer", "corner", {"line": 1, "sku": "oatmilk", "quantity": 1} | offer)
    assert problem(answer) == (409, wanted)
    assert desk.read(order)["revision"] == order["revision"]
    assert _held(desk, shop) == {"milk": 2, "bread": 1, "oatmilk": 0}


def test_order_that_is_cancelled__gives_back_what_was_offered_too(desk: Desk, shop: str) -> None:
    desk.done(_offered(desk, shop), "cancel", "app")
    assert _held(desk, shop) == {"milk": 0, "bread": 0, "oatmilk": 0}
    assert desk.in_work(shop) == 0


@pytest.fixture
def at(desk: Desk) -> str:
    return (desk.now + dt.timedelta(hours=5)).isoformat()


def _shops(desk: Desk, n: int = 3, **changes: Any) -> list[str]:
    """Make shops, each further away than the one before it: from the centre of the cell that an order keeps."""
    lat, lng = centre_of(coarse_cell(desk.lat, LNG))
    return [desk.shop(stock={"milk": 5}, lat=lat, lng=lng + 0.002 * number, **changes) for number in range(n)]


def _point(desk: Desk, order: dict[str, Any]) -> str:
    return str(desk.read(order)["point_id"])


def test_rejected_order__goes_to_the_next_point_that_has_it_with_stock_and_another_code(desk: Desk, at: str) -> None:
    first, second, third = _shops(desk)
    order = desk.brought(desk.order(first, {"milk": 2}, at=at), "place", "accept")
    desk.count(second, "milk", 1)
    answer = desk.done(order, "reject", "corner", REJECTED)
    assert (answer["state"], answer["point_id"]) == ("placed", third)
    moved = desk.read(order)
    assert moved["code"] not in {None, order["code"]}
    assert (desk.stock(first, "milk"), desk.in_work(first)) == ((5, 0), 0)
    assert (desk.stock(third, "milk"), desk.in_work(third)) == ((5, 2), 1)
    assert dt.datetime.fromisoformat(moved["expires_at"]) == desk.now + dt.timedelta(minutes=30)
    told = desk.send("GET", f"/v1/orders/{order['order_id']}/events", "app").json()["items"]
    assert [(one["event"], one["state"], one["point_id"], one["reason"]) for one in told[-2:]] == [
        ("accept", "accepted", first, None),
        ("move", "placed", first, "out_of_stock"),
    ]
    for point_id, slug in ((first, (422, "code-wrong")), (third, (409, "state-conflict"))):
        body = {"code": order["code"] if point_id == first else moved["code"]}
        assert problem(desk.send("POST", f"/v1/points/{point_id}:collect", "corner", json=body)) == slug
    assert desk.brought(order, "accept", "ready", "collect")["state"] == "collected"
    assert desk.stock(third, "milk") == (3, 0)


def test_rejected_order__goes_to_the_same_district_before_what_is_nearer(desk: Desk, at: str) -> None:
    first = desk.shop(stock={"milk": 5}, features=["district:jingan"])
    desk.shop(stock={"milk": 5}, lng=LNG + 0.001, features=["district:huangpu"])
    far = desk.shop(stock={"milk": 5}, lng=LNG + 0.01, features=["district:jingan"])
    order = desk.order(first, {"milk": 1}, at=at, **COUNTER)
    desk.done(order, "reject", "corner", REJECTED)
    assert _point(desk, order) == far


def _route(desk: Desk, rules: str, cool_down_s: int = 900, most_moves: int = 3) -> None:
    told = f'{{"rules": {rules}, "cool_down_s": {cool_down_s}, "most_moves": {most_moves}}}'

    def write(connection: WriteConnection) -> None:
        connection.run(update(merchants).where(merchants.c.merchant_id == "corner").values(routing=told))

    desk.registry.services.store.write_now(write)


def test_rejected_order__goes_by_distance_alone_where_the_merchant_says_so(desk: Desk, at: str) -> None:
    _route(desk, '["distance"]')
    first = desk.shop(stock={"milk": 5}, features=["district:jingan"])
    near = desk.shop(stock={"milk": 5}, lng=LNG + 0.001, features=["district:huangpu"])
    desk.shop(stock={"milk": 5}, lng=LNG + 0.01, features=["district:jingan"])
    order = desk.order(first, {"milk": 1}, at=at, **COUNTER)
    desk.done(order, "reject", "corner", REJECTED)
    _route(desk, '["district", "distance"]')
    assert _point(desk, order) == near


def test_point_that_rejects__gets_no_order_that_another_rejects_until_it_has_cooled_down(desk: Desk, at: str) -> None:
    first, second, third = _shops(desk)
    desk.done(desk.order(second, {"milk": 1}, at=at, **COUNTER), "reject", "corner", REJECTED)
    order = desk.order(third, {"milk": 1}, at=at, **COUNTER)
    desk.done(order, "reject", "corner", REJECTED)
    assert _point(desk, order) == first  # which is further away than the second
    desk.registry.clock.at += dt.timedelta(seconds=901)
    order = desk.order(first, {"milk": 1}, at=at, **COUNTER)
    desk.done(order, "reject", "corner", REJECTED)
    assert _point(desk, order) == second


def test_points_that_cool_down__do_not_stand_in_the_way_of_one_further_away(
    desk: Desk, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.orders.plans._MOST_WHOLE", 2)
    *cooling, first, last = _shops(desk, 4)
    for shop in cooling:
        desk.done(desk.order(shop, {"milk": 1}, at=at), "reject", "corner", REJECTED)
    order = desk.order(first, {"milk": 1}, at=at, **COUNTER)
    assert desk.done(order, "reject", "corner", REJECTED)["point_id"] == last


def test_order__is_handed_on_three_times_at_most(desk: Desk, at: str) -> None:
    shops = _shops(desk, 6)
    order = desk.order(shops[0], {"milk": 1}, at=at, **COUNTER)
    for shop in shops[1:4]:
        assert desk.done(order, "reject", "corner", REJECTED)["point_id"] == shop
    assert desk.done(order, "reject", "corner", REJECTED)["state"] == "rejected"
    assert [event for event, _ in desk.events(order)] == ["hold", "place", "move", "move", "move", "reject"]
    assert all((desk.stock(shop, "milk"), desk.in_work(shop)) == ((5, 0), 0) for shop in shops)


def test_order__that_no_other_point_can_serve_is_rejected(desk: Desk, at: str) -> None:
    first = desk.shop(stock={"milk": 5})
    desk.shop(stock={"milk": 5}, lng=LNG + 0.001, offer={"hours": "off"})
    desk.shop(stock={"milk": 5}, lng=LNG + 0.002, features=["lift"], paused=True)
    desk.shop(stock={"milk": 1}, lng=LNG + 0.003)
    desk.shop(stock={"milk": 5}, lng=LNG + 0.004, offer={"capacity": 0})
    desk.shop(stock={"milk": 5}, lng=LNG + 0.005, visibility="internal")
    desk.shop(stock={"bread": 5}, lng=LNG + 0.006)
    desk.shop(stock={"milk": 5}, lng=LNG + 0.1)  # it does not serve the place
    order = desk.order(first, {"milk": 2}, at=at, **COUNTER)
    done = desk.done(order, "reject", "corner", REJECTED)
    assert (done["state"], done["point_id"], done["fee_minor"]) == ("rejected", first, 0)
    assert (desk.stock(first, "milk"), desk.in_work(first)) == ((5, 0), 0)


def test_order_that_is_handed_on_at_night__leaves_the_next_point_time_to_answer_once_it_has_opened(desk: Desk) -> None:
    opens = desk.now.replace(hour=0, minute=0, second=0, microsecond=0) + dt.timedelta(days=2)  # eight in Shanghai
    desk.registry.clock.at = opens - dt.timedelta(hours=10)
    first = desk.shop(stock={"milk": 5})
    second = desk.shop(stock={"milk": 5}, lng=LNG + 0.001, offer={"hours": "Mo-Su 08:00-20:00"})
    order = desk.order(first, {"milk": 2}, at=opens.isoformat(), **COUNTER)
    moved = desk.done(order, "reject", "corner", REJECTED)
    assert (moved["state"], moved["point_id"]) == ("placed", second)
    assert dt.datetime.fromisoformat(moved["expires_at"]) == opens + dt.timedelta(minutes=5)


def test_order_that_is_handed_on__is_to_be_collected_later_where_the_next_point_needs_more_time(
    desk: Desk, at: str
) -> None:
    first = desk.shop(stock={"milk": 5})
    slow = desk.shop(stock={"milk": 5}, lng=LNG + 0.001, offer={"lead_s": 86_400})
    order = desk.order(first, {"milk": 2}, at=at, **COUNTER)
    moved = desk.done(order, "reject", "corner", REJECTED)
    tomorrow = desk.now + dt.timedelta(days=1)
    assert (moved["state"], moved["point_id"]) == ("placed", slow)
    told = [dt.datetime.fromisoformat(moved[name]) for name in ("ready_at", "handover_at", "cancel_free_until")]
    assert told == [tomorrow] * 3
    assert dt.datetime.fromisoformat(moved["order_at"]) == desk.now


def test_word_of_one_point__is_not_taken_for_the_next_ones(
    desk: Desk, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = [desk.shop(stock={"milk": 5}, lng=LNG + 0.001 * number) for number in range(3)]
    order = desk.order(first, {"milk": 2}, at=at, **COUNTER)
    services = desk.registry.services
    went_to: list[str] = []

    def planned(*given: Any) -> Any:
        plans = plans_for(*given)

        def sent_before(connection: WriteConnection) -> None:
            found = locked_order(connection, order["order_id"])
            assert found is not None
            moved = reject(connection, services.orders, found, Act(Event.REJECT, Party.MERCHANT, "corner"), plans)
            went_to.append(moved.row.point_id)

        services.store.write_now(sent_before)
        return plans

    monkeypatch.setattr(act_routes, "plans_for", planned)
    assert problem(desk.act(order, "reject", "corner", REJECTED)) == (409, "state-conflict")
    assert desk.read(order)["point_id"] == went_to[-1] != first
    assert [event for event, _ in desk.events(order)] == ["hold", "place", "move"]


@pytest.mark.parametrize("word", ["accept", "reject", "offer"])
def test_word_sent_again__is_not_taken_for_the_next_points_either(desk: Desk, at: str, word: str) -> None:
    first, second, third = _shops(desk)
    order = desk.order(first, {"milk": 2}, at=at, **COUNTER)
    assert desk.act(order, "reject", "corner", REJECTED).json()["point_id"] == second  # its answer is lost
    body = {"reject": REJECTED, "offer": {"line": 1, "sku": "bread"}}.get(word)
    refused = desk.act(order, word, "corner", body)
    assert problem(refused) == (409, "state-conflict")
    assert "If-Match" in refused.json()["detail"]
    read = desk.read(order)
    assert (read["state"], read["point_id"]) == ("placed", second)
    stale, seen = (f'"{revision}"' for revision in (order["revision"], read["revision"]))
    assert problem(desk.act(order, "reject", "corner", REJECTED, if_match=stale)) == (412, "precondition-failed")
    moved = desk.act(order, "reject", "corner", REJECTED, if_match=seen)
    assert (moved.status_code, moved.json()["point_id"]) == (200, third)


@pytest.mark.parametrize(
    ("before", "word"), [(("accept",), "reject"), (("accept",), "ready"), (("accept", "ready"), "reject")]
)
def test_word_that_comes_late__is_not_taken_for_the_next_points_once_that_has_taken_the_order_on(
    desk: Desk, at: str, before: tuple[str, ...], word: str
) -> None:
    first, second = _shops(desk, 2)
    order = desk.order(first, {"milk": 2}, at=at, **COUNTER)
    desk.done(order, "reject", "corner", REJECTED)
    taken_on = desk.brought(order, *before)
    assert problem(desk.act(order, word, "corner", REJECTED if word == "reject" else None)) == (409, "state-conflict")
    assert desk.read(order) == taken_on
    assert taken_on["point_id"] == second


def test_held_order__is_not_handed_on(desk: Desk, at: str) -> None:
    first, second = _shops(desk, 2)
    order = desk.order(first, {"milk": 2}, at=at)
    assert desk.done(order, "reject", "corner", REJECTED)["state"] == "rejected"
    assert desk.stock(second, "milk") == (5, 0)


def test_order_of_one_who_was_forgotten__is_not_handed_on(desk: Desk, at: str) -> None:
    first, _ = _shops(desk, 2)
    order = desk.order(first, {"milk": 2}, at=at, buyer="ann", **COUNTER)
    erased = desk.send("POST", "/v1/buyers:erase", json={"buyer": "ann"})
    assert erased.json() == {"orders": 1, "bookings": 0, "open_bookings": 0}
    row = desk.row(order)
    assert (row.buyer, row.device, row.collector, row.cell) == (None, None, None, None)
    assert desk.done(order, "reject", "corner", REJECTED)["state"] == "rejected"
    assert desk.send("POST", "/v1/buyers:erase", "other-app", json={"buyer": "ann"}).json()["orders"] == 0


def test_order_that_is_not_answered__goes_to_the_next_point_by_the_clock(desk: Desk, at: str) -> None:
    first, second = _shops(desk, 2)
    order = desk.order(first, {"milk": 2}, at=at, **COUNTER)
    desk.pass_(1800)
    moved = desk.read(order)
    assert (moved["state"], moved["point_id"], desk.events(order)[-1]) == ("placed", second, ("move", "placed"))
    assert (desk.stock(first, "milk"), desk.stock(second, "milk")) == ((5, 0), (5, 2))
    desk.pass_(1800)
    assert desk.events(order)[-1] == ("reject", "rejected")


def test_order_that_fell_due_while_nothing_ran__goes_to_a_point_that_can_serve_now(desk: Desk) -> None:
    told = desk.now + dt.timedelta(hours=8 + 10)  # what clocks in Shanghai show ten hours from now
    hours = f"{told:%H}:00-{told + dt.timedelta(hours=3):%H}:00"
    first, late = desk.shop(stock={"milk": 5}), desk.shop(stock={"milk": 5}, lng=LNG + 0.002, offer={"hours": hours})
    order = desk.order(first, {"milk": 2}, at=(desk.now + dt.timedelta(minutes=40)).isoformat(), **COUNTER)
    desk.pass_(11 * 3600)
    moved = desk.read(order)
    assert (moved["state"], moved["point_id"]) == ("placed", late)
    assert dt.datetime.fromisoformat(moved["handover_at"]) == desk.now


def test_ready_order__that_is_handed_on_has_the_promise_of_the_next_point(desk: Desk, at: str) -> None:
    first = desk.shop(stock={"milk": 5})
    desk.shop(stock={"milk": 5}, lng=LNG + 0.001, offer={"lead_s": 3600})
    order = desk.brought(desk.order(first, {"milk": 2}, at=at), "place", "accept", "ready")
    moved = desk.done(order, "reject", "corner", REJECTED)
    assert moved["state"] == "placed"
    assert dt.datetime.fromisoformat(moved["ready_at"]) == desk.now + dt.timedelta(hours=1)


def test_what_was_offered__is_withdrawn_where_the_next_point_has_the_line(desk: Desk, at: str) -> None:
    first, second = _shops(desk, 2)
    desk.count(first, "bread", 5)
    order = desk.order(first, {"milk": 2}, at=at, **COUNTER)
    desk.done(order, "offer", "corner", {"line": 1, "sku": "bread"})
    moved = desk.done(order, "reject", "corner", REJECTED)
    assert (moved["point_id"], _lines(moved)) == (second, [("milk", "wanted"), ("bread", "declined")])
    assert (desk.stock(first, "milk"), desk.stock(first, "bread")) == ((5, 0), (5, 0))
    assert desk.brought(order, "accept", "ready")["total_minor"] == 2000


@pytest.mark.parametrize(("is_placed", "spoilt"), [(False, {"offer": "gone/pickup"}), (True, {"cell": "spoilt"})])
def test_order_that_cannot_go_on__holds_up_no_other(desk: Desk, is_placed: bool, spoilt: dict[str, str]) -> None:
    first = desk.shop(stock={"milk": 5})
    poison, other = desk.order(first, {"milk": 1}, **(COUNTER if is_placed else {})), desk.order(first, {"milk": 1})

    def spoil(connection: WriteConnection) -> None:
        its = orders.c.order_id == poison["order_id"]
        connection.run(update(orders).where(its).values(**spoilt, due_at=to_us(desk.now)))

    desk.registry.services.store.write_now(spoil)
    desk.pass_(600)
    assert (desk.read(other)["state"], desk.read(poison)["state"]) == ("expired", poison["state"])


def _meals(desk: Desk, *lead_s: int) -> list[str]:
    """Make kitchens that take so long, each further away than the one before it, as `_shops` does."""
    lat, lng = centre_of(coarse_cell(desk.lat, LNG))
    offers = [{"offer": MEALS, "lead_s": seconds} for seconds in lead_s]
    stock = {"dish": 9}
    return [desk.shop(stock=stock, lat=lat, lng=lng + 0.002 * n, offer=offer) for n, offer in enumerate(offers)]


def test_order_that_is_handed_on_for_a_later_time__is_free_to_cancel_until_then(desk: Desk) -> None:
    first, slow, last = _meals(desk, 600, 1800, 600)
    at = (desk.now + dt.timedelta(minutes=25)).isoformat()
    order = desk.order(first, {"dish": 1}, at=at, offer=MEALS, **COUNTER)
    desk.pass_(240)
    moved = desk.done(order, "reject", "corner", REJECTED)
    assert (moved["point_id"], moved["handover_at"] > order["handover_at"]) == (slow, True)
    assert moved["cancel_free_until"] == moved["handover_at"]
    again = desk.done(order, "reject", "corner", REJECTED)
    assert (again["point_id"], again["handover_at"]) == (last, moved["handover_at"])
    assert again["cancel_free_until"] == moved["handover_at"]
    desk.brought(order, "accept")
    desk.pass_until(again["handover_at"], -1)
    assert desk.done(order, "cancel", "app")["fee_minor"] == 0


def test_order_that_is_handed_on_for_the_same_time__is_free_to_cancel_until_then_too(desk: Desk) -> None:
    first, second = _meals(desk, 600, 600)
    at = (desk.now + dt.timedelta(minutes=25)).isoformat()
    order = desk.order(first, {"dish": 1}, at=at, offer=MEALS, **COUNTER)
    desk.pass_(240)
    moved = desk.done(order, "reject", "corner", REJECTED)
    assert (moved["point_id"], moved["handover_at"]) == (second, order["handover_at"])
    assert moved["cancel_free_until"] == moved["handover_at"]  # nobody agreed to that point
    desk.brought(order, "accept", "ready")
    desk.pass_until(moved["handover_at"])
    assert desk.done(order, "cancel", "app")["fee_minor"] == 0
