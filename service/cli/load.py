"""``linli load``: a points file into the registry."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.import_points import Datum
from service.cli.points_input import tell_ignored
from service.cli.store_options import Data, Database

if TYPE_CHECKING:
    from service.points.loading import LoadReport
    from service.settings import Settings

__all__ = ["register"]

_MOST_TOLD = 20
_MOST_NAME_CHARS = 200
_MERCHANT = re.compile(r"[a-z0-9][a-z0-9-]{1,39}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("load")(load_command)


def load_command(
    points: Annotated[Path, typer.Argument(metavar="POINTS", help="Points file: .parquet, .csv or .geojson.")],
    merchant: Annotated[str, typer.Option(help="Whose points they are; made and verified where it is missing.")],
    name: Annotated[str | None, typer.Option(help="Name of a new merchant; its id without.")] = None,
    datum: Annotated[Datum, typer.Option(help="Datum of the file's places and areas.")] = Datum.wgs84,
    data: Data = None,
    database: Database = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """
    Put a points file into the registry, beside a running server too.

    Points that are there alike already are passed over: a load that broke off is started again. Pauses, special days
    and slots stay as they stand. Bad rows, and points that would leave open orders behind, are named and left out; the
    exit code is 1 then. A point that is there already and has a bad row stays as it stands; of a new one the good rows
    are taken. Columns that mean nothing are named; `linli import --help` lists the others.
    """
    if _MERCHANT.fullmatch(merchant) is None:
        text = f"must be 2 to 40 of a-z, 0-9 and -, the first no -, got {merchant!r:.60}"
        raise typer.BadParameter(text, param_hint="--merchant")
    from service.settings import load_settings

    _check_name(name)
    told = _run(load_settings(data=data, database=database), points, merchant, name, datum)
    tell_ignored(points, told.ignored)
    if as_json:
        bad = [{"row": error.row, "reason": error.reason} for error in told.bad]
        counts = {"points": told.n_points, "written": told.n_written, "unchanged": told.n_points - told.n_written}
        typer.echo(json.dumps({"merchant": merchant, "status": told.status, **counts, "bad": bad}, ensure_ascii=False))
    else:
        _show(told, merchant)
    raise typer.Exit(1 if told.bad else 0)


def _check_name(name: str | None) -> None:
    """Refuse a name that no route would take."""
    from service.http.json_bodies import check_text
    from service.http.problems import ProblemError

    try:
        check_text(name or "", "", _MOST_NAME_CHARS)
    except ProblemError as error:
        raise typer.BadParameter(error.detail.strip(), param_hint="--name") from error


def _run(settings: Settings, points: Path, merchant: str, name: str | None, datum: Datum) -> LoadReport:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from service.clock import SystemClock
    from service.errors import BadFileError
    from service.points.loading import load_points
    from service.store.opening import open_store

    if not points.is_file():  # before a database is made for it
        raise BadFileError(points, None, "there is no such file")
    columns = (TextColumn("points"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = Progress(*columns, console=Console(stderr=True), transient=True)
    with open_store(settings, SystemClock()) as store, shown as bar:
        task = bar.add_task("", total=None)
        return load_points(
            store,
            points,
            merchant,
            name=name,
            datum=datum.value,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def _show(told: LoadReport, merchant: str) -> None:
    made = "made and verified" if told.is_new_merchant else told.status
    typer.echo(f"merchant {merchant}: {made}")
    unchanged = told.n_points - told.n_written
    typer.echo(f"{told.n_points} points: {told.n_written} written, {unchanged} as they were, {len(told.bad)} bad rows")
    for error in told.bad[:_MOST_TOLD]:
        typer.echo(f"Left out: {error}", err=True)
    if len(told.bad) > _MOST_TOLD:
        typer.echo(f"Left out: {len(told.bad) - _MOST_TOLD} more rows (--json names them all)", err=True)
