"""
Write ``benchmarks/RESULTS.md`` and README's table from the JSON of the benchmarks, so that no figure is typed by hand.

``python -m benchmarks NAME --json > docs/benchmarks/NAME.json`` for any of them, then ``python -m benchmarks.results``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.__main__ import NAMES

__all__ = ["README", "RESULTS", "read_reports", "render_headlines", "render_results", "with_table"]

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
RESULTS = ROOT / "benchmarks" / "RESULTS.md"
REPORTS = ROOT / "docs" / "benchmarks"
START, END = "<!-- benchmarks:start -->", "<!-- benchmarks:end -->"
PREFACE = """# Results

Written by `python -m benchmarks.results` from [docs/benchmarks](../docs/benchmarks): don't edit. A ratio says how many
times better linli is: above 1 linli wins. Each peer is timed in the same run on the same work, at its best setting."""

Json = dict[str, Any]


def read_reports(folder: Path = REPORTS) -> list[Json]:
    """Return what has been measured, in the order in which benchmarks are listed."""
    files = [path for path in (folder / f"{name}.json" for name in NAMES) if path.is_file()]
    return [json.loads(path.read_text(encoding="utf-8")) for path in files]


def render_results(reports: list[Json]) -> str:
    """Return the text of RESULTS.md: a part for each benchmark."""
    return "\n\n".join([PREFACE, *map(_part, reports)]) + "\n"


def render_headlines(reports: list[Json]) -> str:
    """Return README's table: of each benchmark the row that is hardest to reach, and how many others are reached."""
    heads = "| benchmark | case | unit | linli | peer | | times as good | asked | reached |"
    lines = [heads, "| --- | --- | --- | ---: | --- | ---: | ---: | ---: | --- |"]
    for report in reports:
        if not report["rows"]:  # no peer was on the machine
            continue
        row = _hardest(report["rows"])
        asked = [row for row in report["rows"] if row.get("reach") is not None]
        reached = f"{sum(map(_is_reached, asked))} of {len(asked)}" if asked else ""
        cells = (
            f"`{report['name']}`",
            row["case"],
            _unit(row),
            _figure(row["linli"]),
            row["peer"],
            _figure(row["peer_value"]),
            f"{row['ratio']:.2f}",
            _asked(row),
            reached,
        )
        lines.append(_line(cells))
    checked, wrong = (sum(report["exact"][key] for report in reports) for key in ("checked", "wrong"))
    lines += [
        "",
        f"Of each benchmark the case farthest from what was asked of it; {checked:,} answers checked against brute "
        f"force, {wrong:,} wrong. Every case, setting, version and machine: [RESULTS.md](benchmarks/RESULTS.md).",
    ]
    return "\n".join(lines)


def with_table(text: str, table: str) -> str:
    """Return the text with the table between its two marks."""
    head, start, rest = text.partition(START)
    _, end, tail = rest.partition(END)
    if not (start and end):
        reason = f"README.md must hold {START} and, after it, {END}"
        raise ValueError(reason)
    return f"{head}{START}\n{table}\n{END}{tail}"


def _part(report: Json) -> str:
    machine, exact = report["machine"], report["exact"]
    packages = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    where = f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}"
    lines = [
        f"## {report['name']}",
        "",
        "| case | peer | setting of the peer | unit | linli | peer | ratio | asked | reached |",
        "| --- | --- | --- | --- | ---: | ---: | ---: | ---: | --- |",
        *(_line(_cells(row)) for row in report["rows"]),
        "",
        f"{exact['checked']:,} answers checked, {exact['wrong']:,} wrong. {where}; {packages}; "
        f"commit {_short(report['commit'])}.",
    ]
    return "\n".join(lines)


def _cells(row: Json) -> tuple[str, ...]:
    figures = (_figure(row["linli"]), _figure(row["peer_value"]), f"{row['ratio']:.2f}")
    reached = "" if row.get("reach") is None else "yes" if _is_reached(row) else "no"
    return (row["case"], row["peer"], row["peer_setting"], _unit(row), *figures, _asked(row), reached)


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _hardest(rows: list[Json]) -> Json:
    """Return the row with the smallest share of what is asked of it; where nothing is asked, the smallest ratio."""
    asked = [row for row in rows if row.get("reach") is not None]
    return min(asked or rows, key=lambda row: row["ratio"] / (row.get("reach") or 1.0))


def _is_reached(row: Json) -> bool:
    return bool(row["ratio"] >= row["reach"])


def _asked(row: Json) -> str:
    return "" if row.get("reach") is None else f"{row['reach']:g}"


def _unit(row: Json) -> str:
    return str(row["unit"]).replace("us ", "µs ")


def _figure(value: float) -> str:
    """Return three digits, without exponents."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _short(commit: str | None) -> str:
    number, dash, mark = (commit or "unknown").partition("-")
    return number[:12] + dash + mark


def main() -> None:
    """Write both files anew."""
    reports = read_reports()
    RESULTS.write_text(render_results(reports), encoding="utf-8")
    README.write_text(with_table(README.read_text(encoding="utf-8"), render_headlines(reports)), encoding="utf-8")


if __name__ == "__main__":
    main()
