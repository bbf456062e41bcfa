"""What the demonstration found, as plain values for machines."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import Any

from engine import CoverageReport
from service.demo.day import SECTORS
from service.demo.examples import Explained
from service.demo.run import DAY, STATION_OFFER, TIMEZONE, Demo, Side
from service.demo.tables import HOMES_WORDS
from service.demo.words import REASON_WORDS

__all__ = ["as_json"]


def as_json(demo: Demo) -> dict[str, Any]:
    """Return all figures; distances in metres, times in UTC."""
    return {
        "day": DAY.isoformat(),
        "timezone": TIMEZONE,
        "import": {
            "n_points": demo.imported.n_points,
            "n_rows": demo.imported.n_rows,
            "points_by_kind": demo.imported.points_by_kind,
            "rows_by_offer": demo.imported.rows_by_offer,
            "points_by_hours": demo.imported.points_by_hours,
        },
        "with_synthetic": _side(demo.full),
        "without_synthetic": _side(demo.real),
        "promise": asdict(demo.promise),
        "examples": [_example(demo, example) for example in demo.examples],
        "order": _life(demo),
        "visit": _visit(demo),
        "stations": {
            "offer": STATION_OFFER,
            "weight": HOMES_WORDS,
            "with_synthetic": _coverage(demo.full.stations),
            "without_synthetic": _coverage(demo.real.stations),
        },
    }


def _side(side: Side) -> dict[str, Any]:
    rows = side.day.by_sector(SECTORS)
    return {
        "n_points": side.n_points,
        "n_rows": side.points.num_rows,
        "by_sector": {
            row.sector: {name: value for name, value in asdict(row).items() if name != "sector"} for row in rows
        },
    }


def _example(demo: Demo, example: Explained) -> dict[str, Any]:
    day, i = demo.full.day, example.order
    return {
        "order_id": demo.orders["order_id"][i].as_py(),
        "offer": day.offer[i],
        "lat": float(day.lat[i]),
        "lng": float(day.lng[i]),
        "at": f"{day.at[i]}Z",
        "asked_at": f"{day.asked_at[i]}Z",
        "quantity": int(day.quantity[i]),
        "match": example.match._asdict(),
        "nearer": [asdict(refusal) | {"reason_words": REASON_WORDS[refusal.reason]} for refusal in example.refused],
        "n_nearer_without_the_offer": example.n_others,
    }


def _life(demo: Demo) -> dict[str, Any]:
    """Return the order's life, but the code: no output of linli holds one beside the order that it belongs to."""
    life = demo.life
    return {
        "order_id": demo.orders["order_id"][life.order].as_py(),
        "point_id": life.point_id,
        "distance_m": life.distance_m,
        "wanted_at": _utc(life.wanted_at),
        "lines": [{"quantity": quantity, "name": name} for quantity, name in life.lines],
        "total_minor": life.total_minor,
        "currency": life.currency,
        "steps": [
            {
                "step": step.name,
                "at": _utc(step.at),
                "state": step.state,
                "until": None if step.until is None else _utc(step.until),
                "stock": {shelf.sku: {"counted": shelf.counted, "held": shelf.held} for shelf in step.stock},
            }
            for step in life.steps
        ],
    }


def _visit(demo: Demo) -> dict[str, Any]:
    """Return the visit's life, but the codes, as of the order's."""
    visit = demo.visit
    return {
        "order_id": demo.orders["order_id"][visit.order].as_py(),
        "point_id": visit.point_id,
        "distance_m": visit.distance_m,
        "wanted_at": _utc(visit.wanted_at),
        "service": visit.service,
        "minutes": visit.minutes,
        "windows": visit.n_windows,
        "window": [_utc(at) for at in visit.window],
        "total_minor": visit.total_minor,
        "currency": visit.currency,
        "paid_by": visit.paid_by,
        "steps": [
            {
                "step": step.name,
                "at": _utc(step.at),
                "state": step.state,
                "until": None if step.until is None else _utc(step.until),
                "crew": step.crew,
                "days": {
                    plan.name: [
                        {"kind": stay.kind, "starts_at": _utc(stay.starts_at), "ends_at": _utc(stay.ends_at)}
                        for stay in plan.stays
                    ]
                    for plan in step.plans
                },
            }
            for step in visit.steps
        ],
    }


def _utc(instant: dt.datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def _coverage(report: CoverageReport) -> dict[str, Any]:
    return {
        "total": report.total,
        "unserved": report.unserved,
        "within": {str(band): weight for band, weight in report.within.items()},
        "mean_m": report.mean_m,
        "median_m": report.median_m,
        "p95_m": report.p95_m,
        "worst_m": report.worst_m,
    }
