"""A customer who is erased has left nothing behind of visits that are over: in no file, no table, no log, not in Redis (S13)."""

from __future__ import annotations

import json
import secrets
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h3
import pytest

from service.bookings.forgetting import forget_visits
from service.bookings.holding import VisitWish
from service.bookings.rules import Event
from service.clock import SystemClock
from service.feed.housekeeping import Housekeeping
from service.places import centre_of, coarse_cell
from tests.contract.service.talking import ask, dump
from tests.crew_walk import way_s
from tests.faults.buying import Answer, Caller, change
from tests.faults.leavings import MOST_S, kept_by, stored_at
from tests.faults.visiting import book_once, booking_terms_of, enter_provider, happen_to, wish_at
from tests.faults.visits import LAT, LNG, TRAVEL, Provider, book, open_provider, starts, unsound_visits, wrong_visits
from tests.feed_store import opened_store, wait_until
from tests.servers import ValkeyServer, running_valkey
from tests.serving import Place, fresh_database, running_service

NAMES = ("buyer", "device", "address", "note")
_MINUTE_US, _DAY_US = 60_000_000, 86_400_000_000
_SPARE_S = 595  # between two visits of fifty minutes that begin an hour apart
_PRIVATE = ("buyer", "device", "cell", "lat", "lng", "address", "note", "proof")


@dataclass(frozen=True)
class Canary:
    """A customer whose every trace is known."""

    told: dict[str, Any]
    note: str

    @property
    def traces(self) -> list[bytes]:
        """All bytes that tell of it: names, and the place as text and as a database writes it."""
        place = (self.told["lat"], self.told["lng"])
        names = [value for value in (*self.told.values(), self.note) if isinstance(value, str)]
        return [text.encode() for text in (*names, *map(repr, place))] + [struct.pack(">d", number) for number in place]

    def found_in(self, kept: dict[str, bytes]) -> list[str]:
        """Return where something of it is."""
        return [where for where, data in kept.items() if any(trace in data for trace in self.traces)]


def _canary() -> Canary:
    told: dict[str, Any] = {name: f"canary{name}{secrets.token_hex(12)}" for name in NAMES}
    drawn = secrets.randbelow(10**9) / 10**12
    note = told.pop("note")
    return Canary({**told, "lat": LAT + 0.003 + drawn, "lng": LNG + 0.002 + drawn}, note)


@dataclass
class Visited:
    """A provider, and everywhere that something of a customer could be kept."""

    provider: Provider
    redis: ValkeyServer | None

    def places(self) -> dict[str, bytes]:
        """Return all bytes that are kept, by where."""
        return kept_by(self.provider.serving, self.redis)


@pytest.fixture(params=["sqlite", "postgres"])
def visited(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Visited]:
    with ExitStack() as stack:
        redis, url, flags = None, None, list[str]()
        if request.param == "postgres":
            redis = stack.enter_context(running_valkey())
            url, flags = fresh_database(request.getfixturevalue("postgres_url")), [f"--redis={redis.url}"]
        serving = stack.enter_context(running_service(Place(tmp_path / "data", url), *flags, log_level="debug"))
        yield Visited(stack.enter_context(open_provider(serving, "erased", ["anna"])), redis)


def _act(caller: Caller, booking_id: str, event: str, body: Any = None, key: str | None = None) -> Answer:
    answer = caller.call("POST", f"/v1/bookings/{booking_id}:{event}", body, key)
    assert answer.status in {200, 201}, answer
    return answer


def _live(provider: Provider, app: Caller, own: Caller, canary: Canary) -> list[str]:
    """Let a customer book, cancel, be visited, complain and be refused; return the visits that are open then."""
    windows = starts(1, 2)
    ids = [book(app, provider.body(at, **canary.told)).told["booking_id"] for at in (windows[1], windows[3])]
    for booking_id in ids:
        _act(app, booking_id, "confirm")
    _act(app, ids[1], "cancel", {})
    _act(own, ids[0], "depart")
    codes = app.call("GET", f"/v1/bookings/{ids[0]}").told
    _act(own, ids[0], "start", {"code": codes["start_code"]})
    proof = {"end_code": codes["end_code"], "written_contract": f"signed {canary.note}"}
    _act(own, ids[0], "finish", {"proof": proof})
    complaint = {"starts_at": windows[5], "note": canary.note}
    again = _act(app, ids[0], "complain", complaint, "complaint").told["booking_id"]
    held = book(app, provider.body(windows[7], **canary.told)).told["booking_id"]
    assert book(app, provider.body(windows[5], **canary.told)).slug == "sold-out"
    assert book(app, provider.body("yesterday", **canary.told)).status == 422
    assert app.call("GET", f"/v1/bookings?state={canary.told['buyer']}").status == 422
    return [again, held]


