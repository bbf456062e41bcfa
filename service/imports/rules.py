"""From lines to facts, without any store."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from pydantic import TypeAdapter, ValidationError

from service.http.json_bodies import as_object, parse_json
from service.http.problems import PROBLEMS, ProblemError, Trouble, invalid
from service.http.routing import validation_problem
from service.imports.lines import MAX_LINE_BYTES
from service.points.ids import why_no_point_id
from service.points.rules import facts_of
from service.points.schemas import BulkPointBody

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.norms import Norms
    from service.imports.lines import Batch
    from service.points.rules import PointFacts
    from service.points.schemas import Filled

__all__ = ["BadLine", "Prepared", "counted", "prepare", "without_repeats"]

_ADAPTER = TypeAdapter(BulkPointBody)
_MAX_REASON_CHARS = 500


class BadLine(NamedTuple):
    """A line that cannot be a point, named and ordered as the columns of its table."""

    line: int
    slug: str
    place: str
    reason: str


class Prepared(NamedTuple):
    """A batch ready to be stored."""

    facts: list[PointFacts]
    bad: list[BadLine]
    filled: Counter[str]


def prepare(batch: Batch, merchant_id: str, norms: Norms) -> Prepared:
    """Read the lines of a batch; one that is bad leaves the others in."""
    bodies: list[BulkPointBody] = []
    numbers: list[int] = []
    bad: list[BadLine] = []
    prefix = f"{merchant_id}:"
    for number, line in enumerate(batch.lines, batch.first):
        try:
            body = _body_of(line)
            if not body.point_id.startswith(prefix) or why_no_point_id(body.point_id, merchant_id):
                raise _bad_id(body.point_id, merchant_id)
        except ProblemError as problem:
            bad.append(_told(number, problem))
        except ValidationError as error:
            bad.append(
                _told(number, validation_problem([{**one, "loc": ("body", *one["loc"])} for one in error.errors()]))
            )
        else:
            bodies.append(body)
            numbers.append(number)
    facts: list[PointFacts] = []
    for number, found in zip(numbers, facts_of([(body.point_id, body) for body in bodies], norms), strict=True):
        if isinstance(found, ProblemError):
            bad.append(_told(number, found))
        else:
            facts.append(found)
    return Prepared(facts, sorted(bad), counted(facts))


def _body_of(line: bytes | None) -> BulkPointBody:
    if line is None:
        raise ProblemError("payload-too-large", f"a line must have at most {MAX_LINE_BYTES} bytes")
    return _ADAPTER.validate_python(as_object(parse_json(line)))


def _bad_id(point_id: str, merchant_id: str) -> ProblemError:
    return invalid("/point_id", why_no_point_id(point_id, merchant_id) or "")


def _told(line: int, problem: ProblemError) -> BadLine:
    trouble = problem.troubles[0] if problem.troubles else Trouble("", problem.detail)
    reason = trouble.reason or PROBLEMS[problem.slug].title
    return BadLine(line, problem.slug, trouble.where, reason[:_MAX_REASON_CHARS])


def counted(facts: Sequence[PointFacts]) -> Counter[str]:
    """Return how often what stood in for something left out."""
    return Counter(_name(filled) for fact in facts for filled in fact.filled)


def _name(filled: Filled) -> str:
    return filled.where.rpartition("/")[2]


def without_repeats(facts: Sequence[PointFacts]) -> list[list[PointFacts]]:
    """Return facts in as many pieces as it takes for no piece to name a point twice, their order kept."""
    pieces: list[list[PointFacts]] = [[]]
    seen: set[str] = set()
    for fact in facts:
        if fact.point_id in seen:
            pieces.append([])
            seen.clear()
        seen.add(fact.point_id)
        pieces[-1].append(fact)
    return pieces
