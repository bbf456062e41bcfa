"""The columns of a points file: one row for every offer of every point."""

from __future__ import annotations

import pyarrow as pa

__all__ = ["KINDS", "POINT_SCHEMA", "REQUIRED", "VISIBILITIES"]

KINDS = ("store", "pickup_point", "community_station", "venue", "depot", "warehouse")
VISIBILITIES = ("public", "unlisted", "internal")
REQUIRED = ("point_id", "offer", "lat", "lng")

_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("point_id", pa.string()),
    ("offer", pa.string()),  # sector/mode
    ("lat", pa.float64()),  # degrees, WGS 84
    ("lng", pa.float64()),
    ("area", pa.binary()),  # WKB polygon in lng/lat; null: the radius, or everywhere
    ("radius_m", pa.float64()),  # null: the area, or everywhere
    ("hours", pa.string()),  # OSM opening_hours; null: unknown
    ("timezone", pa.string()),  # IANA name
    ("country", pa.string()),  # ISO 3166-1 alpha-2
    ("capacity", pa.int64()),  # orders at once; null: no limit
    ("lead_s", pa.int64()),  # null: none
    ("features", pa.string()),  # separated by ";"
    ("kind", pa.string()),  # one of KINDS
    ("name", pa.string()),  # as written on the door
    ("visibility", pa.string()),  # one of VISIBILITIES
    ("synthetic", pa.bool_()),
    ("name_zh", pa.string()),
    ("name_ko", pa.string()),
    ("name_en", pa.string()),
    ("address", pa.string()),
]
POINT_SCHEMA = pa.schema(_COLUMNS)
