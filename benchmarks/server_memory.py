"""What memory a process holds, as Linux tells it, and how to start a process that is asked for it."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.frame import ROOT

__all__ = ["MB", "ask_process", "private_bytes", "resident_bytes", "settle"]

MB = 1e6
_PROCESS = Path("/proc/self")


def settle() -> None:
    """Give back what is not used: collected, and trimmed where the allocators can."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def resident_bytes() -> int:
    """Return the resident memory of this process, settled first."""
    settle()
    pages = int((_PROCESS / "statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def private_bytes() -> int:
    """Return the resident memory that no other process shares, settled first."""
    settle()
    lines = (_PROCESS / "smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    sizes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return (sizes["Private_Clean"] + sizes["Private_Dirty"]) * 1024


def ask_process(module: str, *words: str) -> dict[str, Any]:
    """Run a module in a process of its own and return the object that it prints last."""
    command = [sys.executable, "-m", module, *words]
    run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - ours
    answer: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return answer
