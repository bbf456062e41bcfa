"""What every benchmark shares: timing side by side, the report, and where it was measured."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["Exactness", "Report", "Row", "affordable", "best_times", "machine", "say", "versions"]

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Exactness:
    """How many answers were compared with brute force, and how many of them were wrong."""

    checked: int
    wrong: int


@dataclass(frozen=True)
class Row:
    """
    One case against one peer.

    Attributes
    ----------
    ratio
        How many times better linli is: above 1 linli wins.
    reach
        The ratio that is asked of the case, None where it is only told.
    """

    case: str
    peer: str
    peer_setting: str
    unit: str
    linli: float
    peer_value: float
    ratio: float
    reach: float | None = None

    @classmethod
    def of_costs(
        cls,
        case: str,
        peer: str,
        peer_setting: str,
        unit: str,
        linli: float,
        peer_value: float,
        *,
        reach: float | None = None,
    ) -> Row:
        """Make the row of two costs, where less is better."""
        ratio = round(peer_value / linli, 3)
        return cls(case, peer, peer_setting, unit, round(linli, 4), round(peer_value, 4), ratio, reach)


@dataclass
class Report:
    """What a benchmark prints: one JSON object."""

    name: str
    exact: Exactness
    rows: list[Row] = field(default_factory=list)

    def to_dict(self, packages: Sequence[str]) -> dict[str, object]:
        """Return the object that ``--json`` prints."""
        return {
            "name": self.name,
            "machine": machine(),
            "versions": versions(packages),
            "commit": _commit(),
            "exact": asdict(self.exact),
            "rows": [asdict(row) for row in self.rows],
        }


def say(text: str) -> None:
    """Tell progress on standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def best_times(work: Mapping[str, Callable[[], object]], *, repeats: int) -> dict[str, float]:
    """
    Return the shortest of ``repeats`` wall times in seconds for each piece of work.

    The pieces take turns, there and back, so that a slow moment of the machine meets all of them and none always
    finds the memory as the same other left it. One untimed call of each goes before; how long it took and what memory
    it left is told on standard error.
    """
    for name, call in work.items():
        start = time.perf_counter()
        call()
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        say(f"    first call {name}: {time.perf_counter() - start:.3f} s, peak memory of the process {peak_mb:.0f} MB")
    best = dict.fromkeys(work, float("inf"))
    for turn in range(repeats):
        for name, call in list(work.items())[:: -1 if turn % 2 else 1]:
            start = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def affordable(n: int, seconds_a_query: float, *, budget_s: float = 10.0) -> int:
    """Return how many of n queries one timed call may ask: all of them, or what a slow answer leaves time for."""
    return max(1, min(n, int(budget_s / max(seconds_a_query, 1e-9))))


def machine() -> dict[str, object]:
    """Return what the figures depend on: processor, cores, memory, system."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of Python, linli and the packages that took part."""
    found = {"python": platform.python_version()}
    for package in ("linli", *packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _commit() -> str | None:
    def git(*words: str) -> str:
        command = ["git", "-C", str(ROOT), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603

    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
