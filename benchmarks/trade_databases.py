"""The two databases of the benchmarks of orders and bookings: places that are copied, opened and compared."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from benchmarks.trade_bare import Statement, said_postgres, said_sqlite
from service.clock import SystemClock
from service.settings import load_settings
from service.store.opening import open_store
from tests.serving import fresh_database

if TYPE_CHECKING:
    from service.store.database import Store

__all__ = ["Database", "Postgres", "Sqlite"]


class Database(Protocol):
    """Where places are: each is a text that says where."""

    name: str

    def new(self, like: str | None = None) -> str:
        """Return an empty place, or a copy of one that nobody has open."""
        ...

    def url(self, place: str) -> str:
        """Return the address of its database."""
        ...

    def opened(self, place: str) -> Store:
        """Return a store on it."""
        ...

    def said(self, place: str, transactions: Sequence[Sequence[Statement]], group: int) -> float:
        """Say transactions again, so many between two commits; return the seconds that it took."""
        ...

    def words(self, place: str) -> dict[str, str]:
        """Return where a server finds it."""
        ...


class Sqlite:
    """Data folders in a folder."""

    name = "SQLite"

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, itertools.count()

    def new(self, like: str | None = None) -> str:
        """Return an empty place, or a copy of one that nobody has open."""
        place = self._folder / f"place-{next(self._numbers)}"
        if like is not None:
            shutil.copytree(like, place)
        return str(place)

    def url(self, place: str) -> str:
        """Return the address of its database."""
        return f"sqlite:///{place}/linli.db"

    def opened(self, place: str) -> Store:
        """Return a store on it."""
        return open_store(load_settings({}, data=Path(place)), SystemClock())

    def said(self, place: str, transactions: Sequence[Sequence[Statement]], group: int) -> float:
        """Say transactions again, so many between two commits; return the seconds that it took."""
        return said_sqlite(Path(place) / "linli.db", transactions, group)

    def words(self, place: str) -> dict[str, str]:
        """Return where a server finds it."""
        return {"data": place}


class Postgres:
    """Databases of a server; ``folder`` is for what a service keeps beside one."""

    name = "PostgreSQL"

    def __init__(self, server: str, folder: Path) -> None:
        self._server, self._folder = server, folder

    def new(self, like: str | None = None) -> str:
        """Return an empty place, or a copy of one that nobody has open."""
        return fresh_database(self._server, like=like)

    def url(self, place: str) -> str:
        """Return the address of its database."""
        return place

    def opened(self, place: str) -> Store:
        """Return a store on it."""
        return open_store(load_settings({"LINLI_DATABASE": place}), SystemClock())

    def said(self, place: str, transactions: Sequence[Sequence[Statement]], group: int) -> float:
        """Say transactions again, so many between two commits; return the seconds that it took."""
        return said_postgres(place, transactions, group)

    def words(self, place: str) -> dict[str, str]:
        """Return where a server finds it."""
        return {"data": str(self._folder / "data"), "database": place}
