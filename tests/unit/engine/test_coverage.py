"""Coverage against its plain twin, and what it must refuse."""

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import shapely

from engine import CoverageFigures, CoverageReport, Engine, coverage
from engine.errors import InvalidQueryError
from geo.cells import ancestor_cells
from geo.errors import InvalidLatLngError, InvalidResolutionError

BANDS = (300, 500, 1000)


def _objects(*values: object) -> Any:
    """Return a column of Python objects."""
    column = np.empty(len(values), object)
    column[:] = values
    return column


def brute_distance_m(lat1: float, lng1: float, lat2: float, lng2: float) -> float:
    """Told distance by the chord through the WGS 84 ellipsoid."""
    e2 = (2 - 1 / 298.257223563) / 298.257223563

    def xyz(lat: float, lng: float) -> tuple[float, float, float]:
        phi, theta = math.radians(lat), math.radians(lng)
        n = 6378137.0 / math.sqrt(1 - e2 * math.sin(phi) ** 2)
        return (
            n * math.cos(phi) * math.cos(theta),
            n * math.cos(phi) * math.sin(theta),
            n * (1 - e2) * math.sin(phi),
        )

    return 2 * 6371008.8 * math.asin(min(1.0, math.dist(xyz(lat1, lng1), xyz(lat2, lng2)) / (2 * 6371008.8)))


def brute_figures(weighted: Sequence[tuple[float, float]], bands: Sequence[float] = BANDS) -> dict[str, Any]:
    """Figures of (distance, weight) pairs, one after the other."""
    served = sorted((d, w) for d, w in weighted if w > 0 and d < math.inf)
    total = sum(w for _, w in weighted)
    weight = sum(w for _, w in served)

    def quantile(numerator: int, denominator: int) -> float | None:
        reached = 0.0
        for d, w in served:
            reached += w
            if reached * denominator >= weight * numerator:
                return d
        return None

    return {
        "total": total,
        "unserved": sum(w for d, w in weighted if d == math.inf),
        "within": {band: sum(w for d, w in served if d <= band) for band in bands},
        "mean_m": sum(d * w for d, w in served) / weight if served else None,
        "median_m": quantile(1, 2),
        "p95_m": quantile(19, 20),
        "worst_m": served[-1][0] if served else None,
    }


def check(figures: CoverageFigures | CoverageReport, expected: dict[str, Any]) -> None:
    for name, value in expected.items():
        got = getattr(figures, name)
        assert got == pytest.approx(value, rel=1e-9, abs=1e-6) if value is not None else got is None, name


@pytest.fixture(scope="module")
def engine() -> Engine:
    rng = np.random.default_rng(3)
    n = 40
    return Engine.from_columns(
        [f"p{i:02d}" for i in range(n)],
        ["community/parcel" if i % 2 else "retail/pickup" for i in range(n)],
        [60.0 + rng.normal(0, 0.02) for _ in range(n)],
        [25.0 + rng.normal(0, 0.04) for _ in range(n)],
        hours=["Mo-Fr 09:00-17:00" if i % 4 == 1 else "24/7" for i in range(n)],
        timezone="Europe/Helsinki",
    )


@pytest.fixture(scope="module")
def demand() -> dict[str, list[float]]:
    rng = np.random.default_rng(4)
    n = 600
    return {
        "lat": [60.0 + rng.normal(0, 0.03) for _ in range(n)],
        "lng": [25.0 + rng.normal(0, 0.06) for _ in range(n)],
        "weight": [float(rng.choice([0, 1, 2, 7, 40])) for _ in range(n)],
    }


def brute_distances(
    engine: Engine, demand: dict[str, list[float]], offer: str, *, limit: float = math.inf
) -> list[float]:
    lat, lng = engine.positions()
    rows = [i for i, index in enumerate(engine.row_offers()) if engine.offers[index] == offer]
    nearest = [
        min(brute_distance_m(a, b, float(lat[i]), float(lng[i])) for i in rows)
        for a, b in zip(demand["lat"], demand["lng"], strict=True)
    ]
    return [d if d <= limit else math.inf for d in nearest]


def test_coverage__equals_the_twin(engine: Engine, demand: dict[str, list[float]]) -> None:
    report = coverage(engine, demand, "community/parcel", BANDS)
    distances = brute_distances(engine, demand, "community/parcel")
    check(report, brute_figures(list(zip(distances, demand["weight"], strict=True))))
    assert report.version == engine.version


