"""Routes are strict, or the application does not start."""

from __future__ import annotations

import pytest
from fastapi import APIRouter
from pydantic import BaseModel

from service.http.routing import StrictRoute, check_strict, validation_problem


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
