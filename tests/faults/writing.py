"""
A process that writes merchants through the store and says line by line what was acknowledged.

``python -m tests.faults.writing PLACE --n 20``: ``ok NAME`` once a write is acknowledged, ``no NAME WHY`` if it is not.
Without HTTP and without the compiler: it is there to be killed, and to have its disk fail. With ``--killed`` it is a script
as `tests.faults.killing` has it, PLACE its first folder.
"""

from __future__ import annotations

import argparse
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sqlalchemy import func, insert, select

from service.clock import SystemClock
from service.errors import ServiceError
from service.settings import load_settings
from service.store.connections import ReadConnection, WriteConnection
from service.store.database import Store
from service.store.opening import open_store
from service.store.tables import audit, changes, merchants
from tests.faults.killing import Say, run_killed

__all__ = ["PREFIX", "facts", "fill", "filled_with", "opened", "write", "write_all"]

PREFIX = "w"
N_FILLED = 30
_PATIENCE_S = 60.0  # what is tried is not how fast the machine is


def opened(place: str) -> Store:
    """Open the store in a folder, or of a PostgreSQL address."""
    named = {"database": place} if place.startswith("postgres") else {"data": Path(place)}
    return open_store(load_settings({}, **named), SystemClock())


def write(connection: WriteConnection, merchant_id: str, size: int = 1) -> str:
    """Write a merchant, its change and its audit record: three rows that stand or fall together."""
    connection.lock(f"merchant {merchant_id}")
    now = {"revision": 1, "created_at": connection.now_us, "updated_at": connection.now_us}
    connection.run(insert(merchants), {"merchant_id": merchant_id, "name": "n" * size, "status": "verified", **now})
    connection.record_change("merchant", merchant_id, 1, merchant_id)
    by = {"key_id": "k", "scope": "admin", "action": "create", "request_id": "r", "detail": None}
    connection.record_audit({"merchant_id": merchant_id, "subject": merchant_id, **by})
    return merchant_id


def write_all(connection: WriteConnection, merchant_ids: list[str], size: int = 1) -> None:
    """Write many merchants in one transaction."""
    for merchant_id in merchant_ids:
        write(connection, merchant_id, size)


def facts(connection: ReadConnection) -> tuple[set[str], set[str], set[str]]:
    """Return the merchants written, those with a change, and those with an audit record."""
    columns = (merchants.c.merchant_id, changes.c.subject, audit.c.subject)
    merchant_ids, changed, audited = (
        {row[0] for row in connection.rows(select(column).where(column.startswith(PREFIX)))} for column in columns
    )
    return merchant_ids, changed, audited


def fill(place: str, name: str) -> None:
    """Write the merchants of a name, so many and so long that a restore of them takes a while."""
    with opened(place) as store:
        store.write_now(partial(write_all, merchant_ids=[f"{PREFIX}{name}{i}" for i in range(N_FILLED)], size=2_000))


def filled_with(place: str, told: str) -> str:
    """Return the name, of three letters, of which all merchants of a store are; fails with a word where they are not."""
    with opened(place) as store:
        found, _changed, audited = store.read_now(facts)
    assert found == audited, told
    assert len(found) == N_FILLED, told
    names = {merchant_id[len(PREFIX) :][:3] for merchant_id in found}
    assert len(names) == 1, told
    return names.pop()


def _say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


class _Writer:
    def __init__(self, store: Store, options: argparse.Namespace, say: Say = _say) -> None:
        self.store = store
        self.options = options
        self.say = say

    def run(self, thread: int) -> None:
        for i in range(self.options.n):
            name = f"{PREFIX}{self.options.run}-{thread}-{i}"
            if self.options.fault == "tells-first":  # planted: it acknowledges what is not yet stored
                self.say(f"ok {name}")
            try:
                self._write(name)
            except ServiceError as error:
                self.say(f"no {name} {type(error).__name__}")
            else:
                self.say(f"ok {name}")

    def _write(self, name: str) -> None:
        try:
            self.store.write_now(lambda connection: write(connection, name, self.options.size), _PATIENCE_S)
        except ServiceError:
            if self.options.fault != "retries":
                raise
            self.store.__dict__["_broken"] = None  # planted: it tries again as if nothing had been
            self.store.write_now(lambda connection: write(connection, name, self.options.size), _PATIENCE_S)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("place")
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--run", default="0")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size", type=int, default=1)
    parser.add_argument("--fault", choices=["none", "tells-first", "retries", "unsynced"], default="none")
    parser.add_argument("--killed", action="store_true")
    options = parser.parse_args()
    if options.killed:
        run_killed(options.place, partial(_script, options), _warm_up)
        return
    store = opened(options.place)
    if options.fault == "unsynced":
        _sync_no_more(store)
    writer = _Writer(store, options)
    _say("ready")
    threads = [threading.Thread(target=writer.run, args=(i,)) for i in range(options.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    n = store.read_now(lambda connection: connection.value(select(func.count()).select_from(merchants)))
    _say(f"read {n}")
    os._exit(0)  # the end of the process is not what is tried


def _sync_no_more(store: Store) -> None:
    """Planted: what is written to SQLite's log is left to the system's memory."""
    with store.__dict__["_write_engine"].connect() as connection:  # its one connection
        connection.connection.execute("PRAGMA synchronous=NORMAL")


def _script(options: argparse.Namespace, folder: Path, fault: str) -> Callable[[Say], None]:
    store, asked = opened(str(folder)), argparse.Namespace(**vars(options) | {"fault": fault})
    return lambda say: _Writer(store, asked, say).run(0)


def _warm_up(folder: Path) -> None:
    fill(str(folder), "old")


if __name__ == "__main__":
    main()
