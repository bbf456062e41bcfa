"""A store with webhooks, and a worker that sends them, for the tests of deliveries."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from service.audit.store import COMMAND
from service.clock import SystemClock
from service.store.database import Store
from service.store.order_tables import webhook_deliveries, webhooks
from service.webhooks.addresses import networks_of
from service.webhooks.rules import Retries
from service.webhooks.store import Whose, create_webhook, delete_webhook
from service.webhooks.urls import Resolver, UrlRules
from service.webhooks.worker import WebhookWorker
from tests.order_rows import put_event, put_shop

if TYPE_CHECKING:
    from service.clock import Clock
    from service.store.connections import AnyRow

__all__ = ["PATIENT_S", "SOON", "Hooked", "data_of", "hooked"]

SOON = Retries((0.05, 0.1), spread=0.0)
PATIENT_S = 60.0
"""Of a try that is not to end by its time, however slow the machine is: longer than anything here waits for."""
_number = itertools.count()


class Hooked:
    """
    A merchant of its own with webhooks.

    Attributes
    ----------
    store
        Where.
    merchant_id
        Whose webhooks and orders.
    outcomes
        Of the tries of its workers.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.merchant_id = f"shop-{next(_number)}"
        self.outcomes: Counter[str] = Counter()
        store.write_now(lambda connection: put_shop(connection, self.merchant_id))

    def hook(self, url: str, whose: Whose | None = None) -> AnyRow:
        """Make a webhook."""
        of = whose or Whose(merchant_id=self.merchant_id)
        return self.store.write_now(lambda connection: create_webhook(connection, COMMAND, of, url))

    def happen(self, order: str, *events: str, app: str = "phone app") -> None:
        """Let events happen to an order, each in a transaction of its own."""
        for event in events:
            order_id = f"{self.merchant_id}.{order}"
            self.store.write_now(partial(put_event, order_id=order_id, event=event, app=app))

    @contextlib.contextmanager
    def working(
        self, allow: str = "127.0.0.0/8", resolver: Resolver | None = None, clock: Clock | None = None, **more: Any
    ) -> Iterator[WebhookWorker]:
        """Give a worker at work; a try may take `PATIENT_S` where nothing else is said."""
        rules = UrlRules(networks_of(allow), resolver)
        given = {"retries": SOON, "seconds": PATIENT_S, "lease_s": 2.0, **more}
        worker = WebhookWorker(self.store, clock or SystemClock(), rules, self._count, **given)
        worker.start()
        try:
            yield worker
        finally:
            worker.close()

    def _count(self, outcome: str) -> None:
        self.outcomes[outcome] += 1

    def row(self, webhook_id: str) -> AnyRow:
        """Return a webhook."""
        query = select(webhooks).where(webhooks.c.webhook_id == webhook_id)
        return self.store.read_now(lambda connection: connection.rows(query)[0])

    def deliveries(self, webhook_id: str) -> Sequence[AnyRow]:
        """Return the deliveries of a webhook by order and revision."""
        table = webhook_deliveries.c
        query = select(webhook_deliveries).where(table.webhook_id == webhook_id).order_by(table.subject, table.revision)
        return self.store.read_now(lambda connection: connection.rows(query))

    def wait_for(self, webhook_id: str, *states: str, seconds: float = 10.0) -> Sequence[AnyRow]:
        """Return the deliveries of a webhook once they are in these states."""
        until = time.monotonic() + seconds
        while True:
            rows = self.deliveries(webhook_id)
            if [row.state for row in rows] == list(states):
                return rows
            assert time.monotonic() < until, [(row.subject, row.revision, row.state, row.told) for row in rows]
            time.sleep(0.01)

    def wait_for_told(self, webhook_id: str, seconds: float = 10.0) -> str:
        """Return what came of the last try of the first delivery of a webhook."""
        until = time.monotonic() + seconds
        while True:
            rows = self.deliveries(webhook_id)
            if rows and rows[0].told is not None:
                return str(rows[0].told)
            assert time.monotonic() < until, rows
            time.sleep(0.01)

    def change(self, webhook_id: str, **values: Any) -> None:
        """Change a webhook."""
        statement = update(webhooks).where(webhooks.c.webhook_id == webhook_id).values(**values)
        self.store.write_now(lambda connection: connection.run(statement))

    def close(self) -> None:
        """Delete its webhooks, so that nobody sends them any more."""
        query = select(webhooks.c.webhook_id)
        for (webhook_id,) in self.store.read_now(lambda connection: connection.rows(query)):
            self.store.write_now(partial(delete_webhook, actor=COMMAND, webhook_id=webhook_id, whose=Whose()))


@contextlib.contextmanager
def hooked(store: Store) -> Iterator[Hooked]:
    """Give a merchant with webhooks, which are deleted afterwards."""
    one = Hooked(store)
    try:
        yield one
    finally:
        one.close()


def data_of(body: bytes) -> dict[str, Any]:
    """Return what a webhook tells of its event."""
    told: dict[str, Any] = json.loads(body)["data"]
    return told
