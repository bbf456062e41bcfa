"""What is to be delivered, read from the feed: each event once for each webhook that hears of it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from sqlalchemy import Table, select, text

from service.clock import from_us
from service.feed.outbox import BadPositionError, Position, feed_id, kept_from, read_changes
from service.store.leases import demand
from service.store.order_tables import order_events, orders, webhook_deliveries, webhooks
from service.store.tables import marks
from service.store.visit_tables import booking_events, bookings
from service.webhooks.deliveries import LOCK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from service.feed.outbox import Change
    from service.store.connections import AnyRow, ReadConnection, WriteConnection
    from service.store.leases import Lease

__all__ = ["Look", "event_body", "event_name", "keep_place", "look_at_feed", "plan_deliveries", "put_mark"]

_MARK = "webhooks"
_PUT_MARK = text(
    "INSERT INTO marks (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_INSERT = text(
    "INSERT INTO webhook_deliveries (webhook_id, event_id, subject, revision, body, state, tries, due_at, created_at)"
    " VALUES (:webhook_id, :event_id, :subject, :revision, :body, 'waiting', 0, :due_at, :created_at)"
    " ON CONFLICT DO NOTHING"
)
_KINDS = {"order": (order_events, orders, "order_id"), "booking": (booking_events, bookings, "booking_id")}
"""What is told of: its events, itself, and what its id is called."""
_PAGE = 500
_NEAR_US = 60_000_000
_t = webhook_deliveries.c


class Look(NamedTuple):
    """
    What there is to plan.

    Attributes
    ----------
    feed
        The feed that was read.
    changes
        The next ones, of any kind.
    is_gap
        Whether something between could not be read any more.
    after
        The position that they follow.
    """

    feed: str
    changes: Sequence[Change]
    is_gap: bool
    after: Position

    @property
    def place(self) -> tuple[str, Position]:
        """Where to read on once these are planned."""
        return self.feed, self.changes[-1].position if self.changes else self.after

    @property
    def has_events(self) -> bool:
        """Whether one of them may be to be delivered."""
        return any(change.kind in _KINDS for change in self.changes)

    @property
    def is_full(self) -> bool:
        """Whether more may be there already."""
        return len(self.changes) == _PAGE


class _Event(NamedTuple):
    """An event of an order or a booking, with whose it is."""

    kind: str
    subject: str
    revision: int
    at_us: int
    name: str
    state: str
    point_id: str
    merchant_id: str
    app: str


def look_at_feed(connection: ReadConnection, known: tuple[str, Position] | None) -> Look:
    """Read on from a place in a feed, without one from the place that the store keeps."""
    feed, first = feed_id(connection), kept_from(connection)
    place = known or _kept(connection)
    is_gap = place is not None and (place[0] != feed or place[1] < first)
    after = first if place is None or is_gap else place[1]
    return Look(feed, read_changes(connection, after, limit=_PAGE), is_gap, after)


def _kept(connection: ReadConnection) -> tuple[str, Position] | None:
    value = connection.value(select(marks.c.value).where(marks.c.name == _MARK))
    feed, _, position = str(value or "").partition(" ")
    try:
        return feed, Position.parse(position)
    except BadPositionError:
        return None


def plan_deliveries(connection: WriteConnection, lease: Lease, look: Look) -> None:
    """
    Enter what is to be delivered of the changes that were read, and how far that is, in one transaction.

    Raises
    ------
    LeaseLostError
        If another process plans by now.
    """
    demand(connection, lease)
    connection.lock(LOCK)
    hooks = connection.rows(select(webhooks).where(webhooks.c.is_disabled.is_(False)))
    events: list[_Event] = []
    for kind in _KINDS if hooks else ():
        told = {(change.subject, change.revision): change.at_us for change in look.changes if change.kind == kind}
        if told:
            events += _events(connection, kind, told)
    if events:
        rows = list(_rows(hooks, events, look.feed))
        new = list(_new(connection, rows))
        if new:
            connection.run(_INSERT, new)
    keep_place(connection, look.place)


def keep_place(connection: WriteConnection, place: tuple[str, Position]) -> None:
    """Let the store know how far the feed was read."""
    put_mark(connection, _MARK, f"{place[0]} {place[1]}")


def put_mark(connection: WriteConnection, name: str, value: str) -> None:
    """Keep a mark, new or not."""
    connection.run(_PUT_MARK, {"name": name, "value": value})


def _events(connection: ReadConnection, kind: str, wanted: dict[tuple[str, int], int]) -> Iterator[_Event]:
    """
    Give the events that changes of a kind tell of, those of a subject by its revisions.

    And what came just before, in case the feed tells of it later: two changes of one subject may be read in the other
    order. An event that is planned already is not planned twice.
    """
    latest: dict[str, tuple[int, int]] = {}
    for (subject, revision), at_us in wanted.items():
        latest[subject] = max(latest.get(subject, (0, 0)), (revision, at_us))
    for subject, rows in _histories(connection, _KINDS[kind], list(latest)).items():
        revision, at_us = latest[subject]
        for row, after in zip(rows, [*rows[1:], None], strict=True):
            is_near = row.revision < revision and row.at >= at_us - _NEAR_US
            if (subject, row.revision) in wanted or is_near:
                # An event of an order tells where it was before; a booking stays where it is.
                point_id = row.its_point if after is None else getattr(after, "point_id", row.its_point)
                told = (row.at, row.event, row.state, point_id, row.merchant_id, row.owner)
                yield _Event(kind, subject, row.revision, *told)


def _histories(connection: ReadConnection, tables: tuple[Table, Table, str], ids: list[str]) -> dict[str, list[AnyRow]]:
    events, subjects, key = tables
    found: dict[str, list[AnyRow]] = defaultdict(list)
    query = (
        select(events, subjects.c.merchant_id, subjects.c.owner, subjects.c.point_id.label("its_point"))
        .join(subjects, subjects.c[key] == events.c[key])
        .where(events.c[key].in_(ids))
        .order_by(events.c[key], events.c.revision)
    )
    for row in connection.rows(query):
        found[getattr(row, key)].append(row)
    return found


def _rows(hooks: Sequence[AnyRow], events: Sequence[_Event], feed: str) -> Iterator[dict[str, Any]]:
    by_merchant, by_app, of_all = defaultdict(list), defaultdict(list), []
    for hook in hooks:
        if hook.owner is not None:
            by_app[hook.owner].append(hook)
        elif hook.merchant_id is not None:
            by_merchant[hook.merchant_id].append(hook)
        else:
            of_all.append(hook)
    for event in events:
        body = event_body(event)
        for hook in (*by_app.get(event.app, ()), *by_merchant.get(event.merchant_id, ()), *of_all):
            if event.at_us >= hook.created_at:
                yield {
                    "webhook_id": hook.webhook_id,
                    "event_id": event_name(feed, hook.webhook_id, event.subject, event.revision),
                    "subject": event.subject,
                    "revision": event.revision,
                    "body": body,
                }


def _new(connection: WriteConnection, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Give what is not planned yet: the first event of each subject is due now, each other when that before it is done."""
    hooks, subjects = ({row[name] for row in rows} for name in ("webhook_id", "subject"))
    known = (_t.webhook_id.in_(sorted(hooks)), _t.subject.in_(sorted(subjects)))
    found = connection.rows(select(_t.webhook_id, _t.subject, _t.revision, _t.state).where(*known))
    planned = {(row.webhook_id, row.subject, row.revision) for row in found}
    held = {(row.webhook_id, row.subject) for row in found if row.state == "waiting"}
    for row in rows:
        place = (row["webhook_id"], row["subject"])
        if (*place, row["revision"]) not in planned:
            due_us = None if place in held else connection.now_us
            yield {**row, "due_at": due_us, "created_at": connection.now_us}
            held.add(place)


def event_name(feed: str, webhook_id: str, subject: str, revision: int) -> str:
    """Return the id of an event: always the same, but for a store that was put back, where it may be another event."""
    told = f"{feed}\n{webhook_id}\n{subject}\n{revision}".encode()
    return f"msg_{hashlib.blake2b(told, digest_size=16).hexdigest()}"


def event_body(event: _Event) -> str:
    """Return what is sent of an event: nothing of who bought, where they are, or by which code."""
    at = from_us(event.at_us).isoformat()
    data = {
        f"{event.kind}_id": event.subject,
        "revision": event.revision,
        "event": event.name,
        "state": event.state,
        "point_id": event.point_id,
        "merchant_id": event.merchant_id,
        "at": at,
    }
    return orjson.dumps({"type": f"{event.kind}.{event.name}", "timestamp": at, "data": data}).decode()
