"""What answers about imports hold."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from service.http.fields import Answer

__all__ = ["ErrorsPage", "ImportAnswer", "ImportDone", "RowError"]


class RowError(Answer):
    """A line that was left out, and why."""

    line: int
    type: str
    where: str
    reason: str


class ImportAnswer(Answer):
    """How far an import has come."""

    import_id: str
    merchant_id: str
    state: Literal["running", "done"]
    lines: int
    upserted: int
    unchanged: int
    rejected: int
    created_at: dt.datetime
    updated_at: dt.datetime


class ImportDone(ImportAnswer):
    """
    What became of an import.

    Attributes
    ----------
    errors
        The first hundred; all of them are at `/v1/imports/{import_id}/errors`.
    filled
        How often the norm's radius, or the place's time zone or country stood in for what a line left
        out; of the lines of this request.
    """

    errors: list[RowError]
    filled: dict[str, int]


class ErrorsPage(Answer):
    """A page of the lines that were left out."""

    items: list[RowError]
    next_cursor: str | None
