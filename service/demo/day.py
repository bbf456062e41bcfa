"""A day of orders, served first come, first served, and what became of them by sector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine import REASONS, Engine

__all__ = ["SECTORS", "Day", "SectorRow", "first_reaching", "serve_day"]

SECTORS = ("retail", "food_service", "housekeeping", "laundry", "appliance_repair", "ticketing", "fresh_food")

MAX_DISTANCE_M = 1_500.0
"""Nobody is sent further than this across a city centre."""


@dataclass(frozen=True)
class SectorRow:
    """
    What became of a sector's orders.

    Attributes
    ----------
    median_m, p95_m
        Distance to the point that serves, over the served orders; None where there are none.
    reasons
        The other orders by the reason why nobody serves them: that of the nearest point that has the offer.
    """

    sector: str
    n_orders: int
    n_served: int
    median_m: float | None
    p95_m: float | None
    reasons: dict[str, int]


@dataclass(frozen=True)
class Day:
    """
    The orders of a day with their answers, q of each.

    Attributes
    ----------
    lat, lng, offer, sector, at, asked_at, quantity
        The orders, in the order in which they were asked.
    row, distance_m
        The row that serves each, -1 and inf where none does.
    code
        Of `engine.REASONS`, 0 where it is served.
    any_m, offered_m
        Distance to the nearest public point whatever it is, and to the nearest that has the offer.
    """

    lat: NDArray[np.float64]
    lng: NDArray[np.float64]
    offer: list[str]
    sector: NDArray[np.str_]
    at: NDArray[np.datetime64]
    asked_at: NDArray[np.datetime64]
    quantity: NDArray[np.int64]
    row: NDArray[np.int64]
    distance_m: NDArray[np.float64]
    code: NDArray[np.uint8]
    any_m: NDArray[np.float64]
    offered_m: NDArray[np.float64]

    @property
    def served(self) -> NDArray[np.bool_]:
        """Which orders a point serves."""
        return self.row >= 0

    def ask(self, i: int) -> dict[str, Any]:
        """Return what order i asks of a point."""
        return {
            "at": self.at[i],
            "asked_at": self.asked_at[i],
            "quantity": int(self.quantity[i]),
            "max_distance_m": MAX_DISTANCE_M,
        }

    def by_sector(self, sectors: tuple[str, ...]) -> list[SectorRow]:
        """Return a row for each sector, and one named ``all``."""
        rows = [self._sector_row(sector, self.sector == sector) for sector in sectors]
        return [*rows, self._sector_row("all", np.ones(self.row.size, bool))]

    def _sector_row(self, sector: str, mine: NDArray[np.bool_]) -> SectorRow:
        distances = np.sort(self.distance_m[mine & self.served])
        counts = np.bincount(self.code[mine & ~self.served], minlength=len(REASONS)).tolist()
        return SectorRow(
            sector,
            int(mine.sum()),
            distances.size,
            first_reaching(distances, 1, 2),
            first_reaching(distances, 19, 20),
            {reason: n for reason, n in zip(REASONS, counts, strict=True) if n},
        )


def serve_day(engine: Engine, orders: pa.Table) -> Day:
    """
    Serve the orders one after the other, in the order of the table, using up capacity.

    Parameters
    ----------
    engine
        Who can serve; it is not changed.
    orders
        Columns of an orders file, in the order in which they are asked.
    """
    lat, lng = orders["lat"].to_numpy(), orders["lng"].to_numpy()
    offers = [str(offer) for offer in orders["offer"].to_pylist()]
    at, asked_at = (_utc(orders[name]) for name in ("at", "asked_at"))
    quantity = orders["quantity"].to_numpy()
    matches = engine.nearest_in_turn(
        lat,
        lng,
        offers,
        units=engine.units(),
        at=at,
        asked_at=asked_at,
        quantity=quantity,
        max_distance_m=MAX_DISTANCE_M,
    )
    code = matches.code if matches.code is not None else np.zeros(lat.size, np.uint8)
    return Day(
        lat,
        lng,
        offers,
        np.array([offer.partition("/")[0] for offer in offers], np.str_),
        at,
        asked_at,
        quantity,
        matches.row[:, 0],
        matches.distance_m[:, 0],
        code,
        engine.nearest_point_many(lat, lng).distance_m[:, 0],
        engine.nearest_many(lat, lng, offers, require=()).distance_m[:, 0],
    )


def first_reaching(ascending: NDArray[np.float64], numerator: int, denominator: int) -> float | None:
    """Return the first of n sorted values that a share of them does not exceed, None if there are none."""
    if not ascending.size:
        return None
    return float(ascending[-(-ascending.size * numerator // denominator) - 1])


def _utc(column: pa.ChunkedArray[Any]) -> NDArray[np.datetime64]:
    seconds = column.cast(pa.timestamp("s", "UTC")).cast(pa.int64()).to_numpy()
    return seconds.astype("datetime64[s]")