def _erase(app: Caller, canary: Canary) -> dict[str, int]:
    answer = app.call("POST", "/v1/buyers:erase", {"buyer": canary.told["buyer"]})
    assert answer.status == 200, answer
    return answer.told


def test_erased_customer__has_left_nothing_behind_of_visits(
    visited: Visited, record_property: Callable[[str, object], None]
) -> None:
    provider, canary = visited.provider, _canary()
    place, app, own = provider.serving.place, provider.app(), provider.own()
    assert book(app, provider.body(starts(1, 1)[2])).status == 201
    still_open = _live(provider, app, own, canary)
    assert canary.found_in({"database": dump(place)}) == ["database"]
    assert _erase(app, canary) == {"orders": 0, "bookings": 2, "open_bookings": 2}
    assert canary.found_in({"database": dump(place)}) == ["database"]  # whoever comes must know where to
    for booking_id in still_open:
        _act(app, booking_id, "cancel", {})
    assert _erase(app, canary) == {"orders": 0, "bookings": 2, "open_bookings": 0}
    begun = time.monotonic()
    wait_until(lambda: canary.found_in(visited.places()) == [], MOST_S, "forgotten")
    record_property("seconds", round(time.monotonic() - begun, 2))
    rows = ask(place, f"SELECT {', '.join(_PRIVATE)} FROM bookings")  # noqa: S608
    assert sorted(row.count(None) for row in rows) == [2, 8, 8, 8, 8]
    assert unsound_visits(place) == wrong_visits(place) == []
    assert book(app, provider.body(starts(1, 1)[3])).status == 201  # the day goes on
    assert wrong_visits(place) == []
    app.close()
    own.close()
    for trace in canary.traces:
        assert canary.found_in({"clean": b"..", "planted": b"." + trace}) == ["planted"]


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    url = fresh_database(request.getfixturevalue("postgres_url")) if request.param == "postgres" else None
    return Place(tmp_path / "data", url)


