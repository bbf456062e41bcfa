"""Containing districts against asking each district about each place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray

from geo.districts import containing_district
from geo.errors import AntimeridianError, GeoError, InvalidGeometryError, InvalidLatLngError, UnsupportedGeometryError
from tests.scale import scaled

WEST, EAST = shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)


def brute_containing(districts: list[Any], lat: NDArray[np.float64], lng: NDArray[np.float64]) -> list[int]:
    places = [shapely.Point(x, y) for x, y in zip(lng, lat, strict=True)]
    return [next((i for i, d in enumerate(districts) if d.covers(place)), -1) for place in places]


def test_containing_district__equals_brute_force() -> None:
    rng = np.random.default_rng(7)
    centers = [shapely.Point(x, y) for x, y in rng.uniform(0, 4, (40, 2))]
    districts: list[Any] = [*(center.buffer(0.4) for center in centers), shapely.union_all(centers[:9]).buffer(0.2)]
    districts[3] = districts[3].difference(centers[3].buffer(0.1))  # a hole
    lat, lng = rng.uniform(-0.5, 4.5, (2, scaled(5_000)))
    found = containing_district(districts, lat, lng)
    assert found.dtype == np.int64
    assert found.tolist() == brute_containing(districts, lat, lng)
    assert -1 in found
    assert np.unique(found).size > 20


def test_containing_district__counts_the_boundary_and_takes_the_first() -> None:
    lat, lng = [0.5, 0.5, 0.5, 1.0, 0.0], [0.0, 1.0, 2.0, 1.5, 2.0000001]
    assert containing_district([WEST, EAST], lat, lng).tolist() == [0, 0, 1, 1, -1]
    assert containing_district([EAST, WEST], lat, lng).tolist() == [1, 0, 0, 0, -1]


def test_containing_district__takes_overlapping_districts_by_their_order() -> None:
    whole = shapely.box(0, 0, 2, 1)
    assert containing_district([whole, EAST], [0.5], [1.5]).tolist() == [0]
    assert containing_district([EAST, whole], [0.5, 0.5], [1.5, 0.5]).tolist() == [0, 1]


def test_containing_district__takes_a_holes_ring_but_not_the_hole() -> None:
    ring = WEST.difference(shapely.box(0.25, 0.25, 0.75, 0.75))
    assert containing_district([ring], [0.5, 0.5], [0.25, 0.5]).tolist() == [0, -1]


def test_containing_district__answers_for_nothing() -> None:
    assert containing_district([], [0.5, 0.5], [0.5, 0.5]).tolist() == [-1, -1]
    assert containing_district([WEST], [], []).shape == (0,)
    assert containing_district(np.array([WEST, EAST], dtype=object), 0.5, 1.5).tolist() == [1]


def test_containing_district__refuses_other_shapes_and_places() -> None:
    with pytest.raises(UnsupportedGeometryError, match=r"^districts\[1\] must be a Polygon or MultiPolygon, got Point"):
        containing_district([WEST, shapely.Point(0, 0)], [0.5], [0.5])
    with pytest.raises(UnsupportedGeometryError, match=r"^districts\[0\].*got NoneType"):
        containing_district([None], [0.5], [0.5])
    with pytest.raises(InvalidLatLngError, match=r"^lat\[1\]"):
        containing_district([WEST], [0.5, 91.0], [0.5, 0.5])


@pytest.mark.parametrize(
    ("shape", "error", "message"),
    [
        (shapely.Polygon([(179, 0), (-179, 0), (-179, 1), (179, 1)]), AntimeridianError, "split it there"),
        (shapely.box(179, 0, 181, 1), AntimeridianError, "got lng 179.0 to 181.0"),
        (shapely.box(-181, 0, -179, 1), AntimeridianError, "got lng -181.0 to -179.0"),
        (shapely.MultiPolygon([WEST, shapely.box(200, 0, 210, 1)]), AntimeridianError, "got lng 200.0 to 210.0"),
        (shapely.box(385_000, 6_671_000, 386_000, 6_672_000), InvalidLatLngError, "is it in metres"),
        (shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), InvalidGeometryError, r"Self-intersection\[0.5 0.5\]"),
        (shapely.MultiPolygon([WEST, shapely.box(0.5, 0, 1.5, 1)]), InvalidGeometryError, "overlap"),
    ],
)
def test_containing_district__refuses_districts_that_would_be_inside_out(
    shape: shapely.Geometry, error: type[GeoError], message: str
) -> None:
    with pytest.raises(error, match=rf"^districts\[1\] must .*{message}"):
        containing_district([EAST, shape], [0.5], [0.5])


@pytest.mark.parametrize(
    ("shape", "inside"),
    [
        (shapely.MultiPolygon([shapely.box(179, 0, 180, 1), shapely.box(-180, 0, -179, 1)]), [True, True, False]),
        (shapely.box(-180, -90, 0, 90), [False, True, True]),
        (shapely.MultiPolygon([shapely.box(-1, 0, 0, 1), WEST]), [False, False, True]),  # an edge is shared
        (shapely.Polygon([(-1, 0), (1, 0), (1, 1), (1e-5, 1), (-1e-5, 0.99999), (-1, 1)]), [False, False, True]),
        (shapely.Polygon(), [False, False, False]),
    ],
)
def test_containing_district__takes_what_is_split_at_180_degrees_and_what_is_in_no_doubt(
    shape: shapely.Geometry, inside: list[bool]
) -> None:
    found = containing_district([shape], [0.5, 0.5, 0.5], [179.5, -179.5, -0.5])
    assert (found == 0).tolist() == inside


def test_containing_district__judges_a_ring_that_crosses_itself_thousands_of_times() -> None:
    """Each edge of the star crosses nearly all others: all its pieces could not be told in hours."""
    angles = np.arange(401) * (200 / 401) * 2 * np.pi
    star = shapely.Polygon(np.stack([24 + np.cos(angles), 60 + np.sin(angles)], axis=1))
    with pytest.raises(InvalidGeometryError, match=r"^districts\[0\] must not cross itself"):
        containing_district([star], [60.0], [24.0])
