"""What an app asks: one place, one offer, one time, read strictly."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from geo.datums import DATUMS, convert_datum
from geo.errors import InvalidLatLngError
from geo.places import check_latlng
from service.clock import from_us
from service.http.problems import ProblemError, Trouble, invalid
from service.http.query_text import instant, latlng, number, read_query, required, whole
from service.matching.items import Items, items_of_text
from service.matching.parameters import (
    DAYS_AHEAD,
    FEATURE,
    MAX_DISTANCE_M,
    MAX_FEATURES,
    MAX_K,
    MAX_QUANTITY,
    MAX_SPLIT,
    NAMES,
    OWN_DATUM,
    UNKNOWN_HOURS,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.deadlines import Deadline
    from service.services import Services

__all__ = [
    "Ask",
    "ask_of",
    "check_datum",
    "check_limit",
    "check_offer",
    "check_span",
    "check_unknown_hours",
    "features_of",
    "now_of",
    "place_in_wgs84",
    "read_ask",
    "times_of",
]

_FEATURE = re.compile(FEATURE)
_USUAL = re.compile(
    r"lat=(-?[0-9]{1,2}\.[0-9]{1,20})&lng=(-?[0-9]{1,3}\.[0-9]{1,20})&offer=([a-z0-9_]+(?:/|%2F)[a-z0-9_]+)"
    r"(?:&at=([0-9T:.%ABZ-]{1,64}))?"
)
_PAST = dt.timedelta(seconds=60)  # clocks of apps run late
_AHEAD = dt.timedelta(days=DAYS_AHEAD)


class Ask(NamedTuple):
    """
    A question.

    Attributes
    ----------
    lat, lng
        Degrees, WGS 84.
    offer
        One that has a norm.
    at, asked_at
        When it is wanted, and now.
    quantity, k, max_distance_m, features, unknown_hours
        As of `engine.Engine.nearest`.
    datum
        In which places are told.
    items, split
        A basket, and between how many points it may be divided where nobody has all of it.
    deadline
        When nobody waits for the answer any more, nor for what the store is read for it; None where nobody says.
    """

    lat: float
    lng: float
    offer: str
    at: dt.datetime
    asked_at: dt.datetime
    quantity: int = 1
    k: int = 1
    max_distance_m: float | None = None
    features: tuple[str, ...] = ()
    unknown_hours: str = "refuse"
    datum: str = OWN_DATUM
    items: Items = ()
    split: int = 1
    deadline: Deadline | None = None

    def terms(self) -> dict[str, Any]:
        """Return the engine's arguments beside place, offer and k."""
        terms: dict[str, Any] = {
            "at": self.at,
            "asked_at": self.asked_at,
            "quantity": self.quantity,
            "max_distance_m": self.max_distance_m,
            "unknown_hours": self.unknown_hours,
        }
        if self.features:
            terms["features"] = self.features
        if self.items:
            terms["items"] = dict(self.items)
        return terms


def ask_of(raw: bytes, services: Services) -> Ask:
    """Return the question of a query string, as `read_ask` does; one of the usual form is read at a glance."""
    usual = _USUAL.fullmatch(raw.decode("latin-1"))
    if usual is not None:
        lat_text, lng_text, offer, at_text = usual.groups()
        lat, lng, offer = float(lat_text), float(lng_text), offer.replace("%2F", "/")
        if -90.0 <= lat <= 90.0 and -180.0 <= lng <= 180.0 and offer in services.norms.by_offer:
            now = now_of(services)
            if at_text is None:
                return Ask(lat, lng, offer, now, now)
            at_text = at_text.replace("%3A", ":").replace("%2B", "+")
            if "%" not in at_text:
                return Ask(lat, lng, offer, *times_of(now, instant(at_text, "at")))
    return read_ask(raw, services)[0]


