"""The demonstration itself: import, overlay, a day of orders, coverage; everything that table and page tell."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine import CoverageReport, Engine, coverage
from fixtures import day_of_orders, helsinki_path, overlay
from service.demo.basemap import Basemap, read_basemap
from service.demo.day import MAX_DISTANCE_M, Day, first_reaching, serve_day
from service.demo.examples import Explained, choose_examples
from service.demo.life import OrderLife, live_order
from service.demo.visit_life import live_visit
from service.demo.visit_steps import VisitLife
from service.points.engine import engine_from_table
from service.points.importing import import_table
from service.points.report import ImportReport

__all__ = [
    "BANDS_M",
    "CELL_RESOLUTION",
    "DAY",
    "MAX_DISTANCE_M",
    "STATION_OFFER",
    "TIMEZONE",
    "Demo",
    "Promise",
    "Side",
    "promise_of",
    "run_demo",
]

DAY = dt.date(2026, 11, 17)  # a Tuesday without holidays
TIMEZONE, COUNTRY = "Europe/Helsinki", "FI"
N_ORDERS = 2_400
SEED = 20_261_117
N_EXAMPLES = 3
BANDS_M = (300, 500, 1000)
STATION_OFFER = "community/parcel"
CELL_RESOLUTION = 10  # 120 m across: fit for a piece of a city


@dataclass(frozen=True)
class Side:
    """The same day against one table of points."""

    points: pa.Table
    engine: Engine
    day: Day
    stations: CoverageReport

    @property
    def n_points(self) -> int:
        """How many points the table has."""
        return len(self.points["point_id"].unique())


@dataclass(frozen=True)
class Promise:
    """
    Median distances over the served orders, None where there are none.

    Attributes
    ----------
    any_m
        What "the nearest of any kind" would have promised.
    offered_m
        What "the nearest that has the offer" would have promised.
    served_m
        Where the order can really be served.
    n_any_broken, n_offered_broken
        Orders, served or not, that such an answer sends to a point that does not serve them.
    """

    any_m: float | None
    offered_m: float | None
    served_m: float | None
    n_any_broken: int
    n_offered_broken: int


@dataclass(frozen=True)
class Demo:
    """
    Everything that the demonstration found.

    Attributes
    ----------
    real, full
        The day against the imported points alone, and with the synthetic overlay.
    life
        One order from its match to its collection.
    visit
        One visit from its windows to its payment.
    """

    basemap: Basemap
    orders: pa.Table
    real: Side
    full: Side
    promise: Promise
    examples: list[Explained]
    life: OrderLife
    visit: VisitLife
    imported: ImportReport


def run_demo(progress: Callable[[str, float], None]) -> Demo:
    """
    Run the demonstration on the extract that is part of linli.

    Parameters
    ----------
    progress
        Told what is done now and the share of the work before it.
    """
    progress("importing the street map", 0.0)
    table, imported = import_table([helsinki_path()], timezone=TIMEZONE, country=COUNTRY)
    basemap = read_basemap(helsinki_path())
    progress("adding synthetic points where a sector lacks them", 0.15)
    points = pa.concat_tables([table, overlay(table, seed=SEED)])
    demand = basemap.homes.columns
    orders = day_of_orders(points, seed=SEED, n=N_ORDERS, day=DAY, timezone=TIMEZONE, demand=demand)
    progress("matching a day of orders", 0.25)
    full = _side(points, orders, basemap)
    progress("matching it again without the synthetic points", 0.6)
    real = _side(table, orders, basemap)
    progress("choosing orders to explain", 0.75)
    examples = choose_examples(full.engine, full.day, N_EXAMPLES)
    progress("taking one order through its life", 0.85)
    life = live_order(points, full.engine, full.day)
    progress("taking one visit through its life", 0.88)
    visit = live_visit(points, full.engine, full.day)
    return Demo(basemap, orders, real, full, promise_of(full.day), examples, life, visit, imported)


def _side(points: pa.Table, orders: pa.Table, basemap: Basemap) -> Side:
    engine = engine_from_table(points)
    # Where people live against where stations stand: their hours and areas are left out.
    stations = coverage(
        engine,
        basemap.homes.columns,
        STATION_OFFER,
        BANDS_M,
        cell_resolution=CELL_RESOLUTION,
        require=(),
    )
    return Side(points, engine, serve_day(engine, orders), stations)


def promise_of(day: Day) -> Promise:
    """Return what other answers would have promised."""
    served = day.served
    any_m, offered_m, served_m = (
        first_reaching(np.sort(metres[served]), 1, 2) for metres in (day.any_m, day.offered_m, day.distance_m)
    )
    n_any, n_offered = (_n_broken(day, metres) for metres in (day.any_m, day.offered_m))
    return Promise(any_m, offered_m, served_m, n_any, n_offered)


def _n_broken(day: Day, promised_m: NDArray[np.float64]) -> int:
    return int((np.isfinite(promised_m) & (~day.served | (day.distance_m > promised_m))).sum())
