"""How routes read their bodies: strictly, and with every fault told as a problem."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from fastapi import Request, Response
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.params import Query
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from service.http.answers import JSON
from service.http.body_faults import fault_told
from service.http.context import context_of
from service.http.json_bodies import parse_json
from service.http.problems import (
    MEDIA_TYPE,
    PROBLEMS,
    ProblemError,
    Trouble,
    as_problem,
    internal_problem,
    problem_body,
)
from service.http.query_text import read_query

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from fastapi import APIRouter, FastAPI

__all__ = ["StrictRoute", "add_problem", "check_strict", "problems", "register_problems", "validation_problem"]

_OF_STATUS = {404: "not-found", 405: "method-not-allowed", 400: "bad-request"}
_UNKNOWN_METHOD = 405
_MOST_TOLD = 50
_NOWHERE = "there is nothing here that this key may see"


class _StrictRequest(Request):
    async def json(self) -> Any:
        if not hasattr(self, "_parsed"):
            self._parsed = parse_json(await self.body())
        return self._parsed


class StrictRoute(APIRoute):
    """A route whose body is JSON as RFC 8259 has it, and whose query holds nothing that it does not know, or twice."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        handler = super().get_route_handler()
        takes_json = self.body_field is not None
        known = frozenset(
            field.alias for field in get_flat_params(self.dependant) if isinstance(field.field_info, Query)
        )

        needs_body = self.body_field is not None and self.body_field.field_info.is_required()

        async def strict(request: Request) -> Response:
            read_query(request.scope["query_string"], known)
            if takes_json and (needs_body or _brings_body(request)):
                kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
                if kind.encode() != JSON:
                    text = f"must be application/json, got {kind or 'no Content-Type'}"
                    raise ProblemError("unsupported-media-type", text, (Trouble("Content-Type", text),))
            return await handler(_StrictRequest(request.scope, request.receive))

        return strict


def check_strict(router: APIRouter) -> None:
    """Refuse a router where a route that is not strict lets the framework read a body, a query or a path."""
    for route in router.routes:
        if isinstance(route, APIRoute) and not isinstance(route, StrictRoute) and _reads(route):
            text = f"{route.path} must be a StrictRoute: declare APIRouter(route_class=StrictRoute)"
            raise TypeError(text)


def _reads(route: APIRoute) -> bool:
    return route.body_field is not None or bool(get_flat_params(route.dependant))


def _brings_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


def register_problems(app: FastAPI, routers: Sequence[APIRouter] = ()) -> None:
    """Let every error of a route become a problem; ``routers`` hold the routes, whose methods are told."""
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]

    async def told(request: Request, error: Exception) -> Response:
        problem = _problem_of(error, request)
        if problem.http_status == _UNKNOWN_METHOD:
            known = {method.strip() for method in problem.headers.get("Allow", "").split(",")}
            problem = dataclasses.replace(problem, headers={"Allow": _methods(request.scope["path"], known)})
        return _response(problem)

    def _methods(path: str, known: set[str]) -> str:
        """Return all methods that a path knows; the framework knows those of the first route alone."""
        found = {method for route in routes if route.path_regex.match(path) for method in route.methods or ()}
        return ", ".join(sorted(found | known - {""}))

    for kind in (ProblemError, RequestValidationError, HTTPException, ValueError):
        app.add_exception_handler(kind, told)

    async def failed(request: Request, error: Exception) -> Response:
        problem = as_problem(error)  # of memory: all else is told above
        return _response(problem or internal_problem(context_of(request).request_id))  # and the gate logs it

    app.add_exception_handler(Exception, failed)


def problems(*slugs: str) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route that may answer with these problems; those of the gate are told for all."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for slug in slugs:
        add_problem(by_status, PROBLEMS[slug].status, slug)
    return by_status


def add_problem(responses: dict[Any, dict[str, Any]], status: int | str, slug: str) -> None:
    """Add a kind of problem to the described answers of a route, under a status."""
    kind = PROBLEMS[slug]
    entry = responses.setdefault(status, {"description": ""})
    told = entry.setdefault("content", {}).setdefault(MEDIA_TYPE, {})
    told["schema"] = {"$ref": "#/components/schemas/Problem"}
    examples = told.setdefault("examples", {})
    if slug not in examples:
        entry["description"] = f"{entry['description']} {kind.title}".strip()
        examples[slug] = {"value": {"type": kind.uri, "title": kind.title, "status": kind.status, "detail": kind.title}}


def _problem_of(error: Exception, request: Request) -> ProblemError:
    if isinstance(error, RequestValidationError):
        field = getattr(request.scope.get("route"), "body_field", None)
        return validation_problem(error.errors(), model=None if field is None else field.field_info.annotation)
    if isinstance(error, HTTPException):
        if isinstance(error.__cause__, ProblemError):  # what reading the body raised
            return error.__cause__
        slug = _OF_STATUS.get(error.status_code, "bad-request")
        detail = _NOWHERE if slug == "not-found" else PROBLEMS[slug].title
        return ProblemError(slug, detail, headers=dict(error.headers or {}), status=error.status_code)
    problem = as_problem(error)
    if problem is None:
        raise error
    return problem


def validation_problem(errors: Sequence[Any], where: str = "", *, model: Any = None) -> ProblemError:
    """
    Return the problem of pydantic's errors: the slug of the first that has one of its own; many are not told one by one.

    With the ``model`` of the body, what is not known is told with what is.
    """
    troubles, slug, status = [], "validation", None
    for error in errors[:_MOST_TOLD]:
        location = [str(part) for part in error["loc"]]
        place = "/".join(["", *location[1:]]) if location[:1] == ["body"] else "/".join(location[1:] or location)
        cause = error.get("ctx", {}).get("error")
        known = as_problem(cause) if isinstance(cause, Exception) else None
        troubles.append(Trouble(where + place, known.detail.strip() if known else fault_told(error, model)))
        if slug == "validation" and known is not None:
            slug, status = known.slug, known.status
        elif slug == "validation" and error["type"] in PROBLEMS:
            slug = error["type"]
    if len(errors) > _MOST_TOLD:
        troubles.append(Trouble(where, f"and {len(errors) - _MOST_TOLD} more"))
    return ProblemError(slug, f"{troubles[0].where}: {troubles[0].reason}", troubles, status=status)


def _response(problem: ProblemError) -> Response:
    return Response(problem_body(problem), problem.http_status, dict(problem.headers), MEDIA_TYPE)
