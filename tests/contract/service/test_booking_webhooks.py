"""What happens to a booked visit is sent to the app and the merchant, and tells no person and no place."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from service.audit.store import COMMAND
from service.clock import SystemClock
from service.store.database import Store
from service.webhooks.addresses import networks_of
from service.webhooks.store import Whose, create_webhook
from service.webhooks.urls import UrlRules
from service.webhooks.worker import WebhookWorker
from tests.contract.service.desk import Desk
from tests.contract.service.visiting import Visits
from tests.receivers import Receiver, receiver


@pytest.fixture
def visits(desk: Desk) -> Visits:
    return Visits(desk)


def _sent(store: Store, at: Receiver, n: int) -> None:
    """Send what there is to send, until so much has come."""
    rules = UrlRules(networks_of("127.0.0.0/8"))
    worker = WebhookWorker(store, SystemClock(), rules, lambda _outcome: None, seconds=5.0, lease_s=2.0)
    worker.start()
    try:
        at.wait(n)
    finally:
        worker.close()


def test_events_of_a_booking__are_sent_in_order_and_tell_no_person(visits: Visits) -> None:
    store, point_id = visits.desk.registry.services.store, visits.provider("anna")
    with receiver() as at:
        whose = Whose(app="app")
        store.write_now(lambda connection: create_webhook(connection, COMMAND, whose, at.url))
        visits.brought(visits.book(point_id, visits.tomorrow(10)), "confirm", "depart")
        _sent(store, at, 3)
    told = [json.loads(got.body) for got in at.got]
    assert [one["type"] for one in told] == ["booking.hold", "booking.confirm", "booking.depart"]
    assert [(one["data"]["revision"], one["data"]["state"]) for one in told] == [
        (1, "held"),
        (2, "confirmed"),
        (3, "en_route"),
    ]
    assert {frozenset(one["data"]) for one in told} == {
        frozenset({"booking_id", "revision", "event", "state", "point_id", "merchant_id", "at"})
    }


def test_deliveries__name_the_order_or_the_visit_that_they_are_about(visits: Visits) -> None:
    desk = visits.desk
    store, app = desk.registry.services.store, Whose(app="app")
    with receiver() as at:
        hook = store.write_now(lambda connection: create_webhook(connection, COMMAND, app, at.url))
        order = desk.order(desk.shop(stock={"milk": 1}), {"milk": 1})
        booking = visits.book(visits.provider("anna"), visits.tomorrow(10))
        _sent(store, at, 2)
    answer = desk.send("GET", f"/v1/webhooks/{hook.webhook_id}/deliveries", "app")
    told = {(one["order_id"], one["booking_id"]) for one in answer.json()["items"]}
    assert told == {(order["order_id"], None), (None, booking["booking_id"])}


def test_payment_that_can_never_be_taken__is_sent_to_the_merchant_of_the_order_and_of_the_visit(visits: Visits) -> None:
    desk, online = visits.desk, {"payment": "online", "means": "capture-declined"}
    booking = visits.book(visits.provider("anna"), visits.tomorrow(10))
    visits.done(booking, "confirm", "app", online)
    visits.brought(booking, "depart", "start", "finish")
    order = desk.order(desk.shop(stock={"milk": 1}), {"milk": 1})
    desk.done(order, "place", "app", online)
    desk.brought(order, "accept", "ready", "collect")
    desk.registry.clock.at += dt.timedelta(seconds=1)
    with receiver() as at:
        whose, store = Whose(merchant_id="corner"), desk.registry.services.store
        store.write_now(lambda connection: create_webhook(connection, COMMAND, whose, at.url))
        desk.sweep()
        _sent(store, at, 2)
    told = [json.loads(got.body) for got in at.got]
    assert {(one["type"], one["data"]["state"], one["data"].get("order_id")) for one in told} == {
        ("order.capture_declined", "collected", order["order_id"]),
        ("booking.capture_declined", "paid", None),
    }
