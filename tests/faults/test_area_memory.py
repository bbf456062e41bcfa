"""A server that comes to the limit of its memory with an area fails in that alone, and serves on (F20)."""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.feed_store import wait_until
from tests.serving import LINLI, ROOT, Serving, running_service

N_VERTICES = 1_999
SLACK_BYTES = (
    2_000_000  # no room for the stack of one more thread, nor for the scratch arrays of more than a few covers
)
MOST_POINTS = 60
WAIT_S = 15.0
TUNABLES = {
    # what is free is given back at once, so that the limit is felt
    "glibc.malloc.arena_max": 1,
    "glibc.malloc.mmap_threshold": 65_536,
    "glibc.malloc.trim_threshold": 65_536,
    "glibc.malloc.top_pad": 0,
    "glibc.pthread.stack_cache_size": 0,
}
MERCHANT = {"merchant_id": "corner", "name": "Corner"}


def _point(n_vertices: int) -> dict[str, Any]:
    turns = [2 * math.pi * i / n_vertices for i in range(n_vertices)]
    radii = [0.4 if i % 2 else 0.38 for i in range(n_vertices)]
    ring = [[121 + r * math.cos(turn), 31 + r * math.sin(turn)] for r, turn in zip(radii, turns, strict=True)]
    area = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    offer = {"offer": "laundry/pickup", "hours": "24/7", "area": area}
    return {"kind": "store", "name": "x", "lat": 31.0, "lng": 121.0, "offers": [offer]}


def _limit(serving: Serving, slack: int | None) -> None:
    status = Path(f"/proc/{serving.process.pid}/status").read_text(encoding="ascii")
    (size,) = (int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmSize"))
    soft = resource.RLIM_INFINITY if slack is None else size + slack
    resource.prlimit(serving.process.pid, resource.RLIMIT_AS, (soft, resource.RLIM_INFINITY))


def _held(client: httpx.Client) -> tuple[int, int]:
    """Return how many points the index holds, and how many it has left out."""
    lines = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if line[0] != "#")
    return int(float(lines["linli_index_points"])), int(float(lines["linli_left_out"]))


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", ":".join(f"{name}={value}" for name, value in TUNABLES.items()))


@pytest.mark.usefixtures("tight")
def test_request__for_which_there_is_no_memory_fails_alone(tmp_path: Path) -> None:
    with running_service(tmp_path, program=LINLI) as serving, serving.client() as client:
        assert client.post("/v1/merchants", json=MERCHANT, headers={"Idempotency-Key": "k"}).status_code == 201
        assert client.get("/v1/points/corner:1").status_code == 404
        _limit(serving, SLACK_BYTES)
        refused = client.put("/v1/points/corner:1", json=_point(N_VERTICES))
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1"), refused.text
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["type"].endswith("/overloaded")
        assert client.get("/v1/points/corner:1").status_code == 404
        assert client.get("/v1/merchants/corner").status_code == 200
        assert client.get("/readyz").status_code == 200
        _limit(serving, None)
        assert client.put("/v1/points/corner:1", json=_point(N_VERTICES)).status_code == 201
        wait_until(lambda: _held(client) == (1, 0), WAIT_S, "the point is followed")


@pytest.mark.usefixtures("tight")
def test_area__whose_cover_has_no_room_is_named_and_left_out_until_it_has(tmp_path: Path) -> None:
    with running_service(tmp_path, program=LINLI, verify_s=1) as serving, serving.client() as client:
        assert client.post("/v1/merchants", json=MERCHANT, headers={"Idempotency-Key": "k"}).status_code == 201
        assert client.put("/v1/points/corner:0", json=_point(50)).status_code == 201
        wait_until(lambda: _held(client) == (1, 0), WAIT_S, "the first point is followed")
        _limit(serving, 3 * SLACK_BYTES)
        number = _felt_at(client)
        assert client.put("/v1/points/corner:0", json=_point(50), headers=_etag(client)).status_code == 200
        assert client.get("/readyz").json()["ready"], "one that has no room holds up the others"
        told = [json.loads(line)["event"] for line in serving.log.read_text().splitlines() if '"critical"' in line]
        n_left_out = _held(client)[1]
        assert [line.startswith(f"point corner:{number} ") for line in told] == [True] * n_left_out
        _limit(serving, None)
        if not n_left_out:
            assert client.put(f"/v1/points/corner:{number}", json=_point(N_VERTICES)).status_code == 201
        wait_until(lambda: _held(client) == (number + 1, 0), WAIT_S, "there is room again")
        assert client.get("/readyz").json()["ready"]


def _felt_at(client: httpx.Client) -> int:
    """Make points until one is refused and not stored, or stored and left out of the index: then it comes later."""
    for number in range(1, MOST_POINTS):
        put = client.put(f"/v1/points/corner:{number}", json=_point(N_VERTICES))
        if put.status_code == 503:
            assert put.json()["type"].endswith("/overloaded")
            assert client.get(f"/v1/points/corner:{number}").status_code == 404
            return number
        assert put.status_code == 201, put.text
        wait_until(lambda n=number + 1: sum(_held(client)) == n, WAIT_S, "it is followed")  # type: ignore[misc]
        if _held(client)[1]:
            return number
    raise AssertionError("the limit was not felt")


def _etag(client: httpx.Client) -> dict[str, str]:
    return {"If-Match": client.get("/v1/points/corner:0").headers["etag"]}


LIMITED = """
import resource, sys
import numpy as np, shapely
from service.http.problems import as_problem
coordinates = np.zeros((2_000_000, 2))
size = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (size + 1_000_000, resource.RLIM_INFINITY))
try:
    {work}
except Exception as error:
    problem = as_problem(error)
    print(type(error).__name__, problem.slug, problem.http_status)
"""


@pytest.mark.parametrize(
    ("work", "name"),
    [
        ("bytearray(100_000_000)", "MemoryError"),
        ("np.empty_like(coordinates)", "MemoryError"),
        ("shapely.linestrings(coordinates)", "GEOSException"),
    ],
)
def test_problem__of_what_finds_no_memory_is_503(work: str, name: str) -> None:
    code = [sys.executable, "-c", LIMITED.format(work=work)]
    run = subprocess.run(code, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert run.stdout.split() == [name, "overloaded", "503"], run.stderr