def test_coverage__equals_the_twin_by_cell_and_by_district(engine: Engine, demand: dict[str, list[float]]) -> None:
    labels = [None if i % 7 == 0 else f"d{i % 5}" for i in range(len(demand["lat"]))]
    report = coverage(engine, demand, "community/parcel", BANDS, labels, cell_resolution=8, max_distance_m=1500.0)
    distances = brute_distances(engine, demand, "community/parcel", limit=1500.0)
    by_cell: dict[int, list[tuple[float, float]]] = defaultdict(list)
    by_label: dict[str | None, list[tuple[float, float]]] = defaultdict(list)
    cells = ancestor_cells(demand["lat"], demand["lng"], 8).tolist()
    for cell, label, distance, weight in zip(cells, labels, distances, demand["weight"], strict=True):
        if weight > 0:
            by_cell[cell].append((distance, weight))
            by_label[label].append((distance, weight))
    assert report.by_cell.keys() == by_cell.keys()
    assert report.by_district.keys() == by_label.keys()
    for cell, weighted in by_cell.items():
        check(report.by_cell[cell], brute_figures(weighted))
    for name, weighted in by_label.items():
        check(report.by_district[name], brute_figures(weighted))
    assert report.unserved > 0


def test_coverage__asks_at_an_instant(engine: Engine, demand: dict[str, list[float]]) -> None:
    helsinki = dt.timezone(dt.timedelta(hours=2))
    day = coverage(engine, demand, "community/parcel", at=dt.datetime(2025, 1, 15, 12, tzinfo=helsinki))
    night = coverage(engine, demand, "community/parcel", at=dt.datetime(2025, 1, 15, 23, tzinfo=helsinki))
    assert day == coverage(engine, demand, "community/parcel")
    assert night.mean_m is not None
    assert day.mean_m is not None
    assert night.mean_m > day.mean_m


def _line(distances_and_weights: Sequence[tuple[float, float]]) -> tuple[Engine, dict[str, list[float]]]:
    """Return one point on the equator and demand on its meridian at about those distances."""
    point = Engine.from_columns(["p"], ["community/parcel"], [0.0], [0.0])
    places = [(metres / 110_574.3, weight) for metres, weight in distances_and_weights]
    return point, {"lat": [lat for lat, _ in places], "lng": [0.0] * len(places), "weight": [w for _, w in places]}


def test_coverage__a_quantile_is_the_first_distance_that_reaches_the_share() -> None:
    point, demand = _line([(100, 1), (200, 1), (300, 18), (400, 18), (500, 2)])
    report = coverage(point, demand, "community/parcel")
    assert report.median_m == pytest.approx(300, abs=0.5)  # 20 of 40 is reached there, not passed
    assert report.p95_m == pytest.approx(400, abs=0.5)  # 38 of 40


def test_coverage__a_band_includes_its_limit() -> None:
    point, demand = _line([(100, 1), (250, 3)])
    worst = coverage(point, demand, "community/parcel").worst_m
    assert worst is not None
    below = math.nextafter(worst, 0)
    assert coverage(point, demand, "community/parcel", (worst, below)).within == {worst: 4.0, below: 1.0}


def test_coverage__leaves_out_rows_of_weight_0() -> None:
    point, demand = _line([(100, 2), (9000, 0)])
    report = coverage(point, demand, "community/parcel", cell_resolution=12)
    assert len(report.by_cell) == 1
    assert report.worst_m == pytest.approx(100, abs=0.5)


def test_coverage__of_an_offer_nobody_has_serves_nobody(engine: Engine, demand: dict[str, list[float]]) -> None:
    report = coverage(engine, demand, "laundry/pickup")
    assert report.unserved == report.total == sum(demand["weight"])
    assert (report.mean_m, report.median_m, report.p95_m, report.worst_m) == (None, None, None, None)
    assert set(report.within.values()) == {0.0}


def test_coverage__of_no_demand_is_empty(engine: Engine) -> None:
    report = coverage(engine, {"lat": [], "lng": [], "weight": []}, "community/parcel", districts=[])
    assert (report.total, report.mean_m, report.by_cell, report.by_district) == (0.0, None, {}, {})


def test_coverage__takes_dict_frame_and_arrow_alike(engine: Engine, demand: dict[str, list[float]]) -> None:
    reports = [coverage(engine, form, "retail/pickup") for form in (demand, pd.DataFrame(demand), pa.table(demand))]
    assert reports[0] == reports[1] == reports[2]


