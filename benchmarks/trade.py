"""What is traded durably, as the benchmarks of orders and of bookings share their code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from benchmarks.frame import Exactness
    from service.feed.followers import Handler
    from service.store.connections import ReadConnection, WriteConnection

__all__ = ["Desk", "Read", "Trade"]

Read: TypeAlias = "Callable[[Callable[[ReadConnection], Any]], Any]"
"""Calls a function with a connection of its own and returns what it returns, as `Store.read_now` does."""


class Desk(Protocol):
    """Makes what is traded, one after the other."""

    @property
    def handlers(self) -> Sequence[Handler]:
        """What follows the feed beside it."""
        ...

    def find(self, read: Read, number: int) -> Any:
        """Return what the n-th one is made with, as it is found before its transaction."""
        ...

    def make(self, connection: WriteConnection, found: Any) -> None:
        """Make it with its idempotency record, as the route does."""
        ...


@dataclass(frozen=True)
class Trade:
    """
    What is traded.

    Attributes
    ----------
    name
        Of many: ``orders``.
    path, routes
        Where one is posted, and the module of the routes.
    skipped
        What the constant answer leaves out of that module: coroutines of which nothing is expected.
    tables
        Those that it changes.
    n_first
        How many are made before the clock starts, so that all is known in memory that a service knows.
    fill
        Enters where it is traded, and returns the key of an app.
    desk
        Opens a desk that knows nothing of any store yet.
    request
        Returns the n-th one as a request, given the key.
    check
        Tells whether a store holds what it must, given how many were made, at least and at most; None for no check
        but that of the rows against those of the bare loop.
    """

    name: str
    path: str
    routes: str
    tables: tuple[str, ...]
    n_first: int
    fill: Callable[[WriteConnection], str]
    desk: Callable[[], Desk]
    request: Callable[[int, str], bytes]
    check: Callable[[ReadConnection, range], Exactness] | None = None
    skipped: tuple[str, ...] = ()
