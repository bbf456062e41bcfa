"""The demonstration on the extract that is part of linli."""

import json
import re
import time

import numpy as np
import pytest

from engine import REASONS
from fixtures import helsinki_path
from service.demo.basemap import read_basemap
from service.demo.day import SECTORS, first_reaching
from service.demo.life import live_order
from service.demo.life_words import life_lines
from service.demo.page import demo_page
from service.demo.run import BANDS_M, Demo, run_demo
from service.demo.summary import as_json
from service.demo.tables import all_tables
from service.demo.telling import example_lines
from service.demo.visit_life import live_visit
from service.demo.visit_words import visit_lines
from service.maps import render_map


@pytest.fixture(scope="module")
def demo() -> Demo:
    return run_demo(lambda what, done: None)


def test_demo__asks_in_all_seven_sectors(demo: Demo) -> None:
    assert set(demo.full.day.sector.tolist()) == set(SECTORS)


def test_demo__marks_all_that_is_not_on_the_map(demo: Demo) -> None:
    synthetic = np.array(demo.full.points["synthetic"].to_pylist(), object)
    assert not any(demo.real.points["synthetic"].to_pylist())
    assert int((synthetic == True).sum()) == demo.full.points.num_rows - demo.real.points.num_rows > 0  # noqa: E712


def test_demo__every_order_is_served_or_has_a_reason(demo: Demo) -> None:
    for side in (demo.full, demo.real):
        assert ((side.day.code == 0) == side.day.served).all()
        *rows, every = side.day.by_sector(SECTORS)
        assert every.n_orders == demo.orders.num_rows == sum(row.n_orders for row in rows)
        for row in (*rows, every):
            assert row.n_served + sum(row.reasons.values()) == row.n_orders


def test_demo__shows_why_the_nearest_is_not_enough(demo: Demo) -> None:
    promise = demo.promise
    assert promise.any_m is not None
    assert promise.offered_m is not None
    assert promise.served_m is not None
    assert promise.any_m < promise.offered_m < promise.served_m
    every = demo.full.day.by_sector(SECTORS)[-1]
    assert {"closed", "hours_unknown", "outside_area", "full"} <= every.reasons.keys()


def test_demo__first_come_is_first_served(demo: Demo) -> None:
    """Nothing serves more than it had, and what is full refuses only after it served."""
    day, units = demo.full.day, demo.full.engine.units()
    taken = np.bincount(day.row[day.served], day.quantity[day.served], minlength=units.size)
    assert (taken[units >= 0] <= units[units >= 0]).all()
    assert (np.diff(day.asked_at.astype(np.int64)) >= 0).all()


def test_demo__nearest_that_serves_is_told_not_a_farther_one(demo: Demo) -> None:
    """With capacity left out, each served order is as near as the engine finds it, or nearer ones were full."""
    day = demo.full.day
    free = demo.full.engine.nearest_many(
        day.lat, day.lng, day.offer, at=day.at, asked_at=day.asked_at, require=("open", "serves")
    )
    assert (free.distance_m[day.served, 0] <= day.distance_m[day.served]).all()


def test_demo__explains_orders_of_three_sectors(demo: Demo) -> None:
    day = demo.full.day
    assert len({day.sector[example.order] for example in demo.examples}) == 3
    for example in demo.examples:
        assert all(refusal.distance_m <= example.match.distance_m for refusal in example.refused)
        assert example.reasons <= set(REASONS) - {"matched", "no_offer"}
    assert len({reason for example in demo.examples for reason in example.reasons}) >= 4


def test_demo__coverage_grows_with_the_bands(demo: Demo) -> None:
    within = [demo.full.stations.within[band] for band in BANDS_M]
    assert within == sorted(within)
    assert 0 < within[0] < demo.full.stations.total


def test_demo__is_the_same_every_time(demo: Demo) -> None:
    again = run_demo(lambda what, done: None)
    assert as_json(again) == as_json(demo)
    assert render_map(demo_page(again)) == render_map(demo_page(demo))


def test_demo__takes_one_order_through_its_whole_life(demo: Demo) -> None:
    life = demo.life
    assert [(step.name, step.state) for step in life.steps] == [
        ("match", None),
        ("hold", "held"),
        ("place", "placed"),
        ("accept", "accepted"),
        ("ready", "ready"),
        ("wrong_code", "ready"),
        ("collect", "collected"),
    ]
    counts = {step.name: [(shelf.counted, shelf.held) for shelf in step.stock] for step in life.steps}
    assert counts["match"] == [(12, 0), (8, 0)]
    assert all(counts[name] == [(12, 2), (8, 1)] for name in ("hold", "place", "accept", "ready", "wrong_code"))
    assert counts["collect"] == [(10, 0), (7, 0)]
    times = [step.at for step in life.steps]
    assert times == sorted(times)
    assert all(step.until > step.at for step in life.steps if step.until is not None)


def test_demo__the_order_that_lives_is_served_as_the_day_says(demo: Demo) -> None:
    day, i = demo.full.day, demo.life.order
    assert day.offer[i] == "retail/pickup"
    assert demo.full.engine.point_ids(day.row[[i]])[0] == demo.life.point_id
    assert demo.life.distance_m == day.distance_m[i]


def test_demo__tells_the_life_in_the_same_words_every_time(demo: Demo) -> None:
    told = life_lines(demo.life)
    again = life_lines(live_order(demo.full.points, demo.full.engine, demo.full.day))
    codes = re.compile(r"code \d{6}")
    assert [codes.sub("code", line) for line in again] == [codes.sub("code", line) for line in told]
    for label in ("match", "held", "placed", "accepted", "ready", "refused", "collected"):
        assert sum(f"  {label} " in line for line in told) == 1
    assert all(len(line) <= 78 for line in told[1:])


