"""What holds for every route and no route says by itself: the problems of the gate, and the headers of conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.http.access import Allowed
from service.http.intake import OPEN, is_link, is_streamed
from service.http.problems import MEDIA_TYPE, PROBLEMS
from service.http.routing import add_problem
from service.keys.formats import SCOPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.dependencies.models import Dependant
    from fastapi.routing import APIRoute

__all__ = ["add_gate", "add_headers", "scopes_of"]

_OF_KEYS = ("unauthenticated", "unsupported-encoding")
_OF_WORK = ("rate-limited", "overloaded", "draining", "deadline-exceeded", "storage-unavailable")
_READ_NO_BODY = "/v1/match"
_PRINTABLE = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"}
_ETAG = {"type": "string", "examples": ['"3"']}
_CONDITION = "The ETag that was read; it is refused where it has changed since."
_KEY = "A name of your own for this request, such as a UUID: sent again, it is answered as the first time."


def scopes_of(route: APIRoute) -> tuple[str, ...] | None:
    """Return the scopes of the keys that a route lets pass, None where it needs no key."""
    for dependant in _all(route.dependant):
        if isinstance(dependant.call, Allowed):
            return dependant.call.scopes
    return None


def add_gate(operation: dict[str, Any], route: APIRoute) -> None:
    """Tell the problems that the gate, or the strictness of every route, may answer with."""
    scopes = scopes_of(route)
    slugs = ["validation", "text-invalid"]
    if not (is_streamed(route.path) or route.path == _READ_NO_BODY):
        slugs.append("payload-too-large")
    if route.path not in OPEN:
        slugs += _OF_WORK if is_link(route.path) else (*_OF_KEYS, *_OF_WORK)
    if scopes is not None and set(scopes) != set(SCOPES):
        slugs.append("forbidden")
    stock = operation["responses"].get("422", {})
    stock.get("content", {}).pop("application/json", None)  # of the framework, whose answers are replaced by problems
    if stock.get("description") == "Validation Error":
        stock["description"] = ""
    for slug in slugs:
        add_problem(operation["responses"], str(PROBLEMS[slug].status), slug)


def add_headers(operation: dict[str, Any], method: str) -> None:
    """Add the headers that a route's problems tell of."""
    told = operation["responses"]
    if _may(told, "idempotency-key-missing"):
        _add_header(operation, "Idempotency-Key", _KEY, _PRINTABLE, required=True)
    if _may(told, "precondition-failed"):
        makes = method == "PUT"
        is_required = _may(told, "precondition-required") and not makes
        _add_header(operation, "If-Match", _CONDITION, _ETAG, required=is_required)
        if makes:
            only_new = {"type": "string", "enum": ["*"]}
            _add_header(operation, "If-None-Match", "Only where nothing is there yet.", only_new, required=False)


def _may(responses: dict[str, Any], slug: str) -> bool:
    told = responses.get(str(PROBLEMS[slug].status), {}).get("content", {}).get(MEDIA_TYPE, {})
    return slug in told.get("examples", {})


def _add_header(
    operation: dict[str, Any], name: str, description: str, schema: dict[str, Any], *, required: bool
) -> None:
    header = {"name": name, "in": "header", "required": required, "description": description, "schema": schema}
    operation.setdefault("parameters", []).append(header)


def _all(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for below in dependant.dependencies:
        yield from _all(below)
