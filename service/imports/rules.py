"""From lines to bodies, without any store."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import TypeAdapter, ValidationError

from service.http.json_bodies import as_object, parse_json
from service.http.problems import PROBLEMS, ProblemError, Trouble
from service.http.routing import validation_problem
from service.imports.kinds import BadLine
from service.imports.lines import MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.imports.lines import Batch

__all__ = ["bad_line", "read_bodies"]

B = TypeVar("B")
_MAX_REASON_CHARS = 500


def read_bodies(
    batch: Batch, adapter: TypeAdapter[B], check: Callable[[B], ProblemError | None]
) -> tuple[list[tuple[int, B]], list[BadLine]]:
    """Return the bodies of a batch, each behind its line's number, and the lines that hold none or fail a check."""
    good: list[tuple[int, B]] = []
    bad: list[BadLine] = []
    for number, line in enumerate(batch.lines, batch.first):
        try:
            body = _body_of(line, adapter)
        except ProblemError as error:
            problem: ProblemError | None = error
        except ValidationError as error:
            problem = validation_problem([{**one, "loc": ("body", *one["loc"])} for one in error.errors()])
        else:
            problem = check(body)
        if problem is None:
            good.append((number, body))
        else:
            bad.append(bad_line(number, problem))
    return good, bad


def _body_of(line: bytes | None, adapter: TypeAdapter[B]) -> B:
    if line is None:
        raise ProblemError("payload-too-large", f"a line must have at most {MAX_LINE_BYTES} bytes")
    return adapter.validate_python(as_object(parse_json(line)))


def bad_line(line: int, problem: ProblemError) -> BadLine:
    """Return a line that is left out for a problem."""
    trouble = problem.troubles[0] if problem.troubles else Trouble("", problem.detail)
    reason = trouble.reason or PROBLEMS[problem.slug].title
    return BadLine(line, problem.slug, trouble.where, reason[:_MAX_REASON_CHARS])
