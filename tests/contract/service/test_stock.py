"""Stock per point and SKU: counted by merchants, held by orders, and whether there is any told to everyone."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.contract.service.shelves import CONFLICT, MILK, MOST, hold, import_lines, put_entry, stock_path
from tests.contract.service.shops import Shops, open_shops, point
from tests.contract.service.talking import ask, problem, together
from tests.serving import Serving, fresh_database, running_service
from tests.unguarded import without

INVALID = (422, "validation")


@pytest.fixture(scope="module")
def shops(service: Serving) -> Iterator[Shops]:
    with open_shops(service, "shelf") as found:
        yield found


def test_put__keeps_every_field_and_tells_what_can_be_ordered(shops: Shops) -> None:
    shops.put("whole")
    before = time.time()
    made = put_entry(shops, "whole", "Milk-1L", safety=2, good_for_s=3600)
    assert made.status_code == 201
    told = made.json()
    assert {name: told[name] for name in (*MILK, "safety", "good_for_s")} == MILK | {"safety": 2, "good_for_s": 3600}
    assert (told["sku"], told["point_id"], told["held"], told["units"], told["available"]) == (
        "Milk-1L", "shelf:whole", 0, 7, True,
    )  # fmt: skip
    counted_at, until = (dt.datetime.fromisoformat(told[name]).timestamp() for name in ("counted_at", "good_until"))
    assert before - 5 < counted_at < time.time() + 5
    assert until - counted_at == pytest.approx(3600)
    assert made.headers["etag"] == f'"{told["revision"]}"' == '"1"'
    again = put_entry(shops, "whole", "Milk-1L", counted=None, price_minor=0)
    assert (again.status_code, again.headers["etag"]) == (200, '"2"')
    assert again.json() | {"counted_at": ""} == told | {
        "counted": None, "price_minor": 0, "units": None, "safety": 0, "good_for_s": None, "good_until": None,
        "revision": 2, "counted_at": "",
    }  # fmt: skip
    assert put_entry(shops, "whole", "milk-1l").status_code == 201  # an SKU is case-sensitive
    read = shops.own.get(stock_path(shops, "whole", "Milk-1L"))
    assert (read.json(), read.headers["etag"]) == (again.json(), '"2"')
    assert shops.admin.get(stock_path(shops, "whole", "Milk-1L")).json() == read.json()


BAD: list[tuple[dict[str, Any] | bytes, tuple[int, str]]] = [
    # Row 9: strict types.
    (MILK | {"counted": True}, INVALID),
    (MILK | {"counted": "1"}, INVALID),
    (json.dumps(MILK).replace(": 9", ": 1.0").encode(), INVALID),
    (json.dumps(MILK).replace(": 9", ": 1e2").encode(), INVALID),
    # Row 10: quantities.
    (MILK | {"counted": -1}, INVALID),
    (MILK | {"counted": 10**23}, INVALID),
    (MILK | {"counted": MOST + 1}, INVALID),
    (MILK | {"safety": -1}, INVALID),
    (MILK | {"safety": None}, INVALID),
    (MILK | {"good_for_s": 0}, INVALID),
    (MILK | {"good_for_s": 10**9}, INVALID),
    # Row 11: fields that are not the merchant's.
    (MILK | {"held": 0}, INVALID),
    (MILK | {"revision": 7}, INVALID),
    (MILK | {"merchant_id": "shelf"}, INVALID),
    (MILK | {"counted_at": "2026-11-25T10:00:00Z"}, INVALID),
    (MILK | {"sku": "milk"}, INVALID),
    # Row 59: money.
    (MILK | {"price_minor": -1}, INVALID),
    (MILK | {"price_minor": 6.9}, INVALID),
    (json.dumps(MILK).replace("690", "690.0").encode(), INVALID),
    (MILK | {"price_minor": "690"}, INVALID),
    (MILK | {"price_minor": MOST + 1}, INVALID),
    (MILK | {"currency": "XYZ"}, INVALID),
    (MILK | {"currency": "cny"}, INVALID),
    (MILK | {"currency": "XAU"}, INVALID),
    (MILK | {"currency": ""}, INVALID),
    (MILK | {"currency": None}, INVALID),
    # Names are texts of one line.
    (MILK | {"name": ""}, INVALID),
    (MILK | {"name": "a\nb"}, (422, "text-invalid")),
    # What must be said.
    *(({name: value for name, value in MILK.items() if name != left_out}, INVALID) for left_out in MILK),
]  # fmt: skip


def test_put__refuses_what_no_entry_can_be(shops: Shops) -> None:
    shops.put("bad")
    for body, expected in BAD:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        assert problem(shops.own.put(stock_path(shops, "bad", "x"), content=content, headers=headers)) == expected, body
        if not isinstance(body, bytes) and "sku" not in body:
            told = import_lines(shops.own, stock_path(shops, "bad"), [body | {"sku": "x"}]).json()
            assert (told["rejected"], told["errors"][0]["type"]) == (1, expected[1]), body
    for sku in ("-x", ".x", "x y", "x" * 65, "牛奶", "x,y"):
        assert problem(put_entry(shops, "bad", sku)) == INVALID, sku
        assert problem(shops.own.get(stock_path(shops, "bad", sku))) == (404, "not-found")
        told = import_lines(shops.own, stock_path(shops, "bad"), [MILK | {"sku": sku}]).json()
        assert [(one["type"], one["where"]) for one in told["errors"]] == [("validation", "/sku")]
    assert shops.own.get(stock_path(shops, "bad")).json()["items"] == []
    for sku in ("x" * 64, "0", "A.b_c~d:e-f"):
        assert put_entry(shops, "bad", sku).status_code == 201, sku


def test_conditions__may_be_left_out_of_a_count_and_hold_where_they_are_there(shops: Shops) -> None:
    shops.put("tags")
    path = stock_path(shops, "tags", "x")

    def put(**headers: str) -> httpx.Response:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        return shops.own.put(path, json=MILK, headers=told)

    assert problem(put(If_Match='"1"')) == (412, "precondition-failed")
    assert put(If_None_Match="*").status_code == 201
    stale = (412, "precondition-failed")
    assert problem(put(If_None_Match="*")) == stale
    assert put().headers["etag"] == '"2"'
    refused = put(If_Match='"1"')
    assert (problem(refused), refused.headers["etag"]) == (stale, '"2"')
    assert put(If_Match='"2"').headers["etag"] == '"3"'
    assert problem(shops.own.delete(path)) == (428, "precondition-required")
    assert problem(shops.own.delete(path, headers={"If-Match": '"2"'})) == stale
    assert shops.own.delete(path, headers={"If-Match": '"3"'}).status_code == 204
    assert problem(shops.own.delete(path, headers={"If-Match": "*"})) == (404, "not-found")
    assert (put().status_code, put().headers["etag"]) == (201, '"6"')  # the deletion was the fourth


def test_count__of_less_than_orders_hold_waits_for_those_orders(shops: Shops, service: Serving) -> None:
    shops.put("held")
    put_entry(shops, "held", "x", counted=5)
    assert hold(service.place, "shelf:held", "x", 3)
    read = shops.own.get(stock_path(shops, "held", "x"))
    assert (read.json()["held"], read.json()["units"], read.headers["etag"]) == (3, 2, '"2"')
    refused = put_entry(shops, "held", "x", counted=2)
    assert problem(refused) == CONFLICT
    assert "hold 3" in refused.json()["detail"]
    assert "answer those orders first" in refused.json()["detail"]
    told = import_lines(
        shops.own, stock_path(shops, "held"), [MILK | {"sku": "x", "counted": 2}, MILK | {"sku": "y"}]
    ).json()
    assert [(one["line"], one["type"]) for one in told["errors"]] == [(1, "state-conflict")]
    assert (told["upserted"], told["rejected"]) == (1, 1)
    assert problem(shops.own.delete(stock_path(shops, "held", "x"), headers={"If-Match": "*"})) == CONFLICT
    assert put_entry(shops, "held", "x", counted=3).json()["units"] == 0
    assert put_entry(shops, "held", "x", counted=None).json()["held"] == 3
    assert hold(service.place, "shelf:held", "x", -3)
    assert put_entry(shops, "held", "x", counted=0).status_code == 200
    assert shops.own.delete(stock_path(shops, "held", "x"), headers={"If-Match": "*"}).status_code == 204


def test_currency__is_one_at_a_point(shops: Shops) -> None:
    shops.put("money")
    assert put_entry(shops, "money", "x").status_code == 201
    assert put_entry(shops, "money", "x", currency="EUR").status_code == 200  # it is all that there is
    refused = put_entry(shops, "money", "y", currency="CNY")
    assert (problem(refused), "EUR" in refused.json()["detail"]) == (CONFLICT, True)
    lines = [MILK | {"sku": sku, "currency": currency} for sku, currency in (("y", "EUR"), ("x", "CNY"), ("z", "USD"))]
    told = import_lines(shops.own, stock_path(shops, "money"), lines).json()
    assert [(one["line"], one["type"]) for one in told["errors"]] == [(2, "state-conflict"), (3, "state-conflict")]
    for sku in ("x", "y"):
        shops.own.delete(stock_path(shops, "money", sku), headers={"If-Match": "*"}).raise_for_status()
    assert put_entry(shops, "money", "z", currency="USD").status_code == 201


def test_list__gives_pages_by_sku_to_the_merchant_and_whether_there_is_any_to_everyone(
    shops: Shops, service: Serving
) -> None:
    shops.put("list")
    entries: dict[str, dict[str, Any]] = {
        "a": {},
        "b": {"counted": 0},
        "c": {"counted": None},
        "d": {"counted": 3, "safety": 3},
        "e": {"counted": 3, "safety": 2},
        "f": {"good_for_s": 1},
        "g": {"counted": 2},
        "h": {"counted": None, "good_for_s": 1},  # made to order: no count grows old
    }
    for sku, changes in entries.items():
        assert put_entry(shops, "list", sku, **changes).status_code == 201
    assert hold(service.place, "shelf:list", "g", 2)
    time.sleep(1.1)  # until the count is too old
    path = stock_path(shops, "list")
    expected = {"a": True, "b": False, "c": True, "d": False, "e": True, "f": False, "g": False, "h": True}
    for client in (shops.own, shops.app):
        found: list[dict[str, Any]] = []
        cursor = None
        while True:
            page = client.get(path, params={"page_size": 3} | ({} if cursor is None else {"cursor": cursor})).json()
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert {one["sku"]: one["available"] for one in found} == expected
        assert [one["sku"] for one in found] == sorted(expected)
        for one in found:
            alone = client.get(f"{path}/{one['sku']}")
            assert alone.json() == one
            if client is shops.app:
                assert one.keys() == {"sku", "name", "price_minor", "currency", "available"}
                assert "etag" not in alone.headers
    assert problem(shops.app.get(path, params={"cursor": "x"})) == (422, "cursor-invalid")


def test_stock__is_told_where_the_point_is(shops: Shops) -> None:
    for visibility, status in (("public", 200), ("unlisted", 200), ("internal", 404)):
        shops.put(visibility, point(visibility=visibility))
        put_entry(shops, visibility, "x")
        for path in (stock_path(shops, visibility), stock_path(shops, visibility, "x")):
            assert shops.app.get(path).status_code == status
            assert shops.own.get(path).status_code == 200
            assert problem(shops.other.get(path)) == (404, "not-found")
    for path in (stock_path(shops, "nowhere"), stock_path(shops, "nowhere", "x"), stock_path(shops, "public", "y")):
        for client in (shops.app, shops.own, shops.admin, shops.other):
            assert problem(client.get(path)) == (404, "not-found")
    assert problem(put_entry(shops, "nowhere", "x")) == (404, "not-found")
    for client in (shops.own, shops.other, shops.admin):
        assert problem(import_lines(client, stock_path(shops, "nowhere"), [])) == (404, "not-found")


def test_stock__goes_with_its_point_and_does_not_come_back_with_it(shops: Shops, service: Serving) -> None:
    shops.put("gone")
    put_entry(shops, "gone", "x")
    put_entry(shops, "gone", "y")
    assert shops.own.delete("/v1/points/shelf:gone", headers={"If-Match": "*"}).status_code == 204
    assert problem(shops.own.get(stock_path(shops, "gone"))) == (404, "not-found")
    assert problem(put_entry(shops, "gone", "x")) == (404, "not-found")
    rows = ask(service.place, "SELECT is_deleted, revision FROM stock WHERE point_id = 'shelf:gone'")
    assert [(bool(row[0]), row[1]) for row in rows] == [(True, 3), (True, 3)]
    assert shops.put("gone").status_code == 201
    assert shops.own.get(stock_path(shops, "gone")).json()["items"] == []
    assert put_entry(shops, "gone", "x").json()["revision"] == 4


def test_changes__are_numbered_told_and_in_the_trail(shops: Shops, service: Serving) -> None:
    shops.put("trail")
    before = shops.get("trail").headers["etag"]
    put_entry(shops, "trail", "x")
    put_entry(shops, "trail", "x", counted=1)
    done = import_lines(
        shops.own, stock_path(shops, "trail"), [MILK | {"sku": f"s{number}"} for number in range(1_200)]
    )
    shops.own.delete(stock_path(shops, "trail", "x"), headers={"If-Match": "*"})
    told = ask(
        service.place,
        "SELECT kind, revision FROM changes WHERE subject = 'shelf:trail' AND kind = 'stock' ORDER BY tx, id",
    )
    assert [tuple(row) for row in told] == [("stock", number) for number in range(1, 7)]  # three batches among them
    assert shops.get("trail").headers["etag"] == before
    audit = shops.own.get("/v1/audit", params={"page_size": 200}).json()["items"]
    actions = [(one["action"], one["detail"]) for one in audit if one["subject"] == "shelf:trail"]
    assert actions[:3] == [
        ("stock.delete", {"sku": "x"}), ("stock.replace", {"sku": "x"}), ("stock.create", {"sku": "x"}),
    ]  # fmt: skip
    batches = [one["detail"] for one in audit if one["subject"] == done.json()["import_id"]]
    assert batches[-1] == {"point_id": "shelf:trail", "lines": "1-500", "upserted": 500}


def _race(shops: Shops, service: Serving, local: str) -> set[tuple[int, str]]:
    """Let eight recount what orders take and give back meanwhile; return what the counts were answered."""
    shops.put(local)
    put_entry(shops, local, "x", counted=8)
    point_id = f"{shops.merchant_id}:{local}"
    held = [0] * 8

    def run(number: int) -> set[tuple[int, str]]:
        told: set[tuple[int, str]] = set()
        with service.client(shops.own_key) as client:
            for turn in range(6):
                counted = (2, 8, 5)[(number + turn) % 3]
                answer = client.put(stock_path(shops, local, "x"), json=MILK | {"counted": counted})
                told.add((200, "") if answer.status_code == 200 else problem(answer))
                units = 2 if held[number] == 0 else -held[number]
                if hold(service.place, point_id, "x", units):
                    held[number] += units
        return told

    told = set().union(*together(8, run))
    entry = shops.own.get(stock_path(shops, local, "x")).json()
    assert entry["held"] == sum(held)
    assert entry["counted"] is None or entry["counted"] >= entry["held"]
    return told


def test_counts__by_eight_while_orders_take_and_give_back_lose_nothing(shops: Shops, service: Serving) -> None:
    told = _race(shops, service, "race")
    assert told <= {(200, ""), CONFLICT}
    assert (200, "") in told
    rows = ask(service.place, "SELECT revision FROM changes WHERE subject = 'shelf:race' AND kind = 'stock'")
    assert len({row[0] for row in rows}) == len(rows)


def test_counts__that_do_not_lock_what_orders_change_fail(postgres_url: str) -> None:
    """The control of the test above, on PostgreSQL: SQLite has one writer, with or without a lock."""
    with (
        running_service(fresh_database(postgres_url), program=without("lock")) as unlocked,
        open_shops(unlocked, "shelf") as shops,
    ):
        assert any((500, "internal") in _race(shops, unlocked, f"race-{turn}") for turn in range(20))
