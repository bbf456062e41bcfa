"""What is kept of the rows by which orders are judged."""

from __future__ import annotations

import collections
import datetime as dt
import tracemalloc
from typing import Any

import pytest

from engine import load_norms
from service.clock import to_us
from service.feed.columns import COLUMNS
from service.orders import checks
from service.orders.checks import Checker, Wanted

PICKUP = "retail/pickup"
NORM = load_norms().by_offer[PICKUP]
NOON = dt.datetime(2026, 11, 24, 4, tzinfo=dt.UTC)
LAT, LNG = 31.2, 121.4
_FACTS = {"lat": LAT, "lng": LNG, "offer": PICKUP, "merchant_id": "m", "status": "verified", "visibility": "public"}
_FACTS |= {"timezone": "Asia/Shanghai", "country": "CN", "features": ";", "hours": "Mo-Fr 09:00-18:00; PH off"}
_FACTS |= {"is_paused": False, "is_offer_paused": False, "in_work": 0, "lead_s": 0, "radius_m": 3000.0}
_Row = collections.namedtuple("_Row", [column.name for column in COLUMNS])  # type: ignore[misc]


def _row(number: int) -> Any:
    return _Row(**dict.fromkeys(_Row._fields) | _FACTS | {"point_id": f"m:{number}"})


def _judge(checker: Checker, rows: list[Any], days: int) -> list[list[str]]:
    at = [NOON + dt.timedelta(day) for day in range(days)]
    return [[checker.judge(row, Wanted(LAT, LNG, one, NOON), NORM).reason for row in rows] for one in at]


def test_checker__keeps_the_hours_of_no_more_days_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may ask for a quote chooses the day, and with it what is kept."""
    monkeypatch.setattr(checks, "_MOST_DAYS_KEPT", 10, raising=False)
    checker, rows = Checker(None), [_row(number) for number in range(10)]
    _judge(checker, rows, 1)
    tracemalloc.start()
    try:
        told = _judge(checker, rows, 30)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    week = ["matched"] * 4 + ["closed"] * 2 + ["matched"]  # from a Tuesday on
    assert told == [[reason] * 10 for reason in (week * 5)[:30]]
    assert grown < 2_000_000


@pytest.mark.parametrize(
    ("hours", "days"),
    [
        ("Mo-Su 00:00-24:00", 0),
        ("2026 Nov 26 12:00-24:00", 2),
        ("Mo-Su unknown; 2026 Nov 26 12:00-24:00", 0),  # it may be open by then
        ("2026 Nov 25 12:00-24:00 unknown; 2026 Nov 26 12:00-24:00", 2),
        ("sunrise-sunset", 0),
        (None, 0),
        ("2027 Jan 25 12:00-24:00", 30),  # as far as is looked for
        ("off", 30),
    ],
)
def test_opening__is_now_where_nobody_knows_and_as_far_as_is_looked_for_where_there_is_none(
    hours: str | None, days: int
) -> None:
    at_us = to_us(NOON)
    assert Checker(None).opens_us(_row(1)._replace(hours=hours), at_us) == at_us + days * 86_400_000_000
