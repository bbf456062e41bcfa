"""
Make ``geo/data/mainland_china.geojson``, the boundary inside which GCJ-02 and BD-09 differ from WGS 84.

``python -m tools.mainland_china countries-10m.json`` reads Natural Earth 1:10m as the npm package world-atlas 2.0.2
ships it (``npm pack world-atlas@2.0.2``).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

__all__ = ["boundary", "countries", "main"]

TARGET = Path(__file__).resolve().parents[1] / "geo" / "data" / "mainland_china.geojson"
CHINA = "156"  # ISO 3166 numeric
NOT_MAINLAND = ("344", "446", "158")  # Hong Kong, Macao, Taiwan: features of their own
NEAR = shapely.box(70, 10, 138, 57)
SEAWARD_STEP_DEG = 0.01
N_SEAWARD_STEPS = 5
LANDWARD_DEG = 0.005  # the source is quantised to 0.0036 by 0.0017 degrees, and border towns stand on the line
SIMPLIFIED_DEG = 0.0005
SOURCE = "Natural Earth 1:10m Admin 0 countries 4.1.0, feature China, as redistributed by npm world-atlas 2.0.2"


def countries(topology: dict[str, Any]) -> dict[str, BaseGeometry]:
    """Decode the countries near China from a TopoJSON file: id (or name, where there is none) to a valid shape."""
    transform = topology["transform"]
    arcs = [np.cumsum(np.array(arc), axis=0) * transform["scale"] + transform["translate"] for arc in topology["arcs"]]
    found: dict[str, BaseGeometry] = {}
    for feature in topology["objects"]["countries"]["geometries"]:
        parts = {"Polygon": [feature["arcs"]], "MultiPolygon": feature["arcs"]}[feature["type"]]
        rings = [[_ring(arcs, ring) for ring in part] for part in parts]
        polygons = [shapely.Polygon(shell, holes) for shell, *holes in rings if len(shell) > 3]
        near = [shapely.make_valid(p) for p in polygons if p.intersects(NEAR.envelope)]
        if near:
            found[feature.get("id") or feature["properties"]["name"]] = shapely.union_all(near)
    return found


def _ring(arcs: list[NDArray[np.float64]], indices: list[int]) -> NDArray[np.float64]:
    parts = [arcs[i] if i >= 0 else arcs[~i][::-1] for i in indices]
    return np.concatenate([parts[0], *(part[1:] for part in parts[1:])])


def boundary(shapes: dict[str, BaseGeometry]) -> BaseGeometry:
    """
    Return China's shape with its coast moved out to sea, and its land borders by what the source leaves open.

    Land and neighbours grow into the sea in equal steps, so that the sea between two goes to the nearer one.
    The border with Hong Kong and Macao stays as it is.
    """
    land = shapes[CHINA]
    others = shapely.intersection(shapely.union_all([s for key, s in shapes.items() if key != CHINA]), NEAR)
    own, foreign = land, others
    for _ in range(N_SEAWARD_STEPS):
        own_next = _grown(own).difference(_grown(foreign)).union(land).difference(others)
        foreign = _grown(foreign).difference(_grown(own)).union(others).difference(land)
        own = own_next
    shells = [shapely.Polygon(part.exterior) for part in shapely.get_parts(own)]  # enclosed bays and river mouths
    own = shapely.union_all(shells).difference(others)
    strip = shapely.buffer(land, LANDWARD_DEG, quad_segs=2)
    own = own.union(strip.difference(shapely.union_all([shapes[key] for key in NOT_MAINLAND])))
    rounded = shapely.set_precision(shapely.simplify(own, SIMPLIFIED_DEG), 1e-4)
    polygons = [part for part in shapely.get_parts(rounded) if part.geom_type == "Polygon" and part.area > 1e-5]
    return shapely.MultiPolygon(polygons).normalize()


def _grown(shape: BaseGeometry) -> BaseGeometry:
    return shapely.buffer(shape, SEAWARD_STEP_DEG, quad_segs=2)


def main(arguments: list[str]) -> int:
    """Write the boundary from the file that the command names."""
    topology = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    shape = boundary(countries(topology))
    geometry = json.loads(shapely.to_geojson(shape))
    geometry["coordinates"] = [
        [[[round(lng, 4), round(lat, 4)] for lng, lat in ring] for ring in part] for part in geometry["coordinates"]
    ]
    feature = {
        "type": "Feature",
        "properties": {"name": "Mainland China", "source": SOURCE, "licence": "public domain"},
        "geometry": geometry,
    }
    TARGET.write_text(json.dumps(feature, separators=(",", ":")) + "\n", encoding="utf-8")
    sys.stdout.write(f"{TARGET.name}: {shapely.get_num_coordinates(shape)} vertices, valid {shape.is_valid}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
