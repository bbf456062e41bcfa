"""The files of the demonstration."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from service.demo.page import demo_page
from service.demo.run import Demo
from service.files import atomic_path, write_text
from service.maps import render_map
from service.points.files import write_points

__all__ = ["write_demo"]


def write_demo(demo: Demo, folder: Path) -> dict[str, Path]:
    """
    Write the page, and points, orders and demand as files that other commands read; return them by name.

    Raises
    ------
    BadFileError
        If they cannot be written there.
    """
    files = {
        "page": folder / "demo.html",
        "points": folder / "points.parquet",
        "orders": folder / "orders.parquet",
        "demand": folder / "homes.csv",
    }
    write_points(demo.full.points, files["points"])
    with atomic_path(files["orders"]) as temporary:
        pq.write_table(demo.orders, temporary)
    with atomic_path(files["demand"]) as temporary:
        pd.DataFrame(demo.basemap.homes.columns).to_csv(temporary, index=False)
    write_text(files["page"], render_map(demo_page(demo)))
    return files
