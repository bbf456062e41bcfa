"""What points keep in stock, what is asked of it, and what is wrong with either."""

from __future__ import annotations

import datetime as dt
import statistics
import tracemalloc
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine import NOT_KEPT, Baskets, Engine, EngineError, StockEntries, shelves

OFFER = "retail/pickup"
NOON = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)
TICK = dt.timedelta(microseconds=1)
NAMES = ["a", "b", "c"]


def city(stock: Any = None, names: list[str] | None = None) -> Engine:
    """Three points in a row, "a" the nearest to where is asked."""
    names = names or NAMES
    lat = [31.2 + 0.01 * i for i in range(len(names))]
    return Engine.from_columns(names, [OFFER] * len(names), lat, [121.5] * len(names), stock=stock)


def found(engine: Engine, items: Any, **ask: Any) -> list[str]:
    return [match.point_id for match in engine.nearest(31.19, 121.5, OFFER, k=9, items=items, **ask).matches]


@pytest.mark.parametrize(
    ("items", "names"),
    [
        (None, ["a", "b", "c"]),
        ({}, ["a", "b", "c"]),
        ({"milk": 1}, ["a", "b"]),
        ({"milk": 3}, ["b"]),
        ({"milk": 1, "tea": 1}, ["b"]),
        ({"tea": 10**9}, ["b"]),  # no limit
        ({"rice": 1}, []),  # none left
        ({"nobody's": 1}, []),
        ({"milk": 1, "nobody's": 1}, []),
    ],
)
def test_nearest__finds_points_that_have_all_lines(items: Any, names: list[str]) -> None:
    by_row = city([{"milk": 2}, {"milk": 3, "tea": None, "rice": 0}, None])
    long = city(StockEntries(["b", "a", "b", "b"], ["tea", "milk", "milk", "rice"], [None, 2, 3, 0]))
    for engine in (by_row, long, Engine.from_arrays(long.to_arrays())):
        assert found(engine, items) == names


@pytest.mark.parametrize(
    "columns",
    [
        {"point_ids": NAMES, "skus": ["x"] * 3, "units": [1, 2, None]},
        {"point_ids": np.array(NAMES), "skus": pa.array(["x"] * 3), "units": np.array([1, 2, 9], np.int16)},
        {
            "point_ids": pa.array(NAMES).dictionary_encode(),
            "skus": pa.chunked_array([["x"], ["x", "x"]]).dictionary_encode(),
            "units": pa.array([1, 2, None]),
            "good_until": pa.array([None, NOON, NOON]),
        },
        {"point_ids": NAMES, "skus": ["x"] * 3, "units": [1, 2, 2], "good_until": np.datetime64("2026-03-04T12:00")},
    ],
)
def test_from_columns__takes_long_stock_in_every_form(columns: dict[str, Any]) -> None:
    assert found(city(columns), {"x": 2}) == ["b", "c"]
    late = found(city(StockEntries(**columns)), {"x": 2}, asked_at=NOON)
    assert late == ([] if "good_until" in columns else ["b", "c"])


def test_nearest__trusts_a_count_before_it_is_too_old_only() -> None:
    engine = city([{"milk": (2, NOON)}, {"milk": (2, NOON + TICK)}, {"milk": 2}])
    assert found(engine, {"milk": 1}) == ["a", "b", "c"]
    assert found(engine, {"milk": 1}, asked_at=NOON - TICK) == ["a", "b", "c"]
    assert found(engine, {"milk": 1}, asked_at=NOON) == ["b", "c"]
    assert found(engine, {"milk": 1}, at=NOON + TICK, asked_at=NOON + TICK, require=()) == ["c"]
    with pytest.raises(ValueError, match="asked_at needs at"):
        found(engine, None, asked_at=NOON)


