"""Every operation, for every kind of key, about what is one's own, another's, or not there: on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.keys.formats import SCOPES
from tests.contract.service.operations import ALL, LAT, LNG, Operation, operations
from tests.contract.service.talking import problem
from tests.contract.service.telltales import telltales
from tests.contract.service.tenants import Tenants, answer_of, tenants
from tests.serving import Serving, running_service
from tests.unguarded import without

OPERATIONS = operations()
NO_IDS = ("..%2f..%2fkeys", "a%00b", "%2e%2e", "x%0d%0ay", "%F0%9F%8F%A0", "' OR 1=1 --")


@pytest.fixture(scope="module")
def all_(service: Serving) -> Iterator[Tenants]:
    with tenants(service) as made:
        yield made


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_every_route__wants_a_key(all_: Tenants, operation: Operation) -> None:
    answer = answer_of(all_.clients[""], operation.request(all_.own))
    if not operation.row.scopes:
        assert answer.status_code == 200
        return
    assert problem(answer) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    for ids in (all_.other, all_.absent):
        assert answer_of(all_.clients[""], operation.request(ids)).content == answer.content


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.row.scopes], ids=str)
def test_every_route__serves_whom_it_may_and_tells_nothing_of_others(
    all_: Tenants, operation: Operation, scope: str
) -> None:
    client, row = all_.clients[scope], operation.row
    absent = answer_of(client, operation.request(all_.absent))
    own = answer_of(client, operation.request(all_.fresh(operation, scope)))
    if scope == "admin":  # everything is an admin's own
        assert own.status_code == row.status, own.text
        assert "_id}" not in operation.path or problem(absent) == (404, "not-found")
        return
    other = answer_of(client, operation.request(all_.other))
    if scope not in row.scopes:
        assert problem(own) == (403, "forbidden")
        assert own.content == other.content == absent.content
        return
    assert own.status_code == row.status, own.text
    if operation.names_what:
        assert not _tells(operation, other, absent), other.text
        assert row.of_others != 404 or problem(other) == (404, "not-found")


def test_every_route__that_asks_not_whose_a_thing_is_fails(tmp_path: Path) -> None:
    """The control of the test above, for every operation that a merchant has about what may be another's."""
    concerned = [one for one in OPERATIONS if one.names_what and "merchant" in one.row.scopes]
    assert len(concerned) > 45
    with running_service(tmp_path, program=without("owner")) as careless, tenants(careless) as all_:
        # A point is deleted last, behind what it has.
        for operation in sorted(concerned, key=lambda one: (one.row.uses_up, -len(one.path))):
            other, absent = (
                answer_of(all_.clients["merchant"], operation.request(ids)) for ids in (all_.other, all_.absent)
            )
            assert _tells(operation, other, absent), operation


def _tells(operation: Operation, other: httpx.Response, absent: httpx.Response) -> bool:
    """Return whether what is another's is told from what is not there."""
    statuses = {other.status_code, absent.status_code}
    return statuses != {operation.row.of_others} or other.content != absent.content


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if "_id}" in one.path], ids=str)
def test_every_route__answers_a_text_that_is_no_id_as_one_that_is_absent(all_: Tenants, operation: Operation) -> None:
    scopes = sorted(operation.row.scopes & {"admin", "merchant", "app"})
    for client in (all_.clients[scope] for scope in scopes):
        absent = answer_of(client, operation.request(all_.absent))
        assert problem(absent) == (404, "not-found")
        for no_id in NO_IDS:
            ids = {name: no_id if name.endswith("_id") else value for name, value in all_.absent.items()}
            answer = answer_of(client, operation.request(ids))
            assert (answer.status_code, answer.content) == (404, absent.content), no_id


def test_explanation__of_a_point_is_its_owners_alone(all_: Tenants) -> None:
    ask: dict[str, Any] = {"lat": LAT, "lng": LNG, "offer": "retail/pickup"}
    for scope, client in all_.clients.items():
        own, other, absent = (
            client.get("/v1/match:explain", params={**ask, "point": ids["point_id"]})
            for ids in (all_.own, all_.other, all_.absent)
        )
        if scope == "":
            assert problem(own) == (401, "unauthenticated")
            continue
        assert problem(absent) == (404, "not-found")
        assert (own.status_code == 200) == (scope in {"admin", "merchant"})
        assert (other.content == absent.content) == (scope != "admin")


def test_matrix__is_not_all_one_colour() -> None:
    kinds = {one.row.scopes for one in OPERATIONS}
    assert len(kinds) == 10
    assert ALL in kinds


def test_log__of_all_of_them_holds_no_error_no_query_and_no_key(service: Serving, all_: Tenants) -> None:
    log = service.log.read_bytes()
    assert log.count(b"\n") > len(OPERATIONS)
    assert telltales(log, filter(None, all_.secrets.values()), [LAT, LNG]) == []
