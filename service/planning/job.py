"""The job of `linli coverage`: demand and points in, figures by district or cell out, whole or not at all."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from engine import CoverageReport, Engine, coverage
from engine.coverage import band_name
from engine.norms import load_norms
from geo.cells import ancestor_cells
from service.errors import ServiceError
from service.files import atomic_path, full_disk_told
from service.maps import MapPoint, Outline, render_map
from service.planning.demand_file import DemandFile, read_demand
from service.planning.districts_file import read_districts
from service.planning.outputs import write_coverage
from service.planning.page import CoveragePage, coverage_page

__all__ = ["CoverageOutcome", "CoverageRequest", "cover_file"]

Progress = Callable[[str], None]
_pc: Any = pyarrow.compute  # its stubs refuse calls that it takes
_MOST_CELLS_DRAWN = 12_000


@dataclass(frozen=True, kw_only=True)
class CoverageRequest:
    """
    What is asked of which files.

    Attributes
    ----------
    points
        Table of points, which ``engine`` holds.
    demand
        CSV or Parquet file of ``lat, lng, weight`` and ``district_column``.
    districts
        Map file of districts; without it the demand's ``district_column`` names them.
    by
        ``district`` or ``cell``.
    any_area
        Whether service areas are left out: who lives near, whomever a point serves.
    page
        Where the map page goes, None for none.
    counts
        What the weight counts, in the plural.
    strict
        Whether the first bad row of demand ends the job.
    """

    engine: Engine
    points: pa.Table
    demand: Path
    offer: str
    out: Path
    bands_m: tuple[float, ...] = (300, 500, 1000)
    districts: Path | None = None
    district_column: str | None = None
    by: str = "cell"
    cell_resolution: int = 9
    at: dt.datetime | None = None
    unknown_hours: str = "refuse"
    max_distance_m: float | None = None
    any_area: bool = False
    datum: str = "wgs84"
    page: Path | None = None
    counts: str = "people"
    strict: bool = False

    @property
    def ask(self) -> dict[str, Any]:
        """What is asked of each place."""
        ask = {"at": self.at, "unknown_hours": self.unknown_hours, "max_distance_m": self.max_distance_m}
        return ask | {"require": ("open", "capacity")} if self.any_area else ask


@dataclass(frozen=True)
class CoverageOutcome:
    """A report, and what was wrong with the demand."""

    report: CoverageReport
    demand: DemandFile
    written: Mapping[str, str] = field(default_factory=dict)


def cover_file(request: CoverageRequest, progress: Progress) -> CoverageOutcome:
    """
    Read the demand, ask, write the table and, if wanted, the page; whole or, where this raises, not at all.

    Parameters
    ----------
    progress
        Told what is done now.

    Raises
    ------
    BadFileError
        If a file cannot be read or written, or a row is bad and the job is strict.
    ServiceError
        If figures by district are asked for and nothing tells the districts, or the offer is one that nobody knows.
    """
    by_column = request.district_column if request.districts is None else None
    if request.by == "district" and request.districts is None and by_column is None:
        text = "figures by district need --districts, or --district-column of the demand file"
        raise ServiceError(text)
    offers = request.engine.offers
    if request.offer not in offers and request.offer not in load_norms().by_offer:
        text = f"no point has the offer {request.offer!r:.80}, nor has it a norm; the points have {', '.join(offers)!r:.400}"
        raise ServiceError(text)
    with ExitStack() as stack:
        out = stack.enter_context(atomic_path(request.out))
        page = None if request.page is None else stack.enter_context(atomic_path(request.page))
        return _outcome(request, by_column, out, page, progress)


def _outcome(
    request: CoverageRequest, by_column: str | None, out: Path, page: Path | None, progress: Progress
) -> CoverageOutcome:
    """Do the job, its results written to ``out`` and ``page`` for the time being."""
    progress("reading the demand")
    demand = read_demand(request.demand, datum=request.datum, label_column=by_column)
    if request.strict and demand.bad:
        raise demand.bad[0]
    districts = demand.labels
    if request.districts is not None:
        districts = read_districts(request.districts, name_column=request.district_column)
    progress("finding who serves whom")
    report = _cover(request, demand, districts, request.cell_resolution)
    progress("writing")
    written = {"out": str(request.out)}
    with full_disk_told(request.out):
        write_coverage(report, out, by=request.by)
    if page is not None:
        written["report"] = str(request.page)
        outlines = districts if request.districts is not None else None
        page.write_text(_page(request, demand, report, outlines), encoding="utf-8", newline="\n")
    return CoverageOutcome(report, demand, written)


def _cover(request: CoverageRequest, demand: DemandFile, districts: Any, resolution: int) -> CoverageReport:
    return coverage(
        request.engine,
        demand.columns,
        request.offer,
        request.bands_m,
        districts,
        cell_resolution=resolution,
        **request.ask,
    )


def _page(request: CoverageRequest, demand: DemandFile, report: CoverageReport, districts: Any) -> str:
    resolution = _drawn_resolution(demand, request.cell_resolution)
    notes = [f"Hexagons are H3 cells of resolution {resolution}."]
    drawn = report
    if resolution != request.cell_resolution:
        labels = districts if districts is not None else demand.labels
        drawn = _cover(request, demand, labels, resolution)
        notes.append(f"At resolution {request.cell_resolution}, as in the table, they would be too many to draw.")
    if demand.bad:
        notes.append(f"{len(demand.bad)} rows of the demand were bad and are left out.")
    told = CoveragePage(
        offer=request.offer,
        question=_question(request),
        points=_points(request.points, request.offer),
        outlines=() if districts is None else _outlines(districts),
        noun=request.counts,
        unknown_hours=None if request.at is None else request.unknown_hours,
        notes=tuple(notes),
    )
    return render_map(coverage_page(drawn, told))


def _drawn_resolution(demand: DemandFile, finest: int) -> int:
    for resolution in range(finest, 0, -1):
        kept = demand.weight > 0
        if np.unique(ancestor_cells(demand.lat[kept], demand.lng[kept], resolution)).size <= _MOST_CELLS_DRAWN:
            return resolution
    return 0


def _question(request: CoverageRequest) -> str:
    when = "At any time" if request.at is None else f"At {request.at.isoformat(sep=' ', timespec='minutes')}"
    unknown = ", unknown hours counted as open" if request.unknown_hours == "allow" else ""
    limit = "" if request.max_distance_m is None else f", not further than {band_name(request.max_distance_m)} m"
    areas = ", service areas left out" if request.any_area else ""
    return f"{when}{unknown if request.at else ''}{limit}{areas}."


def _points(table: pa.Table, offer: str) -> tuple[MapPoint, ...]:
    public = _pc.fill_null(_pc.equal(table["visibility"], "public"), True)
    rows = table.filter(_pc.and_(_pc.equal(table["offer"], offer), public))
    columns = [rows[name].to_pylist() for name in ("lat", "lng", "name", "point_id", "hours", "synthetic")]
    return tuple(
        MapPoint(lat, lng, offer, name or point_id, (offer, hours or "hours unknown"), bool(synthetic))
        for lat, lng, name, point_id, hours, synthetic in zip(*columns, strict=True)
    )


def _outlines(districts: Any) -> tuple[Outline, ...]:
    # A tenth of a thousandth of a degree is 11 m: finer borders would only make the file big.
    simple = districts.geometry.simplify(1e-4)
    return tuple(Outline(name, shape) for name, shape in zip(districts["district"], simple, strict=True))
