"""What finds no memory is told as an overload, whichever library asked for it (F20)."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.serving import ROOT

LIMITED = """
import resource, sys
import numpy as np, shapely
from service.http.problems import as_problem
coordinates = np.zeros((2_000_000, 2))
size = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (size + 1_000_000, resource.RLIM_INFINITY))
try:
    {work}
except Exception as error:
    problem = as_problem(error)
    print(type(error).__name__, problem.slug, problem.http_status)
"""


@pytest.mark.parametrize(
    ("work", "name"),
    [
        ("bytearray(100_000_000)", "MemoryError"),
        ("np.empty_like(coordinates)", "MemoryError"),
        ("shapely.linestrings(coordinates)", "GEOSException"),
    ],
)
def test_problem__of_what_finds_no_memory_is_503(work: str, name: str) -> None:
    code = [sys.executable, "-c", LIMITED.format(work=work)]
    run = subprocess.run(code, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert run.stdout.split() == [name, "overloaded", "503"], run.stderr
