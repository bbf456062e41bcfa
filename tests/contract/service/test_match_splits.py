"""A basket is divided between points that have room: what is full is passed over, and who has all but no room as well."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from service.matching import items
from tests.contract.service.desk import LNG, PICKUP, Desk

FEW = {"offer": {"slot": {"orders": 1, "minutes": 60}}}


@pytest.fixture
def at(desk: Desk) -> str:
    return (desk.now + dt.timedelta(hours=2)).isoformat()


def _shop(desk: Desk, far: int, *skus: str, **changes: Any) -> str:
    """Make a shop with some SKUs, so many steps from where is asked."""
    return desk.shop(stock=dict.fromkeys(skus, 9), lng=LNG + 0.001 * far, **changes)


def _filled(desk: Desk, at: str, far: int, *skus: str) -> str:
    """Make a shop whose only slot then is full."""
    shop = _shop(desk, far, *skus, **FEW)
    desk.order(shop, {skus[0]: 1}, at=at)
    desk.registry.follow()
    return shop


def _told(desk: Desk, at: str, items: str = "milk,bread") -> dict[str, Any]:
    place = {"lat": desk.lat, "lng": LNG, "offer": PICKUP, "at": at}
    return dict(desk.send("GET", "/v1/match", params=place | {"items": items, "split": 2}).json())


def _points(told: dict[str, Any]) -> list[str]:
    assert told["matches"] == []
    assert "is_split_unknown" not in told
    return [] if told["split"] is None else [part["point_id"] for part in told["split"]["parts"]]


def test_split__passes_over_who_has_all_and_no_room(desk: Desk, at: str) -> None:
    _filled(desk, at, 0, "milk", "bread")
    assert _points(_told(desk, at)) == []
    some = [_shop(desk, 1, "milk"), _shop(desk, 2, "bread")]
    assert (_told(desk, at)["reason"], _points(_told(desk, at))) == ("full", some)


def test_split__is_the_best_of_those_that_have_room(desk: Desk, at: str) -> None:
    for far in (0, 1):
        _filled(desk, at, far, "milk")
        _filled(desk, at, far, "bread", "tea")
    assert _points(_told(desk, at)) == []
    bread, milk, _ = _shop(desk, 2, "bread"), _shop(desk, 3, "milk", "tea"), _shop(desk, 4, "milk", "tea")
    told = _told(desk, at)
    assert _points(told) == [bread, milk]
    assert [[item["sku"] for item in part["items"]] for part in told["split"]["parts"]] == [["bread"], ["milk"]]


def test_split__is_unknown_after_so_many_without_room(desk: Desk, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for far in range(2):
        _filled(desk, at, far, "milk")
    some = [_shop(desk, 2, "milk"), _shop(desk, 3, "bread")]
    monkeypatch.setattr(items, "_MOST_SEARCHES", 3)
    assert _points(_told(desk, at)) == some
    monkeypatch.setattr(items, "_MOST_SEARCHES", 2)
    told = _told(desk, at)
    assert (told["matches"], told["split"], told["is_split_unknown"]) == ([], None, True)


def test_split__passes_over_any_number_that_have_all(desk: Desk, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for far in range(2):
        _filled(desk, at, far, "milk", "bread")
    some = [_shop(desk, 2, "milk"), _shop(desk, 3, "bread")]
    monkeypatch.setattr(items, "_MOST_SEARCHES", 1)
    assert _points(_told(desk, at)) == some