def test_trusted_at__is_for_counts_alone() -> None:
    stock: list[Any] = [{"milk": (2, NOON)}, {"milk": (2, NOON + TICK)}, {"tea": 2}]
    engine = Engine.from_columns(NAMES, [OFFER] * 3, [31.2, 31.21, 31.22], [121.5] * 3, lead_s=[3600] * 3, stock=stock)
    ask: dict[str, Any] = {"at": NOON + TICK, "trusted_at": NOON, "unknown_hours": "allow"}
    assert found(engine, {"milk": 1}, **ask) == ["b"]
    assert found(engine, {"milk": 1}, **ask, asked_at=NOON - dt.timedelta(days=1)) == ["b"]
    assert found(engine, {"milk": 1}, **ask, asked_at=NOON) == []  # too soon
    assert found(engine, None, **ask) == NAMES
    told = engine.explain(31.19, 121.5, OFFER, items={"milk": 1}, **ask)
    assert [(one.point_id, one.reason, one.missing) for one in told.nearer] == [("a", "out_of_stock", "milk")]
    split = engine.split(31.19, 121.5, OFFER, {"milk": 1, "tea": 1}, **ask)
    assert [part.point_id for part in split.parts] == ["b", "c"]
    with pytest.raises(ValueError, match="trusted_at"):
        found(engine, None, trusted_at="noon")


def test_from_columns__takes_a_stock_of_a_point_on_one_of_its_rows() -> None:
    offers = ["a/pickup", "a/delivery", "b/onsite"]
    place = [31.2] * 3, [121.5] * 3
    for stock in ([None, {"x": 1}, None], [{"x": 1}] * 3, [{"x": 1}, {"x": 1}, None]):
        engine = Engine.from_columns(["p"] * 3, offers, *place, stock=stock)
        assert [engine.nearest(31.2, 121.5, offer, items={"x": 1}).matches[0].point_id for offer in offers] == ["p"] * 3
    with pytest.raises(EngineError, match=r"stock\[2\] must be one stock for all offers of a point.* row 0"):
        Engine.from_columns(["p"] * 3, offers, *place, stock=[{"x": 1}, None, {"x": 2}])


TWICE = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["x", "x"]))
ZXZ = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2]), pa.array(["z", "x", "z"]))
TWICE_A = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", "a"]))
AZA = pa.DictionaryArray.from_arrays(pa.array([2, 0, 1]), pa.array(["a", "z", "a"]))
NOTHING_TWICE = pa.DictionaryArray.from_arrays(pa.array([0, 2]), pa.array(["x", "", ""]))
BAD_STOCK: list[tuple[Any, str]] = [
    ("milk", "stock must be a column"),
    ([{"x": 1}], "stock must have 3 elements"),
    ([None, ["x"], None], r"stock\[1\] must be a mapping"),
    ([None, {"": 1}, None], r"stock\[1\] must name SKUs by text"),
    ([None, {7: 1}, None], r"stock\[1\] must name SKUs by text"),
    ([None, {"\ud800": 1}, None], r"stock\[1\] must name SKUs by text"),
    ([{"x": -1}, None, None], r"stock\[0\] must be whole units"),
    ([{"x": True}, None, None], r"stock\[0\] must be whole units"),
    ([{"x": 2**31}, None, None], r"stock\[0\] must be whole units"),
    ([{"x": (1, NOON.replace(tzinfo=None))}, None, None], r"stock\[0\] must be good until a datetime with a time zone"),
    ({"point_ids": ["a"], "skus": ["x"]}, "units is missing"),
    ({"point_ids": ["a"], "skus": ["x"], "units": [1], "sku": []}, "got 'sku'"),
    (StockEntries(["a", "z"], ["x", "x"], [1, 1]), r"stock.point_ids\[1\] must be one of point_ids"),
    (StockEntries(["a", "a"], ["x", ""], [1, 1]), r"stock.skus\[1\] must be an SKU"),
    (StockEntries(["a", "b", "a"], ["x", "x", "x"], [1, 1, 1]), r"stock\[2\] must name an SKU once"),
    (StockEntries(["a"], ["x", "y"], [1]), "stock.skus must have 1 elements"),
    (StockEntries(pa.array(["a"]).dictionary_encode(), pa.array(["x", "y"]).dictionary_encode(), [1]), "1 elements"),
    (StockEntries(["a", "a"], ["x", "x"], [1, 1]), r"stock\[1\] must name an SKU once"),
    (StockEntries(["a", "a"], TWICE, [1, 1]), r"stock\[1\] must name an SKU once"),
    (StockEntries(TWICE_A, ["x", "x"], [1, 1]), r"stock\[1\] must name an SKU once"),
    (StockEntries(["a", "a"], NOTHING_TWICE, [1, 1]), r"stock.skus\[1\] must be an SKU"),
    (StockEntries(["a"], ["x"], [2**31]), r"stock.units\[0\]"),
    (StockEntries(["a"], ["x"], [-1]), r"stock.units\[0\]"),
    (StockEntries(["a"], ["x"], [1], [NOON.replace(tzinfo=None)]), r"stock.good_until\[0\]"),
]


