"""Merchants over HTTP, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.contract.service.talking import ask, create, make_key, make_merchant, problem, together
from tests.serving import Serving, running_service

FIELDS = ["merchant_id", "name", "status", "revision", "created_at", "updated_at"]


@pytest.fixture(scope="module")
def admin(service: Serving) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


def _changes_of(service: Serving, merchant_id: str) -> list[int]:
    found = ask(
        service.place,
        f"SELECT revision FROM changes WHERE kind = 'merchant' AND subject = '{merchant_id}' ORDER BY id",  # noqa: S608
    )
    return [revision for (revision,) in found]


def test_create__answers_what_it_made_and_its_etag(service: Serving, admin: httpx.Client) -> None:
    answer = create(admin, "/v1/merchants", {"merchant_id": "corner-shop", "name": "转角小店"})
    assert answer.status_code == 201
    assert answer.headers["etag"] == '"1"'
    told = answer.json()
    assert list(told) == FIELDS
    assert (told["merchant_id"], told["name"], told["status"], told["revision"]) == (
        "corner-shop",
        "转角小店",
        "unverified",
        1,
    )
    assert told["created_at"] == told["updated_at"]
    assert told["created_at"].endswith("Z")
    read = admin.get("/v1/merchants/corner-shop")
    assert (read.json(), read.headers["etag"]) == (told, '"1"')
    assert _changes_of(service, "corner-shop") == [1]


def test_create__of_a_taken_id_is_a_conflict_and_changes_nothing(service: Serving, admin: httpx.Client) -> None:
    before = make_merchant(admin, "taken", "First")
    answer = create(admin, "/v1/merchants", {"merchant_id": "taken", "name": "Second"})
    assert problem(answer) == (409, "state-conflict")
    assert admin.get("/v1/merchants/taken").json() == before
    assert _changes_of(service, "taken") == [1]


def test_create__sent_again_answers_the_same_bytes(admin: httpx.Client) -> None:
    body = {"merchant_id": "again", "name": "Again"}
    first = create(admin, "/v1/merchants", body, "again-1")
    assert admin.patch("/v1/merchants/again", json={"name": "Later"}, headers={"If-Match": '"1"'}).status_code == 200
    second = create(admin, "/v1/merchants", body, "again-1")
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert second.headers["etag"] == first.headers["etag"]
    assert (first.headers.get("idempotency-replayed"), second.headers["idempotency-replayed"]) == (None, "true")


def test_create__sent_20_times_at_once_makes_one(service: Serving, admin: httpx.Client) -> None:
    def send(number: int) -> tuple[bytes, bool]:
        with service.client() as client:
            while True:
                answer = create(client, "/v1/merchants", {"merchant_id": "rush", "name": "Rush"}, "rush-1")
                if answer.status_code == 201:
                    return answer.content, "idempotency-replayed" in answer.headers
                assert problem(answer) == (409, "idempotency-in-progress")
                assert answer.headers["retry-after"] == "1"

    answers = together(20, send)
    assert len({body for body, _ in answers}) == 1
    assert sum(not is_replay for _, is_replay in answers) == 1
    assert _changes_of(service, "rush") == [1]
    assert len(admin.get("/v1/audit", params={"subject": "rush"}).json()["items"]) == 1


def test_create__20_at_once_with_keys_of_their_own_make_20(service: Serving, admin: httpx.Client) -> None:
    """The control of the test above: what guards it is the Idempotency-Key, and a second creation would be seen."""

    def send(number: int) -> bytes:
        with service.client() as client:
            answer = create(client, "/v1/merchants", {"merchant_id": f"rush-{number}", "name": "Rush"})
            assert answer.status_code == 201
            return answer.content

    assert len(set(together(20, send))) == 20


def test_rename__counts_the_revision_and_leaves_a_change(service: Serving, admin: httpx.Client) -> None:
    before = make_merchant(admin, "renamed", "Old")
    answer = admin.patch("/v1/merchants/renamed", json={"name": "New"}, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    told = answer.json()
    assert told == {**before, "name": "New", "revision": 2, "updated_at": told["updated_at"]}
    assert told["updated_at"] > before["updated_at"]
    assert admin.get("/v1/merchants/renamed").json() == told
    assert _changes_of(service, "renamed") == [1, 2]


def test_rename__to_the_same_name_changes_nothing(service: Serving, admin: httpx.Client) -> None:
    before = make_merchant(admin, "unnamed", "Same")
    for match in ('"1"', "*"):
        answer = admin.patch("/v1/merchants/unnamed", json={"name": "Same"}, headers={"If-Match": match})
        assert (answer.status_code, answer.headers["etag"], answer.json()) == (200, '"1"', before)
    late = admin.patch("/v1/merchants/unnamed", json={"name": "Same"}, headers={"If-Match": '"2"'})
    assert problem(late) == (412, "precondition-failed")
    assert _changes_of(service, "unnamed") == [1]
    trail = admin.get("/v1/audit", params={"subject": "unnamed"}).json()["items"]
    assert [item["action"] for item in trail] == ["merchant.create"]


def test_rename__of_two_at_once_who_saw_the_same_lets_one_pass(service: Serving, admin: httpx.Client) -> None:
    make_merchant(admin, "raced")

    def send(number: int) -> int:
        with service.client() as client:
            answer = client.patch("/v1/merchants/raced", json={"name": f"No {number}"}, headers={"If-Match": '"1"'})
            return answer.status_code

    assert sorted(together(10, send)) == [200] + [412] * 9
    assert _changes_of(service, "raced") == [1, 2]


def test_rename__of_many_who_look_at_no_revision_lets_all_pass(service: Serving, admin: httpx.Client) -> None:
    """The control of the test above: without the guard every one of them wins."""
    make_merchant(admin, "unguarded")

    def send(number: int) -> int:
        with service.client() as client:
            answer = client.patch("/v1/merchants/unguarded", json={"name": f"No {number}"}, headers={"If-Match": "*"})
            return answer.status_code

    assert together(10, send) == [200] * 10
    assert _changes_of(service, "unguarded") == list(range(1, 12))


def test_lifecycle__moves_as_the_rules_say(service: Serving, admin: httpx.Client) -> None:
    make_merchant(admin, "moved")
    steps = [
        ("reinstate", 409, "unverified"),
        ("verify", 200, "verified"),
        ("verify", 409, "verified"),
        ("reinstate", 409, "verified"),
        ("suspend", 200, "suspended"),
        ("suspend", 409, "suspended"),
        ("verify", 409, "suspended"),
        ("reinstate", 200, "verified"),
    ]
    revision = 1
    for event, status, state in steps:
        answer = admin.post(f"/v1/merchants/moved:{event}", headers={"If-Match": f'"{revision}"'})
        assert answer.status_code == status, (event, answer.text)
        if status == 200:
            revision += 1
            assert answer.headers["etag"] == f'"{revision}"'
        else:
            assert problem(answer) == (409, "state-conflict")
        told = admin.get("/v1/merchants/moved").json()
        assert (told["status"], told["revision"]) == (state, revision), event
    assert _changes_of(service, "moved") == [1, 2, 3, 4]


def test_list__pages_hold_each_merchant_once_by_id(admin: httpx.Client) -> None:
    for number in range(7):
        make_merchant(admin, f"listed-{number}")
    whole = admin.get("/v1/merchants", params={"page_size": 200}).json()
    assert whole["next_cursor"] is None
    found, cursor = [], None
    while True:
        page = admin.get("/v1/merchants", params={"page_size": 2} | ({"cursor": cursor} if cursor else {})).json()
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert len(page["items"]) == 2
    assert found == whole["items"]
    ids = [item["merchant_id"] for item in found]
    assert ids == sorted(set(ids))
    assert {f"listed-{number}" for number in range(7)} <= set(ids)


def test_list__filters_by_status(admin: httpx.Client) -> None:
    make_merchant(admin, "filtered")
    assert admin.post("/v1/merchants/filtered:suspend", headers={"If-Match": '"1"'}).status_code == 200
    for status in ("unverified", "verified", "suspended"):
        items = admin.get("/v1/merchants", params={"status": status, "page_size": 200}).json()["items"]
        assert {item["status"] for item in items} <= {status}
        assert ("filtered" in {item["merchant_id"] for item in items}) == (status == "suspended")


def test_fields__are_these_for_each_who_may_see_them(service: Serving, admin: httpx.Client) -> None:
    make_merchant(admin, "seen")
    with service.client(make_key(admin, "merchant", merchant_id="seen")["secret"]) as merchant:
        told = {
            "admin": admin.get("/v1/merchants/seen").json(),
            "merchant": merchant.get("/v1/merchants/seen").json(),
            "merchant, changed": merchant.patch(
                "/v1/merchants/seen", json={"name": "Mine"}, headers={"If-Match": '"1"'}
            ).json(),
        }
    assert {role: list(body) for role, body in told.items()} == {
        "admin": FIELDS,
        "merchant": FIELDS,
        "merchant, changed": FIELDS,
    }
    assert list(admin.get("/v1/merchants", params={"page_size": 1}).json()) == ["items", "next_cursor"]


def test_verify_at_once__makes_merchants_that_are_verified(tmp_path: Path) -> None:
    with running_service(tmp_path, "--verify-at-once") as serving, serving.client() as client:
        assert make_merchant(client, "own")["status"] == "verified"
