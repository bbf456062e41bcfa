"""Time as this process lived it: what a machine that stands still, or runs others meanwhile, takes from it does not count."""

from __future__ import annotations

import functools
import threading
import time

__all__ = ["lived_s"]

_TICK_S = 0.01


class _Ticks(threading.Thread):
    n = 0

    def run(self) -> None:
        """Count sleeps: however late one ends, it is one."""
        while True:
            time.sleep(_TICK_S)
            self.n += 1


@functools.cache
def _ticks() -> _Ticks:
    ticks = _Ticks(name="tests-lived", daemon=True)
    ticks.start()
    return ticks


def lived_s() -> float:
    """Return seconds that only differ from each other by what was lived between them; the first call starts the clock."""
    return _ticks().n * _TICK_S
