"""Open the store that the settings name."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from service.errors import StoreStateError
from service.files import make_private_folder
from service.store.moved import begin_feed_anew
from service.store.postgres import PostgresStore
from service.store.schema import check_schema
from service.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from service.clock import Clock
    from service.settings import Settings
    from service.store.database import Store

__all__ = ["make_folder", "open_store", "serving_alone"]


def open_store(settings: Settings, clock: Clock) -> Store:
    """
    Open the store, making its tables where it is empty, and a feed of its own where it came from another server.

    Raises
    ------
    StoreStateError
        If its schema is not this linli's, or the folder cannot be written.
    """
    make_folder(settings)
    check_schema(settings.database_url)
    if settings.store.database is None:
        return SqliteStore(settings.store.data / "linli.db", clock, waiting=settings.limits.write_queue)
    begin_feed_anew(settings.database_url)
    return PostgresStore(settings.database_url, clock, pool=settings.store.pool, waiting=settings.limits.write_queue)


def make_folder(settings: Settings) -> None:
    """Make the folder of the SQLite file, where there is one; raises `StoreStateError` where it cannot be."""
    if settings.store.database is None:
        with _told(settings.store.data):
            make_private_folder(settings.store.data)


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Say of a folder that cannot be made or written what is the matter."""
    try:
        yield
    except OSError as error:
        text = f"{folder} cannot be written: {error.strerror}"
        raise StoreStateError(text) from error


@contextlib.contextmanager
def serving_alone(folder: Path) -> Iterator[None]:
    """
    Hold the right to serve a SQLite file; the system takes it back when the process ends, however that comes about.

    Raises
    ------
    StoreStateError
        If another process serves it, or the folder cannot be written.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with _told(folder):
        make_private_folder(folder)
        file = (folder / "serving.lock").open("a+")
    with file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            text = (
                f"another linli serves {folder} (process {lock.read().strip() or 'unknown'}): stop it, give another --data, "
                "or use PostgreSQL for more than one"
            )
            raise StoreStateError(text) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
