"""Which district a place lies in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from geo.area_rules import AreaName, check_meridian, check_polygonal, check_vertices
from geo.errors import InvalidGeometryError
from geo.places import check_latlng

__all__ = ["check_district", "containing_district"]

_MOST_IN_DOUBT = 1e-3  # of a district's area: borders cross themselves by slivers in many a file


def containing_district(
    districts: Sequence[object] | NDArray[np.object_], lat: ArrayLike, lng: ArrayLike
) -> NDArray[np.int64]:
    """
    Return the index of the first district that covers each place, -1 where none does.

    Parameters
    ----------
    districts
        d polygons or multipolygons in lng/lat degrees, WGS 84, edges straight there; the boundary belongs to
        them. They may overlap: the first in this order counts.
    lat, lng
        Degrees, n of each.

    Returns
    -------
    int64[n]

    Raises
    ------
    UnsupportedGeometryError
        If a district is no polygon or multipolygon.
    AntimeridianError, InvalidGeometryError
        If one cannot be told from what lies around it, as `check_district` says.
    InvalidLatLngError
        If a value, or a vertex of a district, is not finite or out of range.

    Notes
    -----
    O((n + d) log n) and the exact tests: a tree of the places is asked for each district, which is several times
    as fast as a tree of the districts for each place.
    """
    shapes = np.empty(len(districts), dtype=object)
    shapes[:] = districts
    for position, shape in enumerate(shapes):
        check_district(shape, position)
    lats, lngs = check_latlng(lat, lng)
    found = np.full(lats.size, shapes.size, dtype=np.int64)
    if lats.size and shapes.size:
        places = np.asarray(shapely.points(lngs, lats))
        district, place = shapely.STRtree(places).query(shapes, predicate="covers")
        np.minimum.at(found, place, district)
    found[found == shapes.size] = -1
    return found


def check_district(shape: object, position: int | None = None) -> None:
    """
    Refuse a district of which nobody can tell what lies in it; an error names it ``districts[position]``.

    Raises
    ------
    UnsupportedGeometryError
        If it is no polygon or multipolygon.
    InvalidLatLngError
        If a vertex is not finite or not on the globe, as one in metres.
    AntimeridianError
        If a ring is wider than 180 degrees or reaches beyond 180.
    InvalidGeometryError
        If it crosses itself, or its parts overlap, so that more than a thousandth of its area is in doubt.
    """
    name = AreaName("districts", position)
    polygonal = check_polygonal(shape, name)
    check_vertices(shapely.get_coordinates(polygonal), name)
    rings = [shapely.get_coordinates(ring) for ring in shapely.get_rings(shapely.get_parts(polygonal))]
    check_meridian([ring for ring in rings if ring.size], name)
    if shapely.is_valid(polygonal):
        return
    area, mended = (
        shapely.area(polygonal),
        shapely.area(shapely.make_valid(polygonal, method="structure", keep_collapsed=False)),
    )
    if abs(mended - area) > _MOST_IN_DOUBT * mended:
        reason = str(shapely.is_valid_reason(polygonal))
        text = f"must not cross itself or have parts that overlap, got {reason}; draw it anew"
        raise name.error(InvalidGeometryError, text, reason)
