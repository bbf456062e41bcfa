import datetime as dt
import threading
import zoneinfo
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.errors import EngineError, InvalidColumnError, InvalidHoursError, InvalidQueryError, InvalidTimezoneError
from engine.holidays import HolidayCalendar, parse_holiday_file
from engine.hour_blocks import ScheduleDays
from engine.hour_expressions import HourExpression
from engine.hours import HourTable, ScheduleBook, intervals, is_valid_hours
from engine.kernels.hours import CLOSED, OPEN, UNKNOWN, hour_state
from tests.unit.engine.test_holidays import CHINA_MAKEUP, china_days_off, days_from

OFFICE = "Mo-Fr 09:00-18:00; PH off"


def brute_state(open_minutes: int, unknown_minutes: int, minute: int) -> int:
    """Tell the state of a minute from days given as integers; the twin of `hour_state`."""
    return 2 if unknown_minutes >> minute & 1 else open_minutes >> minute & 1


def instants(*texts: str) -> np.ndarray:
    return np.array([int(dt.datetime.fromisoformat(text).timestamp()) for text in texts], np.int64)


def state_of(table: HourTable, schedule: int, query: int) -> int:
    return hour_state(
        schedule,
        query,
        table.tz_of_schedule,
        table.day_slot,
        table.minute,
        table.bitmap_of,
        table.open_bits,
        table.unknown_bits,
    )


def states(book: ScheduleBook, schedule: int, at_s: np.ndarray) -> list[int]:
    table = book.table_at(at_s)
    return [state_of(table, schedule, query) for query in range(at_s.size)]


def local_instants(days: list[dt.date], time: str, zone: str) -> np.ndarray:
    clock = dt.time.fromisoformat(time)
    tz = zoneinfo.ZoneInfo(zone)
    return np.array([int(dt.datetime.combine(day, clock, tz).timestamp()) for day in days], np.int64)


def test_hour_state__equals_its_twin_on_every_minute() -> None:
    rng = np.random.default_rng(3)
    open_bits, unknown_bits = rng.integers(0, 2**63, (2, 4, 23), np.uint64) << np.uint64(1)
    as_integers = [[int.from_bytes(row.tobytes(), "little") for row in bits] for bits in (open_bits, unknown_bits)]
    zones, slots = np.array([1, 0], np.int32), np.array([[0, 1], [1, 0]], np.int32)
    bitmap_of = np.array([[2, 0], [3, 1]], np.int32)
    for minute in range(1440):
        minutes = np.full((2, 2), minute, np.int32)
        for schedule, query in ((0, 0), (0, 1), (1, 0), (1, 1)):
            bitmap = bitmap_of[slots[zones[schedule], query], schedule]
            state = hour_state(schedule, query, zones, slots, minutes, bitmap_of, open_bits, unknown_bits)
            assert state == brute_state(as_integers[0][bitmap], as_integers[1][bitmap], minute)


def test_hour_state__without_hours_is_unknown() -> None:
    book = ScheduleBook()
    book.intern_many(["24/7"], "UTC", None)
    assert states(book, -1, instants("2026-01-01T00:00Z")) == [UNKNOWN]


def test_intern_many__gives_one_id_to_each_distinct_schedule() -> None:
    book = ScheduleBook()
    hours = ["24/7", None, OFFICE, "24/7", OFFICE, "24/7", OFFICE]
    zones = ["Asia/Seoul", None, "Asia/Seoul", "Asia/Seoul", "Asia/Seoul", "Asia/Tokyo", "Asia/Seoul"]
    countries = ["KR", None, "KR", "JP", "CN", None, "KR"]
    assert book.intern_many(hours, zones, countries).tolist() == [0, -1, 1, 0, 2, 3, 1]
    assert book.expressions() == [
        ("24/7", "Asia/Seoul", None),
        (OFFICE, "Asia/Seoul", "KR"),
        (OFFICE, "Asia/Seoul", "CN"),
        ("24/7", "Asia/Tokyo", None),
    ]
    assert book.n_schedules == 4
    assert book.intern_many([OFFICE, "24/7", "Mo"], "Asia/Seoul", "CN").tolist() == [2, 0, 4]