@pytest.mark.parametrize(("stock", "match"), BAD_STOCK)
def test_from_columns__refuses_bad_stock(stock: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        city(stock)


BAD_ITEMS: list[tuple[Any, str]] = [
    ("milk", "items must be a mapping"),
    (7, "items must be a mapping"),
    ({"x": 0}, "items must ask for a whole quantity"),
    ({"x": 1.5}, "items must ask for a whole quantity"),
    ({"x": True}, "items must ask for a whole quantity"),
    ({3: 1}, "items must name SKUs by text"),
    ([{"x": 1}], "items must be one basket, or 2"),
    ([{"x": 1}, 4], r"items\[1\] must be a mapping"),
    ([{"x": 1}, {"x": 0}], r"items\[1\] must ask for a whole quantity"),
    (Baskets([0, 2], ["x", "x"], [1, 1]), r"items.query\[1\]"),
    (Baskets([0, 1], ["x", "x"], [1, 0]), r"items.quantities\[1\]"),
    (Baskets([0, 1, 0], ["x", "x", "x"], [1, 1, 1]), r"items.skus\[2\] must name an SKU once"),
    (Baskets([0, 1, 1, 1], ["x", "y", "x", "x"], [1] * 4), r"items.skus\[3\] must name an SKU once"),
    (Baskets([0, 0], TWICE, [1, 1]), r"items.skus\[1\] must name an SKU once"),
    (
        Baskets([0, 1, 0], ZXZ, [1] * 3),
        r"items.skus\[2\] must name an SKU once",
    ),
    (Baskets([0], ["x", "y"], [1]), "items.query must have 2 elements"),
]


@pytest.mark.parametrize(("items", "match"), BAD_ITEMS)
def test_nearest_many__refuses_bad_items(items: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        city([{"x": 1}, None, None]).nearest_many([31.2] * 2, [121.5] * 2, OFFER, items=items)


@pytest.mark.parametrize("query", [[0, 1, 1, 2, 2, 4], [2, 1, 4, 1, 0, 2]], ids=["by query", "in any order"])
def test_nearest_many__takes_skus_that_nobody_keeps(query: list[int]) -> None:
    skus = {0: ["x"], 1: ["y", "x"], 2: ["y", "z"], 4: ["x"]}
    named = [skus[number].pop() for number in query]
    engine = city([{"x": 1}, None, None])
    for column in (named, pa.array(named).dictionary_encode()):
        items = Baskets(query, column, [1] * len(query))
        found_ = engine.nearest_many([31.2] * 5, [121.5] * 5, OFFER, items=items)
        assert found_.point_ids() == [["a"], [None], [None], ["a"], ["a"]]


def test_nearest_in_turn__takes_no_items() -> None:
    engine = city()
    with pytest.raises(ValueError, match="items must be None"):
        engine.nearest_in_turn([31.2], [121.5], OFFER, units=engine.units(), items={"x": 1})


def test_explain__tells_out_of_stock_after_full_and_before_too_far() -> None:
    stock = [{"milk": 1}, {"milk": 1, "tea": 1}, None]
    engine = Engine.from_columns(NAMES, [OFFER] * 3, [31.2, 31.3, 31.4], [121.5] * 3, capacity=[0, 1, 1], stock=stock)
    told = engine.explain(31.2, 121.5, OFFER, items={"tea": 2, "milk": 1}, max_distance_m=1.0)
    assert [(one.point_id, one.reason, one.missing) for one in told.nearer] == [
        ("a", "full", None),
        ("b", "out_of_stock", "tea"),
        ("c", "out_of_stock", "milk"),
    ]


def test_apply__sets_single_entries_as_one() -> None:
    engine = city([{"milk": 2}, {"milk": 3}, None])
    before = engine.still()
    entries = (["a", "c", "a", "b", "a"], ["milk", "milk", "tea", "milk", "tea"], [7, None, 1, NOT_KEPT, 2])
    assert engine.apply({"stock": entries}) == 2
    assert found(engine, {"milk": 1}) == ["a", "c"]
    assert found(engine, {"tea": 2}) == ["a"]  # the last of two counts
    assert found(engine, {"milk": 7, "tea": 1}) == ["a"]
    assert found(before, {"milk": 1}) == ["a", "b"]
    with pytest.raises(ValueError, match=r"stock.point_ids\[1\] must be a point of this index"):
        engine.apply({"stock": (["a", "z"], ["milk", "milk"], [0, 0], None)})
    with pytest.raises(ValueError, match=r"stock.good_until\[0\]"):
        engine.apply({"remove": ["a"], "stock": (["b"], ["milk"], [0], ["soon"])})
    assert found(engine, {"milk": 1}) == ["a", "c"]
    engine.apply({"upsert": {"point_ids": ["a"], "offers": [OFFER], "lat": [31.2], "lng": [121.5]}})
    assert found(engine, {"milk": 1}) == ["c"]  # an upsert without stock keeps none


def test_apply__takes_a_point_that_stands_twice_in_a_dictionary_for_one() -> None:
    engine = city([{"milk": 2}, {"milk": 3}, None])
    engine.apply({"stock": (TWICE_A, ["milk", "tea"], [5, 7])})
    assert found(engine, {"milk": 5, "tea": 7}) == ["a"]
    engine.apply({"stock": (TWICE_A, ["tea", "rice"], [8, 9])})
    assert engine._snapshot.delta.columns.n_rows == 1
    engine.apply({"stock": (TWICE_A, ["milk", "milk"], [5, 6])})
    assert found(engine, {"milk": 6, "tea": 8, "rice": 9}) == ["a"]  # the last of two counts
    engine.set_capacity("a", OFFER, 0)
    assert found(engine, None) == ["b", "c"]
    with pytest.raises(ValueError, match=r"stock.point_ids\[2\] must be a point of this index, got 'z'"):
        engine.apply({"stock": (AZA, ["milk"] * 3, [0] * 3)})


def test_apply__takes_an_sku_that_stands_twice_in_a_dictionary_for_one() -> None:
    engine = city([{"x": 2}, None, None])
    engine.apply({"stock": (["a", "a"], TWICE, [5, 7])})
    assert (found(engine, {"x": 7}), engine._snapshot.shelves.had(0)) == (["a"], {0: (7, shelves.NEVER_US)})


@pytest.mark.parametrize("stock", [(), (["a"], ["x"]), "axy", (["a"], ["x"], [1], None, 5)])
def test_apply__refuses_stock_that_is_no_entries(stock: Any) -> None:
    with pytest.raises(ValueError, match="stock must be"):
        city().apply({"stock": stock})


def test_apply__writes_shelves_anew_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "LEAST_ROOM", 16)
    engine = city([{"milk": 2, "tea": 1}, {"milk": 3}, {f"s{i}": i for i in range(50)}])
    for turn in range(300):
        engine.apply({"stock": (["a", "b"], ["milk", "milk"], [turn, 300 - turn], None)})
        assert found(engine, {"milk": 151}) == ["b"] * (turn < 150) + ["a"] * (turn > 150)
    held = engine._snapshot.shelves
    assert held.more.sku.size < 200
    assert found(engine, {"s49": 49}) == ["c"]


def test_apply__regrows_the_room_of_shelves_seldom_and_sorts_only_what_stands_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shelves, "LEAST_ROOM", 16)
    n, skus, whole = 8_000, [f"s{i}" for i in range(50)], np.unique
    n_sorted: list[int] = []
    rooms: list[Any] = []
    ids, place = [f"p{i}" for i in range(n)], np.linspace(31, 32, n)
    stock = StockEntries(ids + ["p7"] * 50, ["milk"] * n + skus, np.full(n + 50, 9))
    engine = Engine.from_columns(ids, [OFFER] * n, place, place + 90, stock=stock)

    def counted(values: Any, **more: Any) -> Any:
        n_sorted.append(np.size(values))
        return whole(values, **more)

    monkeypatch.setattr(np, "unique", counted)
    for turn in range(300):
        engine.apply({"stock": (["p7"], ["s3"], [turn], None)})
        if not rooms or rooms[-1] is not engine._snapshot.shelves.more.sku:
            rooms.append(engine._snapshot.shelves.more.sku)
    assert len(rooms) < 10  # 51 entries a turn, and room for a quarter as many as there are rows
    assert sum(n_sorted) < n


