"""A city of which everything that is true in a version follows from its number: for `test_readers_and_writer`."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geo import distance_m

N_CROWD = 8_000
N_CHURNED = 300  # points of the crowd that each version replaces, so that an apply lasts, and parts are merged
N_PLACES = 8
N_SHOPS = 5
LAT, LNG = 31.0 + 0.05 * np.arange(N_PLACES), 121.0 + 0.03 * np.arange(N_PLACES)
MOVE, SWAP, SHOP, CLOCK, ZONE, CROWD = "pair/move", "twins/swap", "shop/open", "clock/open", "zone/serve", "crowd/any"
OFFERS = (MOVE, SWAP, SHOP, CLOCK, ZONE, CROWD)
MORNING, EVENING = "Mo-Su 06:00-12:00", "Mo-Su 12:00-18:00"
AT = dt.datetime(2026, 3, 4, 9, 0, tzinfo=dt.UTC)  # in the morning
NEAR = shapely.box(120.9, 30.9, 121.005, 31.01)  # contains the first place only
FAR = shapely.box(121.2, 31.3, 121.4, 31.5)  # contains the last place only
ELSEWHERE = shapely.box(10.0, 10.0, 10.1, 10.1)  # contains none
N_SMALL = 6  # points with the offers whose hours and areas change


@dataclass(frozen=True)
class Facts:
    """What holds in one version, all of it changed by one apply."""

    number: int

    @property
    def place(self) -> int:
        """Where both of the pair are."""
        return self.number * 3 % N_PLACES

    @property
    def able(self) -> str:
        """Which of the twins has a unit left."""
        return "left" if self.number % 2 else "right"

    @property
    def shops(self) -> list[str]:
        """Which shops there are."""
        return sorted(f"shop {(self.number + i * 2) % (4 * N_SHOPS)}" for i in range(N_SHOPS))

    def is_early(self, i: int) -> bool:
        """Tell whether a clock is open in the morning."""
        return (self.number + i) % 3 == 0

    def is_near(self, i: int) -> bool:
        """Tell whether a zone contains the first place."""
        return (self.number * 2 + i) % 3 == 0


class Crowd:
    """The points of the crowd: where each is, and in which version it came there."""

    def __init__(self) -> None:
        self.lat, self.lng = np.empty(N_CROWD), np.empty(N_CROWD)
        self.since = np.zeros(N_CROWD, np.int64)
        self.move(np.arange(N_CROWD), 1)

    def copy(self) -> Crowd:
        """Return the crowd as it is now."""
        other = Crowd.__new__(Crowd)
        other.lat, other.lng, other.since = self.lat.copy(), self.lng.copy(), self.since.copy()
        return other

    def move(self, which: NDArray[np.int64], number: int) -> dict[str, list[Any]]:
        """Move some in a version; return their columns."""
        rng = np.random.default_rng(number)
        self.lat[which], self.lng[which] = rng.uniform(30.9, 31.5, which.size), rng.uniform(120.9, 121.4, which.size)
        self.since[which] = number
        has_room, is_early, serves = (good[which] for good in self._abilities())
        return {
            "point_ids": [f"crowd {i}" for i in which.tolist()],
            "offers": [CROWD] * which.size,
            "lat": self.lat[which].tolist(),
            "lng": self.lng[which].tolist(),
            "areas": [None if good else ELSEWHERE for good in serves],
            "hours": [MORNING if good else EVENING for good in is_early],
            "timezone": ["UTC"] * which.size,
            "capacity": [3 if good else 0 for good in has_room],
        }

    def _abilities(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
        turn = np.arange(N_CROWD) + self.since
        return turn % 5 > 0, turn % 3 > 0, turn % 7 > 0

    def nearest(self, place: int, k: int, *, at: dt.datetime | None, serves_only: bool) -> list[tuple[str, float]]:
        """Return the k nearest that can serve a place, by brute force."""
        has_room, is_early, serves = self._abilities()
        able = has_room & serves if serves_only else has_room
        able &= is_early | (at is None)
        metres = distance_m(np.full(N_CROWD, LAT[place]), np.full(N_CROWD, LNG[place]), self.lat, self.lng)
        metres = np.where(able, metres, np.inf)
        first = np.argpartition(metres, k)[:k]
        return [(f"crowd {i}", float(metres[i])) for i in first[np.argsort(metres[first])]]

    def n_everywhere(self) -> int:
        """Return how many serve everywhere."""
        return int(np.count_nonzero(self._abilities()[2]))


def small_columns(facts: Facts) -> dict[str, list[Any]]:
    """Return the columns of all that each version replaces, the crowd left out."""
    rows: list[tuple[str, str, int, Any, str]] = [(name, MOVE, facts.place, None, "24/7") for name in ("one", "other")]
    rows += [(name, SHOP, 0, None, "24/7") for name in facts.shops]
    rows += [(f"clock {i}", CLOCK, 0, None, MORNING if facts.is_early(i) else EVENING) for i in range(N_SMALL)]
    rows += [(f"zone {i}", ZONE, 1, (NEAR if facts.is_near(i) else FAR), "24/7") for i in range(N_SMALL)]
    names, offers, places, areas, hours = (list(column) for column in zip(*rows, strict=True))
    return {
        "point_ids": names,
        "offers": offers,
        "lat": LAT[places].tolist(),
        "lng": LNG[places].tolist(),
        "areas": areas,
        "hours": hours,
        "timezone": ["UTC"] * len(names),
        "capacity": [None] * len(names),
    }


def joined(*columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return columns one below the other."""
    return {name: [value for part in columns for value in part[name]] for name in columns[0]}


def first_columns(crowd: Crowd) -> dict[str, Any]:
    """Return the columns of version 1."""
    twins: dict[str, list[Any]] = {
        "point_ids": ["left", "right"],
        "offers": [SWAP] * 2,
        "lat": [LAT[0]] * 2,
        "lng": [LNG[0]] * 2,
        "areas": [None] * 2,
        "hours": ["24/7"] * 2,
        "timezone": ["UTC"] * 2,
        "capacity": [1, 0],
    }
    return joined(small_columns(Facts(1)), twins, crowd.move(np.arange(N_CROWD), 1))


def change_to(number: int, crowd: Crowd) -> dict[str, Any]:
    """Return the one apply that leads from a version to the next; the crowd is moved."""
    before, after = Facts(number - 1), Facts(number)
    which = (number * N_CHURNED + np.arange(N_CHURNED)) % N_CROWD
    units = [1, 0] if after.able == "left" else [0, 1]
    return {
        "remove": sorted(set(before.shops) - set(after.shops)),
        "upsert": joined(small_columns(after), crowd.move(which, number)),
        "capacity": (["left", "right"], [SWAP] * 2, units),
    }
