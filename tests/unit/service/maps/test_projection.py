"""From degrees to drawing units."""

import math

import numpy as np
import pytest
import shapely

from geo.metric import distance_m
from service.maps.page import Bounds
from service.maps.projection import Projection

CITY = Projection.of(Bounds(60.164, 24.935, 60.179, 24.953))


def _read(path: str) -> list[list[tuple[float, float]]]:
    """Follow a path text the plain way: absolute M, then relative l."""
    lines = []
    for piece in path.split("M")[1:]:
        start, _, steps = piece.removesuffix("z").partition("l")
        x, y = map(float, start.split())
        line = [(round(x, 1), round(y, 1))]
        numbers = list(map(float, steps.split()))
        for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
            x, y = x + dx, y + dy
            line.append((round(x, 1), round(y, 1)))
        lines.append(line)
    return lines


def test_units__keep_distances_of_a_city_within_a_percent() -> None:
    a, b = CITY.units([60.165, 60.178], [24.936, 24.951])
    drawn = math.dist(a, b) * CITY.metres_per_unit
    assert drawn == pytest.approx(distance_m([60.165], [24.936], [60.178], [24.951])[0], rel=0.01)


def test_units__put_north_up_and_east_right() -> None:
    (x0, y0), (x1, y1) = CITY.units([60.165, 60.170], [24.940, 24.950])
    assert x1 > x0
    assert y1 < y0


def test_units__of_a_box_across_180_degrees_go_on_to_the_east() -> None:
    across = Projection.of(Bounds(-17.0, 179.0, -16.0, 181.0))
    x = across.units([-16.5] * 4, [179.5, 180.0, -180.0, -179.5])[:, 0]
    assert x[1] == x[2] == pytest.approx(across.size[0] / 2, abs=0.1)
    assert 0 < x[0] < x[1] < x[3] < across.size[0]


def test_rings__of_a_box_across_180_degrees_are_moved_whole() -> None:
    across = Projection.of(Bounds(-17.0, 179.0, -16.0, 181.0))
    for west, place in ((179.5, 0.5), (-180.0, 1.0), (-179.5, 1.5), (-0.2, 180.8), (-0.1, -179.1)):
        (ring,) = _read(across.rings(shapely.box(west, -16.6, west + 0.3, -16.5)))
        assert min(x for x, _ in ring) == pytest.approx(place / 2 * across.size[0], abs=0.2)
        assert max(x for x, _ in ring) == pytest.approx((place + 0.3) / 2 * across.size[0], abs=0.2)


def test_line__does_not_drift_over_many_steps() -> None:
    rng = np.random.default_rng(7)
    path = np.column_stack([rng.uniform(60.164, 60.179, 400), rng.uniform(24.935, 24.953, 400)])
    (line,) = _read(CITY.line(path))
    assert line == [tuple(xy) for xy in CITY.units(path[:, 0], path[:, 1]).round(1).tolist()]


def test_clipped_line__shows_only_what_lies_inside() -> None:
    path = np.array([(60.10, 24.944), (60.25, 24.944)])
    (line,) = _read(CITY.clipped_line(path))
    assert [y for _, y in line] == [CITY.size[1], 0.0]


def test_clipped_line__is_empty_outside() -> None:
    assert CITY.clipped_line(np.array([(50.0, 10.0), (51.0, 10.0)])) == ""


def test_rings__draw_holes_too() -> None:
    area = shapely.box(24.94, 60.166, 24.95, 60.176) - shapely.box(24.942, 60.168, 24.944, 60.170)
    assert CITY.rings(area).count("z") == 2


def test_projection__of_a_country_stays_small() -> None:
    wide = Projection.of(Bounds(30.0, 100.0, 40.0, 120.0))
    assert max(wide.size) <= 8000.5
    assert wide.metres_per_unit > 100
