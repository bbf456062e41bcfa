"""The values of norm files: what each key may hold, and errors that name the file and the key."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NoReturn, TypeAlias

from engine.errors import InvalidNormError

__all__ = ["Labels", "NormValue", "Table", "fail", "read_labels", "read_name", "read_table", "read_value"]

_KINDS: Mapping[str, Mapping[str, int]] = MappingProxyType(  # kind to unit to its size in the first one
    {
        "length": {"m": 1, "km": 1000},
        "duration": {"s": 1, "min": 60, "h": 3600, "day": 86_400},
        "period": {"month": 1, "year": 12},
        "temperature": {"degC": 1},
        "persons": {"person": 1},
        "tickets": {"ticket": 1},
        "share": {"share": 1},
        "factor": {"factor": 1},
        "speed": {"km/h": 1},
        "flag": {"flag": 1},
        "proof": {"proof": 1},
    }
)
_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "radius": "length",
        "lead": "duration",
        "hold": "duration",
        "remind_after": "duration",
        "reserve": "duration",
        "accept_within": "duration",
        "substitute_within": "duration",
        "cancel_free": "duration",
        "cancel_fee_placed": "share",
        "cancel_fee_accepted": "share",
        "cancel_fee_ready": "share",
        "not_collected_fee": "share",
        "cancel_fee_confirmed": "share",
        "cancel_fee_en_route": "share",
        "reschedule_fee": "share",
        "customer_absent_fee": "share",
        "wait": "duration",
        "complain_within": "duration",
        "deliver_within": "duration",
        "detour_factor": "factor",
        "speed": "speed",
        "slot_width": "duration",
        "slot_step": "duration",
        "answer_within": "duration",
        "visit_within": "duration",
        "reconcile_within": "duration",
        "names_bound_before": "duration",
        "out_of_cold_max": "duration",
        "hot_min": "temperature",
        "chilled_min": "temperature",
        "chilled_max": "temperature",
        "frozen_max": "temperature",
        "repair_warranty": "period",
        "unit_warranty": "period",
        "parts_warranty": "period",
        "real_name_from": "persons",
        "tickets_per_person": "tickets",
        "public_sale_min": "share",
        "record_temperature": "flag",
        "consent_required": "flag",
        "proof": "proof",
    }
)
_STATUSES = ("law", "national_standard", "industry_standard", "practice")
_FIELDS = ("value", "unit", "jurisdiction", "status", "source", "valid_from")
_LANGUAGES = ("en", "zh", "ko")
_NAME = re.compile(r"[a-z0-9_]+")
_JURISDICTION = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
_COLDEST = -273.15

Table: TypeAlias = Mapping[str, object]


@dataclass(frozen=True)
class Labels:
    """A name in English, Chinese and Korean."""

    en: str
    zh: str
    ko: str


@dataclass(frozen=True)
class NormValue:
    """
    One value of a norm with where it comes from.

    Attributes
    ----------
    value
        A number, a flag, or the names of proofs.
    unit
        As the file says it.
    jurisdiction
        ISO 3166 code of the country or its part.
    status
        ``law``, ``national_standard``, ``industry_standard`` or ``practice``.
    source
        Empty only where the status is ``practice``.
    valid_from
        The first day on which it holds.
    """

    value: float | bool | tuple[str, ...]
    unit: str
    jurisdiction: str
    status: str
    source: str
    valid_from: dt.date

    @property
    def size(self) -> float:
        """The number in metres, seconds, months, or its own unit; 1 or 0 for a flag."""
        if isinstance(self.value, tuple):
            message = f"{self.unit} is no number"
            raise TypeError(message)
        scale = next(units[self.unit] for units in _KINDS.values() if self.unit in units)
        return self.value * scale


def fail(file: str, key: str, expected: str, value: object) -> NoReturn:
    """Raise `InvalidNormError` naming the file, the key, what was expected and what came."""
    argument = f"{file}: {key}" if key else file
    message = f"{expected}, got {value!r:.80}"
    raise InvalidNormError(argument, message, value=value)


def read_table(value: object, file: str, key: str) -> Table:
    """Return a TOML table."""
    if not isinstance(value, dict):
        fail(file, key, "must be a table", value)
    return value


def read_name(value: str, file: str, key: str) -> str:
    """Return a name of lower-case letters, digits and underscores."""
    if not _NAME.fullmatch(value):
        fail(file, key, "must be named in lower-case letters, digits and underscores", value)
    return value


def read_labels(value: object, file: str, key: str) -> Labels:
    """Return the three labels of a sector, mode or business."""
    table = read_table(value, file, key)
    if set(table) != set(_LANGUAGES):
        fail(file, key, f"must have the languages {', '.join(_LANGUAGES)}", sorted(table))
    for language, text in table.items():
        if not isinstance(text, str) or not text.strip():
            fail(file, f"{key}.{language}", "must be a text", text)
    return Labels(**{language: str(table[language]) for language in _LANGUAGES})


def read_value(name: str, value: object, file: str, key: str) -> NormValue:
    """Return the value of a norm's key, checked for its kind and its origin."""
    kind = _KEYS.get(name)
    if kind is None:
        fail(file, key, f"must be one of {', '.join(_KEYS)}", name)
    table = read_table(value, file, key)
    if set(table) != set(_FIELDS):
        fail(file, key, f"must say {', '.join(_FIELDS)}", sorted(table))
    unit = table["unit"]
    if not isinstance(unit, str) or unit not in _KINDS[kind]:
        fail(file, f"{key}.unit", f"must be {' or '.join(_KINDS[kind])}", unit)
    _check_origin(table, file, key)
    return NormValue(
        value=_read_quantity(kind, table["value"], file, f"{key}.value"),
        unit=unit,
        jurisdiction=str(table["jurisdiction"]),
        status=str(table["status"]),
        source=str(table["source"]),
        valid_from=_read_date(table["valid_from"], file, f"{key}.valid_from"),
    )


def _check_origin(table: Table, file: str, key: str) -> None:
    jurisdiction, status, source = table["jurisdiction"], table["status"], table["source"]
    if not isinstance(jurisdiction, str) or not _JURISDICTION.fullmatch(jurisdiction):
        fail(file, f"{key}.jurisdiction", "must be an ISO 3166 code such as CN or CN-BJ", jurisdiction)
    if status not in _STATUSES:
        fail(file, f"{key}.status", f"must be one of {', '.join(_STATUSES)}", status)
    if not isinstance(source, str) or (status != "practice" and not source.strip()):
        fail(file, f"{key}.source", 'must name a source, or the status be "practice"', source)


def _read_date(value: object, file: str, key: str) -> dt.date:
    if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
        fail(file, key, "must be a date such as 2025-01-01", value)
    return value


def _read_quantity(kind: str, value: object, file: str, key: str) -> float | bool | tuple[str, ...]:
    if kind == "flag":
        if not isinstance(value, bool):
            fail(file, key, "must be true or false", value)
        return value
    if kind == "proof":
        if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
            fail(file, key, "must be a list of proofs", value)
        return tuple(read_name(one, file, key) for one in value)
    lowest = {
        "temperature": _COLDEST,
        "length": 1,
        "persons": 1,
        "tickets": 1,
        "period": 1,
        "factor": 1,
        "speed": 1,
    }.get(kind, 0)
    highest = 1 if kind == "share" else 1_000_000
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not lowest <= value <= highest:  # type: ignore[operator]  # False for NaN, too
        fail(file, key, f"must be a number from {lowest} to {highest}", value)
    return value  # type: ignore[return-value]