def test_coverage__takes_columns_of_python_objects_that_are_numbers(engine: Engine) -> None:
    lat, lng, weight = [60.0, 60], [24, np.float32(24.5)], [np.int64(3), 2.5]
    wanted = coverage(engine, {"lat": lat, "lng": lng, "weight": weight}, "community/parcel")
    columns = {"lat": _objects(*lat), "lng": _objects(*lng), "weight": _objects(*weight)}
    for demand in (columns, pd.DataFrame(columns), pd.DataFrame(columns).convert_dtypes()):
        assert coverage(engine, demand, "community/parcel") == wanted
    assert wanted.total == 5.5


def _halves(**columns: list[str]) -> gpd.GeoDataFrame:
    boxes = [
        shapely.box(24.8, 59.8, 25.0, 60.2),
        shapely.box(25.0, 59.8, 25.02, 60.2),
        shapely.box(24.8, 59.8, 25.02, 60.2),
    ]
    return gpd.GeoDataFrame(columns, geometry=boxes, crs=4326)


def test_coverage__first_district_that_contains_the_place_wins(engine: Engine, demand: dict[str, list[float]]) -> None:
    report = coverage(engine, demand, "retail/pickup", districts=_halves(name=["west", "east", "both"]))
    lng, weight = np.array(demand["lng"]), np.array(demand["weight"])
    inside = (np.abs(np.array(demand["lat"]) - 60.0) <= 0.2) & (lng >= 24.8)
    assert report.by_district["west"].total == weight[inside & (lng <= 25.0)].sum()
    assert report.by_district["east"].total == weight[inside & (lng > 25.0) & (lng <= 25.02)].sum()
    assert report.by_district[None].total == weight[lng > 25.02].sum() + weight[lng < 24.8].sum()
    assert "both" not in report.by_district


def test_coverage__districts_of_another_crs_are_turned(engine: Engine, demand: dict[str, list[float]]) -> None:
    degrees = coverage(engine, demand, "retail/pickup", districts=_halves(name=["west", "east", "both"]))
    metres = coverage(engine, demand, "retail/pickup", districts=_halves(name=["west", "east", "both"]).to_crs(32635))
    assert {k: v.total for k, v in metres.by_district.items()} == {k: v.total for k, v in degrees.by_district.items()}


def test_coverage__districts_without_a_name_go_by_their_index(engine: Engine, demand: dict[str, list[float]]) -> None:
    assert set(coverage(engine, demand, "retail/pickup", districts=_halves()).by_district) == {0, 1, None}


