"""Both stores keep the same promises: writes whole or not at all, each fault its own caller's, no wait without an end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import event, func, insert, select, text

from service.backups.store import back_up
from service.clock import SystemClock
from service.deadlines import Deadline
from service.errors import DeadlineExceededError, ServiceError, StorageUnavailableError, StoreStateError
from service.keys.store import create_key, has_admin, revoke_key
from service.settings import load_settings
from service.store.connections import ReadConnection, WriteConnection
from service.store.database import Store
from service.store.opening import open_store
from service.store.postgres import postgres_engine
from service.store.schema import check_schema, schema_told, used_once
from service.store.tables import changes, merchants
from tests.serving import Place, fresh_database

LONG_S = 20.0


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    """Give an open store that other tests of the module may have written to."""
    opened = open_store(load_settings({}, data=place.folder, database=place.database), SystemClock())
    yield opened
    opened.close()


def add(connection: WriteConnection, merchant_id: str) -> str:
    """Write a merchant and its change."""
    connection.lock(f"merchant {merchant_id}")
    same = {"name": "n", "status": "verified", "revision": 1, "created_at": 1, "updated_at": 1}
    connection.run(insert(merchants), {"merchant_id": merchant_id, **same})
    connection.record_change("merchant", merchant_id, 1, merchant_id)
    return merchant_id


def add_all(connection: WriteConnection, merchant_ids: list[str]) -> None:
    """Write many merchants with their changes."""
    for merchant_id in merchant_ids:
        add(connection, merchant_id)


def kept(connection: ReadConnection, prefix: str) -> set[str]:
    """Return the merchants of a prefix, each with its change."""
    found = {
        row[0]
        for row in connection.rows(select(merchants.c.merchant_id).where(merchants.c.merchant_id.startswith(prefix)))
    }
    told = {row[0] for row in connection.rows(select(changes.c.subject).where(changes.c.subject.startswith(prefix)))}
    assert found == told
    return found


def test_write__one_that_fails_takes_none_of_its_neighbours_down(store: Store) -> None:
    release = threading.Event()
    first = store.submit_write(lambda _c: release.wait(LONG_S), Deadline.after(LONG_S))

    def failing(kind: int, connection: WriteConnection) -> None:
        add(connection, f"bad{kind}")
        match kind:
            case 0:
                raise RuntimeError("its own fault")
            case 1:
                connection.run(text("SELECT nothing FROM nowhere"))
            case 2:
                add(connection, f"bad{kind}")  # the same again
            case _:
                connection.run(insert(merchants), {"merchant_id": object()})

    good = [store.submit_write(partial(add, merchant_id=f"good{i}"), Deadline.after(LONG_S)) for i in range(4)]
    bad = [store.submit_write(partial(failing, i), Deadline.after(LONG_S)) for i in range(4)]
    release.set()
    everything: list[Future[Any]] = [first, *good, *bad]
    wait(everything, LONG_S)
    assert [future.result(0) for future in good] == ["good0", "good1", "good2", "good3"]
    assert all(future.exception(0) is not None for future in bad)
    assert store.read_now(lambda c: kept(c, "good")) == {"good0", "good1", "good2", "good3"}
    assert store.read_now(lambda c: kept(c, "bad")) == set()


def test_write__given_up_by_its_caller_ends_no_other(store: Store) -> None:
    release = threading.Event()
    blocking = [store.submit_write(lambda _c: release.wait(LONG_S), Deadline.after(LONG_S)) for _ in range(8)]

    async def give_up() -> None:
        await store.write(lambda c: add(c, "late"), Deadline.after(0.05))

    with pytest.raises(DeadlineExceededError):
        asyncio.run(give_up())
    release.set()
    wait(blocking, LONG_S)
    assert store.write_now(lambda c: add(c, "after"), LONG_S) == "after"
    assert store.read_now(lambda c: kept(c, "late")) == set()


def test_write__that_its_caller_waits_for_goes_beside_queued_ones(store: Store) -> None:
    n_each, n_threads = 25, 6

    def write(number: int) -> None:
        for i in range(n_each):
            name = f"beside{number}-{i}"
            if number % 2:
                assert store.write_now(partial(add, merchant_id=name), LONG_S) == name
            else:
                assert store.submit_write(partial(add, merchant_id=name), Deadline.after(LONG_S)).result() == name

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(write, range(n_threads)))
    names = {f"beside{number}-{i}" for number in range(n_threads) for i in range(n_each)}
    assert store.read_now(lambda c: kept(c, "beside")) == names


def test_write__does_not_wait_for_reads_however_many_there_are(store: Store) -> None:
    may_end = threading.Event()
    reads = [store.submit_read(lambda _: may_end.wait(LONG_S), Deadline.after(LONG_S)) for _ in range(40)]
    try:
        name = uuid.uuid4().hex
        assert store.submit_write(lambda connection: add(connection, name), Deadline.after(LONG_S)).result(5.0) == name
    finally:
        may_end.set()
    assert all(read.result(LONG_S) for read in reads)


def test_write__that_fails_in_its_callers_thread_leaves_nothing(store: Store) -> None:
    for error in (RuntimeError, KeyboardInterrupt):

        def failing(connection: WriteConnection, error: type[BaseException] = error) -> None:
            add(connection, "own-bad")
            raise error

        with pytest.raises(error):
            store.write_now(failing, LONG_S)
        assert store.write_now(lambda c: add(c, f"own-{uuid.uuid4().hex}"), LONG_S).startswith("own-")
    assert "own-bad" not in store.read_now(lambda c: kept(c, "own-"))


def test_store__closed_refuses_and_leaves_nobody_waiting(place: Place) -> None:
    store = open_store(load_settings({}, data=place.folder, database=place.database), SystemClock())
    release = threading.Event()
    running = store.submit_write(lambda _c: release.wait(LONG_S), Deadline.after(LONG_S))
    queued = [store.submit_write(partial(add, merchant_id=f"queued{i}"), Deadline.after(LONG_S)) for i in range(20)]
    closing = threading.Thread(target=store.close)
    closing.start()
    release.set()
    closing.join(LONG_S)
    assert not closing.is_alive()
    everything: list[Future[Any]] = [running, *queued]
    assert all(future.done() for future in everything)
    with pytest.raises(StorageUnavailableError, match="closed"):
        store.submit_write(lambda c: add(c, "more"), Deadline.after(1))
    with pytest.raises(StorageUnavailableError, match="closed"):
        store.write_now(lambda c: add(c, "more"), 1)
    with pytest.raises(StorageUnavailableError, match="closed"):
        store.submit_read(lambda c: kept(c, "more"), Deadline.after(1))


def test_read__ends_at_its_deadline(store: Store) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(DeadlineExceededError):
        store.read_now(lambda c: c.value(text(endless)), 0.3)


def test_reading__more_followers_than_connections_are_told_and_requests_go_on(store: Store) -> None:
    from contextlib import ExitStack

    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(store.reading())
        with pytest.raises(StorageUnavailableError), store.reading():
            pass
        assert store.read_now(lambda c: c.value(select(func.count()).select_from(merchants)), 5.0) >= 0


def test_sqlite__log_is_bounded_and_moved_into_the_file(tmp_path: Path) -> None:
    store = open_store(load_settings({}, data=tmp_path), SystemClock())
    try:
        for i in range(60):
            store.write_now(partial(add_all, merchant_ids=[f"m{i}-{j}-{'x' * 400}" for j in range(100)]))
        sizes = {name: (tmp_path / name).stat().st_size for name in ("linli.db", "linli.db-wal")}
    finally:
        store.close()
    assert sizes["linli.db"] > 4_000_000
    assert sizes["linli.db-wal"] < 12_000_000


@pytest.mark.parametrize("name", ["a?mode=memory", "b%20c", "d#e", "f g", "file:h", "@:i/"])
def test_sqlite_store__lies_in_the_folder_that_was_named_whatever_its_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    settings = load_settings({"LINLI_DATA": str(folder)})
    open_store(settings, SystemClock()).close()
    assert [file.name for file in folder.iterdir()] == ["linli.db"]
    assert [file.name for file in tmp_path.iterdir()] == [folder.name]
    assert schema_told(settings.database_url)
    assert back_up(settings.database_url, tmp_path / "backup.zip", lambda _name, _share: None).rows["marks"] == 4


@pytest.fixture
def open_to_all() -> Iterator[None]:
    """Let new files be as everybody may read and write them."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_to_all")
