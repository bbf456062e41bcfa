"""How many requests may be at work at once, of a kind, of a key and of a merchant."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from service.http.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.keys.ring import Caller

__all__ = ["LATER", "Lasting", "Shares", "whose"]

LATER = {"Retry-After": "1"}
"""What is told to who may come again at once."""


def whose(caller: Caller) -> tuple[str, str]:
    """
    Return what counts as one caller, ``merchant`` or ``key``, and its name.

    A merchant makes keys by itself, so all of its keys count as one; a key of no merchant counts alone.
    """
    return ("key", caller.key_id) if caller.merchant_id is None else ("merchant", caller.merchant_id)


class Shares:
    """Lets each have some requests at work at once, so that none keeps out the others; see `whose`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._n_of: dict[str, int] = {}

    @contextlib.contextmanager
    def place_of(self, caller: Caller) -> Iterator[None]:
        """
        Hold a place for a request of a caller.

        Raises
        ------
        ProblemError
            overloaded, where its merchant, or its key, has as many as it may have.
        """
        kind, name = whose(caller)
        n = self._n_of.get(name, 0)
        if n >= self._limit:
            text = f"this {kind} has {n} requests at work, as many as one may have; try again"
            raise ProblemError("overloaded", text, headers=LATER)
        self._n_of[name] = n + 1
        try:
            yield
        finally:
            self._n_of[name] -= 1
            if not self._n_of[name]:
                del self._n_of[name]


class Lasting(Shares):
    """How many requests of a kind that may last for minutes are at work, and how many may be: of one caller a quarter."""

    def __init__(self, limit: int) -> None:
        super().__init__(max(1, limit // 4))
        self.limit = limit
        self.n = 0
