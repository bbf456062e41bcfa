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


def test_demo__tells_all_in_json(demo: Demo) -> None:
    told = json.loads(json.dumps(as_json(demo), allow_nan=False))
    assert told["with_synthetic"]["by_sector"]["all"]["n_orders"] == demo.orders.num_rows
    assert len(told["examples"]) == 3
    assert [step["step"] for step in told["order"]["steps"]][-2:] == ["wrong_code", "collect"]
    assert demo.life.code not in json.dumps(told["order"])


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
