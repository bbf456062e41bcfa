"""The kinds of values that requests hold, each checked strictly and told in the description of the API."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from geo.datums import DATUMS
from geo.errors import InvalidDatumError
from service.http.json_bodies import check_long_text, check_text
from service.http.query_text import degrees, instant, whole

__all__ = ["ID", "Answer", "Body", "DatumName", "Degrees", "Id", "Instant", "Line", "Note", "line", "whole_from"]

_MOST_CHARS = 200
_MOST_NOTE_CHARS = 1000


class Body(BaseModel):
    """What a request holds: of exact types, and nothing beside it."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Answer(BaseModel):
    """What an answer holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def line(max_chars: int) -> Any:
    """Return the check of a text of one line, without characters that no name needs."""
    return AfterValidator(lambda text: check_text(text, "", max_chars))


def whole_from(low: int, high: int) -> Any:
    """Return the check of a whole number in a query, which digits write and nothing else."""
    told = Annotated[int, Field(ge=low, le=high)]
    return BeforeValidator(
        lambda text: whole(text, "", low, high) if isinstance(text, str) else text, json_schema_input_type=told
    )


def _instant(value: Any) -> Any:
    # A value that is no text is told as a text that is no instant.
    return instant(value if isinstance(value, str) else repr(value), "")


def _datum(value: Any) -> Any:
    if not isinstance(value, str) or value not in DATUMS:
        raise InvalidDatumError("datum", f"must be one of {', '.join(DATUMS)}, got {value!r:.40}", value=value)
    return value


Line = Annotated[str, Field(min_length=1, max_length=_MOST_CHARS), line(_MOST_CHARS)]
"""A text of one line."""

Note = Annotated[
    str, Field(max_length=_MOST_NOTE_CHARS), AfterValidator(lambda text: check_long_text(text, "", _MOST_NOTE_CHARS))
]
"""A text that may have several lines."""

ID = re.compile(r"[a-z0-9][a-z0-9-]{1,39}")
Id = Annotated[str, Field(pattern=f"^{ID.pattern}$", examples=["corner-shop"])]
"""A name that its owner chose."""

Instant = Annotated[dt.datetime, BeforeValidator(_instant), Field(examples=["2026-11-25T10:00:00+08:00"])]
"""A time with its offset from UTC, as RFC 3339 has it."""

DatumName = Annotated[str, BeforeValidator(_datum), Field(json_schema_extra={"enum": list(DATUMS)}, examples=["wgs84"])]
"""The datum of coordinates."""

Degrees = Annotated[float, BeforeValidator(lambda text: degrees(text, "") if isinstance(text, str) else text)]
"""Degrees in a query, finite and in decimal notation."""
