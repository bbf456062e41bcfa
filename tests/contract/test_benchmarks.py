"""The benchmarks run, print what DESIGN promises, and would tell a wrong answer."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete, func, update

from benchmarks import basket_peer
from benchmarks.__main__ import NAMES, main
from benchmarks.basket_city import build_stocked, draw_assortments, draw_baskets
from benchmarks.bookings_providers import PROVIDERS
from benchmarks.feasible_city import ask, build_city
from benchmarks.feasible_peer import FILTERS, Peer, Setting
from benchmarks.frame import Row, affordable
from benchmarks.trade_databases import Sqlite
from benchmarks.weeks import MINUTES, weeks
from service.store.database import Store
from service.store.visit_tables import shifts

SMALL = {
    "nearest": ("--rows", "2000", "--queries", "100", "--repeats", "1"),
    "feasible": ("--rows", "2000", "--area-m", "5000", "--queries", "600", "--repeats", "1"),
    "basket": ("--rows", "2000", "--area-m", "5000", "--queries", "600", "--repeats", "1"),
    "rare": ("--rows", "2000", "--queries", "100", "--repeats", "1"),
    "serving": ("--areas", "2000", "--places", "500", "--vertices", "12", "--around", "40", "--repeats", "1"),
    "growth": ("--rows", "500", "2000", "--queries", "100", "--repeats", "1"),
    "closed": ("--rows", "2000", "--closed", "300", "--repeats", "1"),
    "orders": ("--orders", "60", "--seconds", "2", "--repeats", "1", "--database", "sqlite"),
    "bookings": ("--bookings", "60", "--seconds", "2", "--repeats", "1", "--database", "sqlite"),
}
KEYS = ["case", "peer", "peer_setting", "unit", "linli", "peer_value", "ratio", "reach"]


@pytest.mark.parametrize("name", SMALL)
def test_benchmark__prints_one_object_and_finds_nothing_wrong(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--json", *SMALL[name]]) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report) == ["name", "machine", "versions", "commit", "exact", "rows"]
    assert report["exact"]["checked"] > 0
    assert report["exact"]["wrong"] == 0
    assert all(list(row) == KEYS and row["linli"] > 0 for row in report["rows"])


def test_help__lists_every_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    words = capsys.readouterr().out.split()
    assert [name for name in NAMES if name not in words] == []


def test_bookings_check__tells_what_is_promised_twice_or_not_at_all(tmp_path: Path) -> None:
    database = Sqlite(tmp_path)
    place = database.new()
    desk, check = PROVIDERS.desk(), PROVIDERS.check
    assert check is not None

    def n_wrong(store: Store, n_made: int) -> int:
        return store.read_now(lambda connection: check(connection, range(n_made, n_made + 1))).wrong

    with database.opened(place) as store:
        store.write_now(PROVIDERS.fill)
        for number in (0, PROVIDERS.n_first, 2 * PROVIDERS.n_first):  # of one provider, on one day
            found = desk.find(store.read_now, number)
            store.write_now(partial(desk.make, found=found))
        assert [n_wrong(store, n) for n in (2, 3)] == [1, 0]
        statement = update(shifts).values(day=func.replace(shifts.c.day, ", 1200, ", ", 12000, "))
        store.write_now(lambda connection: connection.run(statement))
        assert n_wrong(store, 3) == 2  # not as booked, and late
        store.write_now(lambda connection: connection.run(delete(shifts)))
        assert n_wrong(store, 3) == 1


@pytest.mark.parametrize("start", [1, 8, 5_000])  # 5 000: more than there are
@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("is_sorted", [False, True])
def test_feasible_peer__answers_the_same_at_every_setting(
    start: int, filters: tuple[str, ...], is_sorted: bool
) -> None:
    city, asked = build_city(2_000, 3, 5_000.0), ask(300, 3)
    expected = city.engine().nearest_many(asked.lat, asked.lng, asked.offers, at=asked.at).row[:, 0]
    found = Peer(city, 2).nearest(asked, Setting(start, filters, is_sorted))
    assert (expected >= 0).any()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("filters", basket_peer.FILTERS)
@pytest.mark.parametrize(("start", "is_sorted"), [(1, False), (8, True), (5_000, False)])
def test_basket_peer__answers_the_same_at_every_setting(filters: tuple[str, ...], start: int, is_sorted: bool) -> None:
    asked = ask(300, 3)
    stocked = build_stocked(2_000, 3, 5_000.0, draw_assortments(2_000, 50, 3))
    engine = stocked.engine()
    baskets = draw_baskets(engine, stocked, asked, 3)
    items = baskets.columns()
    expected = engine.nearest_many(asked.lat, asked.lng, asked.offers, at=asked.at, items=items).row[:, 0]
    found = basket_peer.BasketPeer(stocked, 2).nearest(asked, baskets, Setting(start, filters, is_sorted))
    assert (expected >= 0).any()
    np.testing.assert_array_equal(found, expected)


def test_draw_assortments__keeps_different_skus_and_the_first_most_often() -> None:
    kept = draw_assortments(500, 50, 7)
    assert (np.diff(kept, axis=1) > 0).all()
    often = np.bincount(kept.ravel(), minlength=10_000)
    assert often[0] > 450
    assert 0 < often[1_000:].max() < 50


def test_weeks__bitmaps_are_those_of_their_expressions() -> None:
    always, *others = weeks(50, 1)
    assert always.is_open.all()
    assert len({week.expression for week in others}) == 49
    week = next(week for week in others if week.expression.startswith("Mo-Fr "))
    expected = np.zeros(MINUTES, np.bool_)
    for span in week.expression.removeprefix("Mo-Fr ").split(","):
        start, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in span.split("-"))
        for day in range(5):
            expected[day * 1440 + start : day * 1440 + end] = True
    np.testing.assert_array_equal(week.is_open, expected)


def test_row__of_costs_says_how_many_times_better_linli_is() -> None:
    assert Row.of_costs("c", "p", "s", "us", 0.5, 2.0, reach=3.0).ratio == 4.0
    assert Row.of_costs("c", "p", "s", "us", 0.5, 2.0).reach is None


@pytest.mark.parametrize(("seconds", "expected"), [(1e-6, 1_000), (0.1, 100), (60.0, 1)])
def test_affordable__leaves_out_what_there_is_no_time_for(seconds: float, expected: int) -> None:
    assert affordable(1_000, seconds, budget_s=10.0) == expected
