"""Stock by bulk file, NDJSON and CSV: good lines are stored once, bad ones told."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.contract.service.shelves import CONFLICT, MILK, import_lines, put_entry, stock_path
from tests.contract.service.shops import Shops, open_shops
from tests.contract.service.talking import ask, problem
from tests.serving import Serving

CSV = {"Content-Type": "text/csv; charset=utf-8"}
HEADER = b"sku,name,price_minor,currency,counted,safety,good_for_s\n"


@pytest.fixture(scope="module")
def shops(service: Serving) -> Iterator[Shops]:
    with open_shops(service, "shelf-files") as found:
        yield found


def test_import__stores_good_lines_tells_bad_ones_and_takes_the_last_of_an_sku(shops: Shops) -> None:
    shops.put("bulk")
    path = stock_path(shops, "bulk")
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
    done = import_lines(shops.own, path, lines, "bulk-1")
    told = done.json()
    assert (told["state"], told["lines"], told["upserted"], told["unchanged"], told["rejected"]) == (
        "done", 1_301, 1_295, 0, 6,
    )  # fmt: skip
    assert [(one["line"], one["type"], one["where"]) for one in told["errors"]] == [
        (number, slug, where) for number, (_, slug, where) in sorted(bad.items())
    ]
    assert shops.own.get(f"{path}/s0000").json()["counted"] == 77
    put_entry(shops, "bulk", "s0000", counted=5)
    assert import_lines(shops.own, path, lines, "bulk-1").json() == told  # done once
    assert shops.own.get(f"{path}/s0000").json()["counted"] == 5
    reused = (422, "idempotency-key-reused")
    assert problem(import_lines(shops.own, path, [MILK | {"sku": "s"}, *lines[1:]], "bulk-1")) == reused
    shops.put("bulk-2")
    assert import_lines(shops.own, stock_path(shops, "bulk-2"), lines[:2], "bulk-1").json()["upserted"] == 2
    listed = shops.own.get(f"/v1/imports/{told['import_id']}/errors").json()["items"]
    assert listed == told["errors"]


def _import_csv(shops: Shops, local: str, body: Any, key: str | None = None) -> httpx.Response:
    headers = {**CSV, "Idempotency-Key": key or str(uuid.uuid4())}
    return shops.own.post(f"{stock_path(shops, local)}:import", content=body, headers=headers)


def test_csv__is_read_as_lines_of_json_are(shops: Shops) -> None:
    shops.put("csv")
    rows = {
        2: (b'milk,"Milk, 1 ""l""",690,CNY,24,2,60', None),
        3: ("tea,茶,0,CNY,,,".encode(), None),
        4: (b"bad,Bad,-1,CNY,1,,", ("validation", "/price_minor")),
        5: (b"bad,Bad,6.9,CNY,1,,", ("validation", "/price_minor")),
        6: (b"bad,Bad,,CNY,1,,", ("validation", "/price_minor")),
        7: (b"bad,Bad,1,CNY,1", ("validation", "")),
        8: (b'bad,"Bad,1,CNY,1,,', ("validation", "")),
        9: (b"bad,\xff,1,CNY,1,,", ("validation", "")),
        10: (b"bad,Bad,1,EUR,1,,", ("state-conflict", "")),
        11: (b"bad,Bad,1,CNY,1e2,,", ("validation", "/counted")),
        12: (b"b d,Bad,1,CNY,1,,", ("validation", "/sku")),
        13: (b"", ("validation", "")),
        14: (b"last,Last,1,CNY,007,0,", None),
    }
    for end in (b"\n", b"\r\n"):
        body = b"\xef\xbb\xbf" + end.join([HEADER.strip(), *(line for line, _ in rows.values())])
        told = _import_csv(shops, "csv", body).json()
        assert (told["lines"], told["upserted"], told["unchanged"]) == (14, 3, 1)  # the header
        assert [(one["line"], one["type"], one["where"]) for one in told["errors"]] == [
            (number, *bad) for number, (_, bad) in rows.items() if bad is not None
        ]
        items = shops.own.get(stock_path(shops, "csv")).json()["items"]
        found = [(one["sku"], one["name"], one["counted"], one["safety"], one["good_for_s"]) for one in items]
        assert found == [("last", "Last", 7, 0, None), ("milk", 'Milk, 1 "l"', 24, 2, 60), ("tea", "茶", None, 0, None)]


def test_csv__header_is_one_of_known_names(shops: Shops) -> None:
    shops.put("head")
    for header in (b"", b"sku", b"sku,name,price_minor,currency", HEADER.strip() + b",held", HEADER[:-1] + b",sku",
                   HEADER.replace(b"name", b"Name"), b"\xff", b'"sku', b"x" * (257 * 1024)):  # fmt: skip
        answer = _import_csv(shops, "head", header + b"\na,A,1,CNY,1,,\n", "head")
        assert problem(answer) == (422, "validation"), header[:40]
    assert _import_csv(shops, "head", HEADER + b"a,A,1,CNY,1,,", "head").json()["upserted"] == 1


def test_csv__cut_half_way_goes_on_with_its_header(shops: Shops, service: Serving) -> None:
    shops.put("cut")
    lines = [b"s%d,Name,1,CNY,%d,," % (number, number) for number in range(1_600)]
    counted = "SELECT count(*) FROM stock WHERE point_id = 'shelf-files:cut'"

    def half() -> Iterator[bytes]:
        yield HEADER[:9]
        yield HEADER[9:] + b"\n".join(lines[:1_300])
        for _ in range(200):  # until what came is stored
            if ask(service.place, counted)[0][0] >= 900:
                break
            time.sleep(0.05)
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        _import_csv(shops, "cut", half(), "cut")
    time.sleep(0.3)
    answer = _import_csv(shops, "cut", HEADER + b"\n".join(lines), "cut")
    for _ in range(50):
        if answer.status_code != 409:  # the first is noticed to have gone
            break
        time.sleep(0.1)
        answer = _import_csv(shops, "cut", HEADER + b"\n".join(lines), "cut")
    told = answer.json()
    assert (told["lines"], told["upserted"], told["rejected"]) == (1_601, 1_600, 0)
    changes = ask(service.place, "SELECT revision FROM changes WHERE subject = 'shelf-files:cut' AND kind = 'stock'")
    assert len(changes) == 4  # each batch once


def test_skus__of_a_point_are_ten_thousand_at_most(shops: Shops) -> None:
    shops.put("many")
    path = stock_path(shops, "many")
    told = import_lines(shops.own, path, [MILK | {"sku": f"s{number}"} for number in range(10_002)]).json()
    assert (told["upserted"], [one["line"] for one in told["errors"]]) == (10_000, [10_001, 10_002])
    assert told["errors"][0]["type"] == "state-conflict"
    refused = put_entry(shops, "many", "more")
    assert (problem(refused), "10000 SKUs" in refused.json()["detail"]) == (CONFLICT, True)
    assert put_entry(shops, "many", "s7").status_code == 200
    shops.own.delete(f"{path}/s7", headers={"If-Match": "*"}).raise_for_status()
    assert put_entry(shops, "many", "more").status_code == 201
