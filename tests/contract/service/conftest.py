"""One running service a module and database, which the tests of a module share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.service.desk import Desk, open_desk
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


@pytest.fixture(scope="module")
def opened_desk(place: Place) -> Iterator[Desk]:
    """Give an order desk in this process, over either database."""
    with open_desk(place.folder, place.database) as desk:
        yield desk


@pytest.fixture
def desk(opened_desk: Desk) -> Desk:
    """Give the module's desk, in a town of its own for each test."""
    opened_desk.town += 1
    return opened_desk


@pytest.fixture
def suspend(desk: Desk) -> Iterator[Callable[[], None]]:
    """Give what suspends the merchant; he is reinstated behind it."""
    yield lambda: desk.set_status("suspended")
    desk.set_status("verified")
