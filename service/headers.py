"""What the header of a table must have, CSV or Parquet."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from service.errors import BadFileError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["check_columns"]


def check_columns(path: Path, names: Sequence[str], needed: Sequence[str]) -> None:
    """
    Refuse a header that lacks a column or has one twice; of many names the first are told.

    Raises
    ------
    BadFileError
        What is missing, or there twice.
    """
    counts = Counter(names)
    twice = sorted(name for name, n in counts.items() if n > 1)
    if twice:
        raise BadFileError(path, None, f"has the column {', '.join(twice)!r:.200} more than once")
    missing = [name for name in needed if name not in counts]
    if missing:
        shown = f"{', '.join(names)!r:.200}" if names else "none"
        raise BadFileError(path, None, f"lacks the column {', '.join(missing)}; it has {shown}")
