"""What merchants, keys and the trail answer to bad requests: rows of "Bad inputs" in RELIABILITY, on both databases."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import httpx
import psycopg
import pytest

from service.keys.formats import new_key
from tests.contract.service.talking import create, make_key, make_merchant, problem
from tests.serving import Serving

LISTS = ["/v1/merchants", "/v1/keys", "/v1/audit"]
NEW_MERCHANT = {"merchant_id": "new-shop", "name": "New"}


@dataclass
class Callers:
    """An admin, a merchant with a shop, and an app."""

    admin: httpx.Client
    merchant: httpx.Client
    app: httpx.Client


@pytest.fixture(scope="module")
def callers(service: Serving) -> Iterator[Callers]:
    with service.client() as admin:
        make_merchant(admin, "own-shop")
        make_merchant(admin, "other-shop")
        secrets = [make_key(admin, "merchant", merchant_id="own-shop")["secret"], make_key(admin, "app")["secret"]]
        with service.client(secrets[0]) as merchant, service.client(secrets[1]) as app:
            yield Callers(admin, merchant, app)


# Row 11: an unknown, read-only or privileged field.
@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        ("/v1/merchants", NEW_MERCHANT, ["status", "revision", "created_at", "updated_at", "price", "id", "Name"]),
        ("/v1/keys", {"scope": "app"}, ["key_id", "secret", "digest", "created_at", "revoked_at", "price"]),
    ],
)
def test_create__refuses_fields_that_are_not_to_be_given(
    callers: Callers, path: str, body: dict[str, object], fields: list[str]
) -> None:
    for field in fields:
        answer = create(callers.admin, path, {**body, field: 1})
        assert problem(answer) == (422, "validation"), field
        assert answer.json()["errors"][0]["where"] == f"/{field}"


def test_change__refuses_fields_that_are_not_to_be_given(callers: Callers) -> None:
    for field in ("status", "merchant_id", "revision", "created_at", "price"):
        body = {"name": "New", field: "verified"}
        answer = callers.merchant.patch("/v1/merchants/own-shop", json=body, headers={"If-Match": "*"})
        assert problem(answer) == (422, "validation")
        assert answer.json()["errors"][0]["where"] == f"/{field}"


@pytest.mark.parametrize(
    ("merchant_id", "name", "slug"),
    [
        ("UPPER", "x", "validation"),
        ("a", "x", "validation"),  # too short
        ("a" * 41, "x", "validation"),
        ("-shop", "x", "validation"),
        ("sh:op", "x", "validation"),  # what parts a merchant from a point
        ("shop\n", "x", "validation"),
        ("shöp", "x", "validation"),
        (7, "x", "validation"),
        (None, "x", "validation"),
        ("new-shop", "", "validation"),
        ("new-shop", 7, "validation"),
        ("new-shop", "x" * 201, "validation"),
        ("new-shop", "x\x00", "text-invalid"),
        ("new-shop", "two\nlines", "text-invalid"),
        ("new-shop", "left\u202eright", "text-invalid"),
    ],
)
def test_create__refuses_names_that_are_none(callers: Callers, merchant_id: object, name: object, slug: str) -> None:
    answer = create(callers.admin, "/v1/merchants", {"merchant_id": merchant_id, "name": name})
    assert problem(answer) == (422, slug)
    assert callers.admin.get("/v1/merchants/new-shop").status_code == 404


# Row 20: pages that are none, altered cursors.
@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "query",
    [
        "page_size=0",
        "page_size=-1",
        "page_size=201",
        "page_size=1000000000",
        "page_size=1_0",
        "page_size=%201",
        "page_size=1.0",
        "page_size=",
        "page_size=%D9%A3",  # a digit of another script
        "page_size=2&page_size=2",
        "limit=2",  # a name that is not known
        "page_size=2&cursor=%",
    ],
)
def test_list__refuses_a_page_that_is_none(callers: Callers, path: str, query: str) -> None:
    assert problem(callers.admin.get(f"{path}?{query}")) == (422, "validation")


@pytest.mark.parametrize("path", LISTS)
def test_list__refuses_every_cursor_that_it_did_not_give(callers: Callers, path: str) -> None:
    cursor = callers.admin.get(path, params={"page_size": 1}).json()["next_cursor"]
    assert callers.admin.get(path, params={"cursor": cursor}).status_code == 200
    altered = [
        cursor[:place] + ("A" if letter != "A" else "B") + cursor[place + 1 :] for place, letter in enumerate(cursor)
    ]
    others = [
        callers.admin.get(other, params={"page_size": 1}).json()["next_cursor"] for other in LISTS if other != path
    ]
    for bad in [*altered, *others, cursor[:-2], cursor + "AA", "A", "", "é", cursor + "=", "linli"]:
        assert problem(callers.admin.get(path, params={"cursor": bad})) == (422, "cursor-invalid"), bad


def test_list__refuses_a_cursor_of_another_filter_or_caller(callers: Callers) -> None:
    callers.merchant.patch("/v1/merchants/own-shop", json={"name": "Once"}, headers={"If-Match": "*"})
    of_all = callers.admin.get("/v1/merchants", params={"page_size": 1}).json()["next_cursor"]
    answer = callers.admin.get("/v1/merchants", params={"cursor": of_all, "status": "unverified"})
    assert problem(answer) == (422, "cursor-invalid")
    of_admin = callers.admin.get("/v1/audit", params={"page_size": 1}).json()["next_cursor"]
    assert problem(callers.merchant.get("/v1/audit", params={"cursor": of_admin})) == (422, "cursor-invalid")


# Rows 45, 46 and 48: Idempotency-Key missing, reused, malformed.
@pytest.mark.parametrize(("path", "body"), [("/v1/merchants", NEW_MERCHANT), ("/v1/keys", {"scope": "app"})])
def test_idempotency_key__must_be_there_once_and_be_one(callers: Callers, path: str, body: dict[str, str]) -> None:
    assert problem(callers.admin.post(path, json=body)) == (400, "idempotency-key-missing")
    name = b"Idempotency-Key"
    for headers in (
        [(name, b"k" * 256)],
        [(name, b"")],
        [(name, b"tab\tbed")],
        [(name, "é".encode("latin-1"))],
        [(name, b"a"), (name, b"a")],
        [(name, b"a"), (name, b"b")],
    ):
        answer = callers.admin.post(path, json=body, headers=headers)
        assert problem(answer) == (400, "idempotency-key-invalid"), headers


def test_idempotency_key__may_have_255_characters(callers: Callers) -> None:
    body = {"merchant_id": "longest-key", "name": "Longest"}
    assert create(callers.admin, "/v1/merchants", body, "k" * 255).status_code == 201


def test_idempotency_key__of_another_body_is_refused_and_of_another_caller_or_route_is_another(
    service: Serving, callers: Callers
) -> None:
    body = {"merchant_id": "used-key", "name": "Used"}
    assert create(callers.admin, "/v1/merchants", body, "used").status_code == 201
    for other in ({**body, "name": "Other"}, {**body, "merchant_id": "used-key-2"}):
        assert problem(create(callers.admin, "/v1/merchants", other, "used")) == (422, "idempotency-key-reused")
    assert callers.admin.get("/v1/merchants/used-key-2").status_code == 404
    assert "idempotency-replayed" not in create(callers.admin, "/v1/keys", {"scope": "app"}, "used").headers
    with service.client(make_key(callers.admin, "admin")["secret"]) as second:
        assert problem(create(second, "/v1/merchants", body, "used")) == (409, "state-conflict")


# Row 47: the same key while the first request is running.
@contextmanager
def _writes_held(service: Serving, merchant_id: str) -> Iterator[None]:
    if service.place.database is not None:
        number = int.from_bytes(blake2b(f"merchant {merchant_id}".encode(), digest_size=8).digest(), signed=True)
        with psycopg.connect(service.place.database, autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", (number,))
            yield
        return
    file = sqlite3.connect(service.place.folder / "linli.db", isolation_level=None)
    try:
        file.execute("BEGIN IMMEDIATE")
        yield
        file.execute("ROLLBACK")
    finally:
        file.close()


def test_idempotency_key__of_a_request_that_still_runs_is_told_so(service: Serving, callers: Callers) -> None:
    body = {"merchant_id": "slow-shop", "name": "Slow"}
    with ThreadPoolExecutor(2) as threads, _writes_held(service, "slow-shop"):
        sent = [threads.submit(create, callers.admin, "/v1/merchants", body, "slow") for _ in range(2)]
        until = time.monotonic() + 1.5
        while not any(answer.done() for answer in sent) and time.monotonic() < until:
            time.sleep(0.01)
        told = [answer.result() for answer in sent if answer.done()]
        assert [problem(answer) for answer in told] == [(409, "idempotency-in-progress")]
        assert told[0].headers["retry-after"] == "1"
    assert sorted(answer.result().status_code for answer in sent) == [201, 409]
    replay = create(callers.admin, "/v1/merchants", body, "slow")
    assert (replay.status_code, replay.headers["idempotency-replayed"]) == (201, "true")


# Row 51: a stale If-Match, and none.
@pytest.mark.parametrize(
    ("method", "suffix", "body"),
    [("PATCH", "", {"name": "N"}), ("POST", ":verify", None), ("POST", ":suspend", None), ("POST", ":reinstate", None)],
)
def test_if_match__must_be_there_and_hold_the_revision(
    callers: Callers, method: str, suffix: str, body: dict[str, str] | None
) -> None:
    path = f"/v1/merchants/other-shop{suffix}"
    assert problem(callers.admin.request(method, path, json=body)) == (428, "precondition-required")
    for stale in ('"0"', '"2"', "1", 'W/"1"', '""', "x"):
        answer = callers.admin.request(method, path, json=body, headers={"If-Match": stale})
        assert problem(answer) == (412, "precondition-failed")
        assert answer.headers["etag"] == '"1"'
    assert callers.admin.get("/v1/merchants/other-shop").json()["revision"] == 1


# Row 52: another's id, one that is not there, paths that try to be others.
def test_what_is_anothers__is_answered_as_what_is_not_there(callers: Callers) -> None:
    match = {"If-Match": '"1"'}
    absent = callers.merchant.get("/v1/merchants/none-such")
    assert problem(absent) == (404, "not-found")
    for path in ("other-shop", "Other-Shop", "%6fther-shop", "..%2fother-shop", "..%2f", "%00", "x%00", "x%0ay", "%ff", "%F0%9F%A6%86", "a" * 500, "own-shop%2f", "own-shop%20"):  # fmt: skip
        assert callers.merchant.get(f"/v1/merchants/{path}").content == absent.content, path
        answer = callers.merchant.patch(f"/v1/merchants/{path}", json={"name": "Mine"}, headers=match)
        assert answer.content == absent.content, path
    for path in ("none-such", "..%2f", "%00", "%ff"):
        assert callers.admin.get(f"/v1/merchants/{path}").content == absent.content
        assert callers.admin.get(f"/v1/keys/{path}").content == absent.content
        assert callers.admin.post(f"/v1/keys/{path}:revoke").content == absent.content
        assert callers.admin.post(f"/v1/merchants/{path}:verify", headers=match).content == absent.content
    for path in ("/v1/merchants/", "/v1/keys/", "/v1/audit/", "/v1", "/", "/v2/merchants"):
        assert callers.admin.get(path, follow_redirects=False).content == absent.content, path
    assert callers.admin.get("/v1/merchants/other-shop").json()["name"] == "A shop"


# Row 53: a key of another scope.
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/merchants"),
        ("GET", "/v1/merchants"),
        ("POST", "/v1/merchants/own-shop:verify"),
        ("POST", "/v1/merchants/own-shop:suspend"),
        ("POST", "/v1/merchants/own-shop:reinstate"),
        ("GET", "/v1/merchants/own-shop"),
        ("PATCH", "/v1/merchants/own-shop"),
        ("POST", "/v1/keys"),
        ("GET", "/v1/keys"),
        ("GET", "/v1/keys/key_1"),
        ("POST", "/v1/keys/key_1:revoke"),
        ("GET", "/v1/audit"),
    ],
)
def test_scope__that_may_not_is_told_so(callers: Callers, method: str, path: str) -> None:
    bodies = {"/v1/merchants": NEW_MERCHANT, "/v1/keys": {"scope": "app"}, "/v1/merchants/own-shop": {"name": "N"}}
    body = bodies.get(path) if method != "GET" else None
    headers = {"Idempotency-Key": "s", "If-Match": "*"}
    assert problem(callers.app.request(method, path, json=body, headers=headers)) == (403, "forbidden")
    of_admins = path == "/v1/merchants" or path.startswith("/v1/merchants/own-shop:")
    answer = callers.merchant.request(method, path, json=body, headers={**headers, "If-Match": '"9999"'})
    assert (answer.status_code == 403) == of_admins


# Row 54: no key that is one.
def test_key__that_is_none_is_refused_alike(service: Serving, callers: Callers) -> None:
    revoked = make_key(callers.admin, "admin")
    callers.admin.post(f"/v1/keys/{revoked['key_id']}:revoke")
    good = service.admin_key
    bad_sum = good[:-1] + ("A" if good[-1] != "A" else "B")
    told: dict[str, Any] = {
        "absent": None,
        "empty": "",
        "no scheme": good,
        "another scheme": f"Basic {good}",
        "malformed": "Bearer linli_admin_",
        "bad sum": f"Bearer {bad_sum}",
        "of another scope": f"Bearer {good.replace('_admin_', '_merchant_')}",
        "well formed, never made": f"Bearer {new_key('admin')}",
        "revoked": f"Bearer {revoked['secret']}",
        "two keys": f"Bearer {good} {good}",
        "not ascii": f"Bearer {good[:-1]}é".encode("latin-1"),
    }
    with service.client("") as nobody:
        for path in [*LISTS, "/v1/merchants/own-shop", "/v1/none"]:
            answers = {
                name: nobody.get(path, headers=None if value is None else {"Authorization": value})
                for name, value in told.items()
            }
            twice = nobody.get(path, headers=[("Authorization", f"Bearer {good}"), ("Authorization", f"Bearer {good}")])
            for name, answer in {**answers, "header twice": twice}.items():
                assert problem(answer) == (401, "unauthenticated"), name
                assert answer.headers["www-authenticate"] == 'Bearer realm="linli"'
            assert len({answer.content for answer in answers.values()}) == 1


# Row 55: a key in the address.
def test_key__in_the_address_is_refused_and_not_logged(service: Serving, callers: Callers) -> None:
    canary = make_key(callers.admin, "admin")["secret"]
    for path in LISTS:
        for query in (f"key={canary}", f"page_size=1&anything={canary}", f"cursor={canary}"):
            with service.client("") as nobody:
                assert problem(nobody.get(f"{path}?{query}")) == (401, "unauthenticated")
            assert problem(callers.admin.get(f"{path}?{query}")) == (401, "unauthenticated")
        for name in ("key", "api_key", "access_token", "token"):
            assert problem(callers.admin.get(f"{path}?{name}=abc")) == (401, "unauthenticated")
    callers.admin.get(f"/v1/keys/{canary}")
    assert canary.rpartition("_")[2] not in service.log.read_text()


# Rows 6, 12, 13 and 14 on a route that takes a body: the framework's own reading is not used.
@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b'{"name": "a", "name": "b"}', "application/json", (400, "invalid-json")),
        (b'{"name": NaN}', "application/json", (400, "invalid-json")),
        (b'\xef\xbb\xbf{"name": "a"}', "application/json", (400, "invalid-json")),
        (b'{"name": "a"} x', "application/json", (400, "invalid-json")),
        (b'{"name": "\\ud800"}', "application/json", (422, "text-invalid")),
        (b"[" * 33 + b"]" * 33, "application/json", (400, "invalid-json")),
        (b"", "application/json", (422, "validation")),
        (b"null", "application/json", (422, "validation")),
        (b"[]", "application/json", (422, "validation")),
        (b'"name"', "application/json", (422, "validation")),
        (b'{"name": "a"}', "text/plain", (415, "unsupported-media-type")),
        (b'{"name": "a"}', "application/xml", (415, "unsupported-media-type")),
    ],
)
def test_body__that_is_none_is_refused(callers: Callers, body: bytes, kind: str, expected: tuple[int, str]) -> None:
    headers = {"Content-Type": kind, "If-Match": "*", "Idempotency-Key": "b"}
    assert problem(callers.admin.patch("/v1/merchants/own-shop", content=body, headers=headers)) == expected
    assert problem(callers.admin.post("/v1/merchants", content=body, headers=headers)) == expected
    assert problem(callers.admin.post("/v1/keys", content=body, headers=headers)) == expected
