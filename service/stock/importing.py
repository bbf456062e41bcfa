"""Imports of what a point has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from service.http.access import not_found
from service.http.problems import ProblemError
from service.imports.kinds import Prepared, Stored
from service.imports.rules import bad_line, json_object, read_bodies
from service.points.store import find_point
from service.stock.counting import lock_points
from service.stock.rules import facts_of
from service.stock.schemas import BulkStockBody
from service.stock.store import put_entries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.imports.lines import Batch
    from service.stock.csv_lines import CsvLines
    from service.stock.rules import StockFacts
    from service.store.connections import ReadConnection, WriteConnection

__all__ = ["StockImport"]

_ADAPTER = TypeAdapter(BulkStockBody)


@dataclass(frozen=True)
class StockImport:
    """
    Entries of one point, one a line.

    Attributes
    ----------
    merchant_id, point_id
        Whose, and where they are.
    table
        Reads the lines of a CSV file; None where each holds a JSON object.
    """

    merchant_id: str
    point_id: str
    table: CsvLines | None = None
    action: str = "stock.import"
    most_lines: int = 100_000

    @property
    def detail(self) -> dict[str, str]:
        """Where they are."""
        return {"point_id": self.point_id}

    def has_subject(self, connection: ReadConnection) -> bool:
        """Tell whether there is such a point."""
        return find_point(connection, self.point_id) is not None

    def prepare(self, batch: Batch) -> Prepared[StockFacts]:
        """Read the entries of a batch."""
        object_of = json_object
        if self.table is not None:
            object_of = self.table.object_of
            if batch.first == 1:
                self.table.check_header()
                batch = batch._replace(first=2, lines=batch.lines[1:])
        bodies, bad = read_bodies(batch, lambda line: _ADAPTER.validate_python(object_of(line)))
        return Prepared([(number, facts_of(body.sku, body)) for number, body in bodies], bad)

    def store(self, connection: WriteConnection, facts: Sequence[tuple[int, StockFacts]]) -> Stored:
        """Store entries; those that cannot be beside what is there are told."""
        if not self.has_subject(connection):
            raise not_found()
        lock_points(connection, [self.point_id])
        refused = put_entries(connection, self.merchant_id, self.point_id, [fact for _, fact in facts])
        bad = [
            bad_line(facts[position][0], ProblemError("state-conflict", reason)) for position, reason in refused.items()
        ]
        return Stored(len(facts) - len(bad), bad)
