"""A small page that has one of everything, for the tests of pages."""

import numpy as np
import shapely

from geo.cells import ancestor_cells
from service.maps import (
    Bounds,
    Category,
    Example,
    Figure,
    Hexagon,
    HexLayer,
    MapPage,
    MapPoint,
    Outline,
    Shape,
    Spot,
    Street,
    Table,
    band_classes,
    count_classes,
)

BOUNDS = Bounds(60.164, 24.935, 60.172, 24.953)
EVIL = '<script>alert(1)</script> & "O\'Neil"'


def small_page(*, title: str = "Who can be served") -> MapPage:
    cells = sorted(set(ancestor_cells([60.166, 60.168, 60.170], [24.940, 24.944, 24.950], 10).tolist()))
    counts = count_classes(9, "orders")
    bands = band_classes((300, 500))
    square = shapely.box(24.940, 60.166, 24.946, 60.169)
    return MapPage(
        title=title,
        subtitle="A page of the tests",
        bounds=BOUNDS,
        attribution="© OpenStreetMap contributors, ODbL 1.0",
        figures=(Figure("9 of 10", "orders served"),),
        categories=(
            Category("retail", "retail", "circle", "#0072B2", "零售"),
            Category("laundry", "laundry", "wedge", "#3F9FD8", "洗衣"),
        ),
        points=(
            MapPoint(60.168, 24.944, "retail", "Corner shop", ("retail/pickup", "Mo-Fr 08:00-18:00")),
            MapPoint(60.1685, 24.9445, "retail", EVIL, ("hours unknown",)),
            MapPoint(60.166, 24.950, "laundry", "Wash house", ("laundry/pickup",), synthetic=True),
        ),
        streets=(Street(np.array([(60.165, 24.936), (60.171, 24.952)]), 0, "Long Street"),),
        shapes=(Shape("water", shapely.box(24.947, 60.164, 24.953, 60.166)),),
        outlines=(Outline("Centre", square),),
        hex_layers=(
            HexLayer("unserved", "orders not served", "by cell", counts.legend, _hexagons(cells, counts.of(3))),
            HexLayer("distance", "mean distance", "metres", bands.legend, _hexagons(cells, bands.of(420.0))),
        ),
        examples=(
            Example(
                "A parcel at noon",
                "Two nearer ones cannot.",
                Spot(60.168, 24.942, "order 1", "retail/pickup, 12:00"),
                Spot(60.1685, 24.9445, "Shop B", "serves it, 150 m"),
                (Spot(60.168, 24.944, "Corner shop", "closed, 111 m"),),
                square,
                "The area of Shop B",
            ),
        ),
        tables=(Table("By sector", ("sector", "orders"), (("retail", "10"), ("all", "10")), "A note", True),),
        notes=("What it stands for is said.",),
    )


def _hexagons(cells: list[int], hex_class: int) -> tuple[Hexagon, ...]:
    return tuple(Hexagon(cell, hex_class, (f"{i + 1} orders", "not served")) for i, cell in enumerate(cells))
