"""Readers ask while a writer changes: each answer is that of one version, whole, and no reader waits for an apply."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine import Engine, live, snapshots, units
from engine.kernels.state import PAGE_BITS, PAGE_ROWS
from engine.snapshots import Snapshot
from tests.faults.changing_city import (
    AT,
    CLOCK,
    CROWD,
    LAT,
    LNG,
    MOVE,
    N_CHURNED,
    N_PLACES,
    N_SMALL,
    OFFERS,
    SHOP,
    SWAP,
    ZONE,
    Crowd,
    Facts,
    change_to,
    first_columns,
)
from tests.scale import FULL

SECONDS = 20.0 if FULL else 4.0
N_READERS = 4
K = 8
COPIES = 100  # of the questions in one call: more than one chunk, so that threads share them
N_KEPT = 300  # versions whose rows can still be named
Pairs = list[tuple[str, float]]


class Trial:
    """An engine, one who changes it and four who ask it, and what was seen."""

    def __init__(self) -> None:
        self.crowd = Crowd()
        self.engine = Engine.from_columns(**first_columns(self.crowd))
        alone = Engine.from_columns([str(i) for i in range(N_PLACES)], [MOVE] * N_PLACES, LAT, LNG)
        found = alone.nearest_many(LAT, LNG, MOVE, k=N_PLACES)
        self.told_m = np.empty((N_PLACES, N_PLACES))  # how far apart places are, as an engine of their own tells
        np.put_along_axis(self.told_m, found.row, found.distance_m, axis=1)  # rows are numbered as they came
        self.is_over = threading.Event()
        self.applying = 0  # the version that is being made, 0 in between
        self.known: dict[int, tuple[Snapshot, Crowd]] = {1: (self.engine._snapshot, self.crowd.copy())}
        self.parts: tuple[set[int], ...] = (set(), set(), set())
        self.kept_alive: list[Any] = []  # so that no id comes back
        self.count = threading.Lock()
        self.n_answers = self.n_during = 0
        self.seen: set[int] = set()
        self.was_listed: set[bool] = set()
        self.wrong: list[str] = []

    def write(self) -> None:
        number = 1
        while not self.is_over.is_set():
            number += 1
            changes = change_to(number, self.crowd)
            kept = self.crowd.copy()
            self.applying = number
            made = self.engine.apply(changes)
            self.applying = 0
            if made != number:
                self.complain(f"version {made} where {number} was made")
            snapshot = self.engine._snapshot
            self.known[number] = (snapshot, kept)
            self.known.pop(number - N_KEPT, None)
            for seen, part in zip(self.parts, snapshot.parts, strict=True):
                seen.add(id(part.columns))
                self.kept_alive.append(part.columns)
            time.sleep(0.002)

    def read(self, seed: int) -> None:
        asks: list[Callable[[int], tuple[int, str]]] = [self.ask_one, self.ask_many, self.ask_crowd, self.ask_serving]
        turn, newest = seed, 0
        while not self.is_over.is_set():
            turn += 1
            if turn % 40 == 0:
                self.engine.prepare(wait=turn % 80 == 0)
            applying, low = self.applying, self.engine.version
            is_listed = self.engine._snapshot.base.is_listed
            version, complaint = asks[turn % 4](turn // 4)
            if not max(low, newest) <= version <= self.engine.version:
                complaint = f"between versions {low} and {self.engine.version}, after {newest}"
            newest = version
            with self.count:
                self.n_answers += 1
                self.n_during += 0 < applying == self.applying  # begun and answered within one apply
                self.seen.add(version)
                self.was_listed.add(is_listed)
            if complaint:
                self.complain(f"version {version}: {complaint}")

    def complain(self, text: str) -> None:
        with self.count:
            self.wrong.append(text)

    def known_of(self, version: int) -> tuple[Snapshot, Crowd]:
        """Return what the writer knows of a version; it may be about to enter it."""
        end = time.monotonic() + 30
        while version not in self.known:
            assert time.monotonic() < end, f"version {version} is not the writer's"
            time.sleep(0.0005)
        return self.known[version]

    def ask_one(self, turn: int) -> tuple[int, str]:
        offer = OFFERS[turn % 5]
        answer = self.engine.nearest(LAT[0], LNG[0], offer, k=K, at=AT)
        found = [(match.point_id, match.distance_m) for match in answer.matches]
        wanted = self.wanted(answer.version, 0, offer)
        return answer.version, "" if found == wanted else f"{offer}: {found}, wanted {wanted}"

    def ask_many(self, turn: int) -> tuple[int, str]:
        """Ask everything at once, many times over: copies are answered alike, by whichever thread."""
        threads = (1, 2, 4)[turn % 3]
        asked = [(i, MOVE) for i in range(N_PLACES)] + [(0, offer) for offer in OFFERS[1:5]]
        places, offers = (list(column) * COPIES for column in zip(*asked, strict=True))
        found = self.engine.nearest_many(LAT[places], LNG[places], offers, k=K, threads=threads, at=AT)
        row, told = (array.reshape(COPIES, len(asked), -1) for array in (found.row, found.distance_m))
        if (row != row[0]).any() or (told != told[0]).any():
            return found.version, f"{threads} threads answer copies of a question differently"
        names = found.point_ids()[: len(asked)]
        for i, (place, offer) in enumerate(asked):
            pairs = _pairs(names[i], told[0, i])
            wanted = self.wanted(found.version, place, offer)
            if pairs != wanted:
                return found.version, f"{offer} with {threads} threads: {pairs}, wanted {wanted}"
        return found.version, ""

    def ask_crowd(self, turn: int) -> tuple[int, str]:
        """Ask the crowd, with hours, areas and capacities, and without some; compare with brute force."""
        at, serves_only = (AT if turn % 2 else None), turn % 3 > 0
        require = ("open", "serves", "capacity") if serves_only else ("open", "capacity")
        found = self.engine.nearest_many(LAT, LNG, CROWD, k=K, threads=1, at=at, require=require)
        crowd = self.known_of(found.version)[1]
        for place, (names, told) in enumerate(zip(found.point_ids(), found.distance_m, strict=True)):
            pairs = _pairs(names, told)
            wanted = crowd.nearest(place, K, at=at, serves_only=serves_only)
            same = [name for name, _ in pairs] == [name for name, _ in wanted]
            if not same or not np.allclose([m for _, m in pairs], [m for _, m in wanted], rtol=0, atol=1e-6):
                return found.version, f"the crowd from place {place}, {at}, {require}: {pairs}, wanted {wanted}"
        return found.version, ""

    def ask_serving(self, _: int) -> tuple[int, str]:
        offers = [ZONE, CROWD, MOVE, ZONE]
        places = [0, 3, 5, N_PLACES - 1]
        found = self.engine.serving_many(LAT[places], LNG[places], offers)
        snapshot, crowd = self.known_of(found.version)
        names: list[Any] = snapshot.point_ids(found.row).to_pylist()
        ends = np.searchsorted(found.query, np.arange(5))
        by_query = [sorted(names[start:stop]) for start, stop in itertools.pairwise(ends)]
        facts = Facts(found.version)
        zones = [[f"zone {i}" for i in range(N_SMALL) if facts.is_near(i) == near] for near in (True, False)]
        wanted = [zones[0], ["one", "other"], zones[1]]
        if [by_query[0], by_query[2], by_query[3]] != wanted:
            return found.version, f"pairs {by_query[0]}, {by_query[2:]}, wanted {wanted}"
        n = len({name for name in by_query[1] if name.startswith("crowd")})
        if not n == len(by_query[1]) == crowd.n_everywhere():
            return found.version, f"{len(by_query[1])} pairs with the crowd, wanted {crowd.n_everywhere()}"
        return found.version, ""

    def wanted(self, version: int, place: int, offer: str) -> Pairs:
        facts = Facts(version)
        if offer == MOVE:
            return [(name, float(self.told_m[place, facts.place])) for name in ("one", "other")]
        if offer == ZONE:
            return [(f"zone {i}", float(self.told_m[0, 1])) for i in range(N_SMALL) if facts.is_near(i)]
        here = {SWAP: [facts.able], SHOP: facts.shops}
        here[CLOCK] = [f"clock {i}" for i in range(N_SMALL) if facts.is_early(i)]
        return [(name, 0.0) for name in here[offer]]

    def run(self, seconds: float, *, until_wrong: bool = False) -> None:
        works = [lambda i=i: self.read(i * 11) for i in range(N_READERS)] + [self.write]
        threads = [threading.Thread(target=self._guarded, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.is_over.wait(0.01) and not (until_wrong and self.wrong):
            pass
        self.is_over.set()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - a thread's error must reach the test
            self.complain(f"{type(error).__name__}: {error}")
            self.is_over.set()


def _pairs(names: list[str | None], told: NDArray[np.float64]) -> Pairs:
    return [(name, m) for name, m in zip(names, told.tolist(), strict=True) if name is not None]


@pytest.fixture(autouse=True)
def _often_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a middle be full after some ten versions, so that the base is built anew while readers ask."""
    monkeypatch.setattr(snapshots, "MIN_MIDDLE_ROWS", 8 * N_CHURNED)


