"""What the gate and the readers of bodies refuse, on every operation: rows 1-20, 54, 55 and 60 of RELIABILITY."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.http.problems import PROBLEMS
from service.keys.formats import SCOPES
from tests.contract.service.bad_requests import RULES, Rule
from tests.contract.service.operations import LAT, LNG, Operation, operations
from tests.contract.service.talking import make_key, problem
from tests.contract.service.telltales import telltales
from tests.contract.service.tenants import Tenants, answer_of, tenants
from tests.lived import lived_s
from tests.serving import Place, Serving, running_service

OPERATIONS = operations()
TRACE = re.compile(rb"Traceback|\.py|line \d+, in|Error\(|0x[0-9a-f]{8}|site-packages")


@pytest.fixture(scope="module")
def service(data_folder: Path) -> Iterator[Serving]:
    with running_service(Place(data_folder), log_level="debug") as serving:
        yield serving


@pytest.fixture(scope="module")
def all_(service: Serving) -> Iterator[Tenants]:
    with tenants(service) as made:
        yield made


def _judge(answer: httpx.Response, operation: Operation) -> None:
    """Hold an answer that is a problem against all that is promised of one."""
    status, slug = problem(answer)
    assert PROBLEMS[slug].status == status or slug == "geometry-too-large"
    assert answer.json()["type"] == PROBLEMS[slug].uri
    assert answer.json()["title"] == PROBLEMS[slug].title
    assert TRACE.search(answer.content) is None
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])
    assert status == 405 or str(status) in operation.described["responses"], "not described"


ACTS = ("place", "cancel", "accept", "ready", "reject", "offer", "answer", "collect")
VISIT_ACTS = ("confirm", "reschedule", "cancel", "depart", "start", "overrun", "finish", "pay", "complain")
# What a status of an operation is shown by, other than the rules, the matrix of all routes, and the limits.
SHOWN_ELSEWHERE = {
    "GET /readyz": {503},  # while the server stops
    "GET /v1/match:explain": {404},  # about a point, beside the matrix
    "PUT /v1/points/{point_id}": {201, 409},  # where the matrix makes its points; it would leave open orders behind
    **{
        f"{method} /v1/points/{{point_id}}{event}": {409}  # likewise
        for method, event in (("PATCH", ""), ("DELETE", ""), ("POST", ":pause"))
    },
    "POST /v1/merchants": {409},  # there is one of that name
    "POST /v1/keys": {409},  # the same request is still running
    "POST /v1/webhooks": {404, 409},  # of a merchant that is not there; there are as many as may be
    "POST /v1/webhooks/{webhook_id}:rotate": {409},  # the same request is still running
    "POST /v1/webhooks/{webhook_id}:enable": {409},  # it is being deleted
    "POST /v1/points:import": {409, 413},  # likewise; more lines than are taken
    "PUT /v1/points/{point_id}/stock/{sku}": {201, 409},  # likewise; fewer than orders hold
    "DELETE /v1/points/{point_id}/stock/{sku}": {409},  # orders hold some
    "POST /v1/points/{point_id}/stock:import": {409, 413},  # as the import of points
    "POST /v1/points/{point_id}/crews:import": {409, 413},
    "POST /v1/points/{point_id}/services:import": {409, 413},
    "POST /v1/orders": {404, 409},  # no such point; not enough of it left
    "POST /v1/orders:quote": {404, 409},
    **{f"POST /v1/orders/{{order_id}}:{event}": {409} for event in ACTS},  # it is too late for that
    "POST /v1/points/{point_id}:collect": {409},
    "PUT /v1/points/{point_id}/crews/{crew_id}": {201, 409},  # likewise; visits that it could not make any more
    "DELETE /v1/points/{point_id}/crews/{crew_id}": {200, 409},  # of one that had promised something; likewise
    "PUT /v1/points/{point_id}/crews/{crew_id}/busy/{engagement_id}": {201, 409},
    "DELETE /v1/points/{point_id}/crews/{crew_id}/busy/{engagement_id}": {200, 409},  # its break is due again
    "POST /v1/points/{point_id}/crews/{crew_id}:ill": {409},  # it has too many engagements
    "PUT /v1/points/{point_id}/services/{service_id}": {201, 409},  # likewise; the point has too many
    "GET /v1/slots": {404, 409},  # no such point or service; nothing of it can be booked now
    "POST /v1/bookings": {404, 409},  # likewise; nobody can come
    **{f"POST /v1/bookings/{{booking_id}}:{event}": {409} for event in VISIT_ACTS},  # it is too late for that
    "POST /v1/bookings/{booking_id}:absent": {200},  # of a customer who was waited for
    "POST /v1/merchants/{merchant_id}:verify": {409},  # it is verified already
    "POST /v1/merchants/{merchant_id}:suspend": {409},
    "POST /v1/merchants/{merchant_id}:reinstate": {200},  # of one that was suspended
    "PUT /v1/points/{point_id}/crews/{crew_id}/calendar": {201},  # of a crew that had none
    "GET /v1/calendars/{token}.ics": {404, 429, 503},  # of nobody; as the gate has it
}


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_every_described_status__is_one_that_occurs(operation: Operation) -> None:
    row = operation.row
    shown = {rule.problem[0] for rule in RULES if rule.of(operation)} | {row.status}
    shown |= {401, 429, 503} if row.scopes else set()
    shown |= {403} if 0 < len(row.scopes) < len(SCOPES) else set()
    shown |= {404} if operation.names_what and row.of_others == 404 else set()
    shown |= SHOWN_ELSEWHERE.get(operation.name, set())
    assert {int(status) for status in operation.described["responses"]} == shown


@pytest.fixture(scope="module")
def callers(all_: Tenants, service: Serving) -> Tenants:
    """Give the tenants, and keys that no longer open."""
    revoked = make_key(all_.admin, "admin")
    all_.admin.post(f"/v1/keys/{revoked['key_id']}:revoke").raise_for_status()
    all_.secrets.update(revoked=revoked["secret"], expired=_expired(all_, service))
    return all_


def _expired(all_: Tenants, service: Serving) -> str:
    """Return a key that did open; where the machine stood still until it had expired, another that lasts longer."""
    for seconds in (1, 4, 16):
        until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
        secret = str(make_key(all_.admin, "admin", expires_at=until.isoformat())["secret"])
        with service.client(secret) as client:
            did_open = client.get("/v1/keys").status_code == 200
        if did_open:
            time.sleep(max(0.0, (until - dt.datetime.now(dt.UTC)).total_seconds() + 0.1))
            return secret
    raise AssertionError("no key opens before it expires")


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_every_operation__refuses(callers: Tenants, service: Serving, rule: Rule) -> None:
    made = [operation for operation in OPERATIONS if rule.of(operation)]
    assert made
    with service.client("") as client:
        for operation in made:
            more = dict(rule.change(operation, callers))
            own = httpx.Headers(more.pop("headers", {}))
            key = httpx.Headers({"Authorization": f"Bearer {callers.secrets['admin']}"})
            without = more.pop("without", None)
            request = operation.request(callers.own, **more)
            headers = [*httpx.Headers(request.pop("headers")).multi_items()]
            headers = [(name, value) for name, value in headers if name not in own and name != without]
            headers += own.multi_items() + ([] if "authorization" in own else key.multi_items())
            started = lived_s()
            answer = answer_of(client, {**request, "headers": headers})
            assert problem(answer) == rule.problem, operation
            assert answer.status_code != 401 or answer.headers["www-authenticate"].startswith("Bearer")
            assert lived_s() - started < 1.0
            _judge(answer, operation)
            assert callers.secrets["app"].encode() not in answer.content


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_every_path__names_its_methods_to_one_that_it_does_not_know(all_: Tenants, operation: Operation) -> None:
    known = {one.method for one in OPERATIONS if one.path == operation.path}
    for method in ("OPTIONS", "TRACE", "PROPFIND"):
        request = operation.request(all_.own, method=method)
        answer = answer_of(all_.admin, request)
        assert problem(answer) == (405, "method-not-allowed")
        assert known <= {one.strip() for one in answer.headers["allow"].split(",")}
        _judge(answer, operation)


def test_log__of_all_of_them_holds_no_error_no_query_and_no_key(service: Serving, all_: Tenants) -> None:
    log = service.log.read_bytes()
    assert log.count(b"\n") > len(OPERATIONS)
    assert telltales(log, filter(None, all_.secrets.values()), [LAT, LNG]) == []
