"""A process that opens what benchmark `load` wrote, and tells what it cost: ``python -m benchmarks.server_snapshot``."""

from __future__ import annotations

import argparse
import importlib
import json
import pickle
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.feasible_city import ask
from benchmarks.server_memory import MB, private_bytes
from engine import Engine, warm_up

__all__ = ["N_ANSWERED", "N_TOUCHED", "TREE", "K"]

K = 5
N_ANSWERED = 300
N_TOUCHED = 20_000
TREE = "tree.pickle"


def main() -> None:
    """Open, tell, and, if told so, hold until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("engine", "tree"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("seed", type=int)
    parser.add_argument("--warm", action="store_true", help="compile first, and tell private memory")
    parser.add_argument("--hold", action="store_true", help="stay until standard input ends")
    options = parser.parse_args()
    if options.warm:
        warm_up()
    before = private_bytes() if options.warm else 0
    told = _engine(options) if options.what == "engine" else _tree(options)
    if options.warm:
        told["private_mb"] = (private_bytes() - before) / MB
    sys.stdout.write(json.dumps({name: value for name, value in told.items() if name != "kept"}) + "\n")
    sys.stdout.flush()
    if options.hold:
        sys.stdin.read()


def _engine(options: argparse.Namespace) -> dict[str, object]:
    asked = ask(N_TOUCHED, options.seed)
    asked = asked if options.warm else asked.take(slice(N_ANSWERED))
    place = (float(asked.lat[0]), float(asked.lng[0]), asked.offers[0])
    start = time.perf_counter()
    engine = Engine.from_arrays({path.stem: np.load(path, mmap_mode="c") for path in options.folder.glob("*.npy")})
    opened = time.perf_counter()
    engine.nearest(*place)
    answered = time.perf_counter()
    found = engine.nearest_many(asked.lat, asked.lng, asked.offers, k=K, at=asked.at)
    return {
        "open_ms": (opened - start) * 1e3,
        "first_ms": (answered - opened) * 1e3,
        "answers": found.point_ids()[:N_ANSWERED],
        "kept": engine,
    }


def _tree(options: argparse.Namespace) -> dict[str, object]:
    importlib.import_module("scipy.spatial")  # else unpickling would count it
    xyz = ask(N_TOUCHED, options.seed).xyz
    start = time.perf_counter()
    with (options.folder / TREE).open("rb") as file:
        tree = pickle.load(file)  # noqa: S301 - written by benchmark `load`
    opened = time.perf_counter()
    tree.query(xyz[0], k=1)
    answered = time.perf_counter()
    tree.query(xyz, k=K)
    return {"open_ms": (opened - start) * 1e3, "first_ms": (answered - opened) * 1e3, "kept": tree}


if __name__ == "__main__":
    main()
