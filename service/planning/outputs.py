"""Write a coverage report by district or by cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from engine.coverage import band_name
from geo.cells import cell_to_text
from service.matching.spreadsheets import escaped

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from engine import CoverageReport

__all__ = ["coverage_table", "summary", "write_coverage"]


def coverage_table(report: CoverageReport, by: str) -> pd.DataFrame:
    """Return a row for each ``district`` or ``cell`` (H3 text), the key in the first column."""
    frame = report.to_frame()
    table = frame[frame["level"] == by].drop(columns="level").reset_index(drop=True)
    if by == "cell":
        table["label"] = [cell_to_text(cell) for cell in table["label"]]
    else:
        table["label"] = [None if label is None else str(label) for label in table["label"]]
    return table.rename(columns={"label": by})


def write_coverage(report: CoverageReport, path: Path, *, by: str) -> None:
    """
    Write `coverage_table` as CSV or Parquet, by the suffix.

    In CSV, districts that a spreadsheet would run as a formula get an apostrophe in front.
    """
    table = coverage_table(report, by)
    if path.suffix.lower() == ".parquet":
        table.to_parquet(path, index=False)
    else:
        table[by] = escaped(pa.array(table[by].tolist(), pa.string(), from_pandas=True)).to_pylist()
        table.to_csv(path, index=False)


def summary(report: CoverageReport) -> dict[str, object]:
    """Return the figures of the whole as plain values for JSON."""
    return {
        "total": report.total,
        "unserved": report.unserved,
        "within": {band_name(band): weight for band, weight in report.within.items()},
        "mean_m": report.mean_m,
        "median_m": report.median_m,
        "p95_m": report.p95_m,
        "worst_m": report.worst_m,
        "n_districts": len(report.by_district),
        "n_cells": len(report.by_cell),
        "version": report.version,
    }
