"""Which district a place lies in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from geo.area_rules import AreaName, check_polygonal
from geo.places import check_latlng

__all__ = ["containing_district"]


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
    InvalidLatLngError
        If a value is not finite or out of range.

    Notes
    -----
    O((n + d) log n) and the exact tests: a tree of the places is asked for each district, which is several times
    as fast as a tree of the districts for each place.
    """
    shapes = np.empty(len(districts), dtype=object)
    shapes[:] = districts
    for position, shape in enumerate(shapes):
        check_polygonal(shape, AreaName("districts", position))
    lats, lngs = check_latlng(lat, lng)
    found = np.full(lats.size, shapes.size, dtype=np.int64)
    if lats.size and shapes.size:
        places = np.asarray(shapely.points(lngs, lats))
        district, place = shapely.STRtree(places).query(shapes, predicate="covers")
        np.minimum.at(found, place, district)
    found[found == shapes.size] = -1
    return found
