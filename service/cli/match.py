"""``linli match``: a file of orders in, a file of answers out."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.points_input import check_standing_in, default_areas_line, read_points_input
from service.cli.targets import check_targets

if TYPE_CHECKING:
    from engine import Engine
    from service.matching.job import MatchSummary
    from service.points.files import PointsFile

__all__ = ["register"]

_MOST_TOLD = 20


class Datum(StrEnum):
    """Coordinate datums."""

    wgs84 = "wgs84"
    gcj02 = "gcj02"
    bd09 = "bd09"


class UnknownHours(StrEnum):
    """What happens to a point whose hours are unknown at the time wanted."""

    refuse = "refuse"
    allow = "allow"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("match")(match_command)


def match_command(
    points: Annotated[Path, typer.Option(help="Points file: Parquet, CSV or GeoJSON.")],
    orders: Annotated[Path, typer.Option(help="Orders file: .csv, .parquet or .ndjson.")],
    out: Annotated[Path, typer.Option(help="Answers to write: .csv, .parquet or .ndjson.")],
    datum: Annotated[Datum, typer.Option(help="Datum of the orders' places.")] = Datum.wgs84,
    timezone: Annotated[str | None, typer.Option(help="IANA time zone of points that do not tell theirs.")] = None,
    country: Annotated[str | None, typer.Option(help="ISO 3166 country of points that do not tell theirs.")] = None,
    consume: Annotated[
        bool, typer.Option("--consume", help="Let orders use up capacity in the order of asked_at, then of the file.")
    ] = False,
    unknown_hours: Annotated[
        UnknownHours, typer.Option(help="Whether unknown hours count as closed or as open.")
    ] = UnknownHours.refuse,
    max_distance_m: Annotated[float | None, typer.Option(min=0, help="Metres beyond which nothing serves.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; without it one for every processor.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first bad row and write nothing.")] = False,
    report: Annotated[Path | None, typer.Option(help="JSON to write: the summary and every bad row.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """
    Find for every order the nearest point that can serve it, or say why none can.

    An orders file has the columns order_id, lat, lng and offer, and may have at, asked_at, quantity (1 where empty)
    and features (in CSV with ; between them, in NDJSON a list). Times carry an offset, such as
    2026-03-01T18:30:00+08:00; without at, hours are left out.

    Answers are order_id, status, point_id, distance_m and version, in the order of the orders. Status is matched, or
    why the nearest point with the offer cannot serve, or no_offer; point_id and distance_m are empty then.

    A point that tells no area serves within the radius of its offer's norm, as after linli import and linli load; in
    CSV and GeoJSON the area everywhere has no bounds.

    Bad rows are named and get no answer; the exit code is 1 then. In CSV the header is row 1, in NDJSON a row is a
    line. With --consume, orders that do not tell asked_at come last. In CSV, ids that a spreadsheet would run as a
    formula get an apostrophe in front.
    """
    from service.matching.memory import reserve_little

    reserve_little()
    _check_files(points, orders, out, report)
    check_standing_in(timezone, country)
    held, summary = _run(
        points,
        timezone,
        country,
        {
            "orders": orders,
            "out": out,
            "datum": datum.value,
            "consume": consume,
            "strict": strict,
            "report": report,
        },
        {"unknown_hours": unknown_hours.value, "max_distance_m": max_distance_m, "threads": threads},
    )
    _tell_bad_rows(held, orders, summary)
    if as_json:
        of_points = {"n_bad_points": len(held.bad), "default_areas": held.default_areas}
        told = summary.as_json() | of_points | {"written": str(out)}
        typer.echo(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        _show(summary, held, out)
    raise typer.Exit(1 if summary.n_bad_rows or held.bad else 0)


def _check_files(points: Path, orders: Path, out: Path, report: Path | None) -> None:
    """Refuse what cannot be meant, before anything is read (exit code 2)."""
    from service.errors import BadFileError
    from service.files import format_of
    from service.matching.order_files import FORMATS
    from service.points.files import POINT_FORMATS

    for name, path, formats in (("points", points, POINT_FORMATS), ("orders", orders, FORMATS), ("out", out, FORMATS)):
        try:
            format_of(path, formats)
        except BadFileError as error:
            raise typer.BadParameter(str(error), param_hint=f"--{name}") from error
    check_targets({"--out": out, "--report": report}, read=(points, orders))


def _run(
    points: Path, timezone: str | None, country: str | None, job: dict[str, Any], terms: dict[str, Any]
) -> tuple[PointsFile, MatchSummary]:
    from rich.console import Console

    from service.kernels import prepare_kernels
    from service.points.engine import engine_from_table

    prepare_kernels()
    console = Console(stderr=True)
    with console.status("reading the points") as status:
        held = read_points_input(points, timezone, country, strict=job["strict"])
        status.update("building the index")
        engine = engine_from_table(held.table, timezone=timezone, country=country)
    return held, _match(engine, console, job, terms)


def _match(engine: Engine, console: Any, job: dict[str, Any], terms: dict[str, Any]) -> MatchSummary:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from service.matching.asking import Terms
    from service.matching.job import match_file

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rows]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading", total=1.0, rows="")

        def progress(stage: str, share: float, n_rows: int) -> None:
            bar.update(task, description=stage, completed=share, rows=f"{n_rows:,} rows")

        return match_file(engine, **job, terms=Terms(**terms), progress=progress)


def _tell_bad_rows(held: PointsFile, orders: Path, summary: MatchSummary) -> None:
    for error in held.bad[:_MOST_TOLD]:
        typer.echo(f"Left out: {error}", err=True)
    if len(held.bad) > _MOST_TOLD:
        typer.echo(f"Left out: {len(held.bad) - _MOST_TOLD} more rows of the points", err=True)
    for bad in summary.first_bad_rows:
        typer.echo(f"Left out: {orders}, row {bad.row}: {bad.reason}", err=True)
    if summary.n_bad_rows > len(summary.first_bad_rows):
        more = summary.n_bad_rows - len(summary.first_bad_rows)
        typer.echo(f"Left out: {more} more rows of the orders (--report names them all)", err=True)


def _show(summary: MatchSummary, held: PointsFile, out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table("orders", title=f"{summary.n_orders:,} orders", title_justify="left")
    table.add_column("rows", justify="right")
    table.add_column("share", justify="right")
    counts = {"matched": summary.n_matched, **summary.n_by_reason, "bad rows": summary.n_bad_rows}
    for name, n in counts.items():
        table.add_row(name, f"{n:,}", f"{100 * n / max(1, summary.n_orders):.1f} %")
    console.print(table)
    areas = default_areas_line(held.default_areas)
    if areas is not None:
        console.print(areas, soft_wrap=True, markup=False)
    if summary.ignored_columns:
        ignored = ", ".join(summary.ignored_columns)
        console.print(f"columns that mean nothing to linli: {ignored}", soft_wrap=True, markup=False)
    console.print(f"written: {out}, index version {summary.version}", soft_wrap=True, markup=False)
