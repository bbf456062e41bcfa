"""Idempotency-Key: a request that creates something does so once, however often it is sent."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi import Response
from sqlalchemy import bindparam, select

from service.errors import ServiceError
from service.http.problems import MEDIA_TYPE, ProblemError, problem_body
from service.store.plain import Plain
from service.store.tables import idempotency

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from fastapi import Request

    from service.http.context import RequestContext
    from service.services import Services
    from service.store.connections import WriteConnection

__all__ = ["Created", "create_once", "idempotency_key", "once"]

_HEADER = b"idempotency-key"
_MOST_CHARS = 255
_SERVER_FAULT = 500
_PLACE = ("of_caller", "of_route", "of_key")
_NAMES = tuple(column.name for column in idempotency.columns)
_KEPT = Plain(
    select(idempotency).where(
        idempotency.c.caller == bindparam("of_caller"),
        idempotency.c.route == bindparam("of_route"),
        idempotency.c.key == bindparam("of_key"),
    )
)
_running: set[tuple[str, str, str]] = set()


@dataclass(frozen=True)
class Created:
    """
    The answer to a request that created something.

    Attributes
    ----------
    status, body, headers
        What is sent.
    kept_body
        What a retry is sent, where the answer holds a secret that is kept nowhere.
    """

    body: bytes
    status: int = 201
    headers: Mapping[str, str] = field(default_factory=dict)
    kept_body: bytes | None = None


async def create_once(
    request: Request,
    context: RequestContext,
    services: Services,
    route: str,
    create: Callable[[WriteConnection], Created],
    *,
    refused: Callable[[Exception], Awaitable[ProblemError]] | None = None,
) -> Response:
    """
    Create what a request asks for, or answer as the first time.

    The record of it is written in the same transaction, so that both are there or neither is.

    Parameters
    ----------
    refused
        Makes the answer where ``create`` refuses; it is kept for a retry, too, unless it says to come again.

    Raises
    ------
    ProblemError
        Without one good key, with a key of another payload, or while the first request is still running.
    """
    place = (context.key_holder.key_id, route, idempotency_key(request))
    payload_digest = hashlib.sha256(await request.body()).hexdigest()
    if place in _running:
        text = "the first request with this Idempotency-Key is still running; try again"
        raise ProblemError("idempotency-in-progress", text, headers={"Retry-After": "1"})
    _running.add(place)
    attempt = _Attempt(create)
    try:
        created, is_replay = await services.store.write(
            lambda connection: once(connection, place, payload_digest, attempt), context.deadline
        )
    except ServiceError as error:
        if refused is None or error is not attempt.error:
            raise
        answer = _kept_refusal(await refused(error))
        created, is_replay = await services.store.write(
            lambda connection: once(connection, place, payload_digest, lambda _connection: answer), context.deadline
        )
    finally:
        _running.discard(place)
    headers = {"Content-Type": "application/json", **created.headers}
    return Response(created.body, created.status, headers | ({"Idempotency-Replayed": "true"} if is_replay else {}))


class _Attempt:
    """Creates, and knows whether it was this that refused."""

    def __init__(self, create: Callable[[WriteConnection], Created]) -> None:
        self._create = create
        self.error: Exception | None = None

    def __call__(self, connection: WriteConnection) -> Created:
        try:
            return self._create(connection)
        except ServiceError as error:
            self.error = error
            raise


def _kept_refusal(problem: ProblemError) -> Created:
    """Return a refusal as an answer that is kept; raises it where the same request may go through later."""
    if problem.http_status >= _SERVER_FAULT or problem.slug == "rate-limited":
        raise problem
    return Created(problem_body(problem), problem.http_status, {**problem.headers, "Content-Type": MEDIA_TYPE})


def once(
    connection: WriteConnection,
    place: tuple[str, str, str],
    payload_digest: str,
    create: Callable[[WriteConnection], Created],
) -> tuple[Created, bool]:
    """
    Create something and keep its answer, or return the one that is kept, and whether it was.

    Parameters
    ----------
    place
        The caller, the route and the key.
    """
    connection.lock("idempotency " + "\n".join(place))
    found = connection.row(_KEPT, dict(zip(_PLACE, place, strict=True)))
    if found is not None:
        if found.payload_digest != payload_digest:
            raise ProblemError("idempotency-key-reused", "this Idempotency-Key came with another body before")
        return Created(found.body, found.status, json.loads(found.headers)), True
    created = create(connection)
    body = created.body if created.kept_body is None else created.kept_body
    headers = json.dumps(dict(created.headers))
    kept = (*place, payload_digest, created.status, headers, body, connection.now_us)
    connection.insert_rows(idempotency, _NAMES, [kept])
    return created, False


def idempotency_key(request: Request) -> str:
    """
    Return the Idempotency-Key of a request.

    Raises
    ------
    ProblemError
        Without one good key.
    """
    found = [value for name, value in request.scope["headers"] if name == _HEADER]
    if not found:
        raise ProblemError("idempotency-key-missing", "send an Idempotency-Key of your own, such as a UUID")
    key = found[0].decode("latin-1")
    if len(found) > 1 or not 1 <= len(key) <= _MOST_CHARS or not key.isascii() or not key.isprintable():
        raise ProblemError("idempotency-key-invalid", "send one Idempotency-Key of 1 to 255 printable ASCII characters")
    return key
