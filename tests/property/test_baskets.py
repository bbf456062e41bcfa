"""Baskets: who is found, why others are not, and how a basket is divided equals brute force, whatever changes."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import NOT_KEPT, REASONS, Baskets, Engine, shelves, snapshots, stock_changes
from tests.property import twins
from tests.property.test_matching_property import (
    OFFERS,
    START,
    ZONE,
    near,
    random_asks,
    random_city,
    shared_ask,
    state,
)
from tests.scale import scaled, sized

SKUS = ("milk", "rice", "tea", "é", "米", "salt")
EDGES = (START, START + dt.timedelta(microseconds=1), START + dt.timedelta(days=1))


def random_had(rng):
    units = None if rng.random() < 0.2 else int(rng.integers(0, 5))
    return (units, EDGES[rng.integers(len(EDGES))]) if rng.random() < 0.3 else units


def random_stock(rng):
    some = rng.choice(SKUS, rng.integers(0, len(SKUS) + 1), replace=False).tolist()
    return {sku: random_had(rng) for sku in some}


def random_basket(rng):
    some = rng.choice([*SKUS, "nobody's"], rng.integers(1, 4), p=[*[0.16] * 6, 0.04], replace=False)
    return {str(sku): int(rng.integers(1, 4)) for sku in some}


def with_stock(rng, columns):
    """The columns with a stock for each point, on the first of its rows or on all; and the same by row, for twins."""
    held = {name: None if rng.random() < 0.1 else random_stock(rng) for name in dict.fromkeys(columns["point_ids"])}
    seen, given_rows = set(), []
    for name in columns["point_ids"]:
        given_rows.append(held[name] if name not in seen or rng.random() < 0.5 else None)
        seen.add(name)
    return {**columns, "stock": given_rows}, {**columns, "stock": [held[name] for name in columns["point_ids"]]}


def as_columns(baskets):
    lines = [(query, sku, n) for query, basket in enumerate(baskets) for sku, n in (basket or {}).items()]
    if len(lines) % 2:  # else by query as they come
        lines.reverse()
    query, skus, quantities = map(list, zip(*lines, strict=True)) if lines else ([], [], [])
    return Baskets(np.array(query, np.int64), skus, quantities)


@settings(max_examples=scaled(3000), deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 24), k=st.sampled_from([1, 2, 100]))
def test_nearest_many__finds_who_has_the_basket_as_brute_force_does(seed, n, k):
    rng = np.random.default_rng(seed)
    columns, spread = random_city(rng, n)
    columns, known = with_stock(rng, columns)
    rows = twins.rows_of(known)
    engine = Engine.from_columns(**columns, timezone=ZONE)
    asks, shared = random_asks(rng, columns, spread, 6), shared_ask(rng, spread)
    lat, lng, offer, at, _, quantity = map(list, zip(*asks, strict=True))
    asked = [None if rng.random() < 0.3 else EDGES[rng.integers(3)] for _ in asks]
    baskets = [None if rng.random() < 0.1 else random_basket(rng) for _ in asks]
    asking = {**shared, "at": at, "asked_at": asked, "quantity": quantity}
    refused = engine.refusals_many(lat, lng, offer, items=baskets, **asking)
    for again in range(2):
        items = as_columns(baskets) if again else baskets
        found = engine.nearest_many(lat, lng, offer, k=k, items=items, **asking)
        for i, basket in enumerate(baskets):
            ask = {**shared, "at": at[i], "asked_at": asked[i], "quantity": quantity[i], "items": basket}
            wanted = twins.brute_nearest(rows, lat[i], lng[i], offer[i], k, ask, state)
            same_rows(found.row[i], wanted, rows, (lat[i], lng[i]))
            if refused.row[i] >= 0:
                reason = twins.brute_reason(rows[refused.row[i]], lat[i], lng[i], ask, state)
                assert REASONS[refused.code[i]] == reason
        engine.prepare()


def same_rows(found, wanted, rows, place):
    xyz = twins.brute_xyz(*place)
    mine = found[found >= 0].tolist()
    twins.same_order(
        mine, wanted, lambda row: twins.brute_chord_sq(twins.brute_xyz(rows[row]["lat"], rows[row]["lng"]), xyz)
    )


@settings(max_examples=scaled(1000), deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 16))
def test_explain__names_the_first_line_that_is_missing(seed, n):
    rng = np.random.default_rng(seed)
    columns, spread = random_city(rng, n)
    columns, known = with_stock(rng, columns)
    rows = twins.rows_of(known)
    engine = Engine.from_columns(**columns, timezone=ZONE)
    (lat, lng, offer, at, _, _), shared = random_asks(rng, columns, spread, 1)[0], shared_ask(rng, spread)
    ask = {**shared, "at": at, "asked_at": EDGES[rng.integers(3)] if rng.random() < 0.7 else None}
    ask["items"] = random_basket(rng)
    refused, _ = engine.refused(lat, lng, offer, k=5, **ask)
    told = [(one.point_id, one.reason, one.missing) for one in refused]
    told += [(one.point_id, one.reason, one.missing) for one in engine.explain(lat, lng, offer, **ask).nearer]
    for name, reason, missing in told:
        row = next((row for row in rows if (row["point_ids"], row["offers"]) == (name, offer)), None)
        if row is None or row["visibility"] != "public":
            assert (reason, missing) == ("no_offer", None)
            continue
        assert reason == twins.brute_reason(row, lat, lng, ask, state)
        lacking = twins.brute_missing(row["stock"], ask["items"], ask["asked_at"])
        assert missing == (lacking if reason == "out_of_stock" else None)


@settings(max_examples=scaled(1500), deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 10), most=st.integers(1, 4))
def test_split__equals_every_set_tried(seed, n, most):
    rng = np.random.default_rng(seed)
    columns, spread = random_city(rng, n)
    columns, known = with_stock(rng, columns)
    rows = twins.rows_of(known)
    engine = Engine.from_columns(**columns, timezone=ZONE)
    (lat, lng, offer, at, _, _), shared = random_asks(rng, columns, spread, 1)[0], shared_ask(rng, spread)
    items = {sku: int(rng.integers(1, 4)) for sku in rng.choice(SKUS, rng.integers(1, 6), replace=False).tolist()}
    ask = {**shared, "at": at, "asked_at": EDGES[rng.integers(3)] if rng.random() < 0.5 else None}
    ids = known["point_ids"]
    without = rng.choice([*ids, "nobody"], rng.integers(1, 3)).tolist() if rng.random() < 0.5 else []
    found = engine.split(lat, lng, offer, items, max_points=most, without=without, **ask)
    others = [row for row in rows if row["point_ids"] not in without]
    wanted = twins.brute_split(others, lat, lng, offer, most, {**ask, "items": items}, state)
    if wanted is None:
        assert (found.parts, found.distance_m) == ([], np.inf)
        return
    assert len(found.parts) == len(wanted[1])
    assert found.distance_m == pytest.approx(float(wanted[0]), rel=1e-12, abs=1e-5)
    if tuple(part.point_id for part in found.parts) != wanted[1]:
        assert found.distance_m != float(wanted[0])  # they differ by less than a micrometre
    assert {sku: n for part in found.parts for sku, n in part.items.items()} == items
    assert sum(len(part.items) for part in found.parts) == len(items)
    held = dict(zip(known["point_ids"], known["stock"], strict=True))
    for part in found.parts:
        assert part.items
        assert twins.brute_missing(held[part.point_id], part.items, ask["asked_at"]) is None


def change(rng, engine, held):
    """Change an engine and the facts, a stock by point, as one: points removed, then entered, then entries set."""
    gone = [name for name in held if rng.random() < 0.1]
    more, _ = random_city(rng, int(rng.integers(0, 3)))
    more, known = with_stock(rng, more)
    changes = {"remove": gone, "upsert": {**more, "timezone": ZONE}}
    after = {name: list(map(dict, rows)) for name, rows in held.items() if name not in gone}
    for name in set(more["point_ids"]):
        after[name] = [row for row in twins.rows_of(known) if row["point_ids"] == name]
    entries = []
    for _ in range(int(rng.integers(0, 6)) if after else 0):
        name, sku = str(rng.choice(sorted(after))), str(rng.choice(SKUS))
        had = NOT_KEPT if rng.random() < 0.2 else random_had(rng)
        units, until = had if isinstance(had, tuple) else (had, None)
        entries.append((name, sku, units, until))
        for row in after[name]:
            kept = {**(row["stock"] or {}), sku: had}
            row["stock"] = {one: value for one, value in kept.items() if value != NOT_KEPT}
    if entries:
        changes["stock"] = tuple(map(list, zip(*entries, strict=True)))
    engine.apply(changes)
    return after


def check_live(seed, n):
    rng = np.random.default_rng(seed)
    columns, spread = random_city(rng, n)
    columns, known = with_stock(rng, columns)
    held = {}
    for row in twins.rows_of(known):
        held.setdefault(row["point_ids"], []).append(row)
    engine = Engine.from_columns(**columns, timezone=ZONE)
    for step in range(12):
        held = change(rng, engine, held)
        if step % 5 == 4:
            engine = Engine.from_arrays(engine.to_arrays())
        if step % 4 == 3:
            engine.prepare()
        rows = [row for rows in held.values() for row in rows]
        place, offer, basket = near(rng, spread), str(rng.choice(OFFERS)), random_basket(rng)
        ask = {"items": basket, "require": (), "asked_at": EDGES[rng.integers(3)] if step % 2 else None}
        found = engine.nearest_many([place[0]], [place[1]], offer, k=5, **ask)
        wanted = twins.brute_nearest(rows, *place, offer, 5, ask, state)
        assert found.point_ids()[0][: len(wanted)] == [rows[number]["point_ids"] for _, number in wanted]
        assert found.point_ids()[0][len(wanted) :] == [None] * (5 - len(wanted))


def check_all_live(seeds):
    for seed in seeds:
        check_live(seed, 12)


@pytest.fixture
def _small_parts(monkeypatch):
    monkeypatch.setattr(snapshots, "DELTA_ROWS", 6)
    monkeypatch.setattr(snapshots, "MIN_MIDDLE_ROWS", 14)
    monkeypatch.setattr(shelves, "LEAST_ROOM", 8)


@pytest.mark.usefixtures("_small_parts")
def test_apply__keeps_stock_as_brute_force_does():
    @settings(max_examples=scaled(1500), deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 20))
    def check(seed, n):
        check_live(seed, n)

    check()


def _old_rows_live_on(monkeypatch):
    whole = stock_changes.with_rows
    monkeypatch.setattr(stock_changes, "with_rows", lambda before, rows, new: whole(before, rows[:0], new))


def _shelves_are_written_over(monkeypatch):
    whole = shelves.Shelves.with_entries

    def with_entries(self, entries, sizes):
        after, words = whole(self, entries, sizes)
        return shelves.replace(after, n_more=self.n_more), words

    monkeypatch.setattr(shelves.Shelves, "with_entries", with_entries)


def _new_skus_are_not_posted(monkeypatch):
    def with_grown(snapshot, rows, words):
        return shelves.replace(snapshot, shelves=snapshot.shelves.with_rows(rows, words))

    monkeypatch.setattr(stock_changes, "_with_grown", with_grown)


@pytest.mark.usefixtures("_small_parts")
@pytest.mark.parametrize("plant", [_old_rows_live_on, _shelves_are_written_over, _new_skus_are_not_posted])
def test_apply__is_seen_to_fail_with_a_planted_fault(plant, monkeypatch):
    plant(monkeypatch)
    with pytest.raises((AssertionError, IndexError, ValueError)):
        check_all_live(range(200))


def test_nearest_many__finds_baskets_among_many_rows():
    rng = np.random.default_rng(11)
    n, n_skus = sized(20_000, interpreted=1500), 400
    lat, lng = 31.2 + rng.normal(0, 0.05, n), 121.5 + rng.normal(0, 0.05, n)
    lat[: n // 10], lng[: n // 10] = lat[0], lng[0]  # one crowded place, all ties
    odds = 1 / np.arange(1, n_skus + 1)
    kept = [set(rng.choice(n_skus, 12, p=odds / odds.sum()).tolist()) for _ in range(n)]
    names = [f"p{i * 7919 % n}" for i in range(n)]
    stock = [{f"s{sku}": 5 for sku in some} for some in kept]
    engine = Engine.from_columns(names, ["a/pickup"] * n, lat, lng, stock=stock)
    near = rng.integers(n, size=200)
    baskets = [
        {f"s{sku}": 1 for sku in rng.choice(sorted(kept[row]), min(len(kept[row]), rng.integers(1, 4)), replace=False)}
        for row in near
    ]
    at = lat[near] + rng.normal(0, 0.01, 200), lng[near] + rng.normal(0, 0.01, 200)
    xyz = np.array([twins.brute_xyz(*place) for place in zip(lat, lng, strict=True)])
    having = [np.array([basket.keys() <= one.keys() for one in stock]) for basket in baskets]
    for _ in range(2):
        found = engine.nearest_many(*at, "a/pickup", k=3, items=baskets)
        for i, has in enumerate(having):
            off = xyz[has] - np.array(twins.brute_xyz(at[0][i], at[1][i]))
            order = sorted(zip((off**2).sum(axis=1), np.array(names)[has], strict=True))[:3]
            chords = [((xyz[row] - twins.brute_xyz(at[0][i], at[1][i])) ** 2).sum() for row in found.row[i] if row >= 0]
            assert np.allclose(np.sqrt(chords), [np.sqrt(chord) for chord, _ in order], atol=1e-6)
            assert all(has[row] for row in found.row[i] if row >= 0)
        engine.prepare()


@pytest.mark.parametrize("reach_m", [150.0, 400.0, 3_000.0])
def test_nearest_many__finds_baskets_within_lists_and_beyond_them(reach_m):
    """More areas reach into each cell than a list may hold: some lists have the answer, for others trees are asked."""
    rng = np.random.default_rng(23)
    n = sized(3_000, interpreted=600)
    spread = 0.004 * (n / 3_000) ** 0.5
    lat, lng = 31.2 + rng.normal(size=n) * spread, 121.5 + rng.normal(size=n) * spread
    stock = [{f"sku-{min(int(one), 60)}": 3 for one in rng.zipf(1.3, 8)} for _ in range(n)]
    reaches = reach_m * rng.choice([0.5, 1.0], n)
    is_shut = rng.random(n) < 0.3
    hours = np.where(is_shut, "22:00-23:00", "Mo-Su 00:00-24:00").tolist()
    engine = Engine.from_columns(
        [f"p{row:04}" for row in range(n)],
        ["a/pickup"] * n,
        lat,
        lng,
        areas=reaches.tolist(),
        hours=hours,
        timezone=ZONE,
        stock=stock,
    )
    q = 120
    near = rng.choice(n, q)
    asked = lat[near] + rng.normal(size=q) * 0.002, lng[near] + rng.normal(size=q) * 0.002
    baskets = [dict.fromkeys(list(stock[row])[: rng.integers(1, 4)], 1) for row in rng.choice(n, q)]
    baskets = [baskets[i] if i % 2 else dict.fromkeys(list(stock[near[i]])[:2], 1) for i in range(q)]
    xyz = np.array([twins.brute_xyz(*place) for place in zip(lat, lng, strict=True)])
    having = [np.array([basket.keys() <= kept.keys() for kept in stock]) for basket in baskets]
    at = np.datetime64("2026-03-02T04:00")
    for is_listed in (False, True):
        for k in (1, 3):
            found = engine.nearest_many(*asked, "a/pickup", k=k, items=baskets, at=at)
            for i, has in enumerate(having):
                place = np.array(twins.brute_xyz(asked[0][i], asked[1][i]))
                chord = np.sqrt(((xyz - place) ** 2).sum(axis=1))
                can = np.flatnonzero(has & ~is_shut & (chord <= reaches))
                wanted = chord[can[np.argsort(chord[can], kind="stable")[:k]]]
                rows = found.row[i][found.row[i] >= 0]
                assert np.isin(rows, can).all()
                assert np.allclose(chord[rows], wanted, rtol=0.0, atol=1e-6)
        assert is_listed == bool(engine._snapshot.base.part.neighbours.rest_bits.any())
        engine.prepare()


def test_nearest_many__finds_what_everybody_keeps_in_a_leaf_wider_than_the_search_goes():
    n = 200
    lat, lng = 31.2 + 1e-8 * np.arange(n), np.full(n, 121.5)  # 1 mm apart: a cell of the finest resolution holds them
    stock = [{"everywhere": 2}] * n
    engine = Engine.from_columns([f"p{row:03}" for row in range(n)], ["a/pickup"] * n, lat, lng, stock=stock)
    found = engine.nearest_many(lat, lng, "a/pickup", items={"everywhere": 2}, max_distance_m=0.0004)
    np.testing.assert_array_equal(found.row[:, 0], np.arange(n))
