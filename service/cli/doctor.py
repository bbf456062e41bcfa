"""``linli doctor``: whether this installation can do its work."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict
from typing import Annotated

import typer

__all__ = ["register"]

_MARKS = {"ok": "ok", "warning": "warning", "broken": "BROKEN"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor_command)


def doctor_command(
    country: Annotated[
        list[str] | None, typer.Option(help="ISO 3166 country whose holidays matter; may be given several times.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """
    Check versions, compiler, norms, time zones and holidays; the exit code is 1 if something is broken.

    A calendar that ends within 60 days is a warning: from then on, days near a holiday are unknown.
    """
    from service.checkup import DEFAULT_COUNTRIES, check_up  # it imports everything there is

    findings = check_up(today=dt.datetime.now(dt.UTC).date(), countries=country or DEFAULT_COUNTRIES)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=1))
    else:
        width = max(len(finding.name) for finding in findings)
        for finding in findings:
            typer.echo(f"{_MARKS[finding.state]:<8} {finding.name:<{width}}  {finding.told}")
    raise typer.Exit(1 if any(finding.state == "broken" for finding in findings) else 0)
