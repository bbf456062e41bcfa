"""Which errors of SQLite concern one statement, which pass, and which end all writing."""

from __future__ import annotations

import sqlite3

__all__ = ["OF_ONE_WRITE", "PASSING", "is_busy", "is_damage", "primary_code"]

OF_ONE_WRITE = {
    None,  # the driver refused a value before SQLite saw it
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_RANGE,
}
"""Primary codes that concern one statement: the writes beside it in the group go on."""
PASSING = OF_ONE_WRITE | {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT}
"""Primary codes after which the file is as good as before; any other, such as IOERR or FULL, ends all writing."""


def primary_code(error: BaseException) -> int | None:
    """Return the primary code of an error of SQLite's, None of any other."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def is_damage(error: BaseException) -> bool:
    """Tell whether the file itself is at fault: its contents are torn, or it never was one of SQLite's."""
    return primary_code(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def is_busy(error: BaseException) -> bool:
    """Tell whether another holds the lock, so that it may be tried again."""
    return primary_code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
