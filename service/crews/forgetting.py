"""Crews that are gone, and times that are over: what is kept of them is no more than that they were."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from service.store.visit_tables import crews, engagements, services

if TYPE_CHECKING:
    from service.store.connections import WriteConnection

__all__ = ["forget_crew", "forget_engagements", "forget_roster"]

_GONE = {"facts": "{}", "is_deleted": True}
_t = engagements.c


def forget_crew(connection: WriteConnection, point_id: str, crew_id: str) -> None:
    """Forget what was known of a crew, and when it was taken; its row stays, so that its revisions go on."""
    connection.erase()
    its = (crews.c.point_id == point_id, crews.c.crew_id == crew_id)
    connection.run(update(crews).where(*its).values(**_GONE, revision=crews.c.revision + 1))
    connection.run(delete(engagements).where(_t.point_id == point_id, _t.crew_id == crew_id))


def forget_roster(connection: WriteConnection, point_id: str) -> None:
    """Forget all crews and services of a point that is deleted."""
    for table in (crews, services):
        its = (table.c.point_id == point_id, table.c.is_deleted.is_(False))
        if connection.run(update(table).where(*its).values(**_GONE, revision=table.c.revision + 1)):
            connection.erase()
    connection.run(delete(engagements).where(_t.point_id == point_id))


def forget_engagements(connection: WriteConnection, before_us: int, limit: int) -> int:
    """Delete engagements that ended before an instant; return how many."""
    query = select(_t.point_id, _t.crew_id, _t.engagement_id).where(_t.ends_at < before_us).limit(limit)
    rows = connection.rows(query)
    for row in rows:
        its = (_t.point_id == row[0], _t.crew_id == row[1], _t.engagement_id == row[2])
        connection.run(delete(engagements).where(*its))
    return len(rows)
