"""What a points file, or an import, changes of points that are in the registry, and what it leaves."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from service.errors import OverloadedError
from service.imports import streaming
from service.imports.store import add_batch, find_import, import_id_of
from service.orders.stranding import OpenOrders
from service.points import storing
from service.points.loading import LoadReport, load_points
from service.store.connections import WriteConnection
from tests.contract.service.desk import LNG, PICKUP, Desk
from tests.contract.service.shops import NDJSON, point

DELIVERY = "retail/delivery"
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


def _two_offers(desk: Desk, name: str) -> tuple[dict[str, Any], list[dict[str, object]]]:
    """Make a shop that delivers too, that paused; return it, and rows that open both offers day and night."""
    slot = {"orders": 2, "minutes": 15}
    pickup, delivery = ({"offer": one, "area": {"radius_m": 3000}, "hours": HOURS} for one in (PICKUP, DELIVERY))
    point_id = desk.shop(name, offers=[pickup, {**delivery, "paused": True, "slot": slot}])
    rows: list[dict[str, object]] = [{"point_id": name, "offer": one} for one in (PICKUP, DELIVERY)]
    return desk.send("GET", f"/v1/points/{point_id}", "corner").json(), rows


@pytest.mark.parametrize(
    "bad",
    [
        {"hours": "Mo-Fr 09.00-18h"},
        {"features": "Bad"},
        {"kind": "depot"},  # another than its first row says
        {"offer": PICKUP},  # once more
        {"offer": "retail/nonsense"},
    ],
)
def test_load__leaves_a_point_with_a_bad_row_as_it_stands(desk: Desk, tmp_path: Path, bad: dict[str, object]) -> None:
    name = f"half-{'-'.join(str(value)[-3:] for value in bad.values())}".replace("/", "")
    before, rows = _two_offers(desk, name)
    told = loaded(desk, tmp_path, [{"point_id": f"new-{name}"}, rows[0], {**rows[1], **bad}])
    assert desk.send("GET", f"/v1/points/corner:{name}", "corner").json() == before
    assert (told.n_points, told.n_written, [one.row for one in told.bad]) == (1, 1, [3, 4])
    assert told.bad[0].reason == f"corner:{name} stays as it stands: another row of it is bad"
    assert loaded(desk, tmp_path, rows).n_written == 1
    after = desk.send("GET", f"/v1/points/corner:{name}", "corner").json()["offers"]
    assert after == [{**offer, "hours": "24/7"} for offer in before["offers"]]


def test_load__takes_the_good_rows_of_a_new_point(desk: Desk, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"point_id": "fresh"}, {"point_id": "fresh", "offer": DELIVERY, "hours": "9h"}]
    told = loaded(desk, tmp_path, rows)
    assert (told.n_points, told.n_written, [one.row for one in told.bad]) == (1, 1, [3])
    told = loaded(desk, tmp_path, rows)
    assert (told.n_points, told.n_written, [one.row for one in told.bad]) == (1, 0, [3])


def test_load__takes_no_offer_away_where_a_bad_row_may_be_of_any_point(desk: Desk, tmp_path: Path) -> None:
    before, rows = _two_offers(desk, "torn")
    torn = f'torn,"{DELIVERY},{desk.lat},{LNG},24/7,Asia/Shanghai,CN\n'
    head = f"torn,{PICKUP},{desk.lat},{LNG},24/7,Asia/Shanghai,CN\n"
    (tmp_path / "torn.csv").write_text(f"point_id,offer,lat,lng,hours,timezone,country\n{head}{torn}")
    told = load_points(desk.registry.services.store, tmp_path / "torn.csv", "corner")
    assert desk.send("GET", "/v1/points/corner:torn", "corner").json() == before
    assert (told.n_points, [one.row for one in told.bad]) == (0, [2, 3])
    assert "it would lose offers, and a bad row does not tell its point" in told.bad[0].reason
    assert (loaded(desk, tmp_path, rows[:1]).n_written, loaded(desk, tmp_path, rows[:1]).bad) == (1, [])


def test_load__takes_no_offer_away_where_a_quote_without_end_swallows_its_row(desk: Desk, tmp_path: Path) -> None:
    before, _ = _two_offers(desk, "quoted")
    usual = f"{desk.lat},{LNG},24/7,Asia/Shanghai,CN"
    lines = [f"quoted,{PICKUP},{usual},", f'other,{PICKUP},{usual},"open', f"quoted,{DELIVERY},{usual},"]
    text = "\n".join(["point_id,offer,lat,lng,hours,timezone,country,note", *lines, ""])
    (tmp_path / "quoted.csv").write_text(text)
    told = load_points(desk.registry.services.store, tmp_path / "quoted.csv", "corner")
    assert desk.send("GET", "/v1/points/corner:quoted", "corner").json() == before
    assert (told.n_points, [one.row for one in told.bad]) == (0, [2, 3])
    assert told.bad[1].reason.startswith("lines 3 to 4 cannot be taken apart")


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


def test_load__leaves_a_point_with_a_bad_feature_as_it_stands(desk: Desk, tmp_path: Path) -> None:
    before, rows = _two_offers(desk, "drawn")
    features = [
        {"type": "Feature", "properties": row, "geometry": {"type": "Point", "coordinates": [LNG, desk.lat]}}
        for row in [*rows[:1], {**rows[1], "lead_s": "an hour"}, {"point_id": "plain", "offer": PICKUP}]
    ]
    (tmp_path / "p.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    told = load_points(desk.registry.services.store, tmp_path / "p.geojson", "corner")
    assert (told.n_points, told.n_written, [one.row for one in told.bad]) == (1, 1, [1, 2])
    assert told.bad[0].reason == "corner:drawn stays as it stands: another row of it is bad"
    assert desk.send("GET", "/v1/points/corner:drawn", "corner").json() == before


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Counter[WriteConnection]:
    """Return of how many points the open orders are judged in each write, two at most."""
    told: Counter[WriteConnection] = Counter()

    class Told(OpenOrders):
        def __init__(self, connection: WriteConnection, *more: Any) -> None:
            told[connection] += 1
            super().__init__(connection, *more)

    monkeypatch.setattr(storing, "OpenOrders", Told)
    monkeypatch.setattr(storing, "_MOST_JUDGED", 2)
    return told


def test_load__judges_no_orders_of_points_that_are_so_already(
    desk: Desk, tmp_path: Path, judged: Counter[WriteConnection]
) -> None:
    rows: list[dict[str, object]] = [{"point_id": f"same-{number}"} for number in range(5)]
    assert loaded(desk, tmp_path, rows).n_written == 5
    for row in rows:
        desk.count(f"corner:{row['point_id']}", "bread", 5)
        desk.order(f"corner:{row['point_id']}", {"bread": 1})
    told = loaded(desk, tmp_path, rows)
    assert (told.n_points, told.n_written, told.bad, judged.total()) == (5, 0, [], 0)
    told = loaded(desk, tmp_path, [*rows, {"point_id": "same-0", "offer": "retail/delivery"}])
    assert (told.n_points, told.n_written, told.bad, judged.total()) == (5, 1, [], 1)


def test_load__judges_orders_of_so_many_points_in_a_write_and_takes_each_once(
    desk: Desk, tmp_path: Path, judged: Counter[WriteConnection]
) -> None:
    names = [f"busy-{number}" for number in range(7)]
    for name in names:
        desk.order(desk.shop(name, stock={"bread": 5}), {"bread": 1})
    rows: list[dict[str, object]] = [{"point_id": name, "capacity": 9} for name in names]
    rows[1]["offer"] = rows[4]["offer"] = "retail/delivery"
    told = loaded(desk, tmp_path, [{"point_id": "calm-0"}, *rows, {"point_id": "calm-1"}])
    assert (told.n_points, told.n_written, [one.row for one in told.bad]) == (7, 7, [4, 7])
    assert sorted(judged.values()) == [1, 2, 2, 2]
    for name in (names[0], "calm-0", names[6], "calm-1"):
        (offer,) = desk.send("GET", f"/v1/points/corner:{name}", "corner").json()["offers"]
        assert (offer["offer"], offer["capacity"]) == (PICKUP, None if name.startswith("calm") else 9)


def test_load__judges_so_many_orders_in_a_write_but_those_of_one_point_together(
    desk: Desk, tmp_path: Path, judged: Counter[WriteConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "_MOST_ORDERS", 4)
    monkeypatch.setattr(storing, "_MOST_JUDGED", 20)
    for number, n_orders in enumerate((2, 3, 9, 2, 2, 2)):
        shop = desk.shop(f"full-{number}")
        desk.add_copies(desk.order(shop), [{}] * (n_orders - 1))
    told = loaded(desk, tmp_path, [{"point_id": f"full-{number}", "capacity": 9} for number in range(6)])
    assert (told.n_points, told.n_written, told.bad) == (6, 6, [])
    assert list(judged.values()) == [1, 1, 1, 2, 1]


def _changed(desk: Desk, point_id: str, **offer: Any) -> bytes:
    """Return a line that changes a shop of the desk's."""
    offers = [{"offer": PICKUP, "area": {"radius_m": 3000}, "hours": "24/7", **offer}]
    place = {"lat": desk.lat, "lng": LNG, "timezone": "Asia/Shanghai", "country": "CN"}
    return json.dumps({"point_id": point_id, **point(offers=offers, **place)}).encode()