def test_intern_many__of_anothers_expressions_gives_the_same_ids() -> None:
    book = ScheduleBook()
    book.intern_many([OFFICE, "24/7", OFFICE, "Mo"], ["UTC", "Asia/Seoul", "UTC", "UTC"], ["FI", None, "KR", "FI"])
    other = ScheduleBook()
    assert other.intern_many(*zip(*book.expressions(), strict=True)).tolist() == [0, 1, 2, 3]
    assert other.expressions() == book.expressions()


@pytest.mark.parametrize(
    "column",
    [
        np.array(["24/7", None, "Mo"], object),
        pa.array(["24/7", None, "Mo"]),
        pa.array(["24/7", None, "Mo"]).dictionary_encode(),
    ],
)
def test_intern_many__takes_any_column(column: Any) -> None:
    book = ScheduleBook()
    assert book.intern_many(column, pa.array(["UTC", None, "UTC"]), np.full(3, None, object)).tolist() == [0, -1, 1]


def test_intern_many__of_nothing_is_empty() -> None:
    book = ScheduleBook()
    assert book.intern_many([], [], []).shape == (0,)
    assert book.intern_many([None, None], None, None).tolist() == [-1, -1]
    assert book.table_at(instants("2026-01-01T00:00Z")).bitmap_of.shape[1] == 0


@pytest.mark.parametrize(
    ("hours", "zones", "countries", "error", "argument", "position"),
    [
        (["24/7", "Mo-Fr 9", "x"], "UTC", None, InvalidHoursError, "hours", 1),  # the first of two
        (["24/7", ""], "UTC", None, InvalidHoursError, "hours", 1),
        (["24/7", " "], "UTC", None, InvalidHoursError, "hours", 1),
        (["24/7", 7], "UTC", None, InvalidHoursError, "hours", 1),
        (["24/7", float("nan")], "UTC", None, InvalidHoursError, "hours", 1),
        (["24/7", "\udc00"], "UTC", None, InvalidHoursError, "hours", 1),
        ([None, "24/7"], None, None, InvalidTimezoneError, "timezone", 1),  # needed for 24/7, too
        ([None, "24/7"], ["UTC", None], None, InvalidTimezoneError, "timezone", 1),
        ([None, "24/7"], ["UTC", "Mars/Base"], None, InvalidTimezoneError, "timezone", 1),
        (["24/7", None], ["UTC", "Mars/Base"], None, InvalidTimezoneError, "timezone", 1),
        (["24/7", OFFICE], "UTC", None, InvalidTimezoneError, "country", 1),  # PH asks for one
        (["24/7", OFFICE], "UTC", ["FI", None], InvalidTimezoneError, "country", 1),
        (["24/7", OFFICE, OFFICE], "UTC", ["FI", "XX", "cn"], InvalidTimezoneError, "country", 1),
        (["24/7", "Mo"], ["UTC"], None, InvalidColumnError, "timezone", None),  # another length
    ],
)
def test_intern_many__names_the_first_offending_row_and_adds_nothing(
    hours: list[str], zones: Any, countries: Any, error: type[EngineError], argument: str, position: int | None
) -> None:
    book = ScheduleBook()
    with pytest.raises(error) as caught:
        book.intern_many(hours, zones, countries)
    assert (caught.value.argument, caught.value.position) == (argument, position)
    assert book.n_schedules == 0


def test_table_at__tells_open_from_start_to_before_end() -> None:
    book = ScheduleBook()
    book.intern_many(["Mo-Fr 09:00-18:00"], "Asia/Shanghai", None)
    at = instants(*(f"2026-07-06T{clock}+08:00" for clock in ("08:59:59", "09:00:00", "17:59:59", "18:00:00")))
    assert states(book, 0, at) == [CLOSED, OPEN, OPEN, CLOSED]


