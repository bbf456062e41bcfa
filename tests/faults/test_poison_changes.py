"""What cannot be read of one merchant is named and alarmed, and does not hold up the changes of all others (F20)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from service.crews.facts import ServiceFacts
from service.crews.store import SERVICES
from service.store.connections import WriteConnection
from service.store.tables import offers, points
from tests.registry import Offer, Point, Registry, opened
from tests.serving import fresh_database

BAD, SOUND = "bad:1", "bad:2"
OTHER = "good:1"
LEFT_OUT = "linli_left_out"
CLEANING = ServiceFacts("Cleaning", "housekeeping/onsite", 7_200, 20_000, "CNY")


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str | None:
    return fresh_database(request.getfixturevalue("postgres_url")) if request.param == "postgres" else None


def _change_point(connection: WriteConnection, **values: object) -> None:
    revision = connection.value(select(points.c.revision).where(points.c.point_id == BAD)) or 0
    connection.run(update(points).where(points.c.point_id == BAD).values(revision=revision + 1, **values))
    connection.record_change("point", BAD, revision + 1, "bad")


def _change_offer(connection: WriteConnection, **values: object) -> None:
    connection.run(update(offers).where(offers.c.point_id == BAD).values(**values))
    _change_point(connection)


def _put_service(connection: WriteConnection, point_id: str, facts: str) -> None:
    its = SERVICES.c.point_id == point_id
    if not connection.run(update(SERVICES).where(its).values(facts=facts)):
        row = {"point_id": point_id, "service_id": "clean", "facts": facts, "revision": 1, "is_deleted": False}
        connection.run(insert(SERVICES), {**row, "updated_at": connection.now_us})
    connection.record_change("roster", point_id, 1, point_id.partition(":")[0])


POISON: dict[str, tuple[Callable[[WriteConnection], None], Callable[[WriteConnection], None]]] = {
    # how it is broken, and how it is put right again
    "an area that is no WKB": (lambda c: _change_offer(c, area=b"poison"), lambda c: _change_offer(c, area=None)),
    "hours that are none": (lambda c: _change_offer(c, hours="poison"), lambda c: _change_offer(c, hours="24/7")),
    "special days that are no JSON": (
        lambda c: _change_point(c, special_days="poison"),
        lambda c: _change_point(c, special_days=None),
    ),
    "special days that are others": (
        lambda c: _change_point(c, special_days='[{"day": 1}]'),
        lambda c: _change_point(c, special_days=None),
    ),
    "a place off the earth": (lambda c: _change_point(c, lat=1e300), lambda c: _change_point(c, lat=31.0)),
}


def _open(registry: Registry) -> None:
    registry.add_merchants(bad="verified", good="verified")
    registry.put(*(Point(name, 31.0, 121.0, [Offer("laundry/pickup")]) for name in (BAD, SOUND, OTHER)))


def _matched(registry: Registry) -> set[str]:
    found = registry.match(lat=31.0, lng=121.0, offer="laundry/pickup", k=5)
    assert found.status_code == 200, found.text
    return {one["point_id"] for one in found.json()["matches"]}


def _alarm(registry: Registry) -> str:
    metrics = registry.send("GET", "/metrics", key="admin").text
    return next(line.partition(" ")[2] for line in metrics.splitlines() if line.startswith(f"{LEFT_OUT} "))


def _is_ready(registry: Registry) -> bool:
    return registry.send("GET", "/readyz", key=None).status_code == 200


def _named(caplog: pytest.LogCaptureFixture, name: str) -> bool:
    return any(name in record.getMessage() for record in caplog.records if record.levelno == logging.CRITICAL)


@pytest.mark.parametrize("poison", POISON)
def test_point__that_cannot_be_read_is_named_and_left_out_alone(
    tmp_path: Path, database: str | None, poison: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken, mended = POISON[poison]
    with opened(tmp_path, database=database) as registry:
        _open(registry)
        assert (_matched(registry), _alarm(registry)) == ({BAD, SOUND, OTHER}, "0.0")
        registry.services.store.write_now(broken)
        registry.pause(OTHER, 2)  # it is followed, the poison before it notwithstanding
        assert _matched(registry) == {SOUND}
        assert _named(caplog, BAD)
        assert (_alarm(registry), _is_ready(registry)) == ("1.0", True)
    caplog.clear()
    with opened(tmp_path, database=database) as registry:  # from what was kept of the index, and then from the store
        assert _matched(registry) == {SOUND}
        assert _named(caplog, BAD)
        assert (_alarm(registry), _is_ready(registry)) == ("1.0", True)
        registry.services.store.write_now(mended)
        registry.follow()
        assert (_matched(registry), _alarm(registry)) == ({BAD, SOUND}, "0.0")


@pytest.mark.parametrize("facts", ["poison", "[]", "{}"])
def test_service__that_cannot_be_read_is_named_and_left_out_alone(
    tmp_path: Path, database: str | None, facts: str, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path, database=database) as registry:
        _open(registry)
        registry.services.store.write_now(lambda connection: _put_service(connection, BAD, facts))
        registry.services.store.write_now(lambda connection: _put_service(connection, OTHER, CLEANING.as_json()))
        registry.follow()
        assert _booked(registry) == {BAD: (), OTHER: ("clean",)}
        assert _named(caplog, f"clean of {BAD}")
        assert (_alarm(registry), _is_ready(registry)) == ("1.0", True)
    caplog.clear()
    with opened(tmp_path, database=database) as registry:
        assert _booked(registry) == {BAD: (), OTHER: ("clean",)}
        assert _named(caplog, f"clean of {BAD}")
        assert (_alarm(registry), _is_ready(registry)) == ("1.0", True)
        registry.services.store.write_now(lambda connection: _put_service(connection, BAD, CLEANING.as_json()))
        registry.follow()
        assert (_booked(registry), _alarm(registry)) == ({BAD: ("clean",), OTHER: ("clean",)}, "0.0")


def _booked(registry: Registry) -> dict[str, tuple[str, ...] | None]:
    rosters = registry.services.bookings.rosters
    found = {point_id: rosters.services_of(point_id, CLEANING.offer) for point_id in (BAD, SOUND, OTHER)}
    return {point_id: names for point_id, names in found.items() if names is not None}


@pytest.mark.parametrize("kind", ["point", "merchant", "stock", "roster", "shift", "key", "poison"])
def test_change__of_a_subject_that_is_none_holds_up_nobody(
    tmp_path: Path, database: str | None, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path, database=database) as registry:
        _open(registry)
        registry.services.store.write_now(lambda connection: connection.record_change(kind, "poison", 1, "bad"))
        registry.pause(OTHER, 2)
        assert (_matched(registry), _is_ready(registry)) == ({BAD, SOUND}, True)
        assert _named(caplog, "poison") == (kind == "shift")  # of the others nothing is there, as if it were deleted
