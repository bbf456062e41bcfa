"""
Visits through the store alone, without HTTP; and a process that books them by a script and is killed on its way.

``python -m tests.faults.visiting WARM``: as `tests.faults.killing` has it; a child has booked a visit in WARM before.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import sys
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from service.bookings.acting import act_on, locked_booking
from service.bookings.asking import asked_of
from service.bookings.finding import candidate_for
from service.bookings.holding import BookingTerms, VisitWish, hold_visit
from service.bookings.point_rosters import Candidate
from service.bookings.rescheduling import reschedule
from service.bookings.rosters import Rosters
from service.bookings.rules import Act, Event, Party
from service.bookings.under_way import begin_visit, finish_visit, set_out
from service.clock import to_us
from service.crews.changing import locked_point, settled
from service.crews.facts import CrewFacts, ServiceFacts
from service.crews.store import CREWS, SERVICES, put_engagement, put_kept
from service.http.idempotency import Created, once
from service.places import coarse_cell
from service.store.connections import ReadConnection, WriteConnection
from service.store.database import Store
from service.store.tables import offers, points
from tests.faults.killing import Say, run_killed
from tests.faults.ordering import terms_of
from tests.faults.visits import LAT, LNG, OFFER, ZONE, starts
from tests.faults.writing import opened
from tests.feed_store import put_merchant

if TYPE_CHECKING:
    from service.store.connections import AnyRow

__all__ = ["MERCHANT", "POINT", "book_once", "booking_terms_of", "enter_provider", "happen_to", "wish_at"]

MERCHANT, POINT = "m0", "m0:provider"
CREW_IDS = ("anna", "bert", "carl", "dora")
N_BOOKINGS = 25
_UNDER_WAY = {Event.DEPART: set_out, Event.START: begin_visit, Event.FINISH: finish_visit}
ROUTE = "POST /v1/bookings"


def enter_provider(connection: WriteConnection) -> None:
    """Enter a verified merchant with a provider, its crews and a service, as `tests.faults.visits` has them."""
    put_merchant(connection, MERCHANT)
    now = connection.now_us
    place = {"kind": "store", "name": "Provider", "lat": LAT, "lng": LNG, "timezone": ZONE.key, "features": ";"}
    flags = {"visibility": "public", "is_paused": False, "is_synthetic": True, "is_deleted": False}
    row = {"point_id": POINT, "merchant_id": MERCHANT, "revision": 1, "created_at": now, "updated_at": now}
    connection.run(insert(points), row | place | flags)
    terms = {"hours": "24/7", "radius_m": 8000.0, "lead_s": 0, "is_paused": False, "in_work": 0}
    connection.run(insert(offers), {"point_id": POINT, "offer": OFFER, **terms})
    connection.record_change("point", POINT, 1, MERCHANT)
    for crew_id in CREW_IDS:
        put_kept(connection, CREWS, POINT, crew_id, CrewFacts(crew_id, "Mo-Su 07:30-13:30").as_json())
    told: dict[str, Any] = {"hours": "Mo-Su 08:00-12:30", "lead_s": 0, "width_s": 0, "step_s": 3600}
    service = ServiceFacts("Cleaning", OFFER, 3000, 9_000, "CNY", **told)
    put_kept(connection, SERVICES, POINT, "clean", service.as_json())


def booking_terms_of(store: Store) -> BookingTerms:
    """Return what bookings are made with."""
    orders = terms_of(store)
    return BookingTerms(orders, Rosters(orders.norms))


def wish_at(starts_at: str, **more: Any) -> VisitWish:
    """Return what a customer of its own wants, some hundred metres away."""
    buyer = uuid.uuid4().hex
    lat, lng = LAT + int(buyer[:2], 16) / 50_000, LNG
    told: dict[str, Any] = {
        "owner": "app",
        "buyer": buyer,
        "device": buyer,
        "point_id": POINT,
        "service_id": "clean",
        "lat": lat,
        "lng": lng,
        "cell": coarse_cell(lat, lng),
        "address": "Lane 7",
        "starts_s": _seconds(starts_at),
        "total_minor": None,
        "actor": "k",
    }
    return VisitWish(**told | more)


def _seconds(starts_at: str) -> int:
    return int(dt.datetime.fromisoformat(starts_at).timestamp())


def book_once(
    connection: WriteConnection, terms: BookingTerms, key: str, wanted: VisitWish, candidate: Candidate | None = None
) -> str:
    """Book under a key, as the route does; return the booking's id."""

    def create(connection: WriteConnection) -> Created:
        made = hold_visit(connection, terms, wanted, candidate)
        return Created(json.dumps({"booking_id": made.booking_id}).encode())

    digest = hashlib.sha256(key.encode()).hexdigest()
    created, _is_replay = once(connection, ("caller", ROUTE, key), digest, create)
    return str(json.loads(created.body)["booking_id"])


