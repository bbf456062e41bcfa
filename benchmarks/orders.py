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
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import engine
from benchmarks.frame import Exactness, Report, Row, say
from benchmarks.http_processes import loaded, serving
from benchmarks.orders_bare import copied, dumped, record, said_postgres, said_sqlite
from benchmarks.orders_shops import N_SHOPS, fill, make, request, terms, wish
from service.clock import SystemClock
from service.settings import load_settings
from service.store.opening import open_store
from tests.servers import running_postgres
from tests.serving import fresh_database

if TYPE_CHECKING:
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
        with running_postgres() as server:
            _of_postgres(server.url, options, report)
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
    first = fresh_database(server)
    with open_store(load_settings({"LINLI_DATABASE": first}), SystemClock()) as store:
        key = fill(store)
    kept = fresh_database(server, like=first)
    statements = record(first, options.orders, dt.datetime.now(dt.UTC))
    bare = {1: float("inf"), GROUP: float("inf")}
    own = float("inf")
    for turn in range(options.repeats):
        for group in bare:
            again = fresh_database(server, like=kept)
            bare[group] = min(bare[group], said_postgres(again, statements, group))
            if turn == 0:
                _compare(report, first, again)
        with open_store(load_settings({"LINLI_DATABASE": fresh_database(server, like=kept)}), SystemClock()) as store:
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
        ports = {
            name: stack.enter_context(
                serving("orders_server", name, *(f"{word}={value}" for word, value in place.items()))
            )
            for name in ("constant", "linli")
        }
        for turn in range(options.repeats):
            for name, port in list(ports.items())[:: -1 if turn % 2 else 1]:
                n = int(options.seconds * _MOST_A_SECOND)
                sent = b"\0".join(request(number, key) for number in range(n))
                rate, _median_us, high_us = loaded(port, options.seconds, CONNECTIONS, sent, "once")
                best[name] = (max(best[name][0], rate), min(best[name][1], high_us / 1e3))
    return best


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
