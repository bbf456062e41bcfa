"""Routes are strict, or the application does not start."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, Field

from service.http.fields import Body, Degrees
from service.http.routing import StrictRoute, check_strict, register_problems, validation_problem


class _Body(BaseModel):
    name: str


def _router(reads: str, *, is_strict: bool) -> APIRouter:
    router = APIRouter(route_class=StrictRoute) if is_strict else APIRouter()
    if reads == "body":

        @router.post("/x")
        async def of_body(body: _Body) -> None: ...

    elif reads == "query":

        @router.get("/x")
        async def of_query(size: int = 1) -> None: ...

    elif reads == "path":

        @router.get("/x/{name}")
        async def of_path(name: str) -> None: ...

    else:

        @router.get("/x")
        async def of_nothing() -> None: ...

    return router


@pytest.mark.parametrize("reads", ["body", "query", "path", "nothing"])
def test_check_strict__refuses_a_route_that_reads_loosely(reads: str) -> None:
    check_strict(_router(reads, is_strict=True))
    if reads == "nothing":
        check_strict(_router(reads, is_strict=False))
    else:
        with pytest.raises(TypeError, match="must be a StrictRoute"):
            check_strict(_router(reads, is_strict=False))


def test_validation_problem__tells_fifty_errors_and_how_many_more_there_are() -> None:
    errors = [{"loc": ("body", f"x{n}"), "msg": "is not known", "type": "extra_forbidden"} for n in range(6_400)]
    told = validation_problem(errors).troubles
    assert [trouble.where for trouble in told[:50]] == [f"/x{n}" for n in range(50)]
    assert [trouble.reason for trouble in told[50:]] == ["and 6350 more"]


def test_check_strict__is_not_deceived_by_a_class_that_is_set_too_late() -> None:
    router = _router("body", is_strict=False)
    router.route_class = StrictRoute
    with pytest.raises(TypeError, match="must be a StrictRoute"):
        check_strict(router)


class _Inner(Body):
    lead_s: int = Field(0, ge=0)


class _Outer(Body):
    name: str = ""
    lat: Degrees = 0.0
    code: int = 0
    offers: list[_Inner] = Field(default_factory=list)
    one: _Inner | None = None


async def _posted(app: FastAPI, body: object) -> Any:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://linli") as client:
        return (await client.post("/x", json=body)).json()


@pytest.mark.parametrize(
    ("body", "where", "reason"),
    [
        ([], "", "must be a JSON object, got an array"),
        ({"one": 7}, "/one", "must be a JSON object, got a number"),
        ({"nam": 1}, "/nam", "is not known here, known are code, lat, name, offers, one"),
        ({"offers": [{"lead": 1}]}, "/offers/0/lead", "is not known here, known are lead_s"),
        ({"one": {"lead": 1}}, "/one/lead", "is not known here, known are lead_s"),
        ({"offers": [{"lead_s": -5}]}, "/offers/0/lead_s", "Input should be greater than or equal to 0, got -5"),
        ({"offers": [{"lead_s": 1.5}]}, "/offers/0/lead_s", "Input should be a valid integer, got 1.5"),
        ({"offers": [{"lead_s": True}]}, "/offers/0/lead_s", "Input should be a valid integer, got true"),
        ({"offers": [{"lead_s": None}]}, "/offers/0/lead_s", "Input should be a valid integer, got null"),
        # A text may be anybody's, also where a number belongs; a number may be one where a text belongs.
        ({"offers": [{"lead_s": "Wang"}]}, "/offers/0/lead_s", "Input should be a valid integer, got a string"),
        ({"name": 13800000000}, "/name", "Input should be a valid string, got a number"),
        # A place and a code are told by nobody.
        ({"code": 31.25}, "/code", "Input should be a valid integer, got a number"),
        ({"lat": True}, "/lat", "Input should be a valid number, got a boolean"),
    ],
)
def test_problem__says_what_came_and_what_is_known(body: object, where: str, reason: str) -> None:
    router = APIRouter(route_class=StrictRoute)

    @router.post("/x")
    async def taken(body: _Outer) -> None: ...

    app = FastAPI()
    app.include_router(router)
    register_problems(app, [router])
    told = asyncio.run(_posted(app, body))
    assert [(one["where"], one["reason"]) for one in told["errors"]] == [(where, reason)]
