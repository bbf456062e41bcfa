"""SIGTERM while a command works or a server starts: it ends as by an exception, so that what is half done is undone."""

from __future__ import annotations

import signal
import sys
from typing import Any

__all__ = ["end_if_told", "end_on_sigterm"]

_told: list[int] = []


def end_on_sigterm() -> None:
    """Let SIGTERM end this process by `SystemExit`."""
    signal.signal(signal.SIGTERM, _end)


def end_if_told() -> None:
    """End now if a SIGTERM came before: it may have met code that catches every exception, as compilers' loaders do."""
    if _told:
        sys.exit(128 + _told[0])


def _end(number: int, _frame: Any) -> None:
    _told.append(number)
    sys.exit(128 + number)
