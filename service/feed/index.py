"""The index of this process: the engine, and the position of the feed that each of its versions stands for."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, select

from engine import Engine
from engine.errors import UnknownPointError
from service.feed.columns import COLUMNS, REVISION, columns_of, stock_of, units_left
from service.feed.outbox import START, Position
from service.stock.store import stock_changes, stock_of_points
from service.store.tables import merchants, offers, points

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from engine.holidays import HolidayFile
    from service.feed.outbox import Change
    from service.store.connections import AnyRow, ReadConnection

__all__ = ["IndexView", "LiveIndex", "Revisions", "store_digest"]

Revisions = dict[str, tuple[int, int]]
"""By point: `REVISION` of it, and the revision of its stock. Each change that the index must know of changes one."""

_LOG = logging.getLogger(__name__)
_POINTS_A_READ = 500
_MOST_VERSIONS = 4096
_MODULUS = 1009  # a sum alone would not see a point too many where another has one revision less
_NEVER = (-1, 0)
_ALIVE = points.c.is_deleted.is_(False)
_REVISION = REVISION.label("revision")
_ROWS = (
    select(*COLUMNS)
    .join_from(points, merchants, points.c.merchant_id == merchants.c.merchant_id)
    .join(offers, points.c.point_id == offers.c.point_id)
    .where(_ALIVE)
)
_SOME = _ROWS.where(points.c.point_id.in_(bindparam("ids", expanding=True))).order_by(points.c.point_id)
_SOME_STOCK = (
    select(offers.c.point_id, offers.c.offer, offers.c.capacity, offers.c.in_work, points.c.stock_revision, _REVISION)
    .join_from(offers, points, offers.c.point_id == points.c.point_id)
    .join(merchants, points.c.merchant_id == merchants.c.merchant_id)
    .where(_ALIVE, offers.c.point_id.in_(bindparam("ids", expanding=True)))
)
_OF_MERCHANTS = (
    select(points.c.point_id, _REVISION)
    .join_from(points, merchants, points.c.merchant_id == merchants.c.merchant_id)
    .where(_ALIVE, points.c.merchant_id.in_(bindparam("ids", expanding=True)))
)


class IndexView:
    """
    An engine with the feed's position of each of its versions.

    Attributes
    ----------
    engine
        Answers; changed by the follower alone.
    """

    def __init__(self, engine: Engine, position: Position) -> None:
        self.engine = engine
        self._positions = {engine.version: str(position)}

    def position_of(self, version: int) -> str:
        """Return the feed's position that a version of the engine stands for."""
        return self._positions[version]

    def apply(self, changes: dict[str, Any]) -> None:
        """Change the engine; its new version stands for the position of the last until it is said to be further."""
        now = self.engine.version
        self._positions[now + 1] = self._positions[now]
        self._positions.pop(now + 1 - _MOST_VERSIONS, None)
        self.engine.apply(changes)

    def advance(self, position: Position) -> None:
        """Let the current version stand for a later position: it knows all up to there."""
        self._positions[self.engine.version] = str(position)


