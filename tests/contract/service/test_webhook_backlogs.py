"""A webhook with much that waits: it is disabled, enabled and deleted a small transaction at a time, and loses nothing."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from service.audit.store import COMMAND
from service.clock import SystemClock
from service.errors import LeaseLostError
from service.feed.outbox import Position
from service.store.connections import WriteConnection
from service.store.leases import give_back, take
from service.store.order_tables import webhook_deliveries, webhooks
from service.webhooks import deliveries
from service.webhooks import store as webhook_store
from service.webhooks.deliveries import Marked, Tried, due_deliveries, forget_deliveries, mark_tried
from service.webhooks.planning import _kept, keep_place
from service.webhooks.rules import DISABLED_DELETED, DISABLED_GONE, STANDARD
from service.webhooks.sending import Told
from service.webhooks.store import Whose, create_webhook, delete_webhook, enable_webhook
from service.webhooks.urls import UrlRules
from service.webhooks.worker import WebhookWorker
from tests.contract.service.desk import Desk
from tests.contract.service.talking import problem

SECOND_US, DAY_US = 1_000_000, 86_400_000_000
GONE, TAKEN = Told("status 410", is_gone=True), Told("status 204", is_delivered=True)
_t = webhook_deliveries.c


def write(desk: Desk, fn: Any) -> Any:
    return desk.registry.services.store.write_now(fn)


def waiting(desk: Desk, due_s: int | None, n_orders: int = 5) -> str:
    """Make a webhook for which two events of each of some orders wait; return its id. The first is due in some time."""
    hook = write(desk, lambda connection: create_webhook(connection, COMMAND, Whose(), "https://a.example/x"))
    names = ("webhook_id", "event_id", "subject", "revision", "body", "state", "tries", "due_at", "created_at")
    due_us = None if due_s is None else desk.now_us + due_s * SECOND_US
    rows = [
        (hook.webhook_id, f"msg_{order}_{number}", f"ord_{order}", number, "{}", "waiting", 0, due, desk.now_us)
        for order in range(n_orders)
        for number, due in ((1, due_us), (2, None))
    ]
    write(desk, lambda connection: connection.insert_rows(webhook_deliveries, names, rows))
    return str(hook.webhook_id)


def changed(desk: Desk, webhook_id: str, **values: Any) -> None:
    its = webhooks.c.webhook_id == webhook_id
    write(desk, lambda connection: connection.run(update(webhooks).where(its).values(**values)))


def tried(desk: Desk, webhook_id: str, event_id: str, told: Told) -> Marked:
    """Mark what came of a first try."""
    one = Tried(webhook_id, event_id, told, 0.5, 0)

    def mark(connection: WriteConnection) -> Marked:
        lease = take(connection, "webhooks", "test", 60.0)
        assert lease is not None
        (marked,) = mark_tried(connection, lease, [one], STANDARD)
        give_back(connection, lease)
        return marked

    return desk.registry.services.store.write_now(mark)


def due(desk: Desk, webhook_id: str) -> list[str]:
    """Return which events of a webhook are to be sent now."""
    places = {True: 100, False: 100}
    found = desk.registry.services.store.read_now(
        lambda connection: due_deliveries(connection, desk.now_us, {}, places)
    )
    return sorted(one.event_id for one in found if one.webhook_id == webhook_id)


def enabled(desk: Desk, webhook_id: str) -> bool:
    row = write(desk, lambda connection: enable_webhook(connection, COMMAND, webhook_id, Whose()))
    return not row.is_disabled


def test_disabled__leaves_its_deliveries_as_they_are_and_sends_none(desk: Desk) -> None:
    webhook_id = waiting(desk, -1)
    of_it = select(_t.event_id, _t.due_at).where(_t.webhook_id == webhook_id, _t.event_id != "msg_0_1")
    before = desk.rows(of_it.order_by(_t.event_id))
    assert tried(desk, webhook_id, "msg_0_1", GONE).why_disabled == DISABLED_GONE
    assert desk.rows(of_it.order_by(_t.event_id)) == before
    assert due(desk, webhook_id) == []
    told = desk.send("GET", f"/v1/webhooks/{webhook_id}/deliveries", "admin").json()["items"]
    assert [one["due_at"] for one in told] == [None] * 10


def test_enabled__sends_what_waits_of_each_order_even_what_was_being_tried_meanwhile(desk: Desk) -> None:
    webhook_id = waiting(desk, -1)
    tried(desk, webhook_id, "msg_0_1", GONE)
    tried(desk, webhook_id, "msg_1_1", TAKEN)
    tried(desk, webhook_id, "msg_2_1", Told("status 500"))
    assert enabled(desk, webhook_id)
    assert due(desk, webhook_id) == ["msg_0_1", "msg_1_2", "msg_2_1", "msg_3_1", "msg_4_1"]


def test_enabled__where_an_earlier_linli_disabled_it_sends_what_waits(desk: Desk) -> None:
    webhook_id = waiting(desk, None)
    changed(desk, webhook_id, is_disabled=True)
    assert enabled(desk, webhook_id)
    assert due(desk, webhook_id) == [f"msg_{order}_1" for order in range(5)]


def test_enabling__takes_many_small_writes_where_much_waits_for_its_next_try(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "_A_TRANSACTION", 2)
    webhook_id = waiting(desk, 3_600)
    changed(desk, webhook_id, is_disabled=True)
    assert not enabled(desk, webhook_id)
    later = select(func.count()).where(_t.webhook_id == webhook_id, _t.due_at > desk.now_us)
    assert desk.rows(later)[0][0] == 3
    answer = desk.send("POST", f"/v1/webhooks/{webhook_id}:enable", "admin")
    assert answer.json()["state"] == "enabled"
    assert due(desk, webhook_id) == [f"msg_{order}_1" for order in range(5)]


def test_deleting__takes_many_small_writes_and_sends_nothing_meanwhile(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_store, "_DELETED_AT_ONCE", 4)
    webhook_id = waiting(desk, -1)
    assert write(desk, lambda connection: delete_webhook(connection, COMMAND, webhook_id, Whose())) is False
    assert desk.rows(select(func.count()).where(_t.webhook_id == webhook_id))[0][0] == 6
    told = desk.send("GET", f"/v1/webhooks/{webhook_id}", "admin").json()
    assert (told["state"], told["why_disabled"], due(desk, webhook_id)) == ("disabled", DISABLED_DELETED, [])
    path = f"/v1/webhooks/{webhook_id}"
    assert desk.send("DELETE", path, "admin").status_code == httpx.codes.NO_CONTENT
    assert desk.rows(select(func.count()).where(_t.webhook_id == webhook_id))[0][0] == 0
    assert desk.send("DELETE", path, "admin").status_code == httpx.codes.NOT_FOUND


def test_half_deleted__is_not_enabled_for_it_lost_some_of_what_it_would_send(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_store, "_DELETED_AT_ONCE", 4)
    webhook_id = waiting(desk, -1)
    path = f"/v1/webhooks/{webhook_id}"
    assert write(desk, lambda connection: delete_webhook(connection, COMMAND, webhook_id, Whose())) is False
    answer = desk.send("POST", f"{path}:enable", "admin")
    assert problem(answer) == (409, "state-conflict")
    assert "DELETE it again" in answer.json()["detail"]
    assert desk.send("GET", path, "admin").json()["state"] == "disabled"
    assert desk.send("DELETE", path, "admin").status_code == httpx.codes.NO_CONTENT


def test_forgetting__what_waited_for_a_disabled_webhook_lets_the_next_event_of_the_order_be_due(desk: Desk) -> None:
    webhook_id = waiting(desk, -1)
    changed(desk, webhook_id, is_disabled=True)
    old = update(webhook_deliveries).where(_t.webhook_id == webhook_id, _t.revision == 1)
    write(desk, lambda connection: connection.run(old.values(created_at=_t.created_at - 29 * DAY_US)))
    write(desk, lambda connection: forget_deliveries(connection, desk.now_us - 7 * DAY_US))
    assert enabled(desk, webhook_id)
    assert due(desk, webhook_id) == [f"msg_{order}_2" for order in range(5)]


def test_forgetting__looks_at_so_many_in_a_write_and_comes_to_those_behind_what_waits(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "_LOOKED_AT", 4)
    webhook_id = waiting(desk, -1, n_orders=6)
    its = _t.webhook_id == webhook_id
    write(desk, lambda connection: connection.run(update(webhook_deliveries).values(created_at=desk.now_us)))
    for number in range(6):  # each order's a second later than the one before, and the last one's are done
        old_us = desk.now_us - 8 * DAY_US + number * SECOND_US
        values = {"created_at": old_us, **({"state": "delivered", "due_at": None} if number == 5 else {})}
        of_order = update(webhook_deliveries).where(its, _t.subject == f"ord_{number}").values(values)
        write(desk, partial(WriteConnection.run, statement=of_order))
    left, after_us = [], 0
    for _ in range(3):
        step = partial(forget_deliveries, before_us=desk.now_us - 7 * DAY_US, after_us=after_us)
        after_us = write(desk, step)
        left.append((desk.rows(select(func.count()).where(its))[0][0], after_us > 0))
    assert left == [(12, True), (12, True), (10, True)]
    assert write(desk, partial(forget_deliveries, before_us=desk.now_us - 7 * DAY_US, after_us=after_us)) == 0


def test_worker_that_lost_its_lease__leaves_the_place_that_another_has_kept(desk: Desk) -> None:
    store = desk.registry.services.store
    worker = WebhookWorker(store, SystemClock(), UrlRules(()), lambda _outcome: None)
    worker._place = ("feed", Position(0, 1))
    lease = worker._tenure.held()
    assert lease is not None
    further = ("feed", Position(0, 2))

    def another_goes_on(connection: WriteConnection) -> None:
        give_back(connection, lease)
        newer = take(connection, lease.name, "another", 60.0)
        assert newer is not None
        keep_place(connection, further)

    write(desk, another_goes_on)
    worker._sender.start()
    try:
        with pytest.raises(LeaseLostError):
            worker._leave()
    finally:
        worker.close()
    assert store.read_now(_kept) == further
