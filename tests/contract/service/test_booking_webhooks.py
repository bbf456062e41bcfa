"""What happens to a booked visit is sent to the app and the merchant, and tells no person and no place."""

from __future__ import annotations

import json

import pytest

from service.audit.store import COMMAND
from service.clock import SystemClock
from service.webhooks.addresses import networks_of
from service.webhooks.store import Whose, create_webhook
from service.webhooks.urls import UrlRules
from service.webhooks.worker import WebhookWorker
from tests.contract.service.desk import Desk
from tests.contract.service.visiting import Visits
from tests.receivers import receiver


@pytest.fixture
def visits(desk: Desk) -> Visits:
    return Visits(desk)


def test_events_of_a_booking__are_sent_in_order_and_tell_no_person(visits: Visits) -> None:
    store, point_id = visits.desk.registry.services.store, visits.provider("anna")
    with receiver() as at:
        whose = Whose(app="app")
        store.write_now(lambda connection: create_webhook(connection, COMMAND, whose, at.url))
        visits.brought(visits.book(point_id, visits.tomorrow(10)), "confirm", "depart")
        rules = UrlRules(networks_of("127.0.0.0/8"))
        worker = WebhookWorker(store, SystemClock(), rules, lambda _outcome: None, seconds=5.0, lease_s=2.0)
        worker.start()
        try:
            at.wait(3)
        finally:
            worker.close()
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
