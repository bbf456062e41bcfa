"""The coverage report as a map page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from engine.coverage import band_name
from geo.cells import cell_boundary, cell_to_text
from service.maps import (
    Bounds,
    Category,
    Figure,
    Hexagon,
    HexLayer,
    MapPage,
    MapPoint,
    Outline,
    Table,
    band_classes,
    count_classes,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from engine import CoverageFigures, CoverageReport

__all__ = ["CoveragePage", "coverage_page"]

MAX_POINTS = 20_000
MAX_DISTRICTS = 300
_MARGIN = 0.03
_NOTHING = "\N{EN DASH}"
_HOURS = {
    None: "",
    "refuse": " An unknown opening time does not count as open.",
    "allow": " An unknown opening time counts as open.",
}


@dataclass(frozen=True, kw_only=True)
class CoveragePage:
    """
    What a coverage page tells besides the figures.

    Attributes
    ----------
    offer
        The offer asked for.
    question
        The rest of the question in words: when, within which limit.
    noun
        What the weight counts, in the plural.
    unknown_hours
        ``refuse`` or ``allow``, as it was asked; None where hours were not asked for.
    """

    offer: str
    question: str
    points: tuple[MapPoint, ...]
    outlines: tuple[Outline, ...] = ()
    noun: str = "people"
    unknown_hours: str | None = None
    attribution: str = ""
    notes: tuple[str, ...] = ()


def coverage_page(report: CoverageReport, told: CoveragePage) -> MapPage:
    """Return the page of a report: cells by mean distance and by weight out of reach, points, districts."""
    bands = sorted(report.within)
    notes = [*told.notes, *_notes(report, told)]
    points = told.points if len(told.points) <= MAX_POINTS else ()
    return MapPage(
        title=f"Coverage of {told.offer}",
        subtitle=f"How far {told.noun} are from the nearest point that can serve them. {told.question}",
        bounds=_bounds(report, points),
        attribution=told.attribution or "Points, demand and districts: as given",
        figures=_figures(report, told.noun),
        categories=(Category("points", told.offer, "circle", "#222222"),),
        points=tuple(replace(point, category="points") for point in points),
        outlines=told.outlines,
        hex_layers=layers(report, bands, told.noun) if report.by_cell and bands else (),
        tables=(_table(report, bands),),
        notes=tuple(notes),
    )


def layers(report: CoverageReport, bands: list[float], noun: str) -> tuple[HexLayer, ...]:
    """Return the two hexagon layers of a report: mean distance, and weight beyond the last band."""
    distances = band_classes(bands)
    beyond = {cell: _beyond(figures, bands[-1]) for cell, figures in report.by_cell.items()}
    counts = count_classes(max(beyond.values()), noun)
    lines = {cell: _lines(cell, figures, bands, noun) for cell, figures in report.by_cell.items()}
    by_distance = tuple(
        Hexagon(cell, distances.of(_painted_m(figures)), lines[cell]) for cell, figures in report.by_cell.items()
    )
    by_count = tuple(Hexagon(cell, counts.of(round(beyond[cell])), lines[cell]) for cell in report.by_cell)
    return (
        HexLayer(
            "distance",
            "mean distance",
            f"Metres to the nearest point that serves, averaged over the {noun} that one serves; the darkest also where "
            "nothing serves most of them.",
            distances.legend,
            by_distance,
        ),
        HexLayer(
            "beyond",
            f"{noun} out of reach",
            f"{noun.capitalize()} in each hexagon with nothing that serves them within {band_name(bands[-1])} m.",
            counts.legend,
            by_count,
        ),
    )


def _painted_m(figures: CoverageFigures) -> float:
    """Return the mean distance, beyond all where most are served by nothing: it is a mean over the others."""
    return float("inf") if figures.mean_m is None or 2 * figures.unserved > figures.total else figures.mean_m


def _beyond(figures: CoverageFigures, limit_m: float) -> float:
    return figures.total - figures.within[limit_m]


def _lines(cell: int, figures: CoverageFigures, bands: list[float], noun: str) -> tuple[str, ...]:
    inside = [f"{_share(figures.within[band], figures.total)} within {band_name(band)} m" for band in bands]
    return (
        f"{_number(figures.total)} {noun}",
        f"mean distance {_metres(figures.mean_m)}, {_share(figures.unserved, figures.total)} served by nothing",
        ", ".join(inside),
        f"cell {cell_to_text(cell)}",
    )


def _figures(report: CoverageReport, noun: str) -> tuple[Figure, ...]:
    within = [
        Figure(_share(weight, report.total), f"of {noun} within {band_name(band)} m ({_number(weight)})")
        for band, weight in report.within.items()
    ]
    return (
        *within,
        Figure(_metres(report.median_m), f"median distance of the {noun} that are served"),
        Figure(_metres(report.p95_m), "95 of 100 of them are nearer than this"),
        Figure(_number(report.unserved), f"{noun} nothing serves, of {_number(report.total)}"),
    )


def _table(report: CoverageReport, bands: list[float]) -> Table:
    header = (
        "district",
        "total",
        *(f"within {band_name(band)} m" for band in bands),
        "unserved",
        "mean m",
        "median m",
        "p95 m",
        "worst m",
    )
    named = sorted(report.by_district.items(), key=lambda item: -item[1].total)[:MAX_DISTRICTS]
    rows = [_row("in none of them" if label is None else str(label), figures, bands) for label, figures in named]
    return Table("By district" if rows else "Figures", header, (*rows, _row("all", report, bands)), total_row=True)


def _row(label: str, figures: CoverageFigures | CoverageReport, bands: list[float]) -> tuple[str, ...]:
    inside = (_share(figures.within[band], figures.total) for band in bands)
    distances = (figures.mean_m, figures.median_m, figures.p95_m, figures.worst_m)
    told = (_number(round(value)) if value is not None else _NOTHING for value in distances)
    return (label, _number(figures.total), *inside, _number(figures.unserved), *told)


def _notes(report: CoverageReport, told: CoveragePage) -> list[str]:
    notes = [
        f"Distances are straight lines on the ground.{_HOURS[told.unknown_hours]}",
        f"Mean, median, p95 and worst are those of the {told.noun} that a point serves.",
    ]
    if len(told.points) > MAX_POINTS:
        notes.append(f"The {_number(len(told.points))} points are too many to draw and are left out of the map.")
    if len(report.by_district) > MAX_DISTRICTS:
        notes.append(
            f"The {_number(len(report.by_district))} rows by district are too many to list: those after the "
            f"{MAX_DISTRICTS} of greatest total are left out of the table."
        )
    return notes


def _bounds(report: CoverageReport, points: tuple[MapPoint, ...]) -> Bounds:
    """Return the box of the cells (of the points if there are none) with a margin."""
    if report.by_cell:
        corners = np.concatenate([cell_boundary(cell) for cell in report.by_cell])
    else:
        corners = np.array([(point.lat, point.lng) for point in points] or [(0.0, 0.0)])
    south, north = float(corners[:, 0].min()), float(corners[:, 0].max())
    west, east = _ends(corners[:, 1])
    margin = max(0.002, _MARGIN * max(north - south, east - west))
    return Bounds(south - margin, west - margin, north + margin, east + margin)


def _ends(lng: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ends of the shortest stretch that has all longitudes, the eastern beyond 180 if it has that."""
    around = np.unique(lng)
    gaps = np.diff(around, append=around[0] + 360.0)
    widest = int(gaps.argmax())
    if gaps[widest] <= gaps[-1]:
        return float(around[0]), float(around[-1])
    return float(around[widest + 1]), float(around[widest]) + 360.0


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else _NOTHING


def _metres(value: float | None) -> str:
    return _NOTHING if value is None else f"{_number(round(value))} m"


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\u202f")
