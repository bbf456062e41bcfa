"""Chunks of rows on several threads."""

import os
import threading

import pytest

from engine.threads import in_chunks, n_processors


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_in_chunks__gives_each_row_to_one_call(threads):
    seen, lock = [], threading.Lock()

    def run(start, stop):
        with lock:
            seen.append((start, stop))

    in_chunks(run, 25, size=10, threads=threads)
    assert sorted(seen) == [(0, 10), (10, 20), (20, 25)]


def test_in_chunks__raises_what_a_chunk_raises():
    with pytest.raises(ZeroDivisionError):
        in_chunks(lambda start, stop: 1 // start, 4, size=2, threads=2)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no such call on this system")
def test_n_processors__counts_those_that_the_process_may_use():
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert n_processors() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert n_processors() == len(allowed)
