"""Large batches are answered in an order of their own: nobody can tell."""

import numpy as np
import pytest

from engine import Engine, visits
from tests.scale import sized

OFFERS = ("a/b", "a/c", "no/body")


def _city(rng, n):
    places = np.array([39.9, 116.4]) + rng.normal(size=(n, 2)) * 0.05
    hours = [("24/7", "Mo-Fr 08:00-20:00", "off")[row % 3] for row in range(n)]
    capacity = [None if row % 5 == 0 else row % 4 for row in range(n)]
    offers = [OFFERS[row % 2] for row in range(n)]
    return Engine.from_columns(
        [f"p{row}" for row in range(n)],
        offers,
        *places.T,
        hours=hours,
        timezone="Asia/Shanghai",
        capacity=capacity,
        areas=[None if row % 3 else 3_000.0 for row in range(n)],
    )


@pytest.mark.parametrize("is_listed", [False, True])
@pytest.mark.parametrize("k", [1, 3])
def test_nearest_many__answers_a_large_batch_as_its_pieces(k, is_listed, monkeypatch):
    monkeypatch.setattr(visits, "MANY", 64)
    rng = np.random.default_rng(11)
    engine = _city(rng, sized(300, interpreted=160))
    if is_listed:
        engine.prepare()
    q = 300
    lat, lng = (np.array([39.9, 116.4]) + rng.normal(size=(q, 2)) * 0.1).T
    offers = [OFFERS[number] for number in rng.integers(3, size=q)]
    at = np.datetime64("2026-03-02T00:00:00") + rng.integers(7 * 24 * 60, size=q).astype("timedelta64[m]")
    asked_at = at - np.timedelta64(1, "h")
    quantity = rng.integers(1, 4, size=q)
    found = engine.nearest_many(lat, lng, offers, k=k, at=at, asked_at=asked_at, quantity=quantity)
    assert ((found.row >= 0).sum(axis=1) == k).any()
    assert (found.row[:, 0] < 0).any()
    for first in range(0, q, 50):
        its = slice(first, first + 50)
        piece = engine.nearest_many(
            lat[its], lng[its], offers[its], k=k, at=at[its], asked_at=asked_at[its], quantity=quantity[its]
        )
        assert (found.row[its] == piece.row).all()
        assert (found.distance_m[its] == piece.distance_m).all()
    plain = engine.nearest_many(lat, lng, "a/b", k=k, require=())
    pieces = [engine.nearest_many(lat[i : i + 50], lng[i : i + 50], "a/b", k=k, require=()) for i in range(0, q, 50)]
    assert (plain.row == np.concatenate([piece.row for piece in pieces])).all()


def test_along_curve__visits_each_once_and_follows_the_curve():
    side = 1 << 7
    up, along = np.divmod(np.random.default_rng(3).permutation(side * side), side)
    order = visits.along_curve(up.astype(float), along.astype(float))
    assert (np.sort(order) == np.arange(side * side)).all()
    # Quarter by quarter, south to north and west to east in each.
    quarters = ((up[order] >= side // 2) * 2 + (along[order] >= side // 2)).tolist()
    assert quarters == sorted(quarters)
    steps = np.abs(np.diff(up[order])) + np.abs(np.diff(along[order]))
    assert np.median(steps) == 1


@pytest.mark.parametrize("lat", [0.0, -90.0, 90.0])
def test_along_curve__leaves_places_that_are_one_as_they_came(lat):
    places = np.full(visits.MANY, lat), np.full(visits.MANY, 180.0)
    assert (visits.along_curve(*places) == np.arange(visits.MANY)).all()


def test_along_curve__reaches_to_both_ends_of_the_earth():
    lat, lng = np.linspace(-90.0, 90.0, visits.MANY), np.linspace(-180.0, 180.0, visits.MANY)
    assert (visits.along_curve(lat, lng) == np.arange(visits.MANY)).all()
