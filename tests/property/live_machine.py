"""A live engine and a plain list of its facts, changed side by side and compared after every step."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any, ClassVar

import h3
import numpy as np
import pytest
import shapely
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine import NOT_KEPT, Engine, snapshots

OFFERS = ("a/pickup", "a/delivery", "b/onsite")
HOURS = (None, "24/7", "Mo-Fr 09:00-18:00", "22:00-02:00", "Mo-Su 00:00-12:00 unknown")
ZONE = "Europe/Helsinki"
NOON = dt.datetime(2026, 3, 27, 10, tzinfo=dt.UTC)  # a Friday; clocks change two days later
NIGHT = dt.datetime(2026, 3, 28, 21, 30, tzinfo=dt.UTC)
PENTAGON = h3.cell_to_latlng(sorted(h3.get_pentagons(7))[3])
PILE = [(31.2 + i * 2e-5, 121.5 + j * 3e-5) for i in range(3) for j in range(2)]
PLACES = [
    *PILE,
    (31.21, 121.5),
    PENTAGON,
    (PENTAGON[0] + 1e-4, PENTAGON[1]),
    (PENTAGON[0], PENTAGON[1] - 0.02),
    (90.0, 0.0),
    (90.0, 77.0),
    (89.9999, 45.0),
    (-90.0, 0.0),
    (0.0, 180.0),
    (0.0, -180.0),
    (1e-4, 179.9999),
    (-1e-4, -179.9999),
]
NAMES = [f"{word}{i}" for i in range(12) for word in ("p", "pp", "é", "店")]
VISIBILITIES = ("public",) * 6 + ("unlisted", "internal")
ASKS: tuple[dict[str, Any], ...] = (
    {},
    {"at": NOON},
    {"at": NIGHT, "unknown_hours": "allow", "k": 5},
    {"at": NOON, "asked_at": NOON - dt.timedelta(hours=1), "quantity": 2, "k": 2},
    {"features": ("lift",), "max_distance_m": 40.0, "k": 2},
    {"require": (), "k": 100},
    {"require": ("capacity",), "quantity": 3, "k": 2},
    {"quantity": 1, "max_distance_m": 0.0, "k": 5},
    {"at": NIGHT, "features": ("lift", "cold_locker"), "require": ("open", "serves")},
    {"items": {"milk": 1}, "k": 5},
    {"items": {"milk": 2, "rice": 1}, "asked_at": NOON, "require": ("serves",), "k": 3},
    {"items": {"tea": 1}, "features": ("lift",), "require": (), "k": 2},
)
STOCKS: tuple[Any, ...] = (
    None,
    {"milk": 2, "rice": None},
    {"milk": (5, NOON), "tea": 0},
    {"tea": 3, "rice": (1, NIGHT), "é": 9},
)
PARTS = ((2, 4), (6, 14), (16, 40), (1024, 4096))
"""Rows of a delta and of a middle before they are merged: the last are too many for anything to be merged."""
COUNTS = (NOT_KEPT, None, 0, 1, 5, (5, NOON), (None, NIGHT))
UNKNOWN = "nobody"

Facts = dict[str, list[dict[str, Any]]]


def _areas(lat: float, lng: float) -> tuple[Any, ...]:
    wide = min(0.001 / max(0.01, np.cos(np.radians(lat))), 0.05)
    box = shapely.box(max(lng - wide, -180), max(lat - 1e-3, -89.9), min(lng + wide, 180), min(lat + 1e-3, 89.9))
    if abs(lat) > 89:  # an area may not go round a pole
        return None, 0.0, 30.0, 300.0
    hole = shapely.box(lng - wide / 4, lat - 3e-4, lng + wide / 4, lat - 1e-4)
    holed = box.difference(hole) if abs(lng) < 179 else box
    around = shapely.MultiPolygon([shapely.box(179.99, -0.01, 180, 0.01), shapely.box(-180, -0.01, -179.99, 0.01)])
    return None, 0.0, 30.0, 300.0, around if abs(lng) > 179 else box, holed


AREAS = [_areas(*place) for place in PLACES]
_DIGITS = (6, len(HOURS), 5, 3, 3, 12, 12, len(VISIBILITIES))
SEEDS = int(np.prod(_DIGITS))


def row_of(name: str, offer: str, place: int, number: int) -> dict[str, Any]:
    """Read the facts of a row off one number, so that a failing example stays short."""
    digits = []
    for base in _DIGITS:
        number, digit = divmod(number, base)
        digits.append(digit)
    area, hours, capacity, lead, features, paused, suspended, visibility = digits
    return {
        "point_ids": name,
        "offers": offer,
        "lat": PLACES[place][0],
        "lng": PLACES[place][1],
        "areas": AREAS[place][area % len(AREAS[place])],
        "hours": HOURS[hours],
        "capacity": (None, 0, 1, 2, 3)[capacity],
        "lead_s": (None, 600, 7200)[lead],
        "features": (None, {"lift"}, {"lift", "cold_locker"})[features],
        "paused": paused == 1,
        "suspended": suspended == 1,
        "visibility": VISIBILITIES[visibility],
        "stock": STOCKS[(sum(name.encode()) + place) % len(STOCKS)],
    }


COLUMNS = tuple(row_of("", "", 0, 0))


def columns_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return rows as the columns of `Engine.from_columns`."""
    return {name: [row[name] for row in rows] for name in COLUMNS} | {"timezone": ZONE}


