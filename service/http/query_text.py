"""
A query string read strictly, for the route that no framework reads for.

Nothing is guessed: a name that is not known, or is there twice, is refused, so that a misspelling never widens a
search in silence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import TypeVar
from urllib.parse import unquote_to_bytes

from geo.errors import InvalidLatLngError
from geo.places import check_latlng
from service.clock import FIRST_YEAR, LAST_YEAR
from service.http.json_bodies import check_text
from service.http.problems import ProblemError, Trouble, invalid, unauthenticated

__all__ = ["day_of", "degrees", "instant", "latlng", "number", "read_query", "required", "whole"]

D = TypeVar("D", bound=date)
_SECRETS = frozenset(
    {
        "access_token",
        "api_key",
        "api_token",
        "apikey",
        "auth",
        "auth_token",
        "authorization",
        "bearer",
        "key",
        "password",
        "secret",
        "token",
        "x_api_key",
    }
)
_PLAIN = {
    digits: chr(code) for code in range(0x20, 0x7F) for digits in {f"{code:02X}", f"{code:02x}"}
}  # what is escaped almost always
_ESCAPE_CUT_SHORT = re.compile("%(?![0-9A-Fa-f]{2})")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf(?:inity)?)", re.IGNORECASE)
_WHOLE = re.compile("-?[0-9]{1,19}")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_MAX_NUMBER_CHARS = 100
_MAX_CHARS = 8_192


def read_query(raw: bytes, known: frozenset[str]) -> dict[str, str]:
    """
    Return the parameters of a query string, decoded.

    Raises
    ------
    ProblemError
        unauthenticated where a key stands in it; validation for a name that is not among ``known`` or is there twice,
        and for a broken escape; text-invalid for what is not UTF-8 and for controls.
    """
    found: dict[str, str] = {}
    if not raw:
        return found
    text = raw.decode("latin-1")
    if not (text.isascii() and text.isprintable()):
        raise ProblemError("text-invalid", "The query holds a character that must be percent-encoded.")
    for pair in text.split("&"):
        name, _, value = pair.partition("=")
        if "%" in pair or "+" in pair:
            name, value = _decoded(name, "the query"), _decoded(value, name)
        if name not in known:
            raise _unknown(name, known)
        if name in found:
            raise invalid(name, "is there twice, must be once")
        found[name] = value
    return found


def required(found: Mapping[str, str], *names: str) -> None:
    """Refuse a query in which one of the names is missing, and name them all."""
    missing = [name for name in names if name not in found]
    if missing:
        troubles = [Trouble(name, "is required") for name in missing]
        raise ProblemError("validation", f"The query must have {', '.join(missing)}.", troubles)


def number(text: str, where: str) -> float:
    """Return a finite number in decimal notation."""
    if len(text) <= _MAX_NUMBER_CHARS and _NUMBER.fullmatch(text) is not None:
        value = float(text)
        if value - value == 0.0:
            return value
    raise invalid(where, f"must be a finite number such as 31.2304, got {text!r:.60}")


def whole(text: str, where: str, low: int, high: int) -> int:
    """Return a whole number from ``low`` to ``high``."""
    if _WHOLE.fullmatch(text) is not None:
        value = int(text)
        if low <= value <= high:
            return value
    raise invalid(where, f"must be a whole number from {low} to {high}, got {text!r:.60}")


def instant(text: str, where: str) -> datetime:
    """Return an instant written as RFC 3339 has it, with its offset from UTC, of the years 2000 to 2100."""
    if _INSTANT.fullmatch(text) is not None:
        try:
            value = datetime.fromisoformat(text)
        except ValueError as error:
            raise invalid(where, f"is no day and time that exists ({error}), got {text!r:.60}") from error
        return _of_known_years(value, text, where)
    hint = "; a + in a query is a space, write it as %2B" if " " in text else ""
    raise invalid(where, f"must be a time with its offset such as 2026-11-25T10:00:00+08:00, got {text!r:.60}{hint}")


def day_of(text: str, where: str) -> date:
    """Return the day of a text of the form 2026-11-25, of the years 2000 to 2100."""
    try:
        value = date.fromisoformat(text)
    except ValueError as error:
        raise invalid(where, f"must be a day that exists, got {text!r:.40}") from error
    return _of_known_years(value, text, where)


def _of_known_years(value: D, text: str, where: str) -> D:
    if FIRST_YEAR <= value.year <= LAST_YEAR:
        return value
    raise invalid(where, f"must lie in the years {FIRST_YEAR} to {LAST_YEAR}, got {text!r:.60}")


def latlng(lat_text: str, lng_text: str) -> tuple[float, float]:
    """Return latitude and longitude in WGS 84 degrees."""
    lat, lng = degrees(lat_text, "lat"), degrees(lng_text, "lng")
    if -90.0 <= lat <= 90.0 and -180.0 <= lng <= 180.0:
        return lat, lng
    try:
        check_latlng(lat, lng)
    except InvalidLatLngError as error:
        reason = str(error).partition(" ")[2]
        raise _out_of_range(error.argument, reason) from error
    return lat, lng


def degrees(text: str, where: str) -> float:
    """Return finite degrees, written as a decimal number."""
    if len(text) <= _MAX_NUMBER_CHARS and _NUMBER.fullmatch(text) is not None:
        return float(text)
    if _NOT_FINITE.fullmatch(text) is not None:
        raise _out_of_range(where, f"must be finite degrees, got {text}")
    raise invalid(where, f"must be degrees in decimal notation such as 31.2304, got {text!r:.60}")


def _out_of_range(where: str, reason: str) -> ProblemError:
    return ProblemError("coordinate-out-of-range", f"{where} {reason}", (Trouble(where, reason),))


def _decoded(text: str, where: str) -> str:
    first, *rest = text.replace("+", " ").split("%")
    try:
        return first + "".join([_PLAIN[part[:2]] + part[2:] for part in rest])
    except KeyError:
        return _decoded_bytes(text, where)


def _decoded_bytes(text: str, where: str) -> str:
    if _ESCAPE_CUT_SHORT.search(text) is not None:
        raise invalid(where, "holds a % without two hexadecimal digits; write a % as %25")
    try:
        decoded = unquote_to_bytes(text.replace("+", " ")).decode()
    except UnicodeDecodeError as error:
        reason = "is not UTF-8"
        raise ProblemError("text-invalid", f"{where} {reason}", (Trouble(where, reason),)) from error
    return check_text(decoded, where, _MAX_CHARS)


def _unknown(name: str, known: frozenset[str]) -> ProblemError:
    if name.lower().replace("-", "_") in _SECRETS:
        return unauthenticated("A key must never stand in a URL: send it in a header, and replace it.")
    told = f"known are {', '.join(sorted(known))}" if known else "where the query must be empty"
    return invalid(f"{name:.60}", f"is not known here, {told}")
