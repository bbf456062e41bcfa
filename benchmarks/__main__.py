"""``python -m benchmarks NAME [--json]``: progress on standard error, the report on standard output."""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.frame import Report, Row

__all__ = ["NAMES", "main"]

NAMES = (
    "nearest",
    "feasible",
    "basket",
    "rare",
    "serving",
    "single",
    "updates",
    "load",
    "memory",
    "growth",
    "servers",
    "closed",
    "http",
    "feed",
    "orders",
    "bookings",
    "slots",
    "start",
)
FOLDER = Path(__file__).resolve().parent
WIDTH = 200
"""Of a table that no terminal shows."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark; the exit code is 1 where linli's answers were wrong, whatever the times."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    chosen = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name in filter(_exists, NAMES):
        sub = chosen.add_parser(name, help=_first_line(name))
        sub.add_argument("--json", action="store_true", help="print the report as one JSON object")
        if name in words[:1]:  # only the one that is asked for is imported: its peers set up threads as they load
            importlib.import_module(f"benchmarks.{name}").add_options(sub)
    options = parser.parse_args(words)
    module = importlib.import_module(f"benchmarks.{options.name}")
    report: Report = module.run(options)
    if options.json:
        sys.stdout.write(json.dumps(report.to_dict(module.PACKAGES), indent=2) + "\n")
    else:
        _print_table(report)
    return 1 if report.exact.wrong else 0


def _exists(name: str) -> bool:
    return (FOLDER / f"{name}.py").is_file()


def _first_line(name: str) -> str:
    """Return the first line of a module's docstring without importing it."""
    text = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].replace("%", "%%")  # argparse formats what it prints


def _print_table(report: Report) -> None:
    title = f"{report.name}: {report.exact.checked} answers checked, {report.exact.wrong} wrong"
    table = Table(title=title)
    for heading in ("case", "peer", "setting", "unit", "linli", "peer", "ratio", "reach"):
        table.add_column(heading)
    for row in report.rows:
        figures = (f"{row.linli:.3g}", f"{row.peer_value:.3g}", f"{row.ratio:.2f}")
        table.add_row(row.case, row.peer, row.peer_setting, row.unit, *figures, _reach(row))
    console = Console()
    console.print(table, width=None if console.is_terminal else WIDTH)


def _reach(row: Row) -> str:
    if row.reach is None:
        return ""
    return f"{row.reach:g}, {'reached' if row.ratio >= row.reach else 'not reached'}"


if __name__ == "__main__":
    raise SystemExit(main())
