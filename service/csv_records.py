"""The records of a CSV file one by one, those among them that cannot be taken apart, and what is no UTF-8 in them."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["csv_records", "is_unicode"]


def csv_records(reader: Any) -> Iterator[tuple[int, list[str], str | None]]:
    """Give every record of a `csv.reader` with the line in which it begins, or why it cannot be taken apart."""
    while True:
        line = reader.line_num + 1
        try:
            yield line, next(reader), None
        except StopIteration:
            return
        except csv.Error as error:
            last = reader.line_num
            lines = f"lines {line} to {last} " if last > line else ""  # a quote that is never closed takes them all
            yield line, [], f"{lines}cannot be taken apart: {error}"


def is_unicode(value: str) -> bool:
    """Tell whether a text has no lone surrogates, as which bytes that are no UTF-8 are read."""
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)
