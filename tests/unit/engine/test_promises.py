"""What matches promise, in cases that a reader can check on a calendar."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from engine import OpeningTimes, Promise, load_norms, promise, promises_many
from engine.errors import InvalidQueryError
from engine.hours import ScheduleKey

TIMES = OpeningTimes()
PICKUP = load_norms().offer("retail/pickup")  # held for 72 h, cancelled for nothing to the last
DELIVERY = load_norms().offer("retail/delivery")  # no hold, cancelled for nothing up to an hour before
OFFICE: ScheduleKey = ("Mo-Fr 09:00-18:00; PH off", "Asia/Shanghai", "CN")
NIGHT: ScheduleKey = ("22:00-02:00", "Asia/Shanghai", None)
SEASON: ScheduleKey = ("Mar-Sep 00:00-24:00", "UTC", None)
NAT = np.iinfo(np.int64).min


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"2026-{text}+08:00")


def told(norm: object, lead_s: int, wanted: str, asked: str | None, key: ScheduleKey | None) -> Promise:
    return promise(norm, lead_s, at(wanted), None if asked is None else at(asked), key, TIMES)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lead_s", "wanted", "asked", "key", "ready"),
    [
        (3600, "03-04T16:00", "03-04T10:00", OFFICE, "03-04T11:00"),  # an hour from now
        (3600, "03-05T10:00", "03-04T17:30", OFFICE, "03-05T09:00"),  # once the door opens
        (3600, "03-04T10:30", "03-04T10:00", OFFICE, "03-04T10:30"),  # too soon: never after the time wanted
        (0, "03-07T12:00", "03-07T10:00", OFFICE, "03-07T12:00"),  # a Saturday: closed until then
        (3600, "03-04T16:00", None, OFFICE, "03-04T16:00"),  # nobody says when it was asked
        (3600, "03-04T16:00", "03-04T10:00", None, "03-04T11:00"),  # nobody knows the hours
    ],
)
def test_ready_at__is_the_first_open_instant_after_the_lead_time(
    lead_s: int, wanted: str, asked: str | None, key: ScheduleKey | None, ready: str
) -> None:
    assert told(None, lead_s, wanted, asked, key).ready_at == at(ready)


@pytest.mark.parametrize(
    ("wanted", "key", "hold"),
    [
        ("03-02T16:00", OFFICE, "03-05T16:00"),  # three days on the door is open
        ("03-04T16:00", OFFICE, "03-09T18:00"),  # a Saturday: to the end of Monday
        ("03-02T18:00", OFFICE, "03-05T18:00"),  # ends as the door closes, and needs no more
        ("03-02T18:01", OFFICE, "03-06T18:00"),
        ("02-12T16:00", OFFICE, "02-24T18:00"),  # nine days of holidays
        ("03-02T12:00", NIGHT, "03-06T02:00"),
        ("08-04T08:00", ("22:00-08:00", "Asia/Shanghai", None), "08-07T08:00"),  # the seam of two windows
        ("03-04T16:00", None, "03-07T16:00"),  # nobody knows the hours
        ("02-20T00:00", SEASON, "03-05T00:00"),  # opens for months: at most ten days on
        ("02-10T00:00", SEASON, "02-13T00:00"),  # does not open within ten days
    ],
)
def test_hold_until__ends_at_an_open_door(wanted: str, key: ScheduleKey | None, hold: str) -> None:
    assert told(PICKUP, 0, wanted, None, key).hold_until == at(hold)


def test_order_by_and_cancel_free_until__count_back_from_the_time_wanted() -> None:
    one = told(DELIVERY, 5400, "03-04T16:00", "03-04T10:00", OFFICE)
    assert one == Promise(at("03-04T14:30"), at("03-04T11:30"), None, at("03-04T15:00"))
    assert told(PICKUP, 0, "03-04T16:00", None, OFFICE).cancel_free_until == at("03-04T16:00")
    assert told(None, 0, "03-04T16:00", None, OFFICE)[2:] == (None, None)
    assert one.order_by.tzinfo is dt.UTC


def test_promise__refuses_a_time_without_a_zone() -> None:
    naive = dt.datetime(2026, 3, 4)  # noqa: DTZ001 - that is what is refused
    with pytest.raises(InvalidQueryError, match="time zone"):
        promise(None, 0, naive, None, None, TIMES)
    with pytest.raises(InvalidQueryError, match="time zone"):
        promise(None, 0, at("03-04T16:00"), naive, None, TIMES)


def test_promises_many__promise_nothing_where_no_time_is_wanted() -> None:
    wanted = int(at("03-04T16:00").timestamp()) * 10**6
    many = promises_many(
        PICKUP,
        np.array([0, 3600]),
        np.array([NAT, wanted]),
        None,
        np.array([0, 0], np.int32),
        [OFFICE],
        TIMES,
    )
    assert [column[0] for column in many] == [NAT] * 4
    one = told(PICKUP, 3600, "03-04T16:00", None, OFFICE)
    assert [column[1] for column in many] == [int(when.timestamp()) * 10**6 for when in one if when is not None]