class LiveIndex:
    """
    Keeps an engine equal to the store.

    A change says which point it concerns; what the point is now is read from the store, so that changes that come
    twice, late or in another order do no harm.

    Parameters
    ----------
    extra_days
        Holidays that an operator adds.
    """

    def __init__(self, extra_days: HolidayFile | None = None) -> None:
        self._extra_days = extra_days
        self.view = IndexView(_engine_of([], extra_days), START)
        self._revisions: Revisions = {}
        self._left_out: Revisions = {}

    @property
    def extra_days(self) -> HolidayFile | None:
        """Holidays that the operator adds."""
        return self._extra_days

    @property
    def n_points(self) -> int:
        """How many points it knows."""
        return len(self._revisions)

    @property
    def n_left_out(self) -> int:
        """How many points it cannot hold as they are."""
        return len(self._left_out)

    @property
    def revisions(self) -> Revisions:
        """For each point that it knows, its `REVISION` and the revision of its stock."""
        return self._revisions

    def restore(self, engine: Engine, revisions: Revisions, position: Position) -> None:
        """Go on from a snapshot."""
        self._revisions, self._left_out = revisions, {}
        self.view = IndexView(engine, position)

    def reload(self, connection: ReadConnection, position: Position) -> None:
        """Build the index anew from the store."""
        rows = connection.rows(_ROWS.order_by(points.c.point_id))
        revisions = _revisions_of(rows)
        stock = _of_known(stock_of_points(connection, None), revisions)
        refused: set[str] = set()
        try:
            view = IndexView(_engine_of(rows, self._extra_days, stock), position)
        except MemoryError:  # of all together: no point is to blame
            raise
        except Exception:  # noqa: BLE001 - whatever is broken of a point is found below, and is its own alone
            view = IndexView(_engine_of([], self._extra_days), position)
            refused = self._apply_one_by_one(view, rows, [], stock)
        self._left_out = {point_id: revisions.pop(point_id) for point_id in refused}
        self.view, self._revisions = view, revisions

    def follow(self, connection: ReadConnection, changes: Sequence[Change]) -> None:
        """Bring the points that changes concern up to date."""
        position = changes[-1].position
        whole = {change.subject for change in changes if change.kind == "point"}
        owners = {change.subject for change in changes if change.kind == "merchant"}
        if owners:
            whole |= self._stale(map(tuple, connection.rows(_OF_MERCHANTS, {"ids": sorted(owners)})))
        stock = {change.subject for change in changes if change.kind == "stock"} - whole
        stale: set[str] = set()
        for ids in _pieces(sorted(stock)):
            stale |= self._set_stock(connection, connection.rows(_SOME_STOCK, {"ids": ids}))
        for ids in _pieces(sorted(whole | stale)):
            self._replace(connection.rows(_SOME, {"ids": ids}), ids, stock_of_points(connection, ids))
        self.view.advance(position)

    def verify(self, connection: ReadConnection) -> bool:
        """Tell whether the index knows as many points as the store, each of the same revision; take again what was left out."""
        for ids in _pieces(sorted(self._left_out)):
            self._replace(connection.rows(_SOME, {"ids": ids}), ids, stock_of_points(connection, ids))
        return self.digest() == store_digest(connection)

    def digest(self) -> str:
        """Return a digest of what the index holds, and was told and had to leave out: equal to `store_digest` of the same facts."""
        totals = [whole + 2 * stock for whole, stock in (self._revisions | self._left_out).values()]
        return _digest(len(totals), sum(totals), sum(total * (total % _MODULUS) for total in totals))

    def _replace(self, rows: Sequence[AnyRow], ids: Collection[str], stock: Sequence[AnyRow]) -> None:
        alive = _revisions_of(rows)
        stock = _of_known(stock, alive)
        gone = [point_id for point_id in ids if point_id not in alive and point_id in self._revisions]
        refused: set[str] = set()
        try:
            self.view.apply(_changes(rows, gone, stock))
        except Exception:  # noqa: BLE001 - as in `reload`; what is too large for the memory is one of them, too
            refused = self._apply_one_by_one(self.view, rows, gone, stock)
        for point_id in gone:
            del self._revisions[point_id]
        for point_id in ids:
            self._left_out.pop(point_id, None)
        for point_id in refused:
            self._revisions.pop(point_id, None)
            self._left_out[point_id] = alive.pop(point_id)
        self._revisions.update(alive)

    def _apply_one_by_one(
        self, view: IndexView, rows: Sequence[AnyRow], gone: Iterable[str], stock: Sequence[AnyRow]
    ) -> set[str]:
        """
        Apply what can be applied, and return the points that could not be.

        One that cannot be read, or is refused, does not hold up the others, and is in the index no more.
        """
        for point_id in gone:
            _drop(view, point_id)
        refused: set[str] = set()
        of_point = {point_id: list(own) for point_id, own in groupby(stock, attrgetter("point_id"))}
        for point_id, of_offers in groupby(rows, attrgetter("point_id")):
            own = list(of_offers)
            try:
                view.apply(_changes(own, [], of_point.get(point_id, [])))
            except Exception as error:  # noqa: BLE001 - it is told, and tried again
                refused.add(point_id)
                if self._left_out.get(point_id) != (own[0].revision, own[0].stock_revision):  # told once
                    _LOG.critical("point %s cannot be indexed and is left out: %r", point_id, error)
                _drop(view, point_id)
        return refused

    def _stale(self, revisions: Iterable[tuple[str, int]]) -> set[str]:
        """Return the points that are not as they are known, apart from their stock, given each with its `REVISION` now."""
        known = self._revisions
        return {point_id for point_id, revision in revisions if known.get(point_id, _NEVER)[0] != revision}

    def _set_stock(self, connection: ReadConnection, rows: Sequence[AnyRow]) -> set[str]:
        """Set what is left at points that are else as they are known; return those that are not."""
        now = _revisions_of(rows)
        stale = self._stale((point_id, whole) for point_id, (whole, _) in now.items())
        known = [row for row in rows if row.point_id not in stale]
        if not known:
            return stale
        seen = {row.point_id: self._revisions[row.point_id][1] for row in known}
        changed = stock_changes(connection, seen)
        try:
            columns = zip(*((row.point_id, row.offer, units_left(row)) for row in known), strict=True)
            changes: dict[str, Any] = {"capacity": tuple(map(list, columns))}
            if changed:
                changes["stock"] = stock_of(changed)
            self.view.apply(changes)
        except Exception:  # noqa: BLE001 - one of them is not in the index, or broken: each is taken whole, as in `_replace`
            return set(now)
        self._revisions.update(_revisions_of(known))
        return stale


