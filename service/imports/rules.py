"""From lines to bodies, without any store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from service.http.json_bodies import as_object, parse_json
from service.http.problems import PROBLEMS, ProblemError, Trouble
from service.http.routing import validation_problem
from service.imports.kinds import BadLine
from service.imports.lines import MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.imports.lines import Batch

__all__ = ["bad_line", "json_object", "read_bodies"]

B = TypeVar("B")
_MAX_PLACE_CHARS, _MAX_REASON_CHARS = 200, 500
_UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"


def json_object(line: bytes) -> dict[str, Any]:
    """Return the JSON object of a line."""
    return as_object(parse_json(line))


def read_bodies(batch: Batch, body_of: Callable[[bytes], B]) -> tuple[list[tuple[int, B]], list[BadLine]]:
    """Return the bodies of a batch, each behind its line's number, and the lines of which ``body_of`` raises a problem."""
    good: list[tuple[int, B]] = []
    bad: list[BadLine] = []
    for number, line in enumerate(batch.lines, batch.first):
        try:
            good.append((number, body_of(_whole(line))))
        except ProblemError as problem:
            bad.append(bad_line(number, problem))
        except ValidationError as error:
            errors = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
            bad.append(bad_line(number, validation_problem(errors)))
    return good, bad


def _whole(line: bytes | None) -> bytes:
    if line is None:
        raise ProblemError("payload-too-large", f"a line must have at most {MAX_LINE_BYTES} bytes")
    return line


def bad_line(line: int, problem: ProblemError) -> BadLine:
    """Return a line that is left out for a problem, its place and reason short and printable, whatever the line held."""
    trouble = problem.troubles[0] if problem.troubles else Trouble("", problem.detail)
    reason = trouble.reason or PROBLEMS[problem.slug].title
    return BadLine(
        line, problem.slug, _printable(trouble.where[:_MAX_PLACE_CHARS]), _printable(reason[:_MAX_REASON_CHARS])
    )


def _printable(text: str) -> str:
    """Return a text that every database keeps: PostgreSQL takes no NUL."""
    return text if text.isprintable() else "".join(one if one.isprintable() else _UNPRINTABLE for one in text)
