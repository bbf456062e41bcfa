"""The lists of rows near cells: what starts from them equals brute force, wherever on earth and however dense."""

import h3.api.numpy_int as h3
import numba
import numpy as np
import pytest

from engine import Engine, neighbours
from geo.kernels import lattice
from geo.kernels.metric import ECCENTRICITY_SQ
from tests.property.twins import brute_told, brute_xyz

OFFER = "a/b"
COMPILED = not numba.config.DISABLE_JIT
N = 4000 if COMPILED else 400
N_CELLS_A_ROW = 4.0


def brute_points(lat, lng):
    return np.array([brute_xyz(a, b) for a, b in zip(lat, lng, strict=True)])


def brute_rows(points, reach_m, place, k):
    """Return the told distances of the k nearest rows whose radius holds a place, of points on the earth: NumPy alone."""
    chord_sq = ((points - np.array(brute_xyz(*place))) ** 2).sum(axis=1)
    told = np.array([brute_told(square) for square in chord_sq])
    holding = np.flatnonzero(told <= reach_m)
    return told[holding[np.argsort(chord_sq[holding], kind="stable")[:k]]]


def _scatter(name, rng):
    if name == "city":  # a dense middle, and its surroundings
        spread = np.where(rng.random((N, 1)) < 0.5, 0.002, 0.2)
        return np.array([39.9, 116.4]) + rng.normal(size=(N, 2)) * spread
    if name == "pile":  # more in one place than a list may hold
        places = np.array([31.2, 121.5]) + rng.normal(size=(N, 2)) * 0.01
        places[: N // 2] = places[0]
        return places
    if name == "pentagon":
        middle = h3.cell_to_latlng(h3.get_pentagons(5)[3])
        return np.array(middle) + rng.normal(size=(N, 2)) * 0.1
    if name == "antimeridian":
        places = np.array([-17.0, 180.0]) + rng.normal(size=(N, 2)) * 0.1
        places[:, 1] = np.where(places[:, 1] > 180.0, places[:, 1] - 360.0, places[:, 1])
        return places
    if name == "pole":
        return np.stack([90.0 - np.abs(rng.normal(size=N)) * 0.5, rng.uniform(-180.0, 180.0, N)], axis=1)
    return np.stack([np.degrees(np.arcsin(rng.uniform(-1.0, 1.0, N))), rng.uniform(-180.0, 180.0, N)], axis=1)


@pytest.mark.parametrize("strip_rows", [1 << 17, 150])
@pytest.mark.parametrize("reach_m", [None, 300.0, 5_000.0])
@pytest.mark.parametrize("name", ["city", "pile", "pentagon", "antimeridian", "pole", "earth"])
def test_listed__answers_as_brute_force(name, reach_m, strip_rows, monkeypatch):
    monkeypatch.setattr(neighbours, "_STRIP_ROWS", strip_rows)  # strips that threads share: one, or many
    rng = np.random.default_rng(7)
    places = _scatter(name, rng)
    lat, lng = places.T
    reaches = np.full(N, np.inf) if reach_m is None else reach_m * rng.choice([0.1, 1.0, 8.0], N, p=[0.6, 0.39, 0.01])
    areas = [None if np.isinf(reach) else float(reach) for reach in reaches]
    engine = Engine.from_columns([f"p{row:05}" for row in range(N)], [OFFER] * N, lat, lng, areas=areas)
    some = rng.choice(N, 30)
    # Beside points, far off, and on points.
    nudged = places[some[:20]] + rng.normal(size=(20, 2)) * np.array([0.003, 0.003])
    asked = np.concatenate([nudged, places[some[20:28]], [[10.0, 10.0], [-89.0, 5.0]]])
    asked = np.stack([np.clip(asked[:, 0], -90.0, 90.0), (asked[:, 1] + 180.0) % 360.0 - 180.0], axis=1)
    points = brute_points(lat, lng)
    nearest = [brute_rows(points, reaches, place, 9) for place in asked]
    for k in (1, 4, 9):
        by_trees = engine.nearest_many(*asked.T, OFFER, k=k)
        engine.prepare()
        by_lists = engine.nearest_many(*asked.T, OFFER, k=k)
        assert (by_lists.row == by_trees.row).all()
        assert (by_lists.distance_m == by_trees.distance_m).all()
        for query, wanted in enumerate(nearest):
            found = by_lists.distance_m[query][by_lists.row[query] >= 0]
            assert found.size == min(k, wanted.size)
            assert np.allclose(found, wanted[:k], rtol=0.0, atol=1e-6)


def _piles(rng, n_in_pile, n_beside):
    """Three piles, one of them in the middle of a town, and a few rows far from all."""
    piles = np.repeat([[31.2, 121.5], [31.23, 121.5], [31.2, 121.6]], n_in_pile, axis=0)
    spread = np.where(rng.random((n_beside, 1)) < 0.8, 0.01, 0.3)
    return np.concatenate([piles, np.array([31.2, 121.5]) + rng.normal(size=(n_beside, 2)) * spread])


@pytest.mark.parametrize("reach_m", [None, "one_in_ten_everywhere", 400.0, 5_000.0])
@pytest.mark.parametrize("n_in_pile", [5_000, 150] if COMPILED else [150])
def test_listed__answers_round_piles_from_few_cells(n_in_pile, reach_m):
    """Thousands of rows in one place make no cells beyond those that as many scattered rows make."""
    rng = np.random.default_rng(21)
    n_beside = 2 * n_in_pile if COMPILED else 100
    places = rng.permutation(_piles(rng, n_in_pile, n_beside))
    n = len(places)
    if reach_m == "one_in_ten_everywhere":
        reaches = np.where(rng.random(n) < 0.1, np.inf, rng.choice([100.0, 600.0], n))
    else:
        reaches = np.full(n, np.inf) if reach_m is None else reach_m * rng.choice([0.1, 1.0, 8.0], n, p=[0.6, 0.3, 0.1])
    areas = [None if np.isinf(reach) else float(reach) for reach in reaches]
    hours = rng.choice(["24/7", "Mo-Su 08:00-18:00", "Mo-Su 22:00-06:00"], n, p=[0.01, 0.98, 0.01]).tolist()
    engine = Engine.from_columns(
        [f"p{row:05}" for row in range(n)], [OFFER] * n, *places.T, areas=areas, hours=hours, timezone="UTC"
    )
    q = 60 if COMPILED else 12
    near = places[rng.choice(n, q)] + rng.normal(size=(q, 2)) * rng.choice([0.0, 1e-5, 1e-3, 1e-2], (q, 1))
    asks = [{}, {"at": np.datetime64("2026-03-02T12:00")}, {"at": np.datetime64("2026-03-02T03:00")}]
    asked = [(k, ask) for k in (1, 4, 9) for ask in asks]
    by_trees = [engine.nearest_many(*near.T, OFFER, k=k, **ask) for k, ask in asked]
    engine.prepare()
    for (k, ask), trees in zip(asked, by_trees, strict=True):
        lists = engine.nearest_many(*near.T, OFFER, k=k, **ask)
        assert (lists.row == trees.row).all()
        assert (lists.distance_m == trees.distance_m).all()
    points = brute_points(*places.T)
    for query in range(4):
        wanted = brute_rows(points, reaches, near[query], 4)
        found = engine.nearest_many(*near[[query]].T, OFFER, k=4).distance_m[0]
        assert np.allclose(found[np.isfinite(found)], wanted, rtol=0.0, atol=1e-6)
    lists = engine._snapshot.base.part.neighbours
    assert lists.near_m.size <= N_CELLS_A_ROW * n
    assert lists.slot.size <= 4 * N_CELLS_A_ROW * n


@pytest.mark.parametrize("k", [1, 3])
def test_listed__finds_the_rare_that_are_open_beyond_the_lists(k):
    """Areas of many rows reach into each cell, too many to list, and hardly one of them is open at night."""
    rng = np.random.default_rng(12)
    lat, lng = _scatter("city", rng).T
    by_day = [f"{8 + hour:02}:{minute:02}-20:00" for hour in range(4) for minute in range(0, 60, 15)]
    is_always_open = np.arange(N) % 40 == 0
    hours = np.where(is_always_open, "24/7", np.array(by_day)[rng.integers(len(by_day), size=N)])
    is_full = np.arange(N) % 3 == 1
    engine = Engine.from_columns(
        [f"p{row:05}" for row in range(N)],
        [OFFER] * N,
        lat,
        lng,
        areas=[5_000.0] * N,
        hours=hours.tolist(),
        timezone="UTC",
        capacity=np.where(is_full, 0, 3),
    )
    some = rng.choice(N, 60)
    asked = np.stack([lat[some], lng[some]], axis=1) + rng.normal(size=(60, 2)) * 0.002
    at = np.datetime64("2026-03-02T00:00:00") + rng.integers(24 * 60, size=60).astype("timedelta64[m]")
    at[:30] = np.datetime64("2026-03-02T03:00:00")
    by_trees = engine.nearest_many(*asked.T, OFFER, k=k, at=at)
    engine.prepare()
    by_lists = engine.nearest_many(*asked.T, OFFER, k=k, at=at)
    assert (by_lists.row == by_trees.row).all()
    assert (by_lists.row[:30] >= 0).any()
    assert (engine._snapshot.base.part.neighbours.rest_bits > 0).any()
    can = is_always_open & ~is_full
    points = brute_points(lat[can], lng[can])
    for query in range(30):
        wanted = brute_rows(points, 5_000.0, asked[query], k)
        found = by_lists.distance_m[query][by_lists.row[query] >= 0]
        assert found.size == wanted.size
        assert np.allclose(found, wanted, rtol=0.0, atol=1e-6)


def test_prepare__joins_strips_and_small_trees_into_lists_that_a_snapshot_may_hold(monkeypatch):
    monkeypatch.setattr(neighbours, "_STRIP_ROWS", 90)
    places = _scatter("earth", np.random.default_rng(2))
    offers = [("a/b", "a/c", "a/d")[min(2, row % 80)] for row in range(N)]  # two small trees before a large one
    engine = Engine.from_columns([f"p{row}" for row in range(N)], offers, *places.T)
    asked = places[::7] + 1e-3
    asked[:, 0] = np.clip(asked[:, 0], -90.0, 90.0)
    asked[:, 1] = (asked[:, 1] + 180.0) % 360.0 - 180.0
    by_trees = [engine.nearest_many(*asked.T, offer, k=3) for offer in ("a/b", "a/c", "a/d")]
    engine.prepare()
    opened = Engine.from_arrays(engine.to_arrays())
    assert opened._snapshot.base.is_listed
    for made in (engine, opened):
        for trees, offer in zip(by_trees, ("a/b", "a/c", "a/d"), strict=True):
            lists = made.nearest_many(*asked.T, offer, k=3)
            assert (lists.row == trees.row).all()
            assert (lists.distance_m == trees.distance_m).all()


def test_prepare__keeps_the_version_and_lasts_through_changes():
    places = _scatter("city", np.random.default_rng(3))
    engine = Engine.from_columns([f"p{row}" for row in range(N)], [OFFER] * N, *places.T)
    engine.prepare()
    assert engine.version == 1
    engine.upsert({"point_ids": "new", "offers": [OFFER], "lat": float(places[0, 0]), "lng": float(places[0, 1])})
    engine.remove("p0")
    assert [match.point_id for match in engine.nearest(*places[0], OFFER).matches] == ["new"]
    assert engine.version == 3


@pytest.mark.parametrize("resolution", [0, 1, 2, 5, 8, 11])
def test_nearest_center__parts_places_as_h3_does(resolution):
    rng = np.random.default_rng(resolution)
    middle = np.stack([np.degrees(np.arcsin(rng.uniform(-1, 1, 60))), rng.uniform(-180, 180, 60)], axis=1)
    width = 60.0 / 7 ** (resolution / 2)  # about a cell: neighbours fall in one or in two
    cells = {}
    for lat, lng in np.clip(np.repeat(middle, 12, axis=0) + rng.normal(size=(720, 2)) * width * 0.3, -89.9, 89.9):
        direction = (
            np.cos(np.radians(lat)) * np.cos(np.radians(lng)),
            np.cos(np.radians(lat)) * np.sin(np.radians(lng)),
            np.sin(np.radians(lat)),
        )
        face = lattice.face_of(*direction, 0)
        plane = lattice.on_face(face, *direction)
        place = (face, *lattice.nearest_center(*lattice.in_spacings(*plane, resolution)))
        cell = h3.latlng_to_cell(lat, (lng + 180.0) % 360.0 - 180.0, resolution)
        assert cells.setdefault(place, cell) == cell


@pytest.mark.parametrize("apart_m", [1.0, 300.0, 40_000.0, 3_000_000.0])
def test_farthest_m__is_no_less_than_the_chord_and_not_much_more(apart_m):
    rng = np.random.default_rng(8)
    n = N // 4
    lat, lng = np.degrees(np.arcsin(rng.uniform(-0.98, 0.98, n))), rng.uniform(-180.0, 180.0, n)
    turn, reach = rng.uniform(0.0, 2.0 * np.pi, n), np.degrees(apart_m / 6_371_000.0) * rng.random(n)
    beside = np.clip(lat + reach * np.sin(turn), -90.0, 90.0), lng + reach * np.cos(turn) / np.cos(np.radians(lat))
    told = []
    for here, there in zip(zip(lat, lng, strict=True), zip(*beside, strict=True), strict=True):
        one, other = np.array(brute_xyz(*here)), np.array(brute_xyz(*there))
        one_up, other_up = one / [1, 1, 1 - ECCENTRICITY_SQ], other / [1, 1, 1 - ECCENTRICITY_SQ]
        face = lattice.face_of(*other_up, 0)  # lists are of the cells of one face: the place asked for may lie off it
        planes = np.array([lattice.on_face(face, *up) for up in (one_up, other_up)])
        spacings = float(np.hypot(*(planes[0] - planes[1])))
        most_m = lattice.farthest_m(spacings, lattice.spacing_m_at(face, *one_up))
        told.append((most_m, np.linalg.norm(one - other)))
    most_m, chord_m = np.array(told).T
    assert (most_m >= chord_m * (1.0 - 1e-9) - 1e-6).all()
    if apart_m < 1e5:
        assert np.median(most_m / chord_m) < 1.15
