"""The hours of days, as they are kept for single questions."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from engine import Engine, day_tables

NOON = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)


def test_nearest__is_right_while_another_schedule_comes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """One bit a schedule decides up to 63 of them: with the 64th they share bits."""
    hours = ["Mo-Su 20:00-21:00", *(f"Mo-Su 08:00-{18 + i // 60}:{i % 60:02d}" for i in range(62))]
    lat = [60 + i * 1e-3 for i in range(63)]
    ids = [f"p{i}" for i in range(63)]
    engine = Engine.from_columns(ids, ["r/p"] * 63, lat, [24.0] * 63, hours=hours, timezone="UTC")
    whole: Any = vars(day_tables)["hours_at"]

    def entered_first(*asked: Any) -> Any:
        monkeypatch.setattr(day_tables, "hours_at", whole)
        new = {"point_ids": "new", "offers": ["r/p"], "lat": 61.0, "lng": 24.0, "hours": "24/7", "timezone": "UTC"}
        engine.upsert(new)
        return whole(*asked)

    monkeypatch.setattr(day_tables, "hours_at", entered_first)
    for _ in range(2):
        assert engine.nearest(60.0, 24.0, "r/p", at=NOON).matches[0].point_id == "p1"
