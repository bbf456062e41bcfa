"""One match is what the engine says, and what brute force over the stored rows says; what it promises; what would help."""

from __future__ import annotations

import datetime as dt
import threading
import zoneinfo
from collections.abc import Iterator
from typing import Any

import pytest

from engine import covers
from engine.hour_expressions import HourExpression
from geo import convert_datum
from service.matching import replies, single_route
from service.matching.items import split_of
from tests.property.twins import brute_nearest, brute_reason, brute_refused, brute_told
from tests.registry import NOW, Offer, Point, Registry, opened
from tests.scale import scaled
from tests.unit.service.matching.cities import OFFERS, STATUS, city, dice, question, rows_of_city, state

CITY = city(7)
ROWS = rows_of_city(CITY)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with opened(tmp_path_factory.mktemp("city")) as registry:
        registry.add_merchants(**STATUS)
        registry.put(*CITY)
        yield registry


@pytest.fixture
def empty(tmp_path: Any) -> Iterator[Registry]:
    with opened(tmp_path) as registry:
        registry.add_merchants(**STATUS)
        yield registry


def _terms(asked: dict[str, Any]) -> dict[str, Any]:
    at = asked.get("at", NOW)
    terms = {name: asked[name] for name in ("quantity", "unknown_hours", "max_distance_m") if name in asked}
    features = asked["features"].split(",") if "features" in asked else []
    features += [f"{name}:{asked[name]}" for name in ("brand", "merchant") if name in asked]
    return terms | {"at": at, "asked_at": min(at, NOW), "features": features}


def _same(told: list[str], wanted: list[tuple[float, int]]) -> None:
    """Ids equal but where places are within a micrometre, which the twin may order either way."""
    assert len(told) == len(wanted)
    for mine, (chord_sq, number) in zip(told, wanted, strict=True):
        assert mine == ROWS[number]["point_ids"], (mine, chord_sq)


@pytest.mark.parametrize("seed", range(scaled(40)))
def test_match__is_what_the_engine_and_brute_force_say(registry: Registry, seed: int) -> None:
    rng = dice(seed)
    for _ in range(25):
        asked = question(rng)
        terms, place, k = _terms(asked), (asked["lat"], asked["lng"]), asked.get("k", 1)
        answer = registry.match(**asked).json()
        own = registry.services.index.view.engine.nearest(*place, asked["offer"], k, **terms)
        found = [(one["point_id"], one["distance_m"]) for one in answer["matches"]]
        assert found == [(one.point_id, one.distance_m) for one in own.matches], asked
        wanted = brute_nearest(ROWS, *place, asked["offer"], k, terms, state)
        _same([name for name, _ in found], wanted)
        for one, (chord_sq, number) in zip(answer["matches"], wanted, strict=True):
            assert one["distance_m"] == pytest.approx(brute_told(chord_sq), abs=1e-5)
            assert (one["lat"], one["lng"]) == (ROWS[number]["lat"], ROWS[number]["lng"])
        assert dt.datetime.fromisoformat(answer["at"]) == terms["at"]
        assert dt.datetime.fromisoformat(answer["asked_at"]) == terms["asked_at"]
        assert ("reason" in answer) is (not found)
        if not found:
            _check_refused(answer, asked, terms)
            _follow_help(registry, answer, asked)


def _check_refused(answer: dict[str, Any], asked: dict[str, Any], terms: dict[str, Any]) -> None:
    place = asked["lat"], asked["lng"]
    told = [row | {"visibility": "internal"} if row["suspended"] else row for row in ROWS]
    nearest = brute_refused(told, *place, asked["offer"], 20)
    reasons = [brute_reason(ROWS[number], *place, terms, state) for _, number in nearest]
    firsts = [i for i, reason in enumerate(reasons) if reason not in reasons[:i]]
    assert answer["reason"] == reasons[0]
    assert [one["reason"] for one in answer["refused"]] == [reasons[i] for i in firsts]
    _same([one["point_id"] for one in answer["refused"]], [nearest[i] for i in firsts])
    times = [one["next_open_at"] for one in answer["refused"] if one["next_open_at"] is not None]
    assert all(one["reason"] in {"closed", "too_soon"} for one in answer["refused"] if one["next_open_at"])
    assert not times or answer["next_open_at"] <= min(times)
    for one in answer["refused"]:
        if one["next_open_at"] is not None:
            _check_opening(one, asked, terms)


