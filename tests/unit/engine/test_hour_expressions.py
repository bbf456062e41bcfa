import datetime as dt

import opening_hours
import pytest

from engine.day_bits import ALL_DAY
from engine.errors import InvalidHoursError
from engine.holidays import HOLIDAY, NO_HOLIDAY, UNKNOWN_HOLIDAY, HolidayCalendar
from engine.hour_expressions import EPOCH, MONDAY, HourExpression, holiday_states, hours_traits, parse_hours
from engine.hours import is_valid_hours
from fixtures.extract import helsinki_path
from geo.osm import read_objects

WEEKDAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
SATURDAY = (dt.date(2026, 7, 4) - EPOCH).days  # no public holiday in Finland, Korea or China


def span(*hours: tuple[int, int]) -> int:
    return sum((1 << (60 * end)) - (1 << (60 * start)) for start, end in hours)


def bits_with_holidays(
    text: str, day: int, holidays: set[int], unknown: frozenset[int] = frozenset()
) -> tuple[int, int]:
    expression = HourExpression(text)
    states = tuple(
        HOLIDAY if day - shift in holidays else UNKNOWN_HOLIDAY if day - shift in unknown else NO_HOLIDAY
        for shift in expression.holiday_shifts
    )
    return expression.bits(day, 1, [states])[0]


def open_with_holidays(text: str, day: int, holidays: set[int]) -> int:
    open_minutes, unknown_minutes = bits_with_holidays(text, day, holidays)
    assert unknown_minutes == 0
    return open_minutes


@pytest.mark.parametrize(
    ("text", "plain", "holiday", "after"),  # open hours of a Saturday: as it is, as a holiday, after one
    [
        ("Mo-Sa 09:00-18:00; PH off", [(9, 18)], [], [(9, 18)]),
        ("PH 10:00-14:00", [], [(10, 14)], []),
        ("Mo-Fr,PH 10:00-12:00", [], [(10, 12)], []),
        ("PH,Mo-Fr 10:00-12:00", [], [(10, 12)], []),
        ("Sa,PH 10:00-12:00", [(10, 12)], [(10, 12)], [(10, 12)]),
        ("PH Mo-Fr 10:00-12:00", [], [], []),  # holidays that are weekdays
        ("PH Sa,Su 10:00-12:00", [], [(10, 12)], []),
        ("Sa PH 10:00-12:00", [], [(10, 12)], []),
        ("sa PH 10:00-12:00", [], [(10, 12)], []),
        ("PH Sa[1] 10:00-12:00", [], [(10, 12)], []),  # 4 July is the first Saturday
        ("PH Sa[2] 10:00-12:00", [], [], []),
        ("PH,SH 10:00-12:00", [], [(10, 12)], []),
        ("SH,PH off; SH 10:00-12:00", [], [], []),
        ("PH +1 day 10:00-12:00", [], [], [(10, 12)]),
        ("PH -1 day,PH 10:00-12:00", [], [(10, 12)], []),
        ("PH +1 day Fr-Su 10:00-12:00", [], [], [(10, 12)]),
        ("PH +1 day Mo 10:00-12:00", [], [], []),
        ("Su[-1],PH 10:00-12:00", [], [(10, 12)], []),
        ("Fr[1] +1 day,PH 10:00-12:00", [(10, 12)], [(10, 12)], [(10, 12)]),
        ("Jul PH 10:00-12:00", [], [(10, 12)], []),
        ("Aug: PH 10:00-12:00", [], [], []),
        ("2026 Jul 04 PH off; 08:00-09:00", [(8, 9)], [(8, 9)], [(8, 9)]),
        ("08:00-09:00; 2026 Jul 04 PH off", [(8, 9)], [], [(8, 9)]),
        ("08:00-09:00, PH 11:00-12:00", [(8, 9)], [(8, 9), (11, 12)], [(8, 9)]),
        ("08:00-09:00; PHoff", [(8, 9)], [], [(8, 9)]),
        ('08:00-09:00 open "not on PH, Sa PH"', [(8, 9)], [(8, 9)], [(8, 9)]),
        ('08:00-09:00 open "PH"; PH off "PH"', [(8, 9)], [], [(8, 9)]),
        ("PH 20:00-26:00", [], [(20, 24)], [(0, 2)]),  # past midnight out of a holiday
        ("Fr-Sa 20:00-02:00; PH off", [(0, 2), (20, 24)], [], [(0, 2), (20, 24)]),  # and into one, and behind it
    ],
)
def test_public_holidays__are_read_as_the_day_they_fall_on(
    text: str, plain: list[tuple[int, int]], holiday: list[tuple[int, int]], after: list[tuple[int, int]]
) -> None:
    assert open_with_holidays(text, SATURDAY, set()) == span(*plain)
    assert open_with_holidays(text, SATURDAY, {SATURDAY}) == span(*holiday)
    assert open_with_holidays(text, SATURDAY, {SATURDAY - 1}) == span(*after)


