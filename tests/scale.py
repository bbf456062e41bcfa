"""How much of a count a run takes: all of it in `make test-full`, a tenth in `make test-all` and interpreted, less in `make test`."""

import os

import numba

FULL = os.environ.get("LINLI_TEST_FULL") == "1" and not numba.config.DISABLE_JIT  # interpreted is for the coverage
ONCE = not FULL and os.environ.get("LINLI_TEST_ONCE") == "1"


def scaled(full: int) -> int:
    """Return the count for this run: ``full``, or a tenth of it (at least 1), or a thirtieth where that leaves 20."""
    if FULL:
        return full
    tenth = max(1, full // 10)
    return max(full // 30, min(tenth, 20)) if ONCE else tenth


def sized(compiled: int, *, interpreted: int) -> int:
    """Return how many rows or places a test takes: interpreted kernels are a hundred times slower."""
    return interpreted if numba.config.DISABLE_JIT else compiled
