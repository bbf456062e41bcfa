from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.norms import load_norms
from service.clock import SettableClock
from service.http.problems import ProblemError
from service.matching import asks
from service.matching.asks import ask_of, read_ask

NOW = dt.datetime(2026, 11, 26, 3, 30, tzinfo=dt.UTC)
SERVICES: Any = SimpleNamespace(norms=load_norms(), clock=SettableClock(NOW))
NUMBERS = st.one_of(
    st.floats(-200.0, 200.0).map(repr),
    st.sampled_from(["31.2304", "-0.0", "90.0", "90.00001", "1e3", "", "31", ".5", "٣.1", "1.5\n"]),
)
OFFERS = st.sampled_from(
    ["retail/pickup", "retail%2Fpickup", "retail%2fpickup", "nobody/has", "retail", "a b/c", "a%/c"]
)
TIMES = st.sampled_from(
    [
        "2026-11-26T10:00:00Z",
        "2026-11-26T10%3A00%3A00%2B08%3A00",
        "2026-11-26T10:00:00%2B08:00",
        "2026-11-26T10:00:00+08:00",
        "2026-11-26T10:00:00.123456789Z",
        "2026%2D11-26T10:00:00Z",
        "2026-02-30T10:00:00Z",
        "2026-11-26T03:29:30Z",
        "2026-11-26T03:28:00Z",
        "2027-12-31T03:28:00Z",
        "2027-12-31T03:28:00%",
        "1999-12-31T03:28:00Z",
        "",
    ]
)


def _asked(lat: str, lng: str, offer: str, at: str | None, rest: str) -> bytes:
    text = f"lat={lat}&lng={lng}&offer={offer}" + ("" if at is None else f"&at={at}") + rest
    return text.encode("utf-8")


def _told(read: Any, raw: bytes) -> Any:
    try:
        return read(raw)
    except ProblemError as problem:
        return problem.slug, problem.detail


@given(
    st.builds(
        _asked, NUMBERS, NUMBERS, OFFERS, TIMES | st.none(), st.sampled_from(["", "&k=3", "&at=", "&x=1", "&lat=1.5"])
    )
)
@example(b"lat=31.2304&lng=121.4737&offer=retail/pickup")
@example(b"lat=31.2304&lng=121.4737&offer=retail/pickup&at=2026-11-26T10%3A00%3A00%2B08%3A00")
def test_ask_of__reads_what_read_ask_reads(raw: bytes) -> None:
    assert _told(lambda raw: ask_of(raw, SERVICES), raw) == _told(lambda raw: read_ask(raw, SERVICES)[0], raw)


def test_ask_of__reads_the_usual_form_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(asks, "read_ask")
    ask = ask_of(b"lat=31.2304&lng=-121.4737&offer=retail%2Fpickup&at=2026-11-26T12%3A00%3A00%2B08%3A00", SERVICES)
    assert (ask.lat, ask.lng, ask.offer) == (31.2304, -121.4737, "retail/pickup")
    assert (ask.at, ask.asked_at) == (dt.datetime(2026, 11, 26, 4, tzinfo=dt.UTC), NOW)
