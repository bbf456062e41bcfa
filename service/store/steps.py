"""A work that is done step by step in a thread of its own, of several processes by one, by a lease."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from service.errors import ServiceError
from service.store.leases import Tenure

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.store.database import Store

__all__ = ["Steps"]

_LOG = logging.getLogger(__name__)


class Steps(ABC):
    """
    Takes a step every so often, and at once where more is due than one takes on.

    Parameters
    ----------
    store
        Where the lease is.
    work
        The name of the lease, of the thread, and in the log.
    every_s
        How often it looks.
    lease_s
        How long the lease lasts.
    """

    def __init__(self, store: Store, work: str, *, every_s: float, lease_s: float) -> None:
        self._work, self._every_s = work, every_s
        self._tenure = Tenure(store, work, lease_s)
        self._is_behind = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"linli-{work}", daemon=True)

    @abstractmethod
    def step(self) -> int:
        """Do what is due; return how much that was."""

    def start(self) -> None:
        """Go on in the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, and let another have the lease."""
        self._end()
        self._try(self._tenure.give_back)

    def _end(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.0 if self._is_behind else self._every_s):
            self._try(self.step)

    def _try(self, work: Callable[[], object]) -> None:
        try:
            work()
        except ServiceError as error:
            _LOG.warning("%s wait: %s", self._work, error)
        except Exception:  # noqa: BLE001 - it must go on at the next turn
            _LOG.exception("what is due of %s failed", self._work)
