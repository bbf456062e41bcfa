"""``linli import``: maps and points files in, one points file out."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.points_input import check_standing_in, tell_ignored
from service.cli.targets import check_targets

if TYPE_CHECKING:
    from service.points.report import ImportReport

__all__ = ["register"]

_MOST_TOLD = 20


class Datum(StrEnum):
    """Coordinate datums."""

    wgs84 = "wgs84"
    gcj02 = "gcj02"
    bd09 = "bd09"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import")(import_command)


def import_command(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SOURCE...", help="OSM extract (.osm.pbf, .osm, .osm.gz), CSV, GeoJSON or Parquet."),
    ],
    out: Annotated[Path, typer.Option(help="Points file to write: .parquet, .csv or .geojson.")],
    report: Annotated[
        Path | None, typer.Option(help="What was taken and left, and why: JSON if it ends in .json, else text.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(help="IANA time zone of points that do not tell theirs; else it is looked up.")
    ] = None,
    country: Annotated[
        str | None, typer.Option(help="ISO 3166 country of points that do not tell theirs; else it is looked up.")
    ] = None,
    datum: Annotated[
        Datum, typer.Option(help="Datum of the places in CSV, GeoJSON and Parquet (OSM is WGS 84).")
    ] = Datum.wgs84,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first bad row and write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """
    Import points from street maps and tables into one points file.

    Of a street map, every object with amenity, shop, craft or office is taken or left with a reason. Bad rows of a
    table are named and left out; the exit code is 1 then. A point that two sources have is that of the first.

    A table has the columns point_id, offer, lat and lng, and may have area, radius_m, hours, timezone, country, capacity,
    lead_s, features, kind, name, visibility, synthetic, name_zh, name_ko, name_en and address. Others are named, and
    mean nothing.
    """
    _check_options(sources, out, report, timezone, country)
    told = _run(sources, out, report, datum, timezone, country, strict=strict)
    if as_json:
        typer.echo(json.dumps(told.as_json(), ensure_ascii=False, indent=1))
    else:
        _show(told, out)
    for source in told.sources:
        tell_ignored(source.source, source.ignored_columns)
    _tell_bad_rows(told)
    raise typer.Exit(1 if told.n_bad_rows else 0)


def _check_options(
    sources: list[Path], out: Path, report: Path | None, timezone: str | None, country: str | None
) -> None:
    """Refuse what cannot be meant, before anything is read (exit code 2)."""
    from service.errors import BadFileError
    from service.files import format_of
    from service.points.files import POINT_FORMATS
    from service.points.importing import SOURCE_FORMATS

    try:
        format_of(out, POINT_FORMATS)
        for source in sources:
            format_of(source, SOURCE_FORMATS)
    except BadFileError as error:
        raise typer.BadParameter(str(error)) from error
    check_standing_in(timezone, country)
    check_targets({"--out": out, "--report": report}, read=sources)


def _run(
    sources: list[Path],
    out: Path,
    report: Path | None,
    datum: Datum,
    timezone: str | None,
    country: str | None,
    *,
    strict: bool,
) -> ImportReport:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from service.points.importing import import_points

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=len(sources) + 1)
        return import_points(
            sources,
            out,
            report=report,
            datum=datum.value,
            timezone=timezone,
            country=country,
            strict=strict,
            progress=lambda what, done: bar.update(task, description=what, completed=done),
        )


def _show(told: ImportReport, out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table("offer", title=f"{told.n_points} points with {told.n_rows} offers", title_justify="left")
    for heading in ("rows", "usual, not on the map", "area by norm"):
        table.add_column(heading, justify="right")
    usual: dict[str, int] = {}
    for source in told.sources:
        for offer, n in (source.objects.usual_offers if source.objects else {}).items():
            usual[offer] = usual.get(offer, 0) + n
    for offer, n in told.rows_by_offer.items():
        table.add_row(offer, str(n), str(usual.get(offer, 0)), str(told.default_areas.get(offer, 0)))
    console.print(table)
    for source in told.sources:
        objects = source.objects
        if objects is None:
            console.print(
                f"{source.source}: {source.n_rows} rows taken, {len(source.bad_rows)} bad", soft_wrap=True, markup=False
            )
            continue
        left = ", ".join(f"{reason} {n}" for reason, n in objects.left.items())
        hours = ", ".join(f"{state} {n}" for state, n in objects.hours.items())
        text = (
            f"{source.source}: of {objects.n_objects} objects {objects.n_taken} taken (and {objects.n_taken_besides} "
            f"for other tags), {objects.n_left} left: {left or 'none'}\n  hours: {hours}"
        )
        console.print(text, soft_wrap=True, markup=False)
    origins = (("time zone", told.timezone_origin), ("country", told.country_origin))
    for name, counts in origins:
        console.print(f"{name} from: " + (", ".join(f"{origin} {n}" for origin, n in counts.items()) or "no row"))
    console.print(f"written: {out}", soft_wrap=True, markup=False)


def _tell_bad_rows(told: ImportReport) -> None:
    bad = [f"{source.source}, row {row['row']}: {row['reason']}" for source in told.sources for row in source.bad_rows]
    for text in bad[:_MOST_TOLD]:
        typer.echo(f"Left out: {text}", err=True)
    if len(bad) > _MOST_TOLD:
        typer.echo(f"Left out: {len(bad) - _MOST_TOLD} more rows (--report names them all)", err=True)