def test_readers__see_whole_versions_and_are_answered_while_changes_are_applied() -> None:
    trial = Trial()
    trial.run(SECONDS)
    assert trial.wrong == []
    assert trial.n_during > 0, f"none of {trial.n_answers} answers was given while a change was applied"
    assert len(trial.seen) > 5 * SECONDS, "readers saw hardly a version of the many"
    assert [len(seen) > 3 for seen in trial.parts] == [True] * 3, "base, middle and delta were to be built anew"
    assert trial.was_listed == {True, False}, "both trees and lists were to be asked"
    number, anew = trial.engine.version, Engine.from_arrays(trial.engine.to_arrays())
    trial.known[number] = (anew._snapshot, trial.known[number][1])
    trial.engine = anew
    for ask in (trial.ask_one, trial.ask_many, trial.ask_crowd, trial.ask_serving):
        assert [ask(turn) for turn in range(6)] == [(number, "")] * 6


def _half_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the parts of a change become visible one by one."""
    whole = Engine.apply

    def apply(self: Engine, changes: Any) -> int:
        number = self.version + 1
        for name in ("remove", "upsert", "capacity"):
            whole(self, {name: changes[name]})
            self._live.current = replace(self._snapshot, number=number)
        return number

    monkeypatch.setattr(Engine, "apply", apply)


def _lists_of_a_base_that_was_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lists be put in place without a look at the base that is there by now."""

    def put(self: live.LiveSnapshot, _: Any, listed: Any) -> None:
        time.sleep(0.1)
        self.current = replace(self.current, base=listed)

    monkeypatch.setattr(live.LiveSnapshot, "_put", put)


def _lists_bring_an_older_version_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a version be put in place that was read before the lists were made."""

    def list_one(self: live.LiveSnapshot, _: Any) -> None:
        before = self.current
        listed = before.base.listed()
        time.sleep(0.02)
        self.current = replace(before, base=listed)

    monkeypatch.setattr(live.LiveSnapshot, "_list", list_one)


def _units_written_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let versions share the units that a change writes."""

    def with_units(self: units.UnitPages, rows: Any, left: Any) -> units.UnitPages:
        self.left[self.page[rows >> PAGE_BITS], rows & (PAGE_ROWS - 1)] = left
        time.sleep(0.005)
        return self

    monkeypatch.setattr(units.UnitPages, "with_units", with_units)


@pytest.mark.parametrize(
    "plant",
    [
        _half_a_change,
        _lists_of_a_base_that_was_merged,
        _lists_bring_an_older_version_back,
        _units_written_in_place,
    ],
    ids=lambda plant: plant.__name__.strip("_"),
)
def test_readers__would_notice(plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    trial = Trial()
    trial.run(30.0, until_wrong=True)
    assert trial.wrong
