"""Keys over HTTP, on both databases: told once, kept as a hash, of no use once revoked or expired (promise S4)."""

from __future__ import annotations

import datetime as dt
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from service.clock import to_us
from service.keys.formats import key_digest, new_key
from service.keys.store import LIVE_KEYS_A_MERCHANT
from tests.contract.service.desk import Desk
from tests.contract.service.talking import create, dump, make_key, make_merchant, problem, together
from tests.servers import short_folder
from tests.serving import Place, Serving, linli, running_service

FIELDS = ["key_id", "scope", "merchant_id", "label", "crew", "rate", "created_at", "expires_at", "revoked_at"]
SCOPES = ["admin", "merchant", "app", "planner", "station", "crew"]
REVOKED_S = 2.0


@pytest.fixture(scope="module")
def admin(service: Serving) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture(scope="module")
def workers(service: Serving) -> Iterator[list[Serving]]:
    """Give every process that serves the facts: one on SQLite, two on PostgreSQL."""
    with ExitStack() as stack:
        found = [service]
        if service.place.database is not None:
            folder = stack.enter_context(short_folder())
            second = running_service(Place(folder, service.place.database), admin_key=service.admin_key)
            found.append(stack.enter_context(second))
        yield found


def _is_taken(worker: Serving, secret: str) -> bool:
    with worker.client(secret) as client:
        answer = client.get("/v1/merchants/none-such")
    if answer.status_code == 401:
        assert problem(answer) == (401, "unauthenticated")
    return answer.status_code != 401


def _becomes(worker: Serving, secret: str, *, taken: bool, within_s: float) -> bool:
    until = time.monotonic() + within_s
    while _is_taken(worker, secret) is not taken:
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def _in(seconds: float) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)).isoformat()


@pytest.mark.parametrize("scope", SCOPES)
def test_create__makes_a_key_that_is_taken_at_once(service: Serving, admin: httpx.Client, scope: str) -> None:
    more = {"merchant_id": make_merchant(admin, "first-shop")["merchant_id"]} if scope == "merchant" else {}
    made = make_key(admin, scope, label="a label", rate=7, expires_at="2099-01-01T08:00:00+08:00", **more)
    assert list(made) == [*FIELDS, "secret"]
    assert made["secret"].startswith(f"linli_{scope}_")
    assert _is_taken(service, made["secret"])
    kept = {name: made[name] for name in FIELDS}
    assert admin.get(f"/v1/keys/{made['key_id']}").json() == kept
    assert (kept["rate"], kept["expires_at"], kept["revoked_at"]) == (7, "2099-01-01T00:00:00Z", None)


def test_create__beside_a_worker_makes_a_key_that_it_takes_at_once_however_seldom_it_looks(
    service: Serving, tmp_path: Path
) -> None:
    with running_service(
        Place(tmp_path, service.place.database), admin_key=service.admin_key, poll_s=0.3, ip_rate=40
    ) as worker:
        for _ in range(5):
            made = linli("key", "create", "--scope=app", "--label=beside", "--json", *worker.place.flags)
            with worker.client(json.loads(made.stdout)["secret"]) as client:
                answer = client.get("/v1/merchants/none-such")
            assert answer.status_code != 401
            assert "ratelimit" not in answer.headers  # those of strangers
        assert not _is_taken(worker, new_key("app"))


def test_create__sent_again_tells_the_same_but_no_secret(admin: httpx.Client) -> None:
    body = {"scope": "app", "label": "twice"}
    first, second = create(admin, "/v1/keys", body, "k-1"), create(admin, "/v1/keys", body, "k-1")
    assert second.headers["idempotency-replayed"] == "true"
    assert second.json() == {**first.json(), "secret": None}
    assert create(admin, "/v1/keys", body, "k-1").content == second.content


def test_create__sent_20_times_at_once_makes_one(service: Serving, admin: httpx.Client, workers: list[Serving]) -> None:
    def send(number: int) -> dict[str, object]:
        with workers[number % len(workers)].client() as client:
            while True:
                answer = create(client, "/v1/keys", {"scope": "crew", "label": "rush"}, "k-rush")
                if answer.status_code == 201:
                    return answer.json()
                assert problem(answer) == (409, "idempotency-in-progress")

    answers = together(20, send)
    assert len({answer["key_id"] for answer in answers}) == 1
    assert sum(answer["secret"] is not None for answer in answers) == 1
    items = admin.get("/v1/keys", params={"page_size": 200}).json()["items"]
    assert [item["label"] for item in items].count("rush") == 1


