"""What is sent to webhooks, on both databases, to real receivers (promises R7, S8, S9; fault F19)."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from sqlalchemy import BigInteger, Select, Text, cast, delete, text, update
from sqlalchemy.dialects import sqlite

from service.audit.store import COMMAND
from service.clock import SystemClock
from service.errors import DeadlineExceededError
from service.feed.outbox import Position, head
from service.store.connections import ReadConnection, WriteConnection
from service.store.database import Store
from service.store.order_tables import leases, webhook_deliveries, webhooks
from service.store.tables import changes, marks
from service.webhooks import worker
from service.webhooks.deliveries import Marked, forget_deliveries, late_s
from service.webhooks.rules import DISABLED_GONE, Retries
from service.webhooks.sender import Sender
from service.webhooks.store import Whose, enable_webhook, rotate_secret
from service.webhooks.urls import UrlRules
from tests.contract.service.hooked import PATIENT_S, Hooked, data_of, hooked
from tests.feed_store import opened_store, put_point, wait_until
from tests.order_rows import put_event
from tests.receivers import CERTIFICATES, canary, receiver, redirect
from tests.serving import Place
from tests.unit.service.webhooks.verifying import is_ours

DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def store(place: Place) -> Iterator[Store]:
    with opened_store(place) as store:
        yield store


@pytest.fixture
def shop(store: Store) -> Iterator[Hooked]:
    with hooked(store) as one:
        yield one


def test_event__comes_signed_and_tells_no_person(shop: Hooked) -> None:
    with receiver() as one, shop.working():
        hook = shop.hook(one.url)
        shop.happen("1", "placed")
        (got,) = one.wait(1)
        (row,) = shop.wait_for(hook.webhook_id, "delivered")
    assert got.path == "/hook"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["host"] == f"127.0.0.1:{one.port}"
    assert is_ours(hook.secret, got.headers, got.body, got.at)
    assert not is_ours(hook.secret, got.headers, got.body.replace(b"placed", b"cancel"), got.at)
    told = json.loads(got.body)
    assert told == {"type": "order.placed", "timestamp": told["data"]["at"], "data": told["data"]}
    assert told["data"] == {
        "order_id": f"{shop.merchant_id}.1",
        "revision": 1,
        "event": "placed",
        "state": "placed",
        "point_id": f"{shop.merchant_id}:1",
        "merchant_id": shop.merchant_id,
        "at": told["timestamp"],
    }
    assert len(got.body) < 20_000
    assert b"a buyer" not in got.body + str(got.headers).encode()
    assert (row.event_id, row.tries, row.told, row.due_at) == (got.event_id, 1, "status 204", None)


def test_events__go_to_those_whose_orders_they_are(shop: Hooked, store: Store) -> None:
    with hooked(store) as other, receiver() as one, receiver() as two, receiver() as three, receiver() as four:
        shop.hook(one.url)
        other.hook(two.url)
        shop.hook(three.url, Whose(app="phone app"))
        shop.hook(four.url, Whose())
        with shop.working():
            shop.happen("1", "placed", app="phone app")
            other.happen("1", "placed", app="another app")
            four.wait(2)
            time.sleep(0.2)
    orders = [{data_of(got.body)["order_id"] for got in at.got} for at in (one, two, three, four)]
    mine, others = f"{shop.merchant_id}.1", f"{other.merchant_id}.1"
    assert orders == [{mine}, {others}, {mine}, {mine, others}]


def test_new_webhook__hears_of_nothing_before_it(shop: Hooked) -> None:
    shop.happen("1", "placed", "accepted")
    with receiver() as one:
        shop.hook(one.url)
        shop.happen("1", "ready")
        with shop.working():
            one.wait(1)
            time.sleep(0.2)
    assert [data_of(got.body)["event"] for got in one.got] == ["ready"]


def test_events_of_an_order__come_in_order_while_it_fails(shop: Hooked) -> None:
    with receiver(500) as one:
        hook = shop.hook(one.url)
        with shop.working(retries=Retries((0.1,) * 100, spread=0.0)):
            shop.happen("1", "placed", "accepted", "ready")
            shop.happen("2", "placed")
            one.wait(4)
            assert {data_of(got.body)["event"] for got in one.got} == {"placed"}
            assert shop.row(hook.webhook_id).failing_since is not None
            one.answer = 204
            rows = shop.wait_for(hook.webhook_id, *["delivered"] * 4)
    firsts: dict[str, list[str]] = defaultdict(list)
    for got in one.got:
        data = data_of(got.body)
        if data["event"] not in firsts[data["order_id"]]:
            firsts[data["order_id"]].append(data["event"])
    assert firsts == {f"{shop.merchant_id}.1": ["placed", "accepted", "ready"], f"{shop.merchant_id}.2": ["placed"]}
    assert len({got.event_id for got in one.got}) == len(rows)  # a try that is repeated has the same id
    assert shop.row(hook.webhook_id).failing_since is None


def test_given_up__lets_the_next_event_go(shop: Hooked) -> None:
    with receiver(500) as one, receiver() as well:
        hook = shop.hook(one.url)
        shop.hook(well.url)
        shop.happen("1", "placed", "accepted")
        with shop.working(retries=Retries((0.01, 0.01), spread=0.0)):
            well.wait(2)
            one.wait(3)
            # Given up means failing for all the time of the tries: it is disabled and says why.
            rows = shop.wait_for(hook.webhook_id, "given_up", "waiting")
            assert [(row.tries, row.told) for row in rows] == [(3, "status 500"), (0, None)]
            row = shop.row(hook.webhook_id)
            assert row.is_disabled
            assert row.why_disabled == "nothing was delivered for 0 hours; the last try: status 500"
            shop.happen("1", "ready")  # of which it hears nothing
            well.wait(3)
            one.answer = 204
            shop.store.write_now(lambda connection: enable_webhook(connection, COMMAND, hook.webhook_id, Whose()))
            shop.wait_for(hook.webhook_id, "given_up", "delivered")
    assert [data_of(got.body)["event"] for got in one.got] == ["placed"] * 3 + ["accepted"]
    assert shop.outcomes == {"delivered": 4, "failed": 2, "given_up": 1}


def test_given_up_while_others_came__disables_nothing(shop: Hooked) -> None:
    with receiver() as one:
        one.answer = lambda handler: handler.send_error(500 if b'.bad"' in one.got[-1].body else 200)
        hook = shop.hook(one.url)
        with shop.working(retries=Retries((0.05, 2.0), spread=0.0)):
            shop.happen("bad", "placed")
            one.wait(2)
            shop.happen("good", "placed")
            shop.wait_for(hook.webhook_id, "waiting", "delivered")
            shop.wait_for(hook.webhook_id, "given_up", "delivered")
            assert not shop.row(hook.webhook_id).is_disabled


def test_failing_for_long__disables_though_so_much_happens_that_nothing_is_given_up(shop: Hooked) -> None:
    with receiver(500) as one, shop.working(retries=Retries((0.05, 0.05, 3600.0), spread=0.0)):
        hook = shop.hook(one.url)
        shop.happen("1", "placed")
        _wait_for_tries(shop, hook.webhook_id, 3)
        long_ago = shop.row(hook.webhook_id).failing_since - 7_200_000_000
        shop.change(hook.webhook_id, failing_since=long_ago)
        shop.happen("2", "placed")
        _wait_for_tries(shop, hook.webhook_id, 3, 3)
        row = shop.row(hook.webhook_id)
        assert row.why_disabled == "nothing was delivered for 2 hours; the last try: status 500"
        assert row.is_disabled
    assert [one.state for one in shop.deliveries(hook.webhook_id)] == ["waiting", "waiting"]


def test_standstill__is_no_time_in_which_a_webhook_was_failing(shop: Hooked) -> None:
    retries = Retries((0.05, 0.05, 3600.0, 3600.0), spread=0.0)
    with receiver(500) as one:
        hook = shop.hook(one.url)
        shop.happen("1", "placed")
        with shop.working(retries=retries):
            _wait_for_tries(shop, hook.webhook_id, 3)
        shop.store.write_now(partial(_stand_still, us=4 * DAY_US))
        with shop.working(retries=retries):
            _wait_for_tries(shop, hook.webhook_id, 4)
    row = shop.row(hook.webhook_id)
    assert (row.is_disabled, row.why_disabled) == (False, None)
    assert SystemClock().now_us() - row.failing_since < 3_600_000_000


def _stand_still(connection: WriteConnection, us: int) -> None:
    """Let all that is known of webhooks be as long ago as if linli had not run since."""
    ago = cast(cast(marks.c.value, BigInteger) - us, Text)
    connection.run(update(marks).where(marks.c.name == "webhooks_at").values(value=ago))
    connection.run(update(webhooks).values(failing_since=webhooks.c.failing_since - us))
    connection.run(update(webhook_deliveries).values(due_at=webhook_deliveries.c.due_at - us))


def _wait_for_tries(shop: Hooked, webhook_id: str, *tries: int) -> None:
    wait_until(lambda: [row.tries for row in shop.deliveries(webhook_id)] == list(tries), 10.0, f"tries {tries}")


def test_clock_that_stands_still_since_it_was_set_back__signs_what_time_it_is(shop: Hooked) -> None:
    clock = SystemClock(time.time_ns() // 1000 + DAY_US)
    with receiver() as one, shop.working(clock=clock):
        hook = shop.hook(one.url)
        shop.happen("1", "placed")
        (got,) = one.wait(1)
    assert is_ours(hook.secret, got.headers, got.body, got.at)


def test_gone__disables_at_once(shop: Hooked) -> None:
    with receiver(410) as one, shop.working():
        hook = shop.hook(one.url)
        shop.happen("1", "placed")
        one.wait(1)
        (row,) = shop.wait_for(hook.webhook_id, "waiting")
        for _ in range(200):
            if shop.row(hook.webhook_id).is_disabled:
                break
            time.sleep(0.01)
        time.sleep(0.3)
        assert len(one.got) == 1
        row = shop.row(hook.webhook_id)
        assert (row.is_disabled, row.why_disabled) == (True, DISABLED_GONE)


def test_rotation__signs_with_both_secrets_for_a_day(shop: Hooked) -> None:
    with receiver() as one, shop.working():
        hook = shop.hook(one.url)

        def rotate() -> str:
            row = shop.store.write_now(lambda connection: rotate_secret(connection, COMMAND, hook.webhook_id, Whose()))
            assert row is not None
            return str(row.secret)

        secrets = [hook.secret, rotate(), rotate()]
        shop.happen("1", "placed")
        got = one.wait(1)[0]
        assert [is_ours(secret, got.headers, got.body, got.at) for secret in secrets] == [True] * 3
        row = shop.row(hook.webhook_id)
        assert 0.99 * DAY_US < row.old_until - row.created_at < 1.01 * DAY_US
        shop.change(hook.webhook_id, old_until=row.old_until - DAY_US - 60_000_000)
        shop.happen("2", "placed")
        got = one.wait(2)[1]
        assert [is_ours(secret, got.headers, got.body, got.at) for secret in secrets] == [False, False, True]


def test_rotation_again__lets_no_secret_sign_for_longer_than_its_own_day(shop: Hooked) -> None:
    hour_us, now_us = DAY_US // 24, SystemClock().now_us()
    with receiver() as one:
        hook = shop.hook(one.url)
        secrets = [hook.secret]
        for left_us in (hour_us, 20 * hour_us, None):  # of the secret before, when the next rotation comes
            row = shop.store.write_now(partial(rotate_secret, actor=COMMAND, webhook_id=hook.webhook_id, whose=Whose()))
            assert row is not None
            secrets.append(row.secret)
            if left_us is not None:
                shop.change(hook.webhook_id, old_until=now_us + left_us)
        shop.happen("1", "placed")
        with shop.working():
            got = one.wait(1)[0]
            assert [is_ours(secret, got.headers, got.body, got.at) for secret in secrets] == [True] * 4
        shop.happen("2", "placed")
        with shop.working(clock=SystemClock(now_us + 2 * hour_us)):
            got = one.wait(2)[1]
            assert [is_ours(secret, got.headers, got.body, got.at) for secret in secrets] == [False, True, True, True]
        shop.happen("3", "placed")
        with shop.working(clock=SystemClock(now_us + 21 * hour_us)):
            got = one.wait(3)[2]
            assert [is_ours(secret, got.headers, got.body, got.at) for secret in secrets] == [False, False, True, True]


ANSWERS = {
    "hang": "no answer in time",
    "drip": "no answer in time",
    "flood_head": "no HTTP answer came",
    "moved": "status 302: redirects are not followed",
    "kept": "status 307: redirects are not followed",
    "error": "status 500",
    "nonsense": "no HTTP answer came",
    "closed": "no HTTP answer came",
}


ENDLESS = ("hang", "drip")
"""With these a try ends with its time alone."""


@pytest.mark.parametrize("kind", ANSWERS)
def test_bad_receiver__is_told_of_and_holds_up_no_other(shop: Hooked, kind: str) -> None:
    with canary() as inside, receiver() as bad, receiver() as good:
        there = f"http://127.0.0.1:{inside.port}/"
        answers = {
            "hang": bad.hang,
            "drip": bad.drip,
            "flood_head": bad.flood_head,
            "moved": redirect(there),
            "kept": redirect(there, 307),
            "error": 500,
            "nonsense": lambda handler: handler.wfile.write(b"220 mail.example ESMTP\r\n"),
            "closed": lambda _handler: None,
        }
        bad.answer = answers[kind]  # type: ignore[assignment]
        if kind == "closed":
            bad.answer = lambda handler: setattr(handler, "close_connection", True)
        hook, well = shop.hook(bad.url), shop.hook(good.url)
        with shop.working():
            for number in range(5):
                shop.happen(str(number), "placed")
                good.wait(number + 1)
                bad.wait(1)
            if kind in ENDLESS:  # others came while its first try was still on its way
                assert shop.outcomes["failed"] == 0
            shop.wait_for(well.webhook_id, *["delivered"] * 5)
        with shop.working(seconds=0.6 if kind in ENDLESS else PATIENT_S):
            assert shop.wait_for_told(hook.webhook_id) == ANSWERS[kind]
        assert inside.n_connections == 0


def test_gigabyte__is_not_taken(shop: Hooked) -> None:
    with receiver() as one, shop.working():
        one.answer = one.flood
        hook = shop.hook(one.url)
        shop.happen("1", "placed")
        (row,) = shop.wait_for(hook.webhook_id, "delivered")
        time.sleep(0.2)
    assert row.told == "status 200"
    assert one.n_sent < 8 << 20  # what the system keeps for a sender is among it


def test_many_dead_receivers__hold_up_no_other(shop: Hooked) -> None:
    with receiver() as dead, receiver() as good, shop.working():
        dead.answer = dead.hang
        for _ in range(9):
            shop.hook(dead.url)
        well = shop.hook(good.url)
        for number in range(20):
            shop.happen(str(number), "placed")
            good.wait(number + 1)
            dead.wait(9)
        shop.wait_for(well.webhook_id, *["delivered"] * 20)
        wait_until(lambda: shop.outcomes.total() >= 20, 10, "each try is counted")  # once it is written
        assert shop.outcomes == {"delivered": 20}  # no try of the dead has ended: none waited for one
        dead.ended.set()


def test_slow_receivers_with_much_to_take__hold_up_no_other(shop: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.2)
        handler.send_response(204)
        handler.end_headers()

    monkeypatch.setattr(worker, "_AT_ONCE", 2 * worker.PLACES[False])
    with hooked(shop.store) as other, receiver(slow) as busy, receiver() as idle:
        for _ in range(2):
            shop.hook(busy.url)
        other.hook(idle.url)
        for number in range(30):
            shop.happen(str(number), "placed")
        other.happen("1", "placed")
        with shop.working():
            idle.wait(1)
            assert len(busy.got) < 40  # of 60


def test_certificate__is_checked_against_the_name_and_the_address_is_the_one_that_was_resolved(shop: Hooked) -> None:
    async def here(_host: str, _asker: str) -> Sequence[str]:
        return ["127.0.0.1"]

    trusted: dict[str, Any] = {"authorities": CERTIFICATES / "authority.pem", "resolver": here}
    with receiver(certificate=CERTIFICATES / "shop.example.pem") as one:
        hook = shop.hook(f"https://shop.example:{one.port}/hook")
        other = shop.hook(f"https://other.example:{one.port}/hook")
        with shop.working(**trusted):
            shop.happen("1", "placed")
            shop.wait_for(hook.webhook_id, "delivered")
            assert shop.wait_for_told(other.webhook_id) == "the certificate is not one of this host"
        assert [got.headers["host"] for got in one.got] == [f"shop.example:{one.port}"]
        with shop.working(resolver=here):  # who trusts the system's authorities alone
            shop.happen("2", "placed")
            assert [row.told for row in shop.wait_for(hook.webhook_id, "delivered", "given_up")][1] == (
                "the certificate is not one of this host"
            )


def test_rebinding_name__never_leads_inside(shop: Hooked) -> None:
    inside_at, asked = "127.86.75.30", 0

    async def rebound(_host: str, _asker: str) -> Sequence[str]:
        """Return a public address at first, then one inside."""
        nonlocal asked
        asked += 1
        return ["8.8.8.8" if asked == 1 else inside_at]

    url = "https://rebound.example:8443/"
    with canary(inside_at, 8443) as inside:
        assert asyncio.run(UrlRules((), rebound).check(url, 1.0))[1] == ["8.8.8.8"]
        hook, literal = shop.hook(url), shop.hook(f"https://{inside_at}:8443/")
        with shop.working(allow="", resolver=rebound):
            shop.happen("1", "placed")
            for one, why in (
                (hook, "must have a host whose addresses are found, and are all of the public internet"),
                (literal, "leads to an address that is not one of the public internet"),
            ):
                (row,) = shop.wait_for(one.webhook_id, "given_up")
                assert row.told == f"not sent: the URL {why}"
        assert inside.n_connections == 0
        assert asked == 4
        shop.change(hook.webhook_id, is_disabled=False)
        with shop.working(allow="127.0.0.0/8", resolver=rebound):  # what judges sees a connection
            shop.happen("2", "placed")
            shop.wait_for(hook.webhook_id, "given_up", "given_up")
        assert inside.n_connections > 0


def test_address__is_resolved_once_for_a_try_and_connected_to(shop: Hooked) -> None:
    """A second look could find another address: there is none."""
    answers = iter(["127.0.0.1"])

    async def once(_host: str, _asker: str) -> Sequence[str]:
        return [next(answers)]

    with receiver() as one, shop.working(resolver=once):
        hook = shop.hook(f"http://once.example:{one.port}/")
        shop.happen("1", "placed")
        shop.wait_for(hook.webhook_id, "delivered")


def test_restart__sends_what_was_waiting_and_nothing_twice(shop: Hooked) -> None:
    with receiver() as one:
        hook = shop.hook(one.url)
        for number in range(5):
            with shop.working():
                shop.happen(str(number), "placed", "ready")
            shop.happen(f"between-{number}", "placed")
        with shop.working():
            shop.wait_for(hook.webhook_id, *["delivered"] * 15)
    ids = [got.event_id for got in one.got]
    assert len(set(ids)) == 15
    assert len(ids) <= 20  # one that was being sent as it closed may come again


def test_close__lets_end_what_is_being_sent_and_keeps_what_hangs(shop: Hooked) -> None:
    def slow(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.3)
        handler.send_response(204)
        handler.end_headers()

    with receiver(slow) as one, receiver() as dead:
        dead.answer = dead.hang
        hook, hanging = shop.hook(one.url), shop.hook(dead.url)
        with shop.working():
            shop.happen("1", "placed")
            one.wait(1)
            dead.wait(1)
        assert [(row.state, row.tries) for row in shop.deliveries(hook.webhook_id)] == [("delivered", 1)]
        assert [(row.state, row.tries) for row in shop.deliveries(hanging.webhook_id)] == [("waiting", 0)]


def test_two_workers__send_each_event_once_and_one_goes_on_for_the_other(shop: Hooked) -> None:
    with receiver() as one:
        hook = shop.hook(one.url)
        with shop.working() as first, shop.working():
            for number in range(20):
                shop.happen(str(number), "placed", "accepted")
            shop.wait_for(hook.webhook_id, *["delivered"] * 40)
            first.close()
            for number in range(20):
                shop.happen(str(number), "ready")
            shop.wait_for(hook.webhook_id, *["delivered"] * 60)
    assert len(one.got) == len({got.event_id for got in one.got}) == 60


def test_worker_that_loses_the_lease_and_cannot_break_off_its_tries__goes_on(
    shop: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(connection: WriteConnection) -> None:
        connection.run(update(leases).values(fence=leases.c.fence + 1, until_at=0))
        put_event(connection, f"{shop.merchant_id}.2", "placed")

    def stuck(_sender: Sender) -> None:
        monkeypatch.undo()
        raise TimeoutError

    with receiver() as one, shop.working():
        hook = shop.hook(one.url)
        shop.happen("1", "placed")
        shop.wait_for(hook.webhook_id, "delivered")
        monkeypatch.setattr(Sender, "cancel", stuck)
        shop.store.write_now(lose)
        shop.wait_for(hook.webhook_id, "delivered", "delivered")
    assert len(one.got) == 2


@pytest.mark.parametrize("work", ["plan_deliveries", "mark_tried"])
def test_late__grows_while_nothing_can_be_planned_or_marked(
    shop: Hooked, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    def fail(*_: object) -> None:
        raise DeadlineExceededError("the store did not answer in time")

    monkeypatch.setattr(worker, "_UNSEEN_S", 1.0)
    with receiver() as one, shop.working() as at_work:
        hook = shop.hook(one.url)
        shop.happen("1", "placed")
        shop.wait_for(hook.webhook_id, "delivered")
        wait_until(lambda: at_work.late_s < 1.0, 10, "no alarm")
        with monkeypatch.context() as broken:
            broken.setattr(worker, work, fail)
            shop.happen("2", "placed")
            wait_until(lambda: at_work.late_s > 2.0, 10, "the alarm")
        wait_until(lambda: at_work.late_s < 1.0, 10, "the end of it")
        shop.wait_for(hook.webhook_id, "delivered", "delivered")


def test_try_that_is_marked_again__for_the_answer_of_the_store_was_lost_counts_once(
    shop: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_now = shop.store.write_now
    lost: list[str] = []

    def late(fn: Callable[[WriteConnection], Any], seconds: float = 30.0) -> Any:
        found = write_now(fn, seconds)
        if isinstance(found, list) and found and isinstance(found[0], Marked) and not lost:
            lost.append(found[0].outcome)
            raise DeadlineExceededError("the store did not answer in time")
        return found

    monkeypatch.setattr(shop.store, "write_now", late)
    with receiver(500) as one, shop.working(retries=Retries((0.05, 3600.0), spread=0.0)):
        hook = shop.hook(one.url)
        shop.happen("1", "placed")
        one.wait(2)
        _wait_for_tries(shop, hook.webhook_id, 2)
    assert lost == ["failed"]
    assert len(one.got) == 2


def test_restored_or_pruned_feed__goes_on_from_what_is_kept(shop: Hooked) -> None:
    def prune(connection: WriteConnection) -> None:
        last = head(connection)
        connection.run(update(marks).where(marks.c.name == "kept_from").values(value=str(last)))
        connection.run(delete(changes))

    def restore(connection: WriteConnection) -> None:
        connection.run(update(marks).where(marks.c.name == "feed_id").values(value="another"))

    def lose(connection: WriteConnection) -> None:
        connection.run(update(marks).where(marks.c.name == "webhooks").values(value=f"nonsense {Position(0, 1)}"))

    with receiver() as one:
        hook = shop.hook(one.url)
        for number, fault in enumerate((prune, restore, lose)):
            shop.store.write_now(fault)
            with shop.working():
                shop.happen(str(number), "placed")
                shop.wait_for(hook.webhook_id, *["delivered"] * (number + 1))
    assert len(one.got) == 3


def test_events_read_in_the_other_order__are_sent_in_theirs(shop: Hooked) -> None:
    """On PostgreSQL two changes of one subject may stand in the feed in the other order."""
    with receiver() as one:
        hook = shop.hook(one.url)
        shop.happen("1", "placed", "accepted")
        turned = text("UPDATE changes SET revision = 3 - revision WHERE kind = 'order' AND subject = :subject")
        shop.store.write_now(lambda connection: connection.run(turned, {"subject": f"{shop.merchant_id}.1"}))
        with shop.working():
            shop.wait_for(hook.webhook_id, "delivered", "delivered")
    assert [data_of(got.body)["event"] for got in one.got] == ["placed", "accepted"]


def test_other_changes__move_the_place_too(shop: Hooked) -> None:
    for number in range(600):
        shop.store.write_now(partial(put_point, point_id=f"{shop.merchant_id}:{number}"))
    with receiver() as one, shop.working():
        hook = shop.hook(one.url)
        shop.happen("1", "placed")
        shop.wait_for(hook.webhook_id, "delivered")


def test_old_deliveries__are_forgotten_but_not_those_that_wait(shop: Hooked) -> None:
    with receiver() as one, receiver(500) as bad, shop.working(retries=Retries((60.0,))):
        hook, waiting = shop.hook(one.url), shop.hook(bad.url)
        shop.happen("1", "placed", "ready")
        shop.wait_for(hook.webhook_id, "delivered", "delivered")
        shop.wait_for(waiting.webhook_id, "waiting", "waiting")
    shop.store.write_now(
        lambda connection: connection.run(
            update(webhook_deliveries).values(created_at=webhook_deliveries.c.created_at - 8 * DAY_US)
        )
    )
    shop.store.write_now(lambda connection: forget_deliveries(connection, connection.now_us - 7 * DAY_US))
    shop.wait_for(hook.webhook_id)
    shop.wait_for(waiting.webhook_id, "waiting", "waiting")


def _waiting(shop: Hooked, webhook_id: str, n_orders: int, due_us: int) -> None:
    """Let two events of each of some orders wait for a webhook: the first is due since an instant, or a little later."""
    names = ("webhook_id", "event_id", "subject", "revision", "body", "state", "tries", "due_at", "created_at")
    rows = [
        (webhook_id, f"msg_{order}_{revision}", f"ord_{order}", revision, "{}", "waiting", 0, due, due_us)
        for order in range(n_orders)
        for revision, due in ((1, due_us + order), (2, None))
    ]
    shop.store.write_now(lambda connection: connection.insert_rows(webhook_deliveries, names, rows))


class _Planned:
    """A connection that notes how SQLite comes to what is read."""

    def __init__(self, connection: ReadConnection) -> None:
        self._connection = connection
        self.plan: list[str] = []

    def rows(self, query: Select[Any]) -> Any:
        told = query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
        self.plan += [row[-1] for row in self._connection.rows(text(f"EXPLAIN QUERY PLAN {told}"))]
        return self._connection.rows(query)

    def value(self, query: Select[Any]) -> Any:
        return self.rows(query)[0][0]


def test_late__is_told_by_what_is_most_overdue_of_what_is_sent(shop: Hooked) -> None:
    now_us = SystemClock().now_us()
    for late, is_disabled in ((10, False), (30, False), (50, True)):
        hook = shop.hook("https://a.example/x")
        _waiting(shop, hook.webhook_id, 20, now_us - late * 1_000_000)
        shop.change(hook.webhook_id, is_disabled=is_disabled)
    assert shop.store.read_now(lambda connection: late_s(connection, now_us)) == 30.0


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_late__is_told_by_the_first_delivery_of_each_webhook(shop: Hooked) -> None:
    def read(connection: ReadConnection) -> list[str]:
        planned: Any = _Planned(connection)
        late_s(planned, SystemClock().now_us())
        return list(planned.plan)

    plan = shop.store.read_now(read)
    steps = [step for step in plan if "webhook_deliveries" in step]
    assert steps
    assert not [step for step in steps if "(webhook_id=?" not in step]
    assert not [step for step in plan if "TEMP B-TREE" in step]
