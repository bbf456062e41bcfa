"""The H3 C library's own vectors."""

import h3.api.numpy_int as h3
import numpy as np
import pytest

from geo.cells import cell_centers, latlng_to_cell_many
from geo.metric import distance_m
from tests.reference_data import DATA, needs_reference

FILES = (
    "rand05",
    "rand07",
    "rand09",
    "rand15",
    "bc05r08",
    "bc05r09",
    "bc05r10",
    "bc05r12",
    "bc14r08",
    "bc14r10",
    "bc14r12",
)
PENTAGONS = ["8009", "801d", "8031", "804d", "8063", "8075", "807f", "8091", "80a7", "80c3", "80d7", "80eb"]


@needs_reference
@pytest.mark.parametrize(
    "name", [*(f"{name}centers.txt" for name in FILES), "res00ic.txt", "res01ic.txt", "res02ic.txt"]
)
def test_latlng_to_cell_many__equals_the_vectors_on_every_row(name):
    rows = [line.split() for line in (DATA / "h3-vectors" / name).read_text().splitlines() if line.strip()]
    cells = np.array([int(row[0], 16) for row in rows], np.uint64)
    lat, lng = (np.array([float(row[i]) for row in rows]) for i in (1, 2))
    lng = np.where(lng > 180.0, lng - 360.0, lng)
    resolutions = {h3.get_resolution(int(cell)) for cell in cells}
    assert len(resolutions) == 1
    assert (latlng_to_cell_many(lat, lng, resolutions.pop()) == cells).all()
    assert distance_m(*cell_centers(cells), lat, lng).max() < 0.1 or name.startswith("rand")


def test_pentagons_and_the_command_lines_cell_are_h3s_own():
    assert sorted(f"{cell:x}"[:4] for cell in h3.get_pentagons(0)) == PENTAGONS
    assert latlng_to_cell_many([20.0], [123.0], 2).tolist() == [0x824B9FFFFFFFFFF]