def read_ask(raw: bytes, services: Services, *, also: frozenset[str] = frozenset()) -> tuple[Ask, Mapping[str, str]]:
    """
    Return the question of a query string, and all its parameters.

    Raises
    ------
    ProblemError
        For what is missing, unknown, there twice, or no value that can be taken.
    """
    found = read_query(raw, NAMES | also if also else NAMES)
    required(found, "lat", "lng", "offer")
    lat, lng = latlng(found["lat"], found["lng"])
    datum = found.get("datum", OWN_DATUM)
    if datum != OWN_DATUM:
        lat, lng = place_in_wgs84(lat, lng, datum)
    check_offer(services, found["offer"])
    at, asked_at = times_of(now_of(services), instant(found["at"], "at") if "at" in found else None)
    unknown_hours = check_unknown_hours(found.get("unknown_hours", "refuse"))
    limit = found.get("max_distance_m")
    ask = Ask(
        lat,
        lng,
        found["offer"],
        at,
        asked_at,
        whole(found["quantity"], "quantity", 1, MAX_QUANTITY) if "quantity" in found else 1,
        whole(found["k"], "k", 1, MAX_K) if "k" in found else 1,
        None if limit is None else check_limit(number(limit, "max_distance_m")),
        _features_asked(found),
        unknown_hours,
        datum,
        items_of_text(found["items"]) if "items" in found else (),
        whole(found["split"], "split", 1, MAX_SPLIT) if "split" in found else 1,
    )
    return ask, found


def check_offer(services: Services, offer: str, where: str = "offer") -> None:
    """Refuse an offer that no norm knows: nobody could have it, and a misspelling must not read as "nobody near"."""
    if offer not in services.norms.by_offer:
        raise invalid(where, f"must be one of {', '.join(services.norms.by_offer)}, got {offer!r:.60}")


def check_limit(limit: float, where: str = "max_distance_m") -> float:
    """Refuse a limit below nothing or beyond the earth."""
    if not 0.0 <= limit <= MAX_DISTANCE_M:
        raise invalid(where, f"must be from 0 to {MAX_DISTANCE_M:.0f}, got {limit!r:.40}")
    return limit


def now_of(services: Services) -> dt.datetime:
    """Return the instant at which questions that are read now were asked."""
    return from_us(services.clock.now_us())


def times_of(now: dt.datetime, at: dt.datetime | None, where: str = "at") -> tuple[dt.datetime, dt.datetime]:
    """Return when it is wanted and when it was asked: both now, where nobody says for when."""
    if at is None:
        return now, now
    at = at.astimezone(dt.UTC)
    if at < now or at - now > _AHEAD:
        check_span(at, now, where)
        return at, min(now, at)
    return at, now


def check_span(at: dt.datetime, now: dt.datetime, where: str) -> None:
    """Refuse a time that is over, or farther ahead than hours are known."""
    if at < now - _PAST:
        raise invalid(
            where, f"must not lie in the past, got {at.isoformat()}; it is {now.isoformat(timespec='seconds')}"
        )
    if at > now + _AHEAD:
        raise invalid(where, f"must lie within {_AHEAD.days} days, got {at.isoformat()}")


def check_unknown_hours(value: str) -> str:
    """Refuse what is no way to treat unknown hours."""
    if value not in UNKNOWN_HOURS:
        raise invalid("unknown_hours", f"must be refuse or allow, got {value!r:.40}")
    return value


def check_datum(datum: str) -> str:
    """Refuse what is no datum."""
    if datum not in DATUMS:
        raise invalid("datum", f"must be one of {', '.join(DATUMS)}, got {datum!r:.40}")
    return datum


def _features_asked(found: Mapping[str, str]) -> tuple[str, ...]:
    features = found["features"].split(",") if "features" in found else []
    features += [f"{name}:{found[name]}" for name in ("brand", "merchant") if name in found]
    return features_of(features) if features else ()


def features_of(features: list[str], where: str = "features") -> tuple[str, ...]:
    """Return features, each once, refusing what can be none."""
    if len(features) > MAX_FEATURES:
        raise invalid(where, f"must be at most {MAX_FEATURES}, got {len(features)}")
    for feature in features:
        if _FEATURE.fullmatch(feature) is None:
            raise invalid(where, f"must be keys such as lift or brand:corner, separated by commas, got {feature!r:.60}")
    return tuple(dict.fromkeys(features))


def place_in_wgs84(lat: float, lng: float, datum: str, where: str | None = None) -> tuple[float, float]:
    """
    Return a place in WGS 84, refusing one that is not on the earth.

    Parameters
    ----------
    lat, lng
        Degrees.
    where
        JSON pointer of what holds them, empty for the body itself; None for a query.
    """
    try:
        check_latlng(lat, lng)
    except InvalidLatLngError as error:
        name = error.argument if where is None else f"{where}/{error.argument}"
        reason = str(error).partition(" ")[2]
        raise ProblemError("coordinate-out-of-range", f"{name} {reason}", (Trouble(name, reason),)) from error
    if check_datum(datum) == OWN_DATUM:
        return lat, lng
    converted: tuple[Any, Any] = convert_datum(lat, lng, source=datum, target=OWN_DATUM)
    return float(converted[0]), float(converted[1])
