"""Points in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, delete, func, select, update

from service.bookings.calendars import delete_calendars
from service.crews.forgetting import forget_roster
from service.points.rules import OfferFacts, PointFacts
from service.stock.counting import count_on
from service.stock.store import delete_stock
from service.store.tables import merchants, offers, points

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = [
    "PUBLIC_OFFERS",
    "WHOLE_OFFERS",
    "PointFilter",
    "PointRecord",
    "change_point",
    "delete_point",
    "find_point",
    "has_merchant",
    "list_points",
    "merchant_lock",
    "news",
    "set_capacity",
    "set_offer_paused",
    "write_points",
]

_POINT_NAMES = tuple(name for name in PointFacts._fields if name not in {"offers", "filled"})
_OFFER_NAMES = OfferFacts._fields
_N_FACTS = len(_POINT_NAMES)
_IDS: Any = bindparam("ids", expanding=True)
_KNOWN = (  # locked: orders change what its offers have in work
    select(*(points.c[name] for name in _POINT_NAMES), points.c.revision, points.c.is_deleted)
    .where(points.c.point_id.in_(_IDS))
    .order_by(points.c.point_id)
    .with_for_update()
)
WHOLE_OFFERS, PUBLIC_OFFERS = (  # all of the offers of points, and what everyone may know, which no area is
    select(*(offers.c[name] for name in names), offers.c.point_id)
    .where(offers.c.point_id.in_(_IDS))
    .order_by(offers.c.point_id, offers.c.offer)
    for names in ((*_OFFER_NAMES, "in_work"), ("offer", "hours", "lead_s", "is_paused"))
)
_INSERTED = (*_POINT_NAMES, "merchant_id", "is_deleted", "revision", "created_at", "updated_at")
_INSERTED_OFFERS = ("point_id", *_OFFER_NAMES, "in_work")
_UPDATE_POINT = (
    update(points)
    .where(points.c.point_id == bindparam("of_point"))
    .values(
        {name: bindparam(name) for name in (*_POINT_NAMES[1:], "is_deleted", "revision", "updated_at")}  # but its id
    )
)
_COUNT_CAPACITY = (
    update(points)
    .where(points.c.point_id == bindparam("of_point"))
    .values(capacity_revision=points.c.capacity_revision + 1)
)
_DELETE_OFFERS = delete(offers).where(offers.c.point_id == bindparam("of_point"))


class PointRecord(NamedTuple):
    """
    A point that is not deleted.

    Attributes
    ----------
    row
        Of ``points``, with ``status`` of its merchant.
    offers
        By name.
    """

    row: AnyRow
    offers: Sequence[AnyRow]


class PointFilter(NamedTuple):
    """
    Which points are listed; None leaves a condition out.

    Attributes
    ----------
    owner
        The merchant who alone is asked about.
    is_public
        Whether only those are listed that everyone may find.
    """

    merchant_id: str | None = None
    kind: str | None = None
    visibility: str | None = None
    is_paused: bool | None = None
    offer: str | None = None
    feature: str | None = None
    owner: str | None = None
    is_public: bool = False


def merchant_lock(connection: WriteConnection, merchant_id: str) -> None:
    """Let no other write about this merchant go on until this one has ended; called before anything else."""
    connection.lock(f"merchant {merchant_id}")


def has_merchant(connection: ReadConnection, merchant_id: str) -> bool:
    """Tell whether there is such a merchant."""
    query = select(merchants.c.merchant_id).where(merchants.c.merchant_id == merchant_id)
    return connection.row(query) is not None


def write_points(
    connection: WriteConnection, merchant_id: str, facts: Sequence[PointFacts], *, skips_same: bool = False
) -> int:
    """
    Make or replace points of one merchant, each named once; return how many were not so already.

    Parameters
    ----------
    merchant_id
        Whose they are; the caller has locked it.
    skips_same
        Whether a point that is so already keeps its revision.
    """
    known = _known(connection, [fact.point_id for fact in facts])
    if skips_same and known:
        facts = [fact for fact in facts if fact.point_id not in known or not known[fact.point_id].holds(fact)]
    now = connection.now_us
    _replace(connection, [(known[fact.point_id], fact) for fact in facts if fact.point_id in known], now)
    new = [fact for fact in facts if fact.point_id not in known] if known else facts
    rest = (merchant_id, False, 1, now, now)
    connection.insert_rows(points, _INSERTED, [fact[:_N_FACTS] + rest for fact in new])
    connection.insert_rows(
        offers,
        _INSERTED_OFFERS,
        [(fact.point_id, *offer, _in_work(known, fact, offer)) for fact in facts for offer in fact.offers],
    )
    revisions = [(fact.point_id, known[fact.point_id].revision + 1 if fact.point_id in known else 1) for fact in facts]
    connection.record_changes("point", revisions, merchant_id)
    return len(facts)


def news(connection: WriteConnection, facts: Sequence[tuple[int, PointFacts]]) -> list[tuple[int, PointFacts]]:
    """Lock points; return them, each behind its line, but for lines by which the point is so already and stays so."""
    known = _known(connection, [fact.point_id for _, fact in facts])
    found: list[tuple[int, PointFacts]] = []
    changed: set[str] = set()
    for line, fact in facts:
        if fact.point_id in changed or fact.point_id not in known or not known[fact.point_id].holds(fact):
            changed.add(fact.point_id)
            found.append((line, fact))
    return found


def _replace(connection: WriteConnection, changed: Sequence[tuple[_Known, PointFacts]], now: int) -> None:
    """Change the rows of points, and take their offers away."""
    if not changed:
        return
    values = [
        {
            **dict(zip(_POINT_NAMES, fact, strict=False)),
            "of_point": fact.point_id,
            "is_deleted": False,
            "revision": stands.revision + 1,
            "updated_at": now,
        }
        for stands, fact in changed
    ]
    connection.run(_UPDATE_POINT, values)
    connection.run(_DELETE_OFFERS, [{"of_point": fact.point_id} for _, fact in changed])


def _in_work(known: Mapping[str, _Known], fact: PointFacts, offer: OfferFacts) -> int:
    stands = known.get(fact.point_id)
    return 0 if stands is None else stands.in_work(offer.offer)


class _Known:
    """A point as it stands, deleted ones too."""

    def __init__(self, row: AnyRow) -> None:
        self._row = row
        self._offers: dict[str, tuple[OfferFacts, int]] = {}
        self.revision = int(row.revision)

    def add(self, row: AnyRow) -> None:
        self._offers[row.offer] = (OfferFacts._make(row[: len(_OFFER_NAMES)]), int(row.in_work))

    def holds(self, fact: PointFacts) -> bool:
        """Tell whether it is so already."""
        return (
            not self._row.is_deleted
            and tuple(self._row[:_N_FACTS]) == fact[:_N_FACTS]
            and tuple(offer for offer, _ in self._offers.values()) == fact.offers
        )

    def in_work(self, offer: str) -> int:
        """Return how many orders of an offer are in work."""
        return self._offers[offer][1] if offer in self._offers else 0


def _known(connection: ReadConnection, ids: list[str]) -> dict[str, _Known]:
    known = {row.point_id: _Known(row) for row in connection.rows(_KNOWN, {"ids": ids})}
    if known:
        for row in connection.rows(WHOLE_OFFERS, {"ids": list(known)}):
            known[row.point_id].add(row)
    return known


_RECORD = select(points, merchants.c.status).join_from(points, merchants).where(points.c.is_deleted.is_(False))


def find_point(connection: ReadConnection, point_id: str) -> PointRecord | None:
    """Return a point, None where there is none or it is deleted."""
    row = connection.row(_RECORD.where(points.c.point_id == point_id))
    return None if row is None else PointRecord(row, connection.rows(WHOLE_OFFERS, {"ids": [point_id]}))


def list_points(
    connection: ReadConnection, wanted: PointFilter, *, after: str = "", limit: int = 100, of_offers: Any = WHOLE_OFFERS
) -> list[PointRecord]:
    """Return points by id, each with what is asked for of its offers."""
    query = _RECORD.where(points.c.point_id > after, *_conditions(wanted)).order_by(points.c.point_id).limit(limit)
    rows = connection.rows(query)
    of_point: dict[str, list[AnyRow]] = {row.point_id: [] for row in rows}
    if rows:
        for offer in connection.rows(of_offers, {"ids": list(of_point)}):
            of_point[offer.point_id].append(offer)
    return [PointRecord(row, of_point[row.point_id]) for row in rows]


def _conditions(wanted: PointFilter) -> list[Any]:
    table = points.c
    found: list[Any] = []
    for column, value in (
        (table.merchant_id, wanted.merchant_id),
        (table.kind, wanted.kind),
        (table.visibility, wanted.visibility),
        (table.is_paused, wanted.is_paused),
        (table.merchant_id, wanted.owner),
        (table.visibility, "public" if wanted.is_public else None),
        (merchants.c.status, "verified" if wanted.is_public else None),
    ):
        if value is not None:
            found.append(column == value)
    if wanted.offer is not None:
        has_offer = select(offers.c.offer).where(offers.c.point_id == table.point_id, offers.c.offer == wanted.offer)
        found.append(has_offer.exists())
    if wanted.feature is not None:  # LIKE knows no capitals on SQLite
        found.append(func.replace(table.features, f";{wanted.feature};", "") != table.features)
    return found


def change_point(connection: WriteConnection, record: PointRecord, values: Mapping[str, Any]) -> int:
    """Change columns of a point; return its revision, which is the old one where nothing is new."""
    row = record.row
    if all(getattr(row, name) == value for name, value in values.items()):
        return int(row.revision)
    return _touched(connection, row, values)


def delete_point(connection: WriteConnection, record: PointRecord) -> int:
    """Delete a point with all that it has; its row stays, so that its revisions go on."""
    revision = _touched(connection, record.row, {"is_deleted": True})
    delete_stock(connection, record.row.merchant_id, record.row.point_id)
    delete_calendars(connection, record.row.point_id)
    forget_roster(connection, record.row.point_id)
    return revision


def set_offer_paused(connection: WriteConnection, record: PointRecord, offer: str, *, is_paused: bool) -> int:
    """Pause an offer of a point, or let it go on; return the point's revision."""
    mine = (offers.c.point_id == record.row.point_id, offers.c.offer == offer)
    change = update(offers).where(*mine, offers.c.is_paused.is_(not is_paused)).values(is_paused=is_paused)
    return _touched(connection, record.row, {}) if connection.run(change) else int(record.row.revision)


def _touched(connection: WriteConnection, row: AnyRow, values: Mapping[str, Any]) -> int:
    revision = int(row.revision) + 1
    change = update(points).where(points.c.point_id == row.point_id)
    connection.run(change.values(**values, revision=revision, updated_at=connection.now_us))
    connection.record_change("point", row.point_id, revision, row.merchant_id)
    return revision


def set_capacity(connection: WriteConnection, record: PointRecord, offer: str, units: int | None) -> int:
    """Set how many orders an offer of a point can have in work; return the revision of its stock."""
    point_id = record.row.point_id
    connection.run(_COUNT_CAPACITY, {"of_point": point_id})
    connection.run(update(offers).where(offers.c.point_id == point_id, offers.c.offer == offer).values(capacity=units))
    return count_on(connection, record.row.merchant_id, point_id)