def test_demo__the_life_takes_no_time_to_speak_of(demo: Demo) -> None:
    start = time.process_time()  # others may use the machine meanwhile
    live_order(demo.full.points, demo.full.engine, demo.full.day)
    assert time.process_time() - start < 2.0


def test_demo__takes_one_visit_through_its_whole_life(demo: Demo) -> None:
    visit = demo.visit
    assert [(step.name, step.state, step.crew) for step in visit.steps] == [
        ("slots", None, None),
        ("hold", "held", "Aino"),
        ("confirm", "confirmed", "Aino"),
        ("move", "confirmed", "Eino"),
        ("depart", "en_route", "Eino"),
        ("start", "started", "Eino"),
        ("finish", "finished", "Eino"),
        ("pay", "paid", "Eino"),
    ]
    times = [step.at for step in visit.steps]
    assert times == sorted(times)
    assert [step.name for step in visit.steps if step.until is not None and step.until > step.at] == ["hold"]
    first, last = visit.window
    assert first <= times[5] <= last
    assert visit.n_windows > 1
    assert len({visit.start_code, visit.end_code}) == 2


def test_demo__the_visit_goes_from_the_crew_that_is_ill_to_the_other_and_keeps_its_window(demo: Demo) -> None:
    days = {step.name: {plan.name: plan.stays for plan in step.plans} for step in demo.visit.steps}
    assert days["slots"] == {"Aino": (), "Eino": ()}
    for name in ("hold", "confirm"):
        assert ([stay.kind for stay in days[name]["Aino"]], days[name]["Eino"]) == (["visit"], ())
    for name in ("move", "depart", "start", "finish", "pay"):
        assert {crew: [stay.kind for stay in stays] for crew, stays in days[name].items()} == {
            "Aino": ["busy"],
            "Eino": ["visit"],
        }
        (stay,) = days[name]["Eino"]
        assert demo.visit.window[0] <= stay.starts_at <= demo.visit.window[1]
    (ill,) = days["move"]["Aino"]
    assert ill.starts_at == demo.visit.steps[3].at
    (planned,), (done,) = days["start"]["Eino"], days["finish"]["Eino"]
    assert done.ends_at - done.starts_at < planned.ends_at - planned.starts_at, "it was done sooner"


def test_demo__the_visit_is_asked_for_as_the_day_says(demo: Demo) -> None:
    day, visit = demo.full.day, demo.visit
    assert day.offer[visit.order] == "housekeeping/onsite"
    assert day.served[visit.order]
    assert demo.full.engine.point_ids(day.row[[visit.order]])[0] == visit.point_id
    assert visit.distance_m == day.distance_m[visit.order]


def test_demo__tells_the_visit_in_the_same_words_every_time(demo: Demo) -> None:
    told = visit_lines(demo.visit)
    again = visit_lines(live_visit(demo.full.points, demo.full.engine, demo.full.day))
    codes = re.compile(r"code \d{6}")
    assert [codes.sub("code", line) for line in again] == [codes.sub("code", line) for line in told]
    for label in ("windows", "held", "confirmed", "ill", "set out", "begun", "done", "paid"):
        assert sum(f"  {label} " in line for line in told) == 1
    assert sum("crews: " in line for line in told) == 5, "where they have changed"
    assert all(len(line) <= 78 for line in told[1:])
    assert sum(demo.visit.start_code in line for line in told) == 2


def test_demo__the_visit_takes_no_time_to_speak_of(demo: Demo) -> None:
    start = time.process_time()  # others may use the machine meanwhile
    live_visit(demo.full.points, demo.full.engine, demo.full.day)
    assert time.process_time() - start < 2.0


def test_demo__tells_all_in_json(demo: Demo) -> None:
    told = json.loads(json.dumps(as_json(demo), allow_nan=False))
    assert told["with_synthetic"]["by_sector"]["all"]["n_orders"] == demo.orders.num_rows
    assert len(told["examples"]) == 3
    assert [step["step"] for step in told["order"]["steps"]][-2:] == ["wrong_code", "collect"]
    assert demo.life.code not in json.dumps(told["order"])
    assert [step["step"] for step in told["visit"]["steps"]][-2:] == ["finish", "pay"]
    assert not [code for code in (demo.visit.start_code, demo.visit.end_code) if code in json.dumps(told["visit"])]


def test_demo__page_is_small_and_names_its_source(demo: Demo) -> None:
    html = render_map(demo_page(demo))
    assert len(html.encode()) < 3_000_000
    assert "© OpenStreetMap contributors, ODbL" in html
    assert "not a census" in html


def test_demo__tables_have_as_many_cells_as_columns(demo: Demo) -> None:
    for table in all_tables(demo):
        assert {len(row) for row in table.rows} == {len(table.header)}
    assert len(example_lines(demo)) == 3


def test_basemap__homes_leave_out_what_nobody_lives_in() -> None:
    basemap = read_basemap(helsinki_path())
    assert 250 < basemap.homes.lat.size < 420
    assert (basemap.homes.weight > 60).all()
    assert len(basemap.streets) > 2_600


def test_first_reaching__is_the_first_that_holds_the_share() -> None:
    values = np.arange(1.0, 21.0)
    assert first_reaching(values, 1, 2) == 10.0
    assert first_reaching(values, 19, 20) == 19.0
    assert first_reaching(np.array([7.0]), 19, 20) == 7.0
    assert first_reaching(np.empty(0), 1, 2) is None
