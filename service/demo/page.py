"""The page of the demonstration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from engine import REASONS, Refusal
from geo.cells import ancestor_cells, cell_to_text
from geo.metric import EARTH_RADIUS_M
from service.demo.day import SECTORS
from service.demo.examples import Explained
from service.demo.run import CELL_RESOLUTION, DAY, STATION_OFFER, Demo
from service.demo.tables import HOMES_WORDS, all_tables
from service.demo.telling import clock, example_text
from service.demo.words import REASON_WORDS, category, metres, number, offer_words, share
from service.maps import Example, Figure, Hexagon, HexLayer, MapPage, MapPoint, Spot, count_classes
from service.planning.page import layers

__all__ = ["demo_page"]

ATTRIBUTION = "© OpenStreetMap contributors, ODbL 1.0"
_SHOWN_SECTORS = (*SECTORS, "community")


@dataclass(frozen=True)
class _Place:
    """A point of the table with all its offers."""

    point_id: str
    name: str
    lat: float
    lng: float
    offers: tuple[str, ...]
    hours: str | None
    synthetic: bool


def demo_page(demo: Demo) -> MapPage:
    """Return the page: map, figures, explained orders and tables."""
    places = _places(demo.full.points)
    names = {place.point_id: place for place in places}
    n_real = sum(not place.synthetic for place in places)
    n_orders = demo.orders.num_rows
    return MapPage(
        title=f"Who can really be served in the centre of Helsinki, {DAY:%A} {DAY.day} {DAY:%B %Y}",
        subtitle=(
            f"{number(n_orders)} seeded orders in seven sectors, against {number(n_real)} places from OpenStreetMap and "
            f"{number(len(places) - n_real)} synthetic ones. Each order goes to the nearest place that has what is asked "
            "for, is open then, serves that address and still has room."
        ),
        bounds=demo.basemap.bounds,
        attribution=ATTRIBUTION,
        figures=_figures(demo),
        categories=tuple(category(sector) for sector in _SHOWN_SECTORS),
        points=_points(places),
        streets=demo.basemap.streets,
        shapes=demo.basemap.shapes,
        hex_layers=(_unserved_layer(demo), _station_layer(demo)),
        examples=tuple(_example(demo, example, names) for example in demo.examples),
        tables=tuple(all_tables(demo)),
        notes=(
            "Places, streets and buildings are OpenStreetMap's; orders are made up, from a fixed seed. Synthetic points "
            "stand for offers that this piece of the city lacks; they are drawn hollow, and totals are told without "
            "them, too. Distances are straight lines on the ground. Unknown opening hours are not taken for open.",
            HOMES_WORDS,
        ),
    )


def _places(points: pa.Table) -> list[_Place]:
    """Return the public points of a table, those with several rows once."""
    names = ("point_id", "offer", "lat", "lng", "hours", "name", "visibility", "synthetic")
    found: dict[str, _Place] = {}
    for point_id, offer, lat, lng, hours, name, visibility, synthetic in zip(
        *(points[column].to_pylist() for column in names), strict=True
    ):
        if visibility not in {None, "public"}:
            continue
        known = found.get(point_id)
        if known is None:
            found[point_id] = _Place(point_id, name or point_id, lat, lng, (offer,), hours, bool(synthetic))
        else:
            found[point_id] = replace(known, offers=(*known.offers, offer), hours=known.hours or hours)
    return list(found.values())


def _points(places: Sequence[_Place]) -> tuple[MapPoint, ...]:
    """Return the places as symbols of the rarest of their sectors, which says most about them."""
    sectors = [{offer.partition("/")[0] for offer in place.offers} for place in places]
    counts = Counter(sector for own in sectors for sector in own)
    return tuple(
        MapPoint(
            place.lat,
            place.lng,
            min(sorted(own), key=lambda sector: counts[sector]),
            place.name,
            (*_offer_lines(place.offers), place.hours or "hours unknown", "synthetic" if place.synthetic else ""),
            place.synthetic,
        )
        for place, own in zip(places, sectors, strict=True)
    )


def _offer_lines(offers: Sequence[str]) -> list[str]:
    return [offer_words(offer) for offer in sorted(offers)]


def _figures(demo: Demo) -> tuple[Figure, ...]:
    every = demo.full.day.by_sector(SECTORS)[-1]
    stations = demo.full.stations
    return (
        Figure(share(every.n_served, every.n_orders), f"of {number(every.n_orders)} orders can be served"),
        Figure(metres(every.median_m), "median distance to the nearest that can serve"),
        Figure(metres(demo.promise.offered_m), "what the nearest with the offer would promise"),
        Figure(share(demo.promise.n_offered_broken, every.n_orders), "of orders: that nearest cannot serve them"),
        Figure(share(stations.within[500], stations.total), "of homes within 500 m of a community station"),
    )


def _unserved_layer(demo: Demo) -> HexLayer:
    day = demo.full.day
    cells, codes = np.unique(ancestor_cells(day.lat, day.lng, CELL_RESOLUTION), return_inverse=True)
    n_orders = np.bincount(codes, minlength=cells.size)
    n_unserved = np.bincount(codes[~day.served], minlength=cells.size)
    classes = count_classes(int(n_unserved.max()), "orders")
    return HexLayer(
        "unserved",
        "orders nobody can serve",
        f"By H3 cell of resolution {CELL_RESOLUTION}, about 130 m across. No hexagon: no order came from there.",
        classes.legend,
        tuple(
            Hexagon(cell, classes.of(unserved), _cell_lines(cell, n, unserved, demo, codes == i))
            for i, (cell, n, unserved) in enumerate(
                zip(cells.tolist(), n_orders.tolist(), n_unserved.tolist(), strict=True)
            )
        ),
    )


def _cell_lines(cell: int, n: int, unserved: int, demo: Demo, mine: NDArray[np.bool_]) -> tuple[str, ...]:
    day = demo.full.day
    reasons = Counter(REASONS[code] for code in day.code[mine & ~day.served].tolist())
    told = ", ".join(f"{REASON_WORDS[reason]} {count}" for reason, count in reasons.most_common())
    return (f"{unserved} of {n} orders not served", told, f"cell {cell_to_text(cell)}")


def _station_layer(demo: Demo) -> HexLayer:
    distance = layers(demo.full.stations, sorted(demo.full.stations.within), "m² of floor")[0]
    return replace(
        distance,
        key="stations",
        title="distance to a community station 社区服务站",
        unit=f"Metres from homes to the nearest point with {STATION_OFFER}, weighted by floor area.",
    )


def _example(demo: Demo, example: Explained, names: Mapping[str, _Place]) -> Example:
    day, i = demo.full.day, example.order
    match = names[example.match.point_id]
    area, words = _area(demo.full.points, match, day.offer[i])
    when = clock(day.at[i])
    return Example(
        f"{offer_words(day.offer[i])}, wanted at {when}",
        example_text(demo, example, match.name),
        Spot(float(day.lat[i]), float(day.lng[i]), "the order", f"{day.offer[i]}, {when}"),
        Spot(match.lat, match.lng, match.name, f"serves it, {metres(example.match.distance_m)}"),
        tuple(_refused(refusal, names[refusal.point_id]) for refusal in example.refused),
        area,
        words,
    )


def _refused(refusal: Refusal, place: _Place) -> Spot:
    label = f"{REASON_WORDS[refusal.reason]}, {metres(refusal.distance_m)}"
    return Spot(place.lat, place.lng, place.name, label)


def _area(points: pa.Table, place: _Place, offer: str) -> tuple[BaseGeometry | None, str]:
    """Return the area where a point serves an offer, and what to say of it."""
    own = zip(points["point_id"].to_pylist(), points["offer"].to_pylist(), strict=True)
    row = next(i for i, key in enumerate(own) if key == (place.point_id, offer))
    wkb: Any = points["area"][row].as_py()
    radius_m: Any = points["radius_m"][row].as_py()
    if wkb is not None:
        return shapely.from_wkb(wkb), f"Dashed: the area where {place.name} serves."
    if radius_m is not None:
        return _circle(place.lat, place.lng, radius_m), f"Dashed: {place.name} serves within {number(radius_m)} m."
    return None, f"{place.name} serves everywhere."


def _circle(lat: float, lng: float, radius_m: float) -> BaseGeometry:
    turn = np.linspace(0.0, 2.0 * np.pi, 73)
    reach = np.degrees(radius_m / EARTH_RADIUS_M)
    return shapely.Polygon(
        np.column_stack([lng + reach * np.cos(turn) / np.cos(np.radians(lat)), lat + reach * np.sin(turn)])
    )