def happen_to(connection: WriteConnection, terms: BookingTerms, booking_id: str, event: Event) -> AnyRow:
    """Let an event happen to a booking, and nothing to the day of its crew."""
    return _happen(act_on, connection, terms, booking_id, event)


def _go_on(connection: WriteConnection, terms: BookingTerms, booking_id: str, event: Event) -> AnyRow:
    """Let an event happen to a booking as its route does: the day of its crew goes on, too."""
    return _happen(_UNDER_WAY.get(event, act_on), connection, terms, booking_id, event)


def _happen(
    act: Callable[..., AnyRow], connection: WriteConnection, terms: BookingTerms, booking_id: str, event: Event
) -> AnyRow:
    found = locked_booking(connection, booking_id)
    assert found is not None
    customers = event in {Event.CONFIRM, Event.CANCEL}
    return act(connection, terms, found, Act(event, Party.CUSTOMER if customers else Party.MERCHANT, "k"))


def _move(connection: WriteConnection, terms: BookingTerms, booking_id: str, starts_at: str) -> AnyRow:
    found = locked_booking(connection, booking_id)
    assert found is not None
    return reschedule(connection, terms, found, _seconds(starts_at), None, "k")


def _fall_ill(connection: WriteConnection, terms: BookingTerms, crew_id: str, until: str) -> list[AnyRow]:
    """Let a crew fall ill as its route does; return the bookings that this changed."""
    point = locked_point(connection, MERCHANT, POINT)
    its = {"point_id": POINT, "crew_id": crew_id, "engagement_id": "ill", "lat": None, "lng": None}
    ends_us = to_us(dt.datetime.fromisoformat(until))
    put_engagement(connection, its | {"starts_at": connection.now_us, "ends_at": ends_us})
    found = settled(connection, terms, point, crew_id, "k", "replan")
    return [*found.unkept, *found.moved]


def _found(connection: ReadConnection, terms: BookingTerms, wanted: VisitWish) -> Candidate | None:
    asked = asked_of(connection, terms.orders, POINT, "clean", wanted.lat, wanted.lng)
    return candidate_for(connection, terms, asked, wanted.starts_s, to_us(dt.datetime.now(dt.UTC)))


def _script(folder: Path, fault: str) -> Callable[[Say], None]:
    return _script_of(opened(str(folder)), fault)


def _script_of(store: Store, fault: str) -> Callable[[Say], None]:
    """
    Book two days, and let a crew fall ill for the first of them after every twelfth visit, until not all can be kept.

    Of five visits one is held, one is confirmed, one moved to a day behind, one cancelled, one finished. Every other one
    is booked by what memory says, which is never told of a change.
    """
    terms = booking_terms_of(store)
    windows, behind = starts(1, 2) * 3, starts(5, 5)
    after = {
        1: (Event.CONFIRM,),
        2: (Event.CONFIRM,),
        3: (Event.CANCEL,),
        4: (Event.CONFIRM, Event.DEPART, Event.START, Event.FINISH),
    }

    def run(say: Say) -> None:
        keys: dict[str, str] = {}
        for number in range(N_BOOKINGS):
            wanted, key = wish_at(windows[number]), f"key-{number}"
            candidate = store.read_now(partial(_found, terms=terms, wanted=wanted)) if number % 2 else None
            if fault == "tells-first":  # planted: it acknowledges what is not yet stored
                say(f"ok {key} 1")
            booking = partial(book_once, terms=terms, key=key, wanted=wanted, candidate=candidate)
            booking_id = store.write_now(booking)
            keys[booking_id] = key
            say(f"ok {key} 1")
            for event in after.get(number % 5, ()):
                row = store.write_now(partial(_go_on, terms=terms, booking_id=booking_id, event=event))
                say(f"ok {key} {row.revision}")
            if number % 5 == 2:
                to = behind[number // 5]
                row = store.write_now(partial(_move, terms=terms, booking_id=booking_id, starts_at=to))
                say(f"ok {key} {row.revision}")
            if number % 12 == 11:
                ill = CREW_IDS[number // 12 % 2]
                for row in store.write_now(partial(_fall_ill, terms=terms, crew_id=ill, until=starts(2, 1)[0])):
                    say(f"ok {keys[row.booking_id]} {row.revision}")

    return run


def _warm_up(folder: Path) -> None:
    with opened(str(folder)) as store:
        _script_of(store, "none")(lambda _text: None)


if __name__ == "__main__":
    run_killed(sys.argv[1], _script, _warm_up)
