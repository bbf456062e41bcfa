"""Places that stand for all in a cell."""

from __future__ import annotations

import pytest
import shapely

from service.places import centre_of, coarse_cell, place_in_both

LAT, LNG = 31.2304, 121.4737


@pytest.mark.parametrize("wide", [1e-4, 1e-2, 1.0])
def test_place_in_both__lies_in_the_cell_and_in_the_area(wide: float) -> None:
    cell = coarse_cell(LAT, LNG)
    lat, lng = centre_of(cell)
    area = shapely.box(lng + 1e-3, lat - wide, lng + 1e-3 + wide, lat + wide)
    place = place_in_both(cell, shapely.to_wkb(area))
    assert place is not None
    assert coarse_cell(*place) == cell
    assert area.contains(shapely.Point(place[1], place[0]))


@pytest.mark.parametrize(("lng", "west"), [(LNG, LNG + 1), (180.0, 179.9)])
def test_place_in_both__is_none_where_they_are_apart_or_the_date_line_parts_the_cell(lng: float, west: float) -> None:
    area = shapely.box(west, LAT - 0.1, west + 0.1, LAT + 0.1)
    assert place_in_both(coarse_cell(LAT, lng), shapely.to_wkb(area)) is None
