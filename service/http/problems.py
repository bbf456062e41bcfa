"""The one table of what can go wrong in a request: RFC 9457 problems by slug, and the errors that become them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from shapely.errors import GEOSException

from engine import errors as engine_errors
from geo import errors as geo_errors
from service import errors as service_errors
from service.errors import ServiceError
from service.keys.formats import redacted

__all__ = [
    "ERROR_SLUGS",
    "PROBLEMS",
    "ProblemError",
    "ProblemType",
    "Trouble",
    "as_problem",
    "internal_problem",
    "invalid",
    "is_of_memory",
    "problem_body",
    "trouble_of",
    "unauthenticated",
]

_BASE = "https://linli.dev/problems/"
MEDIA_TYPE = "application/problem+json"
_SERVER_FAULT, _UNAVAILABLE = 500, 503


@dataclass(frozen=True)
class ProblemType:
    """A kind of problem: its slug names it for ever, its title says it in one sentence."""

    slug: str
    status: int
    title: str

    @property
    def uri(self) -> str:
        """The type as RFC 9457 has it."""
        return _BASE + self.slug


_TYPES = (
    ("invalid-json", 400, "The body is not one JSON value as RFC 8259 has it."),
    ("idempotency-key-missing", 400, "This request creates something and needs an Idempotency-Key."),
    ("idempotency-key-invalid", 400, "The Idempotency-Key is not one header of 1 to 255 printable ASCII characters."),
    ("bad-request", 400, "The request cannot be understood."),
    ("unauthenticated", 401, "No key that is known and valid came with the request."),
    ("forbidden", 403, "The key is not allowed to do this."),
    ("not-found", 404, "There is nothing here that this key may see."),
    ("method-not-allowed", 405, "This place does not know that method."),
    ("state-conflict", 409, "What is there stands against it."),
    ("sold-out", 409, "There is not enough of it left."),
    ("not-feasible", 409, "The point cannot serve this order."),
    ("price-changed", 409, "It costs something else now."),
    ("payment-declined", 409, "The payment was declined."),
    ("idempotency-in-progress", 409, "A request with the same Idempotency-Key is still running."),
    ("precondition-failed", 412, "It has changed since the ETag in If-Match."),
    ("payload-too-large", 413, "The body is larger than this route takes."),
    ("batch-too-large", 413, "The batch holds more than this route takes."),
    ("geometry-too-large", 413, "The area has more vertices, holes or cells than are taken."),
    ("unsupported-media-type", 415, "The body is of a kind that this route does not take."),
    ("unsupported-encoding", 415, "Compressed request bodies are not taken."),
    ("validation", 422, "A value is not one that can be taken."),
    ("coordinate-out-of-range", 422, "A latitude or longitude lies outside the earth."),
    ("text-invalid", 422, "A text holds characters that no name or note needs."),
    ("code-wrong", 422, "No order that waits here has this code."),
    ("code-used", 409, "The order with this code was handed over a moment ago."),
    ("cursor-invalid", 422, "The cursor is not one that this list gave."),
    ("h3-invalid", 422, "It is not an H3 cell in its one form."),
    ("h3-resolution", 422, "The H3 cell has another resolution than is asked for."),
    ("geometry-invalid", 422, "The area crosses itself or is not closed."),
    ("geometry-empty", 422, "The area has no surface."),
    ("geometry-unsupported", 422, "It is not a polygon or multipolygon that can be a service area."),
    ("antimeridian", 422, "The area crosses the antimeridian and must be split there."),
    ("webhook-url-forbidden", 422, "Webhooks are sent to https addresses of the public internet only."),
    ("idempotency-key-reused", 422, "The Idempotency-Key was used for another request."),
    ("precondition-required", 428, "This request changes something and needs If-Match."),
    ("rate-limited", 429, "More requests came than the policy of this key allows."),
    ("internal", 500, "linli failed; the request id finds what happened in its log."),
    ("overloaded", 503, "The server has more to do than it can."),
    ("draining", 503, "The server is about to stop."),
    ("storage-unavailable", 503, "What was asked for could not be stored or read now."),
    ("deadline-exceeded", 503, "The request was not done within its deadline."),
)
PROBLEMS: Mapping[str, ProblemType] = {slug: ProblemType(slug, status, title) for slug, status, title in _TYPES}

ERROR_SLUGS: Mapping[type[Exception], tuple[str, int]] = {
    geo_errors.InvalidLatLngError: ("coordinate-out-of-range", 422),
    geo_errors.InvalidCellError: ("h3-invalid", 422),
    geo_errors.InvalidResolutionError: ("h3-resolution", 422),
    geo_errors.InvalidDatumError: ("validation", 422),
    geo_errors.InvalidGeometryError: ("geometry-invalid", 422),
    geo_errors.EmptyGeometryError: ("geometry-empty", 422),
    geo_errors.GeometryTooLargeError: ("geometry-too-large", 413),
    geo_errors.CoverTooLargeError: ("geometry-too-large", 422),
    geo_errors.AntimeridianError: ("antimeridian", 422),
    geo_errors.UnsupportedGeometryError: ("geometry-unsupported", 422),
    geo_errors.MapFileError: ("validation", 422),
    engine_errors.InvalidColumnError: ("validation", 422),
    engine_errors.InvalidOfferError: ("validation", 422),
    engine_errors.InvalidHoursError: ("validation", 422),
    engine_errors.InvalidTimezoneError: ("validation", 422),
    engine_errors.InvalidNormError: ("internal", 500),
    engine_errors.InvalidQueryError: ("validation", 422),
    engine_errors.UnkeptDayError: ("sold-out", 409),
    engine_errors.UnknownPointError: ("not-found", 404),
    service_errors.BadFileError: ("internal", 500),
    service_errors.DeadlineExceededError: ("deadline-exceeded", 503),
    service_errors.ForbiddenUrlError: ("webhook-url-forbidden", 422),
    service_errors.LeaseLostError: ("internal", 500),
    service_errors.NotFeasibleError: ("not-feasible", 409),
    service_errors.OverloadedError: ("overloaded", 503),
    service_errors.StateConflictError: ("state-conflict", 409),
    service_errors.StorageUnavailableError: ("storage-unavailable", 503),
    service_errors.StoreStateError: ("internal", 500),
}
"""Slug and status of every error of the layers below; the nearest class counts. A test fails where one is missing."""


@dataclass(frozen=True)
class Trouble:
    """One value that cannot be taken: ``where`` is a JSON pointer, a query parameter or a header."""

    where: str
    reason: str


@dataclass(eq=False)
class ProblemError(ServiceError):
    """
    A request that gets a problem for an answer.

    Attributes
    ----------
    slug
        Of `PROBLEMS`.
    detail
        What was expected, what came, and what to do.
    troubles
        Every value that is at fault, where there are such.
    headers
        To be sent with it, such as Retry-After.
    status
        Another status than the type's, where RELIABILITY has two for one slug.
    more
        What else the body tells, by name.
    """

    slug: str
    detail: str
    troubles: Sequence[Trouble] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(self.detail)

    @property
    def http_status(self) -> int:
        """The status of the answer."""
        return self.status or PROBLEMS[self.slug].status


def invalid(where: str, reason: str) -> ProblemError:
    """Return the problem of one value that cannot be taken."""
    return ProblemError("validation", f"{where} {reason}".strip(), (Trouble(where, reason),))


def unauthenticated(detail: str) -> ProblemError:
    """Return the problem of a request without a key that holds."""
    return ProblemError("unauthenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="linli"'})


def trouble_of(error: Exception, where: str | None = None) -> Trouble:
    """Return a value's trouble from an error that names its argument."""
    return Trouble(where if where is not None else str(getattr(error, "argument", "")), str(error))