def test_sqlite_store__makes_folder_and_file_for_its_user_alone(tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"
    with contextlib.closing(open_store(load_settings({}, data=data), SystemClock())) as opened:
        opened.write_now(lambda connection: add(connection, "private"))
        modes = {path.name: path.stat().st_mode & 0o777 for path in (data, *data.iterdir())}
    assert modes == {"data": 0o700, "linli.db": 0o600, "linli.db-wal": 0o600, "linli.db-shm": 0o600}


@pytest.mark.usefixtures("open_to_all")
def test_sqlite_store__leaves_what_is_there_as_its_owner_set_it(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "city.db"
    data.mkdir(mode=0o755)
    (data / "linli.db").symlink_to(elsewhere)
    settings = load_settings({}, data=data)
    open_store(settings, SystemClock()).close()
    assert (data.stat().st_mode & 0o777, elsewhere.stat().st_mode & 0o777) == (0o755, 0o600)
    elsewhere.chmod(0o640)
    open_store(settings, SystemClock()).close()
    assert elsewhere.stat().st_mode & 0o777 == 0o640


def test_postgres_store__heeds_what_the_address_says_and_counts_in_utc(postgres_url: str, tmp_path: Path) -> None:
    more = (
        "&options=-csearch_path%3Down%20-ctimezone%3DAsia/Tokyo&connect_timeout=7&keepalives_idle=9&application_name=x"
    )
    url = fresh_database(postgres_url) + more
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA own")
    settings = load_settings({}, data=tmp_path, database=url)
    with contextlib.closing(open_store(settings, SystemClock())) as store:
        said = "SELECT current_setting('search_path'), current_setting('timezone'), current_setting('application_name')"
        assert store.read_now(lambda c: tuple(c.rows(text(said))[0])) == ("own", "UTC", "linli")
        assert store.read_now(lambda c: c.value(text("SELECT to_regclass('own.merchants')"))) == "merchants"
    engine, given = postgres_engine(settings.database_url, size=1), {}
    event.listen(engine, "do_connect", lambda _dialect, _record, _args, found: given.update(found))
    with used_once(engine), engine.connect():
        assert (given["connect_timeout"], given["keepalives_idle"], given["keepalives_count"]) == ("7", "9", 3)


def test_postgres_store__sees_under_a_lock_what_went_before_whatever_the_database_s_isolation(
    postgres_url: str, tmp_path: Path
) -> None:
    url = fresh_database(postgres_url)
    with psycopg.connect(url, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET default_transaction_isolation = 'repeatable read'").format(name)
        )

    def later(connection: WriteConnection) -> set[str]:
        connection.lock("both")
        return kept(connection, "first")

    def earlier(connection: WriteConnection) -> Future[set[str]]:
        connection.lock("both")
        add(connection, "first")
        found = opened.submit_write(later, Deadline.after(LONG_S))
        time.sleep(0.3)  # until it waits
        return found

    with contextlib.closing(open_store(load_settings({}, data=tmp_path, database=url), SystemClock())) as opened:
        assert opened.write_now(earlier).result(LONG_S) == {"first"}


def test_postgres_store__lets_nobody_who_is_gone_keep_a_write_open_however_long_it_may_take(
    postgres_url: str, tmp_path: Path
) -> None:
    settings = load_settings({}, data=tmp_path, database=fresh_database(postgres_url))
    told = text(
        "SELECT CAST(extract(epoch FROM CAST(current_setting('idle_in_transaction_session_timeout') AS interval)) AS float),"
        " CAST(extract(epoch FROM CAST(current_setting('statement_timeout') AS interval)) AS float)"
    )
    with contextlib.closing(open_store(settings, SystemClock())) as opened:
        (idle_s, statement_s), (short_s, _) = (
            opened.write_now(lambda c: tuple(c.rows(told)[0]), seconds) for seconds in (600.0, 3.0)
        )
    assert idle_s == 10.0
    assert short_s <= 3.0
    assert statement_s > 500.0  # who is there still has all of its time


def test_has_admin__tells_of_keys_that_live(store: Store) -> None:
    assert not store.read_now(lambda connection: has_admin(connection, now_us=0))
    made = store.write_now(lambda connection: create_key(connection, scope="admin", label="a", expires_us=10)).row
    store.write_now(lambda connection: create_key(connection, scope="app", label="b"))
    assert store.read_now(lambda connection: has_admin(connection, now_us=9))
    assert not store.read_now(lambda connection: has_admin(connection, now_us=10))
    store.write_now(lambda connection: revoke_key(connection, made.key_id))
    assert not store.read_now(lambda connection: has_admin(connection, now_us=9))


def broken_file(folder: Path) -> dict[str, object]:
    (folder / "linli.db").write_bytes(b"no database at all" * 1000)
    return {"data": folder}


def strange_tables(folder: Path) -> dict[str, object]:
    with sqlite3.connect(folder / "linli.db") as connection:
        connection.execute("CREATE TABLE others (x)")
    connection.close()
    return {"data": folder}


def later_schema(folder: Path) -> dict[str, object]:
    check_schema(f"sqlite:///{folder}/linli.db")
    with sqlite3.connect(folder / "linli.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    return {"data": folder}


def nobody_there(folder: Path) -> dict[str, object]:
    return {"data": folder, "database": f"postgresql://user:hidden-word@/x?host={folder}"}


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (broken_file, "not a database"),
        (strange_tables, "not linli's"),
        (later_schema, "needs a later linli"),
        (nobody_there, "cannot be used"),
    ],
)
def test_open__refuses_what_it_cannot_serve_in_one_line_without_secrets(tmp_path: Path, made, told: str) -> None:
    settings = load_settings({}, **made(tmp_path))
    with pytest.raises(StoreStateError, match=told) as caught:
        open_store(settings, SystemClock())
    assert isinstance(caught.value, ServiceError)
    assert "hidden-word" not in str(caught.value)
