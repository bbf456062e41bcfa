"""Run a kernel over chunks of rows on several threads: kernels hold no lock of the interpreter."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["in_chunks", "n_processors"]

_ROWS_A_CHUNK = 1 << 16


def n_processors() -> int:
    """Return how many processors this process may use: fewer than the machine has where it is kept to some."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_chunks(
    run: Callable[[int, int], object], n: int, *, size: int = _ROWS_A_CHUNK, threads: int | None = None
) -> None:
    """Call ``run(start, stop)`` for chunks of n rows, on several threads (None: one for every processor)."""
    chunks = [(start, min(start + size, n)) for start in range(0, n, size)]
    n_threads = min(threads or n_processors(), len(chunks))
    if n_threads <= 1:
        for chunk in chunks:
            run(*chunk)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(lambda chunk: run(*chunk), chunks))
