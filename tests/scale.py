"""How much of a count a run takes: all of it in `make test-full`, a tenth in `make test`; less where interpreted."""

import os

import numba

FULL = os.environ.get("LINLI_TEST_FULL") == "1"


def scaled(full: int) -> int:
    """Return the count for this run: ``full``, or a tenth of it (at least 1)."""
    return full if FULL else max(1, full // 10)


def sized(compiled: int, *, interpreted: int) -> int:
    """Return how many rows or places a test takes: interpreted kernels are a hundred times slower."""
    return interpreted if numba.config.DISABLE_JIT else compiled
