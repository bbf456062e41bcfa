"""Stock per point and SKU: counted by merchants, held by orders, and whether there is any told to everyone."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest

from tests.contract.service.shops import NDJSON, Shops, open_shops, point
from tests.contract.service.talking import ask, problem, together
from tests.serving import Place, Serving, fresh_database, running_service
from tests.unguarded import without

MILK: dict[str, Any] = {"name": "牛奶 1L", "price_minor": 690, "currency": "CNY", "counted": 9}
MOST = 2**53 - 1
CONFLICT, INVALID = (409, "state-conflict"), (422, "validation")


@pytest.fixture(scope="module")
def shops(service: Serving) -> Iterator[Shops]:
    with open_shops(service, "shelf") as found:
        yield found


def _stock(shops: Shops, local: str, sku: str = "") -> str:
    return f"/v1/points/{shops.merchant_id}:{local}/stock" + (f"/{sku}" if sku else "")


def _put(shops: Shops, local: str, sku: str, **changes: Any) -> httpx.Response:
    return shops.own.put(_stock(shops, local, sku), json=MILK | changes)


def _import(client: httpx.Client, path: str, lines: list[Any], key: str | None = None) -> httpx.Response:
    body = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    headers = {**NDJSON, "Idempotency-Key": key or str(uuid.uuid4())}
    return client.post(f"{path}:import", content=body, headers=headers)


@contextmanager
def _database(place: Place) -> Iterator[Any]:
    """Give a connection of one's own to the database, beside the service."""
    if place.database is not None:
        with psycopg.connect(place.database) as connection:
            yield connection
        return
    file = sqlite3.connect(place.folder / "linli.db", timeout=30, isolation_level=None)
    try:
        yield file
    finally:
        file.close()


def _hold(place: Place, point_id: str, sku: str, units: int) -> bool:
    """Take units for an order, or give them back, as orders do: the point's row first; tell whether they were there."""
    mark = "?" if place.database is None else "%s"
    numbered = f"UPDATE points SET stock_revision = stock_revision + 1 WHERE point_id = {mark} RETURNING stock_revision"  # noqa: S608
    taken = (
        f"UPDATE stock SET held = held + {mark}, revision = {mark} WHERE point_id = {mark} AND sku = {mark}"  # noqa: S608
        f" AND held + {mark} BETWEEN 0 AND COALESCE(counted - safety, {MOST})"
    )
    with _database(place) as connection:
        connection.execute("BEGIN IMMEDIATE" if place.database is None else "SELECT 1")
        revision = connection.execute(numbered, (point_id,)).fetchone()[0]
        found = connection.execute(taken, (units, revision, point_id, sku, units)).rowcount == 1
        connection.execute("COMMIT" if found else "ROLLBACK")
        return found


def test_put__keeps_every_field_and_tells_what_can_be_ordered(shops: Shops) -> None:
    shops.put("whole")
    before = time.time()
    made = _put(shops, "whole", "Milk-1L", safety=2, good_for_s=3600)
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
    again = _put(shops, "whole", "Milk-1L", counted=None, price_minor=0)
    assert (again.status_code, again.headers["etag"]) == (200, '"2"')
    assert again.json() | {"counted_at": ""} == told | {
        "counted": None, "price_minor": 0, "units": None, "safety": 0, "good_for_s": None, "good_until": None,
        "revision": 2, "counted_at": "",
    }  # fmt: skip
    assert _put(shops, "whole", "milk-1l").status_code == 201  # an SKU is case-sensitive
    read = shops.own.get(_stock(shops, "whole", "Milk-1L"))
    assert (read.json(), read.headers["etag"]) == (again.json(), '"2"')
    assert shops.admin.get(_stock(shops, "whole", "Milk-1L")).json() == read.json()


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
        assert problem(shops.own.put(_stock(shops, "bad", "x"), content=content, headers=headers)) == expected, body
        if not isinstance(body, bytes) and "sku" not in body:
            told = _import(shops.own, _stock(shops, "bad"), [body | {"sku": "x"}]).json()
            assert (told["rejected"], told["errors"][0]["type"]) == (1, expected[1]), body
    for sku in ("-x", ".x", "x y", "x" * 65, "牛奶", "x,y"):
        assert problem(_put(shops, "bad", sku)) == INVALID, sku
        assert problem(shops.own.get(_stock(shops, "bad", sku))) == (404, "not-found")
        told = _import(shops.own, _stock(shops, "bad"), [MILK | {"sku": sku}]).json()
        assert [(one["type"], one["where"]) for one in told["errors"]] == [("validation", "/sku")]
    assert shops.own.get(_stock(shops, "bad")).json()["items"] == []
    for sku in ("x" * 64, "0", "A.b_c~d:e-f"):
        assert _put(shops, "bad", sku).status_code == 201, sku


