"""What a points file changes of points that are in the registry, and what it leaves."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from service.points.loading import LoadReport, load_points
from tests.contract.service.desk import LNG, PICKUP, Desk

HOURS = "Mo-Fr 09:00-18:00; PH off"


def loaded(desk: Desk, folder: Path, rows: list[dict[str, object]]) -> LoadReport:
    """Load rows that are in the desk's town, and open day and night, as points of ``corner``."""
    usual = {
        "offer": PICKUP,
        "lat": desk.lat,
        "lng": LNG,
        "hours": "24/7",
        "timezone": "Asia/Shanghai",
        "country": "CN",
    }
    given = [{**usual, **row} for row in rows]
    with (folder / "points.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, sorted({name for row in given for name in row}))
        writer.writeheader()
        writer.writerows(given)
    report = load_points(desk.registry.services.store, folder / "points.csv", "corner")
    desk.registry.follow()
    return report


def test_load__leaves_a_point_whose_open_orders_it_would_leave_behind(desk: Desk, tmp_path: Path) -> None:
    point_id = desk.shop("busy", stock={"bread": 5}, offer={"capacity": 1})
    order = desk.order(point_id, {"bread": 1})
    told = loaded(desk, tmp_path, [{"point_id": "calm"}, {"point_id": "busy", "offer": "retail/delivery"}])
    assert (told.n_points, told.n_written, [one.row for one in told.bad]) == (1, 1, [3])
    assert "1 open orders could not be served any more" in told.bad[0].reason
    assert loaded(desk, tmp_path, [{"point_id": "busy", "capacity": 1}]).n_written == 1
    assert desk.in_work(point_id) == 1
    desk.refused(desk.ask(desk.body(point_id, {"bread": 1})))
    desk.done(order, "place", "app", {"payment": "counter"})


def test_load__leaves_pauses_special_days_and_slots_as_they_stand(desk: Desk, tmp_path: Path) -> None:
    day = {"date": "2031-05-01", "hours": "10:00-12:00"}
    slot = {"orders": 2, "minutes": 15}
    point_id = desk.shop("settled", special_days=[day], paused=True, offer={"slot": slot, "paused": True})
    assert loaded(desk, tmp_path, [{"point_id": "settled", "hours": HOURS}]).n_written == 1
    found = desk.send("GET", f"/v1/points/{point_id}", "corner").json()
    assert (found["paused"], found["special_days"]) == (True, [day])
    (offer,) = found["offers"]
    assert (offer["hours"], offer["paused"], offer["slot"]) == (HOURS, True, slot)
    assert loaded(desk, tmp_path, [{"point_id": "settled", "hours": HOURS}]).n_written == 0


def test_load__names_hours_that_are_too_long_with_special_days(desk: Desk, tmp_path: Path) -> None:
    desk.shop("long", special_days=[{"date": f"2031-05-{day:02}", "hours": "off"} for day in range(1, 31)])
    hours = "; ".join(f"Mo {hour // 60:02}:{hour % 60:02}-23:59" for hour in range(230))
    told = loaded(desk, tmp_path, [{"point_id": "long", "hours": hours}])
    assert (told.n_points, told.n_written, [one.row for one in told.bad]) == (0, 0, [2])
    assert told.bad[0].reason.startswith("hours must be")


def test_load__names_two_points_that_become_one_however_far_apart(desk: Desk, tmp_path: Path) -> None:
    between: list[dict[str, object]] = [{"point_id": f"p{i}", "hours": None} for i in range(499)]
    rows: list[dict[str, object]] = [
        {"point_id": "a/b", "name": "First"},
        *between,
        {"point_id": "a:b", "name": "Second"},
    ]
    told = loaded(desk, tmp_path, rows)
    assert (told.n_points, told.n_written, [one.row for one in told.bad]) == (500, 500, [502])
    assert desk.send("GET", "/v1/points/corner:a:b", "corner").json()["name"] == "First"


@pytest.mark.parametrize(
    ("name", "first", "other"),
    [
        ("kind", "store", "depot"),
        ("visibility", "public", "internal"),
        ("features", "lift", ""),
        ("timezone", "Asia/Shanghai", "Asia/Tokyo"),
        ("country", "CN", "JP"),
    ],
)
def test_load__names_a_row_that_says_another_thing_of_its_point(
    desk: Desk, tmp_path: Path, name: str, first: str, other: str
) -> None:
    rows = [{name: first}, {name: other, "offer": "retail/delivery"}, {name: first, "offer": "laundry/pickup"}]
    told = loaded(desk, tmp_path, [{"point_id": f"two-{name}", "kind": "store", **row} for row in rows])
    assert (told.n_points, [one.row for one in told.bad]) == (1, [3])
    assert told.bad[0].reason.startswith(f"{name} must be the same in all rows of a point, got ")
    found = desk.send("GET", f"/v1/points/corner:two-{name}", "corner").json()
    assert [offer["offer"] for offer in found["offers"]] == ["laundry/pickup", PICKUP]
