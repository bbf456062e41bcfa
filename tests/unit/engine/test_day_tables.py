"""The hours of days, as they are kept for single questions."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from engine import Engine, day_tables
from engine.haste import told_in_haste

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


@pytest.mark.parametrize("items", [None, {"milk": 1}])
def test_nearest__in_haste_is_what_it_is_once_the_day_is_known(items: dict[str, int] | None) -> None:
    ask: Any = {"at": NOON, "asked_at": NOON, "items": items}
    shop: Any = {"point_ids": ["a"], "offers": ["r/p"], "lat": [60.0], "lng": [24.0], "stock": [{"milk": 1}]}
    engine = Engine.from_columns(**shop, hours=["Nov 10:00-14:00"], timezone="UTC")
    for hours in (None, "Nov 11:00-14:00"):  # the first that there is, and one that comes in
        if hours is not None:
            engine.upsert(
                {"point_ids": "b", "offers": ["r/p"], "lat": 61.0, "lng": 24.0, "hours": hours, "timezone": "UTC"}
            )
        assert told_in_haste(engine.nearest, 60.0, 24.0, "r/p", **ask) is None
        told = engine.nearest(60.0, 24.0, "r/p", **ask)
        assert [one.point_id for one in told.matches] == ["a"]
        assert told_in_haste(engine.nearest, 60.0, 24.0, "r/p", **ask) == told


def test_indexes_that_share_their_days__keep_no_more_than_are_kept() -> None:
    kept = day_tables.KeptDays(3)
    ends = range(10, 20)
    engines = [
        Engine.from_columns(
            ["p"], ["r/p"], [60.0], [24.0], hours=[f"Mo-Su 08:00-{end}:30"], timezone="UTC", kept_days=kept
        )
        for end in ends
    ]
    for hour in (12, 18, 9):
        for day in range(4):
            at = NOON.replace(hour=hour) + dt.timedelta(day)
            is_open = [bool(engine.nearest(60.0, 24.0, "r/p", at=at).matches) for engine in engines]
            assert is_open == [hour <= end for end in ends]
            assert kept.n_kept <= 3


def test_index_that_shares_its_days__asks_no_hours_again_while_they_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = day_tables.KeptDays(2)
    engine = Engine.from_columns(["p"], ["r/p"], [60.0], [24.0], hours=["24/7"], timezone="UTC", kept_days=kept)
    days = [NOON + dt.timedelta(day) for day in range(3)]
    for at in days:
        engine.nearest(60.0, 24.0, "r/p", at=at)
    asked: list[Any] = []
    whole: Any = vars(day_tables)["hours_at"]

    def noted(*more: Any) -> Any:
        asked.append(more)
        return whole(*more)

    monkeypatch.setattr(day_tables, "hours_at", noted)
    for at in days[1:]:
        engine.nearest(60.0, 24.0, "r/p", at=at)
    assert not asked
    engine.nearest(60.0, 24.0, "r/p", at=days[0])
    assert len(asked) == 1