def test_public_holidays__on_two_days_in_a_row_reach_both() -> None:
    assert open_with_holidays("PH 20:00-26:00", SATURDAY, {SATURDAY - 1, SATURDAY}) == span((0, 2), (20, 24))
    assert open_with_holidays("PH -1 day 10:00-12:00", SATURDAY, {SATURDAY + 1}) == span((10, 12))
    assert open_with_holidays("PH +2 days 10:00-12:00", SATURDAY, {SATURDAY - 2}) == span((10, 12))


@pytest.mark.parametrize("country", ["FI", "KR", "DE", "BR"])
def test_public_holidays__equal_the_evaluators_own_where_both_know_the_same(country: str) -> None:
    calendar = HolidayCalendar(country)
    texts = [
        "Mo-Fr 09:00-18:00; PH off",
        "PH 10:00-14:00",
        "Mo-Sa,PH 10:00-12:00",
        "22:00-02:00; PH off",
        "PH 20:00-26:00; Su off",
        "PH -1 day 10:00-12:00",
        "08:00-10:00; PH +1 day 10:00-12:00",
        "Mo-Fr 08:00-10:00 || PH 12:00-13:00 || unknown",
    ]
    marks = opening_hours.OpeningHours("PH", country=country, auto_country=False, auto_timezone=False)
    compared = 0
    for offset in range(3 * 365):
        day = dt.date(2024, 1, 1) + dt.timedelta(offset)
        near = [day + dt.timedelta(shift) for shift in range(-3, 4)]
        noons = [dt.datetime.combine(one, dt.time(12)) for one in near]
        if [marks.is_open(noon) for noon in noons] != [calendar.state(one) == HOLIDAY for one in near]:
            continue
        if not any(calendar.state(one) for one in near):
            continue
        for text in texts:
            compared += 1
            assert own_bits(text, calendar, day) == evaluator_bits(text, country, day), (text, day)
    assert compared > 300


def own_bits(text: str, calendar: HolidayCalendar, day: dt.date) -> tuple[int, int]:
    expression, number = HourExpression(text), (day - EPOCH).days
    return expression.bits(number, 1, holiday_states(calendar, expression.holiday_shifts, number, 1))[0]


