"""The description of the API and the table of errors: nothing is missing in them, and nothing is there that is not."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import engine
import geo
import service
from geo.errors import ArgumentError, GeoError
from service.errors import ServiceError
from service.feed.outbox import BadPositionError
from service.http.problems import ERROR_SLUGS, PROBLEMS, ProblemError
from service.payments.ports import ProviderUnknownError
from service.points.geojson_files import _BadFeatureError
from service.points.schemas import PointPatch
from service.settings import BadSettingError
from tests.contract.service.operations import DESCRIBED, Operation, operations
from tests.serving import ROOT, Serving

OPERATIONS = operations()
CAUGHT = {
    ProblemError,  # it has its slug with it
    BadPositionError,  # by the route of the events, which names the parameter
    BadSettingError,  # before there is a server
    ProviderUnknownError,  # by those who ask the provider, and ask it again
    _BadFeatureError,  # while a file is read
}
BASES = {ArgumentError, GeoError, engine.EngineError, ServiceError}


def _modules(package: ModuleType) -> Iterator[str]:
    yield package.__name__
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.endswith((".__main__", ".migrations.env")) and ".migrations.versions" not in found.name:
            yield found.name


def _below(kind: type[Exception]) -> Iterator[type[Exception]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)


def test_error_table__has_every_error_of_every_layer() -> None:
    for package in (geo, engine, service):
        for name in _modules(package):
            importlib.import_module(name)
    ours = {
        one
        for base in BASES
        for one in _below(base)
        if one.__module__.partition(".")[0] in {"geo", "engine", "service"}
    }
    assert len(ours) > 20
    assert ours - BASES - CAUGHT - ERROR_SLUGS.keys() == set()
    assert ERROR_SLUGS.keys() <= ours


def test_error_table__sends_each_error_to_a_problem_that_is_there() -> None:
    for kind, (slug, status) in ERROR_SLUGS.items():
        assert slug in PROBLEMS, kind
        assert 400 <= status < 600, kind


def test_every_problem__is_one_that_something_answers_with() -> None:
    source = "".join(path.read_text() for path in (ROOT / "service").rglob("*.py") if path.name != "problems.py")
    named = {slug for slug, _ in ERROR_SLUGS.values()} | {"internal"}
    assert [slug for slug in PROBLEMS if slug not in named and f'"{slug}"' not in source] == []


def test_patch_of_a_point__says_what_it_changes_and_where_the_rest_is_changed() -> None:
    told = DESCRIBED["paths"]["/v1/points/{point_id}"]["patch"]["description"]
    assert [name for name in PointPatch.model_fields if f"`{name}`" not in told] == []
    assert "`PUT`" in told


def test_description__is_whole_in_itself() -> None:
    schemas = DESCRIBED["components"]["schemas"]
    refs = set(_refs(DESCRIBED))
    assert {ref.rpartition("/")[2] for ref in refs} <= schemas.keys()
    assert all(ref.startswith("#/components/schemas/") for ref in refs)
    ids = [one.described["operationId"] for one in OPERATIONS]
    assert len(set(ids)) == len(ids)


def _refs(told: Any) -> Iterator[str]:
    if isinstance(told, dict):
        if isinstance(told.get("$ref"), str):
            yield told["$ref"]
        for below in told.values():
            yield from _refs(below)
    elif isinstance(told, list):
        for below in told:
            yield from _refs(below)


def test_numbers__of_queries_are_told_with_their_limits() -> None:
    parameters = [one for operation in OPERATIONS for one in operation.described.get("parameters", [])]
    whole = [one for one in parameters if one["in"] == "query" and one["schema"].get("type") == "integer"]
    assert len(whole) > 10
    assert {one["name"] for one in whole if not {"minimum", "maximum"} <= one["schema"].keys()} == set()


def test_places__that_are_asked_about_are_told_with_their_limits() -> None:
    bodies = [told for name, told in DESCRIBED["components"]["schemas"].items() if name.endswith(("Body", "Ask"))]
    told = [(name, its["properties"][name]) for its in bodies for name in ("lat", "lng") if name in its["properties"]]
    parameters = [one for operation in OPERATIONS for one in operation.described.get("parameters", [])]
    told += [(one["name"], one["schema"]) for one in parameters if one["name"] in {"lat", "lng"}]
    assert len(told) > 10
    most = {"lat": 90, "lng": 180}
    assert [(name, schema) for name, schema in told if schema.get("maximum") != most[name]] == []
    assert [(name, schema) for name, schema in told if schema.get("minimum") != -most[name]] == []


def test_instants__of_bodies_are_told_as_such() -> None:
    bodies = {name: told for name, told in DESCRIBED["components"]["schemas"].items() if name.endswith("Body")}
    told = {
        f"{body}.{name}": [schema, *schema.get("anyOf", [])]
        for body, its in bodies.items()
        for name, schema in its["properties"].items()
        if name in {"at", "until"} or name.endswith("_at")
    }
    assert len(told) > 5
    assert {where for where, ways in told.items() if not any(one.get("format") == "date-time" for one in ways)} == set()


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_every_operation__says_what_it_does_who_may_and_what_can_go_wrong(operation: Operation) -> None:
    told, row = operation.described, operation.row
    assert told["summary"]
    assert told["description"]
    assert told["tags"]
    assert bool(told.get("security")) == bool(row.scopes)
    statuses = {int(status) for status in told["responses"]}
    assert {row.status, 422} <= statuses
    if row.scopes:
        assert {401, 415, 429, 503} <= statuses
    assert (403 in statuses) == (0 < len(row.scopes) < 6)
    for status, answer in told["responses"].items():
        assert answer["description"]
        problems = answer.get("content", {}).get("application/problem+json")
        assert bool(problems) == (int(status) >= 400 and (operation.path, status) != ("/readyz", "503"))
        for slug, example in (problems or {"examples": {}})["examples"].items():
            assert example["value"]["type"] == PROBLEMS[slug].uri
            assert answer["description"].count(PROBLEMS[slug].title) == 1


def test_description__is_the_one_that_is_served(service: Serving) -> None:
    with service.client("") as nobody:
        answer = nobody.get("/openapi.json")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert answer.json() == DESCRIBED
