"""The benchmark of what is traded durably, in process and over HTTP, whatever it is: `benchmarks.trade` says what."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import engine
from benchmarks.frame import Exactness, Report, Row, say
from benchmarks.http_processes import loaded, serving
from benchmarks.trade_bare import dumped, read_at, record
from benchmarks.trade_databases import Postgres, Sqlite
from service.feed.followers import Follower
from tests.servers import running_postgres

if TYPE_CHECKING:
    from benchmarks.trade import Desk, Trade
    from benchmarks.trade_databases import Database
    from service.store.database import Store

__all__ = ["PACKAGES", "add_trade_options", "run_trade"]

PACKAGES = ("sqlalchemy", "psycopg", "fastapi", "uvicorn", "uvloop", "pydantic")
CONNECTIONS, GROUP = 64, 32
_MOST_A_SECOND = 4_000


@dataclass
class _Costs:
    """Seconds in process, of the bare loop by how many there are between two commits; rates and milliseconds over HTTP."""

    own: float = float("inf")
    bare: dict[int, float] = field(default_factory=lambda: {1: float("inf"), GROUP: float("inf")})
    over_http: dict[str, tuple[float, float]] = field(
        default_factory=lambda: {"linli": (0.0, float("inf")), "constant": (0.0, float("inf"))}
    )


def add_trade_options(parser: argparse.ArgumentParser, trade: Trade) -> None:
    """Declare what can be scaled."""
    parser.add_argument(f"--{trade.name}", type=int, default=2_000, dest="n", help="in process (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load over HTTP (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="turns, the best counts (default: %(default)s)")
    parser.add_argument("--database", choices=("both", "sqlite", "postgres"), default="both", help="which one")


def run_trade(trade: Trade, options: argparse.Namespace) -> Report:
    """Trade at both databases, in process and over HTTP."""
    engine.warm_up()
    report = Report(trade.name, Exactness(0, 0))
    with tempfile.TemporaryDirectory() as folder:
        if options.database != "postgres":
            _of_database(Sqlite(Path(folder)), trade, options, report)
        if options.database != "sqlite":
            with running_postgres() as server:
                _of_database(Postgres(server.url, Path(folder)), trade, options, report)
    return report


def _of_database(database: Database, trade: Trade, options: argparse.Namespace, report: Report) -> None:
    say(f"{trade.name}: {database.name}")
    first = database.new()
    with database.opened(first) as store:
        key = store.write_now(trade.fill, 60.0)
    kept = database.new(like=first)
    statements = record(trade, database.url(first), options.n, dt.datetime.now(dt.UTC))
    costs = _Costs()
    for turn in range(options.repeats):
        for group in costs.bare:
            again = database.new(like=kept)
            costs.bare[group] = min(costs.bare[group], database.said(again, statements, group))
            if turn == 0:
                _add(report, _compared(trade, database.url(first), database.url(again)))
        own = database.new(like=kept)
        with database.opened(own) as store:
            costs.own = min(costs.own, _one_writer(store, trade, options.n))
        made = trade.n_first + options.n
        _check(report, trade, database.url(own), range(made, made + 1))
    n_answered = _over_http(database.words(kept), trade, key, options, costs.over_http)
    _check(report, trade, database.url(kept), range(n_answered, n_answered + options.repeats * CONNECTIONS + 1))
    _rows(report, trade, database.name, options.n, costs)


def _compared(trade: Trade, url: str, other: str) -> Exactness:
    """Tell whether the bare loop left the same rows."""
    expected, found = dumped(url, trade.tables), dumped(other, trade.tables)
    rows = sum(len(part) for part in expected.values())
    return Exactness(rows, sum(expected[table] != found[table] for table in expected))


def _check(report: Report, trade: Trade, url: str, n_made: range) -> None:
    """Let the trade check its rows; ``n_made`` holds how many there may be: what nobody waited for may be made, too."""
    check = trade.check
    if check is not None:
        _add(report, read_at(url, lambda connection: check(connection, n_made)))


def _add(report: Report, found: Exactness) -> None:
    report.exact = Exactness(report.exact.checked + found.checked, report.exact.wrong + found.wrong)


def _one_writer(store: Store, trade: Trade, n: int) -> float:
    desk = trade.desk()
    with _followed(store, desk):
        for number in range(trade.n_first):
            _make(store, desk, number)
        start = time.perf_counter()
        for number in range(n):
            _make(store, desk, number)
        return time.perf_counter() - start


def _make(store: Store, desk: Desk, number: int) -> None:
    store.write_now(partial(desk.make, found=desk.find(store.read_now, number)))


@contextlib.contextmanager
def _followed(store: Store, desk: Desk) -> Iterator[None]:
    """Let a follower tell the desk of what was committed, in a thread of its own as in a service."""
    if not desk.handlers:
        yield
        return
    with contextlib.closing(Follower(store, desk.handlers)) as follower:
        follower.start()
        yield


def _over_http(
    place: dict[str, str], trade: Trade, key: str, options: argparse.Namespace, best: dict[str, tuple[float, float]]
) -> int:
    """Note how many a second and the 99th percentile in milliseconds; return how many linli's clients were answered."""
    words = place | {"path": trade.path, "routes": trade.routes, "skipped": ",".join(trade.skipped)}
    told = [f"{word}={value}" for word, value in words.items()]
    n_answered = 0
    with contextlib.ExitStack() as stack:
        ports = {name: stack.enter_context(serving("trade_server", name, *told)) for name in ("constant", "linli")}
        for turn in range(options.repeats):
            for name, port in list(ports.items())[:: -1 if turn % 2 else 1]:
                n = int(options.seconds * _MOST_A_SECOND)
                sent = b"\0".join(trade.request(number, key) for number in range(n))
                rate, _median_us, high_us = loaded(port, options.seconds, CONNECTIONS, sent, "once")
                best[name] = (max(best[name][0], rate), min(best[name][1], high_us / 1e3))
                n_answered += round(rate * options.seconds) if name == "linli" else 0
    return n_answered


def _rows(report: Report, trade: Trade, database: str, n: int, costs: _Costs) -> None:
    unit = f"{trade.name} a second"
    alone = "the statements said again by the driver alone"
    case = f"{database}, in process, one after the other"
    report.rows.append(_row(case, alone, "a commit each", unit, n / costs.own, n / costs.bare[1], 0.5))
    case = f"{database}, HTTP, {CONNECTIONS} clients"
    (rate, high), (constant, constant_high) = costs.over_http["linli"], costs.over_http["constant"]
    limits = {"bare": n / costs.bare[GROUP], "constant": constant}
    lower = min(limits, key=lambda name: limits[name])
    settings = {"bare": f"{alone}, a commit for {GROUP}", "constant": "a POST with the same checks, constant answer"}
    for name, limit in limits.items():
        report.rows.append(_row(case, name, settings[name], unit, rate, limit, 0.5 if name == lower else None))
    case = f"{case}, 99th percentile"
    report.rows.append(Row.of_costs(case, "constant", settings["constant"], "ms", high, constant_high))


def _row(case: str, peer: str, setting: str, unit: str, own: float, limit: float, reach: float | None) -> Row:
    return Row(case, peer, setting, unit, round(own, 1), round(limit, 1), round(own / limit, 3), reach)
