"""`linli match` reads and writes in batches: millions of orders fit into 3 GiB of addresses, with the compiler in them."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from tests.scale import scaled

ROOT = Path(__file__).resolve().parents[2]
LIMIT_BYTES = 3 * 2**30
N_ORDERS = scaled(5_000_000)
N_POINTS = 20_000
CHUNK = 100_000
OFFERS = ("retail/pickup", "food_service/delivery", "laundry/onsite", "community/parcel")
MIDNIGHT = np.datetime64("2026-03-02T00:00:00")


def _places(rng: np.random.Generator, n: int) -> dict[str, Any]:
    return {"lat": rng.normal(31.2, 0.1, n).round(6), "lng": rng.normal(121.5, 0.1, n).round(6)}


def _points(path: Path) -> None:
    rng = np.random.default_rng(5)
    columns = {
        "point_id": pa.array([f"p{i}" for i in range(N_POINTS)]),
        "offer": pa.array(rng.choice(OFFERS, N_POINTS)),
        **_places(rng, N_POINTS),
        "hours": pa.array(rng.choice(["24/7", "Mo-Su 09:00-21:00", "Mo-Fr 08:00-18:00; PH off"], N_POINTS)),
        "timezone": pa.array(["Asia/Shanghai"] * N_POINTS),
        "country": pa.array(["CN"] * N_POINTS),
        "radius_m": pa.nulls(N_POINTS, pa.float64()),  # everywhere
        "capacity": rng.integers(0, 24 * N_ORDERS // N_POINTS, N_POINTS),  # six times what is asked for, unevenly
    }
    pq.write_table(pa.table(columns), path)


def _orders(rng: np.random.Generator, start: int) -> pa.RecordBatch:
    at = MIDNIGHT + rng.integers(0, 86_400, CHUNK).astype("timedelta64[s]")
    columns = {
        "order_id": pa.array([f"order-{i:08d}" for i in range(start, start + CHUNK)]),
        **_places(rng, CHUNK),
        "offer": pa.array(rng.choice(OFFERS, CHUNK)),
        "at": pa.array(at, pa.timestamp("s", "UTC")),
        "asked_at": pa.array(at - np.timedelta64(1, "h"), pa.timestamp("s", "UTC")),
        "quantity": rng.integers(1, 4, CHUNK),
    }
    return pa.RecordBatch.from_pydict(columns)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("orders")
    _points(folder / "points.parquet")
    rng = np.random.default_rng(6)
    schema = _orders(rng, 0).schema
    with (
        pacsv.CSVWriter(folder / "orders.csv", schema) as as_csv,
        pq.ParquetWriter(folder / "orders.parquet", schema) as as_parquet,
    ):
        for start in range(0, N_ORDERS, CHUNK):
            batch = _orders(rng, start)
            as_csv.write(batch)
            as_parquet.write_batch(batch)
    return folder


def _limited(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = shlex.join([sys.executable, "-c", "from service.cli import main; main()", *map(str, arguments)])
    limited = ["sh", "-c", f"ulimit -v {LIMIT_BYTES // 1024} && exec {command}"]
    return subprocess.run(limited, cwd=ROOT, capture_output=True, text=True, timeout=3_600, check=False)


@pytest.mark.parametrize(("suffix", "consume"), [("csv", False), ("parquet", False), ("parquet", True)])
def test_match__fits_into_3_gib_of_addresses(files: Path, tmp_path: Path, suffix: str, consume: bool) -> None:
    out = tmp_path / f"answers.{suffix}"
    # Without a limit, whoever nobody can serve any more asks every point in turn.
    options = ["--consume", "--max-distance-m", "3000"] if consume else []
    run = _limited(
        *("match", "--points", files / "points.parquet", "--orders", files / f"orders.{suffix}"),
        *("--out", out, "--json", *options),
    )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told["n_orders"] == N_ORDERS
    assert told["n_matched"] > 0
    n_answers = 0
    if suffix == "csv":
        with out.open("rb") as file:
            n_answers = sum(1 for _ in file) - 1
    else:
        n_answers = pq.read_metadata(out).num_rows
    assert n_answers == N_ORDERS


def test_the_limit__is_felt(tmp_path: Path) -> None:
    code = f"bytearray({LIMIT_BYTES})"
    command = ["sh", "-c", f"ulimit -v {LIMIT_BYTES // 1024} && exec {shlex.join([sys.executable, '-c', code])}"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode != 0
    assert "MemoryError" in run.stderr
