"""SedonaDB and DuckDB, engines over tables: the areas that hold each place are joined, and the nearest of them is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from benchmarks.feasible_city import Asked, City
from benchmarks.server_peer import AbsentError, Peer, imported, rows_of

__all__ = ["running_duckdb", "running_sedona"]

THREADS = 2
PAIRS = """
SELECT asked.query, asked.offer AS asked_offer, asked.minute, asked.x AS qx, asked.y AS qy, asked.z AS qz, point.*
FROM point JOIN asked ON ST_Intersects(point.area, asked.place)
"""
NEAREST = """
SELECT query, point FROM (
    SELECT query, point, row_number() OVER (
        PARTITION BY query ORDER BY (x - qx) * (x - qx) + (y - qy) * (y - qy) + (z - qz) * (z - qz)) AS place_in_order
    FROM pairs JOIN opening ON opening.week = pairs.week
    WHERE NOT is_full AND pairs.offer = asked_offer AND opens <= minute AND minute < closes
) AS ordered WHERE place_in_order = 1
"""


@contextmanager
def running_sedona(city: City) -> Iterator[Peer]:
    """Hold the city in SedonaDB's memory."""
    sedona: Any = imported("sedonadb")
    context = sedona.connect()
    for name, table in {"point": _points(city), "opening": _openings(city)}.items():
        context.create_data_frame(table).to_memtable().to_view(name, overwrite=True)

    def nearest(asked: Asked, *, join: str) -> NDArray[np.int64]:
        context.create_data_frame(_asked(asked)).to_view("asked", overwrite=True)
        found = pa.table(context.sql(f"WITH pairs AS ({join}) {NEAREST}"))
        return rows_of(asked.lat.size, found["query"], found["point"])

    joins = {"joined by area alone": PAIRS, "joined by area and offer": f"{PAIRS} AND point.offer = asked.offer"}
    ways = {name: partial(nearest, join=join) for name, join in joins.items()}
    yield Peer(
        "SedonaDB",
        f"sedonadb {sedona.__version__}, tables in memory, spatial join of areas and places, its threads",
        ways,
    )


@contextmanager
def running_duckdb(city: City) -> Iterator[Peer]:
    """Hold the city in DuckDB's memory."""
    duckdb: Any = imported("duckdb")
    with duckdb.connect(config={"threads": THREADS}) as connection:
        _load_spatial(duckdb, connection)
        for name, table in {"given": _points(city).to_wkb(), "opening": _openings(city)}.items():
            connection.register(f"{name}_frame", pd.DataFrame(table))
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM {name}_frame")  # noqa: S608 - names of ours
        connection.execute(
            "CREATE TABLE point AS SELECT * REPLACE (ST_GeomFromWKB(area) AS area) FROM given ORDER BY ST_Hilbert(ST_Centroid(ST_GeomFromWKB(area)))"
        )

        def nearest(asked: Asked) -> NDArray[np.int64]:
            connection.register("asked_frame", pd.DataFrame(_asked(asked).to_wkb()))
            query = "SELECT * REPLACE (ST_GeomFromWKB(place) AS place) FROM asked_frame"
            found = connection.execute(
                f"WITH asked AS ({query}), pairs AS MATERIALIZED ({PAIRS}) {NEAREST}"
            ).fetchnumpy()
            return rows_of(asked.lat.size, found["query"], found["point"])

        setting = f"duckdb {duckdb.__version__} with its spatial extension, {THREADS} threads, table in Hilbert order"
        yield Peer("DuckDB", setting, {"spatial join of areas and places": nearest})


def _load_spatial(duckdb: Any, connection: Any) -> None:
    """Load the extension from its wheel or from where DuckDB keeps what was installed."""
    try:
        package = Path(imported("duckdb_extension_spatial").__file__).parent
        name = str(next(package.rglob("*.duckdb_extension")))
    except AbsentError:
        name = "spatial"
    try:
        connection.load_extension(name)
    except duckdb.Error as error:
        msg = f"DuckDB {duckdb.__version__} without its spatial extension: {str(error).splitlines()[0]}"
        raise AbsentError(msg) from error


def _points(city: City) -> gpd.GeoDataFrame:
    x, y, z = city.xyz.T
    facts = {"point": np.arange(x.size), "offer": city.offer, "week": city.week, "is_full": city.is_full}
    areas = gpd.GeoSeries(city.areas, crs="EPSG:4326")
    return gpd.GeoDataFrame({**facts, "x": x, "y": y, "z": z, "area": areas}, geometry="area")


def _asked(asked: Asked) -> gpd.GeoDataFrame:
    x, y, z = asked.xyz.T
    facts = {"query": np.arange(x.size), "offer": asked.offer, "minute": asked.minute, "x": x, "y": y, "z": z}
    places = gpd.GeoSeries(shapely.points(asked.lng, asked.lat), crs="EPSG:4326")
    return gpd.GeoDataFrame({**facts, "place": places}, geometry="place")


def _openings(city: City) -> pd.DataFrame:
    """Return the minutes of the week from which, and up to which, each week is open."""
    spans = []
    for number, week in enumerate(city.weeks):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], week.is_open, [False]]).astype(np.int8)))
        spans += [(number, opens, closes) for opens, closes in edges.reshape(-1, 2).tolist()]
    return pd.DataFrame(spans, columns=["week", "opens", "closes"])
