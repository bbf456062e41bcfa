"""
A sender of webhooks in a process of its own that dies between sending and marking.

``python -m tests.faults.webhook_sender FOLDER DATABASE DIES_AT [mark-first]``; without a database, ``-``.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from service.clock import SystemClock
from service.settings import load_settings
from service.store.opening import open_store
from service.webhooks.addresses import networks_of
from service.webhooks.deliveries import Tried
from service.webhooks.sender import Sender
from service.webhooks.sending import Told
from service.webhooks.urls import UrlRules
from service.webhooks.worker import WebhookWorker

if TYPE_CHECKING:
    from service.store.leases import Lease
    from service.webhooks.deliveries import Due

__all__ = ["LEASE_S", "MARK_FIRST"]

MARK_FIRST = "mark-first"
LEASE_S = 1.0


class Mortal(WebhookWorker):
    """A worker that is killed when it is about to mark its n-th try."""

    dies_at = 0
    n_tried = 0

    def _mark_some(self, lease: Lease, tried: list[Tried]) -> None:
        self.n_tried += len(tried)
        if self.n_tried >= self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        super()._mark_some(lease, tried)


class Hasty(WebhookWorker):
    """The control: it marks what it has not sent yet, and is killed between."""

    dies_at = 0
    n_tried = 0

    def _mark_some(self, lease: Lease, tried: list[Tried]) -> None:
        super()._mark_some(lease, tried)
        self.n_tried += len(tried)
        if self.n_tried >= self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)


def _mark_first() -> None:
    send = Sender.send

    def marked(self: Sender, due: Due) -> None:
        told = Told("status 204", is_delivered=True)
        self._finished(Tried(due.webhook_id, due.event_id, told, 0.0, due.tries))
        threading.Timer(2.0, send, (self, due)).start()

    Sender.send = marked  # type: ignore[method-assign]


def main() -> None:
    """Send until death, as the command line says."""
    folder, database, dies_at, *how = sys.argv[1:]
    marks_first = MARK_FIRST in how
    if marks_first:
        _mark_first()
    with open_store(
        load_settings({}, data=Path(folder), database=None if database == "-" else database), SystemClock()
    ) as store:
        rules = UrlRules(networks_of("127.0.0.0/8"))
        kind = Hasty if marks_first else Mortal
        worker = kind(store, SystemClock(), rules, lambda _outcome: None, lease_s=LEASE_S)
        worker.dies_at = int(dies_at)
        worker.start()
        signal.pause()


if __name__ == "__main__":
    main()
