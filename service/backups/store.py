"""Back the facts up while they are served, and put them back: from and to SQLite and PostgreSQL alike."""

from __future__ import annotations

import contextlib
import datetime as dt
import secrets
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlalchemy import (
    BigInteger,
    Boolean,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    func,
    insert,
    select,
    text,
    update,
)

from service.backups.archives import FORMAT as ARCHIVE_FORMAT
from service.backups.archives import ArchiveWriter, Manifest, check_archive, read_batches, read_manifest, seal
from service.errors import BadFileError, StoreStateError
from service.feed.outbox import Position, feed_id, head
from service.files import atomic_path
from service.store.connections import ReadConnection
from service.store.postgres import postgres_engine
from service.store.schema import engine_of, known_revisions, migrate_to, newest_revision, revision_of, used_once
from service.store.sqlite_engines import sqlite_engine
from service.store.tables import keys, marks
from service.store.visit_tables import METADATA

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path
    from typing import TypeAlias

    from sqlalchemy import Connection

    Progress: TypeAlias = Callable[[str, float], None]

__all__ = ["back_up", "restore"]

_ROWS = 5_000
_SERIAL_TABLES = ("changes", "audit")
_NOT_KEPT = "changes"
_TOP_TX = text("SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint)")
_OTHERS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = 'linli' AND pid <> pg_backend_pid()"
)


def back_up(url: str, path: Path, progress: Progress) -> Manifest:
    """
    Write a backup of a database, whole or not at all, as of one instant; nobody waits for it.

    Raises
    ------
    StoreStateError
        If the database cannot be read, or its schema is not this linli's.
    BadFileError
        If the backup cannot be written.
    """
    with atomic_path(path) as temporary, _reading(url) as connection:
        found = revision_of(connection)
        if found != newest_revision():
            told = (
                f"the database has schema {found}, this linli backs up {newest_revision()}: run 'linli migrate' first"
            )
            raise StoreStateError(told)
        temporary.chmod(0o600)  # it holds what merchants told, and the secret that cursors are signed with
        with ArchiveWriter(temporary) as writer:
            for table in METADATA.sorted_tables:
                if table.name == _NOT_KEPT:
                    continue
                with contextlib.closing(_batches(connection, table, progress)) as batches:
                    writer.add_table(table.name, _schema(table), batches)
            manifest = _manifest(connection, writer)
            writer.close(manifest)
        seal(temporary)
    return manifest


def restore(url: str, path: Path, *, replaces: bool, progress: Progress) -> Manifest:
    """
    Put a backup back, all of it or nothing: into an empty database, or in the place of what is there.

    The feed gets another name, so that whoever follows it reads everything anew. Change records are not put back:
    they are of the old feed. Keys that the database in whose place it comes knew as revoked stay so; of others that were
    revoked since, the backup knows nothing.

    Raises
    ------
    BadFileError
        If the backup is damaged, or of a schema that this linli does not know.
    StoreStateError
        If the database is not empty and is not to be replaced, or is served.
    """
    check_archive(path, lambda share: progress("checking the backup", share))
    manifest = read_manifest(path)
    if manifest.schema not in known_revisions():
        raise BadFileError(path, None, f"has schema {manifest.schema}, which this linli does not know")
    with _writing(url) as connection:
        _refuse_served(connection)
        revoked = _revoked(connection)
        serials = _emptied(connection, replaces=replaces)
        migrate_to(connection, manifest.schema)
        _fill(connection, path, manifest, progress)
        _set_marks(connection, manifest, serials)
        migrate_to(connection, "head")
        for key_id, at in revoked.items():
            its = (keys.c.key_id == key_id, keys.c.revoked_at.is_(None))
            connection.execute(update(keys).where(*its).values(revoked_at=at))
    return manifest


@contextlib.contextmanager
def _reading(url: str) -> Iterator[Connection]:
    """Give a connection that sees one instant; on SQLite writers go on beside it, in the log."""
    if url.startswith("sqlite"):
        file = _file(url)
        if not file.exists():
            told = f"there is no database {file}"
            raise StoreStateError(told)
        engine = sqlite_engine(file, writes=False)
    else:
        engine = postgres_engine(url, size=1).execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
    with used_once(engine), engine.connect() as connection, connection.begin():
        yield connection


@contextlib.contextmanager
def _writing(url: str) -> Iterator[Connection]:
    with used_once(engine_of(url)) as engine, engine.connect() as connection, connection.begin():
        yield connection


def _file(url: str) -> Path:
    from pathlib import Path

    return Path(url.removeprefix("sqlite:///"))


def _arrow(kind: Any) -> pa.DataType:
    if isinstance(kind, Boolean):
        return pa.bool_()
    if isinstance(kind, BigInteger | Integer):
        return pa.int64()
    if isinstance(kind, Float):
        return pa.float64()
    return pa.binary() if isinstance(kind, LargeBinary) else pa.string()


def _schema(table: Table) -> pa.Schema:
    return pa.schema([pa.field(column.name, _arrow(column.type)) for column in table.columns])


