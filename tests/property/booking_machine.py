"""The booked visits of a real store and a plain model of them, changed side by side and compared after every step."""

from __future__ import annotations

import datetime as dt
import itertools
import uuid
from collections import Counter
from typing import Any, ClassVar

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select

from service.bookings import sweeping
from service.bookings.acting import END_CODE, START_CODE, act_on, locked_booking
from service.bookings.days import day_of
from service.bookings.rules import Act, Event, Party
from service.bookings.store import due_bookings
from service.clock import from_us, to_us
from service.errors import StateConflictError
from service.orders.codes import code_of
from service.store.connections import ReadConnection, WriteConnection
from service.store.leases import Lease
from service.store.visit_tables import bookings, shifts
from tests.crew_walk import late_stops
from tests.property.booking_model import EVENTS, LEAD, LOOSE, NEXT, PLANNED, SETS_OUT, Model, RefusedError, Visit
from tests.registry import NOW, Offer, Point, Registry

__all__ = ["PATHS", "Bookings"]

OFFER = "housekeeping/onsite"
LAT, LNG = 31.2304, 121.4737
PRICE, HOUR_US, DAY_US = 10_005, 3_600_000_000, 86_400_000_000
CREWS = ("anna", "bert")
_names = itertools.count()
AT_ONCE = tuple(event for event in EVENTS if event not in {"move", "lose", "expire"})
OF_CUSTOMERS = {"confirm", "reschedule", "complain", "crew_absent"}
PICK = st.integers(0, 99)
DAYS, HOURS = st.integers(0, 2), st.integers(8, 17)
PASSED_S = st.sampled_from([0, 600, 1_900, 3_600, 9_000, 43_200, 100_000])
_READY = ("confirm", "depart", "to it", "start")
PATHS: tuple[tuple[str | int, ...], ...] = (
    *((), ("cancel",), (1_900,), (-1_900, "confirm"), ("ill",)),
    *(("confirm",), ("confirm", "cancel"), ("confirm", "reschedule"), ("confirm", "to it", "crew_absent")),
    *(("confirm", "to it", 9_000), ("confirm", "to it", -9_000, "reschedule")),
    ("confirm", "to it", -60, "reschedule", "cancel"),
    *(("confirm", "ill"), ("confirm", "ill", "cancel"), ("confirm", "ill", "reschedule")),
    *(("confirm", "ill", "to it", "crew_absent"), ("confirm", "ill", "to it", 9_000)),
    *(("confirm", "depart"), ("confirm", "depart", "cancel"), ("confirm", "depart", -18_000, "cancel")),
    ("confirm", "depart", "ill"),
    *(("confirm", "depart", "to it", 1_300, "customer_absent"), ("confirm", "depart", "to it", "crew_absent")),
    *(("confirm", "depart", "to it", 9_000), _READY, (*_READY, "overrun"), (*_READY, "overrun", "finish")),
    *((*_READY, "ill"), (*_READY, "ill", "overrun", "finish")),
    *((*_READY, "finish"), (*_READY, "finish", "complain"), (*_READY, "finish", "complain", "complain")),
    (*_READY, "finish", "complain", 200_000, "complain"),
    *(("confirm", "longer", "reschedule"), (*_READY, "finish", "longer", "complain")),
    *(("confirm", "paused", "reschedule"), (*_READY, "finish", "deleted", "complain")),
    *((*_READY, "finish", "pay"), (*_READY, "finish", "pay", "complain"), (*_READY, 600, "finish", "pay", 200_000)),
)
"""Ways that a visit can go: what is done, and for how many seconds nothing is; if negative, unnoticed by the clock."""


