"""What a crew cannot keep goes to others, in the window that was promised, or is told."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.crew_days import CrewDay, CrewDays, Stop
from engine.errors import UnkeptDayError
from engine.replanning import kept_part, replan, starts_however_late_s
from engine.travel import GreatCircleTravel

TRAVEL = GreatCircleTravel()
HOME = (31.2, 121.4)
HOUR_S = 3600


def visit(name: str, earliest: float, latest: float, hours: float = 1.0) -> Stop:
    return Stop(name, HOME, int(hours * HOUR_S), int(earliest * HOUR_S), int(latest * HOUR_S))


def rest(earliest: float, latest: float) -> Stop:
    return Stop("rest", None, HOUR_S, int(earliest * HOUR_S), int(latest * HOUR_S))


def day(*stops: Stop, ends: float = 10) -> CrewDay:
    return CrewDay("crew", HOME, HOME, 0, int(ends * HOUR_S), stops)


CASES: tuple[
    tuple[CrewDay, list[str], list[str], list[str], float], ...
] = (  # the day as it has become, what is begun, what is left of it, what is given away, when it ends
    # all can be kept
    (day(visit("a", 0, 1), visit("b", 2, 3)), [], ["a", "b"], [], 10),
    # a visit that ran over makes the next one late, not the one behind it
    (day(visit("a", 0, 0, 3), visit("b", 1, 2), visit("c", 3, 4)), ["a"], ["a", "c"], ["b"], 10),
    # a rest that is late for a visit which is not begun: that visit goes
    (day(visit("a", 0, 0, 1), visit("b", 1, 2, 3), rest(2, 3)), ["a"], ["a", "rest"], ["b"], 10),
    # a rest that is late for one that is begun is taken late
    (day(visit("a", 0, 0, 4), rest(2, 3), visit("b", 4, 6)), ["a"], ["a", "rest", "b"], [], 10),
    # home would be reached too late: the last visit goes
    (day(visit("a", 0, 0, 4), visit("b", 4, 9), ends=4.5), ["a"], ["a"], ["b"], 4.5),
    # what is begun has made the one behind it late, which is not given away: those before it stay, who change nothing
    (day(visit("a", 0, 1), visit("b", 3, 3, 3), visit("c", 4, 5)), ["b", "c"], ["a", "b", "c"], [], 10),
    (day(visit("a", 0, 1), visit("b", 2, 2, 9)), ["b"], ["a", "b"], [], 11),
    # the last of several that would help goes, and no more than one
    (day(visit("a", 0, 4, 1), visit("b", 1, 4, 1), visit("c", 0, 4, 4), ends=5), ["c"], ["a", "c"], ["b"], 5),
    # nothing can go: the crew comes home late
    (day(visit("a", 0, 0, 4), ends=3), ["a"], ["a"], [], 4),
)


@pytest.mark.parametrize(("given", "begun", "left", "late", "ends"), CASES)
def test_kept_part__gives_away_what_is_late(
    given: CrewDay, begun: list[str], left: list[str], late: list[str], ends: float
) -> None:
    kept, loose = kept_part(CrewDays([], TRAVEL), given, begun)
    assert [stop.stop_id for stop in kept.stops] == left
    assert [stop.stop_id for stop in loose] == late
    assert kept.ends_s == int(ends * HOUR_S)
    CrewDays([kept], TRAVEL)


@pytest.mark.parametrize(("ends", "left"), [(3.0, 1.5), (2.0, 0.5), (1.5, 0.0), (1.0, 0.0)])
def test_kept_part__lets_an_engagement_end_when_it_ends(ends: float, left: float) -> None:
    begun, busy = visit("a", 0, 0, 1.5), Stop("busy", None, int((ends - 0.5) * HOUR_S), HOUR_S // 2, HOUR_S // 2)
    kept, loose = kept_part(CrewDays([], TRAVEL), day(begun, busy), ["a", "busy"], engagements=["busy"])
    assert kept == day(begun, Stop("busy", None, int(left * HOUR_S), HOUR_S // 2, HOUR_S * 3 // 2))
    assert loose == []
    assert starts_however_late_s(CrewDays([], TRAVEL), day(begun, busy), engagements=["busy"]) == [0, HOUR_S * 3 // 2]


@pytest.mark.parametrize(("ends", "is_gone_to"), [(1.25, False), (1.51, False), (6.0, True)])
def test_kept_part__sends_nobody_to_an_engagement_that_would_be_over(ends: float, *, is_gone_to: bool) -> None:
    begun, far = visit("a", 0, 0, 1.5), (31.2, 121.6)
    busy = Stop("busy", far, int((ends - 0.5) * HOUR_S), HOUR_S // 2, HOUR_S // 2)
    kept, loose = kept_part(CrewDays([], TRAVEL), day(begun, busy), ["a", "busy"], engagements=["busy"])
    (starts_s,) = starts_however_late_s(CrewDays([], TRAVEL), kept)[1:]
    assert (kept.stops[1].place == far, starts_s > HOUR_S * 3 // 2) == (is_gone_to, is_gone_to)
    assert starts_s + kept.stops[1].duration_s == max(1.5, ends) * HOUR_S
    assert loose == []


def test_replan__inserts_where_windows_can_be_kept_and_tells_of_the_others_in_order() -> None:
    full = day(visit("x", 0, 0, 9))
    free = day(visit("y", 4, 4))
    table = CrewDays([full, free, day()], TRAVEL)
    loose = [
        visit("late", 4, 4),
        visit("early", 3, 3),
        visit("never", 4, 5, 20),
        visit("noon", 4, 4),
        visit("not", 1, 1, 20),
    ]
    found = replan(table, {2: day(ends=3)}, [*loose, rest(1, 2)])
    assert found.moved == {"early": 1}
    assert [stop.stop_id for stop in found.unkept] == ["not", "late", "never", "noon"]
    assert [[stop.stop_id for stop in found.days[number].stops] for number in (1, 2)] == [["early", "y"], []]
    assert table.days == [full, free, day()]
    assert replan(table, {}, [visit("late", 4, 4)]).moved == {"late": 2}


def test_replan__asks_only_those_who_can() -> None:
    table = CrewDays([day(), day(), day()], TRAVEL)
    only = np.array([False, False, True])
    assert replan(
        table, {}, [visit("a", 1, 2)], is_asked=lambda stop, _days: only if stop.stop_id == "a" else ~only
    ).moved == {"a": 2}


def test_replan__refuses_a_changed_day_that_cannot_be_kept_and_changes_nothing() -> None:
    table = CrewDays([day()], TRAVEL)
    with pytest.raises(UnkeptDayError) as caught:
        replan(table, {0: day(visit("a", 0, 0, 5), visit("b", 1, 1))}, [])
    assert (caught.value.value, caught.value.node, caught.value.late_s) == ("b", 2, 4 * HOUR_S)
    assert table.days == [day()]


def test_replan__gives_nothing_back_to_a_crew_that_is_ill_and_no_crew_more_than_it_may_have() -> None:
    ill = day(visit("a", 1, 9), visit("b", 1, 9))
    alone = CrewDays([ill], TRAVEL)
    assert [stop.stop_id for stop in replan(alone, {0: ill._replace(stops=())}, ill.stops).unkept] == ["a", "b"]
    table = CrewDays([ill, day(), day()], TRAVEL)

    def has_none(_stop: Stop, days: CrewDays) -> NDArray[np.bool_]:
        return np.array([not one.stops for one in days.days], np.bool_)

    found = replan(table, {0: ill._replace(stops=())}, ill.stops, is_asked=has_none)
    assert found.moved == {"a": 1, "b": 2}
    assert replan(table, {0: ill._replace(stops=())}, ill.stops, not_before_s=10 * HOUR_S).moved == {}


def test_kept_part__keeps_private_engagements_and_raises_where_there_is_no_way() -> None:
    given = day(visit("a", 0, 0, 3), visit("private", 1, 1), visit("b", 4, 6))
    kept, loose = kept_part(CrewDays([], TRAVEL), given, ["a", "private"])
    assert [stop.stop_id for stop in kept.stops] == ["a", "private", "b"]
    assert loose == []
    with pytest.raises(UnkeptDayError):
        kept_part(CrewDays([], Nowhere()), day(visit("a", 0, 0)), ["a"])


class Nowhere:
    """A travel on which there is no way."""

    told = "no way"

    def minutes_many(
        self, origins: NDArray[np.float64], destinations: NDArray[np.float64], at: dt.datetime | None
    ) -> NDArray[np.float64]:
        assert at is None
        return np.full((len(origins), len(destinations)), np.inf)
