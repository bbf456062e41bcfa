"""
Changes to a live index: their pace, what they cost the questions asked meanwhile, and how soon one is seen.

The peers are trees that cannot be changed and are built again on all points for every batch of moves; the
units left are no part of them. A batch is ready before its time is taken, and its time is `Engine.apply`.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import shapely
from scipy.spatial import cKDTree

from benchmarks.feasible_city import ask
from benchmarks.frame import Exactness, Report, Row, best_times, say
from benchmarks.places import ecef
from benchmarks.server_memory import MB, resident_bytes
from benchmarks.server_writer import Batch, Form, LiveCity
from engine import Engine, warm_up

__all__ = ["PACKAGES", "add_options", "run"]

PACKAGES = ("numpy", "numba", "h3", "pyarrow", "scipy", "shapely", "opening-hours-py")
CAPACITY_BATCH, MOVES_BATCH = 1_000, 10_000
PACED_MOVES_BATCH = 500
CAPACITY_A_S, MOVES_A_S = 100_000, 5_000
ASKED_CAPACITY_A_S, ASKED_MOVES_A_S, ASKED_UPSERT_MS, ASKED_PACE, ASKED_MEMORY = 200_000, 50_000, 5.0, 0.8, 1.1
QUERY_BATCH = 2_000
N_TURNS = 3
K = 5
N_CHECKED = 300
THE_LIMIT = "the limit asked for"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be scaled."""
    parser.add_argument("--rows", type=int, default=1_000_000, help="points (default: %(default)s)")
    parser.add_argument("--batches", type=int, default=20, help="batches of moves (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each turn of a reader (default: %(default)s)")
    parser.add_argument("--upserts", type=int, default=200, help="single upserts (default: %(default)s)")
    parser.add_argument(
        "--changes", type=int, default=1_000_000, help="changes after which memory is read again (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of points and changes (default: %(default)s)")


def run(options: argparse.Namespace) -> Report:
    """Change a large index in every way, time it, and check at the end that it answers by the facts as they are then."""
    say(f"updates: {options.rows} points")
    warm_up()
    city = LiveCity(options.rows, options.seed)
    report = Report("updates", Exactness(checked=0, wrong=0))
    rebuilt_s = _rebuilt(city)
    report.rows += _capacity_rows(city, options)
    report.rows += _moves_rows(city, rebuilt_s, options)
    report.rows += [_reader_row(city, options)]
    upsert_ms, unseen = _upserts(city, options)
    report.rows += _upsert_rows(upsert_ms, rebuilt_s, options)
    report.rows += [_memory_row(city, options)]
    wrong = city.wrong_answers(ask(N_CHECKED, options.seed), K)
    report.exact = Exactness(checked=N_CHECKED + options.upserts, wrong=wrong + unseen)
    say(f"  exact: {report.exact.checked} checked, {report.exact.wrong} wrong")
    return report


def _rebuilt(city: LiveCity) -> dict[str, float]:
    """Return the seconds in which each peer is built again."""
    say("  peers rebuilt")
    points, flat = (
        ecef(city.facts["lat"], city.facts["lng"]),
        np.asarray(shapely.points(city.facts["lng"], city.facts["lat"])),
    )

    def str_tree() -> object:
        tree = shapely.STRtree(flat)
        return tree.query(flat[0])  # it is built when first asked

    kd_tree = partial(cKDTree, points, leafsize=32, balanced_tree=False, compact_nodes=False)
    work: dict[str, Callable[[], object]] = {"scipy cKDTree": kd_tree, "shapely STRtree": str_tree}
    return best_times(work, repeats=3)


def _setting(peer: str) -> str:
    how = {"scipy cKDTree": "leafsize 32, not balanced, not compact, ", "shapely STRtree": ""}[peer]
    return f"built again on all points, {how}positions ready made"


def _against_limit(case: str, unit: str, linli: float, limit: float) -> Row:
    """Make the row of a pace that is asked for, where more is better."""
    return Row(case, THE_LIMIT, "", unit, round(linli, 1), limit, round(linli / limit, 3), 1.0)