def _batches(connection: Connection, table: Table, progress: Progress) -> Generator[pa.RecordBatch, None, None]:
    n_rows, n_done, schema = connection.execute(select(func.count()).select_from(table)).scalar_one(), 0, _schema(table)
    query = select(table).order_by(*table.primary_key.columns)
    with connection.execution_options(stream_results=True, max_row_buffer=_ROWS).execute(query) as rows:
        for piece in rows.partitions(_ROWS):
            columns = zip(*piece, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            yield pa.record_batch(arrays, schema=schema)
            n_done += len(piece)
            progress(table.name, n_done / max(1, n_rows))


def _manifest(connection: Connection, writer: ArchiveWriter) -> Manifest:
    reading = ReadConnection(connection)
    return Manifest(
        format=ARCHIVE_FORMAT,
        linli=metadata.version("linli"),
        database=connection.dialect.name,
        schema=newest_revision(),
        made_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        feed_id=feed_id(reading),
        position=str(head(reading)),
        serials=_serials(connection),
        rows=writer.rows,
        digests=writer.digests,
    )


def _serials(connection: Connection) -> dict[str, int]:
    """Return the highest number ever given, by table: deleted rows count too."""
    if connection.dialect.name == "postgresql":
        found = {
            name: connection.execute(text(f"SELECT last_value FROM {name}_id_seq")).scalar_one()  # noqa: S608 - our names
            for name in _SERIAL_TABLES
        }
    else:
        found = {row[0]: row[1] for row in connection.execute(text("SELECT name, seq FROM sqlite_sequence"))}
    return {name: int(found.get(name, 0)) for name in _SERIAL_TABLES}


def _refuse_served(connection: Connection) -> None:
    # A SQLite file is guarded by the lock of its folder, which the command holds.
    if connection.dialect.name == "postgresql" and connection.execute(_OTHERS).scalar_one():
        raise StoreStateError("linli serves this database, or a command works on it: stop it first")


def _revoked(connection: Connection) -> dict[str, int]:
    """Return when keys that linli's database holds were revoked, by their ids."""
    if revision_of(connection) is None:
        return {}
    rows = connection.execute(text("SELECT key_id, revoked_at FROM keys WHERE revoked_at IS NOT NULL"))
    return {row[0]: row[1] for row in rows}


def _emptied(connection: Connection, *, replaces: bool) -> dict[str, int]:
    """Empty a database of linli's tables; return the highest numbers that it had given."""
    here = MetaData()
    here.reflect(connection)
    if not here.tables:
        return {}
    if revision_of(connection) is None:
        raise StoreStateError("the database holds tables that are not linli's: give it an empty one")
    holds = sum(
        connection.execute(select(func.count()).select_from(table)).scalar_one()
        for name, table in here.tables.items()
        if name not in {"marks", "alembic_version"}
    )
    if holds and not replaces:
        told = f"the database is not empty ({holds} rows): --force replaces everything in it"
        raise StoreStateError(told)
    serials = _serials(connection)
    here.drop_all(connection)
    return serials


def _fill(connection: Connection, path: Path, manifest: Manifest, progress: Progress) -> None:
    here = MetaData()
    here.reflect(connection)
    for table in here.sorted_tables:
        if table.name not in manifest.rows or table.name == _NOT_KEPT:
            continue
        target, n_done = _typed(table), 0
        for batch in read_batches(path, table.name):
            connection.execute(insert(target), batch.to_pylist())
            n_done += batch.num_rows
            progress(table.name, n_done / max(1, manifest.rows[table.name]))
        if n_done != manifest.rows[table.name]:
            raise BadFileError(path, None, f"holds {n_done} rows of {table.name}, not {manifest.rows[table.name]}")


def _typed(table: Table) -> Table:
    """Return the table as linli declares it where it does: SQLite alone cannot tell a boolean from a number."""
    ours = METADATA.tables.get(table.name)
    return ours if ours is not None and set(ours.columns.keys()) == set(table.columns.keys()) else table


def _set_marks(connection: Connection, manifest: Manifest, serials: dict[str, int]) -> None:
    """Give the feed another name, and let all numbers run on from the highest that was ever given."""
    highest = {name: max(manifest.serials.get(name, 0), serials.get(name, 0)) for name in _SERIAL_TABLES}
    is_postgres = connection.dialect.name == "postgresql"
    for name, number in highest.items():
        if is_postgres:
            connection.execute(
                text("SELECT setval(:name, :number)"), {"name": f"{name}_id_seq", "number": max(1, number)}
            )
        else:
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": name})
            row = {"name": name, "number": number}
            connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :number)"), row)
    tx = connection.execute(_TOP_TX).scalar_one() if is_postgres else 0
    for mark, value in (("feed_id", secrets.token_hex(8)), ("kept_from", str(Position(tx, highest["changes"])))):
        connection.execute(update(marks).where(marks.c.name == mark).values(value=value))
