"""What else finds a nearest point, told beside the k-d trees on fewer queries: BallTree, `sjoin_nearest`, STRtree."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.frame import Row, best_times, say
from engine import Engine

__all__ = ["time_others"]

N_QUERIES = 5_000
Floats = NDArray[np.float64]
Places = tuple[Floats, Floats]


def time_others(engine: Engine, offer: str, points: Places, queries: Places, ks: tuple[int, ...]) -> list[Row]:
    """Time each on the first 5 000 queries, one thread, as are linli's; those that find one neighbour at k = 1 alone."""
    lat, lng = queries[0][:N_QUERIES], queries[1][:N_QUERIES]
    rows: list[Row] = []
    for k in ks:
        peers = _one_neighbour(points, (lat, lng)) if k == 1 else {}
        peers["scikit-learn BallTree"] = (
            _ball_tree(points, (lat, lng), k),
            "haversine, radians ready made, leaf_size 40",
        )
        work: dict[str, Callable[[], object]] = {name: ask for name, (ask, _) in peers.items()}
        say(f"  told beside them, {lat.size} queries, k = {k}")
        best = best_times({"linli": partial(engine.nearest_many, lat, lng, offer, k=k, threads=1), **work}, repeats=3)
        case = f"typical, {points[0].size:,} points, k = {k}, random order, {lat.size:,} queries"
        cost = {name: seconds / lat.size * 1e6 for name, seconds in best.items()}
        rows.extend(
            Row.of_costs(case, name, f"{setting}, 1 thread", "us a query", cost["linli"], cost[name])
            for name, (_, setting) in peers.items()
        )
    return rows


def _ball_tree(points: Places, queries: Places, k: int) -> Callable[[], object]:
    from sklearn.neighbors import BallTree

    tree = BallTree(np.radians(np.stack(points, axis=1)), metric="haversine")
    return partial(tree.query, np.radians(np.stack(queries, axis=1)), k=k)


def _one_neighbour(points: Places, queries: Places) -> dict[str, tuple[Callable[[], object], str]]:
    import geopandas as gpd
    import shapely

    # In degrees both are given what they are quickest at; their nearest is then not the nearest in metres.
    frames = [gpd.GeoDataFrame(geometry=shapely.points(lng, lat)) for lat, lng in (points, queries)]
    frames[0].sindex  # noqa: B018, builds the index, so that it is not counted
    tree = shapely.STRtree(frames[0].geometry.to_numpy())
    return {
        "geopandas sjoin_nearest": (partial(gpd.sjoin_nearest, frames[1], frames[0]), "in degrees, index ready made"),
        "shapely STRtree": (partial(tree.nearest, frames[1].geometry.to_numpy()), "in degrees, ready made geometries"),
    }
