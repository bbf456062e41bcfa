"""Opening hours against two independent test suites, real strings, and the evaluator itself."""

import datetime as dt
import itertools
import json
import zoneinfo
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import opening_hours

from engine.holidays import NO_HOLIDAY, HolidayCalendar
from engine.hour_lists import with_close_commas
from engine.hours import ScheduleBook, hours_traits, intervals, is_valid_hours
from engine.kernels.hours import CLOSED, OPEN, UNKNOWN, hour_state
from tests.reference_data import DATA, needs_reference
from tests.scale import scaled

pytestmark = needs_reference

HELSINKI = zoneinfo.ZoneInfo("Europe/Helsinki")
STATES = {"closed": CLOSED, "open": OPEN, "unknown": UNKNOWN}
Span = tuple[dt.datetime, dt.datetime, str]


@cache
def rows(name: str) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = json.loads((DATA / "opening-hours" / name).read_text(encoding="utf-8"))
    return read


def merged(spans: Iterable[Span]) -> list[Span]:
    out: list[Span] = []
    for start, end, state in spans:
        if out and out[-1][1:] == (start, state):
            out[-1] = (out[-1][0], end, state)
        else:
            out.append((start, end, state))
    return out


def compiled_spans(expression: str, country: str | None, start: dt.datetime, end: dt.datetime) -> list[Span]:
    """Read the bitmaps of a book as spans of wall time, from and to whole minutes."""
    book = ScheduleBook()
    book.intern_many([expression], "UTC", country)  # where wall time and UTC are one
    first = start.replace(hour=0, minute=0)
    n_days = (end.date() - first.date()).days + 1
    table = book.table_at(int(first.replace(tzinfo=dt.UTC).timestamp()) + 86_400 * np.arange(n_days))
    bitmap = table.bitmap_of[table.day_slot[0], 0]
    is_open, is_unknown = (
        np.unpackbits(bits[bitmap].view(np.uint8), axis=1, count=1440, bitorder="little").ravel()
        for bits in (table.open_bits, table.unknown_bits)
    )
    low, high = (int((moment - first).total_seconds() // 60) for moment in (start, end))
    states = np.where(is_unknown, 2, is_open)[low:high]
    names = list(STATES)
    edges = [0, *(np.flatnonzero(np.diff(states)) + 1).tolist(), states.size]
    return [
        (start + dt.timedelta(minutes=begin), start + dt.timedelta(minutes=until), names[states[begin]])
        for begin, until in itertools.pairwise(edges)
        if states[begin] != CLOSED
    ]


def test_hours__equal_two_suites_that_agree_over_whole_periods() -> None:
    checked = 0
    for row in rows("js_intervals.json"):
        if row["opening_hours_py"] != "agrees" or row["needs"]:
            continue
        start, end = dt.datetime.fromisoformat(row["from"]), dt.datetime.fromisoformat(row["to"])
        expected = merged(
            (dt.datetime.fromisoformat(begin), dt.datetime.fromisoformat(until), state)
            for begin, until, state, *_ in row["intervals"]
        )
        assert compiled_spans(row["value"], None, start, end) == expected, row["value"]
        assert intervals(row["value"], row["timezone"], None, start, end) == expected, row["value"]
        checked += 1
    assert checked == 121


# What the reference implementation refuses and linli takes, and why that does no harm.
ACCEPTED = {
    "PH": "asks for a country, which the row itself gives",
    "Mo-Fr 10:00-20:00; SH off": "school holidays never match",
    "Mo-Fr 12:00-18:00; We off; Sa,PH 12:00-17:00; Th[3],Th[-1] off": "a good expression, the suite's call was wrong",
    "week 30-40/1": "a step of one is every week",
    "week 30-40/27": "a step longer than the range is its first week",
    "12:00-15:00/1:00; 00:23-00:42 unknown": "the repetition is read as its span",
    "2014-2014; 00:23-00:42 unknown": "a range of one year",
    "Tu 23:59-48:00+; 00:23-00:42 unknown": "48:00 is the latest end",
    "PH, Aug-Sep 00:00-24:00; 00:23-00:42 unknown": "an additional rule",
    "We off, Mo,Tu,Th-Su,PH, Jun-Aug We 11:00-14:00,17:00+; 00:23-00:42 unknown": "additional rules",
    "We, Aug Mo; 00:23-00:42 unknown": "an additional rule",
    "2014, Aug Mo; 00:23-00:42 unknown": "an additional rule",
    "Jun 02-5, week 05 00:00-24:00; 00:23-00:42 unknown": "an additional rule",
}


def test_hours__that_the_reference_implementation_refuses_are_refused_but_for_named_ones() -> None:
    taken = {row["value"].split(' "warning')[0] for row in rows("js_invalid.json") if is_valid_hours(row["value"])}
    assert taken == set(ACCEPTED)
    assert len(rows("js_invalid.json")) == 112


def day_spans(schedule: str, day: dt.datetime) -> list[Span]:
    """Read ``10:00 open 12:00 | 14:00 unknown[comment] 16:00``; a state may follow a time without a bar."""
    spans = []
    for run in filter(None, schedule.split(" | ")):
        parts = list(_tokens(run))
        for begin, state, end in zip(parts[::2], parts[1::2], parts[2::2], strict=False):
            low, high = (day + dt.timedelta(hours=int(t[:2]), minutes=int(t[3:])) for t in (begin, end))
            spans.append((low, high, state.split("[")[0]))
    return merged(span for span in spans if span[2] != "closed")


def _tokens(run: str) -> Iterable[str]:
    comment = False
    token = ""
    for letter in run + " ":
        comment = (comment or letter == "[") and letter != "]"
        if letter == " " and not comment:
            yield token
            token = ""
        else:
            token += letter


# Where linli's day is another than the suite's, on purpose.
OTHER_DAYS = {
    ("2020-07-04", "US"): "the holiday itself counts, too, not only the Friday on which it is observed",
    ("2025-03-08", "DE"): "a holiday of Berlin alone: only those of the whole country count",
}


def test_hours__equal_the_evaluators_suite_day_by_day() -> None:
    checked, other = 0, []
    for row in rows("rs_schedules.json"):
        sun = "sun" in hours_traits(row["value"])
        day = dt.datetime.fromisoformat(row["date"])
        spans = compiled_spans(row["value"], row["country"] or "FI", day, day + dt.timedelta(1))
        if sun:
            assert spans == [(day, day + dt.timedelta(1), "unknown")], row["value"]
        elif (row["date"], row["country"]) in OTHER_DAYS:
            other.append(spans != day_spans(row["schedule"], day))
        else:
            assert spans == day_spans(row["schedule"], day), row["value"]
        checked += not sun
    assert other == [True, True]
    assert checked > 45


def test_hours__of_the_evaluators_real_strings_all_compile() -> None:
    text = (DATA / "opening-hours" / "rs_real_strings.txt").read_text(encoding="utf-8")
    strings = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(strings) > 190
    book = ScheduleBook()
    ids = book.intern_many(strings, "Europe/Paris", "FR")
    table = book.table_at(int(dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp()) + np.arange(400) * 86_400)
    assert table.bitmap_of[:, ids].min() >= 0


@cache
def map_strings() -> dict[str, list[str]]:
    read: dict[str, list[str]] = json.loads((DATA / "osm" / "opening_hours_strings.json").read_text(encoding="utf-8"))
    return read


def helsinki_strings() -> list[str]:
    return [text for text in map_strings()["helsinki.osm.pbf"] if is_valid_hours(text)]


# Where a comma with a space is read as a list's, which the evaluator takes for an additional rule.
LISTS = {
    "Mo, Tu, We, Th, Fr, Su 11:00-01:00; Sa 11:00-02:00": "Mo,Tu,We,Th,Fr,Su 11:00-01:00; Sa 11:00-02:00",
    "Mo-Fr 07:00-19:00; Sa, Su 09:00-16:00": "Mo-Fr 07:00-19:00; Sa,Su 09:00-16:00",
    "Tu, Fr 10:00-18:00; We-Th 10:00-20:00; Sa-Su 10:00-17:00": "Tu,Fr 10:00-18:00; We-Th 10:00-20:00; Sa-Su 10:00-17:00",
    "Tu, Th, Fr 12:00-17:00; Fr 12:00-15:00": "Tu,Th,Fr 12:00-17:00; Fr 12:00-15:00",
}


def test_hours__of_all_suites_and_maps_are_read_by_the_letter_but_for_named_lists() -> None:
    suites = ("js_intervals", "js_invalid", "js_next_change", "rs_next_changes", "rs_schedules", "rs_states")
    texts = {row["value"] for name in suites for row in rows(f"{name}.json")}
    texts.update((DATA / "opening-hours" / "rs_real_strings.txt").read_text(encoding="utf-8").splitlines())
    texts.update(itertools.chain(*map_strings().values()))
    valid = {text for text in texts if is_valid_hours(text)}
    assert len(valid) > 900
    assert {text: read for text in valid if (read := with_close_commas(text)) != text} == LISTS


def outside_holidays(at_s: np.ndarray) -> np.ndarray:
    calendar = HolidayCalendar("FI")
    days = [dt.datetime.fromtimestamp(at, HELSINKI).date() for at in at_s.tolist()]
    return at_s[[all(calendar.state(day - dt.timedelta(back)) == NO_HOLIDAY for back in (0, 1)) for day in days]]


def test_hours__equal_the_evaluator_at_random_instants_over_changes_of_summer_time() -> None:
    strings = helsinki_strings()
    assert len(strings) >= 300
    seed = 20260329
    rng = np.random.default_rng(seed)
    first, last, spring, autumn = (
        int(dt.datetime.fromisoformat(text).timestamp())
        for text in ("2026-02-15T00:00Z", "2026-12-01T00:00Z", "2026-03-28T22:00Z", "2026-10-24T22:00Z")
    )
    anywhere = rng.integers(first, last, scaled(1000))
    changes = np.concatenate([start + rng.integers(0, 6 * 3600, scaled(200)) for start in (spring, autumn)])
    at_s = outside_holidays(np.concatenate([anywhere, changes]))
    repeated = range(autumn + 2 * 3600, autumn + 4 * 3600)  # 03:00 to 04:00, twice
    at_s = at_s[[at not in repeated for at in at_s.tolist()]]
    book = ScheduleBook()
    ids = book.intern_many(strings, "Europe/Helsinki", "FI")
    table = book.table_at(at_s)
    times = [dt.datetime.fromtimestamp(at, HELSINKI) for at in at_s.tolist()]
    for text, schedule in zip(strings, ids, strict=True):
        meant = LISTS.get(text, text)
        hours = opening_hours.OpeningHours(meant, timezone=HELSINKI, auto_country=False, auto_timezone=False)
        for query, time in enumerate(times):
            own = hour_state(
                schedule,
                query,
                table.tz_of_schedule,
                table.day_slot,
                table.minute,
                table.bitmap_of,
                table.open_bits,
                table.unknown_bits,
            )
            assert own == STATES[str(hours.state(time)[0])], (text, time, seed)


def test_hours__in_a_repeated_hour_go_by_the_wall_clock_where_the_evaluator_does_not() -> None:
    # The evaluator calls a place that is always open closed in the last minute before clocks go back.
    times = [dt.datetime(2026, 10, 25, 3, 59, 30, tzinfo=HELSINKI, fold=fold) for fold in (0, 1)]
    hours = opening_hours.OpeningHours("24/7", timezone=HELSINKI, auto_country=False, auto_timezone=False)
    assert [str(hours.state(time)[0]) for time in times] == ["closed", "open"]
    book = ScheduleBook()
    book.intern_many(["24/7", "03:30-04:00"], "Europe/Helsinki", None)
    table = book.table_at(np.array([int(time.timestamp()) for time in times]))
    assert (table.day_slot[0, 0], table.minute[0, 0]) == (table.day_slot[0, 1], table.minute[0, 1])
    bitmaps = table.bitmap_of[table.day_slot[0, 0]]
    minute = int(table.minute[0, 0])
    assert minute == 3 * 60 + 59
    assert [int(table.open_bits[one, minute // 64]) >> minute % 64 & 1 for one in bitmaps] == [1, 1]
