"""Where somebody asked stands in no log line, not of the most talkative level, not of what fails."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from service.logs import set_up_logs
from tests.registry import Offer, Point, Registry, opened
from tests.scale import scaled
from tests.unit.service.matching.cities import dice

PICKUP = "retail/pickup"
TIMES = re.compile(r'"(timestamp":"[^"]*"|ms":[0-9.]+)')
"""An instant, and how long a request took: both look like a latitude now and then."""

FINE = re.compile(r"(?<![0-9.])(?<![0-9]:)-?[0-9]{1,3}\.[0-9]{4,}")
"""A number of more than three decimals that is no second of a time."""


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """All that the process logs, as `linli serve --log-level debug` writes it."""
    root, written = logging.getLogger(), io.StringIO()
    before = root.handlers[:], root.level
    monkeypatch.setattr(sys, "stderr", written)
    set_up_logs("debug")
    client = logging.getLogger("httpx")  # the one who asks, in the same process
    client.setLevel("WARNING")
    yield written
    client.setLevel(logging.NOTSET)
    root.handlers[:], root.level = before


@pytest.fixture
def registry(log: io.StringIO, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with opened(tmp_path_factory.mktemp("city")) as registry:
        registry.add_merchants(shop="verified")
        registry.add_key("shop", "merchant", "shop")
        registry.put(Point("shop:1", 31.2, 121.5, [Offer(PICKUP)]))
        yield registry


def _stream(lat: float, lng: float) -> bytes:
    sink = io.BytesIO()
    table = pa.table({"lat": [lat], "lng": [lng], "offer": [PICKUP]})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _ask_everything(registry: Registry, lat: float, lng: float) -> set[int]:
    """Ask each route, well and badly."""
    ask: dict[str, Any] = {"lat": lat, "lng": lng, "offer": PICKUP}
    arrow = {"Content-Type": "application/vnd.apache.arrow.stream"}
    sent = [
        registry.match(**ask),
        registry.match(**ask, features="helipad"),
        registry.match(**ask, k=99),
        registry.match(**ask | {"lat": 90 + lat}),
        registry.explain(**ask),
        registry.explain(key="shop", point="shop:1", **ask),
        registry.explain(point=f"shop:{lat}", **ask),
        registry.send("POST", "/v1/match:batch", json={"asks": [ask]}),
        registry.send("POST", "/v1/match:batch", json={"asks": [ask | {"lng": 180 + lng}]}),
        registry.send("POST", "/v1/match:batch", content=_stream(lat, lng), headers=arrow),
        registry.send("POST", "/v1/match:batch", content=_stream(lng, lat), headers=arrow),
        registry.send("GET", f"/v1/nearby?lat={lat}&lng={lng}"),
        registry.match(key="nobody", **ask),
    ]
    return {response.status_code for response in sent}


def test_log__has_no_place(registry: Registry, log: io.StringIO) -> None:
    registry.keys["nobody"] = "linli_app_nothing"
    rng = dice(12)
    places = [(rng.uniform(30.0, 32.0), rng.uniform(120.0, 122.0)) for _ in range(max(20, scaled(100)))]
    statuses = {status for lat, lng in places for status in _ask_everything(registry, lat, lng)}
    assert statuses == {200, 401, 404, 422}
    lines = log.getvalue().splitlines()
    assert sum(json.loads(line)["event"] == "request" for line in lines) > 5 * len(places)
    assert FINE.findall(log.getvalue()) == []
    told = TIMES.sub("", log.getvalue())
    for lat, lng in places:
        assert f"{lat:.4f}"[:-1] not in told
        assert f"{lng:.4f}"[:-1] not in told


def test_log__of_a_failure_has_no_place(registry: Registry, log: io.StringIO) -> None:
    """The index is taken away under the routes: each request fails with whatever text its error has."""
    registry.services.norms = None  # type: ignore[assignment]
    assert _failing(registry, 31.234567, 121.456789) == {500}
    logging.getLogger("service.matching").error("cannot serve 31.234567, 121.456789")
    assert log.getvalue().count("failed") >= 2
    assert "[place], [place]" in log.getvalue()
    assert FINE.findall(log.getvalue()) == []
    assert "31.234" not in TIMES.sub("", log.getvalue())


def _failing(registry: Registry, lat: float, lng: float) -> set[int]:
    ask: dict[str, Any] = {"lat": str(lat), "lng": str(lng), "offer": PICKUP}
    headers = {"Authorization": f"Bearer {registry.keys['app']}"}
    paths = ("/v1/match", "/v1/match:explain")
    return {registry.runner.run(registry.client.get(path, params=ask, headers=headers)).status_code for path in paths}


def test_scanner__sees_a_planted_place() -> None:
    for text in ("lat=31.2304", '"lng":121.47370', "got -0.12345,", "at (31.23041, 121.5)"):
        assert FINE.search(text), text
    for text in ("2026-11-25T04:00:00.123456Z", '"ms":12.345', "10.0.0.1", "2026-11-25T04:00:00.123456+00:00"):
        assert not FINE.search(text), text
