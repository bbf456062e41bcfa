"""The documentation holds: README's lines run, its table is the measured one, and what is named exists."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from benchmarks.readme import README, RESULTS, render, with_table

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ADRS = sorted((ROOT / "docs" / "adr").glob("*.md"))
NAMED = re.compile(r"`((?:engine|geo|service|fixtures|benchmarks|tests|tools|docs)/[\w./-]*)`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")
REPORT = {
    "name": "nearest",
    "machine": {"processor": "abacus", "cores": 2, "system": "Linux"},
    "versions": {"python": "3.11.7", "linli": "0.1.0"},
    "commit": None,
    "exact": {"checked": 500, "wrong": 0},
    "rows": [{"case": "typical", "peer": "scipy", "peer_setting": "", "unit": "us", "linli": 0.5, "peer_value": 1.0, "ratio": 2.0}],
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
    table = render(json.loads(RESULTS.read_text(encoding="utf-8")))
    assert with_table(text, table) == text, "run `make readme`"


def test_readme_table__names_peer_ratio_and_how_many_were_wrong() -> None:
    table = render(REPORT)
    assert "| typical | 0.50 | scipy | 1.00 | 2.00 |" in table.splitlines()
    assert "500 answers checked against brute force, 0 wrong" in table


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
