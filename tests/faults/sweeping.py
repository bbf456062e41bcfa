"""
A process that lets happen what is due: ``python -m tests.faults.sweeping DATABASE FOLDER LEASE_S WRITE_S``.

It says its name as the holder of the lease, then logs to its standard error until it is killed. ``WRITE_S`` is how long it
gives itself for each write.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path

from service.bookings.holding import BookingTerms
from service.bookings.rosters import Rosters
from service.feed.index import LiveIndex
from service.orders import sweeping
from service.orders.ordering import OrderTerms
from service.orders.sweeping import JumpGuard, Sweeper
from service.store.database import Store
from tests.faults.ordering import terms_of
from tests.faults.writing import opened

__all__ = ["sweeper_of"]


def sweeper_of(
    store: Store, terms: OrderTerms, folder: Path, *, lease_s: float = 15.0, guard: JumpGuard | None = None
) -> Sweeper:
    """Return what lets happen what is due in a store."""
    bookings = BookingTerms(terms, Rosters(terms.norms))
    return Sweeper(store, LiveIndex(), terms, bookings, every_s=0.05, lease_s=lease_s, guard=guard)


def main(database: str, folder: str, lease_s: float, write_s: float) -> None:
    logging.basicConfig(level=logging.INFO)
    sweeping._WRITE_S = write_s
    store = opened(database)
    sweeper = sweeper_of(store, terms_of(store), Path(folder), lease_s=lease_s)
    os.write(1, f"{sweeper._tenure._holder}\n".encode())
    sweeper.start()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
