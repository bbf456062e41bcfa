"""Faults of the operating system, injected at a chosen call of a child by strace."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.serving import ROOT, environment_of

__all__ = ["run_with_fault"]


def run_with_fault(module: list[str], fault: str, log: Path) -> subprocess.CompletedProcess[str]:
    """
    Run ``python -m MODULE…`` with a fault such as ``fdatasync,fsync:error=EIO:when=3``.

    The log has every write and sync, and every call of the kind that fails, in the order in which they came, the failed
    ones marked ``(INJECTED)``.
    """
    calls = f"write,pwrite64,fdatasync,fsync,{fault.partition(':')[0]}"
    shown = ["-qq", "-y", "-s", "80", "-o", str(log)]
    command = ["strace", "-f", "--seccomp-bpf", *shown, "-e", f"trace={calls}", "-e", f"inject={fault}"]
    return subprocess.run(
        [*command, sys.executable, "-m", *module],
        cwd=ROOT,
        env=environment_of(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
