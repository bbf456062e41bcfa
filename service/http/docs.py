"""The description of the API (OpenAPI 3.1), and its page, which asks no other server for anything."""

from __future__ import annotations

import asyncio
import copy
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from service.http.access import not_found
from service.http.described import add_gate, add_headers
from service.http.intake import DESCRIPTION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import APIRouter, FastAPI
    from pydantic import BaseModel

__all__ = ["add_docs", "describe"]

_FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["where", "reason"],
                "properties": {"where": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
    },
}


def describe(app: FastAPI, routers: Sequence[APIRouter], bodies: Sequence[type[BaseModel]] = ()) -> dict[str, Any]:
    """Return the description of all routes, those of the routers; ``bodies`` are what routes read by themselves."""
    told = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = told.setdefault("components", {}).setdefault("schemas", {})
    models: list[tuple[Any, Any]] = [(body, "validation") for body in bodies]
    schemas |= models_json_schema(models, ref_template="#/components/schemas/{model}")[1].get("$defs", {})
    schemas["Problem"] = copy.deepcopy(_PROBLEM)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    for route in routes:
        for method in (route.methods or ()) if route.include_in_schema else ():
            operation = told["paths"][route.path][method.lower()]
            add_gate(operation, route)
            add_headers(operation, method)
    return told


def add_docs(app: FastAPI, routers: Sequence[APIRouter], bodies: Sequence[type[BaseModel]] = ()) -> None:
    """Add /openapi.json and /docs; ``routers`` and ``bodies`` as of `describe`."""
    files = _files()
    making: asyncio.Task[bytes] | None = None

    def description() -> bytes:
        return orjson.dumps(describe(app, routers, bodies))

    @app.get(DESCRIPTION, include_in_schema=False)
    async def openapi() -> Response:
        nonlocal making
        if making is None or _has_failed(making):
            # A second of a processor: no start waits for it, and in a thread it holds up others by 25 ms, not by all of it.
            making = asyncio.create_task(asyncio.to_thread(description))
        return Response(await asyncio.shield(making), media_type="application/json")

    @app.get("/docs", include_in_schema=False)
    async def page() -> Response:
        return get_swagger_ui_html(
            openapi_url=DESCRIPTION,
            title="linli 邻里",
            swagger_js_url="/docs/swagger-ui-bundle.js",
            swagger_css_url="/docs/swagger-ui.css",
            swagger_favicon_url="/docs/favicon-32x32.png",
        )

    @app.get("/docs/{name}", include_in_schema=False)
    async def file(name: str) -> Response:
        if name not in files:
            raise not_found()
        return Response(files[name], media_type=_FILES[name], headers={"Cache-Control": "max-age=86400"})


def _has_failed(task: asyncio.Task[bytes]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


@cache
def _files() -> dict[str, bytes]:
    folder = resources.files("fastapi_swagger").joinpath("resources")
    return {name: folder.joinpath(name).read_bytes() for name in _FILES}
