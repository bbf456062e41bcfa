"""The audit trail over HTTP, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.contract.service.talking import create, make_key, make_merchant, problem
from tests.serving import Serving, linli

FIELDS = ["audit_id", "at", "key_id", "scope", "merchant_id", "action", "subject", "request_id", "detail"]


@pytest.fixture(scope="module")
def admin(service: Serving) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


def _trail(client: httpx.Client, **wanted: str) -> list[dict[str, Any]]:
    answer = client.get("/v1/audit", params={"page_size": 200, **wanted})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def test_every_write__leaves_one_record_and_a_refused_one_none(admin: httpx.Client) -> None:
    make_merchant(admin, "tracked", "A name for no trail")
    match = [{"If-Match": f'"{revision}"'} for revision in range(6)]
    admin.patch("/v1/merchants/tracked", json={"name": "Another name"}, headers=match[1])
    verified = admin.post("/v1/merchants/tracked:verify", headers=match[2])
    admin.post("/v1/merchants/tracked:suspend", headers=match[3])
    admin.post("/v1/merchants/tracked:reinstate", headers=match[4])
    key = make_key(admin, "merchant", merchant_id="tracked", label="A label for no trail")
    admin.post(f"/v1/keys/{key['key_id']}:revoke")
    for refused in (
        admin.post("/v1/merchants/tracked:verify", headers=match[5]),
        admin.post("/v1/merchants/tracked:suspend", headers=match[1]),
        admin.patch("/v1/merchants/tracked", json={"name": ""}, headers=match[5]),
        create(admin, "/v1/merchants", {"merchant_id": "tracked", "name": "Again"}),
    ):
        assert refused.status_code in {409, 412, 422}
    trail = _trail(admin, merchant_id="tracked")
    assert [(item["action"], item["subject"], item["detail"]) for item in reversed(trail)] == [
        ("merchant.create", "tracked", {"status": "unverified"}),
        ("merchant.change", "tracked", {"changed": ["name"]}),
        ("merchant.verify", "tracked", {"before": "unverified", "after": "verified"}),
        ("merchant.suspend", "tracked", {"before": "verified", "after": "suspended"}),
        ("merchant.reinstate", "tracked", {"before": "suspended", "after": "verified"}),
        ("key.create", key["key_id"], {"scope": "merchant"}),
        ("key.revoke", key["key_id"], {"scope": "merchant"}),
    ]
    assert {tuple(item) for item in trail} == {tuple(FIELDS)}
    assert {item["scope"] for item in trail} == {"admin"}
    assert [item["audit_id"] for item in trail] == sorted((item["audit_id"] for item in trail), reverse=True)
    assert trail[4]["request_id"] == verified.headers["x-request-id"]
    whole = admin.get("/v1/audit", params={"page_size": 200}).text
    for untold in ("A name for no trail", "Another name", "A label for no trail", key["secret"], "linli_"):
        assert untold not in whole


def test_filters__narrow_the_trail(admin: httpx.Client) -> None:
    make_merchant(admin, "narrow")
    assert len(_trail(admin, merchant_id="narrow")) == 1
    made = _trail(admin, action="merchant.create")
    assert {item["action"] for item in made} == {"merchant.create"}
    assert "narrow" in {item["subject"] for item in made}
    assert _trail(admin, action="merchant.create", subject="narrow") == _trail(admin, merchant_id="narrow")
    assert _trail(admin, action="merchant.create", subject="none") == []


def test_merchant__sees_what_concerns_it_and_nothing_else(service: Serving, admin: httpx.Client) -> None:
    make_merchant(admin, "mine")
    make_merchant(admin, "yours")
    with service.client(make_key(admin, "merchant", merchant_id="mine")["secret"]) as merchant:
        seen = _trail(merchant)
        assert seen == _trail(admin, merchant_id="mine")
        assert [item["action"] for item in seen] == ["key.create", "merchant.create"]
        assert _trail(merchant, merchant_id="mine") == seen
        assert _trail(merchant, subject="yours") == []
        absent = merchant.get("/v1/audit", params={"merchant_id": "none-such"})
        assert problem(absent) == (404, "not-found")
        assert merchant.get("/v1/audit", params={"merchant_id": "yours"}).content == absent.content


def test_pages__hold_each_record_once_and_a_cursor_is_of_its_filters(admin: httpx.Client) -> None:
    for number in range(5):
        make_merchant(admin, f"paged-{number}")
    whole = _trail(admin, action="merchant.create")
    found, cursor = [], None
    while True:
        wanted: dict[str, Any] = {"page_size": 2, "action": "merchant.create"} | ({"cursor": cursor} if cursor else {})
        page = admin.get("/v1/audit", params=wanted).json()
        found += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = page["next_cursor"]
    assert found == whole
    assert problem(admin.get("/v1/audit", params={"cursor": cursor})) == (422, "cursor-invalid")


def test_command__is_in_the_trail(service: Serving, admin: httpx.Client) -> None:
    before = len(_trail(admin, action="key.create"))
    assert linli("key", "create", "--scope=app", *service.place.flags).returncode == 0
    trail = _trail(admin, action="key.create")
    assert len(trail) == before + 1
    assert (trail[0]["key_id"], trail[0]["scope"], trail[0]["detail"]) == ("command", "admin", {"scope": "app"})
