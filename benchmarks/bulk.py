"""Bulk upsert of points into SQLite, beside a bare loop that decodes, validates and inserts the same rows."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import shapely
from pydantic import TypeAdapter

from benchmarks.frame import ROOT, Row, say
from geo import area_to_geojson
from service.audit.store import COMMAND
from service.clock import SystemClock
from service.deadlines import Deadline
from service.garbage import settle_garbage
from service.http.context import RequestContext
from service.imports.points import PointImport
from service.imports.streaming import import_stream
from service.keys.store import create_key
from service.merchants.store import create_merchant
from service.points.schemas import BulkPointBody
from service.services import open_services
from service.settings import load_settings
from service.store.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.store.connections import WriteConnection

__all__ = ["bulk_rows", "point_lines"]

REACH = 0.5
MERCHANT, RATE = "demo", 1_000_000_000
_CHUNK, _BLOCK = 500, 65_536
_SHARE_DRAWN = 5  # to check a polygon takes ten times as long as all else
_HOURS = ("24/7", "Mo-Su 08:00-22:00", "Mo-Fr 09:00-18:00; Sa 10:00-16:00; PH off", None)
_FEATURES: tuple[list[str], ...] = (["lift"], ["brand:linjia", "wheelchair"], [])
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "wal_autocheckpoint=1000", "temp_store=MEMORY")
_COLUMNS = {
    "points": "point_id, kind, name, address, lat, lng, timezone, country, features, revision",
    "offers": "point_id, offer, radius_m, hours, capacity, lead_s",
    "changes WHERE kind = 'point'": "kind, subject, revision, merchant_id",
}
_ADDRESS = re.compile(rb"linli serves on (http://\S+),")

Pace = Callable[[list[bytes], Path], float]


def bulk_rows(n_points: int, *, repeats: int = 3, seed: int = 1) -> tuple[int, int, list[Row]]:
    """
    Measure linli and the bare loop in turns, each on a store of its own.

    Returns
    -------
    tuple
        How many stores were compared with the bare loop's, how many of them differed, and the rows.
    """
    settle_garbage()  # as the server does; the bare loop has it, too
    round_lines = point_lines(n_points, drawn=False, seed=seed)
    drawn_lines = point_lines(n_points // _SHARE_DRAWN, drawn=True, seed=seed)
    cases: tuple[tuple[str, list[bytes], Pace, float | None], ...] = (
        ("radius areas", round_lines, store_pace, REACH),
        ("polygons of 12 corners", drawn_lines, store_pace, None),
        ("radius areas, over HTTP into a live index", round_lines, http_pace, None),
    )
    rows, n_checked, n_wrong = [], 0, 0
    for case, lines, pace, reach in cases:
        best = {"linli": 0.0, "bare": 0.0}
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as bare, tempfile.TemporaryDirectory() as own:
                best["bare"] = max(best["bare"], bare_pace(lines, Path(bare)))
                best["linli"] = max(best["linli"], pace(lines, Path(own)))
                n_wrong += _stored(Path(bare)) != _stored(Path(own))
                n_checked += 1
        say(f"    bulk upsert, {case}: linli {best['linli']:,.0f}, bare loop {best['bare']:,.0f} points/s")
        setting = "json.loads with object_pairs_hook, TypeAdapter, sqlite3.executemany; 500 points a transaction"
        ratio = round(best["linli"] / best["bare"], 3)
        figures = (round(best["linli"], 1), round(best["bare"], 1), ratio, reach)
        rows.append(Row(f"bulk upsert, {len(lines):,} points, {case}", "bare loop", setting, "points/s", *figures))
    return n_checked, n_wrong, rows


def point_lines(n: int, *, drawn: bool, seed: int) -> list[bytes]:
    """Return n points as lines of an import: two offers each, areas as radii, or drawn with twelve corners."""
    rng = np.random.default_rng(seed)
    lat, lng = 31.2 + rng.normal(0.0, 0.1, n), 121.5 + rng.normal(0.0, 0.1, n)
    lines = []
    for number in range(n):
        area: Any = {"radius_m": 500.0 + number % 7 * 250.0}
        if drawn:
            area = area_to_geojson(shapely.Point(lng[number], lat[number]).buffer(0.02, quad_segs=3))
        told = {"area": area, "hours": _HOURS[number % 4], "capacity": number % 40, "lead_s": 900}
        body = {
            "point_id": f"{MERCHANT}:p{number:06}",
            "kind": "store",
            "name": f"Shop 便利店 {number}",
            "address": f"Road {number % 500}, {number % 90}",
            "lat": float(lat[number]),
            "lng": float(lng[number]),
            "timezone": "Asia/Shanghai",
            "country": "CN",
            "features": _FEATURES[number % 3],
            "offers": [{"offer": "retail/delivery", **told}, {"offer": "retail/pickup", **told}],
        }
        lines.append(json.dumps(body, ensure_ascii=False).encode())
    return lines


def bare_pace(lines: list[bytes], folder: Path) -> float:
    """Return the points a second of the bare loop."""
    _opened(folder)
    return _pace(len(lines), partial(_bare_loop, lines, folder / "linli.db"))


def store_pace(lines: list[bytes], folder: Path) -> float:
    """Return the points a second of an import into the store, which no index follows."""
    key = _opened(folder)
    with open_services(load_settings({}, data=folder)) as services:
        services.follower.close()
        body = b"\n".join(lines)

        async def blocks() -> AsyncIterator[bytes]:
            for start in range(0, len(body), _BLOCK):
                yield body[start : start + _BLOCK]

        def run() -> None:
            context = RequestContext("", services.ring.caller_of(key, 0), Deadline.after(3600))
            asyncio.run(import_stream(services, blocks(), PointImport(MERCHANT, services, "bench"), "imp", context))

        return _pace(len(lines), run)


def http_pace(lines: list[bytes], folder: Path) -> float:
    """Return the points a second of an import over HTTP, while the index of the server follows."""
    key = _opened(folder)
    with _serving(folder) as url, httpx.Client(base_url=url, trust_env=False, timeout=3600) as client:
        headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/x-ndjson",
            "Idempotency-Key": "bulk",
        }
        body = b"\n".join(lines)
        return _pace(len(lines), lambda: client.post("/v1/points:import", content=body, headers=headers))


@contextmanager
def _serving(folder: Path) -> Iterator[str]:
    words = [sys.executable, "-c", "from service.cli import main; main()", "serve", "--port=0", f"--data={folder}"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            found = None
            while found is None:
                found = _ADDRESS.search(process.stdout.readline() if process.stdout else b"")
            url = found[1].decode()
            while not _is_ready(url):
                time.sleep(0.05)
            yield url
        finally:
            process.terminate()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", trust_env=False).is_success
    except httpx.TransportError:
        return False


def _opened(folder: Path) -> str:
    """Make a store with a merchant in it; return that merchant's key."""
    with open_store(load_settings({}, data=folder), SystemClock()) as store:
        return store.write_now(_open_up)