def all_rows(facts: Facts) -> list[dict[str, Any]]:
    """Return the rows of all points."""
    return [row for rows in facts.values() for row in rows]


places = st.integers(0, len(PLACES) - 1)
ROWS = st.dictionaries(st.sampled_from(OFFERS), st.integers(0, SEEDS - 1), min_size=1, max_size=3)
POINTS = st.dictionaries(st.sampled_from(NAMES), st.tuples(places, ROWS), max_size=4)
PICKS = st.lists(st.integers(0, len(NAMES) - 1), max_size=4)
UNITS = st.lists(st.tuples(st.integers(0, 99), st.sampled_from([None, 0, 1, 2, 3])), max_size=3)
FAULTS = ("no such point", "no such point's units", "no such offer's units", "no place", "bad hours", "two places")


def rows_of_points(points: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of drawn points; offers of one point do not stand together."""
    rows = [
        row_of(name, offer, place, number)
        for name, (place, offers) in points.items()
        for offer, number in offers.items()
    ]
    return sorted(rows, key=lambda row: row["offers"])


class LiveEngine(RuleBasedStateMachine):
    """A live engine is always what an engine made anew of the same facts is."""

    make: ClassVar[type[Engine]] = Engine
    merges: ClassVar[Counter[str]] = Counter()
    """How often each part was built, over all machines: the test asks that each was."""

    @initialize(seed=st.integers(0, 2**32 - 1), n=st.integers(5, 40), parts=st.sampled_from(PARTS))
    def start(self, seed: int, n: int, parts: tuple[int, int]) -> None:
        snapshots.DELTA_ROWS, snapshots.MIN_MIDDLE_ROWS = parts  # the test's fixture puts them back
        rng = np.random.default_rng(seed)
        self.facts: Facts = {}
        for name in rng.choice(NAMES, n, replace=False).tolist():
            place, offers = int(rng.integers(len(PLACES))), rng.choice(OFFERS, rng.integers(1, 4), replace=False)
            self.facts[name] = [row_of(name, str(offer), place, int(rng.integers(SEEDS))) for offer in offers]
        self.live = self.make.from_columns(**columns_of(all_rows(self.facts)))
        near = [PLACES[i] for i in rng.integers(len(PLACES), size=6)]
        asked = [*rng.choice(OFFERS, 5).tolist(), "no/body"]
        self.asked = [lat for lat, _ in near], [lng for _, lng in near], asked
        self.kept: tuple[Any, Any] | None = None
        self.step = 0

    # What changes the facts

    @rule(gone=PICKS, points=POINTS, units=UNITS)
    def change(self, gone: list[int], points: dict[str, Any], units: list[tuple[int, int | None]]) -> None:
        after, changes = self._changes(gone, points, units)
        self._apply(after, changes)

    @rule(picks=PICKS, place=places)
    @precondition(lambda self: self.facts)
    def move(self, picks: list[int], place: int) -> None:
        lat, lng = PLACES[place]
        moved = {name: [{**row, "lat": lat, "lng": lng} for row in self.facts[name]] for name in self._names(picks)}
        self._apply(self.facts | moved, {"upsert": columns_of(all_rows(moved))})

    @rule(name=st.sampled_from(NAMES), place=places, offers=ROWS)
    def upsert_one(self, name: str, place: int, offers: dict[str, int]) -> None:
        rows = [row_of(name, offer, place, number) for offer, number in offers.items()]
        one = {"point_ids": name, "lat": rows[0]["lat"], "lng": rows[0]["lng"], "timezone": ZONE}
        lists = {column: [row[column] for row in rows] for column in COLUMNS if column not in one}
        version = self.live.version
        assert self.live.upsert(one | lists) == version + 1
        self.facts[name] = rows

    @rule(pick=st.integers(0, 99))
    @precondition(lambda self: self.facts)
    def remove_one(self, pick: int) -> None:
        name = self._names([pick])[0]
        self.live.remove(name)
        del self.facts[name]

    @rule(pick=st.integers(0, 99), units=st.sampled_from([None, 0, 1, 5]))
    @precondition(lambda self: self.facts)
    def set_capacity(self, pick: int, units: int | None) -> None:
        rows = all_rows(self.facts)
        row = rows[pick % len(rows)]
        self.live.set_capacity(row["point_ids"], row["offers"], units)
        row["capacity"] = units

    @rule(pick=st.integers(0, 99), sku=st.sampled_from(["milk", "tea", "é", "new"]), units=st.sampled_from(COUNTS))
    @precondition(lambda self: self.facts)
    def set_stock(self, pick: int, sku: str, units: Any) -> None:
        """Set one entry of a point, or remove it where there are no units at all."""
        name = self._names([pick])[0]
        had = dict(self.facts[name][0]["stock"] or {})
        left, until = units if isinstance(units, tuple) else (units, None)
        if left == NOT_KEPT:
            had.pop(sku, None)
        else:
            had[sku] = units
        for row in self.facts[name]:
            row["stock"] = had
        version = self.live.version
        assert self.live.apply({"stock": ([name], [sku], [left], [until])}) == version + 1

    @rule(gone=PICKS, points=POINTS, units=UNITS, fault=st.sampled_from(FAULTS))
    def fail(self, gone: list[int], points: dict[str, Any], units: list[tuple[int, int | None]], fault: str) -> None:
        """Good changes with one bad one among them: nothing may happen."""
        _, changes = self._changes(gone, points, units)
        _spoil(changes, fault)
        version = self.live.version
        with pytest.raises(ValueError, match=r"^(remove|upsert|capacity|lat|hours|point_ids|lng)"):
            self.live.apply(changes)
        assert self.live.version == version

    @rule()
    def store(self) -> None:
        version = self.live.version
        self.live = self.make.from_arrays(self.live.to_arrays())
        assert self.live.version == version

    @rule()
    def prepare(self) -> None:
        version = self.live.version
        self.live.prepare()
        assert self.live.version == version

    def _names(self, picks: list[int]) -> list[str]:
        names = list(self.facts)
        return list(dict.fromkeys(names[pick % len(names)] for pick in picks)) if names else []

    def _changes(
        self, gone: list[int], points: dict[str, Any], units: list[tuple[int, int | None]]
    ) -> tuple[Facts, dict[str, Any]]:
        """Return the facts after changes, and these: some points removed, then entered, then units set."""
        removed = self._names(gone)
        after = {name: [dict(row) for row in rows] for name, rows in self.facts.items() if name not in removed}
        new = rows_of_points(points)
        after |= {name: [row for row in new if row["point_ids"] == name] for name in points}
        changes: dict[str, Any] = {"remove": removed, "upsert": columns_of([dict(row) for row in new])}
        rows, set_rows = all_rows(after), {}
        for pick, left in units if rows else ():
            set_rows[pick % len(rows)] = left
        changes["capacity"] = (
            [rows[i]["point_ids"] for i in set_rows],
            [rows[i]["offers"] for i in set_rows],
            list(set_rows.values()),
        )
        for i, left in set_rows.items():
            rows[i]["capacity"] = left
        return after, {name: value for name, value in changes.items() if any(value) and value is not None}

    def _apply(self, after: Facts, changes: dict[str, Any]) -> None:
        before, version = self.live._snapshot, self.live.version
        assert self.live.apply(changes) == version + 1
        self.facts = after
        now = self.live._snapshot
        for level in ("base", "middle", "delta"):
            if getattr(now, level) is not getattr(before, level):
                self.merges[level] += 1
                return

    # What must hold after each step

    @invariant()
    def equals_an_engine_made_anew(self) -> None:
        fresh = Engine.from_columns(**columns_of(all_rows(self.facts)))
        ask = dict(ASKS[self.step % len(ASKS)])
        k = ask.pop("k", 1)
        self._finds_alike(fresh, ask, k, threads=1 + self.step // len(ASKS) % 2)
        # In turn: each step asking everything took five times as long, most of it for covers and for threads.
        turn = self.step % 8
        if turn in {0, 4}:
            self._refuses_alike(fresh, ask, threads=1 + turn // 4)
        elif turn in {1, 5}:
            self._explains_alike(fresh, ask)
        elif turn == 2:
            self._serves_in_turn_alike(fresh, ask)
        elif turn == 7:
            self._serves_alike(fresh)
        self.step += 1

    def _finds_alike(self, fresh: Engine, ask: dict[str, Any], k: int, threads: int) -> None:
        lat, lng, offers = self.asked
        wanted = fresh.nearest_many(lat, lng, offers, k=k, threads=1, **ask)
        found = self.live.nearest_many(lat, lng, offers, k=k, threads=threads, **ask)
        assert found.version == self.live.version
        names = found.point_ids()
        assert names == wanted.point_ids()
        assert found.distance_m.tolist() == wanted.distance_m.tolist()
        if self.kept is not None:  # an answer keeps its names, whatever was applied since
            older, older_names = self.kept
            assert older.point_ids() == older_names
        self.kept = found, names

    def _refuses_alike(self, fresh: Engine, ask: dict[str, Any], threads: int) -> None:
        lat, lng, offers = self.asked
        told = []
        for engine in (fresh, self.live):
            refused = engine.refusals_many(lat, lng, offers, threads=threads, **ask)
            told.append((engine.point_ids(refused.row), refused.code.tolist(), refused.distance_m.tolist()))
        assert told[0] == told[1]

    def _explains_alike(self, fresh: Engine, ask: dict[str, Any]) -> None:
        number = self.step % len(self.asked[0])
        lat, lng, offer = (column[number] for column in self.asked)
        names = list(self.facts)
        point = names[self.step % len(names)] if names and self.step % 3 else None
        told, wanted = (engine.explain(lat, lng, offer, point, **ask) for engine in (self.live, fresh))
        assert (told.match, told.nearer, told.n_more, told.point) == (
            wanted.match,
            wanted.nearer,
            wanted.n_more,
            wanted.point,
        )
        with pytest.raises(ValueError, match=UNKNOWN):
            self.live.explain(lat, lng, offer, UNKNOWN)

    def _serves_alike(self, fresh: Engine) -> None:
        lat, lng, offers = self.asked
        told = []
        for engine in (self.live, fresh):
            query, row = engine.serving_many(lat, lng, offers)
            pairs = list(zip(query.tolist(), row.tolist(), strict=True))
            assert pairs == sorted(set(pairs))
            told.append(sorted(zip(query.tolist(), engine.point_ids(row), strict=True)))
        assert told[0] == told[1]

    def _serves_in_turn_alike(self, fresh: Engine, ask: dict[str, Any]) -> None:
        if "items" in ask:
            return
        lat, lng, offers = (column * 3 for column in self.asked)  # often enough to use units up
        told = []
        for engine in (self.live, fresh):
            found = engine.nearest_in_turn(lat, lng, offers, units=engine.units(), **ask)
            assert found.code is not None
            told.append((found.point_ids(), found.distance_m.tolist(), found.code.tolist()))
        assert told[0] == told[1]


def _spoil(changes: dict[str, Any], fault: str) -> None:
    rows = [row_of("fault", offer, 0, 0) for offer in OFFERS[:2]]
    if fault == "no such point":
        changes["remove"] = [*changes.get("remove", []), UNKNOWN]
        return
    if fault in {"no such point's units", "no such offer's units"}:
        names, offers, units = changes.get("capacity", ([], [], []))
        changes["upsert"] = columns_of(rows)
        name, offer = (UNKNOWN, OFFERS[0]) if fault == "no such point's units" else ("fault", OFFERS[2])
        changes["capacity"] = [*names, name], [*offers, offer], [*units, 1]
        return
    bad: dict[str, dict[str, Any]] = {
        "no place": {"lat": float("nan")},
        "bad hours": {"hours": "Mo-Xy"},
        "two places": {"lng": 1.0},
    }
    rows[1] |= bad[fault]
    changes["upsert"] = columns_of(rows)
