"""The documentation holds: README's lines run, its table is the measured one, and what is named exists."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from benchmarks.results import README, RESULTS, read_reports, render_headlines, render_results, with_table

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ADRS = sorted((ROOT / "docs" / "adr").glob("*.md"))
NAMED = re.compile(r"`((?:engine|geo|service|fixtures|benchmarks|tests|tools|docs)/[\w./-]*)`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")
REPORT = {
    "name": "nearest",
    "machine": {"processor": "abacus", "cores": 2, "memory_gib": 1.5, "system": "Linux"},
    "versions": {"python": "3.11.7", "linli": "0.1.0"},
    "commit": None,
    "exact": {"checked": 500, "wrong": 0},
    "rows": [
        {"case": "told only", "peer": "a", "peer_setting": "s", "unit": "us a query", "linli": 9.0, "peer_value": 0.9, "ratio": 0.1},
        {"case": "easy", "peer": "b", "peer_setting": "s", "unit": "us a query", "linli": 0.5, "peer_value": 2.0, "ratio": 4.0, "reach": 2.0},
        {"case": "hard", "peer": "c", "peer_setting": "s|t", "unit": "us a query", "linli": 0.5, "peer_value": 1.0, "ratio": 2.0, "reach": 5.0},
    ],
}  # fmt: skip


def _relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_readme__lines_run_and_say_what_the_comment_says() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    run = subprocess.run(
        [sys.executable, "-c", block], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr
    nearest, nearer = run.stdout.splitlines()
    assert nearest.split()[0] == "b"
    assert "closed" in nearer


@pytest.mark.parametrize("path", DOCS, ids=_relative)
def test_docs__name_and_link_only_what_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    absent = [name for name in NAMED.findall(text) if not (ROOT / name).exists()]
    broken = [link for link in LINK.findall(text) if not (path.parent / link).exists()]
    assert absent + broken == []


@pytest.mark.parametrize("path", ADRS, ids=_relative)
def test_adr__has_every_part_on_one_page(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(rf"# {path.name[:4]} .+", lines[0])
    assert re.match(r"Status: (proposed|accepted|superseded by \d{4}), \d{4}-\d{2}", lines[2])
    headings = [line.removeprefix("## ") for line in lines if line.startswith("## ")]
    assert headings == ["Context", "Decision", "Consequences", "Alternatives", "Enforced by"]
    assert len(lines) <= 60


def test_readme__table_is_the_measured_one() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_table(text, render_headlines(read_reports())) == text, "run `python -m benchmarks.results`"


def test_results__are_the_measured_ones() -> None:
    text = RESULTS.read_text(encoding="utf-8")
    assert text == render_results(read_reports()), "run `python -m benchmarks.results`"


def test_reports__are_read_as_the_benchmarks_are_listed_whatever_else_lies_there(tmp_path: Path) -> None:
    for name in ("closed", "other", "nearest"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"name": name}), encoding="utf-8")
    assert [report["name"] for report in read_reports(tmp_path)] == ["nearest", "closed"]


def test_readme_table__shows_of_each_benchmark_the_case_farthest_from_what_is_asked() -> None:
    lines = render_headlines([REPORT, {**REPORT, "rows": []}]).splitlines()
    assert lines[2:4] == ["| `nearest` | hard | µs a query | 0.5 | c | 1 | 2.00 | 5 | 1 of 2 |", ""]
    assert "1,000 answers checked against brute force, 0 wrong" in lines[4]


def test_results__tell_of_every_case_whether_it_reached_what_is_asked() -> None:
    lines = render_results([REPORT]).splitlines()
    assert r"| hard | c | s\|t | µs a query | 0.5 | 1 | 2.00 | 5 | no |" in lines
    assert "| easy | b | s | µs a query | 0.5 | 2 | 4.00 | 2 | yes |" in lines
    assert "| told only | a | s | µs a query | 9 | 0.9 | 0.10 |  |  |" in lines
    assert (
        lines[-1] == "500 answers checked, 0 wrong. abacus, 2 cores, 1.5 GiB, Linux; "
        "python 3.11.7, linli 0.1.0; commit unknown."
    )


def test_with_table__replaces_only_what_lies_between_the_marks() -> None:
    text = "a\n<!-- benchmarks:start -->\nold\n<!-- benchmarks:end -->\nb\n"
    assert with_table(text, "new") == "a\n<!-- benchmarks:start -->\nnew\n<!-- benchmarks:end -->\nb\n"


def test_with_table__refuses_a_text_without_marks() -> None:
    with pytest.raises(ValueError, match="must hold <!-- benchmarks:start -->"):
        with_table("a\n", "new")


def test_changelog__has_the_version_or_an_unreleased_part() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert headings[0] in {"Unreleased", version}
