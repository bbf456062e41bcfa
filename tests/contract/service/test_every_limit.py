"""What is too much, too often, or too late gets its answer on every operation, and costs next to nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine import warm_up
from service.http.app import create_app
from service.services import open_services
from service.settings import load_settings
from tests.contract.service.operations import Operation, operations
from tests.contract.service.talking import make_key, problem
from tests.contract.service.tenants import ABSENT, Tenants, answer_of, tenants
from tests.serving import Place, Serving, running_service

KEYED = [operation for operation in operations() if operation.row.scopes]
TAKING = [operation for operation in KEYED if "requestBody" in operation.described]
MIB = 1024 * 1024
UPLOADS = 16
LASTING = {
    "GET /v1/events": 1,
    "POST /v1/points:import": UPLOADS,
    "POST /v1/points/{point_id}/stock:import": UPLOADS,
    "POST /v1/points/{point_id}/crews:import": UPLOADS,
    "POST /v1/points/{point_id}/services:import": UPLOADS,
}


@pytest.fixture(scope="module")
def service(data_folder: Path) -> Iterator[Serving]:
    with running_service(Place(data_folder), log_level="debug", inflight=1, streams=1) as serving:
        yield serving


@pytest.fixture(scope="module")
def all_(service: Serving) -> Iterator[Tenants]:
    with tenants(service) as made:
        yield made


def _rss(service: Serving) -> int:
    told = Path(f"/proc/{service.process.pid}/status").read_text()
    return 1024 * int(next(line for line in told.splitlines() if line.startswith("VmRSS")).split()[1])


def _head(request: dict[str, Any], secret: str, *lines: str) -> bytes:
    headers = httpx.Headers(request["headers"])
    headers["Authorization"] = f"Bearer {secret}"
    told = [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(
        [f"{request['method']} {request['url']} HTTP/1.1", "Host: linli", *told, *lines, "", ""]
    ).encode()


@contextlib.contextmanager
def _held(service: Serving, operation: Operation, all_: Tenants, *secrets: str) -> Iterator[None]:
    """Hold requests of an operation, one for each key, whose bodies do not come."""
    address = httpx.URL(service.base_url)
    with contextlib.ExitStack() as stack:
        for secret in secrets or [all_.secrets["admin"]]:
            held = stack.enter_context(socket.create_connection((address.host, address.port), timeout=10))
            held.sendall(_head(operation.request(all_.own), secret, "Content-Length: 9"))
        time.sleep(0.3)
        yield


def _named(name: str) -> Operation:
    return next(operation for operation in KEYED if operation.name == name)


@pytest.mark.parametrize("operation", KEYED, ids=str)
def test_too_often__is_told_when_to_come_again(all_: Tenants, service: Serving, operation: Operation) -> None:
    secret = make_key(all_.admin, "admin", rate=1)["secret"]
    with service.client(secret) as client:
        answers = [answer_of(client, operation.request(all_.absent))]
        while answers[-1].status_code != 429 and len(answers) < 30:  # a busy machine asks once a second
            answers.append(answer_of(client, operation.request(all_.absent)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 1
    assert answers[0].status_code != 429
    for answer in refused:
        assert problem(answer) == (429, "rate-limited")
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.headers["ratelimit-policy"] == '"second";q=1;w=1'


def test_too_many_at_once__are_sent_away_and_told_to_come_again(all_: Tenants, service: Serving) -> None:
    with _held(service, _named("POST /v1/merchants"), all_):
        for operation in KEYED:
            if operation.name in LASTING:
                continue
            answer = answer_of(all_.admin, operation.request(all_.absent))
            assert problem(answer) == (503, "overloaded"), operation
            assert answer.headers["retry-after"] == "1"
        assert all_.clients[""].get("/healthz").status_code == 200
    time.sleep(0.3)
    assert all_.admin.get("/v1/keys").status_code == 200


@pytest.mark.parametrize(("name", "n"), LASTING.items())
def test_too_many_that_last__are_sent_away_and_hold_up_no_other(
    all_: Tenants, service: Serving, name: str, n: int
) -> None:
    secrets = [make_key(all_.admin, "admin")["secret"] for _ in range(4)]  # of each, a quarter is taken
    with _held(service, _named(name), all_, *itertools.islice(itertools.cycle(secrets), n)):
        answer = answer_of(all_.admin, _named(name).request(all_.own))
        assert problem(answer) == (503, "overloaded")
        assert answer.headers["retry-after"] == "1"
        assert all_.admin.get("/v1/keys").status_code == 200


def test_bombs__cost_nothing(all_: Tenants, service: Serving) -> None:
    member = gzip.compress(bytes(8 * MIB))
    bomb = member * (1_000_000 // len(member))  # unpacked, a gigabyte
    before, spent = _rss(service), []
    for operation, coding in itertools.islice(
        zip(itertools.cycle(TAKING), itertools.cycle(("gzip", "br", "zstd"))), 100
    ):
        headers = {"Content-Encoding": coding, "Connection": "close"}
        started = time.perf_counter()
        answer = answer_of(all_.admin, operation.request(all_.own, content=bomb, headers=headers))
        spent.append(time.perf_counter() - started)
        assert problem(answer) == (415, "unsupported-encoding")
    assert _rss(service) - before <= 16 * MIB
    assert sorted(spent)[50] <= 0.05


@pytest.mark.parametrize("operation", [one for one in TAKING if one.takes_json], ids=str)
def test_body_without_end__is_read_no_further_than_its_limit(
    all_: Tenants, service: Serving, operation: Operation
) -> None:
    address = httpx.URL(service.base_url)
    head = _head(operation.request(all_.own), all_.secrets["admin"], "Transfer-Encoding: chunked")
    chunk, n_sent = b"10000\r\n" + b" " * 65_536 + b"\r\n", 0
    before = _rss(service)
    with socket.create_connection((address.host, address.port), timeout=10) as sending:
        sending.sendall(head)
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                sending.sendall(chunk)
                n_sent += len(chunk)
        told = sending.recv(65_536) if n_sent < 1000 * len(chunk) else b""
    assert n_sent < 16 * MIB
    assert told.startswith(b"HTTP/1.1 413 ") or told == b""
    assert _rss(service) - before <= 16 * MIB


@pytest.mark.parametrize("line", ["Content-Length: 600000", "Transfer-Encoding: chunked"])
def test_large_body__is_refused_with_a_close_that_is_told_and_loses_no_answer(
    all_: Tenants, service: Serving, line: str
) -> None:
    address, body = httpx.URL(service.base_url), b" " * 600_000
    head = _head(_named("PUT /v1/points/{point_id}").request(all_.own), all_.secrets["admin"], line)
    with socket.create_connection((address.host, address.port), timeout=10) as sending:
        sending.sendall(head + (body if "Length" in line else b"927c0\r\n" + body + b"\r\n0\r\n\r\n"))
        told = b"".join(iter(lambda: sending.recv(65_536), b""))  # a reset would raise
    start, _, problem_told = told.partition(b"\r\n\r\n")
    assert start.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nconnection: close" in start
    assert json.loads(problem_told)["type"].endswith("/payload-too-large")


def test_draining__sends_every_operation_elsewhere(tmp_path: Path) -> None:
    warm_up()
    with open_services(load_settings({}, data=tmp_path)) as services:
        services.stop_taking()
        asyncio.run(_all_sent_away(httpx.ASGITransport(create_app(services))))


async def _all_sent_away(transport: httpx.ASGITransport) -> None:
    async with httpx.AsyncClient(transport=transport, base_url="http://linli") as client:
        for operation in KEYED:
            answer = await client.request(**operation.request(ABSENT))
            assert problem(answer) == (503, "draining"), operation
            assert answer.headers["retry-after"] == "1"
        for path in ("/healthz", "/metrics", "/openapi.json"):
            assert (await client.get(path)).status_code == 200


def test_head_that_is_too_long__is_counted(service: Serving) -> None:
    with service.client() as client:
        answer = client.get("/v1/match", params={"offer": "x" * 9_000})
        assert (answer.status_code, answer.content) == (httpx.codes.REQUEST_URI_TOO_LONG, b"")
        assert 'linli_refusals_total{status="414"} 1.0' in client.get("/metrics").text
