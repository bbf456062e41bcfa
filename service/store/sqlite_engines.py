"""How a SQLite file is opened, and whether it is sound."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.pool import QueuePool, StaticPool

from service.files import make_private_file

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["WAL_BYTES", "integrity", "sqlite_engine"]

WAL_BYTES = 4 * 1024 * 1024
"""The log is begun anew once it is longer."""
_BUSY_S = 2.0
_CONNECTING = {"check_same_thread": False, "timeout": _BUSY_S, "isolation_level": None}


def sqlite_engine(path: Path, *, writes: bool, size: int = 1) -> Engine:
    """
    Return an engine on a SQLite file: WAL, ``synchronous=FULL``, transactions only where they are begun.

    A transaction that writes takes the lock at its start, so that it never has to give up half way. One that writes makes
    the file where there is none, for this user alone; SQLite's files beside it are as it is.
    """
    readers: Any = {"poolclass": QueuePool, "pool_size": size, "max_overflow": 0, "pool_timeout": _BUSY_S}
    pool = {"poolclass": StaticPool} if writes else readers
    # Errors are logged, and must not quote what was to be written.
    url = URL.create("sqlite", database=str(path))  # as it is: within a text, ? and % would mean something
    engine = create_engine(url, connect_args=_CONNECTING, hide_parameters=True, **pool)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "wal_autocheckpoint=0",  # it would hide what fails: the writer does it in sight
            f"journal_size_limit={WAL_BYTES}",
            "temp_store=MEMORY",
            "secure_delete=ON",  # what is overwritten or deleted is gone from the file, too
            f"query_only={'OFF' if writes else 'ON'}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    if writes:

        @event.listens_for(engine, "do_connect")
        def _on_connecting(*_given: Any) -> None:
            with contextlib.suppress(OSError):  # SQLite meets it, too, and it is told then
                make_private_file(path)

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def integrity(path: Path) -> str:
    """Return what SQLite says of the file's integrity: ``ok``, or its first faults."""
    engine = sqlite_engine(path, writes=False)
    try:
        with engine.connect() as connection:
            return "; ".join(row[0] for row in connection.execute(text("PRAGMA integrity_check(5)")))
    finally:
        engine.dispose()
