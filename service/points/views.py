"""Points as answers tell them: to their merchant, and to everyone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from service.clock import from_us
from service.feed.columns import split_features
from service.http.revisions import etag
from service.places import told_place
from service.points.areas import area_json
from service.points.schemas import OfferAnswer, PointAnswer, PublicOffer, PublicPoint, PutAnswer, SlotBody

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.bookings.schemas import SettledAnswer
    from service.points.schemas import Filled
    from service.points.store import PointRecord
    from service.store.connections import AnyRow

__all__ = ["is_public", "n_told_at_once", "point_answer", "point_etag", "public_etag", "public_point", "put_answer"]

_MOST_AREA_BYTES = 512 * 1024
"""Of a page, as the store keeps them: three times as many are told, in a tenth of a second."""


def is_public(record: PointRecord) -> bool:
    """Tell whether everyone may read a point whose id he has."""
    return record.row.status == "verified" and record.row.visibility != "internal"


def point_etag(record: PointRecord) -> str:
    """Return the ETag of a point as its merchant sees it: another once its merchant sets a capacity, too."""
    return etag(record.row.revision, record.row.capacity_revision)


def public_etag(record: PointRecord) -> str:
    """Return the ETag of a point as everyone sees it: it tells nothing of stock."""
    return etag(record.row.revision)


def n_told_at_once(records: Sequence[PointRecord]) -> int:
    """Return how many of some points, from the first on, a page has at most: as many as their areas allow, one at least."""
    n_bytes = 0
    for number, record in enumerate(records):
        n_bytes += sum(len(offer.area or b"") for offer in record.offers)
        if number and n_bytes > _MOST_AREA_BYTES:
            return number
    return len(records)


def point_answer(record: PointRecord, datum: str) -> PointAnswer:
    """Return a point as its merchant sees it."""
    return PointAnswer(**_whole(record, datum))


def put_answer(record: PointRecord, datum: str, filled: Sequence[Filled], visits: SettledAnswer) -> PutAnswer:
    """Return a point as it was stored, with what stands in for what was left out, and what became of visits."""
    return PutAnswer(**_whole(record, datum), filled=list(filled), unkept=visits.unkept, moved=visits.moved)


def public_point(record: PointRecord, datum: str) -> PublicPoint:
    """Return a point as everyone sees it."""
    offers = [
        PublicOffer(offer=offer.offer, hours=offer.hours, lead_s=offer.lead_s, paused=offer.is_paused)
        for offer in record.offers
    ]
    return PublicPoint(**_common(record, datum), offers=offers)


def _slot(offer: AnyRow) -> SlotBody | None:
    return None if offer.slot_s is None else SlotBody(orders=offer.slot_orders, minutes=offer.slot_s // 60)


def _whole(record: PointRecord, datum: str) -> dict[str, Any]:
    row = record.row
    offers = [
        OfferAnswer(
            offer=offer.offer,
            area=area_json(offer.radius_m, offer.area, datum),
            hours=offer.hours,
            capacity=offer.capacity,
            in_work=offer.in_work,
            slot=_slot(offer),
            lead_s=offer.lead_s,
            paused=offer.is_paused,
        )
        for offer in record.offers
    ]
    return {
        **_common(record, datum),
        "visibility": row.visibility,
        "synthetic": row.is_synthetic,
        "offers": offers,
        "revision": row.revision,
        "created_at": from_us(row.created_at),
        "updated_at": from_us(row.updated_at),
    }


def _common(record: PointRecord, datum: str) -> dict[str, Any]:
    row = record.row
    lat, lng = told_place(row.lat, row.lng, datum)
    return {
        "point_id": row.point_id,
        "merchant_id": row.merchant_id,
        "kind": row.kind,
        "name": row.name,
        "address": row.address,
        "lat": lat,
        "lng": lng,
        "datum": datum,
        "timezone": row.timezone,
        "country": row.country,
        "features": split_features(row.features),
        "special_days": [] if row.special_days is None else json.loads(row.special_days),
        "paused": row.is_paused,
    }
