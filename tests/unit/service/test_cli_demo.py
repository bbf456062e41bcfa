"""`linli demo` as people run it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli import app


def test_demo__prints_tables_and_says_what_to_open(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "new" / "folder")])
    assert result.exit_code == 0, result.output
    for words in (
        "A day of orders by sector",
        "家政",
        "nearest place of any kind",
        "community station",
        "explained",
        "to the counter",
        "to its payment",
    ):
        assert words in result.stdout
    life = result.stdout.partition("to the counter")[2]
    steps = ("match", "held", "placed", "accepted", "ready", "refused", "collected")
    places = [life.index(f"  {step} ") for step in steps]
    assert places == sorted(places)
    visit = life.partition("to its payment")[2]
    events = ("windows", "held", "confirmed", "ill", "set out", "begun", "done", "paid")
    places = [visit.index(f"  {event} ") for event in events]
    assert places == sorted(places)
    page = tmp_path / "new" / "folder" / "demo.html"
    assert f"Open {page} in a browser" in result.stdout
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_demo__writes_here_unless_told_and_its_files_feed_other_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["demo", "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["written"]["page"] == "linli-demo/demo.html"
    options = ["--points", told["written"]["points"], "--demand", told["written"]["demand"]]
    asked = CliRunner().invoke(
        app, ["coverage", *options, "--offer", "community/parcel", "--out", "table.csv", "--json"]
    )
    assert asked.exit_code == 0, asked.output
    assert json.loads(asked.stdout)["total"] == pytest.approx(told["stations"]["with_synthetic"]["total"])


def test_demo__says_where_it_cannot_write_before_it_does_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.demo.run.run_demo", lambda _progress: pytest.fail("it went on"))
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "file")])
    assert result.exit_code == 1
    assert "must be a folder to write into" in result.stderr
