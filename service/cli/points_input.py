"""The points file of a command that asks it, and what stands in where its rows are silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from service.points.files import PointsFile

__all__ = ["check_standing_in", "default_areas_line", "read_points_input", "tell_ignored"]

_MOST_TOLD = 20
_MOST_NAME_CHARS = 60


def check_standing_in(timezone: str | None, country: str | None) -> None:
    """
    Refuse a time zone or a country that there is not, before anything is read (exit code 2).

    Parameters
    ----------
    timezone, country
        For points that do not tell theirs; None for none.
    """
    if timezone is None and country is None:
        return
    from engine.errors import EngineError  # the engine imports the compiler
    from engine.holidays import check_country
    from engine.local_time import check_timezone

    for option, value, check in (("--timezone", timezone, check_timezone), ("--country", country, check_country)):
        try:
            if value is not None:
                check(value)
        except EngineError as error:
            raise typer.BadParameter(str(error), param_hint=option) from error


def read_points_input(path: Path, timezone: str | None, country: str | None, *, strict: bool) -> PointsFile:
    """
    Read a points file as `linli import` and `linli load` do: an offer without an area serves within its norm's radius.

    Columns that mean nothing are named on stderr.

    Raises
    ------
    BadFileError
        If the file cannot be read, or for its first bad row if ``strict``.
    """
    from engine.norms import load_norms
    from service.points.files import read_points

    file = read_points(path, timezone=timezone, country=country, norms=load_norms(), strict=strict)
    tell_ignored(path, file.ignored)
    return file


def tell_ignored(path: Path | str, columns: Sequence[str]) -> None:
    """Say on stderr which columns of a points file mean nothing: one may be misspelt."""
    if not columns:
        return
    names = ", ".join((name if name.isprintable() else repr(name))[:_MOST_NAME_CHARS] for name in columns[:_MOST_TOLD])
    more = f" and {len(columns) - _MOST_TOLD} more" if len(columns) > _MOST_TOLD else ""
    typer.echo(f"{path}: columns that mean nothing here: {names}{more}", err=True)


def default_areas_line(default_areas: Mapping[str, int]) -> str | None:
    """Return for people how many rows of each offer got their norm's radius; None if none did."""
    if not default_areas:
        return None
    counts = ", ".join(f"{offer} {n}" for offer, n in default_areas.items())
    return f"points without an area, served within their norm's radius: {counts}"
