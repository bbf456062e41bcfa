"""The coverage report as a page."""

import re

import pytest

from engine import CoverageReport, Engine, coverage
from service.maps import MapPoint, render_map
from service.maps.projection import Projection
from service.planning import page as pages
from service.planning.page import CoveragePage, coverage_page

POINTS = (MapPoint(60.0, 25.0, "x", "Station", ("community/parcel",)),)


def _report(**demand: list[float]) -> CoverageReport:
    engine = Engine.from_columns(["a"], ["community/parcel"], [60.0], [25.0])
    return coverage(engine, demand, "community/parcel", (300, 1000), ["north", "south"][: len(demand["lat"])])


def _page(report: CoverageReport, points: tuple[MapPoint, ...] = POINTS) -> str:
    return render_map(coverage_page(report, _told(points)))


def _told(points: tuple[MapPoint, ...]) -> CoveragePage:
    return CoveragePage(offer="community/parcel", question="At any time.", points=points)


def test_page__tells_the_figures_of_the_report() -> None:
    html = _page(_report(lat=[60.001, 60.02], lng=[25.0, 25.0], weight=[1_200.0, 400.0]))
    text = re.sub(r"<[^>]+>|\s+", " ", html)
    assert "75.0 %" in text  # 1 200 of 1 600 within 300 m
    assert "2 228 m" in text  # the other 400: where 95 of 100 are reached
    assert "north" in text
    assert "south" in text


def test_page__tells_bands_by_all_of_their_digits() -> None:
    engine = Engine.from_columns(["a"], ["community/parcel"], [60.0], [25.0])
    demand = {"lat": [60.001], "lng": [25.0], "weight": [1.0]}
    html = _page(coverage(engine, demand, "community/parcel", (1_234_567, 1_234_568.5)))
    assert "e+06" not in html
    for words in (
        "of people within 1234567 m",  # figures
        ">within 1234568.5 m<",  # table
        "within 1234567 m, 100.0 % within 1234568.5 m",  # cells
        "serves them within 1234568.5 m",
        "over 1234567 up to 1234568.5 m",  # legend
    ):
        assert words in html


def test_page__of_nothing_served_says_so() -> None:
    engine = Engine.from_columns(["a"], ["retail/pickup"], [60.0], [25.0])
    report = coverage(engine, {"lat": [60.0], "lng": [25.0], "weight": [5.0]}, "community/parcel")
    assert "people nothing serves, of 5" in _page(report)


def test_page__tells_and_paints_no_distance_as_that_of_those_whom_nothing_serves() -> None:
    """One of a thousand is served, at once; all live in one hexagon."""
    engine = Engine.from_columns(["a"], ["community/parcel"], [60.0003], [25.0], areas=[20.0])
    demand = {"lat": [60.0003, 60.0006], "lng": [25.0, 25.0], "weight": [1.0, 999.0]}
    report = coverage(engine, demand, "community/parcel", (300, 1000))
    (layer, _) = pages.layers(report, [300, 1000], "people")
    assert [one.hex_class for one in layer.hexagons] == [len(layer.classes) - 1]
    text = re.sub(r"<[^>]+>|\s+", " ", _page(report))
    assert "median distance of the people that are served" in text
    assert "mean distance 0 m, 99.9 % served by nothing" in text


def test_page__of_no_demand_can_be_drawn() -> None:
    assert "Coverage of community/parcel" in _page(_report(lat=[], lng=[], weight=[]), ())


def test_page__leaves_out_too_many_points_and_says_so() -> None:
    many = tuple(MapPoint(60.0, 25.0, "x", str(i)) for i in range(pages.MAX_POINTS + 1))
    html = _page(_report(lat=[60.001], lng=[25.0], weight=[1.0]), many)
    assert "too many to draw" in html
    assert len(html) < 200_000


def test_page__leaves_out_too_many_districts_and_says_so() -> None:
    engine = Engine.from_columns(["a"], ["community/parcel"], [60.0], [25.0])

    def page_of(n: int) -> str:
        demand = {"lat": [60.001] * n, "lng": [25.0] * n, "weight": [float(n - i) for i in range(n)]}
        return _page(coverage(engine, demand, "community/parcel", (300,), [f"ward {i}" for i in range(n)]))

    most = page_of(pages.MAX_DISTRICTS)
    more = page_of(pages.MAX_DISTRICTS + 1)
    assert "left out of the table" not in most
    assert "The 301 rows by district are too many to list: those after the 300 of greatest total are left out" in more
    assert f"ward {pages.MAX_DISTRICTS - 1}<" in more
    assert f"ward {pages.MAX_DISTRICTS}<" not in more


@pytest.mark.parametrize(
    ("lngs", "west", "east"),
    [
        ([-70.0, 40.0], -70.0, 40.0),
        ([179.99, -179.99], 179.99, 180.01),
        ([-120.0, 140.0], 140.0, 240.0),
        ([180.0, 180.0], 180.0, 180.0),  # one cell, which lies on both sides
    ],
)
def test_page__is_as_narrow_as_it_can_be(lngs: list[float], west: float, east: float) -> None:
    page = coverage_page(_report(lat=[-17.0, -17.0], lng=lngs, weight=[1.0, 1.0]), _told(()))
    margin = max(0.002, 0.03 * (east - west))
    assert page.bounds.west == pytest.approx(west - margin, abs=0.01)
    assert page.bounds.east == pytest.approx(east + margin, abs=0.01)
    starts = re.findall(r'<path d="M([0-9.-]+)[^>]*data-hex=', render_map(page))
    assert len(starts) == 2 * len(set(lngs))
    assert all(0 < float(x) < Projection.of(page.bounds).size[0] for x in starts)
