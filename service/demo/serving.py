"""The demo's points as a service: registered once, with a key and a line to try."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import select

from fixtures import helsinki_path, overlay
from service.demo.run import COUNTRY, SEED, TIMEZONE
from service.points.importing import import_table
from service.points.loading import load_points
from service.store.tables import points

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.services import Services
    from service.store.database import Store

__all__ = ["MERCHANT", "fill_demo", "trial_path"]

MERCHANT = "demo"
_CENTER = (60.1699, 24.9384)  # Helsinki's railway square
_AHEAD_H = 14 * 24


def fill_demo(store: Store, progress: Callable[[int, int | None], None]) -> int:
    """Register the demo's points unless all of them or others are there; return how many were written."""
    kept = store.read_now(lambda connection: set(connection.rows(select(points.c.point_id, points.c.merchant_id))))
    table, _ = import_table([helsinki_path()], timezone=TIMEZONE, country=COUNTRY)
    table = pa.concat_tables([table, overlay(table, seed=SEED)])
    if {row.merchant_id for row in kept} - {MERCHANT} or len(kept) == pc.count_distinct(table["point_id"]).as_py():
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "demo.parquet"
        pq.write_table(table, path)
        return load_points(store, path, MERCHANT, name="Helsinki demo", progress=progress).n_written


def trial_path(services: Services) -> str:
    """Return a question that somebody can serve: now if there is one, else at the next full hour."""
    lat, lng = _CENTER
    now = dt.datetime.now(dt.UTC)
    hours = (now.replace(minute=0, second=0, microsecond=0) + dt.timedelta(hours=n) for n in range(1, _AHEAD_H))
    engine = services.index.view.engine
    for at in (now, *hours):
        for offer in services.norms.by_offer:
            if engine.found(lat, lng, offer, at=at, asked_at=now).rows:
                wanted = "" if at == now else f"&at={quote(at.isoformat(), safe='')}"
                return f"/v1/match?lat={lat}&lng={lng}&offer={offer}{wanted}"
    return f"/v1/match?lat={lat}&lng={lng}&offer=retail/pickup"
