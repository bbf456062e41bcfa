"""A command that is terminated half way leaves nothing half written."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

N_ORDERS = 2_000_000


def test_match__terminated_half_way_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    points = pa.table({"point_id": ["a"], "offer": ["x/y"], "lat": [60.0], "lng": [25.0]})
    pq.write_table(points, tmp_path / "points.parquet")
    ids, places = [str(i) for i in range(N_ORDERS)], pa.array([60.1] * N_ORDERS)
    orders = pa.table({"order_id": ids, "lat": places, "lng": places, "offer": ["x/y"] * N_ORDERS})
    pq.write_table(orders, tmp_path / "orders.parquet", row_group_size=50_000)
    (tmp_path / "answers.csv").write_text("yesterday's\n")
    before = sorted(path.name for path in tmp_path.iterdir())
    files = [
        f"--{name}={tmp_path / file}"
        for name, file in (("points", "points.parquet"), ("orders", "orders.parquet"), ("out", "answers.csv"))
    ]
    command = [sys.executable, "-c", "from service.cli import main; main()", "match", *files]
    running = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=Path(__file__).resolve().parents[2])
    try:
        deadline = time.monotonic() + 60
        while sorted(path.name for path in tmp_path.iterdir()) == before and running.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert running.poll() is None, "it was done before it could be terminated"
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 128 + signal.SIGTERM
    finally:
        running.kill()
        running.wait()
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / "answers.csv").read_text() == "yesterday's\n"
