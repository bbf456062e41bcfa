"""Check the rows of a points file column by column: the good ones as a table, and a reason for each of the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.columns import MAX_LEAD_S
from engine.errors import EngineError
from engine.holidays import check_country
from engine.hours import hours_traits, is_valid_hours
from engine.inputs import MAX_WHOLE
from engine.local_time import check_timezone
from engine.norms import Norms
from geo.datums import convert_datum
from service.matching.cells import Faults, as_degrees, as_mask, coded, of_codes
from service.points import cells
from service.points.rows import BadRow, Checked, RawPoints
from service.points.schema import KINDS, POINT_SCHEMA, VISIBILITIES
from service.points.zones import country_of, zones_of

__all__ = ["check_points"]

_OFFER = re.compile(r"[a-z0-9_]+/[a-z0-9_]+")
_MAX_ID_CHARS = 256
_MAX_TEXT_CHARS = 1_000
_MAX_HOURS_CHARS = 4_096
_MAX_RADIUS_M = 20_100_000.0  # beyond half a meridian: the whole earth
_PLAIN = ("name", "name_zh", "name_ko", "name_en", "address")


def check_points(
    raw: RawPoints,
    *,
    datum: str = "wgs84",
    timezone: str | None = None,
    country: str | None = None,
    norms: Norms | None = None,
    known: Mapping[str, str] | None = None,
) -> Checked:
    """
    Return the rows that can be offers of points, in WGS 84, and why the others cannot.

    Parameters
    ----------
    raw
        What the source holds.
    datum
        Datum of its places and areas.
    timezone, country
        For rows that do not tell theirs; None to look them up from the place.
    norms
        Where an offer tells neither area nor radius, its norm's radius stands in; None to leave it everywhere.
    known
        Points that are held already, and what has them; their rows are left out.
    """
    faults = Faults(raw.row.size)
    columns, everywhere = _typed(raw, faults, datum)
    _check_areas(columns, faults)
    good = faults.good
    bad = _bad_rows(raw.row, columns["point_id"], faults)
    table = pa.table({name: column.filter(pa.array(good)) for name, column in columns.items()}, schema=POINT_SCHEMA)
    table = _in_wgs84(table, datum)
    checked = Checked(table, raw.row[good], [*raw.bad, *bad])
    checked = _without(checked, _told_twice)
    if known:
        checked = _without(checked, partial(_held_already, known))
    checked = _with_zones(checked, timezone, country)
    checked = _without(checked, _unfit_hours)
    if norms is not None and not raw.empty_is_everywhere:
        checked = _with_norm_radii(checked, norms, everywhere[np.isin(raw.row, checked.row)])
    return replace(checked, bad=sorted(checked.bad))


def _typed(raw: RawPoints, faults: Faults, datum: str) -> tuple[dict[str, pa.Array[Any]], NDArray[np.bool_]]:
    """Return every column of the schema, and which rows say that they serve everywhere."""
    n = raw.row.size
    given = {field.name: raw.columns.get(field.name, pa.nulls(n)) for field in POINT_SCHEMA}
    columns = {"point_id": cells.text(given["point_id"], "point_id", faults, max_chars=_MAX_ID_CHARS)}
    faults.add_empty(columns["point_id"], "point_id")
    columns["offer"] = cells.text(given["offer"], "offer", faults, max_chars=_MAX_TEXT_CHARS)
    faults.add_empty(columns["offer"], "offer")
    cells.parsed(columns["offer"], faults, lambda c: bool(_OFFER.fullmatch(c)), _not_an_offer)
    columns |= _places(given["lat"], given["lng"], faults)
    columns["area"], everywhere = cells.shapes(given["area"], faults, datum=datum)
    columns["radius_m"] = cells.numbers(given["radius_m"], "radius_m", faults, maximum=_MAX_RADIUS_M)
    columns["hours"] = cells.text(given["hours"], "hours", faults, max_chars=_MAX_HOURS_CHARS)
    cells.parsed(columns["hours"], faults, is_valid_hours, _not_hours)
    checks: dict[str, Callable[[object], str]] = {"timezone": check_timezone, "country": check_country}
    for name, check in checks.items():
        columns[name] = cells.text(given[name], name, faults, max_chars=_MAX_TEXT_CHARS)
        cells.parsed(columns[name], faults, *_judged_by(check))
    for name, maximum in (("capacity", MAX_WHOLE), ("lead_s", MAX_LEAD_S)):
        columns[name] = cells.wholes(given[name], name, faults, maximum=maximum)
    columns["features"] = cells.features(given["features"], faults)
    columns["kind"] = cells.choices(given["kind"], "kind", faults, KINDS)
    visibility = cells.choices(given["visibility"], "visibility", faults, VISIBILITIES)
    columns["visibility"] = visibility.fill_null(VISIBILITIES[0])
    columns["synthetic"] = cells.flags(given["synthetic"], "synthetic", faults)
    for name in _PLAIN:
        columns[name] = cells.text(given[name], name, faults, max_chars=_MAX_TEXT_CHARS)
    return {field.name: columns[field.name].cast(field.type) for field in POINT_SCHEMA}, everywhere


def _not_an_offer(cell: str) -> str:
    return f'offer must be "sector/mode" in a-z, 0-9 and _, got {cell!r:.60}'


def _not_hours(cell: str) -> str:
    return f"hours must be an opening_hours expression, got {cell!r:.120}"


def _judged_by(check: Callable[[object], str]) -> tuple[Callable[[str], bool], Callable[[str], str]]:
    """Return what tells whether a cell passes a check, and why not."""

    def refusal(cell: str) -> str:
        try:
            check(cell)
        except EngineError as error:
            return str(error)
        return ""

    return lambda cell: not refusal(cell), refusal


def _places(lat: pa.Array[Any], lng: pa.Array[Any], faults: Faults) -> dict[str, pa.Array[Any]]:
    lats, lngs = as_degrees(lat, "lat", faults), as_degrees(lng, "lng", faults)

    def lat_reason(i: int) -> str:
        hint = "; swapped with lng?" if abs(lats[i]) <= 180.0 and abs(lngs[i]) <= 90.0 else ""
        return f"lat must be in [-90, 90], got {float(lats[i])!r}{hint}"

    faults.add(~(np.abs(lats) <= 90.0), lat_reason)  # NaN is in no range
    faults.add(~(np.abs(lngs) <= 180.0), lambda i: f"lng must be in [-180, 180], got {float(lngs[i])!r}")
    return {"lat": pa.array(lats), "lng": pa.array(lngs)}


def _check_areas(columns: dict[str, pa.Array[Any]], faults: Faults) -> None:
    both = as_mask(columns["area"].is_valid()) & as_mask(columns["radius_m"].is_valid())
    faults.add(both, lambda _: "must have an area or a radius_m, got both")


def _in_wgs84(table: pa.Table, datum: str) -> pa.Table:
    lat, lng = convert_datum(_numpy(table, "lat"), _numpy(table, "lng"), source=datum, target="wgs84")
    return _with(_with(table, "lat", pa.array(np.asarray(lat))), "lng", pa.array(np.asarray(lng)))


def _with_zones(checked: Checked, timezone: str | None, country: str | None) -> Checked:
    zones, zone_origin = _filled(checked.table, "timezone", timezone, _zones_by_place)
    table = _with(checked.table, "timezone", zones)
    countries, country_origin = _filled(table, "country", country, _countries_by_zone)
    table = _with(table, "country", countries)
    return replace(checked, table=table, zone_origin=zone_origin, country_origin=country_origin)


def _filled(
    table: pa.Table, name: str, option: str | None, look_up: Callable[[pa.Table], list[str | None]]
) -> tuple[pa.Array[Any], dict[str, int]]:
    """Return a column with its gaps filled, and how many rows have theirs from where."""
    column = _column(table, name)
    missing = as_mask(column.is_null())
    origin = {"column": int((~missing).sum())}
    if option is not None:
        return column.fill_null(option), origin | {"option": int(missing.sum())}
    found = look_up(table.filter(pa.array(missing)))
    values = np.array(column.to_pylist(), object)
    values[missing] = found
    n_nowhere = found.count(None)
    return pa.array(values.tolist(), pa.string()), origin | {"place": len(found) - n_nowhere, "nowhere": n_nowhere}


def _zones_by_place(table: pa.Table) -> list[str | None]:
    places = np.column_stack([_numpy(table, "lat"), _numpy(table, "lng")])
    distinct, number = np.unique(places, axis=0, return_inverse=True)
    zones = zones_of(distinct[:, 0], distinct[:, 1])
    return [zones[i] for i in number.ravel().tolist()]


def _countries_by_zone(table: pa.Table) -> list[str | None]:
    places = zip(_numpy(table, "lat").tolist(), _numpy(table, "lng").tolist(), strict=True)
    zones = _column(table, "timezone").to_pylist()
    return [None if zone is None else country_of(zone, *place) for zone, place in zip(zones, places, strict=True)]


def _unfit_hours(table: pa.Table) -> Faults:
    """Note the rows whose hours cannot be told in their place."""
    faults = Faults(table.num_rows)
    codes, distinct = coded(_column(table, "hours"))
    faults.add(
        (codes >= 0) & as_mask(_column(table, "timezone").is_null()),
        lambda _: "hours need a timezone: none is given, and the place lies in none",
    )
    asks_country = of_codes(codes, ["public_holidays" in hours_traits(cell) for cell in distinct], missing=False)
    faults.add(
        asks_country.astype(np.bool_) & as_mask(_column(table, "country").is_null()),
        lambda i: f"hours with PH need a country: none is given or found, got {distinct[codes[i]]!r:.60}",
    )
    return faults


def _told_twice(table: pa.Table) -> Faults:
    """Note the rows that say an offer of a point again, or put the point elsewhere."""
    faults = Faults(table.num_rows)
    ids, _ = coded(_column(table, "point_id"))
    offers, distinct = coded(_column(table, "offer"))
    lat, lng = _numpy(table, "lat"), _numpy(table, "lng")
    _, first = np.unique(ids, return_index=True)
    home = first[ids] if ids.size else first
    faults.add(
        (lat != lat[home]) | (lng != lng[home]),
        lambda i: f"must be at one place in all rows of a point, got another than before: {lat[i]}, {lng[i]}",
    )
    pairs = ids.astype(np.int64) * max(1, len(distinct)) + offers
    _, first_pair = np.unique(pairs, return_index=True)
    again = np.ones(table.num_rows, np.bool_)
    again[first_pair] = False
    faults.add(again, lambda i: f"must name an offer once for a point, got {distinct[offers[i]]} again")
    return faults


def _held_already(known: Mapping[str, str], table: pa.Table) -> Faults:
    """Note the rows of points that are held already."""
    faults = Faults(table.num_rows)
    codes, ids = coded(_column(table, "point_id"))
    held = of_codes(codes, [point_id in known for point_id in ids], missing=False).astype(np.bool_)
    faults.add(held, lambda i: f"point_id {ids[codes[i]]!r:.60} is already in {known[ids[codes[i]]]}")
    return faults


def _without(checked: Checked, judge: Callable[[pa.Table], Faults]) -> Checked:
    """Return what is left when the rows that a judge notes are taken out."""
    faults = judge(checked.table)
    if faults.good.all():
        return checked
    bad = _bad_rows(checked.row, checked.table["point_id"], faults)
    table = checked.table.filter(pa.array(faults.good))
    return replace(checked, table=table, row=checked.row[faults.good], bad=[*checked.bad, *bad])


def _bad_rows(row: NDArray[np.int64], point_ids: Any, faults: Faults) -> list[BadRow]:
    return [BadRow(int(row[i]), reason, point_ids[i].as_py()) for i, reason in faults.reasons()]


def _with_norm_radii(checked: Checked, norms: Norms, everywhere: NDArray[np.bool_]) -> Checked:
    table = checked.table
    codes, offers = coded(_column(table, "offer"))
    radii = [norms.offer(offer).radius_m if offer in norms.by_offer else np.nan for offer in offers]
    radius_m = _column(table, "radius_m")
    told = everywhere | as_mask(radius_m.is_valid()) | as_mask(_column(table, "area").is_valid())
    stands_in = np.where(told, np.nan, of_codes(codes, radii, missing=np.nan).astype(np.float64))
    filled = np.where(
        as_mask(radius_m.is_valid()), radius_m.fill_null(np.nan).to_numpy(zero_copy_only=False), stands_in
    )
    counts = {offer: int(((codes == code) & ~np.isnan(stands_in)).sum()) for code, offer in enumerate(offers)}
    return replace(
        checked,
        table=_with(table, "radius_m", pa.array(filled, mask=np.isnan(filled))),
        default_areas={offer: n for offer, n in sorted(counts.items()) if n},
    )


def _column(table: pa.Table, name: str) -> Any:
    return table[name].combine_chunks()


def _numpy(table: pa.Table, name: str) -> NDArray[np.float64]:
    return table[name].to_numpy()


def _with(table: pa.Table, name: str, column: Any) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), POINT_SCHEMA.field(name), column)
