"""Everything that routes work with, opened in one list and closed in reverse order."""

from __future__ import annotations

import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from engine.norms import Norms, load_norms
from service.bookings.coming import Coming
from service.bookings.holding import BookingTerms
from service.bookings.rosters import Rosters
from service.clock import Clock, SystemClock
from service.feed.events import EventHub
from service.feed.followers import Follower
from service.feed.full_slots import FullSlots
from service.feed.housekeeping import Housekeeping
from service.feed.index import LiveIndex
from service.feed.outbox import START, feed_id
from service.feed.snapshots import Snapshots, restored
from service.feed.waking import RedisWaker
from service.http.rates import LocalRates, Rates
from service.http.shared_rates import SharedRates, connect
from service.http.shared_threads import SharedReads, SharedThreads
from service.keys.ring import KeyRing
from service.matching.rooms import Rooms
from service.metrics import Metrics
from service.orders.checks import Checker
from service.orders.ordering import OrderTerms
from service.orders.sweeping import Sweeper
from service.payments.sandbox import SandboxProvider
from service.payments.settler import Settler
from service.store.opening import open_store
from service.store.tables import marks
from service.webhooks.addresses import networks_of
from service.webhooks.urls import Lookups, UrlRules
from service.webhooks.worker import WebhookWorker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.payments.ports import PaymentProvider
    from service.settings import Settings
    from service.store.connections import ReadConnection
    from service.store.database import Store

__all__ = ["Services", "open_services"]

_LOG = logging.getLogger(__name__)
_STALE_S = 5.0
_MATCHES, _LONG_MATCHES, _WORK, _PAYMENTS = 8, 8, 8, 4  # threads
_LOOKUPS, _LOOKUPS_EACH = 32, 4  # of host names that requests tell, at once and of one caller


@dataclass
class Services:
    """
    What this process serves with.

    Attributes
    ----------
    secret
        The store's own, that cursors are signed with.
    reads
        Where the store is read for a caller.
    matches, long_matches
        Where matches are made that read the store; and batches, explanations, and baskets that may be divided.
    work
        Where all else is done that takes more than a moment.
    payment_threads
        Where the provider of payments is asked.
    urls
        Where webhooks may be sent to.
    is_draining
        Set once it is about to stop: it says so to /readyz, then takes no more.
    is_stopping
        Set once it takes no more.
    """

    settings: Settings
    clock: Clock
    store: Store
    index: LiveIndex
    rooms: Rooms
    ring: KeyRing
    follower: Follower
    hub: EventHub
    rates: Rates
    metrics: Metrics
    secret: bytes
    norms: Norms
    orders: OrderTerms
    bookings: BookingTerms
    payments: PaymentProvider
    urls: UrlRules
    reads: SharedReads
    matches: SharedThreads
    long_matches: SharedThreads
    work: SharedThreads
    payment_threads: ThreadPoolExecutor
    n_inflight: int = 0
    is_draining: bool = False
    is_stopping: bool = False

    def stop_taking(self) -> None:
        """Send away what still comes: this process is about to end."""
        self.is_stopping = True

    def why_not_ready(self) -> str | None:
        """Return why this process should get no requests, None if it may."""
        if self.is_draining:
            return "draining"
        age_s = self.follower.age_s
        if age_s is None or self.follower.has_gap:
            return "the index is being built"
        if age_s > _STALE_S:
            return f"the index has not been confirmed for {age_s:.0f} s"
        return None


