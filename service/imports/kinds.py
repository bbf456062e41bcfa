"""What an import can be of: how its lines become facts, and how those are stored."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.imports.lines import Batch
    from service.store.connections import ReadConnection, WriteConnection

__all__ = ["BadLine", "ImportKind", "Prepared", "Stored"]

F = TypeVar("F")


class BadLine(NamedTuple):
    """A line that is left out, named and ordered as the columns of its table."""

    line: int
    slug: str
    place: str
    reason: str


@dataclass(frozen=True)
class Prepared(Generic[F]):
    """
    A batch ready to be stored.

    Attributes
    ----------
    facts
        Of the good lines, each behind its number.
    bad
        The others.
    filled
        How often what stood in for something left out.
    """

    facts: Sequence[tuple[int, F]]
    bad: Sequence[BadLine]
    filled: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Stored:
    """How many lines of a batch changed something, and those that the store refused."""

    n_upserted: int
    bad: Sequence[BadLine] = ()


class ImportKind(Protocol[F]):
    """Reads and stores the lines of an import."""

    @property
    def action(self) -> str:
        """What its records in the trail say."""
        ...

    @property
    def detail(self) -> dict[str, str]:
        """What else they say."""
        ...

    @property
    def most_lines(self) -> int:
        """How many lines are taken."""
        ...

    @property
    def merchant_id(self) -> str:
        """Whose it is."""
        ...

    def has_subject(self, connection: ReadConnection) -> bool:
        """Tell whether that is there which the lines are about."""
        ...

    def prepare(self, batch: Batch) -> Prepared[F]:
        """Read the lines of a batch, without any store; one that is bad leaves the others in."""
        ...

    def store(self, connection: WriteConnection, facts: Sequence[tuple[int, F]]) -> Stored:
        """Store the facts of a batch; the merchant is locked."""
        ...