def evaluator_bits(text: str, country: str, day: dt.date) -> tuple[int, int]:
    start = dt.datetime.combine(day, dt.time())
    hours = opening_hours.OpeningHours(text, country=country, auto_country=False, auto_timezone=False)
    sums = {opening_hours.State.OPEN: 0, opening_hours.State.UNKNOWN: 0, opening_hours.State.CLOSED: 0}
    for begin, end, state, _ in hours.intervals(start, start + dt.timedelta(1)):
        low, high = ((moment - start) // dt.timedelta(minutes=1) for moment in (begin, end))
        sums[state] |= (1 << high) - (1 << low)
    return sums[opening_hours.State.OPEN], sums[opening_hours.State.UNKNOWN]


def test_unknown_holidays__leave_known_what_both_answers_say() -> None:
    day = SATURDAY
    here = frozenset({day})
    assert bits_with_holidays("Sa 09:00-18:00; PH 12:00-20:00", day, set(), here) == (
        span((12, 18)),
        span((9, 12), (18, 20)),
    )
    assert bits_with_holidays("Sa 09:00-18:00; PH off", day, set(), frozenset({day - 1})) == (span((9, 18)), 0)
    assert bits_with_holidays("PH 22:00-26:00", day, set(), frozenset({day - 1, day})) == (0, span((0, 2), (22, 24)))


def test_unknown_holidays__of_many_days_leave_the_whole_day_unknown() -> None:
    text = "08:00-09:00; PH,PH -1 day,PH +1 day,PH +4 days off"
    days = frozenset(range(SATURDAY - 9, SATURDAY + 9))
    assert bits_with_holidays(text, SATURDAY, set(), days) == (0, ALL_DAY)


def test_days__are_whole_where_the_evaluator_skips_some() -> None:
    expression = HourExpression("Mo-Fr 08:00-10:00 || unknown")
    monday = SATURDAY + 2
    assert [open_bits for open_bits, _ in expression.bits(monday, 7)] == [span((8, 10))] * 5 + [0, 0]
    assert [unknown for _, unknown in expression.bits(monday, 7)] == [0] * 5 + [ALL_DAY] * 2


@pytest.mark.parametrize("text", ["sunrise-sunset", "Mo 08:00-Dusk; Su off", "(dawn+01:00)-20:00; PH off"])
def test_sun__is_unknown_throughout(text: str) -> None:
    expression = HourExpression(text)
    states = [(HOLIDAY,) * len(expression.holiday_shifts)] * 3
    assert expression.bits(SATURDAY, 3, states) == [(0, ALL_DAY)] * 3


@pytest.mark.parametrize(
    ("text", "traits"),
    [
        ("24/7", {"weekly"}),
        ("Mo-Fr 9:00-18:00, Sa 10:00-12:00; PH off", {"weekly", "public_holidays"}),
        ('Mo 10:00-12:00 open "Jan PH SH sunset 20:00+"', {"weekly"}),
        ("Mo-Fr 08:00-10:00 || unknown", {"weekly"}),
        ("SH Mo 10:00-12:00", {"weekly", "school_holidays"}),
        ("Mo 17:00+", {"weekly", "open_end"}),
        ('"on request"', {"weekly", "comment"}),
        ('Mo open "x"; Tu 10:00-12:00 "maybe"', {"weekly", "comment"}),
        ("Mo 10:00-12:00; Jan 01 off", set()),
        ("Mo[1] 10:00-12:00", set()),
        ("week 1-10 Mo 10:00-12:00", set()),
        ("easter off; 2026 PH,SH sunset+", {"sun", "public_holidays", "school_holidays", "open_end"}),
    ],
)
def test_traits__tell_what_an_expression_asks_for(text: str, traits: set[str]) -> None:
    assert hours_traits(text) == traits


def fortnight(text: str) -> list[tuple[int, int]]:
    """Read fourteen days from a Saturday on, of which that one and the Thursday after are holidays."""
    holidays = {SATURDAY, SATURDAY + 5}
    return [bits_with_holidays(text, day, holidays) for day in range(SATURDAY, SATURDAY + 14)]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Mo-Fr 07:00-19:00; Sa, Su 09:00-16:00", "Mo-Fr 07:00-19:00; Sa,Su 09:00-16:00"),
        ("Tu, Fr 10:00-18:00; We-Th 10:00-20:00", "Tu,Fr 10:00-18:00; We-Th 10:00-20:00"),
        ("Mo, Tu, We, Th-Fr,Su 11:00-01:00", "Mo,Tu,We,Th-Fr,Su 11:00-01:00"),
        ("mo , tu,  We ,Th 11:00-12:00", "Mo,Tu,We,Th 11:00-12:00"),
        ("Mo-Sa 08:00-20:00; Su, PH off", "Mo-Sa 08:00-20:00; Su,PH off"),
        ("Mo-Sa 08:00-20:00; PH, Su off", "Mo-Sa 08:00-20:00; PH,Su off"),
        ("Mo-Sa 08:00-20:00; SH, PH, Su off", "Mo-Sa 08:00-20:00; SH,PH,Su off"),
        ("08:00-20:00; Mo, PHoff", "08:00-20:00; Mo,PH off"),
        ("PH -1 day, Su[1,-1], Mo[2] +1 day, Tu 10:00-12:00", "PH -1 day,Su[1,-1],Mo[2] +1 day,Tu 10:00-12:00"),
        ("Mo-Fr 10:00-12:00, Sa, Su 12:00-14:00", "Mo-Fr 10:00-12:00; Sa,Su 12:00-14:00"),
        ("We off, Mo, Tu 10:00-12:00", "Mo,Tu 10:00-12:00"),
        ("Jul: Mo, Tu 10:00-12:00", "Jul Mo,Tu 10:00-12:00"),
        ("week 1-53 Mo, Tu 10:00-12:00 || Sa, Su", "Mo,Tu 10:00-12:00; Sa,Su 00:00-24:00"),
        ("Jul, Dec 10:00-12:00", "Jul,Dec 10:00-12:00"),
        ("apr-Jul, Dec Mo, Tu 10:00-12:00", "Apr-Jul,Dec Mo,Tu 10:00-12:00"),
        ("08:00-20:00; Jul 06, Jul 08-10, 2026 Jul 13, easter off", "08:00-20:00; Jul 06,Jul 08-10,2026 Jul 13,easter off"),
        ("08:00-20:00; easter +1 day, Jul 6 off", "08:00-20:00; easter +1 day,Jul 6 off"),
        ("Mo-Fr 08:00-12:00 , 13:00-17:00", "Mo-Fr 08:00-12:00,13:00-17:00"),
        ("Mo 8:00-9:00 ,10:00-11:00,  13:00-17:00 open", "Mo 08:00-09:00,10:00-11:00,13:00-17:00"),
        ('Mo 08:00-09:00 , 17:00+ "or later", Tu 10:00-12:00', "Mo 08:00-09:00,17:00-24:00; Tu 10:00-12:00"),
        ("Mo-Fr, 09:00-17:00", "Mo-Fr 09:00-17:00"),
        ("Sa, Su , 09:00-12:00, 13:00-17:00; Jul 13, 10:00-12:00", "Sa,Su 09:00-12:00,13:00-17:00; Jul 13 10:00-12:00"),
    ],
)  # fmt: skip
def test_lists__with_spaces_at_their_commas_are_lists(written: str, meant: str) -> None:
    assert fortnight(written) == fortnight(meant)
    assert HourExpression(written).text == written
    assert is_valid_hours(written)


