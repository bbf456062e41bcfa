"""A database of an earlier linli is brought up to date with all that it holds, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import IntegrityError

from service.errors import StoreStateError
from service.settings import load_settings
from service.store.schema import check_schema, engine_of, migrate, migrate_to, newest_revision, schema_told
from service.store.visit_tables import METADATA
from tests.serving import Place

_FILLED = (
    "INSERT INTO merchants VALUES ('corner', 'Corner', 'verified', 2, 1, 1)",
    "INSERT INTO points (point_id, merchant_id, kind, name, lat, lng, visibility, features, is_paused, is_synthetic,"
    " is_deleted, revision, created_at, updated_at)"
    " VALUES ('corner:1', 'corner', 'store', 'One', 31.2, 121.5, 'public', ';', FALSE, FALSE, FALSE, 4, 1, 1)",
    "INSERT INTO offers (point_id, offer, radius_m, capacity, lead_s, is_paused, stock_revision)"
    " VALUES ('corner:1', 'retail/pickup', 500.0, 7, 0, FALSE, 3), ('corner:1', 'retail/delivery', 500.0, NULL, 0, FALSE, 5)",
)


@contextmanager
def _opened(url: str) -> Iterator[Connection]:
    engine = engine_of(url)
    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    finally:
        engine.dispose()


def _address(place: Place) -> str:
    place.folder.mkdir(parents=True, exist_ok=True)
    return load_settings({}, data=place.folder, database=place.database).database_url


@pytest.fixture
def url(place: Place) -> str:
    """Give the address of a database of the first schema, with a point in it."""
    address = _address(place)
    with _opened(address) as connection:
        migrate_to(connection, "0001")
        for statement in _FILLED:
            connection.execute(text(statement))
    return address


def test_migration__keeps_what_there_was_and_says_where_capacity_is(url: str) -> None:
    with pytest.raises(StoreStateError, match=r"schema 0001.*run 'linli migrate' first"):
        check_schema(url)
    assert migrate(url) == "0001"
    assert schema_told(url) == f"schema {newest_revision()}"
    with _opened(url) as connection:
        point = connection.execute(text("SELECT revision, capacity_revision, stock_revision FROM points")).one()
        rows = connection.execute(text("SELECT offer, capacity, in_work, slot_s FROM offers ORDER BY offer")).all()
        assert tuple(point) == (4, 5, 5)
        assert [tuple(row) for row in rows] == [("retail/delivery", None, 0, None), ("retail/pickup", 7, 0, None)]
    with pytest.raises(IntegrityError, match="offers_in_work"), _opened(url) as connection:
        connection.execute(text("UPDATE offers SET in_work = -1"))


def _indexes_told() -> set[tuple[str, str, tuple[str, ...]]]:
    return {
        (table.name, str(index.name), tuple(column.name for column in index.columns))
        for table in METADATA.tables.values()
        for index in table.indexes
    }


def test_migration__ends_with_the_indexes_that_the_tables_tell(place: Place) -> None:
    address = _address(place)
    migrate(address)
    with _opened(address) as connection:
        asked = inspect(connection)
        found = {
            (table, str(index["name"]), tuple(map(str, index["column_names"])))
            for table in METADATA.tables
            for index in asked.get_indexes(table)
            if not index.get("duplicates_constraint")
        }
    assert found == _indexes_told()
