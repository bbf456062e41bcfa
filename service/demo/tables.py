"""The tables of the demonstration, the same for the terminal and for the page."""

from __future__ import annotations

from engine import CoverageReport
from service.demo.day import SECTORS, SectorRow
from service.demo.run import BANDS_M, MAX_DISTANCE_M, Demo, Side
from service.demo.words import NOTHING, REASON_WORDS, number, sector_words, share
from service.maps import Table

__all__ = ["HOMES_WORDS", "all_tables"]

_ALWAYS_TOLD = ("closed", "hours_unknown", "outside_area", "full", "too_far")
HOMES_WORDS = (
    "Who lives where is not in the map: floor area (footprint times storeys, 5 where the map gives none) of buildings "
    "whose tag does not say that nobody lives there stands for people. It is a stand-in, not a census."
)
_WITH, _WITHOUT = "with the synthetic overlay", "OpenStreetMap alone"


def all_tables(demo: Demo) -> list[Table]:
    """Return all tables in the order in which they are told."""
    return [sector_table(demo), overlay_table(demo), promise_table(demo), station_table(demo)]


def sector_table(demo: Demo) -> Table:
    """Return what became of the orders of each sector."""
    rows = demo.full.day.by_sector(SECTORS)
    occurring = {reason for row in rows for reason in row.reasons} | set(_ALWAYS_TOLD)
    reasons = [reason for reason in REASON_WORDS if reason in occurring]
    header = ("sector", "orders", "served", "median m", "p95 m", *(REASON_WORDS[reason] for reason in reasons))
    return Table(
        "A day of orders by sector",
        header,
        tuple(_sector_cells(row, reasons) for row in rows),
        "Median and p95: distance to the point that serves. Then the orders nobody serves, by the reason of the nearest "
        f"point that has the offer; too far is more than {number(MAX_DISTANCE_M)} m. The first come is the first served.",
        total_row=True,
    )


def _sector_cells(row: SectorRow, reasons: list[str]) -> tuple[str, ...]:
    name = row.sector if row.sector == "all" else sector_words(row.sector)
    counts = (number(row.reasons[reason]) if reason in row.reasons else "0" for reason in reasons)
    return (name, number(row.n_orders), number(row.n_served), _bare(row.median_m), _bare(row.p95_m), *counts)


def _bare(value: float | None) -> str:
    return NOTHING if value is None else number(value)


def overlay_table(demo: Demo) -> Table:
    """Return the totals with and without the synthetic points."""
    return Table(
        "With and without the synthetic points",
        ("points from", "points", "offers", "orders served", "share", "median m", "p95 m", "nobody offers it"),
        (_side_cells(_WITH, demo.full), _side_cells(_WITHOUT, demo.real)),
        "The same orders twice. This piece of Helsinki lacks some offers; a seeded overlay fills them, and is marked.",
    )


def _side_cells(name: str, side: Side) -> tuple[str, ...]:
    every = side.day.by_sector(SECTORS)[-1]
    return (
        name,
        number(side.n_points),
        number(side.points.num_rows),
        number(every.n_served),
        share(every.n_served, every.n_orders),
        _bare(every.median_m),
        _bare(every.p95_m),
        number(every.reasons.get("no_offer", 0)),
    )


def promise_table(demo: Demo) -> Table:
    """Return what other answers would have promised."""
    promise, n, served = demo.promise, demo.orders.num_rows, int(demo.full.day.served.sum())
    return Table(
        "What a nearer answer would have promised",
        ("answer", "median m", "orders sent in vain"),
        (
            ("the nearest place of any kind", _bare(promise.any_m), number(promise.n_any_broken)),
            ("the nearest that has the offer", _bare(promise.offered_m), number(promise.n_offered_broken)),
            ("the nearest that can serve (linli)", _bare(promise.served_m), "0"),
        ),
        f"Median over the {number(served)} orders that somebody can serve. In vain: of all {number(n)} orders, those sent to "
        f"a door that cannot serve them; linli says of {number(n - served)} that nobody can, and why.",
    )


def station_table(demo: Demo) -> Table:
    """Return who lives how far from a community station."""
    header = ("points from", *(f"within {band} m" for band in BANDS_M), "median m", "p95 m", "worst m")
    rows = (_station_cells(_WITH, demo.full.stations), _station_cells(_WITHOUT, demo.real.stations))
    return Table("Who lives near a community station 社区服务站", header, rows, HOMES_WORDS)


def _station_cells(name: str, report: CoverageReport) -> tuple[str, ...]:
    within = (share(report.within[band], report.total) for band in BANDS_M)
    distances = (report.median_m, report.p95_m, report.worst_m)
    return (name, *within, *(_bare(value) for value in distances))
