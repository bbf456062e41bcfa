"""Compile every kernel by asking a tiny index everything once."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import shapely

from engine.baskets import Baskets
from engine.coverage import coverage
from engine.crew_days import CrewDay, CrewDays, Stop
from engine.engine import Engine
from engine.slots import Job, check_slots, find_slots
from engine.travel import GreatCircleTravel
from engine.visits import along_curve
from geo import (
    ancestor_cells,
    area_covers,
    cell_distance_m,
    convert_datum,
    cover_area,
    cover_circle,
    fill_area,
    latlng_to_cell_many,
)
from geo.jit import kernels_compiled, mark_compiled, watched_compiler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["warm_up"]

_SQUARE = shapely.box(-0.1, -0.1, 0.1, 0.1)
NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
_ROWS = 600  # enough for trees of more than a leaf, and to be sorted digit by digit


def warm_up(progress: Callable[[int, int], None] | None = None) -> None:
    """
    Compile every kernel, or load it from the cache: after it no question waits for the compiler.

    Parameters
    ----------
    progress
        Called as ``progress(done, total)``, in kernels, while they are compiled; those of the cache are
        loaded with what calls them and not counted.
    """
    with contextlib.nullcontext() if progress is None else watched_compiler(progress):
        _ask_everything()
    # Where the folder cannot be written, Numba caches elsewhere or not at all: the next process asks again.
    with contextlib.suppress(OSError):
        mark_compiled()


def _ask_everything() -> None:
    engine = _small_engine()
    with _other_half():
        engine.nearest(0.0, 0.0, "a/b", items={"m": 1})
        engine.split(0.0, 0.0, "a/b", {"m": 4, "n": 1})
        engine.explain(0.0, 0.0, "a/b", point="y", at=NOON)
        coverage(engine, {"lat": [0.0], "lng": [0.0], "weight": [1.0]}, "a/b")
        _ask_places()
        _ask_crews()
    engine.nearest(0.0, 0.0, "a/b", at=NOON, asked_at=NOON)
    engine.nearest_many([0.0], [0.0], "a/b", at=NOON, asked_at=NOON, items=Baskets([0], ["m"], [1]))
    engine.nearest_many([0.0], [0.0], "a/b", at=NOON, asked_at=NOON)
    _ask_half(engine)


def _ask_half(engine: Engine) -> None:
    """Ask what no other question needs, about half of all that is compiled."""
    engine.nearest_in_turn([0.0], [0.0], "a/b", units=engine.units(), at=NOON)
    engine.refusals_many([0.0], [0.0], "a/b")
    engine.nearest_point_many([0.0], [0.0])
    engine.serving_many([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], ["a/b", "a/c", "a/d"])
    _ask_many_points()


@contextlib.contextmanager
def _other_half() -> Iterator[None]:
    """Compile half of the kernels into the cache beside what is asked within; what it lacks is compiled after it."""
    if kernels_compiled() or (os.cpu_count() or 1) == 1:
        yield
        return
    code = f"import sys; sys.path[:0] = {sys.path!r}; from engine import warming; warming.compile_half()"
    quiet = subprocess.DEVNULL
    with subprocess.Popen([sys.executable, "-c", code], stdin=quiet, stderr=quiet) as half:  # noqa: S603 - ourselves
        try:
            yield
            half.wait()
        except BaseException:
            half.kill()
            raise


def compile_half() -> None:
    """Compile half of the kernels into the cache."""
    _ask_half(_small_engine())


def _small_engine() -> Engine:
    offers = ["a/b", "a/c", "a/d"]
    areas = [_SQUARE, 500.0, None]
    engine = Engine.from_columns(
        ["x"] * 3, offers, [0.0] * 3, [0.0] * 3, areas=areas, hours=["24/7"] * 3, timezone="UTC"
    )
    engine.upsert({"point_ids": "y", "offers": offers, "lat": 0.01, "lng": 0.0, "areas": areas})
    engine.set_capacity("x", "a/b", 3)
    engine.upsert({"point_ids": "z", "offers": offers, "lat": 0.02, "lng": 0.0, "stock": {"m": 1, "n": (2, NOON)}})
    engine.apply({"stock": (["z", "y"], ["m", "m"], [3, None], None)})
    return engine


def _ask_places() -> None:
    """Ask `geo` what it computes beside what the engine needs."""
    near, far = (int(cell) for cell in latlng_to_cell_many([0.0, 1.0], [0.0, 0.0], 9))
    ancestor_cells([0.0], [0.0], 9)
    cell_distance_m(near, far)
    cover_area(_SQUARE)
    cover_circle(0.0, 0.0, 500.0)
    fill_area(_SQUARE, 6)
    area_covers(_SQUARE, [0.0], [0.0])
    convert_datum(31.2, 121.5, source="gcj02", target="wgs84")


def _ask_crews() -> None:
    """Ask for the slots of a crew that has a break."""
    place = (0.0, 0.0)
    day = CrewDay("x", place, place, 0, 100, (Stop("rest", None, 10, 50, 60),))
    days = CrewDays([day], GreatCircleTravel())
    check_slots(days, Job(*place, 1), find_slots(days, Job(*place, 1), [0], 1))
    days.starts_by_s(np.zeros(1, np.int64), 0)


def _ask_many_points() -> None:
    """Ask an index with enough rows of one offer for trees and for lists of neighbours."""
    lat, lng = [0.001 * (i % 20) for i in range(_ROWS)], [0.001 * (i // 20) for i in range(_ROWS)]
    engine = Engine.from_columns([f"p{i}" for i in range(_ROWS)], ["a/b"] * _ROWS, lat, lng)
    engine.prepare()
    along_curve(np.array(lat), np.array(lng))
