"""Columns of a points file as typed Arrow columns; what cannot be one is told row by row."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from geo.areas import area_from_wkb, area_from_wkt, areas_from_wkb, check_area
from geo.datums import convert_datum
from geo.errors import GeoError
from service.matching.cells import (
    Faults,
    as_mask,
    as_text,
    cast_each,
    coded,
    is_number,
    none_if_empty,
    of_codes,
    shown,
)
from service.points.rows import EVERYWHERE

__all__ = [
    "choices",
    "features",
    "flags",
    "numbers",
    "parsed",
    "shapes",
    "text",
    "wholes",
]

# Control characters, line breaks, and what turns the direction of writing.
_UNPRINTABLE = r"[\p{Cc}\p{Zl}\p{Zp}\x{202A}-\x{202E}\x{2066}-\x{2069}\x{FEFF}]"
_WHOLE = re.compile(r"[0-9]{1,19}")
_FEATURE = re.compile(r"[^\s;]+(?: [^\s;]+)*")
_MAX_FEATURES_CHARS = 1_000
_FLAGS = {"true": True, "false": False}
_SHAPE_ERRORS = (GeoError, shapely.errors.ShapelyError)


def text(column: pa.Array[Any], name: str, faults: Faults, *, max_chars: int) -> pa.Array[Any]:
    """Return a column of text that can be shown in one line, null where it is empty."""
    if name == "point_id" and pa.types.is_integer(column.type):
        column = column.cast(pa.string())
    cells = as_text(column, name, faults)
    n_chars = pc.call_function("utf8_length", [cells]).fill_null(0).to_numpy(zero_copy_only=False)
    faults.add(n_chars > max_chars, lambda _: f"{name} must have at most {max_chars} characters")
    unprintable = as_mask(pc.match_substring_regex(cells, _UNPRINTABLE))
    faults.add(unprintable, lambda i: f"{name} must have no control characters, got {shown(cells[i])}")
    return cells


def parsed(
    cells: pa.Array[Any], faults: Faults, is_good: Callable[[str], bool], reason: Callable[[str], str]
) -> pa.Array[Any]:
    """Return a column of text after each distinct one was judged once."""
    codes, distinct = coded(cells)
    wrong = of_codes(codes, [not is_good(cell) for cell in distinct], missing=False).astype(np.bool_)
    faults.add(wrong, lambda i: reason(distinct[codes[i]]))
    return cells


def choices(column: pa.Array[Any], name: str, faults: Faults, allowed: Sequence[str]) -> pa.Array[Any]:
    """Return a column of text that is one of a few."""
    expected = f"{name} must be one of {', '.join(allowed)}"
    return parsed(
        as_text(column, name, faults), faults, lambda cell: cell in allowed, lambda c: f"{expected}, got {c!r:.60}"
    )


def numbers(column: pa.Array[Any], name: str, faults: Faults, *, maximum: float) -> pa.Array[Any]:
    """Return a column of numbers from 0 to a maximum as float64, null where it is empty."""

    def reason(i: int) -> str:
        return f"{name} must be a number from 0 to {maximum:.0f}, got {shown(column[i])}"

    kind = column.type
    if pa.types.is_binary(kind):  # a cell of CSV
        values, wrong = cast_each(as_text(column, name, faults), pa.float64())
    elif is_number(kind):
        values, wrong = column.cast(pa.float64(), safe=False), np.zeros(len(column), np.bool_)
    else:
        values, wrong = pa.nulls(len(column), pa.float64()), as_mask(column.is_valid())
    inside = values.fill_null(0.0).to_numpy(zero_copy_only=False)
    faults.add(wrong | ~((inside >= 0.0) & (inside <= maximum)), reason)
    return values


def wholes(column: pa.Array[Any], name: str, faults: Faults, *, maximum: int) -> pa.Array[Any]:
    """Return a column of whole numbers from 0 to a maximum as int64, null where it is empty."""
    expected = f"{name} must be a whole number from 0 to {maximum}"

    def reason(i: int) -> str:
        return f"{expected}, got {shown(column[i])}"

    kind = column.type
    if pa.types.is_binary(kind):  # a cell of CSV
        cells = as_text(column, name, faults)
        whole = parsed(cells, faults, lambda cell: bool(_WHOLE.fullmatch(cell)), lambda c: f"{expected}, got {c!r:.60}")
        values, wrong = cast_each(whole, pa.int64())
    elif is_number(kind):
        values, wrong = cast_each(column, pa.int64())
    else:
        values, wrong = pa.nulls(len(column), pa.int64()), as_mask(column.is_valid())
    inside = values.fill_null(0).to_numpy(zero_copy_only=False)
    faults.add(wrong | (inside < 0) | (inside > maximum), reason)
    return values


def flags(column: pa.Array[Any], name: str, faults: Faults) -> pa.Array[Any]:
    """Return a column of true and false, false where it is empty."""
    if pa.types.is_boolean(column.type):
        return column.fill_null(False)
    cells = as_text(column, name, faults)
    expected = f"{name} must be true or false"
    parsed(cells, faults, lambda cell: cell.lower() in _FLAGS, lambda cell: f"{expected}, got {cell!r:.60}")
    codes, distinct = coded(cells)
    values = of_codes(codes, [_FLAGS.get(cell.lower(), False) for cell in distinct], missing=False)
    return pa.array(values.astype(np.bool_))


def features(column: pa.Array[Any], faults: Faults) -> pa.Array[Any]:
    """Return a column of feature keys with ``;`` between them, each row's sorted and once."""
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        column = _joined(column, faults)
    cells = text(column, "features", faults, max_chars=_MAX_FEATURES_CHARS)
    parsed(cells, faults, _are_features, lambda c: f"features must be keys such as lift;wheelchair, got {c!r:.60}")
    codes, distinct = coded(cells)
    tidy = [";".join(sorted(set(cell.split(";")))) for cell in distinct]
    return pa.array(of_codes(codes, tidy, missing=None).tolist(), pa.string())


