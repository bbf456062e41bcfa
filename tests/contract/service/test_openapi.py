"""The description of the API is valid OpenAPI 3.1, knows every problem, and says the same as the routes do."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from fastapi import APIRouter, FastAPI
from schemathesis.specs.openapi.definitions import OPENAPI_31

from service.http.app import create_app
from service.http.docs import add_docs
from service.http.problems import PROBLEMS
from service.matching.parameters import NAMES
from tests.described import Description
from tests.registry import Offer, Point, Registry, opened

MATCH, BATCH, EXPLAIN = ("GET", "/v1/match"), ("POST", "/v1/match:batch"), ("GET", "/v1/match:explain")
DIALECT = "https://json-schema.org/draft/2020-12/schema"
REQUIRED = {"lat": "31.2", "lng": "121.5", "offer": "retail/pickup"}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with opened(tmp_path_factory.mktemp("city")) as registry:
        registry.add_merchants(shop="verified")
        registry.put(Point("shop:1", 31.2, 121.5, [Offer("retail/pickup")]))
        yield registry


@pytest.fixture(scope="module")
def described(registry: Registry) -> Description:
    return registry.description


def _operations(described: Description) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in described.document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def _refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from _refs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _refs(inner)


def test_description__is_openapi_3_1(described: Description) -> None:
    validator = jsonschema_rs.Draft202012Validator(OPENAPI_31)
    assert described.document["openapi"].startswith("3.1")
    assert [error.message for error in validator.iter_errors(described.document)] == []
    for name, schema in described.document["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema | {"$schema": DIALECT}), name
    schemas = described.document["components"]["schemas"]
    assert {ref.rpartition("/")[2] for ref in _refs(described.document)} <= set(schemas)


class _SlowRouters(list[APIRouter]):
    """Routers that are looked at once they may be, and note in which thread."""

    def __init__(self) -> None:
        super().__init__([APIRouter()])
        self.threads: list[int] = []
        self.begun, self.go = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[APIRouter]:
        self.threads.append(threading.get_ident())
        self.begun.set()
        self.go.wait(5)
        return super().__iter__()


def test_description__is_made_once_beside_the_loop_though_who_asked_first_is_gone() -> None:
    app, routers = FastAPI(openapi_url=None), _SlowRouters()
    add_docs(app, routers)

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://linli") as client:
            first, *others = [asyncio.create_task(client.get("/openapi.json")) for _ in range(3)]
            await asyncio.to_thread(routers.begun.wait, 5)
            first.cancel()
            await asyncio.wait([first])
            routers.go.set()
            return [*await asyncio.gather(*others), await client.get("/openapi.json")]

    answers = asyncio.run(ask())
    assert [answer.status_code for answer in answers] == [200] * 3
    assert len({answer.content for answer in answers}) == 1
    assert len(routers.threads) == 1
    assert routers.threads[0] != threading.get_ident()


def test_description__is_waited_for_longer_than_other_answers(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = registry.services.settings.limits.model_copy(update={"deadline_s": 0.001})
    monkeypatch.setattr(registry.services.settings, "limits", limits)
    app = create_app(registry.services)

    async def ask() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://linli") as client:
            return (await client.get("/openapi.json")).status_code

    assert asyncio.run(ask()) == 200


def test_page__has_its_files_in_memory(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> bytes:
        raise AssertionError(path)

    monkeypatch.setattr(Path, "read_bytes", fail)
    for name, media_type in (("swagger-ui.css", "text/css"), ("swagger-ui-bundle.js", "text/javascript")):
        answer = registry.runner.run(registry.client.get(f"/docs/{name}"))
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(media_type)
        assert len(answer.content) > 10_000


def test_judge__sees_a_planted_fault(described: Description) -> None:
    broken = copy.deepcopy(described.document)
    del broken["paths"]["/v1/match"]["get"]["responses"]["200"]["description"]
    assert not jsonschema_rs.Draft202012Validator(OPENAPI_31).is_valid(broken)
    answer = described.document["paths"]["/v1/match"]["get"]["responses"]["200"]["content"]["application/json"]
    example = answer["examples"]["matched"]["value"]
    for fault in ({"price": 1}, {"matches": None}, {"at": "noon"}):
        assert described.faults_of(answer["schema"], example | fault), fault
    undescribed = httpx.Response(418, json={}, request=httpx.Request("GET", "http://linli/v1/match"))
    with pytest.raises(AssertionError, match="418 is not described"):
        described.check(undescribed)


def test_problems__of_every_route_are_in_the_table(described: Description) -> None:
    for name, operation in _operations(described):
        for status, told in operation["responses"].items():
            problem = told.get("content", {}).get("application/problem+json")
            # What a load balancer asks is told the same, ready or not.
            assert problem or int(status) < 400 or name == "GET /readyz", (name, status)
            for slug, example in (problem or {}).get("examples", {}).items():
                kind, value = PROBLEMS[slug], example["value"]
                assert (value["type"], value["title"]) == (kind.uri, kind.title), (name, slug)
                assert int(status) == value["status"], (name, slug)
                assert described.faults_of(problem["schema"], value) == [], (name, slug)


def test_examples__are_valid(described: Description) -> None:
    n_examples = 0
    for name, operation in _operations(described):
        contents = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in (one for told in contents for one in told.get("content", {}).values()):
            examples = [example["value"] for example in content.get("examples", {}).values()]
            for value in [*examples, *([content["example"]] if "example" in content else [])]:
                assert described.faults_of(content["schema"], value) == [], name
                n_examples += 1
        for parameter in operation.get("parameters", []):
            if "example" in parameter:
                assert described.faults_of(parameter["schema"], parameter["example"]) == [], (name, parameter["name"])
                n_examples += 1
    assert n_examples > 30


@pytest.mark.parametrize("route", [MATCH, EXPLAIN])
def test_parameters__of_the_description_are_those_that_are_read(described: Description, route: tuple[str, str]) -> None:
    operation = described.operation(*route)
    assert operation is not None
    told = {parameter["name"]: parameter for parameter in operation["parameters"]}
    assert set(told) == NAMES | ({"point"} if route == EXPLAIN else set())
    assert {name for name, parameter in told.items() if parameter["required"]} == set(REQUIRED)
    assert all(parameter["description"].endswith((".", "…")) for parameter in told.values())


def test_parameters__have_the_limits_that_are_told(registry: Registry, described: Description) -> None:
    operation = described.operation(*MATCH)
    assert operation is not None
    for parameter in operation["parameters"]:
        schema = parameter["schema"]
        good = [*schema.get("enum", []), *(schema[end] for end in ("minimum", "maximum") if end in schema)]
        bad = ["no such value"] if "enum" in schema else []
        bad += [schema["minimum"] - 1, schema["maximum"] + 1] if "maximum" in schema else []
        good += [parameter["example"]] if "example" in parameter else []
        bad += ["a;b", ""] if "pattern" in schema else []
        assert good, parameter["name"]
        for value, status in [*((one, 200) for one in good), *((one, 422) for one in bad)]:
            query = REQUIRED | {parameter["name"]: str(int(value) if isinstance(value, float) else value)}
            response = registry.send("GET", "/v1/match", params=query)
            assert response.status_code == status, (parameter["name"], value, response.text)


def test_raw_route__is_described_like_the_rest(described: Description) -> None:
    raw, explain = described.operation(*MATCH), described.operation(*EXPLAIN)
    assert raw is not None
    assert explain is not None
    assert raw["security"] == explain["security"]
    assert raw["tags"] == explain["tags"]
    assert set(raw) == set(explain)
    assert set(raw["responses"]) == set(explain["responses"]) - {"404", "413"}  # it names no point and reads no body


def test_batch__example_is_answered(registry: Registry, described: Description) -> None:
    operation = described.operation(*BATCH)
    assert operation is not None
    example = operation["requestBody"]["content"]["application/json"]["example"]
    assert registry.send("POST", BATCH[1], json=example).status_code == 200