def _busy_lines(desk: Desk, name: str) -> list[bytes]:
    """Return lines that change seven shops with open orders, of which two lines may not, with others between."""
    lines = []
    for number in range(7):
        point_id = desk.shop(f"{name}-{number}", stock={"milk": 5})
        desk.order(point_id, {"milk": 1})
        changes = {"hours": "off"} if number in {2, 5} else {"capacity": 9}
        lines += [_changed(desk, point_id, **changes), b"bad"]
    return [*lines, _changed(desk, f"corner:{name}-0", capacity=8), _changed(desk, f"corner:{name}-calm")]


def _told_of_busy(desk: Desk, lines: list[bytes], key: str) -> None:
    """Send such lines with a key, and see that each counts once."""
    answer = desk.send(
        "POST", "/v1/points:import", "corner", content=b"\n".join(lines), headers={**NDJSON, "Idempotency-Key": key}
    )
    told = answer.json()
    assert (told["state"], told["lines"], told["upserted"], told["rejected"]) == ("done", 16, 7, 9), answer.text
    assert [one["line"] for one in told["errors"]] == [2, 4, 5, 6, 8, 10, 11, 12, 14]
    for name, capacity in (("0", 8), ("1", 9), ("2", None), ("6", 9), ("calm", None)):
        (offer,) = desk.send("GET", f"/v1/points/corner:{key}-{name}", "corner").json()["offers"]
        assert (offer["hours"], offer["capacity"]) == ("24/7", capacity), name