def test_apply__is_cheap_where_a_point_keeps_the_sku() -> None:
    n = 20_000
    rng = np.random.default_rng(1)
    ids = [f"p{i}" for i in range(n)]
    stock = StockEntries(np.repeat(ids, 5), ["a", "b", "c", "d", "e"] * n, np.full(5 * n, 9))
    engine = Engine.from_columns(ids, [OFFER] * n, rng.uniform(31, 32, n), rng.uniform(121, 122, n), stock=stock)
    column, peaks = engine._snapshot.shelves.first.sku, []
    tracemalloc.start()
    try:
        for turn in range(200):
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            engine.apply({"stock": ([ids[turn * 7 % n]], ["c"], [turn % 9], None)})
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    assert statistics.median(peaks) < column.nbytes / 4  # it copies no column


SPLITS: list[tuple[dict[str, int], int, list[tuple[str, dict[str, int]]]]] = [
    ({"milk": 1}, 3, [("a", {"milk": 1})]),  # one has all
    ({"milk": 1, "tea": 1}, 3, [("b", {"milk": 1, "tea": 1})]),
    ({"milk": 1, "rice": 2}, 3, [("a", {"milk": 1}), ("c", {"rice": 2})]),
    ({"milk": 1, "tea": 2, "rice": 2}, 3, [("b", {"milk": 1, "tea": 2}), ("c", {"rice": 2})]),
    ({"milk": 2, "tea": 2, "rice": 2}, 3, []),  # a line is not divided
    ({"milk": 1, "rice": 2}, 1, []),
    ({"milk": 1, "nobody's": 1}, 3, []),
]


