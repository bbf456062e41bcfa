"""
Norms: what each sector and mode asks of a service, as data.

A sector is a TOML file: its labels and, for each mode, values with unit, jurisdiction, source, status and first day
of validity. A new sector is one more file and no code. ``modes.toml`` names the modes, ``circle.toml`` the
15-minute circle.
"""

from __future__ import annotations

import datetime as dt
import importlib.resources
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources.abc import Traversable
from types import MappingProxyType

from engine.errors import InvalidOfferError
from engine.norm_values import Labels, NormValue, Table, fail, read_labels, read_name, read_table, read_value

__all__ = ["Business", "Circle", "Labels", "NormValue", "Norms", "OfferNorm", "Sector", "load_norms"]

_MODES_FILE, _CIRCLE_FILE = "modes.toml", "circle.toml"
_REQUIRED = ("radius", "lead", "proof")
_OFFER = "offer"


@dataclass(frozen=True)
class OfferNorm:
    """
    What a sector asks of one mode.

    Attributes
    ----------
    offer, sector, mode
        ``retail/pickup``, ``retail``, ``pickup``.
    values
        All values by key, with their origin.
    """

    offer: str
    sector: str
    mode: str
    values: Mapping[str, NormValue]

    @property
    def radius_m(self) -> float:
        """The service radius in metres where a source gives no area."""
        return float(self.values["radius"].size)

    @property
    def lead_s(self) -> int:
        """Seconds between asking and the earliest time served."""
        return int(self.values["lead"].size)

    @cached_property
    def hold_s(self) -> int | None:
        """Seconds for which goods are held once they are ready."""
        return self._seconds("hold")

    @cached_property
    def cancel_free_s(self) -> int | None:
        """Seconds before the time wanted until which cancelling costs nothing."""
        return self._seconds("cancel_free")

    @cached_property
    def reserve_s(self) -> int | None:
        """Seconds for which an order is held for one who has not placed it yet."""
        return self._seconds("reserve")

    @cached_property
    def accept_within_s(self) -> int | None:
        """Seconds in which a point says whether it takes an order on."""
        return self._seconds("accept_within")

    @cached_property
    def substitute_within_s(self) -> int | None:
        """Seconds in which a customer says whether he takes something else."""
        return self._seconds("substitute_within")

    @cached_property
    def remind_after_s(self) -> int | None:
        """Seconds after which one who has not come for what is ready is reminded."""
        return self._seconds("remind_after")

    @cached_property
    def wait_s(self) -> int | None:
        """Seconds for which a crew waits, from when a visit was to begin at the latest, for one who is not at home."""
        return self._seconds("wait")

    @cached_property
    def complain_within_s(self) -> int | None:
        """Seconds after a visit within which a complaint leads to another."""
        return self._seconds("complain_within")

    def fee(self, key: str) -> float:
        """Return a share of an order's total that is owed, by its key such as ``cancel_fee_ready``; 0 without."""
        value = self.values.get(key)
        return 0.0 if value is None else value.size

    @property
    def proof(self) -> tuple[str, ...]:
        """How fulfilment is proved."""
        value = self.values["proof"].value
        return value if isinstance(value, tuple) else ()

    def _seconds(self, key: str) -> int | None:
        value = self.values.get(key)
        return None if value is None else int(value.size)


@dataclass(frozen=True)
class Sector:
    """A sector with its labels and its modes in the order of its file."""

    name: str
    labels: Labels
    modes: tuple[str, ...]


@dataclass(frozen=True)
class Business:
    """An everyday business of the 15-minute circle: how far it may be, and whether it must be there."""

    name: str
    labels: Labels
    minutes: int
    required: bool


@dataclass(frozen=True)
class Circle:
    """
    The 15-minute circle.

    Attributes
    ----------
    bands_m
        Minutes of walking to metres, ascending.
    businesses
        By name; each one's minutes are one of the bands.
    source, valid_from
        Where it comes from.
    """

    bands_m: Mapping[int, float]
    businesses: Mapping[str, Business]
    source: str
    valid_from: dt.date


@dataclass(frozen=True)
class Norms:
    """All norms, loaded and checked."""

    sectors: Mapping[str, Sector]
    modes: Mapping[str, Labels]
    circle: Circle
    by_offer: Mapping[str, OfferNorm]

    def offers(self) -> list[str]:
        """Return all offers that have a norm, by sector and mode."""
        return list(self.by_offer)

    def offer(self, offer: str) -> OfferNorm:
        """
        Return the norm of an offer.

        Raises
        ------
        InvalidOfferError
            For an offer without a norm.
        """
        norm = self.by_offer.get(offer)
        if norm is None:
            message = f"must be one of {', '.join(self.by_offer)}, got {offer!r:.60}"
            raise InvalidOfferError(_OFFER, message, value=offer)
        return norm


