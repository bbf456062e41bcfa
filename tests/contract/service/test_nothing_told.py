"""Places that were asked about and keys stand nowhere: in no log at its finest, in no error, in no table, in no file."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pyarrow as pa
import pytest

from service.keys.formats import SCOPES, new_key
from tests.contract.service.operations import POINT
from tests.contract.service.talking import ask, dump, make_key
from tests.contract.service.telltales import telltales
from tests.contract.service.tenants import Tenants, tenants
from tests.serving import Place, Serving, running_service

PLACES = [(31.2417093, 121.4968217), (31.1987654, 121.5123468), (-33.8567819, 151.2152967), (31.2417093, 181.4968217)]
DEGREES = [degrees for place in PLACES for degrees in place]
OFFER = "retail/pickup"
N_CANARIES = 20


@pytest.fixture(scope="module")
def service(place: Place) -> Iterator[Serving]:
    with running_service(place, log_level="debug") as serving:
        yield serving


@pytest.fixture(scope="module")
def all_(service: Serving) -> Iterator[Tenants]:
    with tenants(service) as made:
        yield made


@dataclass
class Told:
    """The answers to what was asked and misused."""

    canaries: list[str]
    errors: bytes = b""
    statuses: set[int] = field(default_factory=set)

    def add(self, answer: httpx.Response) -> None:
        """Keep an answer."""
        self.statuses.add(answer.status_code)
        if answer.status_code >= 400:
            self.errors += answer.content + repr(answer.headers.multi_items()).encode()


@pytest.fixture(scope="module")
def told(service: Serving, all_: Tenants) -> Told:
    """Ask about places in every way, and use and misuse twenty keys in every place of a request."""
    canaries = [make_key(all_.admin, SCOPES[0])["secret"] for _ in range(N_CANARIES - 2)] + [
        new_key("app"),
        new_key("admin"),
    ]
    told = Told(canaries)
    for lat, lng in PLACES:
        asked: dict[str, Any] = {"lat": lat, "lng": lng, "offer": OFFER}
        stream = pa.BufferOutputStream()
        table = pa.table({"lat": [lat], "lng": [lng], "offer": [OFFER]})
        with pa.ipc.new_stream(stream, table.schema) as writer:
            writer.write_table(table)
        arrow = {"Content-Type": "application/vnd.apache.arrow.stream"}
        for client in (all_.admin, all_.clients["merchant"], all_.clients["app"], all_.clients[""]):
            told.add(client.get("/v1/match", params=asked))
            told.add(client.get("/v1/match", params={**asked, "k": 0}))
            told.add(client.get("/v1/match:explain", params=asked))
            told.add(client.get("/v1/points", params=asked))
            told.add(client.post("/v1/match:batch", json={"asks": [asked]}))
            told.add(client.post("/v1/match:batch", json={"asks": [{**asked, "k": 0}]}))
            told.add(client.post("/v1/match:batch", content=stream.getvalue().to_pybytes(), headers=arrow))
            told.add(client.request("PUT", f"/v1/match?lat={lat}&lng={lng}"))
            told.add(client.get(f"/v1/nothing/{lat}/{lng}"))
    for canary in canaries:
        with service.client(canary) as client:
            told.add(client.get("/v1/keys"))
            told.add(client.get("/v1/match", params={"lat": canary, "lng": 0, "offer": OFFER}))
            told.add(client.get(f"/v1/keys/{canary}"))
            told.add(client.get("/v1/keys", params={"access_token": canary}))
            told.add(client.get("/healthz", params={"key": canary}))
            told.add(client.get("/v1/keys", headers={"Authorization": f"Basic {canary}", "Cookie": canary}))
            told.add(
                client.get("/v1/keys", headers={"X-Api-Key": canary, "User-Agent": canary, "X-Request-Id": canary})
            )
            for body in ({"scope": canary}, {canary: 1}, {"scope": "app", "expires_at": canary}, canary):
                headers = {"Idempotency-Key": str(uuid.uuid4())}
                told.add(client.post("/v1/keys", json=body, headers=headers))
            told.add(client.get("/v1/events", headers={"Last-Event-ID": canary}))
            told.add(client.patch("/v1/merchants/own-shop", json={"name": "x"}, headers={"If-Match": canary}))
            told.add(client.post(f"/v1/{canary}:x", headers={"Content-Type": canary}))
    return told


def test_errors__hold_no_key_and_their_answers_are_of_every_kind(told: Told) -> None:
    assert {200, 401, 404, 405, 412, 422} <= told.statuses
    assert all(status < 500 for status in told.statuses)
    assert telltales(told.errors, told.canaries, [], is_log=False) == []


def test_log__holds_no_key_no_query_and_no_place(service: Serving, told: Told) -> None:
    log = service.log.read_bytes()
    assert log.count(b"\n") > 300
    assert telltales(log, [*told.canaries, service.admin_key], [*DEGREES, POINT["lat"], POINT["lng"]]) == []
    assert {json.loads(line)["level"] for line in log.splitlines()} <= {"debug", "info", "warning"}


def test_tables_and_files__hold_no_key_and_no_place_that_was_asked_about(
    service: Serving, all_: Tenants, told: Told
) -> None:
    secrets = [*told.canaries, *filter(None, all_.secrets.values())]
    held = dump(service.place)
    assert b"own-shop:1" in held
    assert telltales(held, secrets, DEGREES, is_log=False) == []
    for path in service.place.folder.rglob("*"):
        assert not path.is_file() or telltales(path.read_bytes(), secrets, DEGREES, is_log=False) == [], path


def test_trail__holds_no_place_of_a_point(service: Serving, all_: Tenants) -> None:
    all_.admin.put("/v1/points/own-shop:traced", json=POINT).raise_for_status()
    rows = repr(ask(service.place, "SELECT * FROM audit")).encode()
    assert b"own-shop:traced" in rows
    assert telltales(rows, [], [POINT["lat"], POINT["lng"]], is_log=False) == []


@pytest.mark.parametrize(
    "planted",
    ["GET /v1/match?lat=31", '{"at": "31.24170"}', '{"at": 31.2418}', "{key}", "GET /x?x=1", '{"level":"error"}'],
)
def test_telltales__finds_what_is_planted(planted: str) -> None:
    key = new_key("app")
    assert telltales(b"all is well, 31.241, 12", [key], [31.2417693]) == []
    degrees = [31.2417693 if "2418" in planted else 31.2417093]
    assert telltales(planted.replace("{key}", key).encode(), [key], degrees) != []
