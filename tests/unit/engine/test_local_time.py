import datetime as dt
import importlib.resources
import struct
import zoneinfo

import numpy as np
import pytest

from engine.errors import InvalidQueryError, InvalidTimezoneError
from engine.local_time import LAST_S, _packaged_names, check_instants, check_timezone, local_minutes, told_apart
from tests.scale import scaled

DAY_S = 86_400
ZONES = sorted(zoneinfo.available_timezones() - {"localtime"})


def brute_local(at_s: int, zone: str) -> tuple[int, int]:
    wall = dt.datetime.fromtimestamp(at_s, zoneinfo.ZoneInfo(zone)).replace(tzinfo=None)
    since = wall - dt.datetime.combine(dt.date(1970, 1, 1), dt.time())
    return since.days, since.seconds // 60


def changes_s(zone: str) -> list[int]:
    """Return the instants since 1970 at which a zone changes, read from its file (RFC 9636)."""
    data = importlib.resources.files("tzdata").joinpath("zoneinfo", *zone.split("/")).read_bytes()
    is_ut, is_std, n_leap, n_times, n_types, n_chars = struct.unpack(">6l", data[20:44])
    second = 44 + n_times * 5 + n_types * 6 + n_chars + n_leap * 8 + is_std + is_ut
    (n_times,) = struct.unpack(">l", data[second + 32 : second + 36])
    times = struct.unpack(f">{n_times}q", data[second + 44 : second + 44 + 8 * n_times])
    return [time for time in times if time >= DAY_S]


def test_local_minutes__are_right_to_the_second_at_every_change_of_every_zone() -> None:
    for zone in ZONES[:: 1 if scaled(10) == 10 else 7]:
        changes = np.array(changes_s(zone), np.int64)
        at = np.sort(np.concatenate([changes + shift for shift in (-DAY_S, -1, 0, 1, DAY_S)]))
        day, minute = local_minutes(at, [zone])
        expected = [brute_local(one, zone) for one in at.tolist()]
        assert list(zip(day[0].tolist(), minute[0].tolist(), strict=True)) == expected, zone


def test_local_minutes__follow_summer_time_beyond_the_zone_file() -> None:
    summer, winter = (int(dt.datetime(9998, month, 1, tzinfo=dt.UTC).timestamp()) for month in (7, 1))
    _, minute = local_minutes(np.array([winter, summer, LAST_S]), ["Europe/Berlin", "America/New_York"])
    assert minute.tolist() == [[60, 120, 59], [1140, 1200, 1139]]


def test_local_minutes__know_days_before_1970_west_of_greenwich() -> None:
    day, minute = local_minutes(np.array([0]), ["America/New_York", "UTC"])
    assert (day.tolist(), minute.tolist()) == ([[-1], [0]], [[1140], [0]])


def test_local_minutes__of_no_instants_or_zones_are_empty() -> None:
    assert local_minutes(np.empty(0, np.int64), ["UTC"])[0].shape == (1, 0)
    assert local_minutes(np.array([5]), [])[0].shape == (0, 1)


@pytest.mark.parametrize(
    ("zones", "first", "n_days", "step_s"),
    [
        (["Asia/Shanghai", "Europe/Berlin"], "2026-03-27", 4, 60),  # over a change
        (["Africa/Monrovia", "UTC"], "1971-12-30", 4, 1),  # 44 min 30 s behind, until 7 January 1972
        (["Asia/Shanghai"], "2026-01-01", 30, 1),  # too many days to count off
        (["UTC"], "9998-12-31", 1, 60),
    ],
)
def test_told_apart__keeps_all_that_clocks_on_the_wall_show(
    zones: list[str], first: str, n_days: int, step_s: int
) -> None:
    start = int(np.datetime64(first, "s").astype(np.int64))
    at = start + np.random.default_rng(3).integers(0, n_days * DAY_S, 4_000)
    at = np.concatenate([at, [start, start + n_days * DAY_S - 1]])
    distinct, number = told_apart(at, zones)
    for kept, given in zip(local_minutes(distinct, zones), local_minutes(at, zones), strict=True):
        np.testing.assert_array_equal(kept[:, number], given)
    np.testing.assert_array_equal(np.unique(number), np.arange(distinct.size))
    np.testing.assert_array_equal(np.sort(distinct), np.unique(at // step_s * step_s))


def test_told_apart__of_nothing_is_nothing() -> None:
    distinct, number = told_apart(np.empty(0, np.int64), ["UTC"])
    assert (distinct.size, number.size) == (0, 0)


@pytest.mark.parametrize("at_s", [-1, LAST_S + 1, -(2**63)])
def test_instants__outside_1970_to_9998_are_refused(at_s: int) -> None:
    with pytest.raises(InvalidQueryError, match=r"^at\[1\] must lie in the years 1970 to 9998") as caught:
        check_instants(np.array([0, at_s, at_s]))
    assert (caught.value.argument, caught.value.position, caught.value.value) == ("at", 1, at_s)


def test_timezone__may_be_any_that_zoneinfo_knows_but_the_machines_own() -> None:
    assert [check_timezone(name) for name in ZONES] == ZONES


def test_timezones__of_the_package_are_zones() -> None:
    assert _packaged_names() <= zoneinfo.available_timezones()
    assert {"Asia/Shanghai", "UTC"} <= _packaged_names()
    assert "localtime" not in _packaged_names()


# The last three mean the machine's own zone, a folder, and a way out of it.
@pytest.mark.parametrize("name", ["", "Mars/Base", "europe/berlin", None, 8, "localtime", "Europe", "../UTC"])
def test_timezone__must_be_an_iana_name(name: object) -> None:
    with pytest.raises(InvalidTimezoneError) as caught:
        check_timezone(name, position=4)
    assert (caught.value.argument, caught.value.position) == ("timezone", 4)