@pytest.mark.parametrize(
    "text",
    [
        "Mo-Fr 08:00-12:00, We 14:00-18:00",
        "Mo-Fr 08:00-12:00 , We 14:00-18:00",
        "Mo-Fr 08:00-12:00, 24/7",
        "Mo-Fr off, Mo 10:00-12:00",
        "Mo, week 28 Tu 10:00-12:00",
        "week 28, Mo 10:00-12:00",
        "Mo-Fr, Jul 10:00-12:00",
        "Jul 06, We 10:00-12:00",
        "2026, Aug Mo 10:00-12:00",
        "Jul 06 off, Jul 07 10:00-12:00",
        "10:00-20:00 open, 12:00-14:00 closed",
        "10:00-20:00 , 12:00-14:00 , 15:00-16:00 closed",
        "Mo-Fr, 12:00-14:00 off",
        'Mo "a, We"; Th, "x"',
        'Mo "at noon", We 10:00-12:00 "Sa, Su 10:00-12:00"',
        "Sa, Su",
    ],
)
def test_rules__that_stand_beside_others_are_no_lists(text: str) -> None:
    days = range(SATURDAY, SATURDAY + 14)
    told = [HourExpression(text).bits(day, 1)[0] for day in days]
    assert told == [evaluator_bits(text, "CN", EPOCH + dt.timedelta(day)) for day in days]


READ_AS_LISTS = {
    "Mo-Fr 07:00-19:00; Sa, Su 09:00-16:00",
    "Tu, Fr 10:00-18:00; We-Th 10:00-20:00; Sa-Su 10:00-17:00",
    "Tu, Th, Fr 12:00-17:00; Fr 12:00-15:00",
}


def test_lists__are_all_that_the_extract_of_helsinki_says_otherwise_than_by_the_letter() -> None:
    texts = {item.tags["opening_hours"] for item in read_objects(helsinki_path(), ["opening_hours"])}
    days = range(SATURDAY, SATURDAY + 7)
    own = {text: [HourExpression(text).bits(day, 1)[0] for day in days] for text in texts if is_valid_hours(text)}
    assert len(own) > 300
    other = {
        text
        for text, told in own.items()
        if not HourExpression(text).sun
        and told != [evaluator_bits(text, "FI", EPOCH + dt.timedelta(day)) for day in days]
    }
    assert other == READ_AS_LISTS


