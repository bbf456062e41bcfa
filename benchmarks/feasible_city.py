"""The city of benchmark `feasible`: offers, hours, areas and capacity of a million rows, and what is asked of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from benchmarks.places import METRES_A_DEGREE, clustered_places, ecef
from benchmarks.weeks import MINUTES, MONDAY, TIMEZONE, Week, weeks
from engine import Engine, StockEntries

__all__ = ["OFFERS", "Asked", "City", "ask", "build_city"]

OFFERS = tuple(f"sector_{number}/pickup" for number in range(10))
N_WEEKS = 50
N_VERTICES = 16
UNITS = 5
HALF_SERVED_M = 200.0
"""From point to corners of a middling area, at a million rows, with which half of the queries find someone."""

OPEN_AT_NIGHT = 0.001
"""The share of rows that never close: a peer can't pass over the nights unlooked at."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class City:
    """
    n rows, one a point.

    Attributes
    ----------
    offer, week
        Numbers in `OFFERS` and ``weeks``.
    xyz
        Earth-centred metres, shape (n, 3).
    reach_m
        A chord in metres beyond which the row's area holds no place.
    """

    lat: Floats
    lng: Floats
    xyz: Floats
    offer: Ints
    week: Ints
    is_full: NDArray[np.bool_]
    areas: NDArray[np.object_]
    reach_m: Floats
    weeks: list[Week]

    def engine(self, stock: StockEntries | None = None) -> Engine:
        """Return linli's index of the city."""
        return Engine.from_columns(
            [f"p{row}" for row in range(self.lat.size)],
            [OFFERS[number] for number in self.offer],
            self.lat,
            self.lng,
            areas=self.areas,
            hours=[self.weeks[number].expression for number in self.week],
            timezone=TIMEZONE,
            capacity=np.where(self.is_full, 0, UNITS),
            stock=stock,
        )


@dataclass(frozen=True, kw_only=True)
class Asked:
    """q queries, each with its own offer and its own minute of the week."""

    lat: Floats
    lng: Floats
    xyz: Floats
    offer: Ints
    minute: Ints

    @property
    def offers(self) -> list[str]:
        """The offers by name."""
        return [OFFERS[number] for number in self.offer]

    @property
    def at(self) -> NDArray[np.datetime64]:
        """The times in UTC, datetime64[s]."""
        monday = np.datetime64(int(MONDAY.timestamp()), "s")
        return monday + (self.minute * 60).astype("timedelta64[s]")

    def take(self, which: Ints | slice) -> Asked:
        """Return some of the queries."""
        parts = {name: values[which] for name, values in vars(self).items()}
        return Asked(**parts)


def build_city(n: int, seed: int, area_m: float | None = None) -> City:
    """
    Scatter n rows, half of them full.

    Areas are from half to one and a half times ``area_m`` from point to corners; without it as large as serves
    about half of the queries.
    """
    area_m = HALF_SERVED_M * float(np.sqrt(1e6 / n)) if area_m is None else area_m
    lat, lng = clustered_places(n, seed)
    rng = np.random.default_rng(seed + 10)
    xyz = ecef(lat, lng)
    size_m = area_m * rng.uniform(0.5, 1.5, n)
    corners = _corners(lat, lng, size_m, rng)
    return City(
        lat=lat,
        lng=lng,
        xyz=xyz,
        offer=rng.integers(len(OFFERS), size=n),
        week=np.where(rng.random(n) < OPEN_AT_NIGHT, 0, rng.integers(1, N_WEEKS, size=n)),
        is_full=rng.random(n) < 0.5,
        areas=np.asarray(shapely.polygons(np.concatenate([corners, corners[:, :1]], axis=1))),
        reach_m=_reach_m(xyz, corners),
        weeks=weeks(N_WEEKS, seed),
    )


def ask(n: int, seed: int) -> Asked:
    """Scatter n queries over the city, the offers and the week."""
    lat, lng = clustered_places(n, seed + 1)
    rng = np.random.default_rng(seed + 20)
    offer, minute = rng.integers(len(OFFERS), size=n), rng.integers(MINUTES, size=n)
    return Asked(lat=lat, lng=lng, xyz=ecef(lat, lng), offer=offer, minute=minute)


def _corners(lat: Floats, lng: Floats, size_m: Floats, rng: np.random.Generator) -> Floats:
    """Return the corners of stars round places in lng/lat, shape (n, `N_VERTICES`, 2)."""
    angle = np.arange(N_VERTICES) * (2 * np.pi / N_VERTICES)
    radius = size_m[:, None] * rng.uniform(0.6, 1.0, size=(lat.size, N_VERTICES)) / METRES_A_DEGREE
    east = radius * np.cos(angle) / np.cos(np.radians(lat))[:, None]
    return np.stack([lng[:, None] + east, lat[:, None] + radius * np.sin(angle)], axis=2)


def _reach_m(xyz: Floats, corners: Floats) -> Floats:
    """Return the farthest corner's chord, and a thousandth for edges that are straight in degrees."""
    far_sq = np.zeros(len(xyz))
    for corner in range(N_VERTICES):
        there = ecef(corners[:, corner, 1], corners[:, corner, 0])
        np.maximum(far_sq, ((there - xyz) ** 2).sum(axis=1), out=far_sq)
    return np.sqrt(far_sq) * 1.001