def test_table_at__follows_the_wall_clock_through_summer_time() -> None:
    book = ScheduleBook()
    book.intern_many(["02:30-03:30", "Su 22:00-26:00"], "Europe/Helsinki", None)
    # 29 March 2026: 03:00 becomes 04:00, so 02:30 to 03:00 is all there is. 25 October: 03:00 to 04:00 comes twice.
    spring = instants("2026-03-29T00:29:59Z", "2026-03-29T00:30Z", "2026-03-29T00:59:59Z", "2026-03-29T01:00Z")
    assert states(book, 0, spring) == [CLOSED, OPEN, OPEN, CLOSED]
    autumn = instants(
        "2026-10-24T23:30Z", "2026-10-25T00:29:59Z", "2026-10-25T00:30Z", "2026-10-25T01:00Z", "2026-10-25T01:30Z"
    )
    assert states(book, 0, autumn) == [OPEN, OPEN, CLOSED, OPEN, CLOSED]
    assert states(book, 1, instants("2026-03-29T22:59Z", "2026-03-29T23:00Z")) == [OPEN, CLOSED]


def test_table_at__reads_each_schedule_in_its_own_zone() -> None:
    book = ScheduleBook()
    zones = ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu"]
    ids = book.intern_many(["Th 00:00-24:00"] * 3, zones, None)
    at = instants("2026-01-01T10:30Z", "2026-01-01T09:59Z", "2025-12-31T18:15Z", "2025-12-31T18:14Z")
    assert [states(book, i, at) for i in ids] == [
        [CLOSED, OPEN, OPEN, OPEN],  # 14 hours ahead: Friday from 10:00
        [CLOSED, CLOSED, CLOSED, CLOSED],  # 11 behind: still Wednesday
        [OPEN, OPEN, OPEN, CLOSED],  # 5:45 ahead: Thursday from 18:15
    ]


def test_table_at__of_any_instants_equals_one_instant_at_a_time() -> None:
    book = ScheduleBook()
    texts = [
        OFFICE,
        "24/7",
        "Dec 24-Jan 02 off; 08:00-20:00",
        "week 1-53/2 Sa 10:00-12:00",
        "We-Sa 21:00-04:00; PH off",
    ]
    ids = book.intern_many(texts * 2, ["Asia/Seoul"] * 5 + ["America/New_York"] * 5, ["KR"] * 5 + ["US"] * 5)
    at = np.random.default_rng(5).integers(0, int(instants("2040-01-01T00:00Z")[0]), 300)
    alone = [[states(book, i, at[query : query + 1])[0] for query in range(0, at.size, 10)] for i in ids]
    assert [states(book, i, at)[::10] for i in ids] == alone


def test_table_at__stays_true_when_schedules_are_added_later() -> None:
    book = ScheduleBook()
    book.intern_many(["Mo 10:00-12:00"], "UTC", None)
    at = instants("2026-07-06T11:00Z", "2026-07-07T11:00Z")
    before = book.table_at(at)
    hours = [f"Mo,Tu 10:{minute:02d}-12:00" for minute in range(59)] + ["Jul 06 10:00-12:00", "PH off; Tu"]
    ids = book.intern_many(hours, "UTC", "FI")
    assert [state_of(before, 0, query) for query in (0, 1)] == [OPEN, CLOSED]
    assert states(book, int(ids[0]), at) == [OPEN, OPEN]
    assert states(book, int(ids[-2]), at) == [OPEN, CLOSED]
    assert states(book, int(ids[-1]), at) == [CLOSED, OPEN]
    with pytest.raises(ValueError, match="read-only"):
        before.open_bits[0, 0] = 1


def test_table_at__answers_while_another_thread_adds_schedules() -> None:
    book = ScheduleBook()
    book.intern_many(["Mo 10:00-12:00; Jan 01 off"], "UTC", None)
    at = instants("2026-07-06T11:00Z", "2026-08-06T11:00Z")
    wrong, done = [], threading.Event()

    def read() -> None:
        while not done.is_set():
            table = book.table_at(at)
            if [state_of(table, 0, 0), state_of(table, table.tz_of_schedule.size - 1, 0)] != [OPEN, OPEN]:
                wrong.append(table)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for day in range(2, 29):
        book.intern_many([f"Mo 10:00-12:00; Feb {day:02d} off"], f"Etc/GMT+{day % 2}" if day % 2 else "UTC", None)
    done.set()
    for reader in readers:
        reader.join()
    assert not wrong