def _open_up(connection: WriteConnection) -> str:
    create_merchant(connection, COMMAND, MERCHANT, "Demo", "verified")
    return create_key(connection, scope="merchant", label="bulk", merchant_id=MERCHANT, rate=RATE).secret


def _pace(n: int, work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return n / (time.perf_counter() - start)


def _bare_loop(lines: list[bytes], file: Path) -> None:
    """Decode, validate and insert, and nothing else: no hours are read, no progress is kept, nobody is told."""
    adapter = TypeAdapter(BulkPointBody)
    connection = sqlite3.connect(file, isolation_level=None)
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    for start in range(0, len(lines), _CHUNK):
        points, offers, changes = [], [], []
        for line in lines[start : start + _CHUNK]:
            body = adapter.validate_python(json.loads(line, object_pairs_hook=_once))
            features = ";" + "".join(f"{feature};" for feature in sorted(body.features))
            points.append(
                (body.point_id, MERCHANT, body.kind, body.name, body.address, body.lat, body.lng, body.timezone,
                 body.country, body.visibility, features, None, body.paused, False, False, 1, 0, 0)
            )  # fmt: skip
            for offer in body.offers:
                is_round = isinstance(offer.area, float)
                radius_m, area = (offer.area, None) if is_round else (None, _wkb(offer.area.geojson))
                offers.append(
                    (body.point_id, offer.offer, radius_m, area, offer.hours, offer.capacity, offer.lead_s,
                     offer.paused, 0)
                )  # fmt: skip
            changes.append((0, "point", body.point_id, 1, MERCHANT, 0))
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(f"INSERT INTO points VALUES ({','.join('?' * 18)})", points)  # noqa: S608
        connection.executemany(f"INSERT INTO offers VALUES ({','.join('?' * 9)})", offers)  # noqa: S608
        connection.executemany(
            "INSERT INTO changes (tx, kind, subject, revision, merchant_id, at) VALUES (?, ?, ?, ?, ?, ?)", changes
        )
        connection.execute("COMMIT")
    connection.close()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _wkb(geojson: dict[str, Any]) -> bytes:
    return bytes(shapely.to_wkb(shapely.geometry.shape(geojson)))


def _stored(folder: Path) -> list[Any]:
    """Return what both must have stored alike."""
    connection = sqlite3.connect(folder / "linli.db")
    try:
        return [
            connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2").fetchall()  # noqa: S608 - our own names
            for table, columns in _COLUMNS.items()
        ]
    finally:
        connection.close()