def as_problem(error: Exception, where: str | None = None) -> ProblemError | None:
    """Return the problem of an error of the layers below, None for one that is not in the table."""
    if isinstance(error, ProblemError):
        return error
    if is_of_memory(error):
        return ProblemError("overloaded", "there is no memory for it now; try again", headers={"Retry-After": "1"})
    for kind in type(error).__mro__:
        if kind in ERROR_SLUGS:
            slug, status = ERROR_SLUGS[kind]
            if status >= _SERVER_FAULT:
                headers = {"Retry-After": "1"} if status == _UNAVAILABLE else {}
                return ProblemError(slug, PROBLEMS[slug].title, headers=headers, status=status)
            is_of_value = where is not None or hasattr(error, "argument")
            return ProblemError(slug, str(error), (trouble_of(error, where),) if is_of_value else (), status=status)
    return None


def is_of_memory(error: Exception) -> bool:
    """Tell whether there was not enough memory for something, GEOS's own among it."""
    return isinstance(error, MemoryError) or (isinstance(error, GEOSException) and "bad_alloc" in str(error))


def internal_problem(request_id: str) -> ProblemError:
    """Return the answer where linli failed: nothing of what happened but where the log has it."""
    return ProblemError("internal", f"linli failed; its log has it under {request_id}")


def problem_body(problem: ProblemError) -> bytes:
    """Return the body of a problem, without keys; the same for the same problem, so that it tells nobody what is there."""
    kind = PROBLEMS[problem.slug]
    body: dict[str, Any] = {
        "type": kind.uri,
        "title": kind.title,
        "status": problem.http_status,
        "detail": problem.detail,
    }
    body |= problem.more
    if problem.troubles:
        body["errors"] = [{"where": trouble.where, "reason": trouble.reason} for trouble in problem.troubles]
    told = orjson.dumps(body)
    return redacted(told.decode()).encode() if b"linli_" in told else told
