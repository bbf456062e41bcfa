"""``linli doctor``: whether this installation can do its work."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from service.checkup import Finding

__all__ = ["register"]

_MARKS = {"ok": "ok", "warning": "warning", "broken": "BROKEN"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor_command)


def doctor_command(
    country: Annotated[
        list[str] | None, typer.Option(help="ISO 3166 country whose holidays matter; may be given several times.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Data folder of a service to look at too; its SQLite file without --database.")
    ] = None,
    database: Annotated[str | None, typer.Option(help="Its postgresql+psycopg://…; SQLite without.")] = None,
    redis: Annotated[str | None, typer.Option(help="Its redis://…")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """
    Check versions, compiler, norms, time zones and holidays; the exit code is 1 if something is broken.

    A calendar that ends within 60 days is a warning: from then on, days near a holiday are unknown. With --data,
    --database or --redis, or where the environment names one of them, it also looks at what a service stands on: the database, its
    schema and clock, the snapshot of the index, the disk, Redis. It changes nothing, and linli may serve meanwhile.
    """
    from service.checkup import DEFAULT_COUNTRIES, check_up  # it imports everything there is
    from service.settings import names_service

    findings = check_up(today=dt.datetime.now(dt.UTC).date(), countries=country or DEFAULT_COUNTRIES)
    is_named = bool(data or database or redis or names_service())
    if is_named:
        findings += _of_place(data, database, redis)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=1))
    else:
        width = max(len(finding.name) for finding in findings)
        for finding in findings:
            typer.echo(f"{_MARKS[finding.state]:<8} {finding.name:<{width}}  {finding.told}")
    if not is_named:
        typer.echo("No service was looked at: name its folder or its database by --data or --database.", err=True)
    raise typer.Exit(1 if any(finding.state == "broken" for finding in findings) else 0)


def _of_place(data: Path | None, database: str | None, redis: str | None) -> list[Finding]:
    from service.checkup_place import check_place
    from service.settings import load_settings

    return check_place(load_settings(data=data, database=database, redis=redis))
