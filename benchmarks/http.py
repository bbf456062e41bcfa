"""
One match over HTTP against a bare route with a constant answer of that size, and a batch against the engine alone.

Server and client are processes of their own, each on one core, so that a client never waits for its own server's core.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import http.client
import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa

import engine
from benchmarks.frame import Exactness, Report, Row, say
from benchmarks.http_city import register_city
from benchmarks.http_processes import loaded, serving
from benchmarks.http_server import VARIANTS
from engine import promises_many
from service.clock import SystemClock
from service.feed.index import LiveIndex
from service.feed.outbox import head
from service.settings import load_settings
from service.store.opening import open_store

if TYPE_CHECKING:
    from engine import Engine
    from fixtures.city import City

__all__ = ["PACKAGES", "add_options", "run"]

PACKAGES = ("uvicorn", "uvloop", "httptools", "fastapi", "orjson", "numba", "pyarrow")
OFFER = "retail/pickup"
N_REQUESTS, N_CHECKED, N_BATCH = 2000, 300, 10_000
CONNECTIONS = (16, 64)
ASKED_CONNECTIONS = 64
"""Apps of a whole city; with fewer the answers are told beside."""
ARROW = "application/vnd.apache.arrow.stream"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be scaled."""
    parser.add_argument("--points", type=int, default=100_000, help="points (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="turns, the best counts (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the city (default: %(default)s)")


@dataclass(frozen=True)
class _Asked:
    lat: Any
    lng: Any
    at: dt.datetime
    key: str

    def path(self, i: int) -> str:
        at = quote(self.at.isoformat())
        return f"/v1/match?lat={self.lat[i]!r}&lng={self.lng[i]!r}&offer={OFFER}&at={at}"

    def request(self, i: int) -> bytes:
        return f"GET {self.path(i)} HTTP/1.1\r\nHost: linli\r\nAuthorization: Bearer {self.key}".encode()


def run(options: argparse.Namespace) -> Report:
    """Register a city, serve it three ways, and take turns in asking."""
    say(f"http: {options.points} points")
    engine.warm_up()
    with tempfile.TemporaryDirectory() as folder:
        city, key = register_city(Path(folder), options.points, options.seed)
        alone = _engine_of(Path(folder))
        asked = _ask(city, key, options.seed)
        with serving("http_server", "linli", folder, "100", "all") as port:
            wrong, n_bytes = _wrong_answers(alone, asked, port)
            batch = _batch_row(alone, asked, port, options.repeats)
        with contextlib.ExitStack() as stack:
            ports = {
                name: stack.enter_context(serving("http_server", name, folder, str(n_bytes), "one"))
                for name in VARIANTS
            }
            rows = _single_rows(asked, ports, n_bytes, options)
    return Report("http", Exactness(N_CHECKED, wrong), [*rows, batch])


def _engine_of(folder: Path) -> Engine:
    index = LiveIndex()
    with open_store(load_settings({}, data=folder), SystemClock()) as store, store.reading() as connection:
        index.reload(connection, head(connection))
    index.view.engine.prepare()
    return index.view.engine


def _ask(city: City, key: str, seed: int) -> _Asked:
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, city.lat.size, max(N_REQUESTS, N_BATCH))
    noon = dt.datetime.now(dt.UTC).replace(hour=4, minute=0, second=0, microsecond=0) + dt.timedelta(days=1)
    lat = city.lat[chosen] + rng.normal(0.0, 0.002, chosen.size)
    lng = city.lng[chosen] + rng.normal(0.0, 0.002, chosen.size)
    return _Asked(lat.tolist(), lng.tolist(), noon, key)


def _wrong_answers(alone: Engine, asked: _Asked, port: int) -> tuple[int, int]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    wrong, sizes = 0, []
    for i in range(N_CHECKED):
        connection.request("GET", asked.path(i), headers={"Authorization": f"Bearer {asked.key}"})
        body = connection.getresponse().read()
        sizes.append(len(body))
        told = [(one["point_id"], one["distance_m"]) for one in json.loads(body)["matches"]]
        now = dt.datetime.now(dt.UTC)
        found = alone.nearest(asked.lat[i], asked.lng[i], OFFER, at=asked.at, asked_at=now)
        wrong += told != [(match.point_id, match.distance_m) for match in found.matches]
    connection.close()
    return wrong, int(statistics.median(sizes))


def _single_rows(asked: _Asked, ports: dict[str, int], n_bytes: int, options: argparse.Namespace) -> list[Row]:
    requests = b"\0".join(asked.request(i) for i in range(N_REQUESTS))
    rates = {(name, n): 0.0 for name in ports for n in CONNECTIONS}
    medians = {name: float("inf") for name in ports}
    for turn in range(options.repeats):
        for name, port in list(ports.items())[:: -1 if turn % 2 else 1]:
            for n in CONNECTIONS:
                rates[name, n] = max(rates[name, n], loaded(port, options.seconds, n, requests)[0])
            medians[name] = min(medians[name], loaded(port, options.seconds / 2, 1, requests)[1])
    rows = []
    settings = {
        "bare": "raw ASGI, uvicorn, uvloop, httptools",
        "gate": "linli, key, limits, deadline, metrics, the question read, constant answer",
        "unsearched": "linli, all of it but the engine's search: one row is promised and told to everyone",
    }
    for (name, asked_for), n in product((("bare", 0.3), ("gate", 0.7), ("unsearched", None)), CONNECTIONS):
        case = f"one match, answers of {n_bytes} bytes, {n} connections"
        own, peer = rates["linli", n], rates[name, n]
        reach = asked_for if n == ASKED_CONNECTIONS else None
        rows.append(Row(case, name, settings[name], "answers a second", own, peer, round(own / peer, 3), reach))
    case = "one match, one client, median"
    return rows + [
        Row.of_costs(case, name, settings[name], "us", medians["linli"], medians[name]) for name in ("bare", "gate")
    ]


def _batch_row(alone: Engine, asked: _Asked, port: int, repeats: int) -> Row:
    at = pa.array([asked.at] * N_BATCH, pa.timestamp("us", tz="UTC"))
    lat, lng = np.array(asked.lat[:N_BATCH]), np.array(asked.lng[:N_BATCH])
    offers = pa.array([OFFER] * N_BATCH).dictionary_encode()
    table = pa.table({"lat": pa.array(lat), "lng": pa.array(lng), "offer": offers, "at": at})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    body = sink.getvalue().to_pybytes()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Authorization": f"Bearer {asked.key}", "Content-Type": ARROW}

    def over_http() -> None:
        connection.request("POST", "/v1/match:batch", body, headers)
        answer = connection.getresponse()
        pa.ipc.open_stream(answer.read()).read_all()
        assert answer.status == 200

    instants = np.full(N_BATCH, np.datetime64(asked.at.replace(tzinfo=None), "us"))

    norm = engine.load_norms().offer(OFFER)

    def by_engine() -> None:
        now = np.full(N_BATCH, np.datetime64(dt.datetime.now(dt.UTC).replace(tzinfo=None), "us"))
        found = alone.nearest_many(lat, lng, OFFER, at=instants, asked_at=now)
        unserved = np.flatnonzero(found.row[:, 0] < 0)
        if unserved.size:
            alone.refusals_many(lat[unserved], lng[unserved], OFFER, at=instants[unserved], asked_at=now[unserved])
        facts, row = found.facts, found.row[:, 0]
        facts.point_ids(row)
        times = (instants.view(np.int64), now.view(np.int64))
        promises_many(norm, facts.lead_s(row), *times, facts.schedule(row), facts.schedules, facts.openings)

    best = {"http": float("inf"), "engine": float("inf")}
    for _ in range(4 * repeats):
        for name, work in (("http", over_http), ("engine", by_engine)):
            start = time.perf_counter()
            work()
            best[name] = min(best[name], time.perf_counter() - start)
    connection.close()
    case = f"a batch of {N_BATCH:,} places over Arrow"
    setting = "nearest_many, refusals of the unserved, ids, promises_many"
    return Row.of_costs(
        case, "linli's engine alone", setting, "ms", best["http"] * 1e3, best["engine"] * 1e3, reach=0.7
    )
