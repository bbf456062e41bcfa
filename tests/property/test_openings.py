"""`OpeningTimes` and promises equal a walk through time, step by step, with the book's own tables."""

import datetime as dt
import functools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import OpeningTimes, Promise, load_norms, promise, promises_many
from engine.hours import ScheduleBook
from tests.scale import scaled

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)
DAY_S, HORIZON_S, STEP_S = 86_400, 30 * 86_400, 30
NAT = np.iinfo(np.int64).min
HOURS = (
    "24/7",
    "off",
    "Mo-Fr 09:00-18:00; PH off",
    "Mo-Sa 08:00-12:00,13:00-19:30; PH 10:00-14:00",
    "22:00-02:00",
    "Fr,Sa 18:00-04:00; Su off",
    "Su 02:15-02:45; Sa 23:30-01:30",
    "Mo-Su 00:00-12:00 unknown, Tu 15:00-16:00",
    "Apr-Sep Mo-Su 00:00-24:00; Oct-Mar off",
    "Jan 01-Mar 20 off; Mar 21-Dec 31 10:00-11:00",
    "sunrise-sunset",
    "We[1] 09:00-09:01",
)
ZONES = (
    "Asia/Shanghai",
    "America/New_York",
    "Europe/Helsinki",
    "Australia/Lord_Howe",  # its clock changes by half an hour
    "Pacific/Apia",  # had no 30 December 2011
    "Africa/Monrovia",  # was off by 30 seconds until 1972-01-07
    "Asia/Kathmandu",
)
BUSY = [
    1_772_953_200,  # 2026-03-08, New York
    1_793_512_800,  # 2026-11-01, New York
    1_774_746_000,  # 2026-03-29, Helsinki
    1_792_890_000,  # 2026-10-25, Helsinki
    1_775_314_800,  # 2026-04-04, Lord Howe
    1_791_041_400,  # 2026-10-03, Lord Howe
    1_325_239_200,  # 2011-12-30, Apia
    63_593_070,  # 1972-01-07, Monrovia
    1_790_812_800,  # 2026-10-01, a week of holidays in China
    1_771_200_000,  # 2026-02-16, another
    1_798_700_000,  # the end of what is published
    2_764_800 * 646,  # a seam between windows
]
INSTANTS = st.one_of(
    st.tuples(st.sampled_from(BUSY), st.integers(-5 * DAY_S, 5 * DAY_S)).map(sum),
    st.integers(0, 2_000_000_000),
    st.integers(0, 3000).map(lambda window: window * 32 * DAY_S),
)
KEYS = st.builds(
    lambda hours, zone: (hours, zone, "CN" if "PH" in hours else None), *map(st.sampled_from, (HOURS, ZONES))
)
INSTANTS_US = st.builds(lambda s, us: s * 10**6 + us, INSTANTS, st.sampled_from([0, 1, 999_999, 59_999_999]))
TIMES = OpeningTimes()


@functools.cache
def book_of(key):
    book = ScheduleBook()
    book.intern_many(*([part] for part in key))
    return book


def walk(key, from_s, n_steps):
    """Whether a schedule is open at each step of 30 seconds from a second on, by the book's table."""
    at_s = from_s + np.arange(n_steps) * STEP_S
    table = book_of(key).table_at(at_s)
    bitmap = table.bitmap_of[table.day_slot[0], 0]
    word, bit = table.minute[0] // 64, (table.minute[0] % 64).astype(np.uint64)
    return (table.open_bits[bitmap, word] >> bit & np.uint64(1)).astype(bool)