def test_store__holds_only_the_hash_of_a_key(service: Serving, admin: httpx.Client) -> None:
    make_merchant(admin, "canary", "A name that is found")
    made = [make_key(admin, scope, merchant_id="canary") for scope in ("merchant", "app", "station", "crew")]
    made += [make_key(admin, "planner") for _ in range(16)]
    for key in made:
        admin.get("/v1/merchants", headers={"Authorization": f"Bearer {key['secret'][:-1]}"})  # told, but wrong
    admin.get("/v1/audit")
    held, log = dump(service.place), service.log.read_bytes()
    assert b"A name that is found" in held  # what searches does find
    for key in made:
        secret = key["secret"].rpartition("_")[2]
        assert key_digest(key["secret"]).encode() in held
        assert secret.encode() not in held
        assert secret[:20].encode() not in held
        assert secret[:20].encode() not in log
    assert b"key_" in log
    assert service.admin_key.rpartition("_")[2].encode() not in held + log


def test_revoked__is_refused_by_every_worker_within_2_s(admin: httpx.Client, workers: list[Serving]) -> None:
    made, other = make_key(admin, "app"), make_key(admin, "app")
    for worker in workers:
        assert _becomes(worker, made["secret"], taken=True, within_s=REVOKED_S)
    revoked = admin.post(f"/v1/keys/{made['key_id']}:revoke")
    assert revoked.status_code == 200
    assert list(revoked.json()) == FIELDS
    assert revoked.json()["revoked_at"] >= made["created_at"]
    for worker in workers:
        assert _becomes(worker, made["secret"], taken=False, within_s=REVOKED_S)
        assert not _becomes(worker, other["secret"], taken=False, within_s=0.3)  # what judges tells one that lives
    again = admin.post(f"/v1/keys/{made['key_id']}:revoke")
    assert (again.status_code, again.json()) == (200, revoked.json())
    trail = admin.get("/v1/audit", params={"subject": made["key_id"]}).json()["items"]
    assert [item["action"] for item in trail] == ["key.revoke", "key.create"]


def test_revoked__on_the_command_line_is_refused_by_every_worker_within_2_s(
    service: Serving, admin: httpx.Client, workers: list[Serving]
) -> None:
    made = linli("key", "create", "--scope=planner", "--json", *service.place.flags)
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)
    for worker in workers:
        assert _becomes(worker, key["secret"], taken=True, within_s=REVOKED_S)
    assert linli("key", "revoke", key["key_id"], *service.place.flags).returncode == 0
    for worker in workers:
        assert _becomes(worker, key["secret"], taken=False, within_s=REVOKED_S)
    assert admin.get(f"/v1/keys/{key['key_id']}").json()["revoked_at"] is not None


def test_rotation__works_with_two_keys_that_live(service: Serving, admin: httpx.Client) -> None:
    make_merchant(admin, "rotating")
    old = make_key(admin, "merchant", merchant_id="rotating")
    with service.client(old["secret"]) as merchant:
        new = make_key(merchant, "merchant", label="next")
        assert new["merchant_id"] == "rotating"
        assert merchant.get("/v1/merchants/rotating").status_code == 200
    with service.client(new["secret"]) as merchant:
        assert merchant.get("/v1/merchants/rotating").status_code == 200
        assert merchant.post(f"/v1/keys/{old['key_id']}:revoke").status_code == 200
        assert not _is_taken(service, old["secret"])
        assert merchant.get("/v1/merchants/rotating").status_code == 200


def test_expired__is_refused_from_then_on(service: Serving, admin: httpx.Client) -> None:
    made = make_key(admin, "app", expires_at=_in(1.0))
    assert _is_taken(service, made["secret"])
    time.sleep(1.05)
    assert not _is_taken(service, made["secret"])
    assert admin.get(f"/v1/keys/{made['key_id']}").json()["revoked_at"] is None


def test_merchant__makes_keys_of_its_own_and_sees_no_others(service: Serving, admin: httpx.Client) -> None:
    make_merchant(admin, "ours")
    make_merchant(admin, "theirs")
    others = [make_key(admin, "app"), make_key(admin, "merchant", merchant_id="theirs")]
    first = make_key(admin, "merchant", merchant_id="ours", rate=40)
    with service.client(first["secret"]) as merchant:
        made = [make_key(merchant, scope) for scope in ("merchant", "station", "crew")]
        assert {key["merchant_id"] for key in made} == {"ours"}
        assert {key["rate"] for key in made} == {40}  # its own, not the default
        listed = merchant.get("/v1/keys").json()["items"]
        assert {key["key_id"] for key in listed} == {first["key_id"], *(key["key_id"] for key in made)}
        assert {tuple(key) for key in listed} == {tuple(FIELDS)}
        for key in others:
            absent = merchant.get("/v1/keys/key_0000000000000000")
            assert problem(absent) == (404, "not-found")
            assert merchant.get(f"/v1/keys/{key['key_id']}").content == absent.content
            assert merchant.post(f"/v1/keys/{key['key_id']}:revoke").content == absent.content
            assert admin.get(f"/v1/keys/{key['key_id']}").json()["revoked_at"] is None
        for stranger in ("theirs", "none-such"):
            answer = create(merchant, "/v1/keys", {"scope": "crew", "merchant_id": stranger})
            assert answer.content == absent.content


