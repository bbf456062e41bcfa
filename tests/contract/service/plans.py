"""How SQLite comes to what is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import sqlite

from service.store.plain import Plain

if TYPE_CHECKING:
    from service.store.connections import AnyRow, WriteConnection
    from tests.contract.service.desk import Desk

__all__ = ["on_sqlite", "planned"]

on_sqlite = pytest.mark.parametrize("place", ["sqlite"], indirect=True)


class Planned:
    """A connection that notes how SQLite comes to what is read; what PostgreSQL does depends on what it has counted."""

    def __init__(self, connection: WriteConnection) -> None:
        self._connection = connection
        self.now_us = connection.now_us
        self.plan: list[str] = []

    def rows(self, query: Any, values: Mapping[str, Any] | None = None) -> Sequence[AnyRow]:
        asked = (query.statement if isinstance(query, Plain) else query).params(values or {})
        told = asked.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
        self.plan += [row[-1] for row in self._connection.rows(text(f"EXPLAIN QUERY PLAN {told}"))]
        return self._connection.rows(query, values)

    def row(self, query: Any, values: Mapping[str, Any] | None = None) -> AnyRow | None:
        return next(iter(self.rows(query, values)), None)


def planned(desk: Desk, ask: Callable[[Any], Any]) -> list[str]:
    """Return how SQLite comes to what is asked, by what of an index."""

    def read(connection: WriteConnection) -> list[str]:
        noting = Planned(connection)
        ask(noting)
        assert noting.plan
        return noting.plan

    return desk.registry.services.store.write_now(read)