def brute_next_open(key, at_us):
    first_s = at_us // 10**6 // STEP_S * STEP_S
    steps = walk(key, first_s, HORIZON_S // STEP_S + 2)
    if steps[0]:
        return at_us
    found = [(first_s + int(step) * STEP_S) * 10**6 for step in np.flatnonzero(steps)[:1]]
    return next((us for us in found if us <= at_us + HORIZON_S * 10**6), None)


def brute_closes(key, at_us):
    first_s = at_us // 10**6 // STEP_S * STEP_S
    steps = walk(key, first_s, HORIZON_S // STEP_S + 2)
    if not steps[0]:
        return None
    found = [(first_s + int(step) * STEP_S) * 10**6 for step in np.flatnonzero(~steps)[:1]]
    return next((us for us in found if us <= at_us + HORIZON_S * 10**6), None)


def brute_hold(key, end_us):
    """A hold ends at an open door, or one that closes just then, or at the end of the next open span."""
    if key is None:
        return end_us
    before_us = max(0, end_us - 1)
    if brute_next_open(key, end_us) == end_us or brute_next_open(key, before_us) == before_us:
        return end_us
    last_us, opens_us = end_us + 10 * DAY_S * 10**6, brute_next_open(key, end_us)
    if opens_us is None or opens_us > last_us:
        return end_us
    closes_us = brute_closes(key, opens_us)
    return last_us if closes_us is None else min(closes_us, last_us)


def brute_promise(norm, lead_s, at_us, asked_us, key):
    ready_us = at_us
    if asked_us is not None:
        earliest_us = asked_us + lead_s * 10**6
        found = earliest_us if key is None or earliest_us >= at_us else brute_next_open(key, earliest_us)
        ready_us = min(at_us, at_us if found is None else found)
    hold_us = None if norm is None or norm.hold_s is None else brute_hold(key, at_us + norm.hold_s * 10**6)
    free_us = None if norm is None or norm.cancel_free_s is None else at_us - norm.cancel_free_s * 10**6
    return at_us - lead_s * 10**6, ready_us, hold_us, free_us


def instant(us):
    return None if us is None else EPOCH + us * MICROSECOND


@settings(max_examples=scaled(1500), deadline=None)
@given(key=KEYS, at_us=INSTANTS_US)
def test_next_open_and_closes_at__equal_a_walk(key, at_us):
    at = instant(at_us)
    assert TIMES.next_open(key, at) == instant(brute_next_open(key, at_us))
    assert TIMES.closes_at(key, at) == instant(brute_closes(key, at_us))


@settings(max_examples=scaled(600), deadline=None)
@given(key=KEYS, start_s=INSTANTS, days=st.integers(1, 70))
def test_spans__equal_a_walk(key, start_s, days):
    start_s -= start_s % STEP_S
    steps = walk(key, start_s, days * DAY_S // STEP_S)
    edges = start_s + np.flatnonzero(np.diff(steps, prepend=False, append=False)) * STEP_S
    wanted = [(instant(int(low) * 10**6), instant(int(high) * 10**6)) for low, high in edges.reshape(-1, 2)]
    assert TIMES.spans(key, instant(start_s * 10**6), days) == wanted


NORMS = st.sampled_from([None, *load_norms().by_offer.values()])
LEADS = st.sampled_from([0, 60, 3600, 5 * DAY_S])
WAITS = st.none() | st.integers(-3600, 40 * DAY_S)


@settings(max_examples=scaled(1500), deadline=None)
@given(norm=NORMS, key=st.none() | KEYS, lead_s=LEADS, at_us=INSTANTS_US, wait_s=WAITS)
def test_promise__equals_a_walk(norm, key, lead_s, at_us, wait_s):
    at_us += 50 * DAY_S * 10**6  # nothing before 1970
    asked_us = None if wait_s is None else at_us - wait_s * 10**6
    told = promise(norm, lead_s, instant(at_us), instant(asked_us), key, TIMES)
    assert told == Promise(*map(instant, brute_promise(norm, lead_s, at_us, asked_us, key)))


@settings(max_examples=scaled(1000), deadline=None)
@given(data=st.data(), norm=NORMS, n=st.integers(0, 30), apart=st.booleans())
def test_promises_many__equal_one_after_the_other(data, norm, n, apart):
    """In a few windows, or in many that are far apart."""
    keys = data.draw(st.lists(KEYS, max_size=4))
    lasting = data.draw(INSTANTS_US)
    times = INSTANTS_US if apart else st.integers(0, 10 * DAY_S * 10**6).map(lambda us: lasting + us)
    rows = [
        (
            data.draw(LEADS),
            data.draw(times),
            data.draw(WAITS),
            data.draw(st.integers(-1, len(keys) - 1)),
        )
        for _ in range(n)
    ]
    lead_s, at_us, wait_s, schedule = map(list, zip(*rows, strict=True)) if rows else ([], [], [], [])
    asked_us = [None if wait is None else us - wait * 10**6 for us, wait in zip(at_us, wait_s, strict=True)]
    told = promises_many(
        norm,
        np.array(lead_s, np.int64),
        np.array(at_us, np.int64),
        np.array([NAT if us is None else us for us in asked_us], np.int64),
        np.array(schedule, np.int32),
        keys,
        TIMES,
    )
    assert [column.dtype for column in told] == [np.int64] * 4
    wanted = [
        promise(norm, lead, instant(at), instant(asked), None if one < 0 else keys[one], TIMES)
        for lead, at, asked, one in zip(lead_s, at_us, asked_us, schedule, strict=True)
    ]
    mine = [
        Promise(*(None if us == NAT else instant(us) for us in row))
        for row in zip(*map(np.ndarray.tolist, told), strict=True)
    ]
    assert mine == wanted
