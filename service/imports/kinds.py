"""What an import can be of: how its lines become facts, and how those are stored."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
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

    def of_lines(self, lines: range) -> Prepared[F]:
        """Return what is there of some of the lines."""
        facts = [(number, fact) for number, fact in self.facts if number in lines]
        return replace(self, facts=facts, bad=[bad for bad in self.bad if bad.line in lines])


@dataclass(frozen=True)
class Stored:
    """
    What became of a batch.

    Attributes
    ----------
    n_upserted
        How many lines changed something.
    bad
        Those that the store refused.
    stopped_at
        The line of the first fact that is left for another write, as are those behind it; None where none is.
    """

    n_upserted: int
    bad: Sequence[BadLine] = ()
    stopped_at: int | None = None


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
        """Store the facts of a batch, or the first of them; the merchant is locked."""
        ...
