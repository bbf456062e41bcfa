"""Results kept by the texts that they are of: many of short ones, few of long ones, so that nobody's hours fill the memory."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

__all__ = ["LONG_CHARS", "kept_by_texts"]

P = ParamSpec("P")
T = TypeVar("T")
LONG_CHARS = 300  # parsed, hours take some 25 bytes a character
_MOST_LONG = 512


def kept_by_texts(most: int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """
    Let a function keep its results, those used last.

    Parameters
    ----------
    most
        How many of texts that have at most `LONG_CHARS` characters together; of longer ones it keeps 512.

    Returns
    -------
    Callable
        A decorator of functions whose positional arguments are texts, or None.
    """

    def keeping(function: Callable[P, T]) -> Callable[P, T]:
        short: Any = functools.lru_cache(maxsize=most)(function)
        long: Any = functools.lru_cache(maxsize=min(most, _MOST_LONG))(function)

        @functools.wraps(function)
        def kept(*texts: P.args, **named: P.kwargs) -> T:
            n_chars = sum(len(text) for text in texts if isinstance(text, str))
            found: T = (short if n_chars <= LONG_CHARS else long)(*texts, **named)
            return found

        return kept

    return keeping
