"""How many requests may be at work at once, of a kind and of a key."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from service.http.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from service.keys.ring import Caller

__all__ = ["LATER", "KeyShares", "Lasting"]

LATER = {"Retry-After": "1"}
"""What is told to who may come again at once."""


class KeyShares:
    """Lets each key have some requests at work at once, so that none keeps out the others."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._n_of: dict[str, int] = {}

    @contextlib.contextmanager
    def place_of(self, key_id: str, whose: str = "key") -> Iterator[None]:
        """
        Hold a place for a request of a key, or of whoever else is named so.

        Raises
        ------
        ProblemError
            overloaded, where the key has as many as it may have.
        """
        n = self._n_of.get(key_id, 0)
        if n >= self._limit:
            text = f"this {whose} has {n} requests at work, as many as one may have; try again"
            raise ProblemError("overloaded", text, headers=LATER)
        self._n_of[key_id] = n + 1
        try:
            yield
        finally:
            self._n_of[key_id] -= 1
            if not self._n_of[key_id]:
                del self._n_of[key_id]


class Lasting:
    """
    How many requests of a kind that may last for minutes are at work, and how many may be: of one merchant a quarter.

    A merchant makes keys by itself, so all of its keys count as one; a key of no merchant counts alone.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.n = 0
        self._shares = KeyShares(max(1, limit // 4))

    def place_of(self, caller: Caller) -> AbstractContextManager[None]:
        """Hold a place for a request of a caller; raises as `KeyShares.place_of` does."""
        if caller.merchant_id is None:
            return self._shares.place_of(caller.key_id)
        return self._shares.place_of(caller.merchant_id, "merchant")
