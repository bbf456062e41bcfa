"""
``linli`` with one of its guards taken out, for the controls: a checker counts once it was seen to catch a fault.

``python -m tests.unguarded lock serve …``: writes about one merchant, or one point, do not wait for each other. With ``owner``, nobody
asks whose a thing is; with ``crew``, nobody asks which crew a key is of. With ``stock``, it is taken whether there is enough or not, and SQLite checks no constraint;
on PostgreSQL the caller drops those of the table. With ``visits``, a crew's day is written whatever it has become since it
was read, and nobody waits for a roster. With ``memory``, it is written as memory has it, too, unasked whether that is so.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.crew_days import CrewDay
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


def _take_out_visits() -> None:
    import time

    from sqlalchemy import select

    from service.bookings import days
    from service.crews import store
    from service.store.connections import WriteConnection
    from service.store.tables import points

    def lock_roster(connection: WriteConnection, point_id: str) -> bool:
        return connection.value(select(points.c.point_id).where(points.c.point_id == point_id)) is not None

    def write_shift(connection: WriteConnection, of: Any, day: CrewDay, _read_revision: int) -> None:
        time.sleep(0.01)  # so that others write meanwhile
        now = days.find_shift(connection, of.point_id, day.crew_id, day.starts_s)
        written(connection, of, day, 0 if now is None else now.revision)

    written, patched = days.write_shift, ((days, write_shift), (store, lock_roster))
    for module, function in patched:  # those that take the functions from there are imported later
        setattr(module, function.__name__, function)


def _take_out_memory() -> None:
    _take_out_visits()

    from service.bookings import planning

    def checked(*told: Any) -> Any:
        candidate = told[-1]
        return None if candidate is None else (candidate.slot, candidate.day, candidate.revision)

    setattr(planning, "_checked", checked)  # noqa: B010 - it is of another signature


_GUARDS = {
    "lock": _take_out_lock,
    "memory": _take_out_memory,
    "owner": _take_out_owner,
    "crew": _take_out_crew,
    "stock": _take_out_stock,
    "visits": _take_out_visits,
}

if __name__ == "__main__":
    _GUARDS[sys.argv.pop(1)]()

    from service.cli import main

    main()