def _capacity_rows(city: LiveCity, options: argparse.Namespace) -> list[Row]:
    rows = []
    forms: tuple[Form, ...] = ("lists", "Arrow")
    for form in forms:
        batches = [city.capacity(CAPACITY_BATCH, form) for _ in range(5 * options.batches)]
        times = city.write(batches)
        pace = CAPACITY_BATCH * len(batches) / sum(times)
        say(f"  capacity as {form}: {pace:,.0f} changes/s, largest pause {max(times) * 1e3:.1f} ms")
        case = f"capacity, batches of {CAPACITY_BATCH:,} as {form}, {options.rows:,} points"
        rows.append(_against_limit(case, "changes/s", pace, ASKED_CAPACITY_A_S))
    return rows


def _moves_rows(city: LiveCity, rebuilt_s: dict[str, float], options: argparse.Namespace) -> list[Row]:
    rows = []
    makers = {"moves": city.moves, "opening of new points": city.opening}
    for what, make in makers.items():
        times: list[float] = []
        for _ in range(options.batches if what == "moves" else max(1, options.batches // 4)):
            times += city.write([make(MOVES_BATCH)])  # one after the other: new points are numbered on
        pace, pause_ms = MOVES_BATCH * len(times) / sum(times), max(times) * 1e3
        usual_ms = float(np.median(times)) * 1e3
        say(f"  {what}: {pace:,.0f} changes/s; a batch {usual_ms:.1f} ms, the longest {pause_ms:.1f} ms")
        case = f"{what}, {len(times)} batches of {MOVES_BATCH:,} as Arrow and NumPy, merges included, {options.rows:,} points"
        rows.append(_against_limit(case, "changes/s", pace, ASKED_MOVES_A_S))
        for peer, seconds in rebuilt_s.items():
            its = MOVES_BATCH / seconds
            rows.append(
                Row(case, peer, _setting(peer), "changes/s", round(pace, 1), round(its, 1), round(pace / its, 3))
            )
        for which, milliseconds in (("median batch", usual_ms), ("longest batch", pause_ms)):
            costs = (milliseconds, rebuilt_s["scipy cKDTree"] * 1e3)
            setting = _setting("scipy cKDTree")
            rows.append(Row.of_costs(f"{what}, {which}", "scipy cKDTree", setting, "ms a batch", *costs))
    return rows


class _Reader(threading.Thread):
    """One thread that asks batches of questions until it is told to stop."""

    def __init__(self, engine: Engine, seed: int) -> None:
        super().__init__(name="reader")
        self._engine = engine
        self._questions = ask(QUERY_BATCH * 8, seed)
        self._offers = self._questions.offers
        self._enough = threading.Event()
        self.n_asked = 0
        self.took_s = 0.0
        self.error: BaseException | None = None

    def run(self) -> None:
        """Ask."""
        asked, start = self._questions, time.perf_counter()
        try:
            while not self._enough.is_set():
                first = self.n_asked % asked.lat.size
                part = slice(first, first + QUERY_BATCH)
                places, offers = (asked.lat[part], asked.lng[part]), self._offers[first : first + QUERY_BATCH]
                self._engine.nearest_many(*places, offers, k=K, at=asked.at[part], threads=1)
                self.n_asked += QUERY_BATCH
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.took_s = time.perf_counter() - start

    def stop(self) -> float:
        """Stop it; return how many questions it asked in a second."""
        self._enough.set()
        self.join()
        if self.error is not None:
            raise self.error
        return self.n_asked / self.took_s


def _reader_row(city: LiveCity, options: argparse.Namespace) -> Row:
    """Time a reader alone and beside a writer of a steady pace, in turns."""
    alone, beside, paces = [], [], []
    for turn in range(N_TURNS):
        reader = _Reader(city.engine, options.seed + turn)
        reader.start()
        time.sleep(options.seconds)
        alone.append(reader.stop())
        schedule = _paced(city, options.seconds)
        reader = _Reader(city.engine, options.seed + turn)
        reader.start()
        paces.append(_write_at_pace(city, schedule, options.seconds))
        beside.append(reader.stop())
        for _, batch in schedule:
            city.enter(batch)
        say(f"  reader alone {alone[-1]:,.0f}/s, beside the writer {beside[-1]:,.0f}/s")
    changes = f"{np.mean(paces, axis=0)[0]:,.0f} capacity changes/s and {np.mean(paces, axis=0)[1]:,.0f} moves/s"
    case = f"1 thread asks {QUERY_BATCH:,} at once, k = {K}, feasible, while another makes {changes}"
    setting = f"no changes; the writer's batches {CAPACITY_BATCH:,} and {PACED_MOVES_BATCH}, paced at {CAPACITY_A_S:,} and {MOVES_A_S:,}/s"
    figures = (round(float(np.mean(beside)), 1), round(float(np.mean(alone)), 1))
    return Row(case, "linli alone", setting, "queries/s", *figures, round(figures[0] / figures[1], 3), ASKED_PACE)


def _paced(city: LiveCity, seconds: float) -> list[tuple[float, Batch]]:
    """Return batches with the second at which each is due, in that order."""
    due = [
        (i * CAPACITY_BATCH / CAPACITY_A_S, city.capacity(CAPACITY_BATCH))
        for i in range(int(seconds * CAPACITY_A_S / CAPACITY_BATCH))
    ]
    due += [
        (i * PACED_MOVES_BATCH / MOVES_A_S, city.moves(PACED_MOVES_BATCH))
        for i in range(int(seconds * MOVES_A_S / PACED_MOVES_BATCH))
    ]
    return sorted(due, key=lambda pair: pair[0])


def _write_at_pace(city: LiveCity, schedule: Sequence[tuple[float, Batch]], seconds: float) -> tuple[float, float]:
    """Apply batches when they are due; return the pace of capacity changes and of moves that was kept."""
    start = time.perf_counter()
    for due, batch in schedule:
        wait = start + due - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        city.engine.apply(batch.changes)
    took = max(time.perf_counter() - start, seconds)
    n_moves = sum(batch.size for _, batch in schedule if "upsert" in batch.changes)
    n_units = sum(batch.size for _, batch in schedule if "capacity" in batch.changes)
    return n_units / took, n_moves / took


def _upserts(city: LiveCity, options: argparse.Namespace) -> tuple[list[float], int]:
    """Return the milliseconds from each call of `upsert` to the end of the question that sees it, and how many did not."""
    times, unseen = [], 0
    for _ in range(options.upserts):
        point, batch = city.upsert()
        asked = (point["lat"], point["lng"], point["offers"][0])
        start = time.perf_counter()
        city.engine.upsert(point)
        seen = city.engine.nearest(*asked).matches
        times.append((time.perf_counter() - start) * 1e3)
        unseen += [match.point_id for match in seen] != [point["point_ids"]]
        city.enter(batch)
    say(f"  one upsert: median {np.median(times):.2f} ms, worst {max(times):.2f} ms, {unseen} not seen")
    return times, unseen


def _upsert_rows(times_ms: list[float], rebuilt_s: dict[str, float], options: argparse.Namespace) -> list[Row]:
    rows = []
    for which, value in (("median", float(np.median(times_ms))), ("worst", max(times_ms))):
        case = f"one upsert and the question that sees it, {which} of {len(times_ms)}, {options.rows:,} points"
        rows.append(Row.of_costs(case, THE_LIMIT, "", "ms", value, ASKED_UPSERT_MS, reach=1.0))
        for peer, seconds in rebuilt_s.items():
            rows.append(Row.of_costs(case, peer, _setting(peer), "ms", value, seconds * 1e3))
    return rows


def _memory_row(city: LiveCity, options: argparse.Namespace) -> Row:
    """Read the memory before and after many changes, half of them of units and half moves."""
    city.engine.prepare()  # else lists that another thread is making are counted in or out by chance
    before = resident_bytes() / MB
    for _ in range(max(1, options.changes // (2 * MOVES_BATCH))):
        for _ in range(MOVES_BATCH // CAPACITY_BATCH):
            city.write([city.capacity(CAPACITY_BATCH)])
        city.write([city.moves(MOVES_BATCH)])
    city.engine.prepare()
    after = resident_bytes() / MB
    say(f"  memory: {before:.0f} MB before, {after:.0f} MB after")
    case = f"resident memory after {options.changes:,} changes, half of units and half moves"
    setting = "the same process before them, the sections above behind it; collected and trimmed"
    return Row.of_costs(case, "linli before", setting, "MB", after, before, reach=round(1 / ASKED_MEMORY, 3))