def _are_features(cell: str) -> bool:
    return all(_FEATURE.fullmatch(key) for key in cell.split(";"))


def _joined(column: pa.Array[Any], faults: Faults) -> pa.Array[Any]:
    """Return lists of keys as CSV has them."""
    is_text = pa.types.is_string(column.type.value_type) or pa.types.is_large_string(column.type.value_type)
    if not is_text:
        faults.add(
            as_mask(pc.greater(pc.list_value_length(column), pa.scalar(0))),
            lambda i: f"features must be a list of texts, got {shown(column[i])}",
        )
        return pa.nulls(len(column), pa.string())
    joined: pa.Array[Any] = pc.call_function("binary_join", [column, pa.scalar(";")])
    faults.add(
        as_mask(column.is_valid()) & as_mask(joined.is_null()),
        lambda i: f"features must be a list of texts, got {shown(column[i])}",
    )
    return none_if_empty(joined.cast(pa.string()))


def shapes(column: pa.Array[Any], faults: Faults, *, datum: str) -> tuple[pa.Array[Any], NDArray[np.bool_]]:
    """
    Return a column of areas as WKB in WGS 84, null where there is none, and which rows say ``everywhere``.

    Parameters
    ----------
    column
        WKB, or text: WKT or ``everywhere``.
    datum
        Of its vertices. Edges stay straight between the converted ones.
    """
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        encoded = column.dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
        values: list[Any] = encoded.dictionary.to_pylist()
    else:
        codes, values = coded(as_text(column, "area", faults))
    drawn = [value != EVERYWHERE for value in values]
    wkb, reasons = _shapes([value for value, is_drawn in zip(values, drawn, strict=True) if is_drawn], datum)
    places = np.cumsum(drawn) - 1
    wkb_of = [wkb[place] if is_drawn else None for place, is_drawn in zip(places, drawn, strict=True)]
    reason_of = [reasons.get(int(place)) if is_drawn else None for place, is_drawn in zip(places, drawn, strict=True)]
    wrong = of_codes(codes, [reason is not None for reason in reason_of], missing=False).astype(np.bool_)
    faults.add(wrong, lambda i: str(reason_of[codes[i]]))
    areas = of_codes(codes, wkb_of, missing=None).tolist()
    return pa.array(areas, pa.binary()), of_codes(codes, [not is_drawn for is_drawn in drawn], missing=False).astype(
        np.bool_
    )


def _shapes(values: list[Any], datum: str) -> tuple[list[bytes | None], dict[int, str]]:
    """Return distinct areas as WKB, None where one is wrong, and the reasons for these."""
    if all(isinstance(value, bytes) for value in values) and datum == "wgs84":
        try:  # all at once; one by one only where one of them is wrong
            return list(shapely.to_wkb(areas_from_wkb(values))), {}
        except _SHAPE_ERRORS:
            pass
    wkb: list[bytes | None] = []
    reasons: dict[int, str] = {}
    for place, value in enumerate(values):
        try:
            wkb.append(shapely.to_wkb(_shape(value, datum)))
        except _SHAPE_ERRORS as error:
            wkb.append(None)
            reasons[place] = f"{error!s:.300}"
    return wkb, reasons


def _shape(value: str | bytes, datum: str) -> Any:
    read: Any = area_from_wkb if isinstance(value, bytes) else area_from_wkt
    area = read(value, argument="area")
    if datum == "wgs84":
        return area
    moved = shapely.transform(area, lambda vertices: _moved(vertices, datum))
    return check_area(moved, argument="area")


def _moved(vertices: NDArray[np.float64], datum: str) -> NDArray[np.float64]:
    lat, lng = convert_datum(vertices[:, 1], vertices[:, 0], source=datum, target="wgs84")
    return np.column_stack([lng, lat])