def test_import__ends_a_write_when_orders_of_so_many_points_are_judged(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, ends = _busy_lines(desk, "pieces"), []
    monkeypatch.setattr(storing, "_MOST_JUDGED", 2)

    def told(connection: WriteConnection, *more: Any) -> Any:
        rest = add_batch(connection, *more)
        ends.append(None if rest is None else rest[0].first)
        return rest

    monkeypatch.setattr(streaming, "add_batch", told)
    _told_of_busy(desk, lines, "pieces")
    assert ends == [5, 9, 13, None]


def test_import__that_broke_off_within_a_batch_goes_on_where_it_was(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = _busy_lines(desk, "within")
    done: list[int] = []
    monkeypatch.setattr(storing, "_MOST_JUDGED", 2)

    def breaks(connection: WriteConnection, *more: Any) -> Any:
        if len(done) == 2:
            raise OverloadedError
        done.append(1)
        return add_batch(connection, *more)

    with monkeypatch.context() as patched:
        patched.setattr(streaming, "add_batch", breaks)
        headers = {**NDJSON, "Idempotency-Key": "within"}
        answer = desk.send("POST", "/v1/points:import", "corner", content=b"\n".join(lines), headers=headers)
        assert answer.status_code == 503, answer.text
    import_id = import_id_of("corner", "within")
    found = desk.registry.services.store.read_now(lambda connection: find_import(connection, import_id))
    assert found is not None
    assert found.lines_done == 8
    _told_of_busy(desk, lines, "within")
