"""Capacity and the point that has it: neither overwrites the other unseen, and the numbers of stock never run back."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.contract.service.shops import NDJSON, Shops, open_shops, point
from tests.contract.service.talking import ask, problem, together
from tests.serving import Serving

PICKUP, DELIVERY = "retail/pickup", "retail/delivery"


@pytest.fixture(scope="module")
def shops(service: Serving) -> Iterator[Shops]:
    with open_shops(service, "units") as found:
        yield found


def _body(*offers: str, units: int = 9, **more: Any) -> dict[str, Any]:
    return point(offers=[{"offer": name, "capacity": units} for name in offers], **more)


def _set_units(shops: Shops, local: str, offer: str, units: int | None) -> int:
    path = f"/v1/points/{shops.merchant_id}:{local}/offers/{offer}/capacity"
    answer = shops.own.put(path, json={"units": units})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["stock_revision"])


def _units(shops: Shops, local: str) -> dict[str, int | None]:
    return {offer["offer"]: offer["capacity"] for offer in shops.get(local).json()["offers"]}


def test_point__read_before_units_were_set_is_no_longer_what_if_match_says(shops: Shops) -> None:
    read = shops.put("sold", _body(PICKUP, DELIVERY)).headers["etag"]
    _set_units(shops, "sold", DELIVERY, 5)
    once = shops.get("sold").headers["etag"]
    _set_units(shops, "sold", PICKUP, 1)
    path = f"/v1/points/{shops.merchant_id}:sold"
    now = shops.get("sold")
    assert len({read, once, now.headers["etag"]}) == 3
    for stale in (read, once, f'"{now.json()["revision"]}"'):
        told = {"If-Match": stale}
        for answer in (
            shops.put("sold", _body(PICKUP, DELIVERY), If_Match=stale),
            shops.own.patch(path, json={"name": "Late"}, headers=told),
            shops.own.delete(path, headers=told),
        ):
            assert problem(answer) == (412, "precondition-failed")
            assert answer.headers["etag"] == now.headers["etag"]
    assert _units(shops, "sold") == {PICKUP: 1, DELIVERY: 5}
    again = shops.put("sold", _body(PICKUP, DELIVERY, units=7), If_Match=now.headers["etag"])
    assert (again.status_code, again.json()["revision"]) == (200, 2)
    assert _units(shops, "sold") == {PICKUP: 7, DELIVERY: 7}
    patched = shops.own.patch(path, json={"name": "In time"}, headers={"If-Match": again.headers["etag"]})
    assert (patched.status_code, patched.headers["etag"]) == (200, shops.get("sold").headers["etag"])
    assert shops.own.delete(path, headers={"If-Match": patched.headers["etag"]}).status_code == 204


def test_etag__tells_those_who_may_not_see_stock_nothing_of_it(shops: Shops) -> None:
    shops.put("seen", _body(PICKUP))
    path = f"/v1/points/{shops.merchant_id}:seen"
    before = shops.app.get(path)
    _set_units(shops, "seen", PICKUP, 1)
    assert (shops.app.get(path).headers["etag"], shops.app.get(path).json()) == (before.headers["etag"], before.json())


def _by_put(shops: Shops, body: dict[str, Any]) -> httpx.Response:
    return shops.put("by-put", body, If_Match="*")


def _by_import(shops: Shops, body: dict[str, Any]) -> httpx.Response:
    line = httpx.Request("POST", "http://linli", json=body | {"point_id": f"{shops.merchant_id}:by-import"}).content
    headers = NDJSON | {"Idempotency-Key": str(uuid.uuid4())}
    return shops.own.post(f"/v1/points:import?merchant_id={shops.merchant_id}", content=line + b"\n", headers=headers)


@pytest.mark.parametrize(("local", "write"), [("by-put", _by_put), ("by-import", _by_import)])
def test_stock_revision__of_an_offer_that_went_and_came_back_goes_on(
    shops: Shops, service: Serving, local: str, write: Any
) -> None:
    told: list[int] = []
    shops.put(local, _body(PICKUP, DELIVERY))
    for turn in range(3):
        told += [_set_units(shops, local, PICKUP, units) for units in (3, 2, 1)]
        assert write(shops, _body(DELIVERY, name=f"Without {turn}")).is_success
        if turn == 1:
            told.append(_set_units(shops, local, DELIVERY, 4))
        if turn == 2:
            shops.own.delete(f"/v1/points/{shops.merchant_id}:{local}", headers={"If-Match": "*"})
            assert shops.put(local, _body(PICKUP)).status_code == 201
        else:
            assert write(shops, _body(PICKUP, DELIVERY, name=f"With {turn}")).is_success
        told.append(_set_units(shops, local, PICKUP, 8))
    assert told == sorted(set(told))
    records = ask(service.place, "SELECT subject, revision FROM changes WHERE kind = 'stock' ORDER BY tx, id")
    assert [revision for subject, revision in records if subject == f"{shops.merchant_id}:{local}"] == told


def test_units__set_by_eight_at_once_are_numbered_without_gaps(shops: Shops, service: Serving) -> None:
    shops.put("race", _body(PICKUP, DELIVERY))

    def write(number: int) -> list[int]:
        with service.client(shops.own_key) as client:
            path = f"/v1/points/{shops.merchant_id}:race/offers/{(PICKUP, DELIVERY)[number % 2]}/capacity"
            return [client.put(path, json={"units": turn}).json()["stock_revision"] for turn in range(4)]

    assert sorted(revision for told in together(8, write) for revision in told) == list(range(1, 33))
