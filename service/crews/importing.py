"""Imports of crews and of services, one a line."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import TypeAdapter

from geo.errors import GeoError
from service.crews.changing import put_crew, put_service
from service.crews.rules import crew_facts, service_facts
from service.crews.schemas import BulkCrewBody, BulkServiceBody
from service.crews.store import count_roster
from service.errors import StateConflictError
from service.http.access import not_found
from service.http.problems import ProblemError, as_problem
from service.imports.kinds import Prepared, Stored
from service.imports.rules import bad_line, json_object, read_bodies
from service.points.store import find_point

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.bookings.holding import BookingTerms
    from service.crews.facts import CrewFacts, ServiceFacts
    from service.imports.lines import Batch
    from service.points.store import PointRecord
    from service.store.connections import ReadConnection, WriteConnection

__all__ = ["CrewImport", "ServiceImport"]

F = TypeVar("F")
_A_WRITE = 50
"""Lines in one write: some milliseconds for each crew that has promised visits, for which all other writes wait."""
_CREW, _SERVICE = TypeAdapter(BulkCrewBody), TypeAdapter(BulkServiceBody)


@dataclass(frozen=True)
class _RosterImport(abc.ABC, Generic[F]):
    """
    Lines of one point, each stored whole or left out.

    Attributes
    ----------
    merchant_id, point_id
        Whose, and where.
    terms
        With which they are settled.
    key_id
        Whose key they came with.
    """

    merchant_id: str
    point_id: str
    terms: BookingTerms
    key_id: str
    most_lines: int = 10_000

    @property
    def detail(self) -> dict[str, str]:
        """Where they are."""
        return {"point_id": self.point_id}

    def has_subject(self, connection: ReadConnection) -> bool:
        """Tell whether there is such a point."""
        return find_point(connection, self.point_id) is not None

    def store(self, connection: WriteConnection, facts: Sequence[tuple[int, tuple[str, F]]]) -> Stored:
        """Store the first of a batch; lines that cannot be beside what is promised are told, and leave all as it was."""
        if count_roster(connection, self.merchant_id, self.point_id) is None:
            raise not_found()
        point = find_point(connection, self.point_id)
        assert point is not None  # noqa: S101 - it was just counted
        taken, bad = facts[:_A_WRITE], []
        for number, (name, fact) in taken:
            try:
                with connection.attempt():
                    self.put(connection, point, name, fact)
            except (ProblemError, StateConflictError) as error:
                bad.append(bad_line(number, as_problem(error) or ProblemError("state-conflict", str(error))))
        return Stored(len(taken) - len(bad), bad, facts[_A_WRITE][0] if len(facts) > _A_WRITE else None)

    @abc.abstractmethod
    def put(self, connection: WriteConnection, point: PointRecord, name: str, facts: F) -> None:
        """Store what one line says."""


@dataclass(frozen=True)
class CrewImport(_RosterImport["CrewFacts"]):
    """Crews of one point."""

    action: str = "crew.import"

    def prepare(self, batch: Batch) -> Prepared[tuple[str, CrewFacts]]:
        """Read the crews of a batch."""
        bodies, bad = read_bodies(batch, lambda line: _crew(_CREW.validate_python(json_object(line))))
        return Prepared(bodies, bad)

    def put(self, connection: WriteConnection, point: PointRecord, name: str, facts: CrewFacts) -> None:
        """Store a crew; one that could not make any more what it has promised is refused."""
        put_crew(connection, self.terms, point, name, facts, self.key_id, None)


@dataclass(frozen=True)
class ServiceImport(_RosterImport["ServiceFacts"]):
    """Services of one point."""

    action: str = "service.import"

    def prepare(self, batch: Batch) -> Prepared[tuple[str, ServiceFacts]]:
        """Read the services of a batch."""
        norms = self.terms.orders.norms

        def read(line: bytes) -> tuple[str, ServiceFacts]:
            body = _SERVICE.validate_python(json_object(line))
            return body.service_id, service_facts(body, norms)

        bodies, bad = read_bodies(batch, read)
        return Prepared(bodies, bad)

    def put(self, connection: WriteConnection, point: PointRecord, name: str, facts: ServiceFacts) -> None:
        """Store a service."""
        put_service(connection, point, name, facts)


def _crew(body: BulkCrewBody) -> tuple[str, CrewFacts]:
    try:
        return body.crew_id, crew_facts(body)
    except GeoError as error:
        raise as_problem(error, "/area") or error from error
