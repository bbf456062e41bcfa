"""How much of a count a run takes: all of it in `make test-full`, a tenth in `make test`."""

import os

FULL = os.environ.get("LINLI_TEST_FULL") == "1"


def scaled(full: int) -> int:
    """Return the count for this run: ``full``, or a tenth of it (at least 1)."""
    return full if FULL else max(1, full // 10)
