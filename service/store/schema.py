"""The database's schema: made, brought up to date, or refused with a clear word."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from service.errors import StoreStateError
from service.store.postgres import postgres_engine, told_address
from service.store.sqlite_engines import sqlite_engine
from service.store.sqlite_errors import is_damage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config

__all__ = [
    "alone",
    "check_schema",
    "engine_of",
    "known_revisions",
    "migrate",
    "migrate_to",
    "newest_revision",
    "revision_of",
    "schema_told",
    "used_once",
]

_FOLDER = Path(__file__).with_name("migrations")
_LOCK = 0x6C696E6C69  # "linli": PostgreSQL lets one migration run at a time, and nothing of its kind beside it


def engine_of(url: str) -> Engine:
    """Return an engine that writes, for one command."""
    if url.startswith("sqlite:///"):
        return sqlite_engine(Path(url.removeprefix("sqlite:///")), writes=True)
    return postgres_engine(url, size=1)


def migrate(url: str) -> str | None:
    """
    Bring a database's schema up to date in one transaction; return the revision that it had, None if it was empty.

    Raises
    ------
    StoreStateError
        If it holds tables that are not linli's, or a schema of a later linli.
    """
    with used_once(engine_of(url)) as engine, engine.connect() as connection, connection.begin():
        alone(connection)
        before = revision_of(connection)
        if before is None and inspect(connection).get_table_names():
            raise StoreStateError("the database holds tables that are not linli's: give it an empty one")
        _check_known(before)
        migrate_to(connection, "head")
        if before is None:
            _first_marks(connection)
        return before


def alone(connection: Connection) -> None:
    """Wait until nobody else changes the database as a whole, which SQLite's writers do by themselves."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def check_schema(url: str) -> None:
    """
    Refuse a database whose schema is not this linli's; an empty one is made first.

    Raises
    ------
    StoreStateError
        Saying what to do.
    """
    found = _found(url)
    if found is None:
        migrate(url)
    else:
        _check_newest(found)


def schema_told(url: str) -> str:
    """Say which schema a database has; what `check_schema` refuses is refused, and nothing is made."""
    found = _found(url)
    if found is None:
        raise StoreStateError("the database is empty: 'linli serve' makes its tables")
    _check_newest(found)
    return f"schema {found}"


def _found(url: str) -> str | None:
    with used_once(engine_of(url)) as engine, engine.connect() as connection, connection.begin():
        return revision_of(connection)


def _check_newest(found: str) -> None:
    _check_known(found)
    if found != newest_revision():
        text_ = f"the database has schema {found}, this linli needs {newest_revision()}: run 'linli migrate' first"
        raise StoreStateError(text_)


@contextlib.contextmanager
def used_once(engine: Engine) -> Iterator[Engine]:
    """Give an engine that is let go of afterwards; what the database says against it is told in one line."""
    try:
        yield engine
    except DBAPIError as error:
        text_ = f"the database {told_address(engine)} cannot be used: {str(error.orig).strip()}"
        if is_damage(error):
            text_ += "; move the file, and those beside it that end in -wal and -shm, elsewhere and restore a backup"
        raise StoreStateError(text_) from error
    finally:
        engine.dispose()


def newest_revision() -> str:
    """Return the revision that this linli needs."""
    from alembic.script import ScriptDirectory  # it reads the steps, and most commands need none

    return str(ScriptDirectory.from_config(_config()).get_current_head())


def known_revisions() -> set[str]:
    """Return all revisions that this linli can start from."""
    from alembic.script import ScriptDirectory

    return {step.revision for step in ScriptDirectory.from_config(_config()).walk_revisions()}


def _check_known(found: str | None) -> None:
    if found is not None and found not in known_revisions():
        text_ = f"the database has schema {found}, which this linli does not know: it needs a later linli"
        raise StoreStateError(text_)


def revision_of(connection: Connection) -> str | None:
    """Return the revision that a database has, None if it has none of linli's."""
    if "alembic_version" not in inspect(connection).get_table_names():
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def _config(**attributes: Any) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes.update(attributes)
    return config


def migrate_to(connection: Connection, revision: str) -> None:
    """Bring the schema up to a revision within the transaction that the connection is in."""
    from alembic import command

    command.upgrade(_config(connection=connection), revision)


def _first_marks(connection: Connection) -> None:
    marks = {"feed_id": secrets.token_hex(8), "secret": secrets.token_hex(32), "clock_us": "0", "kept_from": "0-0"}
    for name, value in marks.items():
        connection.execute(
            text("INSERT INTO marks (name, value) VALUES (:name, :value)"), {"name": name, "value": value}
        )
