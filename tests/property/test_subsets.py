"""Rare features: a search among those that have them equals brute force, whatever part they are in, dead ones gone."""

import numba
import numpy as np
import pytest

from engine import REASONS, Engine
from engine.subsets import MAX_KEPT, RARE
from tests.property import twins

OFFERS = ("a/pickup", "a/delivery")
COMPILED = not numba.config.DISABLE_JIT
N, N_NEW, N_ASKED = (6000, 1500, 60) if COMPILED else (900, 260, 60)
FEATURES = ("lift", "cold", "rare", "rarer")


def _rows(rng, names):
    # Piles and neighbours, so that equal distances break by id; each point has one offer or both.
    rows = []
    for name in names:
        lat, lng = np.array([60.17, 24.94]) + np.round(rng.normal(size=2) * 0.05, 3)
        features = [word for word, share in zip(FEATURES, (0.5, 0.3, 0.02, 0.004), strict=True) if rng.random() < share]
        area = float(rng.uniform(500.0, 20_000.0)) if rng.random() < 0.5 else None
        rows += [
            {
                "point_ids": name, "offers": offer, "lat": float(lat), "lng": float(lng), "areas": area,
                "features": features, "paused": bool(rng.random() < 0.1), "capacity": int(rng.integers(0, 3)),
            }
            for offer in OFFERS[: rng.integers(1, 3)]
        ]  # fmt: skip
    return rows


def _columns(rows):
    return {name: [row[name] for row in rows] for name in rows[0]}


def _brute(rows, place, offer, k, ask):
    """(id, told distance) of the k nearest that can serve, of rows that have the features."""
    xyz, found = twins.brute_xyz(*place), []
    for row in rows:
        if (
            row["offers"] == offer
            and twins.brute_reason({**row, "suspended": False, "lead_s": 0}, *place, ask, None) == "matched"
        ):
            chord_sq = twins.brute_chord_sq(twins.brute_xyz(row["lat"], row["lng"]), xyz)
            found.append((round(twins.brute_told(chord_sq), 4), row["point_ids"]))
    return [(name, told) for told, name in sorted(found)[:k]]


def _check(engine, rows, rng, ask, k):
    places = np.array([60.17, 24.94]) + rng.normal(size=(N_ASKED, 2)) * 0.05  # equally far from one place only
    offers = [OFFERS[number] for number in rng.integers(2, size=N_ASKED)]
    found = engine.nearest_many(*places.T, offers, k=k, **ask)
    assert found.version == engine.version
    names = found.point_ids()
    having = [row for row in rows if set(ask["features"]) <= set(row["features"])]
    for query in range(4):
        told = [
            (name, round(metres, 4)) for name, metres in zip(names[query], found.distance_m[query], strict=True) if name
        ]
        assert told == _brute(having, places[query], offers[query], k, ask)
    for query in range(6):  # to explain, all rows are searched
        whole = engine.explain(*places[query], offers[query], **ask).match
        assert (whole and (whole.point_id, whole.distance_m)) == (
            (names[query][0], found.distance_m[query, 0]) if names[query][0] else None
        )


@pytest.mark.parametrize("is_listed", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_rare_features__are_found_as_by_brute_force(seed, is_listed):
    rng = np.random.default_rng(seed)
    names = [f"p{number}" for number in rng.permutation(N + 2 * N_NEW)]
    old, moved = names[:N], names[N // 2 : N // 2 + N_NEW // 4]
    rows = _rows(rng, old)
    engine = Engine.from_columns(**_columns(rows))
    if is_listed:
        engine.prepare()
    steps = [
        [],
        [*moved, *names[N : N + N_NEW]],  # a middle, and rows of the base that are dead
        [*names[:20], *names[N + N_NEW : N + N_NEW + N_NEW // 6]],  # a delta
    ]
    for step in steps:
        if step:
            new = _rows(rng, step)
            rows = [row for row in rows if row["point_ids"] not in set(step)] + new
            engine.apply({"upsert": _columns(new)})
        for features in (("rare",), ("rarer",), ("rare", "cold"), ("lift",), ("none",)):
            ask = {"features": features, "quantity": int(rng.integers(1, 3))}
            for k in (1, 4):
                _check(engine, rows, rng, ask, k)
        rare = sum("rare" in row["features"] for row in rows)
        assert 0 < rare * RARE < len(rows)
        assert len(engine._snapshot.base.subsets) >= (3 if is_listed else 1)  # listing makes the part anew
    assert engine._snapshot.middle.columns.n_rows or not COMPILED
    assert engine._snapshot.delta.columns.n_rows


def test_refusals__judge_rows_that_lack_the_feature():
    n = 2000
    features = [["rare"] if row == 7 else None for row in range(n)]
    engine = Engine.from_columns(
        [f"p{row}" for row in range(n)], [OFFERS[0]] * n, np.linspace(1.0, 2.0, n), np.zeros(n), features=features
    )
    for _ in range(2):
        found = engine.nearest_many([1.5] * 100, [0.0] * 100, OFFERS[0], features=("rare",))
        assert set(found.row[:, 0]) == {7}
    assert len(engine._snapshot.base.subsets) == 1
    refused = engine.refusals_many([1.5], [0.0], OFFERS[0], features=("rare",))
    assert refused.row[0] != 7
    assert REASONS[refused.code[0]] == "feature_missing"


def test_subsets__keep_few_and_those_asked_last():
    n = 4 * MAX_KEPT * RARE
    features = [[f"f{row % (2 * MAX_KEPT)}"] for row in range(n)]
    engine = Engine.from_columns(
        [f"p{row}" for row in range(n)], [OFFERS[0]] * n, np.linspace(1.0, 2.0, n), np.zeros(n), features=features
    )
    for number in range(2 * MAX_KEPT):
        found = engine.nearest_many([1.5] * 2000, [0.0] * 2000, OFFERS[0], features=(f"f{number}",))
        assert (found.row % (2 * MAX_KEPT) == number).all()
        assert len(engine._snapshot.base.subsets) <= MAX_KEPT
    subsets = engine._snapshot.base.subsets
    assert sum(subset.part.row.size for subset in subsets._made.values()) * 8 <= n
