"""An import over HTTP, whatever it is of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.audit.store import actor_of
from service.http.access import not_found
from service.http.context import services_of
from service.http.problems import ProblemError, Trouble
from service.imports.store import find_import, list_errors
from service.imports.streaming import import_stream
from service.imports.views import import_done

if TYPE_CHECKING:
    from fastapi import Request

    from service.http.context import RequestContext
    from service.imports.kinds import ImportKind
    from service.imports.schemas import ImportDone
    from service.store.connections import ReadConnection

__all__ = ["IMPORT_PROBLEMS", "ndjson_body", "take_import"]

IMPORT_PROBLEMS = (
    "not-found", "unsupported-media-type", "batch-too-large", "idempotency-key-missing", "idempotency-key-invalid",
    "idempotency-key-reused", "idempotency-in-progress",
)  # fmt: skip
_NDJSON = "application/x-ndjson"
_MOST_TOLD = 100


def ndjson_body(description: str) -> dict[str, Any]:
    """Return the description of a body of lines."""
    content = {_NDJSON: {"schema": {"type": "string"}}}
    return {"requestBody": {"required": True, "description": description, "content": content}}


async def take_import(request: Request, context: RequestContext, kind: ImportKind[Any], import_id: str) -> ImportDone:
    """
    Store what the body of a request holds, and tell what became of it.

    Raises
    ------
    ProblemError
        For a body of another kind, and where `import_stream` does.
    """
    told = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if told != _NDJSON:
        text = f"must be {_NDJSON}, got {told or 'no Content-Type'}"
        raise ProblemError("unsupported-media-type", text, (Trouble("Content-Type", text),))
    services = services_of(request)
    filled = await import_stream(
        services, request.stream(), kind, import_id, actor=actor_of(context), deadline=context.deadline
    )

    def done(connection: ReadConnection) -> ImportDone:
        row = find_import(connection, import_id)
        if row is None:
            raise not_found()
        return import_done(row, list_errors(connection, import_id, limit=_MOST_TOLD), filled)

    return await services.store.read(done, context.deadline)