def test_to_frame__has_a_row_for_whole_districts_and_cells(engine: Engine, demand: dict[str, list[float]]) -> None:
    report = coverage(engine, demand, "retail/pickup", BANDS, ["x"] * len(demand["lat"]))
    frame = report.to_frame()
    assert list(frame.columns) == [
        "level", "label", "total", "unserved", "within_300_m", "within_500_m", "within_1000_m",
        "mean_m", "median_m", "p95_m", "worst_m",
    ]  # fmt: skip
    assert frame["level"].value_counts().to_dict() == {"total": 1, "district": 1, "cell": len(report.by_cell)}
    assert frame["total"].iloc[0] == report.total
    assert frame.loc[frame["level"] == "cell", "total"].sum() == report.total


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"weight": [1, -1, 1]}, InvalidQueryError, r"demand.weight\[1\] must be .* got -1.0"),
        ({"weight": [1, 1, math.nan]}, InvalidQueryError, r"demand.weight\[2\] .* got nan"),
        ({"weight": [1, math.inf, 1]}, InvalidQueryError, r"demand.weight\[1\] .* got inf"),
        ({"weight": [1e15, 1, 1e308]}, InvalidQueryError, r"demand.weight\[2\] must be .* to 1e\+15, got 1e\+308"),
        ({"weight": [1, None, 1]}, InvalidQueryError, r"demand.weight\[1\] must be a number, got None"),
        ({"weight": [True, False, True]}, InvalidQueryError, r"demand.weight\[0\] must be a number, got True"),
        ({"weight": _objects(1, True, 1)}, InvalidQueryError, r"demand.weight\[1\] must be a number, got True"),
        ({"weight": _objects(1, 1, "1")}, InvalidQueryError, r"demand.weight\[2\] must be a number, got '1'"),
        ({"weight": _objects(1, 10**400, 1)}, InvalidQueryError, r"demand.weight\[1\] must be a number from 0"),
        ({"weight": np.ones(3, "timedelta64[s]")}, InvalidQueryError, r"demand.weight\[0\] must be a number"),
        ({"lat": _objects(0, "0", 0)}, InvalidLatLngError, r"demand.lat\[1\] must be a number in degrees, got '0'"),
        ({"lng": _objects(0, 0, -(10**400))}, InvalidLatLngError, r"demand.lng\[2\] must be in \[-180, 180\]"),
        ({"weight": [1, 1]}, InvalidQueryError, r"demand.weight must be as many as demand.lat \(3\), got 2"),
        ({"lat": [0, 91, 0]}, InvalidLatLngError, r"demand.lat\[1\]"),
        ({"lng": [0, 0, math.nan]}, InvalidLatLngError, r"demand.lng\[2\]"),
    ],
)
def test_coverage__refuses_bad_demand(
    engine: Engine, changed: dict[str, list[Any]], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        coverage(engine, {"lat": [0, 0, 0], "lng": [0, 0, 0], "weight": [1, 1, 1]} | changed, "community/parcel")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"bands_m": (300, -1)}, InvalidQueryError, r"bands_m\[1\] must be"),
        ({"bands_m": (math.nan,)}, InvalidQueryError, r"bands_m\[0\] must be"),
        ({"bands_m": (300, 10**400)}, InvalidQueryError, r"bands_m\[1\] must be a finite distance"),
        ({"bands_m": (np.timedelta64(1, "s"),)}, InvalidQueryError, r"bands_m\[0\] must be"),
        ({"max_distance_m": 10**400}, InvalidQueryError, "max_distance_m must be a finite distance"),
        ({"districts": ["x", "y"]}, InvalidQueryError, r"districts must be .* 1 demand rows, got 2"),
        ({"quantity": 2}, InvalidQueryError, "quantity must be left out"),
        ({"k": 2}, InvalidQueryError, "k must be left out"),
        ({"at": np.zeros(1, "datetime64[s]")}, InvalidQueryError, "at must be one instant"),
        ({"cell_resolution": 16}, InvalidResolutionError, "resolution must be"),
    ],
)
def test_coverage__refuses_bad_options(
    engine: Engine, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        coverage(engine, {"lat": [0.0], "lng": [0.0], "weight": [1.0]}, "community/parcel", **options)


_BOX = [shapely.box(-1, -1, 1, 1)]


@pytest.mark.parametrize(
    "districts",
    [
        gpd.GeoSeries(_BOX, crs=4326),
        gpd.GeoSeries(_BOX),
        gpd.GeoDataFrame({"name": ["x"], "shape": _BOX}),
        gpd.GeoDataFrame({"crs": ["x"]}),
        pd.DataFrame({"name": ["x"]}),  # its one column is no label
        pd.DataFrame({"geometry": _BOX}),
    ],
    ids=["series", "series without a CRS", "no active geometry", "no geometry", "plain", "plain with shapes"],
)
def test_coverage__refuses_districts_without_an_active_geometry(engine: Engine, districts: Any) -> None:
    demand = {"lat": [0.0], "lng": [0.0], "weight": [1.0]}
    with pytest.raises(InvalidQueryError, match="districts must be a GeoDataFrame with an active geometry") as error:
        coverage(engine, demand, "community/parcel", districts=districts)
    assert error.value.argument == "districts"


def test_coverage__refuses_a_district_whose_name_is_no_label(engine: Engine) -> None:
    frame = gpd.GeoDataFrame({"name": ["x", ["y"]]}, geometry=_BOX * 2)
    with pytest.raises(InvalidQueryError, match=r"districts\[1\] must be .* got \['y'\]"):
        coverage(engine, {"lat": [0.0], "lng": [0.0], "weight": [1.0]}, "community/parcel", districts=frame)


def test_coverage__names_the_missing_column(engine: Engine) -> None:
    with pytest.raises(InvalidQueryError, match=r"must have the columns lat, lng and weight, got \['lat', 'lon'\]"):
        coverage(engine, {"lat": [0.0], "lon": [0.0]}, "community/parcel")


def test_to_frame__has_a_column_for_each_band(engine: Engine, demand: dict[str, list[float]]) -> None:
    bands = (300, 0.5, 12345.67, 12345.68, 1_000_000, 1_000_001.0)
    frame = coverage(engine, demand, "community/parcel", bands_m=bands).to_frame()
    names = [name for name in frame.columns if name.startswith("within_")]
    assert names == [f"within_{band}_m" for band in ("300", "0.5", "12345.67", "12345.68", "1000000", "1000001")]
