"""An import over HTTP, whatever it is of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.http.access import not_found
from service.http.context import services_of
from service.http.problems import ProblemError, Trouble
from service.imports.store import find_import, list_errors
from service.imports.streaming import import_stream
from service.imports.views import import_done

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import Request

    from service.http.context import RequestContext
    from service.imports.kinds import ImportKind
    from service.imports.schemas import ImportDone
    from service.store.connections import ReadConnection

__all__ = ["CSV", "IMPORT_PROBLEMS", "NDJSON", "kind_of_lines", "lines_body", "take_import"]

IMPORT_PROBLEMS = (
    "not-found", "unsupported-media-type", "batch-too-large", "idempotency-key-missing", "idempotency-key-invalid",
    "idempotency-key-reused", "idempotency-in-progress",
)  # fmt: skip
NDJSON, CSV = "application/x-ndjson", "text/csv"
_MOST_TOLD = 100


def lines_body(description: str, *kinds: str) -> dict[str, Any]:
    """Return the description of a body of lines."""
    content = {kind: {"schema": {"type": "string"}} for kind in kinds}
    return {"requestBody": {"required": True, "description": description, "content": content}}


def kind_of_lines(request: Request, *kinds: str) -> str:
    """
    Return of which kind the lines of a request are.

    Raises
    ------
    ProblemError
        For any other kind.
    """
    told = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if told not in kinds:
        text = f"must be {' or '.join(kinds)}, got {told or 'no Content-Type'}"
        raise ProblemError("unsupported-media-type", text, (Trouble("Content-Type", text),))
    return told


async def take_import(
    request: Request, context: RequestContext, stream: AsyncIterator[bytes], kind: ImportKind[Any], import_id: str
) -> ImportDone:
    """Store what the body of a request holds, and tell what became of it; raises as `import_stream` does."""
    services = services_of(request)
    filled = await import_stream(services, stream, kind, import_id, context)

    def done(connection: ReadConnection) -> ImportDone:
        row = find_import(connection, import_id)
        if row is None:
            raise not_found()
        return import_done(row, list_errors(connection, import_id, limit=_MOST_TOLD), filled)

    return await services.reads.run(context, done)