class Bookings(RuleBasedStateMachine):
    """
    The visits of a point with two crews are what the model says.

    All are booked at the point itself, for exact times: so it is plain who has time. What is kept in memory is never
    brought up to date: nothing may depend on it.
    """

    registry: ClassVar[Registry]
    lease: ClassVar[Lease]
    hits: ClassVar[Counter[tuple[str, str]]] = Counter()
    """How often each event met each state, over all machines: the test asks that all did."""

    @initialize()
    def start(self) -> None:
        number = next(_names)
        self.point = f"shop:{number}"
        self.store, self.terms = self.registry.services.store, self.registry.services.bookings
        midnight = NOW.replace(hour=0) + dt.timedelta(days=5 * number % 300)
        self.registry.clock.at = midnight + dt.timedelta(hours=7)
        offer = Offer(OFFER, 3000.0)
        self.registry.put(Point(self.point, LAT, LNG, [offer], timezone="Etc/UTC"), follow=False, silently=True)
        self._put_service(120)
        for crew in CREWS:
            body = {"name": crew, "hours": "Mo-Su 08:00-18:00"}
            assert self._send("PUT", f"/v1/points/{self.point}/crews/{crew}", "shop", body).is_success
        self.model = Model({crew: [] for crew in CREWS}, to_us(midnight))

    def _put_service(self, minutes: int, **more: bool) -> None:
        service = {"name": "Cleaning", "offer": OFFER, "minutes": minutes, "price_minor": PRICE, "currency": "CNY"}
        exact = {"lead_minutes": 0, "window_minutes": 0, "step_minutes": 60}
        assert self._send("PUT", f"/v1/points/{self.point}/services/clean", "shop", service | exact | more).is_success

    # What happens

    @rule(day=DAYS, hour=HOURS)
    def hold(self, day: int, hour: int) -> None:
        now = self._tick()
        at = self._at(now, day, hour)
        if at > now:
            self._held(at, now)

    def _held(self, at: int, now: int) -> str | None:
        name = uuid.uuid4().hex
        place = {"lat": LAT, "lng": LNG, "address": "door 3"}
        body = {"point_id": self.point, "service_id": "clean", **place, "starts_at": _told(at), "buyer": name}
        answer = self._send("POST", "/v1/bookings", "app", body)
        if not answer.is_success:
            assert answer.status_code in {404, 409}, answer.text
            assert not (self.model.is_sold and self.model.free(at, now, self.model.lasts))
            return None
        booking_id = str(answer.json()["booking_id"])
        crew = self._crew(booking_id)
        assert self.model.is_sold
        assert crew in self.model.free(at, now, self.model.lasts)
        self.model.hold(booking_id, at, crew, now, PRICE)
        return booking_id

    def done_sooner(self) -> None:
        """Of two crews at work one is done at once: it has time for another visit while the other one goes on."""
        for path in (("confirm",), (*_READY, "finish")):
            self.live(0, 10, path)
        now = self._tick()
        assert self._held(self._at(now, 0, 11), now) is not None
        assert self._held(self._at(now, 0, 11), now) is None

    def still_at_it(self) -> None:
        """A visit that is not over on the next day runs over: its crew cannot make what it has promised by then."""
        self.live(0, 8, _READY)
        (name,) = self.model.visits
        self.live(0, 8, ("confirm",))
        self.live(0, 8, ("confirm", "to it"))
        self._do(name, "overrun", 0, 8, "shop")

    def ill_unawares(self) -> None:
        """All fall ill on days that were free when they were read into memory."""
        asked = {"point": self.point, "service": "clean", "lat": LAT, "lng": LNG}
        assert self.registry.send("GET", "/v1/slots", key="app", params=asked).is_success
        for crew in CREWS:
            self.falls_ill(crew, 48, 0)
        now = self._tick()
        assert self._held(self._at(now, 1, 10), now) is None

    @rule(pick=PICK, which=PICK, day=DAYS, hour=HOURS, key=st.sampled_from(["app", "shop"]))
    @precondition(lambda self: self.model.visits)
    def do(self, pick: int, which: int, day: int, hour: int, key: str) -> None:
        name = self._pick(pick)
        fitting = [event for event in AT_ONCE if (self.model.visits[name].state, event) in NEXT]
        if fitting:
            self._do(name, fitting[which % len(fitting)], day, hour, key)

    @rule(crew=st.sampled_from(CREWS), hours=st.integers(1, 40), ahead=st.sampled_from([0, 0, 5, 24]))
    def falls_ill(self, crew: str, hours: int, ahead: int) -> None:
        now = self._tick()
        low = now + ahead * HOUR_US
        high = low + hours * HOUR_US
        body = {"starts_at": _told(low), "until": _told(high)}
        answer = self._send("POST", f"/v1/points/{self.point}/crews/{crew}:ill", "shop", body)
        span = (low // 1_000_000 * 1_000_000, -(-high // 1_000_000) * 1_000_000)
        self.model.crews[crew].append(span)
        self._settled(answer, self.model.late(crew, span), now)

    @rule(hours=st.integers(1, 3))
    def takes_longer(self, hours: int) -> None:
        """What is booked takes another time from now on; what is promised already does not."""
        self._tick()
        self._put_service(60 * hours)
        self.model.lasts, self.model.is_sold, self.model.lead = hours * HOUR_US, True, 0

    @rule(is_deleted=st.booleans())
    def is_sold_no_more(self, *, is_deleted: bool) -> None:
        """Nothing new is booked from now on; what is promised already is kept."""
        self._tick()
        self._put_service(self.model.lasts // (60 * 1_000_000), paused=True)
        if is_deleted:
            path, key = f"/v1/points/{self.point}/services/clean", {"If-Match": "*"}
            assert self.registry.send("DELETE", path, key="shop", headers=key).status_code == 204
        self.model.is_sold, self.model.lead = False, LEAD if is_deleted else 0

    @rule(crew=st.sampled_from(CREWS))
    def is_well_again(self, crew: str) -> None:
        self._tick()
        if self.model.crews[crew]:
            span = self.model.crews[crew].pop()
            busy = f"/v1/points/{self.point}/crews/{crew}/busy/ill-{span[0] // 1_000_000}"
            assert self._send("DELETE", busy, "shop").status_code == 204

    def _settled(self, answer: httpx.Response, late: list[str], now: int) -> None:
        """Compare what became of visits that their crew cannot make any more, where others make them if they have time."""
        assert answer.status_code == 200, answer.text
        told = answer.json()
        crews = {one["booking_id"]: one["crew_id"] for one in told["moved"]}
        lost = []
        for name in late:
            one = self.model.visits[name]
            free = self.model.free(one.at, now, one.lasts, name)
            event = "move" if free else "lose"
            self.hits[one.state, event] += 1
            if free:
                assert crews.pop(name, None) in free
                self.model.go(one, event, now, self._crew(name))
            else:
                lost.append(name)
                self.model.go(one, event, now)
        assert crews == {}
        assert [one["booking_id"] for one in told["unkept"]] == lost

    @rule(day=DAYS, hour=HOURS, path=st.sampled_from(PATHS))
    def live(self, day: int, hour: int, path: tuple[str | int, ...]) -> None:
        """A visit goes one of the ways that there are; and wherever it is then, all else is refused."""
        now = self._tick()
        name = self._held(self._at(now, day + 1, hour), now)
        if name is None:
            return
        for step in path:
            one = self.model.visits[name]
            if isinstance(step, int):
                self.time_passes(abs(step), is_swept=step > 0)
            elif step == "to it":
                self.time_passes(max(0, one.at - self._tick()) / 1_000_000 + 3, is_swept=False)
            elif step == "depart":
                self.time_passes(max(0, one.at - SETS_OUT - self._tick()) / 1_000_000, is_swept=False)
                self._do(name, step, day + 1, 8 + (hour - 5) % 9, "app")
            elif step == "longer":
                self.takes_longer(3)
            elif step in {"paused", "deleted"}:
                self.is_sold_no_more(is_deleted=step == "deleted")
            elif step == "ill":
                if one.crew is not None:
                    self.falls_ill(one.crew, 48 + 24 * day, 0)
            else:
                self._do(name, step, day + 1, 8 + (hour - 5) % 9, "app")
        self._all_else_is_refused(name)

    def _all_else_is_refused(self, name: str) -> None:
        """What the state of a visit does not know is refused, whoever asks."""
        self._tick()
        state = self.model.visits[name].state
        unfit = [event for event in EVENTS if (state, event) not in NEXT]
        tried = [Act(Event(event), party, "somebody") for event in unfit for party in Party]

        def write(connection: WriteConnection) -> list[Act]:
            row = locked_booking(connection, name)
            return [act for act in tried if not self._is_refused(connection, row, act)]

        assert self.store.write_now(write) == []
        self.hits.update((state, event) for event in unfit)

    def _is_refused(self, connection: WriteConnection, row: Any, act: Act) -> bool:
        try:
            act_on(connection, self.terms, row, act)
        except StateConflictError:
            return True
        return False

    @rule(seconds=PASSED_S, is_swept=st.booleans())
    def time_passes(self, seconds: float, *, is_swept: bool) -> None:
        self.registry.clock.at += dt.timedelta(seconds=seconds)
        now = self._tick()
        if not is_swept:
            return
        told = self.store.write_now(lambda connection: due_bookings(connection, 1_000_000))
        due = [name for name in told if name in self.model.visits]
        assert due == self.model.due(now)
        for name in due:
            assert sweeping._one(self.store, self.terms, self.lease, name)
            one = self.model.visits[name]
            event = "expire" if one.state == "held" else "crew_absent"
            self.hits[one.state, event] += 1
            self.model.go(one, event, now)

    def _do(self, name: str, event: str, day: int, hour: int, key: str) -> None:
        now = self._tick()
        one = self.model.visits[name]
        if event == "start" and not self._is_sane(one, now):
            return
        at = self._at(now, day, hour)
        if event in {"reschedule", "complain"} and at <= now:
            return
        key = key if event == "cancel" else "app" if event in OF_CUSTOMERS else "shop"
        answer = self._send("POST", *self._asked(name, event, at, key))
        state = one.state
        if event == "overrun" and state == "started":
            self.hits[state, event] += 1
            self._settled(answer, self.model.overrun(name, 90, now), now)
            return
        made = str(answer.json()["booking_id"]) if answer.is_success else ""
        but = name if event == "reschedule" else ""
        crew = self._crew(made) if made else min(self.model.free(at, now, one.lasts, but), default="")
        try:
            if event == "complain":
                self.model.complain(name, made, at, crew or "", now)
            else:
                self.model.act(name, event, now, at=at, crew=crew or "", by_customer=key == "app")
        except RefusedError:
            assert answer.status_code == 409, answer.text
            return
        assert answer.is_success, answer.text
        self.hits[state, event] += 1

    def _is_sane(self, one: Visit, now: int) -> bool:
        """Tell whether a crew begins a visit at its time, in the order of its day, late for no other, and none before another is done."""
        others = [other for other in self.model.visits.values() if other.crew == one.crew and other is not one]
        is_in_order = not any(other.state in LOOSE and other.at <= now for other in others)
        span = self.model.pinned(one, now)
        ill = self.model.crews.get(one.crew or "", [])
        makes_late = any(other.at < span[1] and other.state in LOOSE for other in others)
        makes_late |= any(low < span[1] and span[0] < high for low, high in ill)
        is_at_its_time = now >= one.at + 2_000_000
        return is_at_its_time and is_in_order and not makes_late and not self._of(one.crew, "started")

    def _asked(self, name: str, event: str, at: int, key: str) -> tuple[str, str, Any]:
        """Return route, key and body of an event."""
        route = "absent" if event in {"customer_absent", "crew_absent"} else event
        codes = [code_of(self.terms.orders.secret, name, number) for number in (START_CODE, END_CODE)]
        body: Any = {
            "cancel": {},
            "customer_absent": {"who": "customer"},
            "crew_absent": {"who": "crew"},
            "reschedule": {"starts_at": _told(at)},
            "complain": {"starts_at": _told(at)},
            "start": {"code": codes[0]},
            "finish": {"proof": {"end_code": codes[1], "written_contract": "A-7"}},
            "pay": {},
            "overrun": {"minutes": 90},
        }.get(event)
        return f"/v1/bookings/{name}:{route}", key, body

    def _send(self, method: str, path: str, key: str, body: Any = None) -> httpx.Response:
        given = {} if body is None else {"json": body}
        return self.registry.send(method, path, key=key, headers={"Idempotency-Key": uuid.uuid4().hex}, **given)

    def _tick(self) -> int:
        """Let a moment pass, so that no two things happen, or are due, at one instant."""
        self.registry.clock.at += dt.timedelta(microseconds=1_000_003)
        return to_us(self.registry.clock.at)

    def _at(self, now: int, day: int, hour: int) -> int:
        """Return an hour of today or a later day."""
        return now // DAY_US * DAY_US + day * DAY_US + hour * HOUR_US

    def _pick(self, pick: int) -> str:
        names = list(self.model.visits)
        return names[-1 - pick % min(len(names), 6)]

    def _of(self, crew: str | None, state: str) -> list[Visit]:
        return [one for one in self.model.visits.values() if one.crew == crew and one.state == state]

    def _crew(self, name: str) -> str:
        its = select(bookings.c.crew_id).where(bookings.c.booking_id == name)
        return str(self.store.read_now(lambda connection: connection.value(its)) or "")

    # What must hold after each step

    @invariant()
    def is_as_the_model_says(self) -> None:
        if hasattr(self, "model"):
            self.store.read_now(self._compare)

    def _compare(self, connection: ReadConnection) -> None:
        told = connection.rows(select(bookings).where(bookings.c.point_id == self.point))
        found = {
            row.booking_id: (row.state, row.crew_id, row.starts_at, row.total_minor, row.fee_minor, row.expires_at)
            for row in told
        }
        assert found == {
            name: (one.state, one.crew, one.at, one.total, one.fee, one.expires)
            for name, one in self.model.visits.items()
        }
        days = [day_of(row) for row in connection.rows(select(shifts).where(shifts.c.point_id == self.point))]
        travel = self.terms.rosters.travel(connection, self.point)
        assert [late_stops(day, travel) for day in days] == [[]] * len(days)
        stand = [(stop.stop_id, day.crew_id, day.starts_s) for day in days for stop in day.stops if stop.place]
        names = {row.booking_id: (row.booking_id, row.crew_id, (row.shift_at or 0) // 1_000_000) for row in told}
        assert len(set(stand)) == len(stand)
        assert {names[row.booking_id] for row in told if row.state in PLANNED} <= set(stand)
        stays = {*PLANNED, "finished", "paid", "customer_absent"}
        assert set(stand) <= {names[row.booking_id] for row in told if row.state in stays}


def _told(at: int) -> str:
    return from_us(at).isoformat()