def test_conditions__may_be_left_out_of_a_count_and_hold_where_they_are_there(shops: Shops) -> None:
    shops.put("tags")
    path = _stock(shops, "tags", "x")

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
    _put(shops, "held", "x", counted=5)
    assert _hold(service.place, "shelf:held", "x", 3)
    read = shops.own.get(_stock(shops, "held", "x"))
    assert (read.json()["held"], read.json()["units"], read.headers["etag"]) == (3, 2, '"2"')
    refused = _put(shops, "held", "x", counted=2)
    assert problem(refused) == CONFLICT
    assert "hold 3" in refused.json()["detail"]
    assert "answer those orders first" in refused.json()["detail"]
    told = _import(shops.own, _stock(shops, "held"), [MILK | {"sku": "x", "counted": 2}, MILK | {"sku": "y"}]).json()
    assert [(one["line"], one["type"]) for one in told["errors"]] == [(1, "state-conflict")]
    assert (told["upserted"], told["rejected"]) == (1, 1)
    assert problem(shops.own.delete(_stock(shops, "held", "x"), headers={"If-Match": "*"})) == CONFLICT
    assert _put(shops, "held", "x", counted=3).json()["units"] == 0
    assert _put(shops, "held", "x", counted=None).json()["held"] == 3
    assert _hold(service.place, "shelf:held", "x", -3)
    assert _put(shops, "held", "x", counted=0).status_code == 200
    assert shops.own.delete(_stock(shops, "held", "x"), headers={"If-Match": "*"}).status_code == 204


def test_currency__is_one_at_a_point(shops: Shops) -> None:
    shops.put("money")
    assert _put(shops, "money", "x").status_code == 201
    assert _put(shops, "money", "x", currency="EUR").status_code == 200  # it is all that there is
    refused = _put(shops, "money", "y", currency="CNY")
    assert (problem(refused), "EUR" in refused.json()["detail"]) == (CONFLICT, True)
    lines = [MILK | {"sku": sku, "currency": currency} for sku, currency in (("y", "EUR"), ("x", "CNY"), ("z", "USD"))]
    told = _import(shops.own, _stock(shops, "money"), lines).json()
    assert [(one["line"], one["type"]) for one in told["errors"]] == [(2, "state-conflict"), (3, "state-conflict")]
    for sku in ("x", "y"):
        shops.own.delete(_stock(shops, "money", sku), headers={"If-Match": "*"}).raise_for_status()
    assert _put(shops, "money", "z", currency="USD").status_code == 201


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
        "h": {"counted": None, "good_for_s": 1},
    }
    for sku, changes in entries.items():
        assert _put(shops, "list", sku, **changes).status_code == 201
    assert _hold(service.place, "shelf:list", "g", 2)
    time.sleep(1.1)  # until two of the counts are too old
    path = _stock(shops, "list")
    expected = {"a": True, "b": False, "c": True, "d": False, "e": True, "f": False, "g": False, "h": False}
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
        _put(shops, visibility, "x")
        for path in (_stock(shops, visibility), _stock(shops, visibility, "x")):
            assert shops.app.get(path).status_code == status
            assert shops.own.get(path).status_code == 200
            assert problem(shops.other.get(path)) == (404, "not-found")
    for path in (_stock(shops, "nowhere"), _stock(shops, "nowhere", "x"), _stock(shops, "public", "y")):
        for client in (shops.app, shops.own, shops.admin, shops.other):
            assert problem(client.get(path)) == (404, "not-found")
    assert problem(_put(shops, "nowhere", "x")) == (404, "not-found")
    for client in (shops.own, shops.other, shops.admin):
        assert problem(_import(client, _stock(shops, "nowhere"), [])) == (404, "not-found")


def test_stock__goes_with_its_point_and_does_not_come_back_with_it(shops: Shops, service: Serving) -> None:
    shops.put("gone")
    _put(shops, "gone", "x")
    _put(shops, "gone", "y")
    assert shops.own.delete("/v1/points/shelf:gone", headers={"If-Match": "*"}).status_code == 204
    assert problem(shops.own.get(_stock(shops, "gone"))) == (404, "not-found")
    assert problem(_put(shops, "gone", "x")) == (404, "not-found")
    rows = ask(service.place, "SELECT is_deleted, revision FROM stock WHERE point_id = 'shelf:gone'")
    assert [(bool(row[0]), row[1]) for row in rows] == [(True, 3), (True, 3)]
    assert shops.put("gone").status_code == 201
    assert shops.own.get(_stock(shops, "gone")).json()["items"] == []
    assert _put(shops, "gone", "x").json()["revision"] == 4


