"""What is set aside for an order is taken once, in part, or set free, whatever the provider does: on both databases."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from service.clock import to_us
from service.payments.ports import Outcome, ProviderUnknownError
from service.payments.sandbox import SandboxProvider
from service.payments.settling import authorised
from service.payments.store import begin_payment, reference_of
from service.store.order_tables import orders, payments
from tests.contract.service.desk import Desk
from tests.contract.service.talking import problem

ONLINE = {"payment": "online", "means": "ok"}
READY = ("accept", "ready")


def _books(desk: Desk) -> dict[str, tuple[int, int]]:
    """Return what the sandbox has set aside and taken for each attempt."""
    provider = desk.registry.services.payments
    assert isinstance(provider, SandboxProvider)
    return provider.taken()


def _of(desk: Desk, order: dict[str, Any]) -> list[tuple[int, int]]:
    return [told for name, told in _books(desk).items() if name.startswith(order["order_id"])]


LAPSED = set[str]()
"""Orders of which nothing can be taken when it is due."""


@pytest.fixture
def shop(desk: Desk) -> str:
    return desk.shop(stock={"milk": 50, "bread": 50, "oatmilk": 50})


def _held(desk: Desk, shop: str, **more: Any) -> dict[str, Any]:
    at = {"at": (desk.now + dt.timedelta(hours=5)).isoformat()}
    return desk.order(shop, {"milk": 2, "bread": 1}, **at | more)


def _paid(desk: Desk, shop: str, means: str = "ok", **more: Any) -> dict[str, Any]:
    return desk.done(_held(desk, shop, **more), "place", "app", {"payment": "online", "means": means})


def _settled(desk: Desk, order: dict[str, Any]) -> tuple[str, int]:
    """Return what came of a payment, once the books say the same as the store of every order that has ended."""
    desk.sweep()
    of_order = (orders.c.payment, orders.c.state.label("order_state"), orders.c.total_minor, orders.c.fee_minor)
    query = select(payments, *of_order).join_from(payments, orders, payments.c.subject == orders.c.order_id)
    books = _books(desk)
    for row in desk.rows(query.where(orders.c.ended_at.is_not(None))):
        told = [one for name, one in books.items() if name.startswith(row.subject)]
        owed = 0 if row.payment == "counter" else row.total_minor if row.order_state == "collected" else row.fee_minor
        assert row.state in {"captured", "released", "declined"}, row
        assert sum(set_aside for set_aside, _ in told) == 0, row
        assert sum(taken for _, taken in told) == row.captured_minor == (owed if row.state == "captured" else 0), row
        assert (row.state == "captured") == (owed > 0 and row.subject not in LAPSED), row
    row = desk.payment(order)
    return row.state, row.captured_minor


def test_provider_that_does_not_answer__keeps_no_other_requests_waiting(
    desk: Desk, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go, registry = threading.Event(), desk.registry
    authorise = SandboxProvider.authorise

    def late(*asked: Any) -> Outcome:
        assert may_go.wait(20.0)
        return authorise(*asked)

    monkeypatch.setattr(SandboxProvider, "authorise", late)
    held = [_held(desk, shop) for _ in range(20)]

    async def send(method: str, path: str, key: str, body: Any) -> int:
        headers = {"Authorization": f"Bearer {registry.keys[key]}"}
        return (await registry.client.request(method, path, json=body, headers=headers)).status_code

    async def flooded() -> list[int]:
        flood = [
            asyncio.create_task(send("POST", f"/v1/orders/{order['order_id']}:place", "app", ONLINE)) for order in held
        ]
        await asyncio.sleep(0.5)
        try:
            async with asyncio.timeout(10.0):
                other = await send("PUT", "/v1/points/rival:one", "rival", desk.plain_shop)
        finally:
            may_go.set()
        return [other, *await asyncio.gather(*flood)]

    assert registry.runner.run(flooded()) == [201, *[200] * len(held)]


def test_payment__is_set_aside_when_placed_and_taken_when_collected(desk: Desk, shop: str) -> None:
    order = _paid(desk, shop)
    assert order["state"] == "placed"
    assert order["payment"] == {"method": "online", "state": "authorised", "captured_minor": 0}
    assert _of(desk, order) == [(2500, 0)]
    assert problem(desk.act(order, "place", "app", ONLINE)) == (409, "state-conflict")
    desk.brought(order, *READY, "collect")
    assert _settled(desk, order) == ("captured", 2500)
    assert _of(desk, order) == [(0, 2500)]
    assert desk.read(order)["payment"] == {"method": "online", "state": "captured", "captured_minor": 2500}


@pytest.mark.parametrize(
    ("event", "key", "body"), [("cancel", "app", None), ("reject", "corner", {"reason": "closed"})]
)
def test_payment__is_set_free_where_the_order_ends_before(
    desk: Desk, shop: str, event: str, key: str, body: Any
) -> None:
    order = _paid(desk, shop)
    desk.done(order, event, key, body)
    assert _settled(desk, order) == ("released", 0)
    assert _of(desk, order) == [(0, 0)]


@pytest.mark.parametrize(("takes", "total"), [(True, 1500), (False, 500)])
def test_payment__is_taken_in_part_where_a_line_was_replaced_or_left_out(
    desk: Desk, shop: str, takes: bool, total: int
) -> None:
    order = _paid(desk, shop)
    desk.done(order, "offer", "corner", {"line": 1, "sku": "oatmilk"})
    desk.done(order, "answer", "app", {"line": 3, "takes": takes})
    assert _of(desk, order) == [(2500, 0)]
    desk.brought(order, *READY, "collect")
    assert _settled(desk, order) == ("captured", total)
    assert _of(desk, order) == [(0, total)]


@pytest.mark.parametrize("is_cancelled", [True, False], ids=["cancelled", "not collected"])
def test_payment__is_taken_as_far_as_the_fee_goes(desk: Desk, is_cancelled: bool) -> None:
    offer = "fresh_food/pickup"
    shop = desk.shop(stock={"milk": 50, "bread": 50}, offer={"offer": offer})
    order = desk.brought(_paid(desk, shop, offer=offer), *READY)
    if is_cancelled:
        desk.pass_until(order["cancel_free_until"], 1)
        desk.done(order, "cancel", "app")
    else:
        desk.pass_until(order["expires_at"])
    assert _settled(desk, order) == ("captured", 1250)
    assert _of(desk, order) == [(0, 1250)]


def test_payment__that_is_declined_leaves_the_order_held_and_another_can_be_tried(desk: Desk, shop: str) -> None:
    order = _held(desk, shop)
    for _ in range(2):
        answer = desk.act(order, "place", "app", {"payment": "online", "means": "declined"})
        assert problem(answer) == (409, "payment-declined")
        assert (desk.read(order)["state"], desk.read(order)["payment"]["state"]) == ("held", "declined")
    assert desk.done(order, "place", "app", ONLINE)["state"] == "placed"
    desk.brought(order, *READY, "collect")
    assert _settled(desk, order) == ("captured", 2500)
    assert _of(desk, order) == [(0, 0), (0, 0), (0, 2500)]


@pytest.mark.parametrize(
    ("means", "state", "payment", "after"),
    [
        ("timeout-authorised", "placed", "authorised", "captured"),
        ("timeout-declined", "held", "declined", "captured"),
        ("timeout-lost", "held", "released", "captured"),
    ],
)
def test_payment__that_nobody_knows_of_is_asked_about_until_it_is_known(
    desk: Desk, shop: str, means: str, state: str, payment: str, after: str
) -> None:
    order = _paid(desk, shop, means)
    assert (order["state"], order["payment"]["state"]) == ("held", "authorising")
    again = desk.done(order, "place", "app", ONLINE)  # it is not asked for twice
    assert (again["state"], again["payment"]["state"]) == ("held", "authorising")
    desk.pass_(4)
    assert desk.read(order)["payment"]["state"] == "authorising"
    desk.pass_(1)
    desk.sweep()
    desk.sweep()
    told = desk.read(order)
    assert (told["state"], told["payment"]["state"]) == (state, payment)
    if state == "held":
        assert desk.done(order, "place", "app", ONLINE)["state"] == "placed"
    desk.brought(order, *READY, "collect")
    assert _settled(desk, order) == (after, 2500)
    assert sum(taken for _, taken in _of(desk, order)) == 2500


@pytest.mark.parametrize("how", [{"payment": "counter"}, ONLINE])
def test_hold_of_a_suspended_merchant__is_not_placed_and_nothing_is_set_aside(
    desk: Desk, shop: str, suspend: Callable[[], None], how: dict[str, str]
) -> None:
    order, placed = _held(desk, shop), _paid(desk, shop)
    suspend()
    refused = desk.act(order, "place", "app", how)
    assert problem(refused) == (409, "state-conflict")
    assert "suspended" not in refused.text  # which is told to nobody but the merchant
    assert (desk.read(order)["state"], _of(desk, order)) == ("held", [])
    assert desk.brought(placed, *READY, "collect")["state"] == "collected"
    desk.set_status("verified")
    assert desk.done(order, "place", "app", how)["state"] == "placed"


def test_payment__that_is_set_aside_while_the_merchant_is_suspended_is_set_free(
    desk: Desk, shop: str, suspend: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    authorise = SandboxProvider.authorise

    def meanwhile(*asked: Any) -> Outcome:
        suspend()
        return authorise(*asked)

    monkeypatch.setattr(SandboxProvider, "authorise", meanwhile)
    order = _held(desk, shop)
    assert problem(desk.act(order, "place", "app", ONLINE)) == (409, "state-conflict")
    desk.sweep()
    assert (desk.read(order)["state"], desk.payment(order).state, _of(desk, order)) == ("held", "released", [(0, 0)])
    desk.done(order, "cancel", "app")


def test_payment__of_which_is_heard_once_the_merchant_is_suspended_is_set_free(
    desk: Desk, shop: str, suspend: Callable[[], None]
) -> None:
    order = _paid(desk, shop, "timeout-authorised")
    suspend()
    desk.pass_(5)
    desk.sweep()
    assert (desk.read(order)["state"], desk.payment(order).state, _of(desk, order)) == ("held", "released", [(0, 0)])
    desk.pass_until(order["expires_at"])
    assert desk.read(order)["state"] == "expired"


def test_capture__whose_answer_is_lost_is_asked_for_again_and_taken_once(desk: Desk, shop: str) -> None:
    order = _paid(desk, shop, "capture-timeout")
    desk.brought(order, *READY, "collect")
    desk.sweep()
    assert desk.payment(order).state == "capturing"
    assert _of(desk, order) == [(0, 2500)]
    desk.pass_(2)
    assert _settled(desk, order) == ("captured", 2500)
    assert _of(desk, order) == [(0, 2500)]


def test_capture__of_what_has_lapsed_is_told_and_not_asked_for_again(desk: Desk, shop: str) -> None:
    order = _paid(desk, shop, "capture-declined")
    LAPSED.add(order["order_id"])
    desk.brought(order, *READY, "collect")
    assert _settled(desk, order) == ("declined", 0)
    assert desk.payment(order).due_at is None
    told = desk.read(order)
    assert (told["state"], told["payment"]["state"], told["payment"]["captured_minor"]) == ("collected", "declined", 0)
    events = [
        ("hold", "held"),
        ("place", "placed"),
        ("accept", "accepted"),
        ("ready", "ready"),
        ("collect", "collected"),
        ("capture_declined", "collected"),
    ]
    assert (desk.events(order), told["revision"]) == (events, len(events))
    desk.pass_(3_600)
    assert (_settled(desk, order), _of(desk, order)) == (("declined", 0), [(0, 0)])
    assert desk.events(order) == events
    assert told == desk.read(order)


def test_capture__of_a_fee_that_has_lapsed_is_told_and_leaves_the_fee_as_it_was(desk: Desk) -> None:
    offer = "fresh_food/pickup"
    shop = desk.shop(stock={"milk": 50, "bread": 50}, offer={"offer": offer})
    order = desk.brought(_paid(desk, shop, "capture-declined", offer=offer), *READY)
    LAPSED.add(order["order_id"])
    desk.pass_until(order["cancel_free_until"], 1)
    ended = desk.done(order, "cancel", "app")
    assert _settled(desk, order) == ("declined", 0)
    assert desk.events(order)[-2:] == [("cancel", "cancelled"), ("capture_declined", "cancelled")]
    told = desk.read(order)
    assert {name for name in told if told[name] != ended[name]} == {"payment", "revision"}


def _hear(desk: Desk, order: dict[str, Any], attempt: int, outcome: Outcome = Outcome.AUTHORISED) -> None:
    """Let the provider call back."""
    services = desk.registry.services
    services.store.write_now(
        lambda connection: authorised(connection, services.orders, order["order_id"], attempt, outcome, "provider")
    )


@pytest.mark.parametrize("outcome", list(Outcome))
def test_call_back__that_is_heard_twice_changes_nothing(desk: Desk, shop: str, outcome: Outcome) -> None:
    order = _paid(desk, shop)
    before = desk.row(order), desk.payment(order)
    its = desk.payment(order).attempt
    for attempt in (its, its, its - 1, its + 1):
        _hear(desk, order, attempt, outcome)
    assert (desk.row(order), desk.payment(order)) == before
    desk.brought(order, *READY, "collect")
    assert _settled(desk, order) == ("captured", 2500)
    _hear(desk, order, its, outcome)
    assert _settled(desk, order) == ("captured", 2500)
    assert [event for event, _ in desk.events(order)].count("place") == 1


def _begun(desk: Desk, shop: str) -> dict[str, Any]:
    """Return an order whose payment is about to be asked for."""
    order = _held(desk, shop)
    desk.registry.services.store.write_now(
        lambda connection: begin_payment(connection, order["order_id"], order["total_minor"], "CNY")
    )
    return order


def test_authorisation__that_arrives_behind_its_withdrawal_sets_nothing_aside(desk: Desk, shop: str) -> None:
    order = _begun(desk, shop)
    desk.pass_(5)
    desk.sweep()
    assert desk.payment(order).state == "released"
    payment = desk.payment(order)
    told = desk.registry.services.payments.authorise(reference_of(payment), 2500, "CNY", "ok")
    assert told is Outcome.DECLINED
    _hear(desk, order, payment.attempt, told)
    assert (desk.read(order)["state"], _of(desk, order)) == ("held", [(0, 0)])
    desk.pass_(600)
    assert desk.read(order)["state"] == "expired"
    assert _settled(desk, order) == ("released", 0)


@pytest.mark.parametrize("event", ["cancelled", "placed at the counter"])
def test_authorisation__that_comes_too_late_is_set_free(desk: Desk, shop: str, event: str) -> None:
    order = _begun(desk, shop)
    if event == "cancelled":
        desk.done(order, "cancel", "app")
    else:
        desk.done(order, "place", "app", {"payment": "counter"})
    payment = desk.payment(order)
    outcome = desk.registry.services.payments.authorise(reference_of(payment), 2500, "CNY", "ok")
    assert (outcome, _of(desk, order)) == (Outcome.AUTHORISED, [(2500, 0)])
    _hear(desk, order, payment.attempt)
    desk.sweep()
    assert _of(desk, order) == [(0, 0)]
    assert desk.payment(order).state == "released"
    told = desk.read(order)
    assert (told["state"], told["payment"]["method"]) == (
        ("cancelled", "online") if event == "cancelled" else ("placed", "counter")
    )


@pytest.mark.parametrize("means", ["declined", "timeout-lost"])
def test_payment__that_a_restored_store_knows_nothing_of_is_not_taken_for_the_next_one(
    desk: Desk, shop: str, means: str
) -> None:
    order = _held(desk, shop)
    desk.act(order, "place", "app", {"payment": "online", "means": means})
    desk.pass_(5)
    desk.sweep()
    forgotten = reference_of(desk.payment(order))
    known = payments.c.subject == order["order_id"]
    desk.registry.services.store.write_now(lambda connection: connection.run(payments.delete().where(known)))
    assert desk.done(order, "place", "app", ONLINE)["payment"]["state"] == "authorised"
    assert reference_of(desk.payment(order)) != forgotten
    assert _of(desk, order) == [(0, 0), (2500, 0)]
    desk.brought(order, *READY, "collect")
    assert _settled(desk, order) == ("captured", 2500)


def test_hold__does_not_expire_while_its_payment_is_on_its_way_but_not_for_ever(desk: Desk, shop: str) -> None:
    order = _begun(desk, shop)
    store = desk.registry.services.store
    expires_us = to_us(dt.datetime.fromisoformat(order["expires_at"]))

    def away(connection: Any) -> None:  # as if the provider could not be asked
        query = payments.update().where(payments.c.subject == order["order_id"])
        connection.run(query.values(due_at=expires_us + 3_600_000_000))

    store.write_now(away)
    desk.pass_until(order["expires_at"], 1)
    assert desk.read(order)["state"] == "held"
    desk.pass_(310)
    assert desk.read(order)["state"] == "expired"
    assert _settled(desk, order) == ("released", 0)
    assert desk.stock(shop, "milk") == (50, 0)


def test_hold__of_which_the_provider_tells_nothing_expires_though_it_is_asked_again_and_again(
    desk: Desk, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(_provider: SandboxProvider, _reference: str) -> Outcome:
        raise ProviderUnknownError("it is down")

    monkeypatch.setattr(SandboxProvider, "find", find)
    order = _paid(desk, shop, "timeout-authorised")
    for _ in range(29):
        desk.pass_(30)
    assert desk.read(order)["state"] == "held"
    desk.pass_(30)
    desk.pass_(10)
    assert desk.read(order)["state"] == "expired"
    assert _settled(desk, order) == ("released", 0)


def test_books__are_kept_where_there_was_no_folder(tmp_path: Path) -> None:
    """Over PostgreSQL nothing else makes the data folder before the first snapshot."""
    provider = SandboxProvider(tmp_path / "new" / "data" / "books.db")
    assert not (tmp_path / "new").exists(), "who pays nothing may start where no folder can be made"
    assert provider.authorise("ord_1", 500, "CNY", "ok") is Outcome.AUTHORISED
    assert provider.taken() == {"ord_1": (500, 0)}


def test_release__is_told_from_then_on_for_nothing_is_set_aside(tmp_path: Path) -> None:
    provider = SandboxProvider(tmp_path / "books.db")
    assert provider.authorise("ord_1", 500, "CNY", "ok") is Outcome.AUTHORISED
    provider.release("ord_1")
    assert provider.authorise("ord_1", 500, "CNY", "ok") is provider.find("ord_1") is Outcome.DECLINED
    assert provider.taken() == {"ord_1": (0, 0)}