def store_digest(connection: ReadConnection) -> str:
    """Return the digest of the points in the store, as `LiveIndex.digest`."""
    total = REVISION + 2 * points.c.stock_revision  # what else could hide whether a merchant may serve is even
    of_points = (
        select(func.count(), func.sum(total), func.sum(total * (total % _MODULUS)))
        .join_from(points, merchants, points.c.merchant_id == merchants.c.merchant_id)
        .where(_ALIVE)
    )
    row = connection.row(of_points)
    n_points, totals, products = (0, 0, 0) if row is None else row
    return _digest(int(n_points), int(totals or 0), int(products or 0))


def _revisions_of(rows: Sequence[AnyRow]) -> Revisions:
    return {row.point_id: (row.revision, row.stock_revision) for row in rows}


def _digest(*numbers: int) -> str:
    return hashlib.blake2b(" ".join(map(str, numbers)).encode(), digest_size=8).hexdigest()


def _drop(view: IndexView, point_id: str) -> None:
    with contextlib.suppress(UnknownPointError):
        view.apply({"remove": [point_id]})


def _pieces(ids: list[str]) -> Iterable[list[str]]:
    return (ids[start : start + _POINTS_A_READ] for start in range(0, len(ids), _POINTS_A_READ))


def _of_known(stock: Sequence[AnyRow], known: Collection[str]) -> list[AnyRow]:
    return [row for row in stock if row.point_id in known]


def _changes(rows: Sequence[AnyRow], gone: list[str], stock: Sequence[AnyRow]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if gone:
        changes["remove"] = gone
    if rows:
        changes["upsert"] = columns_of(rows, stock)
    return changes


def _engine_of(rows: Sequence[AnyRow], extra_days: HolidayFile | None, stock: Sequence[AnyRow] = ()) -> Engine:
    return Engine.from_columns(**columns_of(rows, stock), extra_days=extra_days)
