"""Questions and answers as the description of the API shows them; without null, which the framework leaves out there."""

from __future__ import annotations

from typing import Any

from service.matching.parameters import EXAMPLE_TIME

__all__ = ["BATCH", "BATCH_ANSWER", "EXPLAINED", "MATCHED", "NOBODY"]

_INDEX = {"version": "0:42", "age_s": 0.05}
_ASKED_AT = "2026-11-25T04:00:00Z"
_AT = "2026-11-26T02:00:00Z"

MATCHED: dict[str, Any] = {
    "matches": [
        {
            "point_id": "corner-shop:01",
            "offer": "retail/pickup",
            "distance_m": 412.7,
            "lat": 31.2331,
            "lng": 121.4768,
            "promise": {
                "order_by": "2026-11-26T01:00:00Z",
                "ready_at": "2026-11-25T05:00:00Z",
                "hold_until": "2026-11-29T02:00:00Z",
                "cancel_free_until": _AT,
            },
        }
    ],
    "at": _AT,
    "asked_at": _ASKED_AT,
    "datum": "wgs84",
    "index": _INDEX,
}

NOBODY: dict[str, Any] = {
    "matches": [],
    "at": _ASKED_AT,
    "asked_at": _ASKED_AT,
    "datum": "wgs84",
    "index": _INDEX,
    "reason": "too_soon",
    "refused": [
        {
            "point_id": "corner-shop:01",
            "distance_m": 412.7,
            "reason": "too_soon",
            "next_open_at": "2026-11-25T05:01:00Z",
        },
        {
            "point_id": "corner-shop:02",
            "distance_m": 980.1,
            "reason": "closed",
            "next_open_at": "2026-11-25T06:00:00Z",
        },
    ],
    "next_open_at": "2026-11-25T05:01:00Z",
    "would_help": {
        "later": {"at": "2026-11-25T05:01:00Z", "point_id": "corner-shop:01", "distance_m": 412.7},
        "farther": {"point_id": "corner-shop:03", "distance_m": 5120.4},
        "other_modes": [{"offer": "retail/delivery", "point_id": "corner-shop:01", "distance_m": 412.7}],
    },
}

BATCH: dict[str, Any] = {
    "asks": [
        {"lat": 31.2304, "lng": 121.4737, "offer": "retail/pickup", "at": EXAMPLE_TIME},
        {"lat": 31.2204, "lng": 121.4637, "offer": "laundry/onsite", "k": 3, "features": ["brand:corner"]},
    ],
    "datum": "wgs84",
}
BATCH_ANSWER: dict[str, Any] = {"answers": [MATCHED, NOBODY]}

EXPLAINED: dict[str, Any] = {
    "match": {"point_id": "corner-shop:02", "distance_m": 980.1, "reason": "matched"},
    "nearer": [{"point_id": "corner-shop:01", "distance_m": 412.7, "reason": "closed"}],
    "n_more": 0,
    "point": {
        "point_id": "corner-shop:01",
        "distance_m": 412.7,
        "reason": "closed",
        "is_indexed": True,
        "has_offer": True,
        "visibility": "public",
        "merchant_status": "verified",
        "is_paused": False,
        "features": ["lift"],
        "hours": "Mo-Fr 09:00-18:00",
        "capacity": 12,
        "lead_s": 3600,
        "radius_m": 3000.0,
        "has_area": False,
        "checks": {
            "visibility": "ok",
            "paused": "ok",
            "merchant": "ok",
            "features": "ok",
            "hours": "closed",
            "lead": "ok",
            "area": "ok",
            "capacity": "ok",
            "stock": "ok",
            "room": "ok",
            "distance": "ok",
        },
    },
    "at": _AT,
    "asked_at": _ASKED_AT,
    "index": _INDEX,
}
