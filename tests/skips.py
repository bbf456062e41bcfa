"""
A pytest plugin: in CI a skipped test is a failure, unless ``tests/allowed_skips.txt`` names its reason.

On with ``CI=true`` or ``LINLI_STRICT_SKIPS=1``. Elsewhere pytest's own summary names what was skipped.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

__all__ = ["allowed_reasons"]

STRICT = os.environ.get("CI") == "true" or os.environ.get("LINLI_STRICT_SKIPS") == "1"
ALLOWED_FILE = Path(__file__).with_name("allowed_skips.txt")
_refused = pytest.StashKey[list[str]]()


def allowed_reasons(text: str) -> tuple[str, ...]:
    """Read the allow-list: one reason a line, as the skip says it; ``#`` starts a comment."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return str(report.longrepr)


class _Skips:
    def __init__(self, config: pytest.Config) -> None:
        self.refused = config.stash.setdefault(_refused, [])
        self.allowed = allowed_reasons(ALLOWED_FILE.read_text(encoding="utf-8"))

    def _see(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail") and _reason(report) not in self.allowed:
            self.refused.append(f"{report.nodeid}: {_reason(report)}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._see(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._see(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.refused and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.refused:
            terminalreporter.section("skips that tests/allowed_skips.txt does not allow: the run fails", red=True)
            for line in self.refused:
                terminalreporter.line(line)


def pytest_configure(config: pytest.Config) -> None:
    """Watch the reports where skips are to count."""
    if STRICT:
        config.pluginmanager.register(_Skips(config), "linli-skips")
