"""
Write the measured table of README.md from a benchmark's JSON, so that no figure in it is typed by hand.

``python -m benchmarks nearest --json > docs/benchmarks/nearest.json; python -m benchmarks.readme``
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["README", "RESULTS", "render", "with_table"]

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
RESULTS = ROOT / "docs" / "benchmarks" / "nearest.json"
START, END = "<!-- benchmarks:start -->", "<!-- benchmarks:end -->"


def render(report: dict[str, Any]) -> str:
    """Return the table of one report's typical cases, with where and on what they were measured."""
    lines = [
        "| nearest point, µs a query, one thread | linli | peer | | times as fast |",
        "| --- | ---: | --- | ---: | ---: |",
        *(
            f"| {row['case']} | {row['linli']:.2f} | {row['peer']} | {row['peer_value']:.2f} | {row['ratio']:.2f} |"
            for row in report["rows"]
            if row["case"].startswith("typical")
        ),
    ]
    machine, exact = report["machine"], report["exact"]
    packages = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    where = f"{machine['processor']}, {machine['cores']} cores, {machine['system']}"
    lines += [
        "",
        f"`python -m benchmarks {report['name']}`: {exact['checked']} answers checked against brute force, "
        f"{exact['wrong']} wrong. {where}; {packages}; commit {_short(report['commit'])}. "
        "The peers get earth-centred positions ready made and their best leaf size; sorting the queries is counted. "
        "All cases: [docs/benchmarks/nearest.json](docs/benchmarks/nearest.json).",
    ]
    return "\n".join(lines)


def _short(commit: str | None) -> str:
    number, dash, mark = (commit or "unknown").partition("-")
    return number[:12] + dash + mark


def with_table(text: str, table: str) -> str:
    """Return the text with the table between its two marks."""
    head, start, rest = text.partition(START)
    _, end, tail = rest.partition(END)
    if not (start and end):
        reason = f"README.md must hold {START} and, after it, {END}"
        raise ValueError(reason)
    return f"{head}{START}\n{table}\n{END}{tail}"


def main() -> None:
    """Write README.md anew."""
    table = render(json.loads(RESULTS.read_text(encoding="utf-8")))
    README.write_text(with_table(README.read_text(encoding="utf-8"), table), encoding="utf-8")


if __name__ == "__main__":
    main()
