"""A time on the command line."""

from __future__ import annotations

import datetime as dt

import typer

__all__ = ["read_instant"]


def read_instant(text: str | None, *, option: str, example: str) -> dt.datetime | None:
    """Return an ISO 8601 time with its offset, None where none is given; bad usage names the option and an example."""
    if text is None:
        return None
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        message = f"must be a time with an offset such as {example}, got {text!r:.40}"
        raise typer.BadParameter(message, param_hint=option)
    return at
