"""A store that is thrown away, with one point of the demonstration: what lives in it lives by the service's own functions."""

from __future__ import annotations

import contextlib
import datetime as dt
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.norms import load_norms
from service.clock import SettableClock
from service.orders.checks import Checker
from service.orders.ordering import OrderTerms
from service.points.loading import load_points
from service.settings import load_settings
from service.store.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.demo.day import Day
    from service.store.database import Store

__all__ = ["APP", "MERCHANT", "SECRET", "ThrownAway", "order_terms", "thrown_away", "utc_of"]

MERCHANT, APP = "demo", "app"
SECRET = b"of a store that is thrown away"


class ThrownAway(NamedTuple):
    """
    The store, and its clock, which is set by hand.

    Attributes
    ----------
    point_id, name
        Of the point in it.
    rows
        That the demonstration has of the point.
    """

    store: Store
    clock: SettableClock
    point_id: str
    name: str
    rows: pa.Table


@contextlib.contextmanager
def thrown_away(points: pa.Table, point_id: str, at: dt.datetime) -> Iterator[ThrownAway]:
    """Give a store that holds a point of a table, at an instant."""
    rows = points.filter(pc.equal(points["point_id"], pa.scalar(point_id)))
    with tempfile.TemporaryDirectory() as folder:
        clock = SettableClock(at)
        with open_store(load_settings({}, data=Path(folder) / "data"), clock) as store:
            pq.write_table(rows, Path(folder) / "point.parquet")
            load_points(store, Path(folder) / "point.parquet", MERCHANT)
            stored_id = f"{MERCHANT}:{point_id.replace('/', ':')}"
            yield ThrownAway(store, clock, stored_id, rows["name"][0].as_py() or point_id, rows)


def order_terms() -> OrderTerms:
    """Return what orders and bookings are made with there."""
    return OrderTerms(SECRET, load_norms(), Checker(None))


def utc_of(day: Day, i: int, name: str) -> dt.datetime:
    """Return an instant of an order of the day, such as ``asked_at``."""
    return dt.datetime.fromtimestamp(int(getattr(day, name)[i].astype("int64")), dt.UTC)
