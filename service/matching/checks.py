"""Check a batch of orders column by column: the good rows as arrays, and a reason for each of the others."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from geo.datums import convert_datum
from service.matching.cells import (
    Faults,
    as_degrees,
    as_mask,
    as_text,
    cast_each,
    coded,
    is_clean,
    none_if_empty,
    of_codes,
    shown,
)
from service.matching.columns import ORDER_COLUMNS, BadRow, Orders, RawOrders
from service.matching.spreadsheets import unescaped
from service.matching.times import NOT_TOLD, as_instants_ns

__all__ = ["check_orders"]

_MAX_ID_CHARS = 256
_MAX_FEATURES_CHARS = 1_000
_MAX_UNITS = 10**18 - 1  # still an int64, also when a few are added
_LATEST_NS = np.iinfo(np.int64).max
# Control characters, line breaks, and what turns the direction of writing.
_UNPRINTABLE = r"[\p{Cc}\p{Zl}\p{Zp}\x{202A}-\x{202E}\x{2066}-\x{2069}\x{FEFF}]"
_OFFER = re.compile(r"[a-z0-9_]+/[a-z0-9_]+")
_WHOLE = re.compile(r"[0-9]{1,18}")
_FEATURE = re.compile(r"[^\s;]+(?: [^\s;]+)*")


def check_orders(raw: RawOrders, *, datum: str = "wgs84") -> tuple[Orders, list[BadRow]]:
    """
    Return the orders of a batch that can be asked, and why the others cannot, in order of their rows.

    Parameters
    ----------
    raw
        What the file holds; orders without a column of ids have none.
    datum
        Datum of its places.
    """
    n = raw.row.size
    faults = Faults(n)
    columns = {name: raw.columns.get(name, pa.nulls(n)) for name in ORDER_COLUMNS}
    order_id = _ids(columns["order_id"], faults) if "order_id" in raw.columns else pa.nulls(n, pa.string())
    lat, lng = _places(columns["lat"], columns["lng"], faults)
    offer, offers = _offers(columns["offer"], faults)
    at_ns = as_instants_ns(columns["at"], "at", faults)
    asked_ns, quantity = np.full(n, NOT_TOLD), np.ones(n, np.int64)
    wants, feature_sets = np.zeros(n, np.int32), [frozenset[str]()]
    if "asked_at" in raw.columns:
        asked_ns = as_instants_ns(columns["asked_at"], "asked_at", faults)
        faults.add(_is_told(asked_ns) & ~_is_told(at_ns), lambda _: "asked_at needs at, the time for which it is asked")
    if "quantity" in raw.columns:
        quantity = _quantities(columns["quantity"], faults)
    if "features" in raw.columns:
        wants, feature_sets = _features(columns["features"], faults)
    good = slice(None) if faults.good.all() else faults.good  # a slice copies nothing
    lat, lng = (np.asarray(degrees) for degrees in convert_datum(lat[good], lng[good], source=datum, target="wgs84"))
    orders = Orders(
        order_id if isinstance(good, slice) else order_id.filter(pa.array(good)),
        lat,
        lng,
        offer[good],
        offers,
        _microseconds(at_ns[good]),
        _microseconds(asked_ns[good]),
        np.where(_is_told(asked_ns), asked_ns, _LATEST_NS)[good],
        quantity[good],
        wants[good],
        feature_sets,
    )
    bad = [BadRow(int(raw.row[i]), reason) for i, reason in faults.reasons()]
    return orders, sorted([*raw.bad, *bad])


def _is_told(instants_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    return instants_ns != NOT_TOLD


def _microseconds(instants_ns: NDArray[np.int64]) -> NDArray[np.datetime64]:
    # The least int64 is NaT in both units.
    return np.where(_is_told(instants_ns), instants_ns // 1_000, NOT_TOLD).view("datetime64[us]")


def _ids(column: pa.Array[Any], faults: Faults) -> pa.Array[Any]:
    if pa.types.is_integer(column.type):
        column = column.cast(pa.string())
    text = as_text(column, "order_id", faults)
    if pa.types.is_binary(column.type):  # a cell of CSV
        text = unescaped(text)
    faults.add_empty(text, "order_id")
    n_chars = pc.call_function("utf8_length", [text]).fill_null(0).to_numpy(zero_copy_only=False)
    faults.add(n_chars > _MAX_ID_CHARS, lambda _: f"order_id must have at most {_MAX_ID_CHARS} characters")
    unprintable = as_mask(pc.match_substring_regex(text, _UNPRINTABLE))
    faults.add(unprintable, lambda i: f"order_id must have no control characters, got {text[i].as_py()!r:.60}")
    return text


def _places(lat: pa.Array[Any], lng: pa.Array[Any], faults: Faults) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    lats, lngs = as_degrees(lat, "lat", faults), as_degrees(lng, "lng", faults)

    def lat_reason(i: int) -> str:
        hint = "; swapped with lng?" if abs(lats[i]) <= 180.0 and abs(lngs[i]) <= 90.0 else ""
        return f"lat must be in [-90, 90], got {float(lats[i])!r}{hint}"

    faults.add(~(np.abs(lats) <= 90.0), lat_reason)  # NaN is in no range
    faults.add(~(np.abs(lngs) <= 180.0), lambda i: f"lng must be in [-180, 180], got {float(lngs[i])!r}")
    return lats, lngs


def _offers(column: pa.Array[Any], faults: Faults) -> tuple[NDArray[np.int32], list[str]]:
    if isinstance(column, pa.DictionaryArray) and is_clean(column):
        faults.add_empty(column, "offer")
        codes, offers = coded(column)
    else:
        text = as_text(column, "offer", faults)
        faults.add_empty(text, "offer")
        codes, offers = coded(text)
    wrong = of_codes(codes, [_OFFER.fullmatch(offer) is None for offer in offers], missing=False)
    faults.add(wrong, lambda i: f'offer must be "sector/mode" in a-z, 0-9 and _, got {offers[codes[i]]!r:.60}')
    return codes, offers


def _quantities(column: pa.Array[Any], faults: Faults) -> NDArray[np.int64]:
    def reason(i: int) -> str:
        return f"quantity must be a whole number of at least 1, got {shown(column[i])}"

    if pa.types.is_integer(column.type) or pa.types.is_decimal(column.type):
        whole, not_whole = cast_each(column, pa.int64())
        faults.add(not_whole, reason)
        units = whole.fill_null(1).to_numpy(zero_copy_only=False)
    elif pa.types.is_binary(column.type):
        codes, cells = coded(as_text(column, "quantity", faults))
        units = of_codes(codes, [int(cell) if _WHOLE.fullmatch(cell) else 0 for cell in cells], missing=1)
    else:
        units = np.where(as_mask(column.is_valid()), 0, 1)
    faults.add((units < 1) | (units > _MAX_UNITS), reason)
    return units


def _features(column: pa.Array[Any], faults: Faults) -> tuple[NDArray[np.int32], list[frozenset[str]]]:
    def reason(i: int) -> str:
        return f"features must be keys such as lift, in CSV with ; between them, got {shown(column[i])}"

    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        text, faulty = _joined(column)
        faults.add(faulty, reason)
    else:
        text = as_text(column, "features", faults)
    codes, cells = coded(text)
    sets = [_feature_set(cell) for cell in cells]
    faults.add(of_codes(codes, [keys is None for keys in sets], missing=False), reason)
    # The empty set goes first, and stands for no features at all.
    return codes + 1, [frozenset(), *(keys or frozenset() for keys in sets)]


def _joined(column: pa.Array[Any]) -> tuple[pa.Array[Any], NDArray[np.bool_]]:
    """Return lists of keys as CSV has them, and which are no such list."""
    if not pa.types.is_string(column.type.value_type) and not pa.types.is_large_string(column.type.value_type):
        return pa.nulls(len(column), pa.string()), as_mask(pc.greater(pc.list_value_length(column), pa.scalar(0)))
    lists: Any = column.cast(pa.list_(pa.string()))  # there is no such function for large texts
    text: pa.Array[Any] = pc.call_function("binary_join", [lists, pa.scalar(";")])  # null where a key is null
    faulty = as_mask(column.is_valid()) & as_mask(text.is_null())
    no_key = as_mask(pc.match_substring_regex(lists.flatten(), "^$|;"))  # which would be read as other lists
    n_keys = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
    faulty[np.repeat(np.arange(len(lists)), n_keys)[no_key]] = True
    return none_if_empty(text.cast(pa.string())), faulty


def _feature_set(cell: str) -> frozenset[str] | None:
    keys = cell.split(";")
    if len(cell) > _MAX_FEATURES_CHARS or not all(_FEATURE.fullmatch(key) for key in keys):
        return None
    return frozenset(keys)
