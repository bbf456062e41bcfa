"""Imports as answers tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.clock import from_us
from service.imports.schemas import ImportAnswer, ImportDone, RowError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.store.connections import AnyRow

__all__ = ["import_answer", "import_done", "row_error"]


def import_answer(row: AnyRow) -> ImportAnswer:
    """Return how far an import has come."""
    return ImportAnswer(**_told(row))


def import_done(row: AnyRow, errors: Sequence[AnyRow], filled: Mapping[str, int]) -> ImportDone:
    """Return what became of an import."""
    return ImportDone(**_told(row), errors=[row_error(bad) for bad in errors], filled=dict(filled))


def row_error(row: AnyRow) -> RowError:
    """Return a line that was left out."""
    return RowError(line=row.line, type=row.slug, where=row.place, reason=row.reason)


def _told(row: AnyRow) -> dict[str, Any]:
    return {
        "import_id": row.import_id,
        "merchant_id": row.merchant_id,
        "state": row.state,
        "lines": row.lines_done,
        "upserted": row.upserted,
        "unchanged": row.lines_done - row.upserted - row.rejected,
        "rejected": row.rejected,
        "created_at": from_us(row.created_at),
        "updated_at": from_us(row.updated_at),
    }
