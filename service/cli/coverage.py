"""``linli coverage``: who is served, how far, and where nobody is."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.import_points import Datum
from service.cli.instants import read_instant
from service.cli.points_input import check_standing_in, default_areas_line, read_points_input
from service.cli.targets import check_targets

if TYPE_CHECKING:
    from service.planning.job import CoverageOutcome
    from service.points.files import PointsFile

__all__ = ["register"]

_MOST_TOLD = 20


class By(StrEnum):
    """What a row of the table is."""

    district = "district"
    cell = "cell"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("coverage")(coverage_command)


def coverage_command(
    points: Annotated[Path, typer.Option(help="Points file: Parquet, CSV or GeoJSON.")],
    demand: Annotated[Path, typer.Option(help="CSV or Parquet: lat, lng, weight and what names the district.")],
    offer: Annotated[str, typer.Option(help="What must be served, such as community/parcel.")],
    out: Annotated[Path, typer.Option(help="Table to write: .csv or .parquet.")],
    bands: Annotated[str, typer.Option(help="Distances in metres, inclusive.")] = "300,500,1000",
    districts: Annotated[Path | None, typer.Option(help="Map file of district borders (GeoJSON, GeoPackage).")] = None,
    district_column: Annotated[
        str | None, typer.Option(help="Column that names a district: of --districts, else of the demand file.")
    ] = None,
    by: Annotated[By | None, typer.Option(help="Rows of the table; district where districts are given.")] = None,
    cell_resolution: Annotated[int, typer.Option(min=0, max=15, help="H3 resolution of the cells.")] = 9,
    at: Annotated[str | None, typer.Option(help="When, such as 2026-11-24T18:30+08:00; without it any time.")] = None,
    datum: Annotated[Datum, typer.Option(help="Datum of the demand's places.")] = Datum.wgs84,
    timezone: Annotated[str | None, typer.Option(help="IANA time zone of points that do not tell theirs.")] = None,
    country: Annotated[str | None, typer.Option(help="ISO 3166 country of points that do not tell theirs.")] = None,
    unknown_hours: Annotated[bool, typer.Option("--unknown-hours", help="Count unknown hours as open.")] = False,
    max_distance: Annotated[float | None, typer.Option(min=0, help="Metres beyond which nothing serves.")] = None,
    any_area: Annotated[
        bool, typer.Option("--any-area", help="Leave service areas out: who lives near, whomever a point serves.")
    ] = False,
    report: Annotated[Path | None, typer.Option(help="HTML map to write; it stands alone.")] = None,
    counts: Annotated[str, typer.Option(help="What the weight counts, for the words of the map.")] = "people",
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first bad row.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """
    Tell planners how far people are from the nearest point that can serve them.

    A point that tells no area serves within the radius of its offer's norm, as after linli import and linli load; in
    CSV and GeoJSON the area everywhere has no bounds.

    Bad rows of a file are named and left out; the exit code is 1 then.
    """
    if out.suffix.lower() not in {".csv", ".parquet"}:
        text = f"must end in .csv or .parquet, got {out.name}"
        raise typer.BadParameter(text, param_hint="--out")
    check_targets({"--out": out, "--report": report}, read=(points, demand, districts))
    check_standing_in(timezone, country)
    chosen = by or (By.district if districts or district_column else By.cell)
    request = {
        "demand": demand,
        "offer": offer,
        "out": out,
        "bands_m": _bands(bands),
        "districts": districts,
        "district_column": district_column,
        "by": chosen.value,
        "cell_resolution": cell_resolution,
        "at": read_instant(at, option="--at", example="2026-11-24T18:30+08:00"),
        "unknown_hours": "allow" if unknown_hours else "refuse",
        "max_distance_m": max_distance,
        "any_area": any_area,
        "datum": datum.value,
        "page": report,
        "counts": counts,
        "strict": strict,
    }
    if chosen is By.district and not districts and not district_column:
        text = "needs --districts, or --district-column of the demand file"
        raise typer.BadParameter(text, param_hint="--by district")
    held, outcome = _run(points, timezone, country, request)
    _tell(held, outcome, as_json=as_json)
    raise typer.Exit(1 if held.bad or outcome.demand.bad else 0)


def _run(
    points: Path, timezone: str | None, country: str | None, request: dict[str, Any]
) -> tuple[PointsFile, CoverageOutcome]:
    from rich.console import Console

    from service.kernels import prepare_kernels
    from service.planning.job import CoverageRequest, cover_file
    from service.points.engine import engine_from_table

    prepare_kernels()
    with Console(stderr=True).status("reading the points") as status:
        held = read_points_input(points, timezone, country, strict=request["strict"])
        status.update("building the index")
        engine = engine_from_table(held.table, timezone=timezone, country=country)
        outcome = cover_file(CoverageRequest(engine=engine, points=held.table, **request), status.update)
    return held, outcome


def _tell(held: PointsFile, outcome: CoverageOutcome, *, as_json: bool) -> None:
    from engine.coverage import band_name
    from service.planning.outputs import summary

    bad = [*held.bad, *outcome.demand.bad]
    for error in bad[:_MOST_TOLD]:
        typer.echo(f"Left out: {error}", err=True)
    if len(bad) > _MOST_TOLD:
        typer.echo(f"Left out: {len(bad) - _MOST_TOLD} more rows", err=True)
    if as_json:
        of_files = {"n_bad_rows": len(bad), "default_areas": held.default_areas, "written": dict(outcome.written)}
        told = summary(outcome.report) | of_files
        typer.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    report = outcome.report
    typer.echo(f"total {report.total:,.0f}, unserved {report.unserved:,.0f}")
    for band, weight in report.within.items():
        share = 100 * weight / report.total if report.total else 0.0
        typer.echo(f"within {band_name(band)} m: {weight:,.0f} ({share:.1f} %)")
    for name in ("mean_m", "median_m", "p95_m", "worst_m"):
        value = getattr(report, name)
        typer.echo(f"{name.removesuffix('_m')}: {'nothing is served' if value is None else f'{value:,.1f} m'}")
    areas = default_areas_line(held.default_areas)
    if areas is not None:
        typer.echo(areas)
    for path in outcome.written.values():
        typer.echo(f"written: {path}")


def _bands(text: str) -> tuple[float, ...]:
    try:
        bands = tuple(int(part) if part.strip().isdecimal() else float(part) for part in text.split(","))
    except ValueError:
        bands = ()
    if not bands or not all(0 <= band < float("inf") for band in bands):
        message = f"must be distances in metres separated by commas, got {text!r:.60}"
        raise typer.BadParameter(message, param_hint="--bands")
    return bands