def test_school_holidays__never_match() -> None:
    assert HourExpression("SH 10:00-12:00").bits(SATURDAY, 60) == [(0, 0)] * 60


def test_open_end__is_midnight_as_the_evaluator_says() -> None:
    assert HourExpression("Sa 17:00+").bits(SATURDAY, 2) == [(span((17, 24)), 0), (0, 0)]


@pytest.mark.parametrize("text", ["", " ", "open hours", "Mo-Fr 25:61", "\ud800", None, 7, "Mo; " * 2000 + "Mo"])
def test_expression__that_does_not_parse_is_refused(text: str) -> None:
    with pytest.raises(InvalidHoursError, match=r"^hours\[3\] must be an opening_hours expression, got") as caught:
        HourExpression(text, position=3)
    assert (caught.value.argument, caught.value.position, caught.value.value) == ("hours", 3, text)


UNREAL = [
    ("Jun 31 10:00-11:00", "Jun 31"),
    ("10:00-11:00; feb 30 off", "feb 30"),
    ("Feb 3010:00-11:00", "Feb 30"),
    ("24/7; Apr31,Jul 02 off", "Apr31"),
    ("Nov 31-Dec 10 10:00-11:00", "Nov 31"),
    ("Jun 31+ 10:00-11:00", "Jun 31"),
    ("2026 Sep 31 10:00-11:00", "Sep 31"),
    ("2026-2027 Jun 31 10:00-11:00", "Jun 31"),
    ("Apr 01-Jun 31,Sep 31 10:00-11:00", "Sep 31"),
]


@pytest.mark.parametrize(("text", "date"), UNREAL)
def test_expression__with_a_date_that_no_year_has_is_refused(text: str, date: str) -> None:
    with pytest.raises(InvalidHoursError, match=rf"^hours\[3\] must name dates .* got {date} in ") as caught:
        HourExpression(text, position=3)
    assert caught.value.value == text
    assert not is_valid_hours(text)


@pytest.mark.parametrize(
    ("text", "n_days"),
    [
        ("Apr 01-Jun 31 10:00-11:00", 91),
        ("Jun 01-31 10:00-11:00", 30),
        ("Jun 01 - 2026 Jun 31 10:00-11:00", 30),
        ("Jun 01 +1 day-Jun 31 10:00-11:00", 29),
        ("Feb 29 10:00-11:00", 0),
        ('10:00-11:00 "not on Jun 31"', 365),
    ],
)
def test_expression__with_dates_that_end_ranges_or_some_years_have_is_taken(text: str, n_days: int) -> None:
    days = HourExpression(text).bits((dt.date(2026, 1, 1) - EPOCH).days, 365)
    assert [day for day, _ in days if day] == [span((10, 11))] * n_days
    assert is_valid_hours(text)


def test_parse_hours__keeps_few_long_expressions_and_many_short_ones() -> None:
    short = [f"Mo-Fr {i // 60:02}:{i % 60:02}-24:00" for i in range(1_000)]
    long = [f"{hours}; Sa {','.join(['10:00-12:00'] * 30)}" for hours in short]
    first_short, first_long = parse_hours(short[0]), parse_hours(long[0])
    for hours in short + long:
        assert parse_hours(hours) is not None
    assert parse_hours(short[0]) is first_short
    assert parse_hours(long[-1]) is parse_hours(long[-1])
    assert parse_hours(long[0]) is not first_long


def test_days__that_are_equal_are_one_and_of_all_days_the_last_ones_are_kept() -> None:
    first = HourExpression("Mo 00:00-01:00").bits(MONDAY, 1)[0]
    assert HourExpression("Mo 00:00-01:00; Tu off").bits(MONDAY, 1)[0] is first
    for n in range(700):
        hours = (f"{day} {n // 60:02}:00-{number + 12}:{n % 60:02}" for number, day in enumerate(WEEKDAYS))
        HourExpression("; ".join(hours)).bits(MONDAY, 7)
    assert HourExpression("Mo 00:00-01:00; We off").bits(MONDAY, 1)[0] is not first
