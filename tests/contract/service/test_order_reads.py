"""How much is read of orders that are many: what an index finds, and no more of them than is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.dialects import sqlite

from service.orders import collecting
from service.orders.collecting import Shown
from service.store.plain import Plain
from tests.contract.service.desk import Desk

if TYPE_CHECKING:
    from service.store.connections import AnyRow, WriteConnection


class Planned:
    """A connection that notes how SQLite comes to what is read; what PostgreSQL does depends on what it has counted."""

    def __init__(self, connection: WriteConnection) -> None:
        self._connection = connection
        self.now_us = connection.now_us
        self.plan: list[str] = []

    def rows(self, query: Any, values: Mapping[str, Any] | None = None) -> Sequence[AnyRow]:
        if not self._connection.is_postgres:
            asked = (query.statement if isinstance(query, Plain) else query).params(values or {})
            told = asked.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
            self.plan += [row[-1] for row in self._connection.rows(text(f"EXPLAIN QUERY PLAN {told}"))]
        return self._connection.rows(query, values)

    def row(self, query: Any, values: Mapping[str, Any] | None = None) -> AnyRow | None:
        return next(iter(self.rows(query, values)), None)


def planned(desk: Desk, ask: Callable[[Any], Any]) -> list[str]:
    """Return how SQLite comes to what is asked, by what of an index; nothing where it is PostgreSQL."""

    def read(connection: WriteConnection) -> list[str]:
        noting = Planned(connection)
        ask(noting)
        return noting.plan

    return desk.registry.services.store.write_now(read)


def test_wrong_code__reads_of_a_point_only_what_was_just_collected_there(desk: Desk) -> None:
    shop, terms = desk.shop(), desk.registry.services.orders
    desk.brought(desk.order(shop, payment="counter"), "accept", "ready", "collect")
    plan = planned(desk, lambda connection: collecting._is_just_used(connection, terms, Shown(shop, "000000")))
    assert [step.partition(" (")[2] for step in plan] in ([], ["point_id=? AND event=? AND at>?)", "order_id=?)"])
