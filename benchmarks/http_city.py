"""The benchmarks' city in a store of its own, as merchants would have registered it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from fixtures import city
from service.clock import SystemClock
from service.feed.columns import joined_features
from service.keys.store import create_key
from service.settings import load_settings
from service.store.opening import open_store
from service.store.tables import merchants, offers, points

if TYPE_CHECKING:
    from fixtures.city import City
    from service.store.connections import WriteConnection

__all__ = ["MERCHANT", "RATE", "register_city"]

MERCHANT = "city"
RATE = 1_000_000_000
_POINTS_A_WRITE = 5_000


def register_city(folder: Path, n_points: int, seed: int) -> tuple[City, str]:
    """Put a city into a new SQLite store; return it, and the key of an app."""
    drawn = city(seed, n_points, 1)
    of_point: dict[str, list[dict[str, Any]]] = {}
    for row in drawn.points_table().to_pylist():
        of_point.setdefault(row["point_id"], []).append(row)
    groups = list(of_point.values())
    with open_store(load_settings({}, data=folder), SystemClock()) as store:
        key = store.write_now(_open_up)
        for start in range(0, len(groups), _POINTS_A_WRITE):
            store.write_now(partial(_insert, groups=groups[start : start + _POINTS_A_WRITE]), 300)
    return drawn, key


def _open_up(connection: WriteConnection) -> str:
    now = connection.now_us
    values = {"name": "City", "status": "verified", "revision": 1, "created_at": now, "updated_at": now}
    connection.run(insert(merchants), {"merchant_id": MERCHANT, **values})
    connection.record_change("merchant", MERCHANT, 1, MERCHANT)
    return create_key(connection, scope="app", label="benchmark", rate=RATE).secret


def _insert(connection: WriteConnection, groups: list[list[dict[str, Any]]]) -> None:
    own, rows = [group[0] for group in groups], [row for group in groups for row in group]
    now = connection.now_us
    same = {"is_paused": False, "is_deleted": False, "revision": 1, "created_at": now, "updated_at": now}
    connection.run(
        insert(points),
        [
            {
                "point_id": f"{MERCHANT}:{row['point_id']}",
                "merchant_id": MERCHANT,
                "kind": row["kind"],
                "name": row["name"],
                "lat": row["lat"],
                "lng": row["lng"],
                "timezone": row["timezone"],
                "country": row["country"],
                "visibility": row["visibility"],
                "features": joined_features((row["features"] or "").split(";") if row["features"] else []),
                "is_synthetic": True,
                **same,
            }
            for row in own
        ],
    )
    connection.run(
        insert(offers),
        [
            {
                "point_id": f"{MERCHANT}:{row['point_id']}",
                "offer": row["offer"],
                "radius_m": row["radius_m"],
                "area": row["area"],
                "hours": row["hours"],
                "capacity": row["capacity"],
                "lead_s": row["lead_s"] or 0,
                "is_paused": False,
            }
            for row in rows
        ],
    )
    connection.record_changes("point", [(f"{MERCHANT}:{row['point_id']}", 1) for row in own], MERCHANT)
