"""A skip that nobody allowed fails the run, seen on planted ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.skips import ALLOWED_FILE, allowed_reasons

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = allowed_reasons(ALLOWED_FILE.read_text(encoding="utf-8"))[0]

PASSES = "def test_a():\n    assert True\n"
SKIPS = (
    "import pytest\n\n@pytest.mark.skip(reason={reason!r})\ndef test_a():\n    pass\n\ndef test_b():\n    assert True\n"
)
SKIPS_IN_FIXTURE = "import pytest\n\n@pytest.fixture\ndef browser():\n    pytest.skip('no browser')\n\ndef test_a(browser):\n    pass\n"
SKIPS_MODULE = "import pytest\n\npytest.importorskip('no_such_module_of_linli')\n"
XFAILS = "import pytest\n\n@pytest.mark.xfail\ndef test_a():\n    assert False\n"


def _run(folder: Path, text: str, *, strict: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_planted.py").write_text(text, encoding="utf-8")
    env = {**os.environ, "CI": "false", "LINLI_STRICT_SKIPS": strict, "PYTHONPATH": str(ROOT)}
    env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # to load them takes ten times as long as the run
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.skips", "-p", "no:cacheprovider", "test_planted.py"]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("text", "strict", "code"),
    [
        pytest.param(PASSES, "1", 0, id="nothing skipped"),
        pytest.param(SKIPS.format(reason="I felt like it"), "1", 1, id="a marked test"),
        pytest.param(SKIPS_IN_FIXTURE, "1", 1, id="a fixture"),
        pytest.param(SKIPS_MODULE, "1", 1, id="a whole module"),
        pytest.param(SKIPS.format(reason=ALLOWED), "1", 0, id="an allowed reason"),
        pytest.param(XFAILS, "1", 0, id="an expected failure is no skip"),
        pytest.param(SKIPS.format(reason="I felt like it"), "0", 0, id="outside CI a skip is only told"),
    ],
)
def test_skips__fail_the_run_where_they_count(tmp_path: Path, text: str, strict: str, code: int) -> None:
    run = _run(tmp_path, text, strict=strict)
    assert run.returncode == code, run.stdout + run.stderr


def test_skips__are_named_with_their_reason_above_the_closing_line(tmp_path: Path) -> None:
    lines = _run(tmp_path, SKIPS.format(reason="I felt like it"), strict="1").stdout.splitlines()
    assert "test_planted.py::test_a: I felt like it" in lines
    assert "1 passed, 1 skipped" in lines[-1]


def test_allowed_reasons__leave_comments_and_blank_lines_out() -> None:
    assert allowed_reasons("# a\n\nno browser   # because\n") == ("no browser",)
