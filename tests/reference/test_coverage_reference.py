"""Porto Alegre: who lives how far from health care and from a school."""

import json

import numpy as np
import pandas as pd
import pytest

from engine import Engine, coverage
from geo.cells import cell_to_text
from tests.reference_data import DATA, needs_reference

pytestmark = needs_reference


@pytest.mark.parametrize("service", ["healthcare", "schools"])
def test_coverage__of_porto_alegre_is_as_the_file_says(service: str) -> None:
    folder = DATA / "porto-alegre"
    expected = json.loads((folder / "reference_coverage.json").read_text())[service]
    grid = pd.read_csv(folder / "poa_hexgrid.csv")
    places = grid[grid[service].fillna(0) > 0]
    engine = Engine.from_columns(places["id"].tolist(), ["health/visit"] * len(places), places["lat"], places["lon"])
    demand = pd.DataFrame({"lat": grid["lat"], "lng": grid["lon"], "weight": grid["population"].fillna(0)})
    bands = tuple(int(band) for band in expected["population_within_m"])

    report = coverage(engine, demand, "health/visit", bands)

    assert engine.n_rows == expected["points"]
    assert report.total == expected["population"]
    assert report.unserved == 0
    assert {str(band): weight for band, weight in report.within.items()} == expected["population_within_m"]
    # Told distances follow geodesics within 0.02 mm at these lengths.
    assert report.mean_m == pytest.approx(expected["mean_distance_m"], abs=2e-5)
    assert report.median_m == pytest.approx(expected["weighted_median_m"], abs=2e-5)
    assert report.p95_m == pytest.approx(expected["weighted_p95_m"], abs=2e-5)
    assert report.worst_m == pytest.approx(expected["worst_m"], abs=2e-5)
    # The grid is one of H3 cells of resolution 9, given by their centres: each is a cell of the report.
    inhabited = grid[grid["population"].fillna(0) > 0]
    by_cell = {cell_to_text(cell): figures.total for cell, figures in report.by_cell.items()}
    assert by_cell == dict(zip(inhabited["id"], inhabited["population"].astype(np.float64), strict=True))
