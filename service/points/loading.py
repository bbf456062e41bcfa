"""A points file into the registry, on the way that bulk upserts go."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from engine.norms import load_norms
from service.audit.store import COMMAND, record
from service.bookings.rosters import Rosters
from service.errors import BadFileError
from service.http.problems import ProblemError
from service.http.routing import validation_problem
from service.merchants.store import create_merchant, find_merchant
from service.orders.checks import Checker
from service.points.areas import EVERYWHERE, Kept
from service.points.files import read_points
from service.points.ids import LOCAL_CHARS, why_no_point_id
from service.points.rules import facts_of
from service.points.schemas import BulkPointBody
from service.points.store import merchant_lock
from service.points.storing import StoredPoints, kept_as_they_stand, store_points, with_what_stands

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from engine.norms import Norms
    from service.points.files import PointsFile
    from service.points.rules import PointFacts
    from service.store.connections import WriteConnection
    from service.store.database import Store

__all__ = ["LoadReport", "load_points"]

_ADAPTER = TypeAdapter(BulkPointBody)
_POINTS_A_WRITE = 500
_OFFER = re.compile(r"/offers/(\d+)")
_OF_POINT = ("kind", "visibility", "features", "timezone", "country")
_NOT_LOCAL = re.compile(f"[^{LOCAL_CHARS}]")

Row = dict[str, Any]


@dataclass
class LoadReport:
    """
    What became of a points file.

    Attributes
    ----------
    n_points, n_written
        How many points it held that can be in the registry, and how many were not there alike already.
    bad
        The rows that were left out, in the order of the file.
    ignored
        Columns that mean nothing to linli.
    is_new_merchant, status
        Whether the merchant was made, and its state: only a verified one's points match.
    """

    n_points: int = 0
    n_written: int = 0
    bad: list[BadFileError] = field(default_factory=list)
    ignored: tuple[str, ...] = ()
    is_new_merchant: bool = False
    status: str = ""


def load_points(
    store: Store,
    path: Path,
    merchant_id: str,
    *,
    name: str | None = None,
    datum: str = "wgs84",
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> LoadReport:
    """
    Put the points of a file into the registry as those of a merchant, who is made and verified where he is missing.

    Points that are there alike already are passed over, so that a load that broke off is simply started again. What the
    file does not name stays as it stands: pauses, special days and slots. A point that would leave open orders behind is
    left as it is, and is one of the bad rows; so is one that is there and has a bad row. Of a new point the good rows
    are taken.

    Parameters
    ----------
    store
        Where to; a server may serve from it meanwhile.
    path
        Parquet, CSV or GeoJSON by its suffix.
    name
        Of a new merchant; without, its id.
    datum
        Of the file's places and areas.
    progress
        Told how many points are done, and of how many.

    Raises
    ------
    BadFileError
        If the file cannot be read.
    """
    norms = load_norms()
    file = read_points(path, datum=datum, norms=norms)
    report = LoadReport(bad=list(file.bad), ignored=file.ignored)
    report.is_new_merchant, report.status = store.write_now(
        lambda connection: _merchant(connection, merchant_id, name or merchant_id)
    )
    load = _Load(store, path, merchant_id, norms, report, file.bad_points)
    groups = _by_point(file)
    for start in range(0, len(groups), _POINTS_A_WRITE):
        load.take(groups[start : start + _POINTS_A_WRITE])
        progress(min(start + _POINTS_A_WRITE, len(groups)), len(groups))
    report.bad.sort(key=lambda error: error.row or 0)
    return report


def _merchant(connection: WriteConnection, merchant_id: str, name: str) -> tuple[bool, str]:
    """Return whether the merchant was made, and its state."""
    merchant_lock(connection, merchant_id)
    found = find_merchant(connection, merchant_id)
    if found is not None:
        return False, str(found.status)
    return True, str(create_merchant(connection, COMMAND, merchant_id, name, "verified").status)


def _by_point(file: PointsFile) -> list[list[tuple[int, Row]]]:
    """Return the rows of each point, with their places in the file."""
    groups: dict[str, list[tuple[int, Row]]] = {}
    for place, row in zip(file.row.tolist(), _rows(file), strict=True):
        groups.setdefault(row["point_id"], []).append((place, row))
    return list(groups.values())


def _rows(file: PointsFile) -> Iterator[Row]:
    for batch in file.table.to_batches():
        yield from batch.to_pylist()


class _Load:
    """A load under way: what it takes is stored, what it does not is noted in its report."""

    def __init__(
        self,
        store: Store,
        path: Path,
        merchant_id: str,
        norms: Norms,
        report: LoadReport,
        bad_points: Collection[str | None],
    ) -> None:
        self._store = store
        self._path = path
        self._merchant_id = merchant_id
        self._norms = norms
        self._report = report
        self._checker, self._rosters = Checker(None), Rosters(norms)
        self._seen: set[str] = set()
        self._bad_points = {None if own is None else _point_id(own, merchant_id) for own in bad_points}

    def take(self, groups: list[list[tuple[int, Row]]]) -> None:
        """Store the points of some groups of rows."""
        facts = self._facts([self._alike(group) for group in groups])
        while facts:
            stored = self._store.write_now(partial(self._write, facts=facts))
            n_taken = _n_before(stored.stopped_at, facts)
            self._report.n_points += n_taken - len(stored.refused)
            self._report.n_written += stored.n_changed
            for row, problem in stored.refused:
                self._note(row, problem.detail)
            facts = facts[n_taken:]

    def _alike(self, group: list[tuple[int, Row]]) -> list[tuple[int, Row]]:
        """Return the rows of a point that say the same of it as its first row; the others are noted."""
        first, alike = group[0][1], group[:1]
        for place, row in group[1:]:
            other = next((name for name in _OF_POINT if (row[name] or None) != (first[name] or None)), None)
            if other is None:
                alike.append((place, row))
            else:
                self._bad_points.add(_point_id(row["point_id"], self._merchant_id))
                told = f"{row[other]!r:.60}, and before {first[other]!r:.60}"
                self._note(place, f"{other} must be the same in all rows of a point, got {told}")
        return alike

    def _note(self, row: int, reason: str) -> None:
        self._report.bad.append(BadFileError(self._path, row, reason))

    def _write(self, connection: WriteConnection, facts: Sequence[tuple[int, PointFacts]]) -> StoredPoints:
        """Store the first of some points: as many as one write has time for."""
        merchant_id = self._merchant_id
        merchant_lock(connection, merchant_id)
        rows, new = zip(*facts, strict=True)
        filled = list(zip(rows, with_what_stands(connection, new), strict=True))
        good = [(row, fact) for row, fact in filled if not isinstance(fact, ProblemError)]
        kept = kept_as_they_stand(connection, new, self._bad_points)
        stored = store_points(connection, merchant_id, good, self._checker, self._rosters, kept)
        if stored.n_changed:
            record(connection, COMMAND, "point.load", merchant_id, merchant_id, points=stored.n_changed)
        taken = filled[: _n_before(stored.stopped_at, facts)]
        refused = [(row, problem) for row, problem in taken if isinstance(problem, ProblemError)]
        return stored._replace(refused=refused + stored.refused)

    def _facts(self, groups: list[list[tuple[int, Row]]]) -> list[tuple[int, PointFacts]]:
        """Return points, each behind its first row; a row that cannot be one is noted, and the others of its point stay."""
        facts: list[tuple[int, PointFacts]] = []
        while groups:
            judged = [_body(group, self._merchant_id) for group in groups]
            bodies = [(body.point_id, body) for body in judged if isinstance(body, BulkPointBody)]
            found = iter(facts_of(bodies, self._norms))
            again = []
            for group, body in zip(groups, judged, strict=True):
                fact = body if isinstance(body, ProblemError) else next(found)
                if isinstance(fact, ProblemError):
                    self._bad_points.add(_point_id(group[0][1]["point_id"], self._merchant_id))
                    number = _offer_number(fact)
                    self._note(group[number][0], fact.detail)
                    if len(group) > 1 and _names_offer(fact):
                        again.append(group[:number] + group[number + 1 :])
                elif fact.point_id in self._seen:
                    self._note(group[0][0], f"another point of the file is {fact.point_id}, too")
                else:
                    self._seen.add(fact.point_id)
                    facts.append((group[0][0], fact._replace(is_synthetic=bool(group[0][1]["synthetic"]))))
            groups = again
        return facts


def _n_before(row: int | None, facts: Sequence[tuple[int, PointFacts]]) -> int:
    """Return how many points stand before a row; all where it is None."""
    return len(facts) if row is None else [its for its, _ in facts].index(row)


def _names_offer(problem: ProblemError) -> bool:
    return bool(problem.troubles) and _OFFER.match(problem.troubles[0].where) is not None


def _offer_number(problem: ProblemError) -> int:
    found = _OFFER.match(problem.troubles[0].where) if problem.troubles else None
    return 0 if found is None else int(found[1])


def _point_id(own: str, merchant_id: str) -> str:
    """Return the id of a point that the file calls by its own."""
    return f"{merchant_id}:{_NOT_LOCAL.sub(':', own)}"  # such as the / of node/17


def _body(group: list[tuple[int, Row]], merchant_id: str) -> BulkPointBody | ProblemError:
    """Return the body that a merchant would have sent for these rows."""
    row = group[0][1]
    point_id = _point_id(row["point_id"], merchant_id)
    reason = why_no_point_id(point_id, merchant_id)
    if reason is not None:
        return ProblemError("validation", f"point_id {reason}")
    body = {
        "point_id": point_id,
        "kind": row["kind"] or "store",
        "name": row["name"] or point_id.removeprefix(f"{merchant_id}:"),
        "features": row["features"].split(";") if row["features"] else [],
        "visibility": row["visibility"],
        "offers": [_offer(offer) for _, offer in group],
        **{name: row[name] for name in ("address", "lat", "lng", "timezone", "country")},
    }
    try:
        return _ADAPTER.validate_python(body)
    except ValidationError as error:
        return validation_problem([{**one, "loc": ("body", *one["loc"])} for one in error.errors()])


def _offer(row: Row) -> Row:
    area: Any = EVERYWHERE
    if row["area"] is not None:
        area = Kept(row["area"])
    elif row["radius_m"] is not None:
        area = {"radius_m": row["radius_m"]}
    return {
        "offer": row["offer"],
        "area": area,
        "hours": row["hours"],
        "capacity": row["capacity"],
        "lead_s": row["lead_s"] or 0,  # in a points file none is none
    }
