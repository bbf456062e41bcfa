"""
``linli`` with one of its guards taken out, for the controls: a checker counts once it was seen to catch a fault.

``python -m tests.unguarded lock serve …``: writes about one merchant, or one point, do not wait for each other. With ``owner``, nobody
asks whose a thing is; with ``crew``, nobody asks which crew a key is of. With ``stock``, it is taken whether there is enough or not, and SQLite checks no constraint;
on PostgreSQL the caller drops those of the table.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from service.http.context import RequestContext

__all__ = ["without"]


def without(guard: str) -> tuple[str, ...]:
    """Return the command of a linli that lacks a guard."""
    return (sys.executable, "-m", "tests.unguarded", guard)


def _take_out_lock() -> None:
    from service.store.connections import WriteConnection

    def lock(self: WriteConnection, subject: str) -> None:
        pass

    def rows(self: WriteConnection, statement: Any, parameters: Any = None) -> Any:
        if getattr(statement, "_for_update_arg", None) is not None:
            statement = statement.with_only_columns(*statement.selected_columns)  # a copy
            statement._for_update_arg = None
        return asked(self, statement, parameters)

    asked = WriteConnection.rows
    WriteConnection.lock = lock  # type: ignore[method-assign]
    WriteConnection.rows = rows  # type: ignore[assignment,method-assign]


def _take_out_owner() -> None:
    from service.http import access  # the routes, which take the function from it, are imported later

    def owner_of(context: RequestContext) -> str | None:
        return None

    access.owner_of = owner_of


def _take_out_crew() -> None:
    from service.http import access

    def crew_of(context: RequestContext) -> tuple[str, str] | None:
        return None

    access.crew_of = crew_of


def _take_out_stock() -> None:
    import sqlite3

    from sqlalchemy import Engine, event, update

    from service.orders import taking
    from service.store.order_tables import stock
    from service.store.plain import Plain

    @event.listens_for(Engine, "connect")
    def check_nothing(connection: Any, _record: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA ignore_check_constraints=ON")

    held = {"held": stock.c.held + taking._UNITS, "revision": taking._REVISION}
    taking._TAKE_STOCK = Plain(update(stock).where(*taking._ITS_STOCK).values(held).returning(*stock.c))


_GUARDS = {"lock": _take_out_lock, "owner": _take_out_owner, "crew": _take_out_crew, "stock": _take_out_stock}

if __name__ == "__main__":
    _GUARDS[sys.argv.pop(1)]()

    from service.cli import main

    main()