def _tight(start: tuple[float, float], through: tuple[float, float]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return a place near the edge of a cell, seen from its centre, and one further on to which there is just time."""
    step = (through[0] - start[0], through[1] - start[1])
    lat, lng = start[0] + 0.95 * step[0], start[1] + 0.95 * step[1]
    ahead = [(lat + k / 100 * step[0], lng + k / 100 * step[1]) for k in range(2_000)]
    return (lat, lng), [place for place in ahead if way_s(TRAVEL, (lat, lng), place) <= _SPARE_S][-1]


@pytest.mark.parametrize(("is_tight", "has_offer"), [(False, True), (True, True), (False, False)])
def test_place__is_forgotten_in_the_day_of_its_crew_which_is_still_kept(
    place: Place, is_tight: bool, has_offer: bool
) -> None:
    """A visit that took all its time, and the next one of its crew, to which the way from the cell's centre may be too long."""
    cell = coarse_cell(LAT, LNG)
    here, there = _tight(centre_of(cell), h3.cell_to_boundary(cell)[0])
    eight, nine = starts(1, 1, [8, 9 if is_tight else 11])
    with opened_store(place) as store:
        store.write_now(enter_provider)
        terms, its = booking_terms_of(store), wish_at(eight, lat=here[0], lng=here[1], cell=cell)
        following = wish_at(nine, lat=there[0], lng=there[1])
        first, _ = (
            store.write_now(partial(book_once, terms=terms, key=one.buyer, wanted=one)) for one in (its, following)
        )
        for event in (Event.CONFIRM, Event.DEPART, Event.START):
            store.write_now(partial(happen_to, terms=terms, booking_id=first, event=event))
        change(place, "UPDATE bookings SET begun_at = begun_at - 7200000000 WHERE begun_at IS NOT NULL")
        store.write_now(partial(happen_to, terms=terms, booking_id=first, event=Event.FINISH))
        if not has_offer:
            change(place, "DELETE FROM offers")
        forget = partial(forget_visits, rosters=terms.rosters, owner="app", buyer=its.buyer)
        assert store.write_now(forget) == (1, 0)
    ((day,),) = ask(place, "SELECT day FROM shifts")
    stops = {stop[0]: stop[1] for stop in json.loads(day)["stops"]}
    assert len(stops) == 2
    assert stops[first] == (None if is_tight else list(centre_of(cell)))
    assert wrong_visits(place) == []


def _wished(canary: Canary, at: str) -> VisitWish:
    """Return what a canary wants, at the place of others: the day of its crew is forgotten later."""
    return wish_at(at, **{name: canary.told[name] for name in ("buyer", "device", "address")})


@pytest.mark.parametrize(("kept_s", "is_known"), [(3600.0, True), (-3600.0, False)])
def test_visits__are_forgotten_by_themselves_once_they_are_over_for_long(
    place: Place, kept_s: float, is_known: bool
) -> None:
    """A visit that ended, and a held one of the day behind: time is turned by what is kept, since it cannot be waited for."""
    over, held = _canary(), _canary()
    with opened_store(place) as store:
        store.write_now(enter_provider)
        terms = booking_terms_of(store)
        wishes = {at: _wished(canary, at) for canary, at in zip((over, held), starts(1, 2, [9]), strict=True)}
        ids = [store.write_now(partial(book_once, terms=terms, key=at, wanted=wishes[at])) for at in wishes]
        store.write_now(partial(happen_to, terms=terms, booking_id=ids[0], event=Event.CANCEL))
        assert over.found_in(stored_at(place)) != []
        keeping = Housekeeping(store, SystemClock(), keep_changes_s=3600.0, keep_buyers_s=kept_s)

        def is_as_promised() -> bool:
            keeping.prune()  # as in each turn: the log is emptied behind a write
            return (over.found_in(stored_at(place)) != []) == is_known

        wait_until(is_as_promised, MOST_S, "forgotten")
        assert held.found_in(stored_at(place)) != []
    known = ask(place, "SELECT booking_id FROM bookings WHERE buyer IS NOT NULL AND address IS NOT NULL AND lat > 0")
    assert {row[0] for row in known} == ({*ids} if is_known else {ids[1]})
    assert len(ask(place, "SELECT * FROM shifts")) == 2


def test_shifts__are_forgotten_once_they_are_over_for_long(place: Place) -> None:
    """With them goes where their visits were, which is told as text in a crew's day alone."""
    canaries = [_canary(), _canary()]
    stops = [json.dumps([canary.told["lat"], canary.told["lng"]]).encode() for canary in canaries]
    with opened_store(place) as store:
        store.write_now(enter_provider)
        terms, clock = booking_terms_of(store), SystemClock()
        for at, canary in zip(starts(1, 2, [9]), canaries, strict=True):
            wanted = wish_at(at, lat=canary.told["lat"], lng=canary.told["lng"])
            store.write_now(partial(book_once, terms=terms, key=at, wanted=wanted))
        (first,), (second,) = ask(place, "SELECT ends_at FROM shifts ORDER BY ends_at")
        keeping = Housekeeping(store, clock, keep_changes_s=3600.0, monotonic=lambda: clock.now_us() / 1e6)

        def are_left(left: list[bytes]) -> bool:
            keeping.prune()
            kept = stored_at(place).values()
            return [stop for stop in stops if any(stop in data for data in kept)] == left

        for over_us, n_left in ((first, 2), (first + _MINUTE_US, 1), (second, 1), (second + _MINUTE_US, 0)):
            clock.keep_after(over_us + 2 * _DAY_US - _MINUTE_US // 2)
            wait_until(partial(are_left, stops[2 - n_left :]), MOST_S, f"{n_left} left")
            assert len(ask(place, "SELECT * FROM shifts")) == n_left
