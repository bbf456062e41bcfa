"""Addresses and exact places of visits are told in day sheets alone: in no other answer, event, webhook, record or log line."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from service.store.visit_tables import METADATA
from tests.contract.service.operations import BOOKING, window
from tests.contract.service.talking import ask, make_webhook
from tests.contract.service.telltales import telltales
from tests.contract.service.tenants import Tenants, tenants
from tests.event_client import events_of
from tests.receivers import Receiver, receiver
from tests.serving import Place, Serving, running_service

LAT, LNG = 31.2417093, 121.4968217
ADDRESS, NOTE = "Canary Lane 39, third door", "Canary dust on the shelf"
WISH = {**BOOKING, "lat": LAT, "lng": LNG, "address": ADDRESS}
SCOPES = ("admin", "merchant", "app", "crew", "station", "planner")
CREW = "/v1/points/own-shop:visits/crews/anna"
ASKED = f"point=own-shop:visits&service=clean&lat={LAT}&lng={LNG}&days=2"


@pytest.fixture(scope="module")
def service(place: Place) -> Iterator[Serving]:
    with running_service(place, log_level="debug") as serving:
        yield serving


@dataclass
class Lived:
    """Visits from hold to complaint and to a crew's illness, with all that was answered on the way."""

    all_: Tenants
    hook: Receiver
    told: bytes = b""
    sheets: dict[str, bytes] = field(default_factory=dict)
    booking_id: str = ""

    def send(self, scope: str, method: str, path: str, body: Any = None, key: str = "") -> httpx.Response:
        """Send a request and keep its answer, headers too."""
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        answer = self.all_.clients[scope].request(method, path, json=body, headers=headers)
        self.told += answer.content + repr(answer.headers.multi_items()).encode()
        return answer

    def act(self, scope: str, event: str, body: Any = None) -> dict[str, Any]:
        """Let something happen to the last booking."""
        answer = self.send(scope, "POST", f"/v1/bookings/{self.booking_id}:{event}", body)
        assert answer.is_success, answer.text
        return dict(answer.json())

    def read(self) -> dict[str, Any]:
        """Read the last booking in every way with every key, and return it as the app sees it."""
        for scope in SCOPES:
            for path in (f"/v1/bookings/{self.booking_id}", f"/v1/bookings/{self.booking_id}/events"):
                self.send(scope, "GET", path)
            for path in ("/v1/bookings", f"/v1/slots?{ASKED}", f"{CREW}/busy", CREW, "/v1/audit?merchant_id=own-shop"):
                self.send(scope, "GET", path)
        return dict(self.send("app", "GET", f"/v1/bookings/{self.booking_id}").json())

    def book(self) -> None:
        """Book, twice with one key, and confirm."""
        body, key = {**WISH, "starts_at": window(), "buyer": uuid.uuid4().hex}, uuid.uuid4().hex
        made, again = (self.send("app", "POST", "/v1/bookings", body, key) for _ in range(2))
        assert (made.status_code, again.content) == (201, made.content), made.text
        self.booking_id = made.json()["booking_id"]
        self.read()
        self.act("app", "confirm")

    def look(self) -> None:
        """Read the day sheets of today and tomorrow, as the crew and as the merchant."""
        today = dt.datetime.now(dt.timezone(dt.timedelta(hours=8))).date()
        for scope in ("crew", "merchant"):
            for date in (today, today + dt.timedelta(1)):
                answer = self.all_.clients[scope].get(f"{CREW}/day?date={date}")
                assert answer.status_code == 200, answer.text
                self.sheets[scope] = self.sheets.get(scope, b"") + answer.content


@pytest.fixture(scope="module")
def lived(service: Serving) -> Iterator[Lived]:
    with tenants(service) as all_, receiver() as hook:
        for scope in ("app", "merchant"):
            make_webhook(all_.clients[scope], hook.url)
        one = Lived(all_, hook)
        for changed in ({"total_minor": 1}, {"service_id": "nothing"}, {"starts_at": "2020-01-01T00:00:00Z"}, {"x": 1}):
            body = {**WISH, "starts_at": window(), "buyer": "a buyer"} | changed
            assert one.send("app", "POST", "/v1/bookings", body).is_client_error
        one.book()
        one.look()
        one.act("app", "reschedule", {"starts_at": window()})
        one.act("crew", "depart")
        codes = one.read()
        one.act("crew", "start", {"code": codes["start_code"]})
        one.act("crew", "overrun", {"minutes": 3})
        one.act("crew", "finish", {"proof": {"end_code": codes["end_code"], "written_contract": "A-7"}})
        one.act("app", "complain", {"starts_at": window(), "note": NOTE})
        one.look()
        one.act("merchant", "pay", {"means": "cash"})
        one.read()
        one.book()
        until = dt.datetime.now(dt.UTC) + dt.timedelta(days=3)
        lost = one.send("merchant", "POST", f"{CREW}:ill", {"until": until.isoformat()})
        assert one.booking_id in {booking["booking_id"] for booking in lost.json()["unkept"]}, lost.text
        one.read()
        all_.fresh_order("placed")
        hook.wait(2)
        yield one


def _untold(told: bytes, *, is_log: bool = False) -> list[str]:
    """Return what stands in a text that may stand in day sheets alone."""
    found = telltales(told, [], [LAT, LNG], is_log=is_log)
    return found + [text for text in (ADDRESS, NOTE) if text.encode() in told]


def test_sheets__tell_crew_and_merchant_where_the_visit_is(lived: Lived) -> None:
    """The control of the tests below: what they look for is found here."""
    for told in lived.sheets.values():
        assert {ADDRESS, NOTE, f"place {LNG:.4f}"} <= set(_untold(told))
        assert f'{{"lat":{LAT},"lng":{LNG}}}'.encode() in told
    assert lived.sheets.keys() == {"crew", "merchant"}


def test_answers__tell_no_address_and_no_place(lived: Lived) -> None:
    assert lived.told.count(b"vis_") > 100
    assert _untold(lived.told) == []


def test_events__tell_no_address_and_no_place(lived: Lived) -> None:
    wanted = lived.read()
    for scope in ("merchant", "admin"):
        told, kinds = "", set()
        with lived.all_.clients[scope].stream("GET", "/v1/events?after=0-0") as answer:
            for event in events_of(answer.iter_lines()):
                told += repr(event)
                data = json.loads(event.data or "{}")
                kinds.add(data.get("kind"))
                if (data.get("subject"), data.get("revision")) == (lived.booking_id, wanted["revision"]):
                    break
        assert {"booking", "shift", "roster"} <= kinds
        assert _untold(told.encode()) == []


def test_webhooks__tell_no_address_and_no_place(lived: Lived) -> None:
    got = [repr(one.headers).encode() + one.body for one in lived.hook.got]
    assert len(got) >= 2
    assert _untold(b"".join(got)) == []


def test_tables__hold_address_and_place_of_visits_to_come_and_nothing_else_does(service: Serving, lived: Lived) -> None:
    for name in METADATA.tables:
        held = repr(ask(service.place, f"SELECT * FROM {name}")).encode()  # noqa: S608
        if name == "shifts":
            assert ADDRESS.encode() not in held
        elif name != "bookings":
            assert _untold(held) == [], name
    records = repr(ask(service.place, "SELECT * FROM audit")).encode()
    assert b"crew.ill" in records


def test_log__holds_no_address_and_no_place(service: Serving, lived: Lived) -> None:
    assert lived.booking_id
    log = service.log.read_bytes()
    assert log.count(b"\n") > 100
    assert _untold(log, is_log=True) == []
    assert _untold(lived.all_.admin.get("/metrics").content) == []
