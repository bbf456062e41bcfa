"""SIGTERM while a command works or a server starts: it ends as by an exception, so that what is half done is undone."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

__all__ = ["end_if_told", "end_on_sigterm"]

_AGAIN_S = 0.05
_told: list[int] = []


def end_on_sigterm() -> None:
    """Let SIGTERM end this process by `SystemExit`."""
    signal.signal(signal.SIGTERM, _end)
    sys.unraisablehook = _unheard


def end_if_told() -> None:
    """End now if a SIGTERM came before: it may have met code that catches every exception, as compilers' loaders do."""
    if _told:
        sys.exit(128 + _told[0])


def _end(number: int, _frame: Any) -> None:
    _told.append(number)
    sys.exit(128 + number)


def _unheard(unraisable: UnraisableHookArgs) -> None:
    """Where the signal met a finaliser, out of which no exception comes, let it come again in a moment."""
    if not (_told and isinstance(unraisable.exc_value, SystemExit)):
        sys.__unraisablehook__(unraisable)
        return
    again = threading.Timer(_AGAIN_S, os.kill, (os.getpid(), _told[-1]))
    again.daemon = True
    again.start()
