"""One running service a module and database, which the tests of a module share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import short_folder
from tests.serving import Place, Serving, fresh_database, running_service


@pytest.fixture(scope="module")
def data_folder() -> Iterator[Path]:
    """Give an empty data folder."""
    with short_folder() as folder:
        yield folder / "data"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, data_folder: Path) -> Place:
    """Give an empty SQLite folder, and an empty PostgreSQL database."""
    if request.param == "sqlite":
        return Place(data_folder)
    return Place(data_folder, fresh_database(request.getfixturevalue("postgres_url")))


@pytest.fixture(scope="module")
def service(place: Place) -> Iterator[Serving]:
    """Give a service over either database."""
    with running_service(place) as serving:
        yield serving