def _check_opening(one: dict[str, Any], asked: dict[str, Any], terms: dict[str, Any]) -> None:
    row = next(row for row in ROWS if row["point_ids"] == one["point_id"] and row["offers"] == asked["offer"])
    opens = dt.datetime.fromisoformat(one["next_open_at"])
    ready = terms["asked_at"] + dt.timedelta(seconds=row["lead_s"])
    if row["lead_s"]:  # a minute at least to read the answer and ask again, and then the next whole one
        ready = dt.datetime.fromtimestamp(-(-ready.timestamp() // 60) * 60 + 60, dt.UTC)
    earliest = max(terms["at"], ready)
    assert opens >= earliest
    assert state(row, opens) == "open"
    assert opens == earliest or state(row, opens - dt.timedelta(seconds=1)) == "closed"


def _follow_help(registry: Registry, answer: dict[str, Any], asked: dict[str, Any]) -> None:
    """Each thing that would help is true when it is done, a little later too."""
    helps = answer["would_help"]
    others = [({**asked, "offer": one["offer"]}, one) for one in helps["other_modes"]]
    if helps["farther"] is not None:
        others.append(({name: asked[name] for name in asked if name != "max_distance_m"}, helps["farther"]))
    if helps["later"] is not None:
        others.append(({**asked, "at": dt.datetime.fromisoformat(helps["later"]["at"])}, helps["later"]))
    for again, one in others:
        found = registry.match(**again).json()["matches"]
        assert (found[0]["point_id"], found[0]["distance_m"]) == (one["point_id"], one["distance_m"]), (asked, one)


def test_match__without_a_time_means_now(registry: Registry) -> None:
    rng = dice(1)
    for _ in range(20):
        asked = {name: value for name, value in question(rng).items() if name != "at"}
        implied, told = registry.match(**asked).json(), registry.match(**asked, at=NOW).json()
        assert implied | {"index": 0} == told | {"index": 0}


def test_later__holds_while_the_caller_reads_the_answer(empty: Registry) -> None:
    """A lead time runs from when it is asked: what is told is still true half a minute later."""
    empty.put(Point("alpha:1", 31.2, 121.5, [Offer(OFFERS[0], hours="Mo-Su 08:00-22:00", lead_s=3600)]))
    empty.clock.at = NOW + dt.timedelta(seconds=12.345678)
    told = empty.match(lat=31.2, lng=121.5, offer=OFFERS[0]).json()
    assert told["reason"] == "too_soon"
    assert told["next_open_at"] == "2026-11-25T05:02:00Z"
    assert told["refused"][0]["next_open_at"] == "2026-11-25T05:02:00Z"
    assert told["would_help"]["later"]["at"] == "2026-11-25T05:02:00Z"
    empty.clock.at += dt.timedelta(seconds=30)
    again = empty.match(lat=31.2, lng=121.5, offer=OFFERS[0], at=dt.datetime(2026, 11, 25, 5, 2, tzinfo=dt.UTC)).json()
    assert again["matches"][0]["point_id"] == "alpha:1"


def test_later__is_never_beyond_what_may_be_asked(empty: Registry) -> None:
    empty.put(Point("alpha:1", 31.2, 121.5, [Offer(OFFERS[0], hours="Mo 08:00-09:00")]))
    at = NOW + dt.timedelta(days=399, hours=23, minutes=59)
    told = empty.match(lat=31.2, lng=121.5, offer=OFFERS[0], at=at).json()
    assert told["next_open_at"] is not None
    assert told["would_help"]["later"] is None


@pytest.mark.parametrize("asked", [{"brand": "far"}, {"merchant": "beta"}, {"features": "lift"}])
def test_help__is_found_behind_many_that_are_not_meant(empty: Registry, asked: dict[str, str]) -> None:
    near = [Point(f"alpha:{number}", 31.2, 121.5, [Offer(OFFERS[0])]) for number in range(25)]
    evening = Offer(OFFERS[0], hours="Mo-Su 18:00-22:00")
    empty.put(*near, Point("beta:1", 31.3, 121.5, [evening], ("brand:far", "lift")))
    told = empty.match(lat=31.2, lng=121.5, offer=OFFERS[0], **asked).json()
    assert (told["reason"], told["next_open_at"]) == ("feature_missing", "2026-11-25T10:00:00Z")
    later = told["would_help"]["later"]
    assert (later["at"], later["point_id"]) == ("2026-11-25T10:00:00Z", "beta:1")


def test_help__is_not_told_to_wait_for_a_door_that_is_no_help_when_it_opens(empty: Registry) -> None:
    shut = Offer(OFFERS[0], hours="Mo-Su 18:00-22:00", radius_m=100)
    empty.put(Point("alpha:1", 31.3, 121.5, [shut]))
    told = empty.match(lat=31.2, lng=121.5, offer=OFFERS[0]).json()
    assert [(one["reason"], one["next_open_at"]) for one in told["refused"]] == [("closed", None)]
    assert (told["next_open_at"], told["would_help"]["later"]) == (None, None)


def test_help__may_have_to_wait_for_hours_that_are_unknown(empty: Registry) -> None:
    empty.put(Point("alpha:1", 31.2, 121.5, [Offer(OFFERS[0], hours=None, lead_s=3600)]))
    told = empty.match(lat=31.2, lng=121.5, offer=OFFERS[0]).json()
    assert (told["reason"], told["would_help"]["later"]) == ("hours_unknown", None)
    told = empty.match(lat=31.2, lng=121.5, offer=OFFERS[0], unknown_hours="allow").json()
    assert (told["reason"], told["next_open_at"]) == ("too_soon", "2026-11-25T05:01:00Z")
    assert told["would_help"]["later"]["at"] == "2026-11-25T05:01:00Z"


# Offer, hours, time wanted, then order_by, ready_at, hold_until, cancel_free_until: all on the wall in Shanghai.
PROMISES = (
    # 72 hours end at noon while it is open.
    ("retail/pickup", "Mo-Su 08:00-22:00", "26T12:00", ("26T11:00", "25T13:00", "29T12:00", "26T12:00")),
    # The hold ends while it is closed: it goes on to the end of the next opening hours.
    (
        "retail/pickup",
        "We,Th 08:00-22:00; Su 18:00-20:00",
        "26T12:00",
        ("26T11:00", "25T13:00", "29T20:00", "26T12:00"),
    ),
    # A delivery is held by nobody.
    ("retail/delivery", "Mo-Su 08:00-22:00", "26T12:00", ("26T11:00", "25T13:00", None, "26T11:00")),
    # Ready no sooner than the doors open, after the lead time.
    ("retail/pickup", "Mo-Su 14:00-22:00", "25T15:00", ("25T14:00", "25T14:00", "28T15:00", "25T15:00")),
)


@pytest.mark.parametrize(("offer", "hours", "at", "wanted"), PROMISES)
def test_promise__is_exact(empty: Registry, offer: str, hours: str, at: str, wanted: tuple[str | None, ...]) -> None:
    empty.put(Point("alpha:1", 31.2, 121.5, [Offer(offer, hours=hours, lead_s=3600)]))
    told = empty.match(lat=31.2, lng=121.5, offer=offer, at=_wall(at)).json()["matches"][0]["promise"]
    names = ("order_by", "ready_at", "hold_until", "cancel_free_until")
    assert [told[name] and dt.datetime.fromisoformat(told[name]) for name in names] == [
        one and _wall(one) for one in wanted
    ]


def _wall(text: str, zone: str = "Asia/Shanghai", month: str = "2026-11") -> dt.datetime:
    return dt.datetime.fromisoformat(f"{month}-{text}").replace(tzinfo=zoneinfo.ZoneInfo(zone))


def test_promise__counts_elapsed_seconds_on_the_day_that_clocks_change(tmp_path: Any) -> None:
    """New York on 2026-11-01: between 00:30 and 02:30 on the wall there are three hours."""
    with opened(tmp_path, _wall("01T00:00", "America/New_York")) as registry:
        registry.add_merchants(alpha="verified")
        offer = Offer("retail/delivery", hours="Mo-Su 02:00-05:00", lead_s=3 * 3600)
        registry.put(Point("alpha:1", 40.7, -74.0, [offer], timezone="America/New_York", country="US"))
        ask: dict[str, Any] = {"lat": 40.7, "lng": -74.0, "offer": "retail/delivery"}
        early = registry.match(**ask, at=_wall("01T01:59", "America/New_York")).json()
        assert early["reason"] == "closed"
        told = registry.match(**ask, at=_wall("01T02:30", "America/New_York")).json()["matches"][0]["promise"]
        assert told["order_by"] == "2026-11-01T04:30:00Z"
        assert told["ready_at"] == "2026-11-01T07:00:00Z"


@pytest.mark.parametrize("datum", ["gcj02", "bd09"])
def test_match__takes_and_tells_any_datum(registry: Registry, datum: str) -> None:
    rng = dice(3)
    for _ in range(30):
        asked = question(rng)
        lat, lng = convert_datum(asked["lat"], asked["lng"], source="wgs84", target=datum)
        plain, told = (
            registry.match(**asked).json(),
            registry.match(**asked | {"lat": lat, "lng": lng}, datum=datum).json(),
        )
        assert [one["point_id"] for one in told["matches"]] == [one["point_id"] for one in plain["matches"]]
        for mine, other in zip(told["matches"], plain["matches"], strict=True):
            back = convert_datum(mine["lat"], mine["lng"], source=datum, target="wgs84")
            assert back == pytest.approx((other["lat"], other["lng"]), abs=1e-6)
            assert mine["distance_m"] == pytest.approx(other["distance_m"], abs=0.2)


@pytest.mark.parametrize("extra", [{"features": "helipad"}, {"brand": "nobody"}, {"merchant": "nobody"}])
def test_match__of_what_nobody_has_is_refused_and_never_wider(registry: Registry, extra: dict[str, str]) -> None:
    told = registry.match(lat=31.2, lng=121.5, offer=OFFERS[0], k=50, **extra).json()
    assert told["matches"] == []
    assert {one["reason"] for one in told["refused"]} <= {"paused", "feature_missing"}
    assert told["would_help"] == {"later": None, "farther": None, "other_modes": []}


def test_match__takes_a_distance_inclusively(registry: Registry) -> None:
    ask: dict[str, Any] = {"lat": 31.2, "lng": 121.5, "offer": OFFERS[0], "unknown_hours": "allow"}
    nearest = registry.match(**ask).json()["matches"][0]
    assert registry.match(**ask, max_distance_m=nearest["distance_m"]).json()["matches"] == [nearest]
    less = registry.match(**ask, max_distance_m=nearest["distance_m"] - 1e-3).json()
    assert less["matches"] == []
    assert less["would_help"]["farther"]["point_id"] == nearest["point_id"]


def test_split__is_looked_for_beside_all_else_and_told_where_it_is_given_up(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def seen(*given: Any) -> Any:
        threads.append(threading.current_thread())
        return split_of(*given)

    monkeypatch.setattr(replies, "split_of", seen)
    ask: dict[str, Any] = {"lat": 31.2, "lng": 121.5, "offer": OFFERS[0], "items": "milk,bread", "split": 2}
    told = registry.match(**ask).json()
    assert (told["split"], "is_split_unknown" in told) == (None, False)
    monkeypatch.setattr(covers, "MAX_STEPS", 0)
    told = registry.match(**ask).json()
    assert (told["split"], told["is_split_unknown"]) == (None, True)
    assert len(threads) == 2
    assert threading.main_thread() not in threads  # which answers all others


@pytest.mark.parametrize(
    ("hours", "extra"),
    [
        ("Nov 08:00-22:00", {}),
        ("Nov 08:00-22:00", {"items": "milk"}),  # nobody keeps it
        ("Nov 14:00-22:00; Dec 08:00-22:00", {}),  # closed: when it opens is asked, and what would help
    ],
)
def test_match__has_hours_compiled_in_a_thread(
    empty: Registry, monkeypatch: pytest.MonkeyPatch, hours: str, extra: dict[str, Any]
) -> None:
    """Each question is asked again, of what is compiled then: that is told at once, and the same."""
    empty.put(Point("alpha:1", 31.2, 121.5, [Offer(OFFERS[0], hours=hours, lead_s=60)]))
    at_once, threads, whole = [], [], HourExpression.bits

    def told(*given: Any) -> Any:
        at_once.append(replies.reply_at_once(*given))
        return at_once[-1]

    def seen(*given: Any) -> Any:
        threads.append(threading.current_thread())
        return whole(*given)

    monkeypatch.setattr(single_route, "reply_at_once", told)
    monkeypatch.setattr(HourExpression, "bits", seen)
    ask: dict[str, Any] = {"lat": 31.2, "lng": 121.5, "offer": OFFERS[0], **extra}
    for day in (0, 12):  # both days and windows are new
        at = NOW + dt.timedelta(days=day, minutes=5)
        first, again = (empty.match(**ask, at=at).json() for _ in range(2))
        assert first | {"index": 0} == again | {"index": 0}
    assert [reply is not None for reply in at_once] == [False, True] * 2
    assert threads
    assert threading.main_thread() not in threads  # which answers all others
    assert sum(_places_told(empty)) == 4


def _places_told(registry: Registry) -> tuple[float, float]:
    text = registry.runner.run(registry.client.get("/metrics")).text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("linli_places_total"))
    matched, unmatched = (float(lines[f'linli_places_total{{outcome="{name}"}}']) for name in ("matched", "unmatched"))
    return matched, unmatched


def test_version__never_moves_back_and_follows_each_change(empty: Registry) -> None:
    ask: dict[str, Any] = {"lat": 31.2, "lng": 121.5, "offer": OFFERS[0]}
    versions = []
    for i in range(12):
        empty.put(Point(f"alpha:{i}", 31.2, 121.5 + (12 - i) * 1e-3, [Offer(OFFERS[0])]))
        told = empty.match(**ask).json()
        assert told["matches"][0]["point_id"] == f"alpha:{i}"
        versions.append(tuple(int(part) for part in told["index"]["version"].split("-")))
    assert versions == sorted(set(versions))
    empty.pause("alpha:11", 2)
    assert empty.match(**ask).json()["matches"][0]["point_id"] == "alpha:10"


TAMPERED = {
    "hours": "24/7",
    "lead_s": 0,
    "areas": None,
    "capacity": None,
    "features": {"lift", "cold_locker", "brand:corner", "brand:7-11"},
    "paused": False,
    "suspended": False,
    "visibility": "public",
}


@pytest.mark.parametrize("column", TAMPERED)
def test_questions__meet_every_check(column: str) -> None:
    """The comparison would see a service that leaves a check out: some of its questions get another answer."""
    rows = [{**row, column: TAMPERED[column]} for row in ROWS]
    rng = dice(0)
    for _ in range(200):
        asked = question(rng)
        place, k, terms = (asked["lat"], asked["lng"]), asked.get("k", 1), _terms(asked)
        wanted = [brute_nearest(given, *place, asked["offer"], k, terms, state) for given in (ROWS, rows)]
        if wanted[0] != wanted[1]:
            return
    pytest.fail(f"no question meets {column}")
