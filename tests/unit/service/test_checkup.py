from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.holidays import last_published_day
from service.checkup import Finding, check_up

ROOT = Path(__file__).resolve().parents[3]


def _calendar(country: str, today: dt.date) -> Finding:
    return check_up(today=today, countries=(country,))[-1]


@pytest.mark.parametrize(("days", "state"), [(-1, "warning"), (0, "warning"), (60, "warning"), (61, "ok"), (400, "ok")])
def test_check_up__warns_60_days_before_a_calendar_ends(days: int, state: str) -> None:
    last = last_published_day("CN")
    finding = _calendar("CN", last - dt.timedelta(days=days))
    assert (finding.name, finding.state) == ("holidays CN", state)
    assert str(last) in finding.told


def test_check_up__calls_a_cache_broken_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code = """
import datetime as dt
from service.checkup import check_up
found = {finding.name: finding.state for finding in check_up(today=dt.date(2026, 1, 1))}
assert found["kernel cache"] == "broken", found
assert found["norms"] == "ok", found
"""
    # Without a cache every kernel would be compiled anew, which takes long and is not what is tested.
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "file" / "cache"), "NUMBA_DISABLE_JIT": "1"}
    env = os.environ | {"PYTHONPATH": str(ROOT)} | cache
    run = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr
