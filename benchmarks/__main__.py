"""``python -m benchmarks NAME [--json]``: progress on standard error, the report on standard output."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.frame import Report

NAMES = ("nearest", "closed")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark; the exit code is 1 where linli's answers were wrong, whatever the times."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    chosen = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    modules = {name: importlib.import_module(f"benchmarks.{name}") for name in NAMES}
    for name, module in modules.items():
        sub = chosen.add_parser(name, help=(module.__doc__ or "").strip().splitlines()[0])
        sub.add_argument("--json", action="store_true", help="print the report as one JSON object")
        module.add_options(sub)
    options = parser.parse_args(arguments)
    module = modules[options.name]
    report: Report = module.run(options)
    if options.json:
        sys.stdout.write(json.dumps(report.to_dict(module.PACKAGES), indent=2) + "\n")
    else:
        _print_table(report)
    return 1 if report.exact.wrong else 0


def _print_table(report: Report) -> None:
    title = f"{report.name}: {report.exact.checked} answers checked, {report.exact.wrong} wrong"
    table = Table(title=title)
    for heading in ("case", "peer", "setting", "unit", "linli", "peer", "ratio"):
        table.add_column(heading)
    for row in report.rows:
        figures = (f"{row.linli:.3g}", f"{row.peer_value:.3g}", f"{row.ratio:.2f}")
        table.add_row(row.case, row.peer, row.peer_setting, row.unit, *figures)
    Console().print(table)


if __name__ == "__main__":
    raise SystemExit(main())
