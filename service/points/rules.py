"""From bodies to the facts that the store keeps: many at once, each with its facts or the reason why not."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine.errors import EngineError, InvalidHoursError, InvalidTimezoneError
from engine.holidays import check_country
from engine.hours import hours_traits
from engine.kept_texts import kept_by_texts
from engine.local_time import check_timezone
from geo.datums import convert_datum
from geo.errors import GeoError
from geo.places import check_latlng
from service.feed.columns import joined_features
from service.http.problems import ProblemError, Trouble, as_problem, invalid
from service.points.areas import EVERYWHERE, Drawn, Kept, wkb_of
from service.points.schemas import Filled
from service.points.special_days import hours_with_special_days
from service.points.zones import country_of, zones_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.norms import Norms
    from service.points.schemas import OfferBody, PointBody, SpecialDay

__all__ = ["OfferFacts", "PointFacts", "check_hours", "facts_of", "facts_of_one", "special_days_text"]


class OfferFacts(NamedTuple):
    """An offer as the store keeps it, the fields named and ordered as its columns."""

    offer: str
    radius_m: float | None
    area: bytes | None
    hours: str | None
    capacity: int | None
    lead_s: int
    is_paused: bool
    slot_orders: int | None = None
    slot_s: int | None = None


class PointFacts(NamedTuple):
    """
    A point as the store keeps it, the fields named and ordered as its columns.

    Attributes
    ----------
    offers
        By name.
    filled
        What the body left out.
    """

    point_id: str
    kind: str
    name: str
    address: str | None
    lat: float
    lng: float
    timezone: str | None
    country: str | None
    visibility: str
    features: str
    special_days: str | None
    is_paused: bool
    is_synthetic: bool
    offers: tuple[OfferFacts, ...]
    filled: tuple[Filled, ...]


class _Place(NamedTuple):
    lat: float
    lng: float
    timezone: str | None
    country: str | None
    filled: tuple[Filled, ...]


def facts_of_one(point_id: str, body: PointBody, norms: Norms) -> PointFacts:
    """
    Return the facts of one point.

    Raises
    ------
    ProblemError
        If it cannot be one.
    """
    found = facts_of([(point_id, body)], norms)[0]
    if isinstance(found, ProblemError):
        raise found
    return found


def facts_of(points: Sequence[tuple[str, PointBody]], norms: Norms) -> list[PointFacts | ProblemError]:
    """Return for each point its facts, or the problem that stands against it."""
    usual = {offer: norm.radius_m for offer, norm in norms.by_offer.items()}
    places = _places([body for _, body in points])
    return [
        place if isinstance(place, ProblemError) else _judged(point_id, body, place, usual)
        for (point_id, body), place in zip(points, places, strict=True)
    ]


def _places(bodies: Sequence[PointBody]) -> list[_Place | ProblemError]:
    """Return where each point is, looked up for all at once."""
    lat = np.array([body.lat for body in bodies], np.float64)
    lng = np.array([body.lng for body in bodies], np.float64)
    good = (np.abs(lat) <= 90.0) & (np.abs(lng) <= 180.0)
    for datum in {body.datum for body in bodies} - {"wgs84"}:
        rows = np.array([body.datum == datum for body in bodies], np.bool_) & good
        lat[rows], lng[rows] = convert_datum(lat[rows], lng[rows], source=datum, target="wgs84")
    zones: list[str | None] = [body.timezone for body in bodies]
    missing = np.array([zone is None for zone in zones], np.bool_) & good
    for row, zone in zip(np.flatnonzero(missing).tolist(), zones_of(lat[missing], lng[missing]), strict=True):
        zones[row] = zone
    places = zip(bodies, lat.tolist(), lng.tolist(), zones, good.tolist(), strict=True)
    return [
        _place(body, north, east, zone) if is_good else _off_earth(body) for body, north, east, zone, is_good in places
    ]


def _off_earth(body: PointBody) -> ProblemError:
    try:
        check_latlng(body.lat, body.lng)
    except GeoError as error:
        where, reason = f"/{error.argument}", str(error).partition(" ")[2]
        return ProblemError("coordinate-out-of-range", f"{where} {reason}", (Trouble(where, reason),))
    raise AssertionError  # it was out of range


def _place(body: PointBody, lat: float, lng: float, timezone: str | None) -> _Place | ProblemError:
    filled: tuple[Filled, ...] = ()
    country = body.country
    try:
        if body.timezone is not None:
            check_timezone(timezone)
        elif timezone is not None:
            filled = (_looked_up("timezone", timezone),)
        if country is not None:
            check_country(country)
        elif timezone is not None:
            country = country_of(timezone, lat, lng)
            if country is not None:
                filled = (*filled, _looked_up("country", country))
    except InvalidTimezoneError as error:
        return _told(error, f"/{error.argument}")
    return _Place(lat, lng, timezone, country, filled)


@functools.lru_cache(maxsize=1024)
def _looked_up(name: str, value: str) -> Filled:
    return Filled(where=f"/{name}", value=value, source="place")


def _judged(point_id: str, body: PointBody, place: _Place, usual: Mapping[str, float]) -> PointFacts | ProblemError:
    special_days = special_days_text(body.special_days)
    offers: dict[str, OfferFacts] = {}
    filled = place.filled
    for number, given in enumerate(body.offers):
        try:
            norm = usual.get(given.offer)
            if norm is None:
                return invalid(f"/offers/{number}/offer", f"must be one of {', '.join(usual)}, got {given.offer}")
            if given.offer in offers:
                return invalid(f"/offers/{number}/offer", f"must name an offer once, got {given.offer} again")
            if given.hours is not None:
                check_hours(given.hours, special_days, place.timezone, place.country)
            facts, told = _offer(given, norm, body.datum, number)
            offers[given.offer] = facts
            filled += told
        except InvalidHoursError as error:
            return _told(error, f"/offers/{number}/hours")
        except InvalidTimezoneError as error:
            return _told(error, f"/{error.argument}")
        except (GeoError, EngineError) as error:
            return _told(error, f"/offers/{number}/area")
    return PointFacts(
        point_id,
        body.kind,
        body.name,
        body.address,
        place.lat,
        place.lng,
        place.timezone,
        place.country,
        body.visibility,
        joined_features(body.features) if body.features else ";",
        special_days,
        body.paused,
        False,
        tuple(offers[name] for name in sorted(offers)) if len(offers) > 1 else tuple(offers.values()),
        filled,
    )


def _offer(given: OfferBody, norm: float, datum: str, number: int) -> tuple[OfferFacts, tuple[Filled, ...]]:
    drawn: Any = given.area
    radius_m, area = None, None
    filled: tuple[Filled, ...] = ()
    if drawn is None:
        radius_m = norm
        filled = (_by_norm(f"/offers/{number}/area", radius_m),)
    elif isinstance(drawn, Drawn | Kept):
        area = wkb_of(drawn, datum)
    elif drawn is not EVERYWHERE:
        radius_m = drawn
    slot = (None, None) if given.slot is None else (given.slot.orders, given.slot.minutes * 60)
    lead_s = given.lead_s or 0
    return OfferFacts(given.offer, radius_m, area, given.hours, given.capacity, lead_s, given.paused, *slot), filled


@functools.lru_cache(maxsize=1024)
def _by_norm(where: str, radius_m: float) -> Filled:
    return Filled(where=where, value={"radius_m": radius_m}, source="norm")


def special_days_text(days: Sequence[SpecialDay]) -> str | None:
    """Return special days as the store keeps them: JSON, by date; None where there are none."""
    if not days:
        return None
    return json.dumps([day.model_dump() for day in sorted(days, key=lambda day: day.date)])


def check_hours(hours: str, special_days: str | None, timezone: str | None, country: str | None) -> None:
    """
    Refuse hours that no schedule can be made of, special days among them.

    Raises
    ------
    InvalidHoursError
        If they are no opening_hours expression, or too long with all special days.
    InvalidTimezoneError
        Where they need a time zone or a country that is not known.
    """
    asks_country = _asks_country(hours, special_days)
    if timezone is None:
        raise InvalidTimezoneError("timezone", "must be given: hours need it, and the place lies in none")
    if asks_country and country is None:
        raise InvalidTimezoneError("country", "must be given: hours with PH need it, and the place lies in none")


@kept_by_texts(1 << 14)
def _asks_country(hours: str, special_days: str | None) -> bool:
    traits = hours_traits(hours)
    if special_days is not None:
        hours_traits(hours_with_special_days(hours, json.loads(special_days)) or hours)
    return "public_holidays" in traits


def _told(error: Exception, where: str) -> ProblemError:
    problem = as_problem(error, where)
    if problem is None:
        raise error
    return problem
