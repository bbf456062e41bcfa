"""The links under which the days of crews are read as iCalendar; of each, the digest of its secret alone is stored."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from service.keys.formats import key_digest
from service.store.visit_tables import calendars

if TYPE_CHECKING:
    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = ["calendar_of", "delete_calendar", "delete_calendars", "find_calendar", "new_calendar"]

_SECRET_BYTES = 24
_NAMES = tuple(column.name for column in calendars.columns)
_t = calendars.c


def new_calendar(connection: WriteConnection, point_id: str, crew_id: str) -> str:
    """Make the link of a crew, in place of the one that it had, and return its secret, which is kept nowhere."""
    delete_calendar(connection, point_id, crew_id)
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    connection.insert_rows(calendars, _NAMES, [(key_digest(secret), point_id, crew_id, connection.now_us)])
    return secret


def find_calendar(connection: ReadConnection, point_id: str, crew_id: str) -> AnyRow | None:
    """Return the link of a crew."""
    return connection.row(select(calendars).where(*_its(point_id, crew_id)))


def calendar_of(connection: ReadConnection, secret: str) -> AnyRow | None:
    """Return the link that has a secret."""
    return connection.row(select(calendars).where(_t.digest == key_digest(secret)))


def delete_calendar(connection: WriteConnection, point_id: str, crew_id: str) -> bool:
    """Revoke the link of a crew; tell whether there was one."""
    return connection.run(delete(calendars).where(*_its(point_id, crew_id))) > 0


def delete_calendars(connection: WriteConnection, point_id: str) -> None:
    """Revoke the links of all crews of a point."""
    connection.run(delete(calendars).where(_t.point_id == point_id))


def _its(point_id: str, crew_id: str) -> tuple[Any, Any]:
    return _t.point_id == point_id, _t.crew_id == crew_id
