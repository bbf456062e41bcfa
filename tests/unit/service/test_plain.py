"""What is said to SQLite's driver as it is comes to the same as what SQLAlchemy says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, select, text, update
from sqlalchemy.exc import IntegrityError

from service.store.connections import WriteConnection
from service.store.plain import Plain
from service.store.schema import engine_of, migrate
from service.store.tables import merchants, points

NOW = 1_000_000
ROW: dict[str, Any] = {
    "point_id": "m:1", "merchant_id": "m", "kind": "store", "name": "One", "lat": 1.5, "lng": 2.5, "visibility": "public",
    "features": ";", "is_paused": True, "is_synthetic": False, "is_deleted": False, "revision": 1, "created_at": NOW,
    "updated_at": NOW, "stock_revision": 4,
}  # fmt: skip
OF: Any = bindparam("of_point")


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[WriteConnection]:
    url = f"sqlite:///{tmp_path / 'linli.db'}"
    migrate(url)
    engine = engine_of(url)
    with engine.connect() as raw, raw.begin():
        made = WriteConnection(raw, now_us=NOW)
        merchant = ("m", "M", "verified", 1, NOW, NOW)
        made.insert_rows(
            merchants, ("merchant_id", "name", "status", "revision", "created_at", "updated_at"), [merchant]
        )
        made.insert_rows(points, tuple(ROW), [tuple(ROW.values())])
        yield made
    engine.dispose()


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
        told.append((type(caught.value.orig), str(caught.value.orig), "secret" in str(caught.value)))
    assert told[0] == told[1]
    assert not told[0][2]


def test_plain__lacking_a_value_is_refused(connection: WriteConnection) -> None:
    with pytest.raises(KeyError, match="of_point"):
        connection.rows(Plain(SELECTS["whole rows"]), {})
