"""
Bytes a row without areas: of the columns and the index, and of the ids, after the first questions were asked.

linli's are the sizes of all arrays that the engine holds, each buffer once; beside them how the resident
memory of the process grew. The peer is a k-d tree and its earth-centred positions, as resident memory grew.
Each is measured in a process of its own, collected and trimmed before and after.
"""

from __future__ import annotations

import argparse

from benchmarks.frame import Exactness, Report, Row, say
from benchmarks.server_memory import ask_process

__all__ = ["PACKAGES", "add_options", "run"]

PACKAGES = ("numpy", "numba", "h3", "pyarrow", "scipy", "opening-hours-py")
CHILD = "benchmarks.server_sizes"
WORDS = {"plain": "place and offer alone", "full": "hours, capacity and lead times"}
ASKED_IDS = 48.0
REACH = 0.4
THE_LIMIT = "the limit asked for"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be scaled."""
    parser.add_argument("--rows", type=int, default=1_000_000, help="points (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the points (default: %(default)s)")


def run(options: argparse.Namespace) -> Report:
    """Measure linli without and with what is optional, and the peer, each in its own process."""
    words = (str(options.rows), str(options.seed))
    tree = ask_process(CHILD, "tree", *words)
    peer = tree["resident"] / options.rows
    say(f"memory: {options.rows} points; cKDTree {peer:.1f} B a row")
    setting = f"default leafsize, with its positions of {tree['positions'] // options.rows} B"
    report = Report("memory", Exactness(0, 0))
    checked = wrong = 0
    for what, meaning in WORDS.items():
        told = ask_process(CHILD, what, *words)
        checked, wrong = checked + told["checked"], wrong + told["wrong"]
        size = {name: value / options.rows for name, value in told.items()}
        say(
            f"  {meaning}: {', '.join(f'{name} {value:.1f}' for name, value in size.items() if name not in _COUNTS)} B a row"
        )
        report.rows += [
            _row(f"columns and index, {meaning}", setting, size["rest"], peer, reach=REACH),
            _row(f"columns and index after the first change, {meaning}", setting, size["changed_rest"], peer),
            Row.of_costs(
                f"ids, {meaning}", THE_LIMIT, "ids of 2 to 7 bytes", "B a row", size["ids"], ASKED_IDS, reach=1.0
            ),
            _row(f"everything, as resident memory grew, {meaning}", setting, size["resident"], peer),
        ]
    report.exact = Exactness(checked, wrong)
    return report


_COUNTS = {"checked", "wrong"}


def _row(case: str, setting: str, linli: float, peer: float, *, reach: float | None = None) -> Row:
    return Row.of_costs(case, "scipy cKDTree", setting, "B a row", linli, peer, reach=reach)