@pytest.mark.parametrize("scope", ["merchant", "station", "crew"])
def test_merchant__makes_no_key_that_outlasts_its_own(desk: Desk, scope: str) -> None:
    ends_at = desk.now + dt.timedelta(minutes=5)
    desk.registry.add_key("short", "merchant", "corner", expires_us=to_us(ends_at))

    def answer(**more: object) -> httpx.Response:
        once = {"Idempotency-Key": uuid.uuid4().hex}
        return desk.send("POST", "/v1/keys", "short", json={"scope": scope, **more}, headers=once)

    earlier, later = ((ends_at + dt.timedelta(seconds=seconds)).isoformat() for seconds in (-1, 1))
    made = [answer().json(), answer(expires_at=None).json(), answer(expires_at=ends_at.isoformat()).json()]
    assert [dt.datetime.fromisoformat(key["expires_at"]) for key in made] == [ends_at] * 3
    told = answer(expires_at=earlier).json()["expires_at"]
    assert dt.datetime.fromisoformat(told) == ends_at - dt.timedelta(seconds=1)
    assert problem(answer(expires_at=later)) == (422, "validation")
    assert [trouble["where"] for trouble in answer(expires_at=later).json()["errors"]] == ["/expires_at"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"scope": "admin"}, "/scope"),  # beyond his own
        ({"scope": "app"}, "/scope"),
        ({"scope": "planner"}, "/scope"),
        ({"scope": "crew", "rate": 41}, "/rate"),  # faster than his own
        ({"scope": "crew", "rate": 0}, "/rate"),
        ({"scope": "crew", "rate": True}, "/rate"),  # not of that type
        ({"scope": "crew", "rate": "5"}, "/rate"),
        ({"scope": "crew", "rate": 5.0}, "/rate"),
        ({"scope": "root"}, "/scope"),
        ({"scope": None}, "/scope"),
        ({}, "/scope"),
        ({"scope": "crew", "expires_at": "2027-01-01T00:00:00"}, "/expires_at"),  # no offset
        ({"scope": "crew", "expires_at": "9999-01-01T00:00:00Z"}, "/expires_at"),
        ({"scope": "crew", "expires_at": "2027-02-29T00:00:00Z"}, "/expires_at"),
        ({"scope": "crew", "expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),  # past
        ({"scope": "crew", "expires_at": 1893456000}, "/expires_at"),
        ({"scope": "crew", "expires_at": None, "label": ""}, "/label"),
        ({"scope": "crew", "merchant_id": "No Such Name"}, "/merchant_id"),
    ],
)
def test_merchant__is_refused(service: Serving, admin: httpx.Client, body: dict[str, object], where: str) -> None:
    if admin.get("/v1/merchants/refused").status_code == 404:
        make_merchant(admin, "refused")
    with service.client(make_key(admin, "merchant", merchant_id="refused", rate=40)["secret"]) as merchant:
        answer = create(merchant, "/v1/keys", body)
    assert problem(answer) == (422, "validation")
    assert [trouble["where"] for trouble in answer.json()["errors"]] == [where]


def test_merchant__has_so_many_keys_at_most_and_may_make_another_once_one_ends(
    service: Serving, admin: httpx.Client
) -> None:
    make_merchant(admin, "many")
    first = make_key(admin, "merchant", merchant_id="many")
    with service.client(first["secret"]) as merchant:
        last = [make_key(merchant, "crew") for _ in range(LIVE_KEYS_A_MERCHANT - 1)][-1]
        assert problem(create(merchant, "/v1/keys", {"scope": "crew"})) == (409, "state-conflict")
        assert merchant.post(f"/v1/keys/{last['key_id']}:revoke").status_code == 200
        make_key(merchant, "crew")
        assert problem(create(merchant, "/v1/keys", {"scope": "crew"})) == (409, "state-conflict")


def test_rate__of_a_key_is_its_own(service: Serving, admin: httpx.Client) -> None:
    slow, fast = make_key(admin, "app", rate=3), make_key(admin, "app")
    with service.client(slow["secret"]) as client:
        answers = [client.get("/v1/none") for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(answers) - len(refused) <= 6  # of two seconds that meet
    assert problem(refused[0]) == (429, "rate-limited")
    assert refused[0].headers["retry-after"] == "1"
    with service.client(fast["secret"]) as client:
        assert {client.get("/v1/none").status_code for _ in range(12)} == {404}