@contextlib.contextmanager
def open_services(settings: Settings, clock: Clock | None = None, *, worker: int | None = None) -> Iterator[Services]:
    """
    Open everything; what was opened is closed in reverse order, also where opening fails half way.

    Parameters
    ----------
    worker
        The number of this process where there are several: its metrics carry it.

    Raises
    ------
    StoreStateError
        If the database is not one that this linli can start on.
    """
    with contextlib.ExitStack() as stack:
        clock = clock or SystemClock()
        store = open_store(settings, clock)
        stack.callback(store.close)
        index, ring, hub = LiveIndex(), KeyRing(clock), EventHub(settings.limits.streams)
        full_slots, norms = FullSlots(), load_norms()
        rosters = Rosters(norms, index.extra_days)
        follower = _follower(settings, stack, store, index, (ring, full_slots, rosters), hub)
        secret = store.read_now(_secret)
        terms = OrderTerms(secret, norms, Checker(index.extra_days))
        bookings = BookingTerms(terms, rosters)
        matches = SharedThreads("linli-match", limit=_MATCHES, share=_MATCHES // 2)
        long_matches = SharedThreads("linli-long-match", limit=_LONG_MATCHES, share=_LONG_MATCHES // 4)
        work = SharedThreads("linli-work", limit=_WORK, share=_WORK // 4)
        payment_threads = ThreadPoolExecutor(_PAYMENTS, "linli-pay")
        for close in (matches.close, long_matches.close, work.close, payment_threads.shutdown):
            stack.callback(close)
        payments = SandboxProvider(settings.store.data / "sandbox-payments.db")
        services = Services(
            settings,
            clock,
            store,
            index,
            Rooms(full_slots, Coming(store, bookings)),
            ring,
            follower,
            hub,
            _rates(settings),
            Metrics(worker),
            secret,
            norms,
            terms,
            bookings,
            payments,
            UrlRules(networks_of(settings.webhooks.webhook_allow), Lookups(_LOOKUPS, _LOOKUPS_EACH)),
            SharedReads(store),
            matches,
            long_matches,
            work,
            payment_threads,
        )
        _watch(services)
        follower.start()
        if isinstance(clock, SystemClock):
            keeping = Housekeeping(
                store, clock, keep_changes_s=settings.store.keep_changes_s, keep_buyers_s=settings.store.keep_buyers_s
            )
            stack.callback(keeping.close)
            keeping.start()
            _go_by_the_clock(services, stack)
            _send_webhooks(services, stack)
        if settings.store.redis is not None:
            waker = RedisWaker(settings.store.redis, store, follower.wake, store.read_now(feed_id))
            stack.callback(waker.close)
            waker.start()
        yield services


def _follower(
    settings: Settings,
    stack: contextlib.ExitStack,
    store: Store,
    index: LiveIndex,
    kept_nowhere: tuple[KeyRing, FullSlots, Rosters],
    hub: EventHub,
) -> Follower:
    """
    Return the follower, from the newest snapshot if it will do; the last snapshot is written when it has ended.

    What no snapshot keeps is read from the store first.
    """
    folder = settings.store.data / "index"
    with store.reading() as connection:
        start = restored(index, folder, connection)
        for handler in kept_nowhere:
            handler.reload(connection, START)
    snapshots = Snapshots(index, folder, every_s=settings.store.snapshot_s, written=start)
    stack.callback(snapshots.close)
    position, of_feed = (None, None) if start is None else start
    follower = Follower(
        store,
        (*kept_nowhere, index, hub),
        poll_s=settings.store.poll_s,
        verify_s=settings.store.verify_s,
        position=position,
        of_feed=of_feed,
        rested=snapshots.rested,
    )
    stack.callback(follower.close)
    return follower


def _go_by_the_clock(services: Services, stack: contextlib.ExitStack) -> None:
    """Let happen what is due of orders, of visits, and of what is paid."""
    settler = Settler(services.store, services.bookings, services.payments)
    for steps in (Sweeper(services.store, services.index, services.orders, services.bookings), settler):
        stack.callback(steps.close)
        steps.start()
    told = "For how long the provider of payments has owed an answer."
    services.metrics.watch("linli_payments_unsettled_seconds", told, lambda: settler.unsettled_s)


def _send_webhooks(services: Services, stack: contextlib.ExitStack) -> None:
    given = services.settings.webhooks
    worker = WebhookWorker(
        services.store,
        services.clock,
        UrlRules(networks_of(given.webhook_allow)),  # whose look-ups nobody else can use up
        services.metrics.count_try,
        seconds=given.webhook_timeout_s,
        authorities=given.webhook_ca,
    )
    stack.callback(worker.close)
    services.metrics.watch("linli_webhooks_late_seconds", "How overdue the oldest webhook is.", lambda: worker.late_s)
    worker.start()


def _secret(connection: ReadConnection) -> bytes:
    return bytes.fromhex(str(connection.value(select(marks.c.value).where(marks.c.name == "secret"))))


def _rates(settings: Settings) -> Rates:
    """Return what the server closes when it stops, since a client of Redis belongs to its event loop."""
    local = LocalRates(share=min(1.0, 2.0 / settings.server.workers))
    return local if settings.store.redis is None else SharedRates(connect(settings.store.redis), local)


def _watch(services: Services) -> None:
    watch, follower = services.metrics.watch, services.follower
    watch("linli_index_age_seconds", "Since the index was known to miss nothing.", lambda: follower.age_s or 0.0)
    watch("linli_index_points", "Points that the index holds.", lambda: services.index.n_points)
    told = "Points and services that cannot be read, and that nobody is offered until they can."
    watch("linli_left_out", told, lambda: services.index.n_left_out + services.bookings.rosters.n_left_out)
    watch("linli_index_reloads", "How often the index was read anew.", lambda: follower.n_reloads)
    watch("linli_event_streams", "Event streams that are open.", lambda: services.hub.n_streams)
    watch("linli_requests_inflight", "Requests that are being answered.", lambda: services.n_inflight)
