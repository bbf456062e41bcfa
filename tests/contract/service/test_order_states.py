"""What may happen to an order, in which state, by whom, what it leads to and what it costs: on both databases."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import pytest

from service.clock import from_us, to_us
from service.orders.rules import Party, State, next_actions
from tests.contract.service.desk import Desk
from tests.contract.service.operations import DESCRIBED
from tests.contract.service.talking import problem

COUNTER = {"payment": "counter"}
HELD, PLACED, ACCEPTED, READY = (), ("place",), ("place", "accept"), ("place", "accept", "ready")
# How each state is reached: by what is done, and by how much time then passes.
REACHED: dict[str, tuple[tuple[str, ...], float]] = {
    "held": (HELD, 0),
    "placed": (PLACED, 0),
    "accepted": (ACCEPTED, 0),
    "ready": (READY, 0),
    "collected": ((*READY, "collect"), 0),
    "cancelled": (PLACED, 0),
    "rejected": (PLACED, 0),
    "expired": (HELD, 600),
    "not_collected": (READY, 72 * 3600),
    "offered": (PLACED, 0),
    "offered, then accepted": (PLACED, 0),
}
LEADS_TO = {
    ("held", "place"): "placed",
    ("held", "cancel"): "cancelled",
    ("held", "reject"): "rejected",
    ("placed", "accept"): "accepted",
    ("placed", "cancel"): "cancelled",
    ("placed", "reject"): "rejected",
    ("placed", "offer"): "placed",
    ("accepted", "ready"): "ready",
    ("accepted", "cancel"): "cancelled",
    ("accepted", "reject"): "rejected",
    ("accepted", "offer"): "accepted",
    ("ready", "collect"): "collected",
    ("ready", "cancel"): "cancelled",
    ("ready", "reject"): "rejected",
    ("offered", "accept"): "accepted",
    ("offered", "cancel"): "cancelled",
    ("offered", "reject"): "rejected",
    ("offered", "take"): "placed",
    ("offered", "decline"): "placed",
    ("offered, then accepted", "cancel"): "cancelled",
    ("offered, then accepted", "reject"): "rejected",
    ("offered, then accepted", "take"): "accepted",
    ("offered, then accepted", "decline"): "accepted",
}
EVENTS: dict[str, Any] = {
    "place": COUNTER,
    "cancel": None,
    "accept": None,
    "ready": None,
    "reject": {"reason": "closed"},
    "offer": {"line": 1, "sku": "bread"},
    "take": {"line": 3, "takes": True},
    "decline": {"line": 3, "takes": False},
    "collect": {"code": "000000"},
}
CUSTOMERS_EVENTS = {"place", "cancel", "take", "decline"}
CUSTOMERS, CLERKS = {"app", "admin"}, {"corner", "station", "admin"}
KEYS = ("app", "other-app", "corner", "rival", "station", "admin")
SCOPES = {"app": "app", "other-app": "app", "corner": "merchant", "rival": "merchant", "station": "station"}


def _reached(desk: Desk, shop: str, state: str) -> dict[str, Any]:
    events, seconds = REACHED[state]
    order = desk.brought(desk.order(shop, {"milk": 2, "tea": 1}), *events)
    if state in {"cancelled", "rejected"}:
        desk.done(order, *(("cancel", "app") if state == "cancelled" else ("reject", "corner", {"reason": "closed"})))
    if state.startswith("offered"):
        desk.done(order, "offer", "corner", EVENTS["offer"])
    if state.endswith("accepted") and state != "accepted":
        desk.done(order, "accept", "corner")
    if seconds:
        desk.pass_(seconds)
    return desk.read(order)


def _event(event: str, order: dict[str, Any]) -> tuple[str, Any]:
    """Return the route of an event, and its body about an order."""
    body = EVENTS[event]
    if event == "collect" and order["code"] is not None:
        body = {"code": order["code"]}
    return ("answer" if event in {"take", "decline"} else event), body


@pytest.mark.parametrize("state", REACHED)
def test_every_event__by_every_party_leads_on_or_is_refused(desk: Desk, state: str) -> None:
    shop = desk.shop(stock={"milk": None, "tea": None, "bread": None})
    order = _reached(desk, shop, state)
    assert order["state"] == ("placed" if state == "offered" else state.split()[-1])
    for event in EVENTS:
        for key in KEYS:
            allowed = CUSTOMERS if event in CUSTOMERS_EVENTS else CLERKS
            route, body = _event(event, order)
            answer = desk.act(order, route, key, body)
            if key not in allowed:
                scopes = {SCOPES.get(one, one) for one in allowed}
                wanted = (404, "not-found") if SCOPES[key] in scopes else (403, "forbidden")
                assert problem(answer) == wanted, (event, key)
            elif (state, event) in LEADS_TO:
                assert answer.status_code == 200, (event, key, answer.text)
                assert answer.json()["state"] == LEADS_TO[state, event], (event, key)
                order = _reached(desk, shop, state)  # another
                continue
            elif (state, event) == ("held", "collect"):  # it has no code yet
                assert problem(answer) == (422, "code-wrong"), key
            else:
                assert problem(answer) == (409, "state-conflict"), (event, key, answer.text)
            assert desk.read(order) == order, (event, key)


def test_leads_to__is_about_states_and_events_that_there_are() -> None:
    assert {state for state, _ in LEADS_TO} <= REACHED.keys()
    assert {event for _, event in LEADS_TO} == EVENTS.keys()


@pytest.mark.parametrize("state", REACHED)
def test_next__names_the_routes_that_lead_on(desk: Desk, state: str) -> None:
    order = _reached(desk, desk.shop(stock={"milk": None, "tea": None, "bread": None}), state)
    for key, is_mine in (("app", True), ("corner", False)):
        known = {event for of, event in LEADS_TO if of == state and (event in CUSTOMERS_EVENTS) == is_mine}
        more = {"offer"} if key == "corner" and state.startswith("offered") else set()  # for another line
        assert set(desk.read(order, key)["next"]) == {_event(event, order)[0] for event in known} | more, key


def test_next__names_routes_that_there_are() -> None:
    for state, party, is_offered in itertools.product(State, (Party.CUSTOMER, Party.MERCHANT), (False, True)):
        for name in next_actions(state, party, is_offered=is_offered):
            assert "post" in DESCRIBED["paths"][f"/v1/orders/{{order_id}}:{name}"], (state, party)


def test_order__goes_from_hold_to_collected_and_its_next_actions_say_so(desk: Desk) -> None:
    shop = desk.shop(stock={"milk": 10, "bread": 3})
    held = desk.order(shop, {"milk": 2, "bread": 1})
    assert (held["state"], held["revision"], held["total_minor"], held["currency"]) == ("held", 1, 2500, "CNY")
    assert (held["next"], held["code"], held["payment"]) == (["place", "cancel"], None, None)
    for event, (customers, merchants) in {
        "place": (["cancel"], ["accept", "reject", "offer"]),
        "accept": (["cancel"], ["ready", "reject", "offer"]),
        "ready": (["cancel"], ["collect", "reject"]),
    }.items():
        order = desk.brought(held, event)
        assert order["next"] == customers
        seen = desk.read(held, "corner")
        assert (seen["next"], seen["code"]) == (merchants, None)
        assert len(order["code"]) == 6
        assert (desk.stock(shop, "milk"), desk.stock(shop, "bread"), desk.in_work(shop)) == ((10, 2), (3, 1), 1)
    done = desk.brought(held, "collect")
    assert (done["state"], done["next"], done["code"]) == ("collected", [], None)
    assert (desk.stock(shop, "milk"), desk.stock(shop, "bread"), desk.in_work(shop)) == ((8, 0), (2, 0), 0)
    events = [event for event, _ in desk.events(held)]
    assert events == ["hold", "place", "accept", "ready", "collect"]


def test_instants_of_an_order__are_never_mixed(desk: Desk) -> None:
    shop = desk.shop(stock={"milk": 10}, offer={"lead_s": 3600})
    asked, at = desk.now, desk.now + dt.timedelta(hours=5)
    order = desk.order(shop, {"milk": 1}, at=at.isoformat())
    told = {name: dt.datetime.fromisoformat(order[name]) for name in ("order_at", "ready_at", "handover_at")}
    assert told == {"order_at": asked, "ready_at": asked + dt.timedelta(hours=1), "handover_at": at}
    desk.pass_(60)
    order = desk.brought(order, "place", "accept")
    assert dt.datetime.fromisoformat(order["ready_at"]) == told["ready_at"]
    desk.pass_(600)
    order = desk.brought(order, "ready")
    assert dt.datetime.fromisoformat(order["ready_at"]) == desk.now
    assert dt.datetime.fromisoformat(order["expires_at"]) == at + dt.timedelta(hours=72)
    assert [order["order_at"], order["handover_at"]] == [asked.isoformat().replace("+00:00", "Z"), _told(at)]


def _told(at: dt.datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("offer", "events", "late_us", "fee"),
    [
        # Retail: never.
        ("retail/pickup", PLACED, 1, 0),
        ("retail/pickup", READY, 1, 0),
        # Food service: until 20 minutes before, then all of it once the kitchen began.
        ("food_service/pickup", HELD, 1, 0),
        ("food_service/pickup", PLACED, 1, 0),
        ("food_service/pickup", ACCEPTED, 0, 0),
        ("food_service/pickup", ACCEPTED, 1, 1005),
        ("food_service/pickup", READY, 0, 0),
        ("food_service/pickup", READY, 1, 1005),
        # Fresh food: until 30 minutes before, then a fifth, or half of it; rounded down.
        ("fresh_food/pickup", ACCEPTED, 0, 0),
        ("fresh_food/pickup", ACCEPTED, 1, 201),
        ("fresh_food/pickup", READY, 1, 502),
        ("laundry/pickup", ACCEPTED, 1, 0),
        ("laundry/pickup", READY, 1, 1005),
    ],
)
def test_cancelling__costs_what_the_norm_says_once_its_time_is_over(
    desk: Desk, offer: str, events: tuple[str, ...], late_us: int, fee: int
) -> None:
    shop = desk.shop(offer={"offer": offer})
    desk.count(shop, "dish", None, price_minor=335)
    days = 4 if offer.startswith("laundry") else 0
    at = (desk.now + dt.timedelta(days=days, minutes=40)).isoformat()
    order = desk.order(shop, {"dish": 3}, offer=offer, at=at)
    free_until = dt.datetime.fromisoformat(order["cancel_free_until"])
    if events == HELD:
        desk.registry.clock.at = desk.now + dt.timedelta(seconds=1)
    else:
        order = desk.brought(order, *events)
        desk.registry.clock.at = from_us(to_us(free_until) + late_us)
    done = desk.done(order, "cancel", "app")
    assert (done["state"], done["fee_minor"], done["total_minor"]) == ("cancelled", fee, 1005)


@pytest.mark.parametrize(
    ("events", "late_us", "fee"),
    [(ACCEPTED, 0, 1005), (ACCEPTED, 1, 0), ((*ACCEPTED, "ready"), 0, 1005), ((*ACCEPTED, "ready"), 1, 1005)],
)
def test_cancelling__costs_nothing_while_the_point_is_late(
    desk: Desk, events: tuple[str, ...], late_us: int, fee: int
) -> None:
    shop = desk.shop(offer={"offer": "food_service/pickup", "lead_s": 900})
    desk.count(shop, "dish", None, price_minor=335)
    order = desk.brought(desk.order(shop, {"dish": 3}, offer="food_service/pickup"), *events)
    desk.registry.clock.at = from_us(to_us(dt.datetime.fromisoformat(order["handover_at"])) + late_us)
    assert desk.done(order, "cancel", "app")["fee_minor"] == fee


@pytest.mark.parametrize(("late_us", "fee"), [(0, 1005), (1, 0)])
def test_order_that_is_ready_once_its_time_is_past__costs_nothing_to_cancel_or_to_leave(
    desk: Desk, late_us: int, fee: int
) -> None:
    shop = desk.shop(offer={"offer": "food_service/pickup", "lead_s": 900})
    desk.count(shop, "dish", None, price_minor=335)
    body = desk.body(shop, {"dish": 3}, offer="food_service/pickup")
    made = [desk.brought(desk.ask(body).json(), *ACCEPTED) for _ in range(3)]
    desk.registry.clock.at = from_us(to_us(dt.datetime.fromisoformat(made[0]["handover_at"])) + late_us)
    first, second, third = (desk.brought(order, "ready") for order in made)
    assert first["cancel_free_until"] == (first["expires_at"] if late_us else made[0]["cancel_free_until"])
    desk.registry.clock.at += dt.timedelta(minutes=1)
    assert desk.done(first, "cancel", "app")["fee_minor"] == fee
    desk.registry.clock.at = dt.datetime.fromisoformat(second["expires_at"]) + dt.timedelta(minutes=1)
    assert desk.done(second, "cancel", "app")["fee_minor"] == fee  # before anybody has noticed that its time is over
    desk.sweep()
    third = desk.read(third)
    assert (third["state"], third["fee_minor"]) == ("not_collected", fee)


def test_order_that_is_wanted_at_once__is_never_ready_too_late(desk: Desk) -> None:
    """Nobody told a time to come."""
    shop = desk.shop(offer={"offer": "food_service/pickup", "lead_s": 0})
    desk.count(shop, "dish", None, price_minor=335)
    order = desk.brought(desk.order(shop, {"dish": 3}, offer="food_service/pickup"), *ACCEPTED)
    desk.registry.clock.at += dt.timedelta(minutes=5)
    ready = desk.brought(order, "ready")
    assert ready["cancel_free_until"] == order["cancel_free_until"]
    assert desk.done(ready, "cancel", "app")["fee_minor"] == 1005


def test_order_that_was_ready_too_late__stays_free_to_cancel_for_as_long_where_it_is_handed_on(desk: Desk) -> None:
    shop = desk.shop(offer={"offer": "food_service/pickup", "lead_s": 900}, stock={"dish": 9})
    desk.shop(offer={"offer": "food_service/pickup", "lead_s": 900}, stock={"dish": 9})
    order = desk.brought(desk.order(shop, {"dish": 3}, offer="food_service/pickup"), *ACCEPTED)
    desk.pass_until(order["handover_at"], 60)
    ready = desk.brought(order, "ready")
    moved = desk.done(order, "reject", "corner", {"reason": "closed"})
    assert (moved["state"], moved["cancel_free_until"]) == ("placed", ready["cancel_free_until"])
    assert moved["cancel_free_until"] > moved["handover_at"]


@pytest.mark.parametrize(
    ("offer", "fee"), [("retail/pickup", 0), ("food_service/pickup", 1005), ("fresh_food/pickup", 502)]
)
def test_order_that_nobody_collects__is_reminded_of_once_then_released_at_the_norms_fee(
    desk: Desk, offer: str, fee: int
) -> None:
    shop = desk.shop(offer={"offer": offer}, stock={"dish": 9})
    desk.count(shop, "dish", 9, price_minor=335)
    order = desk.brought(desk.order(shop, {"dish": 3}, offer=offer), *READY)
    norm = desk.registry.services.norms.by_offer[offer]
    desk.pass_((norm.remind_after_s or 0) - 1)
    assert desk.events(order)[-1] == ("ready", "ready")
    desk.pass_(1)
    assert desk.events(order)[-1] == ("remind", "ready")
    assert desk.read(order)["state"] == "ready"
    desk.pass_until(order["expires_at"], -1)
    assert desk.events(order)[-1] == ("remind", "ready")
    assert desk.stock(shop, "dish") == (9, 3)
    desk.pass_(1)
    assert desk.events(order)[-2:] == [("remind", "ready"), ("release", "not_collected")]
    assert desk.read(order)["fee_minor"] == fee
    assert (desk.stock(shop, "dish"), desk.in_work(shop)) == ((9, 0), 0)


def test_order_that_is_ready_days_before__is_reminded_of_after_its_time(desk: Desk) -> None:
    shop = desk.shop(stock={"milk": 5})
    at = desk.now + dt.timedelta(days=5)
    order = desk.brought(desk.order(shop, {"milk": 1}, at=at.isoformat()), *READY)
    remind_s = desk.registry.services.norms.by_offer["retail/pickup"].remind_after_s
    assert remind_s is not None
    desk.pass_until(order["handover_at"], remind_s - 1)
    assert desk.events(order)[-1] == ("ready", "ready")
    desk.pass_(1)
    assert desk.events(order)[-1] == ("remind", "ready")


def test_hold__expires_and_cannot_be_placed_from_that_instant_on(desk: Desk) -> None:
    shop = desk.shop(stock={"milk": 5})
    first, second = desk.order(shop, {"milk": 2}), desk.order(shop, {"milk": 2})
    assert dt.datetime.fromisoformat(first["expires_at"]) == desk.now + dt.timedelta(minutes=10)
    expires_us = to_us(dt.datetime.fromisoformat(first["expires_at"]))
    desk.registry.clock.at = from_us(expires_us - 1)
    assert desk.done(first, "place", "app", COUNTER)["state"] == "placed"
    desk.registry.clock.at = from_us(expires_us)  # and nobody has noticed yet
    for how in (COUNTER, {"payment": "online"}):
        assert problem(desk.act(second, "place", "app", how)) == (409, "state-conflict")
    assert desk.stock(shop, "milk") == (5, 4)
    desk.sweep()
    assert desk.events(second)[-1] == ("expire", "expired")
    assert desk.read(second)["fee_minor"] == 0
    assert (desk.stock(shop, "milk"), desk.in_work(shop)) == ((5, 2), 1)
    assert problem(desk.act(second, "place", "app", COUNTER)) == (409, "state-conflict")


def test_hold_of_what_is_wanted_at_once__leaves_time_to_place_and_to_answer(desk: Desk) -> None:
    shop = desk.shop(stock={"milk": 5})
    order = desk.order(shop, {"milk": 1}, at=(desk.now + dt.timedelta(seconds=1)).isoformat())
    desk.pass_(299)
    placed = desk.done(order, "place", "app", COUNTER)
    desk.pass_(299)
    assert desk.done(placed, "accept", "corner")["state"] == "accepted"


def test_order_that_a_point_does_not_answer__is_rejected_by_the_clock(desk: Desk) -> None:
    shop = desk.shop(stock={"milk": 5})
    order = desk.order(shop, {"milk": 2}, at=(desk.now + dt.timedelta(hours=3)).isoformat(), **COUNTER)
    desk.pass_(1799)
    assert desk.read(order)["state"] == "placed"
    desk.pass_(1)
    assert desk.events(order)[-1] == ("reject", "rejected")
    assert (desk.stock(shop, "milk"), desk.in_work(shop)) == ((5, 0), 0)
    assert problem(desk.act(order, "accept", "corner")) == (409, "state-conflict")


def test_order_placed_while_a_point_is_closed__is_to_be_answered_once_it_has_opened(desk: Desk) -> None:
    midnight = desk.now.replace(hour=0, minute=0, second=0, microsecond=0) + dt.timedelta(days=1)
    at_noon = midnight + dt.timedelta(hours=28)  # in Shanghai
    desk.registry.clock.at = midnight + dt.timedelta(hours=18)  # two at night there
    shop = desk.shop(stock={"milk": 5}, offer={"hours": "Mo-Su 08:00-20:00"})
    order = desk.order(shop, {"milk": 2}, at=at_noon.isoformat(), **COUNTER)
    assert dt.datetime.fromisoformat(order["expires_at"]) == midnight + dt.timedelta(days=1, minutes=30)


@pytest.mark.parametrize(("minutes", "is_answered_anew"), [(2, True), (30, False)])
def test_order_placed_just_before_a_point_closes__is_to_be_answered_once_it_has_opened_again(
    desk: Desk, minutes: int, is_answered_anew: bool
) -> None:
    opens = desk.now.replace(hour=0, minute=0, second=0, microsecond=0) + dt.timedelta(days=2)  # eight in Shanghai
    closes = opens - dt.timedelta(hours=12)
    desk.registry.clock.at = closes - dt.timedelta(minutes=minutes)
    shop = desk.shop(stock={"milk": 5}, offer={"hours": "Mo-Su 08:00-20:00"})
    placed = desk.order(shop, {"milk": 1}, at=(opens + dt.timedelta(hours=4)).isoformat(), **COUNTER)
    held = desk.order(shop, {"milk": 1}, at=(opens + dt.timedelta(hours=4)).isoformat())
    soon = desk.order(shop, {"milk": 1}, at=(closes - dt.timedelta(minutes=1)).isoformat(), **COUNTER)
    until = opens + dt.timedelta(minutes=30) if is_answered_anew else closes
    for order in (placed, desk.done(held, "place", "app", COUNTER)):
        assert dt.datetime.fromisoformat(order["expires_at"]) == until
    assert dt.datetime.fromisoformat(soon["expires_at"]) < closes + dt.timedelta(minutes=5)


def test_order_placed_while_a_point_is_closed_for_weeks__is_to_be_answered_once_it_has_opened(desk: Desk) -> None:
    midnight = desk.now.replace(hour=16, minute=0, second=0, microsecond=0) + dt.timedelta(days=45)  # in Shanghai
    days = [(desk.now + dt.timedelta(days=number)).date().isoformat() for number in range(46)]
    closed = [{"date": day, "hours": "off"} for day in days]
    shop = desk.shop(stock={"milk": 5}, special_days=closed)
    order = desk.order(shop, {"milk": 1}, at=(midnight + dt.timedelta(days=9)).isoformat(), **COUNTER)
    assert dt.datetime.fromisoformat(order["expires_at"]) == midnight + dt.timedelta(minutes=30)


@pytest.mark.parametrize("minutes", [0, 4, 90])
def test_order_for_when_a_point_opens__leaves_it_time_to_answer_then(desk: Desk, minutes: int) -> None:
    opens = desk.now.replace(hour=0, minute=0, second=0, microsecond=0) + dt.timedelta(days=2)  # eight in Shanghai
    desk.registry.clock.at = opens - dt.timedelta(hours=10)
    shop = desk.shop(stock={"milk": 5}, offer={"hours": "Mo-Su 08:00-20:00"})
    order = desk.order(shop, {"milk": 2}, at=(opens + dt.timedelta(minutes=minutes)).isoformat(), **COUNTER)
    told = dt.datetime.fromisoformat(order["expires_at"])
    assert told == opens + dt.timedelta(minutes=min(max(minutes, 5), 30))
    desk.pass_until(order["expires_at"], -1)
    assert desk.done(order, "accept", "corner")["state"] == "accepted"


def test_order_for_a_special_day__goes_by_its_hours_where_the_others_hang_on_the_sun(desk: Desk) -> None:
    days = [(desk.now + dt.timedelta(days=number)).date().isoformat() for number in (2, 3, 4)]
    special = [{"date": days[0], "hours": "off"}, {"date": days[1], "hours": "10:00-14:00"}]
    shop = desk.shop(offer={"hours": "sunrise-sunset"}, special_days=special)

    def came_of(day: str, hour: str, unknown_hours: str) -> str:
        body = desk.body(shop, at=f"{day}T{hour}:00+08:00", unknown_hours=unknown_hours)
        return str(desk.send("POST", "/v1/orders:quote", json=body).json().get("reason", "able"))

    told = {(day, hour): came_of(day, hour, "allow") for day in days for hour in ("12:00", "16:00")}
    assert list(told.values()) == ["closed", "closed", "able", "closed", "able", "able"]
    assert came_of(days[1], "12:00", "refuse") == "able"
    assert came_of(days[2], "12:00", "refuse") == "hours_unknown"


def test_acts__whose_bodies_say_nothing_new_need_none(desk: Desk) -> None:
    shop = desk.shop(stock={"milk": 5})
    order = desk.order(shop, {"milk": 1})
    assert desk.done(order, "place", "app")["state"] == "placed"
    assert desk.done(order, "reject", "corner")["state"] == "rejected"
