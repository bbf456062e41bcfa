"""The answer to a booking that nobody can keep: why, and what could be booked instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.errors import NotFeasibleError
from service.http.problems import ProblemError, as_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["visit_refusal"]

_TOLD = {
    "no_crew": "nobody can come in that window any more",
    "too_soon": "nobody can come as soon as that",
    "outside_area": "the point does not serve this place",
    "no_offer": "the point does not offer this",
    "paused": "nothing of this can be booked now",
}


def visit_refusal(error: Exception, slots: Sequence[dict[str, Any]]) -> ProblemError:
    """Return the answer to a booking that was refused; ``slots`` are windows that could be booked instead."""
    if not isinstance(error, NotFeasibleError):
        problem = as_problem(error)
        if problem is None:
            raise error
        return problem
    slug = "sold-out" if error.reason == "no_crew" else "not-feasible"
    told = _TOLD.get(error.reason, f"the point is {error.reason} then")
    return ProblemError(slug, told, more={"reason": error.reason, "slots": list(slots)})
