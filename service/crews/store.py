"""Crews, services and engagements in the store; each change counts the roster of its point on, which locks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, bindparam, delete, func, select, update

from service.store.plain import Plain
from service.store.tables import points
from service.store.visit_tables import crews, engagements, services

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = [
    "CREWS",
    "SERVICES",
    "count_kept",
    "count_roster",
    "delete_engagement",
    "delete_kept",
    "find_kept",
    "list_engagements",
    "list_kept",
    "lock_roster",
    "put_engagement",
    "put_kept",
]

CREWS, SERVICES = crews, services
_COUNT = Plain(
    update(points)
    .where(points.c.point_id == bindparam("of_point"), points.c.is_deleted.is_(False))
    .values(roster_revision=points.c.roster_revision + 1)
    .returning(points.c.roster_revision)
)
_NAMED = {crews.name: crews.c.crew_id, services.name: services.c.service_id}
_FOUND = {
    table.name: Plain(
        select(table).where(table.c.point_id == bindparam("of_point"), _NAMED[table.name] == bindparam("of_name"))
    )
    for table in (crews, services)
}
_NAMES = {table.name: tuple(column.name for column in table.columns) for table in (crews, services, engagements)}


def count_roster(connection: WriteConnection, merchant_id: str, point_id: str) -> int | None:
    """
    Count a change of a point's roster, lock it by that, tell the followers, and return its revision.

    None where the point is not there.
    """
    revision = connection.value(_COUNT, {"of_point": point_id})
    if revision is None:
        return None
    connection.record_change("roster", point_id, revision, merchant_id)
    return int(revision)


def lock_roster(connection: WriteConnection, point_id: str) -> bool:
    """Count and lock as `count_roster` does for a change of single shifts, which are told by themselves; tell whether."""
    return connection.value(_COUNT, {"of_point": point_id}) is not None


def find_kept(connection: ReadConnection, table: Table, point_id: str, name: str) -> AnyRow | None:
    """Return a crew or a service, None where there is none or it is deleted."""
    row = _found(connection, table, point_id, name)
    return None if row is None or row.is_deleted else row


def list_kept(
    connection: ReadConnection, table: Table, point_id: str, *, after: str = "", limit: int | None = None
) -> Sequence[AnyRow]:
    """Return the crews or the services of a point by name, all of them without a limit."""
    name = _NAMED[table.name]
    query = select(table).where(table.c.point_id == point_id, name > after, table.c.is_deleted.is_(False))
    return connection.rows(query.order_by(name).limit(limit))


def count_kept(connection: ReadConnection, table: Table, point_id: str) -> int:
    """Return how many crews or services a point has."""
    query = select(func.count()).select_from(table)
    return int(connection.value(query.where(table.c.point_id == point_id, table.c.is_deleted.is_(False))))


def put_kept(connection: WriteConnection, table: Table, point_id: str, name: str, facts: str) -> bool:
    """Store a crew or a service; tell whether that changed anything. The roster has been counted on."""
    before = _found(connection, table, point_id, name)
    if before is None:
        connection.insert_rows(table, _NAMES[table.name], [(point_id, name, facts, False, 1)])
        return True
    if before.facts == facts and not before.is_deleted:
        return False
    changes = {"facts": facts, "is_deleted": False, "revision": before.revision + 1}
    connection.run(update(table).where(*_its(table, point_id, name)).values(changes))
    return True


def delete_kept(connection: WriteConnection, table: Table, row: AnyRow) -> None:
    """Delete a crew or a service, given its row; should it be made again, its revisions go on."""
    its = _its(table, row[0], row[1])
    connection.run(update(table).where(*its).values(is_deleted=True, revision=row.revision + 1))


def list_engagements(
    connection: ReadConnection, point_id: str, after_us: int, crew_id: str | None = None, until_us: int | None = None
) -> Sequence[AnyRow]:
    """
    Return the engagements of a point's crews, or of one, that end after an instant, by when they start.

    Only those that begin before ``until_us``, if that is told.
    """
    its = engagements.c
    query = select(engagements).where(its.point_id == point_id, its.ends_at > after_us)
    query = query if until_us is None else query.where(its.starts_at < until_us)
    query = query if crew_id is None else query.where(its.crew_id == crew_id)
    return connection.rows(query.order_by(its.crew_id, its.starts_at, its.engagement_id))


def put_engagement(connection: WriteConnection, values: dict[str, Any]) -> bool:
    """Store an engagement, ``values`` being all its columns; tell whether it is new."""
    is_new = not delete_engagement(connection, values["point_id"], values["crew_id"], values["engagement_id"])
    names = _NAMES[engagements.name]
    connection.insert_rows(engagements, names, [tuple(values[name] for name in names)])
    return is_new


def delete_engagement(connection: WriteConnection, point_id: str, crew_id: str, engagement_id: str) -> bool:
    """Delete an engagement; tell whether there was one."""
    its = engagements.c
    mine = (its.point_id == point_id, its.crew_id == crew_id, its.engagement_id == engagement_id)
    return connection.run(delete(engagements).where(*mine)) > 0


def _found(connection: ReadConnection, table: Table, point_id: str, name: str) -> AnyRow | None:
    return connection.row(_FOUND[table.name], {"of_point": point_id, "of_name": name})


def _its(table: Table, point_id: str, name: str) -> tuple[Any, Any]:
    return table.c.point_id == point_id, _NAMED[table.name] == name
