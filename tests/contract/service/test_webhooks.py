"""Webhooks over HTTP, on both databases: whose they are, what is shown once, what is refused (bad input 56)."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from service.webhooks.rules import WEBHOOKS_AN_OWNER
from service.webhooks.urls import UrlRules
from tests.contract.service.desk import Desk
from tests.contract.service.hooked import data_of
from tests.contract.service.operations import ORDER, POINT, STOCK
from tests.contract.service.shops import Shops, open_shops
from tests.contract.service.talking import ask, create, make_key, make_webhook, problem
from tests.feed_store import opened_store
from tests.order_rows import put_event
from tests.receivers import Receiver, receiver
from tests.serving import Place, Serving, running_service
from tests.unit.service.webhooks.verifying import is_ours

FIELDS = [
    "webhook_id", "url", "merchant_id", "app", "state", "why_disabled", "failing_since", "old_secret_until", "created_at",
]  # fmt: skip
URL = "https://8.8.8.8/hook?token=canary-of-a-url"


@pytest.fixture(scope="module")
def service(place: Place) -> Iterator[Serving]:
    with running_service(place, webhook_allow="127.0.0.0/8", webhook_timeout_s=2, log_level="debug") as serving:
        yield serving


@pytest.fixture(scope="module")
def shops(service: Serving) -> Iterator[Shops]:
    with open_shops(service, "hooks") as shops:
        yield shops


@pytest.fixture
def clean(shops: Shops) -> Iterator[None]:
    yield
    for item in shops.admin.get("/v1/webhooks", params={"page_size": 200}).json()["items"]:
        assert shops.admin.delete(f"/v1/webhooks/{item['webhook_id']}").status_code == 204


def _ids(client: httpx.Client, **query: int) -> list[str]:
    return [item["webhook_id"] for item in client.get("/v1/webhooks", params=query).json()["items"]]


@pytest.mark.usefixtures("clean")
def test_create__shows_the_secret_once(shops: Shops) -> None:
    first = create(shops.own, "/v1/webhooks", {"url": URL}, "once")
    made = first.json()
    assert first.status_code == 201
    assert list(made) == [*FIELDS, "secret"]
    assert (made["url"], made["merchant_id"], made["app"], made["state"]) == (URL, "hooks", None, "enabled")
    assert made["secret"].startswith("whsec_")
    again = create(shops.own, "/v1/webhooks", {"url": URL}, "once")
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == {**made, "secret": None}
    kept = {name: made[name] for name in FIELDS}
    assert shops.own.get(f"/v1/webhooks/{made['webhook_id']}").json() == kept
    assert shops.own.get("/v1/webhooks").json() == {"items": [kept], "next_cursor": None}
    trail = shops.admin.get("/v1/audit", params={"subject": made["webhook_id"]})
    assert [item["action"] for item in trail.json()["items"]] == ["webhook.create"]
    assert "canary-of-a-url" not in trail.text
    assert made["secret"] not in trail.text


def test_create_sent_again__is_answered_as_the_first_time_though_the_name_is_not_found_then(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = ["8.8.8.8"]

    async def resolver(_host: str, _asker: str) -> list[str]:
        return known

    monkeypatch.setattr(desk.registry.services, "urls", UrlRules((), resolver))

    def make(key: str) -> httpx.Response:
        body = {"url": "https://shop.example/hook"}
        return desk.send("POST", "/v1/webhooks", json=body, headers={"Idempotency-Key": key})

    first = make("hook")
    known.clear()
    again = make("hook")
    assert desk.send("DELETE", f"/v1/webhooks/{first.json()['webhook_id']}").status_code == 204
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert again.json() == {**first.json(), "secret": None}
    assert problem(make("another")) == (422, "webhook-url-forbidden")


def test_create__looks_a_name_up_for_its_caller_who_is_a_merchant_with_all_of_its_keys(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    askers: list[str] = []

    async def resolver(_host: str, asker: str) -> list[str]:
        askers.append(asker)
        return []

    monkeypatch.setattr(desk.registry.services, "urls", UrlRules((), resolver))
    desk.registry.add_key("corner again", "merchant", "corner")
    for key in ("corner", "corner again", "app"):
        body = {"url": "https://shop.example/hook"}
        answer = desk.send("POST", "/v1/webhooks", key, json=body, headers={"Idempotency-Key": f"asks as {key}"})
        assert problem(answer) == (422, "webhook-url-forbidden")
    assert askers[:2] == ["corner"] * 2
    assert askers[2] != "corner"


@pytest.mark.parametrize("url", [
    "http://shop.example/", "https://127.1/", "https://0x7f000001/", "https://2130706433/",
    "https://[::ffff:169.254.169.254]/", "https://[64:ff9b::7f00:1]/", "https://224.0.0.1/", "https://100.64.0.1/",
    "https://user@8.8.8.8/", "https://8.8.8.8:25/", "https://8.8.8.8/#x", "https://no-such-name.invalid/",
    "https://10.0.0.1/", "http://8.8.8.8/",
])  # fmt: skip
def test_create__refuses_what_leads_inside(shops: Shops, url: str) -> None:
    for client in (shops.own, shops.app, shops.admin):
        answer = create(client, "/v1/webhooks", {"url": url})
        assert problem(answer) == (422, "webhook-url-forbidden")
        assert [one["where"] for one in answer.json()["errors"]] == ["/url"]


@pytest.mark.parametrize(("body", "where"), [
    ({}, "/url"), ({"url": ""}, "/url"), ({"url": None}, "/url"), ({"url": 1}, "/url"),
    ({"url": "https://8.8.8.8/" + "x" * 2000}, "/url"), ({"url": URL, "secret": "x"}, "/secret"),
    ({"url": URL, "merchant_id": "NO"}, "/merchant_id"),
])  # fmt: skip
def test_create__refuses_what_it_does_not_know(shops: Shops, body: dict[str, object], where: str) -> None:
    answer = create(shops.own, "/v1/webhooks", body)
    assert problem(answer) == (422, "validation")
    assert [one["where"] for one in answer.json()["errors"]] == [where]


@pytest.mark.usefixtures("clean")
def test_webhooks__are_their_owners_alone(shops: Shops) -> None:
    own, other, app = (make_webhook(client) for client in (shops.own, shops.other, shops.app))
    of_all, of_one = make_webhook(shops.admin), make_webhook(shops.admin, merchant_id="hooks-2")
    assert _ids(shops.own) == [own]
    assert _ids(shops.other) == sorted([other, of_one])
    assert _ids(shops.app) == [app]
    assert _ids(shops.admin, page_size=200) == sorted([own, other, app, of_all, of_one])
    for client, others in ((shops.own, [other, app, of_all, of_one]), (shops.app, [own, other, of_all, of_one])):
        for webhook_id in [*others, "wh_none"]:
            place = f"/v1/webhooks/{webhook_id}"
            answers = [
                client.get(place),
                client.get(f"{place}/deliveries"),
                client.delete(place),
                client.post(f"{place}:enable"),
                client.post(f"{place}:rotate", headers={"Idempotency-Key": f"other {webhook_id}"}),
            ]
            assert [problem(answer) for answer in answers] == [(404, "not-found")] * 5
            assert len({answer.content for answer in answers}) == 1
    assert len(_ids(shops.admin, page_size=200)) == 5


@pytest.mark.usefixtures("clean")
def test_create__for_others_is_for_admins(shops: Shops) -> None:
    for merchant_id in ("hooks-2", "no-such"):
        answer = create(shops.own, "/v1/webhooks", {"url": URL, "merchant_id": merchant_id})
        assert problem(answer) == (404, "not-found")
        answer = create(shops.app, "/v1/webhooks", {"url": URL, "merchant_id": merchant_id})
        assert problem(answer) == (422, "validation")
    assert problem(create(shops.admin, "/v1/webhooks", {"url": URL, "merchant_id": "no-such"})) == (404, "not-found")
    assert make_webhook(shops.own, merchant_id="hooks")


@pytest.mark.usefixtures("clean")
def test_keys_of_one_app__see_the_same_and_those_of_another_do_not(service: Serving, shops: Shops) -> None:
    secrets = [make_key(shops.admin, "app", **more)["secret"] for more in ({"label": "app"}, {"label": "x"}, {}, {})]
    made = make_webhook(shops.app)
    seen = []
    for secret in secrets:
        with service.client(secret) as client:
            seen.append(_ids(client))
    assert seen == [[made], [], [], []]


@pytest.mark.usefixtures("clean")
def test_webhooks_of_an_owner__are_ten_at_most(shops: Shops) -> None:
    made = [make_webhook(shops.own) for _ in range(WEBHOOKS_AN_OWNER)]
    assert problem(create(shops.own, "/v1/webhooks", {"url": URL})) == (409, "state-conflict")
    make_webhook(shops.other)
    make_webhook(shops.app)
    assert shops.own.delete(f"/v1/webhooks/{made[0]}").status_code == 204
    make_webhook(shops.own)
    first = shops.own.get("/v1/webhooks", params={"page_size": 6}).json()
    second = shops.own.get("/v1/webhooks", params={"page_size": 6, "cursor": first["next_cursor"]}).json()
    assert len(first["items"]) == 6
    assert len(second["items"]) == 4
    assert second["next_cursor"] is None


@pytest.mark.usefixtures("clean")
def test_rotate__shows_the_new_secret_once_and_tells_until_when_the_old_one_signs(shops: Shops) -> None:
    made = create(shops.own, "/v1/webhooks", {"url": URL}).json()
    place = f"/v1/webhooks/{made['webhook_id']}:rotate"
    first = shops.own.post(place, headers={"Idempotency-Key": "turn"})
    again = shops.own.post(place, headers={"Idempotency-Key": "turn"})
    assert first.status_code == again.status_code == 200
    assert again.json() == {**first.json(), "secret": None}
    assert first.json()["secret"] not in {made["secret"], None}
    until = dt.datetime.fromisoformat(first.json()["old_secret_until"])
    assert dt.timedelta(hours=23.9) < until - dt.datetime.now(dt.UTC) < dt.timedelta(hours=24.1)
    assert problem(shops.own.post(place)) == (400, "idempotency-key-missing")


def _happen(service: Serving, order_id: str, event: str, app: str = "app") -> None:
    """Let another process write what happens to an order, or on SQLite, which has one writer, this one beside it."""
    with opened_store(service.place) as store:
        store.write_now(lambda connection: put_event(connection, order_id, event, app=app))


def _wait_for_state(client: httpx.Client, webhook_id: str, state: str) -> dict[str, object]:
    until = time.monotonic() + 15
    while True:
        items = client.get(f"/v1/webhooks/{webhook_id}/deliveries").json()["items"]
        if items and items[0]["state"] == state and items[0]["tries"]:
            found: dict[str, object] = items[0]
            return found
        assert time.monotonic() < until, items
        time.sleep(0.02)


@pytest.fixture
def one() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


@pytest.mark.usefixtures("clean")
def test_served__events_come_signed_are_told_and_counted(service: Serving, shops: Shops, one: Receiver) -> None:
    shops.put("1")
    made = create(shops.app, "/v1/webhooks", {"url": one.url}).json()
    _happen(service, "hooks.1", "placed")
    got = one.wait(1)[-1]
    assert is_ours(made["secret"], got.headers, got.body, got.at)
    told = _wait_for_state(shops.app, made["webhook_id"], "delivered")
    assert told == {
        "event_id": got.event_id,
        "order_id": "hooks.1",
        "booking_id": None,
        "revision": 1,
        "state": "delivered",
        "tries": 1,
        "told": "status 204",
        "due_at": None,
        "created_at": told["created_at"],
    }
    metrics = shops.admin.get("/metrics").text
    assert 'linli_webhook_tries_total{outcome="delivered"}' in metrics
    assert "linli_webhooks_late_seconds" in metrics


@pytest.mark.usefixtures("clean")
def test_served__a_receiver_that_is_gone_is_reported_and_can_be_enabled(
    service: Serving, shops: Shops, one: Receiver
) -> None:
    shops.put("1")
    webhook_id = make_webhook(shops.app, one.url)
    one.answer = 410
    _happen(service, "hooks.2", "placed")
    one.wait(1)
    _wait_for_state(shops.app, webhook_id, "waiting")
    read = shops.app.get(f"/v1/webhooks/{webhook_id}").json()
    assert (read["state"], read["why_disabled"]) == ("disabled", "the receiver answered 410: it wants no more")
    assert read["failing_since"] is not None
    one.answer = 204
    enabled = shops.app.post(f"/v1/webhooks/{webhook_id}:enable").json()
    assert (enabled["state"], enabled["why_disabled"], enabled["failing_since"]) == ("enabled", None, None)
    assert _wait_for_state(shops.app, webhook_id, "delivered")["tries"] == 2
    actions = [item["action"] for item in shops.admin.get("/v1/audit", params={"subject": webhook_id}).json()["items"]]
    assert actions == ["webhook.enable", "webhook.disable", "webhook.create"]


@pytest.mark.usefixtures("clean")
def test_orders__are_told_to_the_app_that_made_them_and_to_their_merchant(shops: Shops, one: Receiver) -> None:
    point_id = f"{shops.merchant_id}:orders"
    shops.put("orders", {**POINT, "offers": [{**POINT["offers"][0], "capacity": None}]}).raise_for_status()
    shops.own.put(f"/v1/points/{point_id}/stock/milk-1l", json=STOCK).raise_for_status()
    make_webhook(shops.app, f"{one.url}/app")
    make_webhook(shops.own, f"{one.url}/merchant")
    make_webhook(shops.other, f"{one.url}/other")
    body = {**ORDER, "point_id": point_id, "buyer": "a-buyer-canary", "payment": "counter"}
    made = create(shops.app, "/v1/orders", body)
    assert made.status_code == 201, made.text
    order_id, code = made.json()["order_id"], str(made.json()["code"])
    for event in ("accept", "ready"):
        shops.own.post(f"/v1/orders/{order_id}:{event}").raise_for_status()
    history = shops.app.get(f"/v1/orders/{order_id}/events").json()["items"]
    wanted = [(event["revision"], event["event"], event["state"]) for event in history]
    one.wait(2 * len(wanted))
    for path in ("/hook/app", "/hook/merchant"):
        told = [data_of(got.body) for got in one.got if got.path == path]
        assert [(data["revision"], data["event"], data["state"]) for data in told] == wanted
        assert {(data["order_id"], data["point_id"], data["merchant_id"]) for data in told} == {
            (order_id, point_id, shops.merchant_id)
        }
    assert {got.path for got in one.got} == {"/hook/app", "/hook/merchant"}
    for got in one.got:
        assert b"canary" not in got.body
        assert code.encode() not in got.body.replace(order_id.encode(), b"")


@pytest.mark.usefixtures("clean")
def test_deliveries__come_in_pages_the_latest_first(service: Serving, shops: Shops, one: Receiver) -> None:
    shops.put("1")
    webhook_id = make_webhook(shops.app, one.url)
    with opened_store(service.place) as store:
        for number in range(7):
            store.write_now(partial(put_event, order_id=f"hooks.page-{number}", app="app"))
    one.wait(7)
    found: list[str] = []
    cursor = None
    while len(found) < 7:
        query = {"page_size": 3} | ({} if cursor is None else {"cursor": cursor})
        page = shops.app.get(f"/v1/webhooks/{webhook_id}/deliveries", params=query).json()
        found += [item["order_id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert cursor is None
    assert sorted(found) == [f"hooks.page-{number}" for number in range(7)]
    answer = shops.app.get(f"/v1/webhooks/{webhook_id}/deliveries", params={"cursor": "AAAA"})
    assert problem(answer) == (422, "cursor-invalid")


def test_log__has_no_secret_no_address_and_no_body(service: Serving) -> None:
    secrets = [row[0] for row in ask(service.place, "SELECT secret FROM webhooks")]
    log = service.log.read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert any("/v1/webhooks" in str(line) for line in lines)
    assert [line for line in lines if line.get("level") in {"error", "critical"}] == []
    for telltale in ("canary-of-a-url", "whsec_", "/hook", "order.placed", *secrets):
        assert telltale not in log.replace("/v1/webhooks", "").replace("/hooks/", "")


def test_setting__that_is_no_network_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="LINLI_WEBHOOK_ALLOW"), running_service(tmp_path, webhook_allow="localhost"):
        pass
