"""
`linli match` reads and writes in batches: millions of orders fit into 3 GiB of addresses, with the compiler in them.

And more orders take less memory than their names alone would, so that nothing holds them all at once.
"""

from __future__ import annotations

import json
import os
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
N_ORDERS = max(1_000_000, scaled(5_000_000))
N_FEW = N_ORDERS // 5
NAME_BYTES = 256  # the longest that is taken
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
        "order_id": pa.array([f"{i:0{NAME_BYTES}d}" for i in range(start, start + CHUNK)]),
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
    for n_orders in (N_FEW, N_ORDERS):
        _write_orders(folder, n_orders)
    return folder


def _write_orders(folder: Path, n_orders: int) -> None:
    rng = np.random.default_rng(6)
    schema = _orders(rng, 0).schema
    with (
        pacsv.CSVWriter(folder / f"{n_orders}.csv", schema) as as_csv,
        pq.ParquetWriter(folder / f"{n_orders}.parquet", schema) as as_parquet,
    ):
        for start in range(0, n_orders, CHUNK):
            batch = _orders(rng, start)
            as_csv.write(batch)
            as_parquet.write_batch(batch)


def _peak_bytes(folder: Path, n_orders: int, out: Path, *options: str) -> int:
    """Match orders within the limit of addresses; return the most memory that it took."""
    code = "from service.cli import main; main()"
    files = ("--points", folder / "points.parquet", "--orders", folder / f"{n_orders}{out.suffix}", "--out", out)
    words = [sys.executable, "-c", code, "match", *map(str, files), "--json", *options]
    limited = ["sh", "-c", f"ulimit -v {LIMIT_BYTES // 1024} && exec {shlex.join(words)}"]
    with (
        (folder / "told").open("w+", encoding="utf-8") as told,
        (folder / "errors").open("w+", encoding="utf-8") as errors,
        subprocess.Popen(limited, cwd=ROOT, stdout=told, stderr=errors) as process,
    ):
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, (folder / "errors").read_text(encoding="utf-8")
    found = json.loads((folder / "told").read_text(encoding="utf-8"))
    assert found["n_orders"] == n_orders
    assert found["n_matched"] > 0
    return used.ru_maxrss * 1024


@pytest.mark.parametrize(("suffix", "consume"), [("csv", False), ("parquet", False), ("parquet", True)])
def test_match__fits_into_3_gib_of_addresses(files: Path, tmp_path: Path, suffix: str, consume: bool) -> None:
    out = tmp_path / f"answers.{suffix}"
    # Without a limit, whoever nobody can serve any more asks every point in turn.
    options = ["--consume", "--max-distance-m", "3000"] if consume else []
    of_few = _peak_bytes(files, N_FEW, out, *options)
    of_all = _peak_bytes(files, N_ORDERS, out, *options)
    assert of_all - of_few < (N_ORDERS - N_FEW) * NAME_BYTES, "they are all held at once"
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