def test_changes__are_numbered_told_and_in_the_trail(shops: Shops, service: Serving) -> None:
    shops.put("trail")
    before = shops.get("trail").headers["etag"]
    _put(shops, "trail", "x")
    _put(shops, "trail", "x", counted=1)
    done = _import(shops.own, _stock(shops, "trail"), [MILK | {"sku": f"s{number}"} for number in range(1_200)])
    shops.own.delete(_stock(shops, "trail", "x"), headers={"If-Match": "*"})
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


def test_import__stores_good_lines_tells_bad_ones_and_takes_the_last_of_an_sku(shops: Shops) -> None:
    shops.put("bulk")
    path = _stock(shops, "bulk")
    lines: list[Any] = [MILK | {"sku": f"s{number:04}", "counted": number} for number in range(1_300)]
    bad = {
        3: (b"{", "invalid-json", ""),
        4: (b"", "validation", ""),
        7: (MILK, "validation", "/sku"),
        9: (MILK | {"sku": "x", "price_minor": 0.5}, "validation", "/price_minor"),
        600: (MILK | {"sku": "x", "currency": "EUR"}, "state-conflict", ""),
        1_299: (b"[]", "validation", ""),
    }
    for number, (line, _, _) in bad.items():
        lines[number - 1] = line
    lines += [MILK | {"sku": "s0000", "counted": 77}]
    done = _import(shops.own, path, lines, "bulk-1")
    told = done.json()
    assert (told["state"], told["lines"], told["upserted"], told["unchanged"], told["rejected"]) == (
        "done", 1_301, 1_295, 0, 6,
    )  # fmt: skip
    assert [(one["line"], one["type"], one["where"]) for one in told["errors"]] == [
        (number, slug, where) for number, (_, slug, where) in sorted(bad.items())
    ]
    assert shops.own.get(f"{path}/s0000").json()["counted"] == 77
    _put(shops, "bulk", "s0000", counted=5)
    assert _import(shops.own, path, lines, "bulk-1").json() == told  # done once
    assert shops.own.get(f"{path}/s0000").json()["counted"] == 5
    reused = (422, "idempotency-key-reused")
    assert problem(_import(shops.own, path, [MILK | {"sku": "s"}, *lines[1:]], "bulk-1")) == reused
    shops.put("bulk-2")
    assert _import(shops.own, _stock(shops, "bulk-2"), lines[:2], "bulk-1").json()["upserted"] == 2
    listed = shops.own.get(f"/v1/imports/{told['import_id']}/errors").json()["items"]
    assert listed == told["errors"]


def test_skus__of_a_point_are_ten_thousand_at_most(shops: Shops) -> None:
    shops.put("many")
    path = _stock(shops, "many")
    told = _import(shops.own, path, [MILK | {"sku": f"s{number}"} for number in range(10_002)]).json()
    assert (told["upserted"], [one["line"] for one in told["errors"]]) == (10_000, [10_001, 10_002])
    assert told["errors"][0]["type"] == "state-conflict"
    refused = _put(shops, "many", "more")
    assert (problem(refused), "10000 SKUs" in refused.json()["detail"]) == (CONFLICT, True)
    assert _put(shops, "many", "s7").status_code == 200
    shops.own.delete(f"{path}/s7", headers={"If-Match": "*"}).raise_for_status()
    assert _put(shops, "many", "more").status_code == 201


def test_import__of_more_lines_than_are_taken_is_refused(shops: Shops) -> None:
    shops.put("long")
    line = json.dumps(MILK | {"sku": "x"}).encode()
    answer = _import(shops.own, _stock(shops, "long"), [line] * 100_001)
    assert problem(answer) == (413, "batch-too-large")


def _race(shops: Shops, service: Serving, local: str) -> set[tuple[int, str]]:
    """Let eight recount what orders take and give back meanwhile; return what the counts were answered."""
    shops.put(local)
    _put(shops, local, "x", counted=8)
    point_id = f"{shops.merchant_id}:{local}"
    held = [0] * 8

    def run(number: int) -> set[tuple[int, str]]:
        told: set[tuple[int, str]] = set()
        with service.client(shops.own_key) as client:
            for turn in range(6):
                counted = (2, 8, 5)[(number + turn) % 3]
                answer = client.put(_stock(shops, local, "x"), json=MILK | {"counted": counted})
                told.add((200, "") if answer.status_code == 200 else problem(answer))
                units = 2 if held[number] == 0 else -held[number]
                if _hold(service.place, point_id, "x", units):
                    held[number] += units
        return told

    told = set().union(*together(8, run))
    entry = shops.own.get(_stock(shops, local, "x")).json()
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
