"""When schedules open and close, in cases that a reader can check on a calendar."""

from __future__ import annotations

import datetime as dt
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from engine import OpeningTimes, openings
from engine.errors import InvalidHoursError, InvalidQueryError, InvalidTimezoneError
from engine.haste import told_in_haste
from engine.holidays import parse_holiday_file
from engine.hours import ScheduleKey

TIMES = OpeningTimes()
OFFICE: ScheduleKey = ("Mo-Fr 09:00-18:00; PH off", "Asia/Shanghai", "CN")
ALWAYS: ScheduleKey = ("24/7", "UTC", None)


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("key", "asked", "opens", "closes"),
    [
        # Open: now, until it closes.
        (OFFICE, "2026-03-04T12:34:56.789+08:00", "2026-03-04T12:34:56.789+08:00", "2026-03-04T18:00+08:00"),
        # The first minute is open, the last instant is not.
        (OFFICE, "2026-03-04T09:00+08:00", "2026-03-04T09:00+08:00", "2026-03-04T18:00+08:00"),
        (OFFICE, "2026-03-04T18:00+08:00", "2026-03-05T09:00+08:00", None),
        # A weekend, and eight days of holidays.
        (OFFICE, "2026-03-06T20:00+08:00", "2026-03-09T09:00+08:00", None),
        (OFFICE, "2026-09-30T18:30+08:00", "2026-10-08T09:00+08:00", None),
        # Past midnight.
        (("Fr 22:00-02:00", "UTC", None), "2026-03-06T23:00Z", "2026-03-06T23:00Z", "2026-03-07T02:00Z"),
        (("Fr 22:00-02:00", "UTC", None), "2026-03-07T01:59Z", "2026-03-07T01:59Z", "2026-03-07T02:00Z"),
        # An hour that New York's clock repeats is open twice, one that it skips never is.
        (
            ("Su 01:00-02:00", "America/New_York", None),
            "2026-11-01T00:00-04:00",
            "2026-11-01T01:00-04:00",
            None,
        ),
        (
            ("Su 01:00-02:00", "America/New_York", None),
            "2026-11-01T01:30-04:00",
            "2026-11-01T01:30-04:00",
            "2026-11-01T02:00-05:00",
        ),
        (("Su 02:00-03:00", "America/New_York", None), "2026-03-08T00:00-05:00", "2026-03-15T02:00-04:00", None),
        # Always open does not close; unknown hours, and none for 30 days, do not open.
        (ALWAYS, "2026-03-04T12:00Z", "2026-03-04T12:00Z", None),
        (None, "2026-03-04T12:00Z", None, None),
        (("sunrise-sunset", "UTC", None), "2026-03-04T12:00Z", None, None),
        (("May 10:00-11:00", "UTC", None), "2026-03-31T10:00Z", None, None),
        (("May 10:00-11:00", "UTC", None), "2026-04-01T10:00Z", "2026-05-01T10:00Z", None),
        # Beyond the years that hours are known for.
        (ALWAYS, "9999-06-01T00:00Z", None, None),
    ],
)
def test_next_open_and_closes_at__are_those_of_the_calendar(
    key: ScheduleKey | None, asked: str, opens: str | None, closes: str | None
) -> None:
    assert TIMES.next_open(key, at(asked)) == (opens and at(opens))
    assert TIMES.closes_at(key, at(asked)) == (closes and at(closes))


def test_answers__are_in_utc() -> None:
    found = TIMES.next_open(OFFICE, at("2026-03-04T12:00+08:00"))
    assert found is not None
    assert found.tzinfo is dt.UTC


def test_spans__are_cut_to_the_days_and_whole_across_windows() -> None:
    spans = TIMES.spans(("Mo 10:00-12:00", "UTC", None), at("2026-03-02T11:00Z"), 7)
    assert spans == [
        (at("2026-03-02T11:00Z"), at("2026-03-02T12:00Z")),
        (at("2026-03-09T10:00Z"), at("2026-03-09T11:00Z")),
    ]
    assert TIMES.spans(ALWAYS, at("2026-01-01T00:00Z"), 365) == [(at("2026-01-01T00:00Z"), at("2027-01-01T00:00Z"))]
    assert TIMES.spans(None, at("2026-03-02T11:00Z"), 7) == []


def test_added_holidays__are_kept() -> None:
    closed = OpeningTimes(parse_holiday_file("date,kind\n2026-03-04,day_off\n"))
    asked = at("2026-03-04T10:00+08:00")
    assert TIMES.next_open(OFFICE, asked) == asked
    assert closed.next_open(OFFICE, asked) == at("2026-03-05T09:00+08:00")


@pytest.mark.parametrize(
    ("key", "error"),
    [
        (("nonsense", "UTC", None), InvalidHoursError),
        (("24/7", "Mars/Base", None), InvalidTimezoneError),
        (("PH 10:00-11:00", "UTC", None), InvalidTimezoneError),  # whose holidays?
        (("PH 10:00-11:00", "UTC", "XX"), InvalidTimezoneError),
    ],
)
def test_next_open__refuses_what_is_no_schedule(key: ScheduleKey, error: type[Exception]) -> None:
    with pytest.raises(error):
        TIMES.next_open(key, at("2026-03-04T12:00Z"))


def test_times_without_a_zone__are_refused() -> None:
    naive = dt.datetime(2026, 3, 4)  # noqa: DTZ001 - that is what is refused
    for ask in (TIMES.next_open, TIMES.closes_at):
        with pytest.raises(InvalidQueryError, match="time zone"):
            ask(OFFICE, naive)
    with pytest.raises(InvalidQueryError, match="time zone"):
        TIMES.spans(OFFICE, naive, 1)


def test_windows__are_shared_by_threads_and_bounded() -> None:
    times = OpeningTimes(max_kept=4)
    asked = [at("2026-03-04T12:00Z") + dt.timedelta(days=16 * step) for step in range(60)]

    def ask(_: int) -> list[dt.datetime | None]:
        return [times.next_open(OFFICE, one) for one in asked]

    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(ask, range(8)))
    assert told == [[TIMES.next_open(OFFICE, one) for one in asked]] * 8
    assert times.n_kept == 4


def test_windows__of_long_hours_are_kept_in_a_small_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openings, "_MOST_LONG_KEPT", 2)
    times, long = OpeningTimes(), ("; ".join([OFFICE[0]] * 40), *OFFICE[1:])
    for step in range(5):
        now = at("2026-03-04T12:00Z") + dt.timedelta(days=32 * step)
        assert times.next_open(long, now) == TIMES.next_open(OFFICE, now)
    assert times.n_kept == 2


def test_windows__that_many_ask_for_are_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    times, now, found = OpeningTimes(), at("2026-03-04T08:00Z"), list[Any]()
    whole, together = vars(openings)["_open_spans"], threading.Barrier(4)

    def slow(*given: Any) -> Any:
        found.append(given)
        time.sleep(0.1)
        return whole(*given)

    def ask(_: int) -> dt.datetime | None:
        together.wait(30)
        return times.next_open(OFFICE, now)

    monkeypatch.setattr(openings, "_open_spans", slow)
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(ask, range(4)))
    assert told == [now] * 4
    assert len(found) == 1


def test_next_open__in_haste_is_what_it_is_once_it_is_known() -> None:
    times, now = OpeningTimes(), at("2026-03-04T08:00Z")
    assert told_in_haste(times.next_open, OFFICE, now) is None
    assert times.n_kept == 0
    assert times.next_open(OFFICE, now) == told_in_haste(times.next_open, OFFICE, now) == now