@pytest.mark.parametrize(("items", "most", "parts"), SPLITS)
def test_split__takes_the_fewest_then_the_nearest(items: Any, most: int, parts: Any) -> None:
    engine = city([{"milk": 1}, {"milk": 1, "tea": 2}, {"rice": 2}])
    told = engine.split(31.19, 121.5, OFFER, items, max_points=most)
    assert [(part.point_id, part.items) for part in told.parts] == parts
    assert told.version == engine.version


def test_split__breaks_ties_by_id() -> None:
    engine = Engine.from_columns(
        ["d", "c", "b", "a"], [OFFER] * 4, [31.2] * 4, [121.5] * 4, stock=[{"x": 1}, {"y": 1}, {"x": 1}, {"y": 1}]
    )
    assert [part.point_id for part in engine.split(31.2, 121.5, OFFER, {"x": 1, "y": 1}).parts] == ["a", "b"]


@pytest.mark.parametrize(
    ("items", "more", "match"),
    [
        ({}, {}, "items must have from 1 to 62 lines"),
        ({f"s{i}": 1 for i in range(63)}, {}, "items must have from 1 to 62 lines"),
        ([{"x": 1}], {}, "items must be a mapping"),
        ({"x": 1}, {"max_points": 0}, "max_points must be a whole number from 1 to 8"),
        ({"x": 1}, {"max_points": 9}, "max_points must be a whole number from 1 to 8"),
        ({"x": 1}, {"max_distance_m": -1}, "max_distance_m"),
    ],
)
def test_split__refuses_bad_arguments(items: Any, more: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        city().split(31.2, 121.5, OFFER, items, **more)
