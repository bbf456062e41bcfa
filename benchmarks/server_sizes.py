"""A process that holds one index and tells its size: ``python -m benchmarks.server_sizes``, asked by benchmark `memory`."""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Iterator, Mapping
from types import MethodType, ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.feasible_city import ask
from benchmarks.places import brute_nearest_chord_sq, clustered_places, ecef, told_m
from benchmarks.server_memory import resident_bytes
from benchmarks.server_truth import SAME_M
from benchmarks.weeks import TIMEZONE, weeks
from engine import Engine, warm_up

__all__ = ["CASES", "sizes_of"]

OFFER = "retail/pickup"
N_CHECKED, N_ASKED, N_WEEKS = 200, 2_000, 50
OURS = ("engine", "geo")
CASES = ("plain", "full")
"""Nothing but place and offer; hours, capacity and lead times too."""


def main() -> None:
    """Build what is asked for, ask it first, and tell its size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=(*CASES, "tree"))
    parser.add_argument("rows", type=int)
    parser.add_argument("seed", type=int)
    options = parser.parse_args()
    told = _tree(options.rows, options.seed) if options.what == "tree" else _engine(options)
    sys.stdout.write(json.dumps(told) + "\n")


def _tree(n: int, seed: int) -> dict[str, int]:
    cKDTree(np.zeros((2, 3))).query(np.zeros(3))
    before = resident_bytes()
    tree = cKDTree(ecef(*clustered_places(n, seed)))
    tree.query(tree.data[:N_ASKED], k=5)
    return {"resident": resident_bytes() - before, "positions": tree.data.nbytes}


def _engine(options: argparse.Namespace) -> dict[str, int]:
    warm_up()
    before = resident_bytes()
    engine = Engine.from_columns(**_columns(options.what, options.rows, options.seed))
    asked = ask(N_ASKED, options.seed)
    engine.nearest_many(asked.lat, asked.lng, OFFER, k=5, at=asked.at, unknown_hours="allow")
    engine.nearest(float(asked.lat[0]), float(asked.lng[0]), OFFER)
    asked_first = sizes_of(engine)
    resident = resident_bytes() - before
    wrong = _wrong(engine, options.rows, options.seed)
    engine.set_capacity("p0", OFFER, 1)
    engine.upsert({"point_ids": "p1", "offers": [OFFER], "lat": 39.9, "lng": 116.4})
    changed = {f"changed_{name}": size for name, size in sizes_of(engine).items()}
    return {**asked_first, **changed, "resident": resident, "checked": N_CHECKED, "wrong": wrong}


def _columns(what: str, n: int, seed: int) -> dict[str, Any]:
    lat, lng = clustered_places(n, seed)
    ids = pa.array([f"p{row}" for row in range(n)], pa.large_string())
    plain = {"point_ids": ids, "offers": pa.repeat(OFFER, n), "lat": lat, "lng": lng}
    if what == "plain":
        return plain
    rng = np.random.default_rng(seed)
    expressions = np.array([week.expression for week in weeks(N_WEEKS, seed)])
    return plain | {
        "hours": pa.array(expressions[rng.integers(N_WEEKS, size=n)]),
        "timezone": TIMEZONE,
        "capacity": rng.integers(0, 20, n),
        "lead_s": rng.integers(0, 3_600, n),
    }


def _wrong(engine: Engine, n: int, seed: int) -> int:
    """Return how many of a sample of queries for the nearest, nothing else asked, are answered otherwise than by brute force."""
    asked = ask(N_CHECKED, seed)
    found = engine.nearest_many(asked.lat, asked.lng, OFFER, require=()).distance_m[:, 0]
    chord_sq = brute_nearest_chord_sq(ecef(*clustered_places(n, seed)), asked.xyz, 1)[:, 0]
    return int((np.abs(found - told_m(np.sqrt(chord_sq))) > SAME_M).sum())


def sizes_of(engine: Engine) -> dict[str, int]:
    """Return the bytes of everything that an engine refers to, each counted once: of the ids and of the rest."""
    gc.collect()
    ids: dict[int, int] = {}
    rest: dict[int, int] = {}
    todo: list[tuple[object, bool]] = [(engine, False)]
    walked: set[int] = set()
    while todo:
        thing, is_of_ids = todo.pop()
        is_of_ids |= type(thing).__name__ == "IdTable"
        if id(thing) in walked:
            continue
        walked.add(id(thing))
        sizes = ids if is_of_ids else rest
        sizes.update(_own_bytes(thing))
        todo.extend((part, is_of_ids) for part in _parts(thing))
    if not ids:
        msg = "no table of ids was found in the engine"
        raise RuntimeError(msg)
    return {"ids": sum(ids.values()), "rest": sum(rest[key] for key in rest.keys() - ids.keys())}


def _own_bytes(thing: object) -> Iterator[tuple[int, int]]:
    """Return the memory of an object alone by what identifies it; of arrays that of their buffers."""
    if isinstance(thing, np.ndarray):
        held = _holder(thing)
        yield id(held), held.nbytes if isinstance(held, np.ndarray | memoryview) else thing.nbytes
    elif isinstance(thing, pa.Array):
        yield from ((buffer.address, buffer.size) for buffer in thing.buffers() if buffer is not None)
    else:
        yield id(thing), sys.getsizeof(thing)


def _holder(array: NDArray[Any]) -> object:
    """Return what holds an array's memory: views of one array count once, and whole."""
    held: Any = array
    while isinstance(held, np.ndarray) and held.base is not None:
        held = held.base
    return held


def _parts(thing: object) -> list[object]:
    """Return what an object of ours, or a container, refers to."""
    if isinstance(thing, Mapping):
        return [*thing.keys(), *thing.values()]
    if isinstance(thing, tuple | list | set | frozenset):
        return list(thing)
    if isinstance(thing, np.ndarray) and thing.dtype == np.object_:
        return thing.tolist()
    if isinstance(thing, MethodType):
        return [thing.__self__]
    if isinstance(thing, type | ModuleType) or type(thing).__module__.partition(".")[0] not in OURS:
        return []
    slots = [getattr(thing, name) for name in getattr(type(thing), "__slots__", ()) if hasattr(thing, name)]
    return [*vars(thing).values(), *slots] if hasattr(thing, "__dict__") else slots


if __name__ == "__main__":
    main()
