"""PostGIS in a cluster of its own for the time of the run: nearest first by GiST, or from the areas that hold the place."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from benchmarks.feasible_city import Asked, City
from benchmarks.server_peer import AbsentError, Peer, imported, rows_of

__all__ = ["running_postgis"]

UNPRIVILEGED = ("postgres", "nobody")
SETTINGS = {
    "shared_buffers": "1GB",
    "effective_cache_size": "4GB",
    "work_mem": "64MB",
    "maintenance_work_mem": "512MB",
    "random_page_cost": "1.1",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "autovacuum": "off",
}
SCHEMA = """
CREATE EXTENSION postgis;
CREATE EXTENSION btree_gist;
CREATE TABLE week (week int PRIMARY KEY, is_open bit varying NOT NULL);
CREATE TABLE point (point int PRIMARY KEY, offer int NOT NULL, week int NOT NULL, is_full bool NOT NULL,
                    place geography(Point) NOT NULL, area geometry(Polygon) NOT NULL);
"""
INDEXES = """
CREATE INDEX point_place ON point USING gist (offer, place) WHERE NOT is_full;
CREATE INDEX point_area ON point USING gist (offer, area) WHERE NOT is_full;
"""
NEAREST = """
SELECT asked.query, found.point
FROM unnest(%(lng)s::float8[], %(lat)s::float8[], %(offer)s::int[], %(minute)s::int[])
     WITH ORDINALITY AS asked (lng, lat, offer, minute, query)
CROSS JOIN LATERAL (
    SELECT point FROM point JOIN week USING (week)
    WHERE NOT is_full AND point.offer = asked.offer AND get_bit(is_open, asked.minute) = 1
      AND ST_Intersects(area, ST_Point(lng, lat)) {within}
    ORDER BY {order} LIMIT 1
) AS found
"""
GEOGRAPHY = "ST_Point(lng, lat)::geography"
WAYS = {
    "KNN by <-> within the widest reach": NEAREST.format(
        within=f"AND ST_DWithin(place, {GEOGRAPHY}, %(widest_m)s)", order=f"place <-> {GEOGRAPHY}"
    ),
    "areas that hold the place, then nearest": NEAREST.format(within="", order=f"ST_Distance(place, {GEOGRAPHY})"),
}


@contextmanager
def running_postgis(city: City, programs: Path | None) -> Iterator[Peer]:
    """Start a cluster on a unix socket, hold the city in it, and remove it afterwards."""
    psycopg = imported("psycopg")
    programs = programs or _programs()
    with (
        _running_cluster(programs) as folder,
        psycopg.connect(f"host={folder} dbname=postgres user=linli", autocommit=True) as connection,
    ):
        _load(connection, city)
        version = connection.execute(
            "SELECT split_part(version(), ' ', 2) || ', PostGIS ' || postgis_lib_version()"
        ).fetchone()[0]
        ways = {
            name: partial(_nearest, connection, sql, float(city.reach_m.max()) * 1.001) for name, sql in WAYS.items()
        }
        told = ", ".join(f"{name} {value}" for name, value in SETTINGS.items())
        setting = (
            f"PostgreSQL {version}, GiST of (offer, place) and (offer, area) of what is not full, one statement, {told}"
        )
        yield Peer("PostGIS", setting, ways)


def _programs() -> Path:
    """Return the folder of the newest PostgreSQL that has PostGIS."""
    for folder in sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True
    ):
        shared = subprocess.run([folder / "pg_config", "--sharedir"], capture_output=True, text=True, check=True)  # noqa: S603
        if (Path(shared.stdout.strip()) / "extension" / "postgis.control").exists():
            return folder
    msg = "no PostgreSQL with PostGIS in /usr/lib/postgresql"
    raise AbsentError(msg)


@contextmanager
def _running_cluster(programs: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="linli-"))
    user = _unprivileged()
    if user is not None:
        shutil.chown(folder, user)

    def run(program: str, *words: str) -> None:
        command = [str(programs / program), *words]
        done = subprocess.run(command, user=user, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            msg = f"{program} ended with code {done.returncode}: {done.stderr.strip()[-500:]}"
            raise RuntimeError(msg)

    data, log = str(folder / "data"), str(folder / "log")
    try:
        run("initdb", "-D", data, "-U", "linli", "-A", "trust", "-E", "UTF8", "--no-sync")
        given = {**SETTINGS, "listen_addresses": "''", "unix_socket_directories": str(folder), "fsync": "off"}
        options = " ".join(f"-c {name}={value}" for name, value in given.items())
        run("pg_ctl", "-D", data, "-l", log, "-w", "-o", options, "start")
        try:
            yield folder
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder)


def _unprivileged() -> str | None:
    """Return whom PostgreSQL runs as where root would be refused."""
    if os.geteuid():
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in UNPRIVILEGED if name in known)


def _load(connection: Any, city: City) -> None:
    connection.execute(SCHEMA)
    with connection.cursor() as cursor:
        with cursor.copy("COPY week FROM STDIN") as copy:
            for number, week in enumerate(city.weeks):
                copy.write_row((number, "".join("01"[is_open] for is_open in week.is_open.astype(int))))
        places = [
            f"SRID=4326;POINT({lng!r} {lat!r})" for lng, lat in zip(city.lng.tolist(), city.lat.tolist(), strict=True)
        ]
        areas = [shapely.to_wkb(area, hex=True) for area in city.areas]
        columns = (city.offer.tolist(), city.week.tolist(), city.is_full.tolist(), places, areas)
        with cursor.copy("COPY point FROM STDIN") as copy:
            for point, values in enumerate(zip(*columns, strict=True)):
                copy.write_row((point, *values))
    connection.execute(INDEXES)
    connection.execute("VACUUM ANALYZE point")


def _nearest(connection: Any, sql: str, widest_m: float, asked: Asked) -> NDArray[np.int64]:
    given = {name: getattr(asked, name).tolist() for name in ("lng", "lat", "offer", "minute")}
    found = connection.execute(sql, {**given, "widest_m": widest_m}).fetchall()
    return rows_of(asked.lat.size, [query - 1 for query, _ in found], [point for _, point in found])
