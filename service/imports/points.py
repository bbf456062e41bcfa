"""Imports of points."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from service.http.problems import ProblemError, invalid
from service.imports.kinds import Prepared, Stored
from service.imports.rules import bad_line, json_object, read_bodies
from service.points.ids import why_no_point_id
from service.points.rules import facts_of
from service.points.schemas import BulkPointBody
from service.points.store import has_merchant
from service.points.storing import store_points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.imports.lines import Batch
    from service.points.rules import PointFacts
    from service.services import Services
    from service.store.connections import ReadConnection, WriteConnection

__all__ = ["PointImport"]

_ADAPTER = TypeAdapter(BulkPointBody)


@dataclass(frozen=True)
class PointImport:
    """
    Points, one a line.

    Attributes
    ----------
    merchant_id
        Whose they are.
    services
        Whose norms stand in for areas that are left out.
    """

    merchant_id: str
    services: Services
    action: str = "point.import"
    detail: dict[str, str] = field(default_factory=dict)
    most_lines: int = 1_000_000

    def has_subject(self, connection: ReadConnection) -> bool:
        """Tell whether there is such a merchant."""
        return has_merchant(connection, self.merchant_id)

    def prepare(self, batch: Batch) -> Prepared[PointFacts]:
        """Read the points of a batch, and look up what they left out."""
        bodies, bad = read_bodies(batch, self._body_of)
        facts: list[tuple[int, PointFacts]] = []
        found = facts_of([(body.point_id, body) for _, body in bodies], self.services.norms)
        for (number, _), one in zip(bodies, found, strict=True):
            if isinstance(one, ProblemError):
                bad.append(bad_line(number, one))
            else:
                facts.append((number, one))
        filled = Counter(told.where.rpartition("/")[2] for _, fact in facts for told in fact.filled)
        return Prepared(facts, sorted(bad), filled)

    def _body_of(self, line: bytes) -> BulkPointBody:
        body = _ADAPTER.validate_python(json_object(line))
        reason = why_no_point_id(body.point_id, self.merchant_id)
        if reason is not None:
            raise invalid("/point_id", reason)
        return body

    def store(self, connection: WriteConnection, facts: Sequence[tuple[int, PointFacts]]) -> Stored:
        """Store points; one that is so already keeps its revision, and one that would leave open orders behind is left."""
        orders, rosters = self.services.bookings
        stored = store_points(connection, self.merchant_id, facts, orders.checker, rosters)
        bad = [bad_line(line, problem) for line, problem in stored.refused]
        return Stored(stored.n_changed, bad, stored.stopped_at)