def test_intern_many__does_not_wait_while_days_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    book = ScheduleBook()
    book.intern_many(["Jul 10:00-12:00"], "UTC", None)
    at = instants("2026-07-06T11:00Z")
    begun, go, compiled, told = threading.Event(), threading.Event(), list[str](), list[list[int]]()
    whole = HourExpression.bits

    def slow(expression: HourExpression, *given: Any) -> Any:
        compiled.append(expression.text)
        begun.set()
        assert go.wait(30)
        return whole(expression, *given)

    monkeypatch.setattr(HourExpression, "bits", slow)
    asking = [threading.Thread(target=lambda: told.append(states(book, 0, at))) for _ in range(3)]
    interning = threading.Thread(target=lambda: book.intern_many(["Aug 10:00-12:00"], "UTC", None))
    try:
        for one in asking:
            one.start()
        assert begun.wait(30)
        interning.start()
        interning.join(10)
        assert book.n_schedules == 2
    finally:
        go.set()
        for one in (*asking, interning):
            one.join()
    assert told == [[OPEN]] * 3
    assert states(book, 1, at) == [CLOSED]
    assert sorted(compiled) == ["Aug 10:00-12:00", "Jul 10:00-12:00"], "each once"


@pytest.mark.parametrize("at_s", [-1, int(dt.datetime(9999, 1, 1, tzinfo=dt.UTC).timestamp())])
def test_table_at__refuses_years_outside_1970_to_9998(at_s: int) -> None:
    with pytest.raises(InvalidQueryError) as caught:
        ScheduleBook().table_at(np.array([0, at_s]))
    assert (caught.value.argument, caught.value.position) == ("at", 1)


def test_schedule_days__forgets_old_days_and_compiles_them_again() -> None:
    small, large = (ScheduleDays(HolidayCalendar, max_cells=cells) for cells in (1, 1 << 20))
    schedules = [(HourExpression(text), "FI") for text in (OFFICE, "Jan-Jun 10:00-12:00", "week 2-53/2 Mo 08:00-09:00")]
    days = np.random.default_rng(7).integers(18_000, 22_000, (2, 400)).astype(np.int32)
    for one in (small, large):
        one.add(schedules)
    for chunk in (days, days[:, :3], days[:, 200:], days):
        slots = chunk.copy(), chunk.copy()
        tables = [one.gather(slot) for one, slot in zip((small, large), slots, strict=True)]
        bits = [
            one.bitmaps.arrays()[0][table[slot]] for one, table, slot in zip((small, large), tables, slots, strict=True)
        ]
        assert np.array_equal(bits[0], bits[1])
    assert len(small._blocks) == 1


def test_china__office_hours_are_right_on_every_day_of_2025_and_2026() -> None:
    book = ScheduleBook()
    texts = [OFFICE, "PH 10:00-14:00", "Mo-Sa,PH 10:00-12:00", "22:00-02:00; PH off"]
    book.intern_many(texts, "Asia/Shanghai", "CN")
    days, off = days_from("2025-01-01", 730), china_days_off()
    noon, eleven, late, night = (
        local_instants(days, at, "Asia/Shanghai") for at in ("12:30", "11:00", "23:00", "01:00")
    )
    assert states(book, 0, noon) == [int(day.weekday() < 5 and day not in off) for day in days]
    assert states(book, 1, noon) == [int(day in off) for day in days]
    assert states(book, 2, eleven) == [int(day.weekday() < 6 or day in off) for day in days]
    assert states(book, 3, late) == [int(day not in off) for day in days]
    # A holiday ends the night that reaches into it; the night out of it stays, as the evaluator has it.
    assert states(book, 3, night) == [int(day not in off) for day in days]


