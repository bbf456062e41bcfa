"""Bookings in the store."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, func, or_, select, update

from service.bookings.days import VISIT
from service.bookings.rules import OPEN, Event, State
from service.ids import new_id
from service.payments.store import paid_since
from service.store.order_tables import payments
from service.store.plain import Plain
from service.store.tables import keys
from service.store.visit_tables import booking_events, bookings, shifts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = [
    "BookingFilter",
    "add_booking",
    "add_booking_event",
    "bookings_of_buyer",
    "bookings_of_ids",
    "change_booking",
    "change_shift_of",
    "count_given_up",
    "due_bookings",
    "fell_through",
    "find_booking",
    "forget_bookings",
    "forget_bookings_of",
    "forget_shifts",
    "is_made_good",
    "list_booking_events",
    "list_bookings",
    "new_booking_id",
    "offers_with_visits",
    "open_at_point",
    "postpone_booking",
    "recent_bookings",
]

_NAMES = tuple(column.name for column in bookings.columns)
_EVENT_NAMES = tuple(column.name for column in booking_events.columns)
_row_of: Any = namedtuple
_ROW = _row_of("BookingRow", _NAMES)
_t = bookings.c
_BOOKING = Plain(select(bookings).where(_t.booking_id == bindparam("of_booking")))
_RECENT = Plain(
    select(_t.booking_id, _t.state).where(
        or_(_t.device == bindparam("of_device"), _t.buyer == bindparam("of_buyer")),
        or_(_t.booked_at > bindparam("since"), _t.ended_at.is_(None)),
    )
)
# By the states, too: the index of a point's bookings has them. A visit that is finished has ended but for its payment.
_IS_OPEN = and_(_t.state.in_(sorted(OPEN - {State.FINISHED})), _t.ended_at.is_(None))
_PRIVATE = ("buyer", "device", "cell", "lat", "lng", "address", "note", "proof")
_FORGOTTEN = dict.fromkeys(_PRIVATE)


class BookingFilter(NamedTuple):
    """Which bookings are listed; None leaves a condition out."""

    owner: str | None = None
    merchant_id: str | None = None
    point_id: str | None = None
    state: str | None = None
    crew_id: str | None = None


def new_booking_id(now_us: int) -> str:
    """Return an id of a new booking, as orders have them."""
    return new_id(VISIT, now_us)


def find_booking(connection: ReadConnection, booking_id: str) -> AnyRow | None:
    """Return a booking."""
    return connection.row(_BOOKING, {"of_booking": booking_id})


def bookings_of_ids(connection: ReadConnection, ids: Sequence[str]) -> dict[str, AnyRow]:
    """Return bookings by id."""
    rows = connection.rows(select(bookings).where(_t.booking_id.in_(list(ids)))) if ids else ()
    return {row.booking_id: row for row in rows}


def list_bookings(
    connection: ReadConnection, wanted: BookingFilter, *, after: str = "", limit: int = 100
) -> Sequence[AnyRow]:
    """Return bookings by id, which is in order of time."""
    conditions = [_t[name] == value for name, value in wanted._asdict().items() if value is not None]
    query = select(bookings).where(_t.booking_id > after, *conditions)
    return connection.rows(query.order_by(_t.booking_id).limit(limit))


def open_at_point(connection: ReadConnection, point_id: str) -> Sequence[AnyRow]:
    """Return the bookings of a point that have not ended."""
    return connection.rows(
        select(bookings).where(_t.point_id == point_id, _IS_OPEN).order_by(_t.starts_at, _t.booking_id)
    )


def offers_with_visits(connection: ReadConnection, point_ids: Sequence[str]) -> set[tuple[str, str]]:
    """Return under which of the offers of some points bookings have not ended: points and offers."""
    query = select(_t.point_id, _t.offer).where(_t.point_id.in_(bindparam("ids", expanding=True)), _IS_OPEN)
    found = connection.rows(query.distinct(), {"ids": list(point_ids)}) if point_ids else ()
    return {(row.point_id, row.offer) for row in found}


def list_booking_events(connection: ReadConnection, booking_id: str) -> Sequence[AnyRow]:
    """Return what happened to a booking, in order."""
    its = booking_events.c
    return connection.rows(select(booking_events).where(its.booking_id == booking_id).order_by(its.revision))


def recent_bookings(connection: ReadConnection, buyer: str, device: str, since_us: int) -> Sequence[AnyRow]:
    """Return the bookings of a buyer or a device that are open, or were made since an instant."""
    return connection.rows(_RECENT, {"of_buyer": buyer, "of_device": device, "since": since_us})


def count_given_up(connection: ReadConnection, ids: Sequence[str]) -> int:
    """Return how many of some bookings their customers cancelled, or let expire: not those that a merchant could not keep."""
    its = booking_events.c
    merchants = select(keys.c.key_id).where(keys.c.key_id == its.actor, keys.c.scope.in_(("merchant", "crew")))
    ends = (its.event.in_([Event.CANCEL, Event.EXPIRE]), ~merchants.exists())
    return int(connection.value(select(func.count()).where(its.booking_id.in_(list(ids)), *ends)))


def is_made_good(connection: ReadConnection, row: AnyRow) -> bool:
    """Tell whether a visit is booked, or was, that makes another one good, and nobody called it off or did not come."""
    came_to_nothing = (State.CANCELLED, State.EXPIRED, State.CREW_ABSENT)
    query = select(_t.booking_id).where(_t.complaint_of == row.booking_id, _t.state.not_in(came_to_nothing)).limit(1)
    return connection.row(query) is not None


def fell_through(connection: ReadConnection, rows: Sequence[AnyRow]) -> dict[str, int]:
    """
    Return when a visit that was to make another one good last came to nothing without its customer's doing, by the other's id.

    It is his doing where he cancels what is still promised; who cancelled it and is known no more, as keys are forgotten,
    is taken to be the merchant.
    """
    done = [row.booking_id for row in rows if row.done_at is not None]
    if not done:
        return {}
    its = booking_events.c
    customers = select(keys.c.key_id).where(keys.c.key_id == its.actor, keys.c.scope.in_(("app", "admin")))
    of_it = select(its.revision).where(its.booking_id == _t.booking_id)
    gave_up = of_it.where(its.event == Event.CANCEL, customers.exists()).exists()
    was_lost = of_it.where(its.event == Event.LOSE, its.revision == _t.revision - 1).exists()
    its_ends = (_t.state.in_((State.CANCELLED, State.CREW_ABSENT)), or_(~gave_up, was_lost, _t.ended_at > _t.ends_at))
    query = select(_t.complaint_of, func.max(_t.ended_at)).where(_t.complaint_of.in_(done), *its_ends)
    return {row[0]: int(row[1]) for row in connection.rows(query.group_by(_t.complaint_of))}


def due_bookings(connection: WriteConnection, limit: int) -> list[str]:
    """Return the ids of the bookings whose state ends by itself by now, but for those that are being paid."""
    paying = select(payments.c.subject).where(
        payments.c.subject == _t.booking_id, payments.c.state == "authorising", paid_since(connection.now_us)
    )
    query = select(_t.booking_id).where(_t.expires_at <= connection.now_us, ~paying.exists())
    return [row[0] for row in connection.rows(query.order_by(_t.expires_at, _t.booking_id).limit(limit))]


def postpone_booking(connection: WriteConnection, booking_id: str, until_us: int) -> None:
    """Let a booking be looked at later."""
    connection.run(update(bookings).where(_t.booking_id == booking_id).values(expires_at=until_us))


def add_booking(connection: WriteConnection, values: Mapping[str, Any]) -> AnyRow:
    """Add a booking and return its row; what ``values`` do not tell is null."""
    row: AnyRow = _ROW._make(map(values.get, _NAMES))
    connection.insert_rows(bookings, _NAMES, [row])
    return row


def change_booking(connection: WriteConnection, row: AnyRow, values: Mapping[str, Any]) -> bool:
    """Change a booking that is as it was read, and count it on; tell whether it was."""
    its = (_t.booking_id == row.booking_id, _t.revision == row.revision)
    return connection.run(update(bookings).where(*its).values(**values, revision=row.revision + 1)) == 1


def change_shift_of(connection: WriteConnection, ids: Sequence[str], shift_us: int) -> None:
    """Let bookings stand in a shift of their crew that begins at another instant than before."""
    if ids:
        connection.run(update(bookings).where(_t.booking_id.in_(list(ids))).values(shift_at=shift_us))


def add_booking_event(connection: WriteConnection, merchant_id: str, values: Mapping[str, Any]) -> None:
    """Note what happened to a booking, and tell the followers."""
    told = {"at": connection.now_us, "reason": None} | dict(values)
    connection.insert_rows(booking_events, _EVENT_NAMES, [tuple(map(told.__getitem__, _EVENT_NAMES))])
    connection.record_change("booking", told["booking_id"], told["revision"], merchant_id)


def bookings_of_buyer(connection: ReadConnection, owner: str, buyer: str) -> Sequence[AnyRow]:
    """Return the bookings of an app's buyer."""
    return connection.rows(select(bookings).where(_t.owner == owner, _t.buyer == buyer).order_by(_t.booking_id))


def forget_bookings(connection: WriteConnection, before_us: int, limit: int) -> int:
    """Forget whose the bookings were that ended before an instant, and where; return how many."""
    old = select(_t.booking_id).where(_t.ended_at < before_us, or_(_t.buyer.is_not(None), _t.lat.is_not(None)))
    gone = [row[0] for row in connection.rows(old.order_by(_t.ended_at).limit(limit))]
    forget_bookings_of(connection, gone)
    return len(gone)


def forget_bookings_of(connection: WriteConnection, ids: Sequence[str]) -> None:
    """Forget whose some bookings were, and where."""
    if ids:
        connection.run(update(bookings).where(_t.booking_id.in_(list(ids))).values(_FORGOTTEN))


def forget_shifts(connection: WriteConnection, before_us: int, limit: int) -> int:
    """Delete shifts that ended before an instant, and with them where their crews were; return how many."""
    its = shifts.c
    old = select(its.point_id, its.crew_id, its.starts_at).where(its.ends_at < before_us).limit(limit)
    rows = connection.rows(old)
    for row in rows:
        mine = (its.point_id == row[0], its.crew_id == row[1], its.starts_at == row[2])
        connection.run(delete(shifts).where(*mine))
    return len(rows)
