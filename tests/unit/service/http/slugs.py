"""What a call is refused with."""

from __future__ import annotations

from collections.abc import Callable

from service.http.problems import ProblemError

__all__ = ["slug_of"]


def slug_of(call: Callable[[], object]) -> str | None:
    """Return the slug of the problem that a call raises, None where it raises nothing; any other error passes."""
    try:
        call()
    except ProblemError as error:
        return error.slug
    return None
