"""
A process of the benchmark that starts to serve: ``python -m benchmarks.start_child FOLDER``.

Prints seconds from the end of its imports until it is ready, and how many points it knows then; where it read them is
in the third word: ``snapshot`` or ``store``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import engine
from service.http.app import create_app
from service.services import open_services
from service.settings import load_settings

__all__ = ["main"]


def main(folder: Path) -> None:
    """Start once, tell, and stop in good order, which leaves a snapshot."""
    start = time.perf_counter()
    with open_services(load_settings({}, data=folder)) as services:
        engine.warm_up()
        create_app(services)
        while services.why_not_ready() is not None:
            time.sleep(0.001)
        seconds = time.perf_counter() - start
        origin = "store" if services.follower.n_reloads else "snapshot"
        sys.stdout.write(f"{seconds} {services.index.n_points} {origin}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
