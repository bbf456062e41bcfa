"""A visit is paid to the crew, or online: set aside when it is confirmed, taken when it is done, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from service.errors import OverloadedError
from tests.contract.service.desk import Desk
from tests.contract.service.talking import problem
from tests.contract.service.visiting import Visits


@pytest.fixture
def visits(desk: Desk) -> Visits:
    return Visits(desk)


def _online(means: str) -> dict[str, str]:
    return {"payment": "online", "means": means}


def _held(visits: Visits) -> dict[str, Any]:
    return visits.book(visits.provider("anna"), visits.tomorrow(12))


def _books(visits: Visits, booking: dict[str, Any]) -> tuple[int, int]:
    """Return what the provider has set aside for a visit, and what it took."""
    provider: Any = visits.desk.registry.services.payments
    found = [value for reference, value in provider.taken().items() if reference.startswith(booking["booking_id"])]
    return sum(one[0] for one in found), sum(one[1] for one in found)


def test_online__is_set_aside_and_taken_when_it_is_done(visits: Visits) -> None:
    booking = _held(visits)
    confirmed = visits.done(booking, "confirm", "app", _online("ok"))
    assert (confirmed["state"], confirmed["payment"]["state"]) == ("confirmed", "authorised")
    assert _books(visits, booking) == (20_000, 0)
    done = visits.brought(booking, "depart", "start", "finish")
    assert (done["state"], done["paid_by"]) == ("paid", "online")
    assert visits.events(booking)[-2:] == [("finish", "finished"), ("pay", "paid")]
    visits.desk.sweep()
    assert _books(visits, booking) == (0, 20_000)
    assert visits.read(booking)["payment"] == {"method": "online", "state": "captured", "captured_minor": 20_000}


def test_declined__leaves_the_visit_held_and_another_means_will_do(visits: Visits) -> None:
    booking = _held(visits)
    assert problem(visits.act(booking, "confirm", "app", _online("declined"))) == (409, "payment-declined")
    assert (visits.read(booking)["state"], visits.read(booking)["payment"]["state"]) == ("held", "declined")
    assert visits.done(booking, "confirm", "app", _online("ok"))["state"] == "confirmed"


def test_what_is_done__is_told_though_nothing_can_be_read_then(visits: Visits, monkeypatch: pytest.MonkeyPatch) -> None:
    booking = _held(visits)
    visits.done(booking, "confirm", "app", _online("ok"))

    def submit_read(*_: Any) -> Any:
        raise OverloadedError("it has too much to do")

    monkeypatch.setattr(visits.desk.registry.services.store, "submit_read", submit_read)
    told = visits.done(booking, "cancel", "app", {})
    assert (told["state"], told["payment"]["state"]) == ("cancelled", "releasing")


@pytest.mark.parametrize("how", [{}, _online("ok")], ids=["to the crew", "online"])
def test_hold_of_a_suspended_merchant__is_not_confirmed_and_nothing_is_set_aside(
    visits: Visits, suspend: Callable[[], None], how: dict[str, str]
) -> None:
    booking = _held(visits)
    suspend()
    assert problem(visits.act(booking, "confirm", "app", how)) == (409, "state-conflict")
    assert (visits.read(booking)["state"], _books(visits, booking)) == ("held", (0, 0))
    visits.desk.set_status("verified")
    assert visits.done(booking, "confirm", "app", how)["state"] == "confirmed"


def test_payment__of_which_is_heard_once_the_merchant_is_suspended_is_set_free(
    visits: Visits, suspend: Callable[[], None]
) -> None:
    booking = _held(visits)
    visits.done(booking, "confirm", "app", _online("timeout-authorised"))
    suspend()
    visits.desk.pass_(6)
    visits.desk.sweep()
    told = visits.read(booking)
    assert (told["state"], told["payment"]["state"], _books(visits, booking)) == ("held", "released", (0, 0))


@pytest.mark.parametrize(("means", "state"), [("timeout-authorised", "confirmed"), ("timeout-declined", "held")])
def test_no_answer__is_asked_for_until_it_comes(visits: Visits, means: str, state: str) -> None:
    booking = _held(visits)
    waiting = visits.done(booking, "confirm", "app", _online(means))
    assert (waiting["state"], waiting["payment"]["state"]) == ("held", "authorising")
    visits.desk.pass_(6)
    assert visits.read(booking)["state"] == state


def test_no_answer__keeps_the_window_until_it_comes(visits: Visits) -> None:
    booking = _held(visits)
    provider: Any = visits.desk.registry.services.payments
    visits.done(booking, "confirm", "app", _online("timeout-lost"))
    visits.desk.pass_until(booking["expires_at"], 1)
    visits.desk.pass_(6)
    assert visits.read(booking)["state"] == "expired"
    assert {reference for reference in provider.taken() if reference.startswith(booking["booking_id"])}
    assert _books(visits, booking) == (0, 0)


@pytest.mark.parametrize(("hours", "owed"), [(0, 0), (22, 6_000)])
def test_cancelled__takes_the_fee_and_sets_the_rest_free(visits: Visits, hours: int, owed: int) -> None:
    booking = visits.book(visits.provider("anna", crew={"hours": "24/7"}), visits.tomorrow(23))
    visits.done(booking, "confirm", "app", _online("ok"))
    visits.desk.pass_(hours * 3600)
    cancelled = visits.done(booking, "cancel", "app", {})
    assert cancelled["fee_minor"] == owed
    visits.desk.sweep()
    assert _books(visits, booking) == (0, owed)


@pytest.mark.parametrize(("hours", "end"), [(0, ("finish", "paid")), (22, ("cancel", "cancelled"))])
def test_capture__of_what_has_lapsed_is_told_once_and_changes_nothing_else(
    visits: Visits, hours: int, end: tuple[str, str]
) -> None:
    booking = visits.book(visits.provider("anna", crew={"hours": "24/7"}), visits.tomorrow(23))
    visits.done(booking, "confirm", "app", _online("capture-declined"))
    visits.desk.pass_(hours * 3600)
    if end[0] == "cancel":
        ended = visits.done(booking, "cancel", "app", {})
    else:
        ended = visits.brought(booking, "depart", "start", "finish")
    before = visits.events(booking)
    for _ in range(3):
        visits.desk.pass_(3600)
        assert visits.events(booking) == [*before, ("capture_declined", end[1])]
    told = visits.read(booking)
    assert told["payment"] == {"method": "online", "state": "declined", "captured_minor": 0}
    assert {name for name in told if told[name] != ended[name]} == {"payment", "revision"}
    assert (told["revision"], _books(visits, booking)) == (ended["revision"] + 1, (0, 0))


def test_merchant__who_cancels_takes_nothing(visits: Visits) -> None:
    booking = _held(visits)
    visits.done(booking, "confirm", "app", _online("ok"))
    assert visits.done(booking, "cancel", "corner", {"reason": "no_crew"})["fee_minor"] == 0
    visits.desk.sweep()
    assert _books(visits, booking) == (0, 0)
