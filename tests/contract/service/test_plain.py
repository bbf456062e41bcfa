"""What is said to a database's own driver comes to the same as what SQLAlchemy says, and what waits is never lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, bindparam, func, select, text, update
from sqlalchemy.exc import IntegrityError

from service.store import drivers
from service.store.connections import WriteConnection
from service.store.plain import Plain
from service.store.schema import engine_of, migrate
from service.store.tables import changes, merchants, points
from tests.serving import Place

NOW = 1_000_000
ROW: dict[str, Any] = {
    "point_id": "m:1", "merchant_id": "m", "kind": "store", "name": "One", "lat": 1.5, "lng": 2.5, "visibility": "public",
    "features": ";", "is_paused": True, "is_synthetic": False, "is_deleted": False, "revision": 1, "created_at": NOW,
    "updated_at": NOW, "stock_revision": 4,
}  # fmt: skip
MERCHANT = {"merchant_id": "m", "name": "M", "status": "verified", "revision": 1, "created_at": NOW, "updated_at": NOW}
OF: Any = bindparam("of_point")


@pytest.fixture(scope="module")
def database(place: Place) -> Iterator[Engine]:
    place.folder.mkdir(exist_ok=True)
    url = place.database or f"sqlite:///{place.folder / 'linli.db'}"
    migrate(url)
    engine = engine_of(url)
    yield engine
    engine.dispose()


@pytest.fixture(params=["together", "apart"])
def connection(
    database: Engine, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WriteConnection]:
    """Give a connection in a transaction that is taken back; to a server as it is, and to one that is told each by itself."""
    if request.param == "apart":
        monkeypatch.setattr(drivers, "_BOUNDS_TRANSACTIONS", 1 << 31)
    with database.connect() as raw:
        transaction = raw.begin()
        made = WriteConnection(raw, now_us=NOW)
        made.insert_rows(merchants, tuple(MERCHANT), [tuple(MERCHANT.values())])
        made.insert_rows(points, tuple(ROW), [tuple(ROW.values())])
        yield made
        transaction.rollback()


SELECTS = {
    "whole rows": select(points).where(points.c.point_id == OF),
    "labels and joins": select(points.c.is_paused, (points.c.revision + merchants.c.revision).label("both"))
    .join_from(points, merchants)
    .where(points.c.point_id == OF, points.c.is_deleted.is_(False)),
    "nothing": select(points.c.name).where(points.c.point_id == OF, points.c.revision > 1),
}


@pytest.mark.parametrize("name", SELECTS)
def test_plain__reads_what_sqlalchemy_reads(connection: WriteConnection, name: str) -> None:
    whole, its = SELECTS[name], {"of_point": "m:1"}
    plain = Plain(whole)
    for _ in range(2):
        rows, expected = connection.rows(plain, its), connection.rows(whole, its)
        assert [tuple(row) for row in rows] == [tuple(row) for row in expected]
        assert [row._fields for row in rows] == [row._fields for row in expected]
        assert [[type(value) for value in row] for row in rows] == [[type(value) for value in row] for row in expected]
        assert (connection.row(plain, its) is None) == (connection.row(whole, its) is None)
        assert connection.value(plain, its) == connection.value(whole, its)


def test_plain__writes_once_or_for_each_and_says_how_many_rows(connection: WriteConnection) -> None:
    name = update(points).where(points.c.point_id == OF, points.c.revision == 1).values(name=bindparam("to"))
    assert connection.run(Plain(name), {"of_point": "m:1", "to": "Two"}) == 1
    assert connection.run(Plain(name), {"of_point": "m:2", "to": "Two"}) == 0
    assert connection.run(Plain(name), [{"of_point": one, "to": "Six"} for one in ("m:1", "m:2", "m:1")]) == 2
    count = update(points).where(points.c.point_id == OF).values(stock_revision=points.c.stock_revision + 1)
    counted = Plain(count.returning(points.c.stock_revision))
    assert [connection.value(counted, {"of_point": "m:1"}) for _ in range(2)] == [5, 6]
    assert connection.value(counted, {"of_point": "m:2"}) is None
    assert connection.value(select(points.c.name).where(points.c.point_id == "m:1")) == "Six"
    assert connection.run(Plain(text("UPDATE points SET name = :to")), {"to": "Ten"}) == 1


def test_plain__tells_a_constraint_as_sqlalchemy_does_and_hides_the_values(connection: WriteConnection) -> None:
    bad = Plain(update(merchants).values(status=bindparam("to")))
    told = []
    for statement in (bad, bad.statement):
        with pytest.raises(IntegrityError, match="merchants_status") as caught, connection.attempt():
            connection.run(statement, {"to": "secret"})
        told.append((type(caught.value.orig), str(caught.value.orig), str(caught.value)))
    assert told[0][:2] == told[1][:2]
    assert "secret" not in told[0][2].partition("DETAIL")[0]  # of the row that the server tells


def test_plain__lacking_a_value_is_refused(connection: WriteConnection) -> None:
    with pytest.raises(KeyError, match="of_point"):
        connection.rows(Plain(SELECTS["whole rows"]), {})


def n_of(connection: WriteConnection, point_id: str) -> int:
    found: int = connection.value(
        select(func.count()).select_from(points).where(points.c.point_id.startswith(point_id))
    )
    return found


def rows_named(*point_ids: str) -> list[tuple[Any, ...]]:
    return [tuple((ROW | {"point_id": point_id}).values()) for point_id in point_ids]


@pytest.mark.parametrize("ask", ["plain", "sqlalchemy", "change", "settle"])
def test_insert__is_there_for_whatever_is_asked_next(connection: WriteConnection, ask: str) -> None:
    connection.insert_rows(points, tuple(ROW), rows_named("m:2"))
    connection.insert_rows(points, tuple(ROW), rows_named(*(f"m:2{n:03}" for n in range(150))))
    count = select(func.count().label("n")).where(points.c.point_id.startswith("m:2"))
    if ask == "plain":
        assert connection.value(Plain(count)) == 151
    elif ask == "change":
        assert connection.run(update(points).where(points.c.point_id.startswith("m:2")).values(name="n")) == 151
    elif ask == "settle":
        connection.settle()
    assert connection.value(count) == 151


def test_attempt__takes_back_what_waited_within_it_and_nothing_else(connection: WriteConnection) -> None:
    connection.insert_rows(points, tuple(ROW), rows_named("m:3before"))

    def insert(*names: str, fails: bool = False) -> None:
        with connection.attempt():
            for name in names:
                connection.insert_rows(points, tuple(ROW), rows_named(name))
            if fails:
                raise ValueError(*names)

    with pytest.raises(ValueError, match="m:3within"):
        insert("m:3within", fails=True)
    with pytest.raises(IntegrityError):  # what fails when it is said at last fails there
        insert("m:3more", "m:3before")
    insert("m:3after")
    assert [n_of(connection, f"m:3{one}") for one in ("before", "within", "more", "after")] == [1, 0, 0, 1]


def test_insert__that_fails_is_told_by_what_is_said_next(connection: WriteConnection) -> None:
    def insert() -> None:
        connection.insert_rows(points, tuple(ROW), rows_named("m:1"))
        connection.settle()

    with pytest.raises(IntegrityError, match="INSERT INTO points"):
        insert()


def test_changes__of_one_transaction_have_its_number_and_their_order(connection: WriteConnection) -> None:
    before = connection.value(select(func.max(changes.c.id))) or 0
    connection.record_changes("point", [("m:1", 2), ("m:2", 1)], "m")
    connection.record_change("offer", "m:1", 3, None)
    found = connection.rows(select(changes).where(changes.c.id > before).order_by(changes.c.id))
    assert [tuple(row)[2:] for row in found] == [
        ("point", "m:1", 2, "m", NOW),
        ("point", "m:2", 1, "m", NOW),
        ("offer", "m:1", 3, None, NOW),
    ]
    (tx,) = {row.tx for row in found}
    assert (tx > 0) == connection.is_postgres


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_lock__is_there_for_the_one_writer(connection: WriteConnection) -> None:
    connection.lock("a subject")
    assert connection.try_lock("a subject")
    assert connection.try_lock("another")


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
def test_lock__is_held_once_anything_was_asked(place: Place, connection: WriteConnection) -> None:
    connection.lock("a subject")
    connection.value(select(func.count()).select_from(points))
    engine = engine_of(str(place.database))
    with engine.connect() as raw, raw.begin():
        other = WriteConnection(raw, now_us=NOW)
        assert not other.try_lock("a subject")
        assert other.try_lock("another")
    engine.dispose()
