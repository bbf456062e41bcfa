"""What booked visits must do, written down a second time: crews, exact times and who has which, knowing nothing of linli."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["EVENTS", "LEAD", "NEXT", "PLANNED", "STATES", "Model", "RefusedError", "Visit"]

S, MINUTE, HOUR = 1_000_000, 60_000_000, 3_600_000_000
LASTS, RESERVE, WAIT, FREE, COMPLAIN, WORKS = 2 * HOUR, 30 * MINUTE, 20 * MINUTE, 24 * HOUR, 48 * HOUR, (8, 18)
SETS_OUT, LEAST, LEAD = 48 * HOUR, 5 * MINUTE, 2 * HOUR
PLANNED = ("held", "confirmed", "en_route", "started")
LOOSE = PLANNED[:3]
PERCENT = {("confirmed", "cancel"): 30, ("en_route", "cancel"): 50, ("en_route", "customer_absent"): 50}
NEXT = {
    **{(state, "cancel"): "cancelled" for state in ("held", "confirmed", "unplaced", "en_route")},
    **{(state, "crew_absent"): "crew_absent" for state in ("confirmed", "unplaced", "en_route")},
    **{(state, "reschedule"): "confirmed" for state in ("confirmed", "unplaced")},
    **{(state, "lose"): "unplaced" for state in ("confirmed", "en_route")},
    **{("held", event): to for event, to in (("confirm", "confirmed"), ("expire", "expired"), ("lose", "expired"))},
    **{(state, "move"): "held" if state == "held" else "confirmed" for state in LOOSE},
    **{(state, "complain"): state for state in ("finished", "paid")},
    ("confirmed", "depart"): "en_route",
    ("en_route", "start"): "started",
    ("en_route", "customer_absent"): "customer_absent",
    ("started", "overrun"): "started",
    ("started", "finish"): "finished",
    ("finished", "pay"): "paid",
}
STATES = tuple(dict.fromkeys([state for state, _ in NEXT] + list(NEXT.values())))
EVENTS = tuple(dict.fromkeys(event for _, event in NEXT))


class RefusedError(Exception):
    """It must be refused, and change nothing."""


@dataclass
class Visit:
    at: int
    crew: str | None
    expires: int | None
    total: int
    lasts: int
    state: str = "held"
    fee: int = 0
    taken: tuple[int, int] = (0, 0)  # from when until when its crew has no time for another
    free_until: int = 0
    departed: int = 0
    begun: int = 0
    done: int = 0
    failed: int = 0  # when one that was to make it good last came to nothing, not by its customer
    of: str = ""

    def put(self, at: int, crew: str) -> None:
        self.at, self.crew, self.taken = at, crew, (at, at + self.lasts)


@dataclass
class Model:
    crews: dict[str, list[tuple[int, int]]]  # when each is ill
    midnight: int
    lasts: int = LASTS  # what is booked by now
    is_sold: bool = True
    lead: int = 0  # between asking for another window and its beginning
    visits: dict[str, Visit] = field(default_factory=dict)

    def free(self, at: int, now: int, lasts: int, but: str = "") -> set[str]:
        """Return the crews that have time for a visit."""
        hour = (at - self.midnight) % (24 * HOUR)
        if at < now or not WORKS[0] * HOUR <= hour <= WORKS[1] * HOUR - lasts:
            return set()
        taken: list[tuple[str | None, tuple[int, int]]]
        taken = [(one.crew, one.taken) for name, one in self.visits.items() if name != but]
        taken += [(crew, span) for crew, spans in self.crews.items() for span in spans]
        return self.crews.keys() - {crew for crew, (low, high) in taken if low < at + lasts and at < high}

    def hold(self, name: str, at: int, crew: str, now: int, total: int) -> None:
        self._hold(name, at, crew, now, total, self.lasts)

    def _hold(self, name: str, at: int, crew: str, now: int, total: int, lasts: int) -> None:
        self._take(crew, at, now, lasts)
        expires = max(now + min(RESERVE, LEAST), min(now + RESERVE, at))
        self.visits[name] = Visit(at, crew, expires, total, lasts, free_until=at - FREE)
        self.visits[name].put(at, crew)

    def _take(self, crew: str, at: int, now: int, lasts: int, but: str = "") -> None:
        if crew not in self.free(at, now, lasts, but):
            raise RefusedError

    def _check_lead(self, at: int, now: int) -> None:
        if at < now + self.lead:
            raise RefusedError

    def act(self, name: str, event: str, now: int, *, at: int = 0, crew: str = "", by_customer: bool = True) -> None:
        one = self.visits[name]
        waits = {
            "customer_absent": max(one.at, one.departed) + WAIT,
            "crew_absent": one.at,
            "depart": one.at - SETS_OUT,
        }
        is_late = event == "confirm" and (one.expires or now) <= now
        if (one.state, event) not in NEXT or now < waits.get(event, 0) or is_late:
            raise RefusedError
        if event == "reschedule":
            self._check_lead(at, now)
            self._take(crew, at, now, one.lasts, name)
            was_missed = one.state == "unplaced" or one.at < now
            one.put(at, crew)
            if was_missed or one.free_until >= now:
                one.free_until = at - FREE
        is_free = event != "customer_absent" and now <= one.free_until
        is_late = (one.departed if event == "customer_absent" else now) > one.at
        if not (is_free or is_late) and (by_customer or event == "customer_absent"):
            one.fee += one.total * PERCENT.get((one.state, event), 0) // 100
        is_promised = one.state != "unplaced" and now <= one.at
        if one.of and event == "cancel" and not (by_customer and is_promised):
            self.visits[one.of].failed = now
        self.go(one, event, now)

    def go(self, one: Visit, event: str, now: int, crew: str = "") -> None:
        one.state = NEXT[one.state, event]
        if one.of and event == "crew_absent":
            self.visits[one.of].failed = now
        if event == "move":
            one.put(one.at, crew)
        if event == "depart":  # until the visit is over its crew has no time for another on that day
            one.departed, one.taken = now, (one.at - (one.at - self.midnight) % (24 * HOUR), one.taken[1])
        if event == "start":
            one.begun, one.taken = now, self.pinned(one, now)
        if event == "finish":
            one.done, low = now, one.taken[0]
            one.taken = (low, min(one.taken[1], low + -(-(now - one.begun) // S) * S))
        if one.state not in (*PLANNED, "finished", "paid"):
            busy = {
                other.crew for other in self.visits.values() if other.state == "started" and other.begun >= one.departed
            }
            is_there = one.state == "customer_absent" and one.crew not in busy  # at the door, and on from there
            one.crew, one.taken = one.crew if is_there else None, (0, 0)
        if one.state != "held":
            one.expires = one.at + WAIT + one.lasts if one.state in ("confirmed", "unplaced", "en_route") else None

    @staticmethod
    def pinned(one: Visit, now: int) -> tuple[int, int]:
        """Return from when until when a visit takes its crew that begins now, in whole seconds."""
        return now // S * S, -(-now // S) * S + one.lasts

    def complain(self, name: str, made: str, at: int, crew: str, now: int) -> None:
        one, over = self.visits[name], ("cancelled", "crew_absent")
        is_good = any(other.of == name and other.state not in over for other in self.visits.values())
        if (one.state, "complain") not in NEXT or now > max(one.done, one.failed) + COMPLAIN or is_good:
            raise RefusedError
        self._check_lead(at, now)
        self._hold(made, at, crew, now, 0, one.lasts)
        self.visits[made].of = name
        self.go(self.visits[made], "confirm", now)

    def overrun(self, name: str, minutes: int, now: int) -> list[str]:
        """Let a visit take longer; return those that its crew cannot make any more."""
        one = self.visits[name]
        begun = one.begun // S * S
        one.taken = (begun, max(begun + one.lasts, -(-now // S) * S + minutes * MINUTE))
        return self.late(one.crew or "", one.taken)

    def late(self, crew: str, span: tuple[int, int]) -> list[str]:
        """Return the visits, the earlier ones first, that a crew cannot make where it has no time."""
        its = [
            (one.at, one.lasts, name) for name, one in self.visits.items() if one.crew == crew and one.state in LOOSE
        ]
        return [name for at, lasts, name in sorted(its) if span[0] < at + lasts and at < span[1]]

    def due(self, now: int) -> list[str]:
        found = [(one.expires, name) for name, one in self.visits.items() if one.expires and one.expires <= now]
        return [name for _, name in sorted(found)]