def test_china__makeup_workdays_keep_their_weekend_hours() -> None:
    book = ScheduleBook()
    book.intern_many([OFFICE], "Asia/Shanghai", "CN")
    makeup = [dt.date.fromisoformat(day) for day in CHINA_MAKEUP]
    assert set(states(book, 0, local_instants(makeup, "12:00", "Asia/Shanghai"))) == {CLOSED}


def test_china__beyond_the_last_notice_only_what_depends_on_it_is_unknown() -> None:
    added = parse_holiday_file("date,kind\n2027-01-01,day_off\n2027-10-01,day_off\n")
    days = [dt.date(2027, 10, 1), dt.date(2027, 10, 2), dt.date(2027, 10, 4), dt.date(2027, 8, 4)]  # Fr, Sa, Mo, We
    noon, night = (local_instants(days, at, "Asia/Shanghai") for at in ("12:00", "20:00"))
    unpublished, published = [UNKNOWN, CLOSED, UNKNOWN, OPEN], [CLOSED, CLOSED, OPEN, OPEN]
    for extra, states_at_noon in [(None, unpublished), (added, published)]:
        book = ScheduleBook(extra_days=extra)
        book.intern_many([OFFICE, "24/7"], "Asia/Shanghai", "CN")
        assert states(book, 0, noon) == states_at_noon
        assert states(book, 0, night) == [CLOSED] * 4
        assert states(book, 1, noon) == [OPEN] * 4


def wall(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def test_intervals__join_days_and_are_cut_to_what_is_asked() -> None:
    spans = intervals(
        "Mo-We; Th 10:00-12:00 unknown", "UTC", None, wall("2026-07-06T08:30:30"), wall("2026-07-09T11:00")
    )
    assert spans == [
        (wall("2026-07-06T08:30:30"), wall("2026-07-09T00:00"), "open"),
        (wall("2026-07-09T10:00"), wall("2026-07-09T11:00"), "unknown"),
    ]
    assert intervals("24/7", "UTC", None, wall("2026-07-06T08:00"), wall("2026-07-06T08:00")) == []
    assert intervals("Mo", "UTC", None, wall("2026-07-07T00:00:10"), wall("2026-07-07T00:00:50")) == []
    assert intervals("Mo", "UTC", None, wall("2026-07-05T23:59:50"), wall("2026-07-06T00:00:00")) == []


def test_intervals__know_holidays_and_added_days() -> None:
    asked = "PH 10:00-12:00", "Asia/Shanghai", "CN", wall("2027-03-01T00:00"), wall("2027-03-05T00:00")
    extra = parse_holiday_file("date,kind\n2027-03-03,day_off\n")
    assert intervals(*asked) == []
    assert intervals(*asked, extra_days=extra) == [(wall("2027-03-03T10:00"), wall("2027-03-03T12:00"), "open")]


@pytest.mark.parametrize(
    ("changed", "error", "argument"),
    [
        ({"expression": "Mo-Fr 9"}, InvalidHoursError, "hours"),
        ({"timezone": "Mars/Base"}, InvalidTimezoneError, "timezone"),
        ({"country": None}, InvalidTimezoneError, "country"),
        ({"start": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}, InvalidQueryError, "start"),  # with a zone
        ({"end": wall("9999-01-01T00:00")}, InvalidQueryError, "end"),
    ],
)
def test_intervals__refuse_bad_arguments(changed: dict[str, Any], error: type[EngineError], argument: str) -> None:
    good: dict[str, Any] = {
        "expression": OFFICE,
        "timezone": "UTC",
        "country": "FI",
        "start": wall("2026-01-01T00:00"),
        "end": wall("2026-01-02T00:00"),
    }
    with pytest.raises(error) as caught:
        intervals(**(good | changed))
    assert caught.value.argument == argument


def test_is_valid_hours__takes_expressions_alone() -> None:
    assert is_valid_hours("Mo-Fr 09:00-18:00; PH off")
    assert not any(is_valid_hours(value) for value in ("", " ", "by appointment", None, 24, "Mo-Fr 9-18"))
