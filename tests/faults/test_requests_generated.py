"""Requests made from the description of the API, good and deliberately bad: none fails, and none is answered otherwise."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tests.contract.service.operations import LAT, LNG, POINT, Operation, operations
from tests.contract.service.telltales import telltales
from tests.contract.service.tenants import Tenants, tenants
from tests.scale import scaled
from tests.servers import short_folder
from tests.serving import Place, Serving, running_service

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
N_REQUESTS = 20_000
OPERATIONS = operations()
CALLERS = ("admin", "merchant")
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
STREAM_S = 0.2
LONGEST_URL = 8_000
PROBLEM = "application/problem+json"
LINES = "application/x-ndjson"
REFUSALS = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429]  # 413 where what is bad is too large as well
REFUSED = {"negative_data_rejection": {"expected-statuses": [str(status) for status in REFUSALS]}}
CONFIG = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}, "checks": REFUSED})


@schemathesis.serializer(LINES, "application/vnd.apache.arrow.stream")
def _as_it_is(_context: Any, value: Any) -> bytes:
    return value.data if hasattr(value, "data") else str(value).encode("utf-8", "surrogatepass")


@pytest.fixture(scope="module")
def service() -> Iterator[Serving]:
    with short_folder() as folder, running_service(Place(folder / "data"), log_level="debug") as serving:
        yield serving


@pytest.fixture(scope="module")
def all_(service: Serving) -> Iterator[Tenants]:
    with tenants(service) as made:
        yield made


@pytest.fixture(scope="module")
def sent() -> Iterator[Counter[tuple[str, GenerationMode, int]]]:
    """Count the answers by operation, mode and status."""
    counted: Counter[tuple[str, GenerationMode, int]] = Counter()
    yield counted
    by_status: Counter[int] = Counter()
    for (_, _, status), n in counted.items():
        by_status[status] += n
    print(f"\n{counted.total()} generated requests: {dict(sorted(by_status.items()))}")  # noqa: T201


@pytest.fixture(scope="module")
def described(service: Serving) -> Any:
    """Give the description as the service tells it."""
    return schemathesis.openapi.from_url(f"{service.base_url}/openapi.json", config=CONFIG)


def _varied(operation: Operation) -> bool:
    """Tell whether there is more to an operation than ids and an If-Match that may be missing, any text of which may be one."""
    others = [one for one in operation.described.get("parameters", []) if one["in"] == "query" or one.get("required")]
    return any(one["in"] != "path" for one in others) or "requestBody" in operation.described


ASKED = {"lat": LAT, "lng": LNG, "offer": "retail/pickup", "merchant_id": "own-shop", "point": "own-shop:1"}
OF_VISITS = {"point": "own-shop:visits", "service": "clean"}
SHARE = -(-scaled(N_REQUESTS) // (len(CALLERS) * len(MODES) * sum(map(_varied, OPERATIONS))))
ASKS = [
    pytest.param(operation, caller, mode, id=f"{operation}-{caller}-{mode.value}")
    for operation in OPERATIONS
    for caller in CALLERS
    for mode in MODES
    if mode is GenerationMode.POSITIVE or _varied(operation)  # else there is nothing to be bad about
]


def _session(secret: str) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {secret}"
    return session


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_good_request_of_every_operation__is_done(
    service: Serving, all_: Tenants, described: Any, operation: Operation, caller: str
) -> None:
    """Those below differ from it; that they come behind keeps codes that are wrong from locking a point before."""
    case = _good(described[operation.path][operation.method], operation, all_.fresh(operation))
    with _session(all_.secrets[caller]) as session:
        answer = case.call(base_url=service.base_url, session=session, timeout=STREAM_S if operation.streams else 30)
    may = caller in operation.row.scopes or not operation.row.scopes
    assert answer.status_code == (operation.row.status if may else 403), answer.text
    case.validate_response(answer, checks=CHECKS)


@pytest.mark.parametrize(("operation", "caller", "mode"), ASKS)
def test_every_operation__answers_as_it_is_described(
    request: pytest.FixtureRequest,
    service: Serving,
    all_: Tenants,
    described: Any,
    sent: Counter[tuple[str, GenerationMode, int]],
    operation: Operation,
    caller: str,
    mode: GenerationMode,
) -> None:
    """A share of the requests are about what is there, since a made-up id leads nowhere."""
    asked = described[operation.path][operation.method]
    session = _session(all_.secrets[caller])
    fresh = all_.fresh(operation)
    ids = {name: value for name, value in fresh.items() if f"{{{name}}}" in operation.path}
    cases = asked.as_strategy(generation_mode=mode)
    if mode is GenerationMode.POSITIVE:
        cases = st.one_of(_about(asked, operation, ids), _almost(asked, operation, fresh), cases)
    elif ids and _varied(operation):
        cases = st.one_of(asked.as_strategy(generation_mode=mode, path_parameters=ids), cases)
    if operation.row.takes == LINES:
        points = described["/v1/points/{point_id}"]["PUT"].as_strategy(generation_mode=mode)
        cases = st.one_of(cases, st.builds(_with_lines, cases, st.lists(points, max_size=4)))

    @seed(request.config.getoption("hypothesis_seed") or 0)
    @settings(max_examples=SHARE, database=None, suppress_health_check=list(HealthCheck), deadline=None)
    @given(case=cases)
    def ask(case: schemathesis.Case[Any]) -> None:
        answer = case.call(base_url=service.base_url, session=session, timeout=STREAM_S if operation.streams else 30)
        sent[operation.name, mode, answer.status_code] += 1
        if answer.status_code == 204 and operation.path == "/v1/points/{point_id}":
            all_.admin.put(f"/v1/points/{ids['point_id']}", json=POINT).raise_for_status()
        if answer.status_code == 414:  # of the wire, before there is a request
            assert len(answer.request.url or "") > LONGEST_URL
            return
        assert answer.status_code < 400 or answer.headers["content-type"] == [PROBLEM]
        case.validate_response(answer, checks=CHECKS[:-1] if operation.row.takes == LINES else CHECKS)

    with session:
        ask()


def _about(asked: Any, operation: Operation, ids: dict[str, str]) -> Any:
    """Return good requests about what is there, with the conditions and the offer that let them through."""
    headers = {one["name"]: "*" for one in operation.described.get("parameters", []) if one["name"] == "If-Match"}
    told = ASKED | OF_VISITS if operation.path in {"/v1/slots", "/v1/bookings"} else ASKED
    query = {name: value for name, value in told.items() if asked.get_parameter(name, "query")}
    return asked.as_strategy(path_parameters=ids or None, headers=headers or None, query=query or None)


def _good(asked: Any, operation: Operation, ids: dict[str, str]) -> schemathesis.Case[Any]:
    """Return the good request of an operation."""
    made = operation.request(ids)
    content = {"body": made["json"], "media_type": operation.row.takes} if "json" in made else {}
    if "content" in made:
        content = {"body": made["content"].decode(), "media_type": operation.row.takes}
    named = {name: value for name, value in ids.items() if f"{{{name}}}" in operation.path}
    query = dict(parse_qsl(urlsplit(made["url"]).query))
    headers = {name: value for name, value in made["headers"].items() if name != "Content-Type"}
    return asked.Case(path_parameters=named, query=query, headers=headers, **content)


def _almost(asked: Any, operation: Operation, ids: dict[str, str]) -> Any:
    """Return good requests in which one thing of the body, and one of the query, is another that is described as good."""

    def mixed(made: schemathesis.Case[Any], number: int) -> schemathesis.Case[Any]:
        case = _good(asked, operation, ids)
        case.query |= _one_of(made.query, number)
        if isinstance(case.body, dict) and isinstance(made.body, dict):
            case.body |= _one_of(made.body, number)
        return case

    return st.builds(mixed, asked.as_strategy(), st.integers(0, 99))


def _one_of(made: dict[str, Any], number: int) -> dict[str, Any]:
    return dict([sorted(made.items())[number % len(made)]]) if made else {}


def _with_lines(case: schemathesis.Case[Any], points: list[schemathesis.Case[Any]]) -> schemathesis.Case[Any]:
    """Give an import lines that are points, good or bad ones."""
    bodies = [point.body if isinstance(point.body, dict) else {} for point in points]
    lines = [json.dumps({**body, "point_id": f"own-shop:made-{number}"}) for number, body in enumerate(bodies)]
    case.body = "\n".join(lines)
    return case


def test_all_of_them__are_as_many_as_they_should_be_and_not_in_vain(
    sent: Counter[tuple[str, GenerationMode, int]],
) -> None:
    """What is good by the description may be about nothing that is there, or against a rule that no schema can tell."""
    assert sent.total() >= scaled(N_REQUESTS)
    good = {one: n for one, n in sent.items() if one[1] is GenerationMode.POSITIVE}
    done = {one: n for one, n in good.items() if one[2] < 300}
    assert sum(done.values()) > sum(good.values()) / 10
    assert len({name for name, _, _ in done}) > len(OPERATIONS) / 4


def test_log__of_all_of_them_holds_no_error_no_query_and_no_key(service: Serving, all_: Tenants) -> None:
    log = service.log.read_bytes()
    assert log.count(b"\n") > len(OPERATIONS)
    assert telltales(log, filter(None, all_.secrets.values()), [LAT, LNG]) == []
