"""Server and client as processes of their own, so that a client never waits for its own server's core."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.frame import ROOT

__all__ = ["loaded", "serving"]


@contextlib.contextmanager
def serving(module: str, *words: str) -> Iterator[int]:
    """Give the port of a server module of the benchmarks, which prints it first; it is killed afterwards."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *words]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own words
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def loaded(port: int, seconds: float, connections: int, requests: bytes, *how: str) -> tuple[float, float, float]:
    """
    Load a server with `benchmarks.http_load`; return answers a second, their median and 99th percentile in microseconds.

    Raises
    ------
    RuntimeError
        If a request was refused.
    """
    command = [sys.executable, "-m", "benchmarks.http_load", str(port), str(seconds), str(connections), *how]
    done = subprocess.run(command, cwd=ROOT, input=requests, capture_output=True, check=True)  # noqa: S603 - our own
    rate, median_us, high_us, n_bad = map(float, done.stdout.split())
    if n_bad:
        text = f"{n_bad:.0f} answers were neither 200 nor 201"
        raise RuntimeError(text)
    return rate, median_us, high_us
