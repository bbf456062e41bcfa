"""What a child asks of the operating system, seen by strace; and faults of it, injected at a chosen call."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.serving import ROOT, environment_of

__all__ = ["run_traced", "run_with_fault"]

_CALLS = "write,pwrite64,fdatasync,fsync"


def run_traced(module: list[str], log: Path) -> subprocess.CompletedProcess[str]:
    """Run ``python -m MODULE…``; the log has every write and sync, in the order in which they came."""
    return _run(module, log, "-e", f"trace={_CALLS}")


def run_with_fault(module: list[str], fault: str, log: Path) -> subprocess.CompletedProcess[str]:
    """
    Run ``python -m MODULE…`` with a fault such as ``fdatasync,fsync:error=EIO:when=3``.

    The log has every write and sync, and every call of the kind that fails, in the order in which they came, the failed
    ones marked ``(INJECTED)``.
    """
    return _run(module, log, "-e", f"trace={_CALLS},{fault.partition(':')[0]}", "-e", f"inject={fault}")


def _run(module: list[str], log: Path, *chosen: str) -> subprocess.CompletedProcess[str]:
    shown = ["-qq", "-y", "-s", "80", "-o", str(log)]
    command = ["strace", "-f", "--seccomp-bpf", *shown, *chosen]
    return subprocess.run(
        [*command, sys.executable, "-m", *module],
        cwd=ROOT,
        env=environment_of(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
