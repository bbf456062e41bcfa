"""How much a point can take on, how much one buyer can keep from the others, and who gets what is ready: on both databases."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
import uuid
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from service.clock import to_us
from service.orders import act_routes
from service.orders.acting import act
from service.orders.codes import digest_of
from service.orders.collecting import WRONG_CODES
from service.orders.limits import HOLDS_AT_ONCE, LEFT_AN_HOUR, UNPAID_AT_ONCE
from service.store.order_tables import orders
from tests.contract.service.desk import LNG, Desk
from tests.contract.service.talking import problem
from tests.scale import scaled

COUNTER: dict[str, Any] = {"payment": "counter"}


def test_full_point__says_so_names_the_next_one_and_takes_on_again_once_an_order_ends(desk: Desk) -> None:
    shop = desk.shop(offer={"capacity": 2})
    first, second = desk.order(shop), desk.order(shop, **COUNTER)
    told = desk.refused(desk.ask(desk.body(shop)))
    assert (told["reason"], told["next"]) == ("full", None)
    other = desk.shop(lng=LNG + 0.001)
    told = desk.refused(desk.ask(desk.body(shop)))
    assert (told["reason"], told["next"]["point_id"], told["next"]["offer"]) == ("full", other, "retail/pickup")
    assert 90 < told["next"]["distance_m"] < 100
    assert desk.in_work(shop) == 2
    desk.done(first, "cancel", "app")
    third = desk.order(shop)
    desk.refused(desk.ask(desk.body(shop)))
    desk.brought(second, "accept", "ready", "collect")
    desk.brought(third, "place", "accept", "ready")
    desk.order(shop)
    desk.pass_(600)  # that hold expires
    desk.order(shop)
    desk.refused(desk.ask(desk.body(shop)))


def test_sold_out__names_the_sku_and_leaves_all_as_it_was(desk: Desk) -> None:
    shop = desk.shop(stock={"milk": 3, "bread": 5}, offer={"slot": {"orders": 9, "minutes": 30}})
    desk.order(shop, {"milk": 2})
    before = desk.taken(shop)
    told = desk.refused(desk.ask(desk.body(shop, {"bread": 1, "milk": 2})))
    assert (told["reason"], told["sku"], told["next"]) == ("out_of_stock", "milk", None)
    told = desk.refused(desk.ask(desk.body(shop, {"caviar": 1})))
    assert (told["reason"], told["sku"]) == ("out_of_stock", "caviar")
    assert (desk.stock(shop, "milk"), desk.stock(shop, "bread")) == ((3, 2), (5, 0))
    assert (desk.in_work(shop), desk.taken(shop)) == (1, before)


@pytest.mark.parametrize(
    ("lead_s", "opens_in", "closes_in", "is_next"),
    [
        (1800, None, None, True),
        (7200, 1, 4, True),  # closed now, and open once its lead time is over
        (7200, -1, 1, False),
        (0, 1, 4, False),
    ],
)
def test_next__of_an_order_for_as_soon_as_can_be_is_judged_by_its_own_lead_time(
    desk: Desk, lead_s: int, opens_in: int | None, closes_in: Any, is_next: bool
) -> None:
    offer: dict[str, Any] = {"lead_s": lead_s}
    if opens_in is not None:
        clock = desk.now + dt.timedelta(hours=8)  # what clocks in Shanghai show
        opens, closes = (clock + dt.timedelta(hours=hours) for hours in (opens_in, closes_in))
        offer["hours"] = f"{opens:%H}:00-{closes:%H}:00"
    shop = desk.shop(stock={"milk": 0}, offer={"lead_s": 1800})
    other = desk.shop(stock={"milk": 5}, lng=LNG + 0.001, offer=offer)
    told = desk.refused(desk.ask(desk.body(shop, {"milk": 1})))
    assert (told["reason"], told["next"] and told["next"]["point_id"]) == ("out_of_stock", other if is_next else None)
    assert desk.ask(desk.body(other, {"milk": 1})).is_success == is_next


def test_slot__takes_as_many_orders_as_the_merchant_says_and_its_neighbours_as_many(desk: Desk) -> None:
    shop = desk.shop(offer={"slot": {"orders": 2, "minutes": 15}})
    start = (desk.now + dt.timedelta(hours=3)).replace(minute=15, second=0, microsecond=0)
    end = start + dt.timedelta(minutes=15)
    last = end - dt.timedelta(microseconds=1)
    first = desk.order(shop, at=start.isoformat())
    desk.order(shop, at=last.isoformat())
    told = desk.refused(desk.ask(desk.body(shop, at=(start + dt.timedelta(minutes=7)).isoformat())))
    assert told["reason"] == "full"
    desk.order(shop, at=end.isoformat())
    desk.order(shop, at=(start - dt.timedelta(microseconds=1)).isoformat())
    slots = [to_us(start + dt.timedelta(minutes=15) * number) for number in (-1, 0, 1)]
    assert desk.taken(shop) == dict(zip(slots, (1, 2, 1), strict=True))
    desk.done(first, "cancel", "app")
    assert desk.taken(shop)[slots[1]] == 1
    third = desk.order(shop, at=start.isoformat())
    desk.brought(third, "place", "accept", "ready", "collect")
    assert desk.taken(shop)[slots[1]] == 2  # it was prepared: that slot is used
    desk.refused(desk.ask(desk.body(shop, at=start.isoformat())))


@pytest.mark.parametrize("who", ["buyer", "device"])
def test_one_buyer_or_device__holds_three_orders_at_a_time(desk: Desk, who: str) -> None:
    shop = desk.shop(stock={"milk": None})
    named: dict[str, Any] = {who: uuid.uuid4().hex}
    held = [desk.order(shop, {"milk": 1}, **named) for _ in range(HOLDS_AT_ONCE)]
    assert problem(desk.ask(desk.body(shop, **named))) == (409, "state-conflict")
    desk.order(shop, {"milk": 1})  # another's
    desk.brought(held[0], "place")
    desk.order(shop, {"milk": 1}, **named)
    assert problem(desk.ask(desk.body(shop, **named))) == (409, "state-conflict")
    desk.pass_(600)
    desk.order(shop, {"milk": 1}, **named)


@pytest.mark.parametrize("who", ["buyer", "device"])
def test_one_buyer_or_device__has_ten_orders_open_to_be_paid_at_the_counter(desk: Desk, who: str) -> None:
    shop = desk.shop(stock={"milk": None})
    named: dict[str, Any] = {who: uuid.uuid4().hex}
    first, *_ = [desk.order(shop, **named, **COUNTER) for _ in range(UNPAID_AT_ONCE)]
    refused = desk.ask(desk.body(shop, **named, **COUNTER))
    assert (problem(refused), desk.in_work(shop)) == ((409, "state-conflict"), UNPAID_AT_ONCE)
    assert "pay it online" in refused.json()["detail"]
    desk.order(shop, **COUNTER)  # another's
    held, other = (desk.order(shop, {"milk": 1}, **named) for _ in range(2))
    assert problem(desk.act(held, "place", "app", COUNTER)) == (409, "state-conflict")
    assert desk.done(held, "place", "app", {"payment": "online"})["state"] == "placed"
    desk.brought(first, "accept", "ready", "collect")
    assert desk.done(other, "place", "app", COUNTER)["state"] == "placed"
    assert problem(desk.ask(desk.body(shop, **named, **COUNTER))) == (409, "state-conflict")


def test_orders_placed_at_once__to_be_paid_at_the_counter_are_counted_one_after_the_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, buyer = desk.shop(), uuid.uuid4().hex
    for _ in range(UNPAID_AT_ONCE - 1):
        desk.order(shop, buyer=buyer, **COUNTER)
    held = [desk.order(shop, buyer=buyer) for _ in range(2)]

    def slow(*args: Any, **values: Any) -> Any:
        time.sleep(0.1)  # the other begins before this one has ended
        return act(*args, **values)

    async def placed() -> list[httpx.Response]:
        headers, client = {"Authorization": f"Bearer {desk.registry.keys['app']}"}, desk.registry.client
        paths = [f"/v1/orders/{order['order_id']}:place" for order in held]
        return await asyncio.gather(*(client.post(path, json=COUNTER, headers=headers) for path in paths))

    monkeypatch.setattr(act_routes, "act", slow)
    answers = desk.registry.runner.run(placed())
    assert sorted(answer.status_code for answer in answers) == [200, 409]


@pytest.mark.parametrize("how", [{}, COUNTER], ids=["held", "to be paid at the counter"])
def test_two_hundred_accounts_on_one_device__keep_a_twentieth_of_the_units(desk: Desk, how: dict[str, Any]) -> None:
    shop = desk.shop(stock={"gold": 1000})
    n_refused = 0
    for number in range(scaled(200)):
        for units in (50, 20, 10, 1):
            answer = desk.ask(desk.body(shop, {"gold": units}, buyer=f"account-{number}", device="one", **how))
            n_refused += answer.status_code == 409
    counted, held = desk.stock(shop, "gold")
    assert counted == 1000
    assert 0 < held <= 50
    assert n_refused >= scaled(200) * 4 - 10
    desk.order(shop, {"gold": 50})  # another's device is no worse off


@pytest.mark.parametrize("how", [{}, COUNTER], ids=["held", "to be paid at the counter"])
def test_one_who_orders_and_cancels_again_and_again__is_told_to_wait(desk: Desk, how: dict[str, Any]) -> None:
    shop = desk.shop(stock={"milk": 50})
    device = uuid.uuid4().hex
    for number in range(LEFT_AN_HOUR):
        order = desk.order(shop, {"milk": 1}, buyer=f"account-{number}", device=device, **how)
        desk.done(order, "cancel", "app")
    answer = desk.ask(desk.body(shop, {"milk": 1}, device=device))
    assert problem(answer) == (429, "rate-limited")
    assert int(answer.headers["retry-after"]) >= 1
    desk.order(shop, {"milk": 1})  # another's
    assert problem(desk.ask(desk.body(shop, {"milk": 1}, device=device), once="one")) == (429, "rate-limited")
    desk.registry.clock.at += dt.timedelta(hours=1)
    assert desk.ask(desk.body(shop, {"milk": 1}, device=device)).status_code == 201


def test_one_who_never_comes_for_what_is_ready__is_told_to_wait(desk: Desk) -> None:
    shop, device = desk.shop(), uuid.uuid4().hex
    made = [desk.order(shop, device=device, **COUNTER) for _ in range(LEFT_AN_HOUR)]
    waiting = [desk.brought(order, "accept", "ready") for order in made]
    desk.pass_until(waiting[0]["expires_at"])
    assert {desk.read(order)["state"] for order in made} == {"not_collected"}
    assert problem(desk.ask(desk.body(shop, device=device))) == (429, "rate-limited")
    desk.order(shop)  # another's
    desk.pass_(3600)
    desk.order(shop, device=device)


def _ready(desk: Desk, shop: str, **more: Any) -> tuple[dict[str, Any], str]:
    order = desk.brought(desk.order(shop, {"milk": 1}, **more), "place", "accept", "ready")
    return order, order["code"]


def _collect(desk: Desk, point_id: str, code: str, key: str = "corner", **more: Any) -> Any:
    return desk.send("POST", f"/v1/points/{point_id}:collect", key, json={"code": code, **more})


def _wrong(*codes: str) -> str:
    return next(code for code in ("111111", "222222", "333333") if code not in codes)


def test_code__is_used_once_at_its_own_point(desk: Desk) -> None:
    shop, other = desk.shop(stock={"milk": 5}), desk.shop(stock={"milk": 5})
    order, code = _ready(desk, shop)
    assert problem(_collect(desk, other, code)) == (422, "code-wrong")
    assert problem(_collect(desk, shop, code, "rival")) == (404, "not-found")
    assert problem(_collect(desk, "corner:nowhere", code)) == (404, "not-found")
    assert _collect(desk, shop, code, "station").json()["state"] == "collected"
    assert problem(_collect(desk, shop, code)) == (409, "code-used")
    assert problem(desk.act(order, "collect", "corner", {"code": code})) == (409, "state-conflict")
    assert problem(desk.act(order, "cancel", "app")) == (409, "state-conflict")
    assert desk.stock(shop, "milk") == (4, 0)


def test_code__that_is_scanned_twice_is_no_wrong_try(desk: Desk) -> None:
    shop, other = desk.shop(stock={"milk": 5}), desk.shop(stock={"milk": 5})
    _, code = _ready(desk, shop)
    waiting, its_code = _ready(desk, shop)
    assert _collect(desk, shop, code).status_code == 200
    again = [_collect(desk, shop, code) for _ in range(WRONG_CODES + 1)]
    assert {problem(answer) for answer in again} == {(409, "code-used")}
    assert problem(_collect(desk, other, code)) == (422, "code-wrong")  # elsewhere it is a guess
    assert problem(_collect(desk, shop, _wrong(code, its_code))) == (422, "code-wrong")
    desk.registry.clock.at += dt.timedelta(seconds=61)
    later = [_collect(desk, shop, code) for _ in range(WRONG_CODES)]
    assert [problem(answer)[1] for answer in later] == ["code-wrong"] * (WRONG_CODES - 1) + ["rate-limited"]
    assert desk.read(waiting)["state"] == "ready"


def test_code__of_another_order_opens_none_that_is_named(desk: Desk) -> None:
    shop = desk.shop(stock={"milk": 5})
    (first, one), (second, two) = _ready(desk, shop), _ready(desk, shop)
    assert one != two
    assert problem(desk.act(first, "collect", "corner", {"code": two})) == (422, "code-wrong")
    assert desk.done(second, "collect", "corner", {"code": two})["state"] == "collected"
    assert desk.done(first, "collect", "corner", {"code": one})["state"] == "collected"


def test_code__is_not_tried_a_sixth_time_right_or_wrong(desk: Desk) -> None:
    shop = desk.shop(stock={"milk": 5})
    order, code = _ready(desk, shop)
    wrong = [_collect(desk, shop, _wrong(code)) for _ in range(WRONG_CODES)]
    assert {problem(answer) for answer in wrong} == {(422, "code-wrong")}
    assert len({answer.content for answer in wrong}) == 1
    desk.registry.clock.at += dt.timedelta(seconds=100)
    refused = [
        _collect(desk, shop, _wrong(code)),
        _collect(desk, shop, code),
        desk.act(order, "collect", "corner", {"code": code}),
        _collect(desk, shop, code, collector="Bo"),
    ]
    assert {problem(answer) for answer in refused} == {(429, "rate-limited")}
    assert len({answer.content for answer in refused}) == 1
    assert {answer.headers["retry-after"] for answer in refused} == {"800"}
    assert desk.read(order)["state"] == "ready"
    other = desk.shop(stock={"milk": 5})
    _, its_code = _ready(desk, other)
    assert _collect(desk, other, its_code).status_code == 200  # another point is not held up
    desk.registry.clock.at += dt.timedelta(seconds=801)
    assert _collect(desk, shop, code).json()["state"] == "collected"


def test_order__may_be_collected_by_whom_the_customer_named_and_by_no_other(desk: Desk) -> None:
    shop = desk.shop(stock={"milk": 5})
    order, code = _ready(desk, shop, collector="Bo Li")
    assert order["has_collector"]
    assert "Bo" not in str(desk.row(order))
    for name in ("Bo", "BoLi", "Ann"):
        refused = _collect(desk, shop, code, collector=name)
        assert problem(refused) == (422, "code-wrong")
        assert [error["where"] for error in refused.json()["errors"]] == ["/collector"]
        assert "the code is right" in refused.json()["detail"]
    assert _collect(desk, shop, code, collector="Bo Li").json()["state"] == "collected"
    order, code = _ready(desk, shop)
    assert not order["has_collector"]
    assert problem(_collect(desk, shop, code, collector="Bo Li")) == (422, "code-wrong")
    assert _collect(desk, shop, code).json()["state"] == "collected"


@pytest.mark.parametrize("shown", ["bo li", "BO  LI", " Bo Li "])
def test_collectors_name__is_the_same_in_other_letters_and_with_other_spaces(desk: Desk, shown: str) -> None:
    shop = desk.shop(stock={"milk": 5})
    _, code = _ready(desk, shop, collector="Bo Li")
    assert _collect(desk, shop, code, collector=shown).json()["state"] == "collected"


def test_collectors_name__that_an_earlier_linli_kept_as_it_was_written_is_known(desk: Desk) -> None:
    shop = desk.shop(stock={"milk": 5})
    order, code = _ready(desk, shop, collector="Bo Li")
    services = desk.registry.services
    its = update(orders).where(orders.c.order_id == order["order_id"])
    as_written = its.values(collector=digest_of(services.secret, "collector", "Bo Li"))
    services.store.write_now(lambda connection: connection.run(as_written))
    assert _collect(desk, shop, code, collector="Bo Li").json()["state"] == "collected"


def test_wrong_name_beside_a_right_code__is_counted_as_a_wrong_code_is(desk: Desk) -> None:
    shop = desk.shop(stock={"milk": 5})
    _, code = _ready(desk, shop, collector="Bo Li")
    for _ in range(WRONG_CODES):
        assert problem(_collect(desk, shop, code, collector="Ann")) == (422, "code-wrong")
    assert problem(_collect(desk, shop, code, collector="Bo Li")) == (429, "rate-limited")


def test_lists__hold_what_is_ones_own(desk: Desk) -> None:
    shop = desk.shop(stock={"milk": 9})
    mine = [desk.order(shop, {"milk": 1})["order_id"] for _ in range(3)]
    others = desk.ask(desk.body(shop, {"milk": 1}), "other-app").json()["order_id"]
    placed = desk.brought({"order_id": mine[1]}, "place")["order_id"]
    for key, wanted in {
        "app": mine,
        "other-app": [others],
        "corner": [*mine, others],
        "station": [*mine, others],
        "rival": [],
        "admin": [*mine, others],
    }.items():
        assert _listed(desk, key, point=shop) == sorted(wanted), key
    assert _listed(desk, "corner", point=shop, state="placed") == [placed]
    assert _listed(desk, "corner", point=shop, page_size=1) == sorted([*mine, others])
    assert problem(desk.send("GET", "/v1/orders", "app", params={"cursor": "x"})) == (422, "cursor-invalid")


def _listed(desk: Desk, key: str, **query: Any) -> list[str]:
    found: list[str] = []
    while True:
        page = desk.send("GET", "/v1/orders", key, params=query).json()
        found += [one["order_id"] for one in page["items"]]
        assert all(one["code"] is None for one in page["items"])
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


def test_quote__tells_what_an_order_would_be_and_holds_nothing(desk: Desk) -> None:
    shop = desk.shop(stock={"milk": 5, "bread": 5}, offer={"capacity": 1})
    body = desk.body(shop, {"milk": 2, "bread": 1}, at=(desk.now + dt.timedelta(hours=1)).isoformat())
    quote = desk.send("POST", "/v1/orders:quote", json=body).json()
    assert (quote["total_minor"], quote["currency"], quote["expires_in_s"]) == (2500, "CNY", 600)
    assert (desk.stock(shop, "milk"), desk.in_work(shop)) == ((5, 0), 0)
    order = desk.ask(body | {"total_minor": quote["total_minor"]}).json()
    for name in ("total_minor", "currency", "handover_at", "ready_at", "cancel_free_until"):
        assert order[name] == quote[name]


@pytest.mark.parametrize(("minutes", "held_s"), [(None, 600), (60, 600), (6, 360), (1, 300)])
def test_quote__tells_for_how_long_it_would_be_held(desk: Desk, minutes: int | None, held_s: int) -> None:
    shop = desk.shop(offer={"lead_s": 0})
    at = None if minutes is None else (desk.now + dt.timedelta(minutes=minutes)).isoformat()
    body = desk.body(shop, at=at)
    assert desk.send("POST", "/v1/orders:quote", json=body).json()["expires_in_s"] == held_s
    held = desk.ask(body).json()
    assert dt.datetime.fromisoformat(held["expires_at"]) == desk.now + dt.timedelta(seconds=held_s)