def load_norms(folder: Traversable | None = None) -> Norms:
    """
    Load and check all norm files of a folder.

    Parameters
    ----------
    folder
        Holds ``modes.toml``, ``circle.toml`` and a file for each sector; None for those that linli ships.

    Raises
    ------
    InvalidNormError
        Naming the file and the key, what was expected and what came.
    """
    folder = folder or importlib.resources.files("engine") / "norm_data"
    files = {file.name: file for file in folder.iterdir() if file.name.endswith(".toml")}
    for name in (_MODES_FILE, _CIRCLE_FILE):
        if name not in files:
            fail(name, "", f"must be one of the norm files in {folder}", sorted(files))
    modes = _read_modes(_read_file(files.pop(_MODES_FILE)))
    circle = _read_circle(_read_file(files.pop(_CIRCLE_FILE)))
    sectors: dict[str, Sector] = {}
    by_offer: dict[str, OfferNorm] = {}
    for name in sorted(files):
        sector, norms = _read_sector(name, _read_file(files[name]), modes)
        sectors[sector.name] = sector
        by_offer |= {norm.offer: norm for norm in norms}
    return Norms(MappingProxyType(sectors), MappingProxyType(modes), circle, MappingProxyType(by_offer))


def _read_file(file: Traversable) -> Table:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        fail(file.name, "", "must be TOML in UTF-8", str(error))


def _read_modes(table: Table) -> dict[str, Labels]:
    modes = {}
    for name, value in table.items():
        body = read_table(value, _MODES_FILE, name)
        _check_keys(body, {"labels"}, _MODES_FILE, name)
        modes[read_name(name, _MODES_FILE, name)] = read_labels(body["labels"], _MODES_FILE, f"{name}.labels")
    return modes


def _read_sector(file: str, table: Table, modes: Mapping[str, Labels]) -> tuple[Sector, list[OfferNorm]]:
    name = read_name(file.removesuffix(".toml"), file, "")
    _check_keys(table, {"labels", "modes"}, file, "")
    labels = read_labels(table["labels"], file, "labels")
    bodies = read_table(table["modes"], file, "modes")
    if not bodies:
        fail(file, "modes", "must hold a mode", bodies)
    norms = []
    for mode, body in bodies.items():
        key = f"modes.{mode}"
        if mode not in modes:
            fail(file, key, f"must be one of the modes {', '.join(modes)}", mode)
        values = read_table(body, file, key)
        missing = [one for one in _REQUIRED if one not in values]
        if missing:
            fail(file, f"{key}.{missing[0]}", "must be given", None)
        read = {one: read_value(one, value, file, f"{key}.{one}") for one, value in values.items()}
        norms.append(OfferNorm(f"{name}/{mode}", name, mode, MappingProxyType(read)))
    return Sector(name, labels, tuple(bodies)), norms


def _read_circle(table: Table) -> Circle:
    file = _CIRCLE_FILE
    _check_keys(table, {"source", "valid_from", "bands", "businesses"}, file, "")
    source, valid_from = table["source"], table["valid_from"]
    if not isinstance(source, str) or not source:
        fail(file, "source", "must name a source", source)
    if not isinstance(valid_from, dt.date):
        fail(file, "valid_from", "must be a date such as 2025-01-01", valid_from)
    bands: dict[int, float] = {}
    for minutes, metres in read_table(table["bands"], file, "bands").items():
        if not minutes.isdecimal() or isinstance(metres, bool) or not isinstance(metres, int | float) or metres <= 0:
            fail(file, f"bands.{minutes}", "must be minutes with their metres", metres)
        bands[int(minutes)] = float(metres)
    businesses = {
        name: _read_business(name, value, bands)
        for name, value in read_table(table["businesses"], file, "businesses").items()
    }
    return Circle(MappingProxyType(dict(sorted(bands.items()))), MappingProxyType(businesses), source, valid_from)


def _read_business(name: str, value: object, bands: Mapping[int, float]) -> Business:
    file, key = _CIRCLE_FILE, f"businesses.{name}"
    table = read_table(value, file, key)
    _check_keys(table, {"labels", "minutes", "required"}, file, key)
    minutes, required = table["minutes"], table["required"]
    if not isinstance(minutes, int) or minutes not in bands:
        fail(file, f"{key}.minutes", f"must be one of the bands {', '.join(map(str, bands))}", minutes)
    if not isinstance(required, bool):
        fail(file, f"{key}.required", "must be true or false", required)
    labels = read_labels(table["labels"], file, f"{key}.labels")
    return Business(read_name(name, file, key), labels, minutes, required)


def _check_keys(table: Table, keys: set[str], file: str, key: str) -> None:
    if set(table) != keys:
        fail(file, key, f"must say {', '.join(sorted(keys))}", sorted(table))
