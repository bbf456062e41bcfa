"""Write a map page as one HTML file that stands alone."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from geo.cells import cell_boundary
from service.maps.classes import SYMBOLS
from service.maps.projection import Projection

if TYPE_CHECKING:
    from service.maps.page import Example, HexLayer, MapPage, Spot, Street

__all__ = ["render_map"]

_MAX_STREET_LABELS = 40
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class _Legend:
    key: str
    label: str
    label_zh: str
    symbol: str
    colour: str
    n_real: int
    n_synthetic: int


def render_map(page: MapPage) -> str:
    """
    Return the HTML of a page: inline SVG, style and script, and no request to anywhere.

    Parameters
    ----------
    page
        What is shown. All its text is escaped; colours and symbol names are ours.
    """
    projection = Projection.of(page.bounds)
    width, height = projection.size
    environment = Environment(
        loader=PackageLoader("service.maps"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    points, told = _points(page, projection)
    hexes, hex_told = _hexes(page.hex_layers, projection)
    return environment.get_template("map.html.j2").render(
        page=page,
        width=width,
        height=height,
        portrait=height > 1.1 * width,
        streets=_streets(page.streets, projection),
        street_labels=_street_labels(page.streets, projection),
        shapes=_shapes(page, projection),
        outlines=_outlines(page, projection),
        symbols=SYMBOLS,
        legend=_legend(page),
        points=points,
        hex_layers=hexes,
        examples=[_example(number, example, projection) for number, example in enumerate(page.examples, 1)],
        data={
            "home": [0, 0, width, height],
            "metres": projection.metres_per_unit,
            "points": told,
            "hexes": hex_told,
        },
    )


def _legend(page: MapPage) -> list[_Legend]:
    counts = Counter((point.category, point.synthetic) for point in page.points)
    return [
        _Legend(
            kind.key,
            kind.label,
            kind.label_zh,
            kind.symbol,
            kind.colour,
            counts[(kind.key, False)],
            counts[(kind.key, True)],
        )
        for kind in page.categories
    ]


def _points(page: MapPage, projection: Projection) -> tuple[list[dict[str, object]], list[list[str]]]:
    """Return the groups of symbols by category and origin, and the texts in the order they are drawn."""
    groups: dict[tuple[str, bool], list[int]] = defaultdict(list)
    for i, point in enumerate(page.points):
        groups[(point.category, point.synthetic)].append(i)
    drawn: list[dict[str, object]] = []
    told: list[list[str]] = []
    for kind in page.categories:
        for synthetic in (False, True):
            rows = groups[(kind.key, synthetic)]
            if not rows:
                continue
            chosen = [page.points[i] for i in rows]
            xy = projection.units([p.lat for p in chosen], [p.lng for p in chosen])
            drawn.append({"kind": kind, "synthetic": synthetic, "xy": [_xy(x, y) for x, y in xy.tolist()]})
            told += [[p.title, *p.lines] for p in chosen]
    return drawn, told


def _hexes(layers: tuple[HexLayer, ...], projection: Projection) -> tuple[list[dict[str, object]], list[list[str]]]:
    """Return each layer's outlines by class, and the texts in the order they are drawn."""
    drawn: list[dict[str, object]] = []
    told: list[list[str]] = []
    for layer in layers:
        by_class: list[list[dict[str, object]]] = [[] for _ in layer.classes]
        for hexagon in layer.hexagons:
            path = projection.line(cell_boundary(hexagon.cell)) + "z"
            by_class[hexagon.hex_class].append({"path": path, "told": len(told)})
            told.append(list(hexagon.lines))
        drawn.append({"layer": layer, "classes": list(zip(layer.classes, by_class, strict=True))})
    return drawn, told


def _streets(streets: tuple[Street, ...], projection: Projection) -> list[dict[str, object]]:
    """Return one path for each rank, the least important first."""
    by_rank: dict[int, list[str]] = defaultdict(list)
    for street in streets:
        by_rank[street.rank].append(projection.clipped_line(street.path))
    return [{"rank": rank, "path": "".join(by_rank[rank])} for rank in sorted(by_rank, reverse=True)]


def _street_labels(streets: tuple[Street, ...], projection: Projection) -> list[dict[str, object]]:
    """Return a label for the longest straight piece of each of the longest named streets."""
    longest: dict[str, tuple[float, NDArrayPair]] = {}
    total: Counter[str] = Counter()
    for street in streets:
        if not street.name or street.rank > 1 or len(street.path) < 2:
            continue
        xy = projection.units(street.path[:, 0], street.path[:, 1])
        ends = (tuple(xy[0].tolist()), tuple(xy[-1].tolist()))
        length = math.dist(*ends)
        total[street.name] += round(length * (2 - street.rank))
        inside = 0 <= np.mean(xy[:, 0]) <= projection.size[0] and 0 <= np.mean(xy[:, 1]) <= projection.size[1]
        if inside and length > longest.get(street.name, (0.0, ends))[0]:
            longest[street.name] = (length, ends)
    names = [name for name, _ in total.most_common(_MAX_STREET_LABELS) if name in longest]
    return [_street_label(name, longest[name][1], order) for order, name in enumerate(names)]


NDArrayPair = tuple[tuple[float, ...], tuple[float, ...]]


def _street_label(name: str, ends: NDArrayPair, order: int) -> dict[str, object]:
    (x1, y1), (x2, y2) = ends
    angle = math.degrees(math.atan2(y2 - y1, x2 - x1))
    upright = angle - 180 if angle > 90 else angle + 180 if angle <= -90 else angle
    return {"name": name, "at": _xy((x1 + x2) / 2, (y1 + y2) / 2), "angle": round(upright, 1), "order": order}


def _shapes(page: MapPage, projection: Projection) -> list[dict[str, str]]:
    by_kind: dict[str, list[str]] = defaultdict(list)
    for shape in page.shapes:
        by_kind[shape.kind].append(projection.clipped_rings(shape.geometry))
    order = [kind for kind in ("green", "water", "building") if kind in by_kind]
    return [{"kind": kind, "path": "".join(by_kind[kind])} for kind in order]


def _outlines(page: MapPage, projection: Projection) -> list[dict[str, object]]:
    drawn: list[dict[str, object]] = []
    for outline in page.outlines:
        middle = outline.geometry.representative_point()
        x, y = projection.units([middle.y], [middle.x])[0].tolist()
        drawn.append({"label": outline.label, "path": projection.rings(outline.geometry), "at": _xy(x, y)})
    return drawn


def _example(number: int, example: Example, projection: Projection) -> dict[str, object]:
    place = _spot(example.place, projection)
    match = _spot(example.match, projection) if example.match else None
    refused = [_spot(spot, projection) | {"letter": _LETTERS[i % 26]} for i, spot in enumerate(example.refused)]
    area = projection.rings(example.area) if example.area is not None else ""
    return {
        "number": number,
        "example": example,
        "place": place,
        "match": match,
        "refused": refused,
        "area": area,
        "box": _box([place, *refused, *([match] if match else [])]),
    }


def _spot(spot: Spot, projection: Projection) -> dict[str, object]:
    x, y = projection.units([spot.lat], [spot.lng])[0].tolist()
    return {"x": x, "y": y, "title": spot.title, "label": spot.label}


def _box(spots: list[dict[str, object]]) -> str:
    xs = [float(str(spot["x"])) for spot in spots]
    ys = [float(str(spot["y"])) for spot in spots]
    return " ".join(f"{value:.1f}" for value in (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)))


def _xy(x: float, y: float) -> dict[str, str]:
    return {"x": f"{x:.1f}", "y": f"{y:.1f}"}
