"""Plans deliveries and sees to it that they are sent: in one process of all, in a thread of its own."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter, defaultdict, deque
from typing import TYPE_CHECKING

from service.errors import LeaseLostError, ServiceError
from service.store.leases import Tenure, demand
from service.webhooks.deliveries import due_deliveries, late_s, mark_tried
from service.webhooks.planning import keep_place, look_at_feed, plan_deliveries
from service.webhooks.rules import STANDARD
from service.webhooks.sender import Sender
from service.webhooks.standstills import KEEP_EVERY_US, keep_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from service.clock import Clock
    from service.feed.outbox import Position
    from service.store.connections import ReadConnection, WriteConnection
    from service.store.database import Store
    from service.store.leases import Lease
    from service.webhooks.deliveries import Due, Tried
    from service.webhooks.rules import Retries
    from service.webhooks.urls import UrlRules

__all__ = ["PLACES", "WebhookWorker"]

_LOG = logging.getLogger(__name__)
_WORK = "webhooks"
_AT_ONCE = 256
PLACES = {False: 4, True: 1}
"""How many are sent at once to one webhook, by whether it is failing."""

_BREATH_S = 0.03  # what is committed within it is planned in one step
_POLL_S = 0.5
_UNSEEN_S = 5.0  # after that what is overdue is not known any more, and grows
_KEEP_PLACE_S = 5.0
_MARK_AT_ONCE = 100
_WRITE_S = 10.0
_FINISH_S = 2.0  # a receiver that does not answer holds up a stop for no longer
_CLOSE_S = 15.0


class WebhookWorker:
    """
    Sends what happens to orders to those who asked for it.

    Each event at least once, with the same id each time, those of an order in their order. Where several processes
    serve, the one that has the lease does it; what another had sent when it lost the lease, it cannot mark.

    Parameters
    ----------
    store, clock
        Where, and when.
    rules
        Where may be sent to.
    counted
        Called with the outcome of each try: delivered, failed, given_up.
    retries
        When a delivery is tried again.
    seconds
        How long a try may take.
    authorities
        A file of certificate authorities to trust, None for the system's.
    lease_s
        After how long another process goes on with the work of one that was killed.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rules: UrlRules,
        counted: Callable[[str], None],
        *,
        retries: Retries = STANDARD,
        seconds: float = 20.0,
        authorities: Path | None = None,
        lease_s: float = 15.0,
    ) -> None:
        self._store, self._clock, self._counted, self._retries = store, clock, counted, retries
        self._sender = Sender(rules, self._finished, seconds=seconds, authorities=authorities)
        self._tenure = Tenure(store, _WORK, lease_s)
        self._place: tuple[str, Position] | None = None
        self._running: dict[str, set[str]] = defaultdict(set)
        self._failing: set[tuple[str, str]] = set()  # those of them whose webhook is failing
        self._tried: deque[Tried] = deque()
        self._looked_at = self._kept_at = 0.0
        self._instant_us = 0  # when was kept last that it sends, by the clock: the monotonic one rests with the machine
        self._late_s = 0.0
        self._seen_at: float | None = None  # when that was so, on the monotonic clock; None where another process sends
        self._is_down = False
        self._woken, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="linli-webhooks", daemon=True)
        self._stop_listening: Callable[[], None] | None = None

    @property
    def late_s(self) -> float:
        """
        For how long the delivery that is most overdue has been due, as far as this process sends.

        While it cannot look, because planning or marking fails, as if nothing were sent since.
        """
        seen_at = self._seen_at
        unseen_s = 0.0 if seen_at is None else time.monotonic() - seen_at
        return self._late_s + (unseen_s if unseen_s > _UNSEEN_S else 0.0)

    def start(self) -> None:
        """Begin."""
        self._stop_listening = self._store.listen(self._woken.set)
        self._sender.start()
        self._thread.start()

    def close(self) -> None:
        """Let what is being sent end, for a moment; mark it, and let another process go on."""
        self._ended.set()
        self._woken.set()
        if self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)
        self._sender.close()

    def _run(self) -> None:
        pause_s = 0.0
        while not self._ended.is_set():
            self._woken.wait(pause_s)
            self._woken.clear()
            pause_s = self._attempt(self._step)
        try:
            self._sender.cancel(after_s=_FINISH_S)
        finally:
            self._attempt(self._leave)

    def _attempt(self, work: Callable[[], float]) -> float:
        """Do a part of the work; return after how long the next one comes. Of several failures the first is told."""
        try:
            pause_s = work()
        except LeaseLostError:
            return self._attempt(self._lose)
        except ServiceError as error:
            self._tell("webhooks wait: %s", error)
        except Exception as error:  # noqa: BLE001 - without the thread nothing would be sent any more
            self._tell("sending webhooks failed: %r", error, exc_info=error)
        else:
            self._is_down = False
            return pause_s
        self._ended.wait(_POLL_S)
        return 0.0

    def _tell(self, text: str, error: Exception, *, exc_info: Exception | None = None) -> None:
        if not self._is_down:
            _LOG.log(logging.WARNING if exc_info is None else logging.ERROR, text, error, exc_info=exc_info)
        self._is_down = True

    def _step(self) -> float:
        lease = self._tenure.held()
        if lease is None:
            return _POLL_S if self._seen_at is None else self._lose()
        if self._seen_at is None:
            self._seen_at = time.monotonic()
        if self._clock.now_us() - self._instant_us >= KEEP_EVERY_US:
            self._keep_instant(lease)
        self._mark(lease)
        rest_s = self._looked_at + _BREATH_S - time.monotonic()
        if rest_s > 0.0:
            return rest_s
        self._looked_at = time.monotonic()
        is_all = self._plan(lease)
        self._send_due()
        return _POLL_S if is_all else 0.0

    def _lose(self) -> float:
        """Take note that another process does the work now."""
        _LOG.warning("another process sends the webhooks now")
        self._tenure.forget()
        try:
            self._sender.cancel()
        finally:
            self._tried.clear()
            self._running.clear()
            self._failing.clear()
            self._place, self._late_s, self._seen_at = None, 0.0, None
            self._instant_us = 0
        return _POLL_S

    def _leave(self) -> float:
        lease = self._tenure.held()
        if lease is not None:
            self._mark(lease)
            place = self._place
            if place is not None:
                self._keep_place(lease, place)
            self._keep_instant(lease)
            self._tenure.give_back()
        return 0.0

    def _keep_place(self, lease: Lease, place: tuple[str, Position]) -> None:
        def write(connection: WriteConnection) -> None:
            demand(connection, lease)
            keep_place(connection, place)

        self._store.write_now(write, _WRITE_S)

    def _keep_instant(self, lease: Lease) -> None:
        self._store.write_now(lambda connection: keep_instant(connection, lease), _WRITE_S)
        self._instant_us = self._clock.now_us()

    def _plan(self, lease: Lease) -> bool:
        """Plan what is new; tell whether that was all."""
        look = self._store.read_now(lambda connection: look_at_feed(connection, self._place), _WRITE_S)
        if look.is_gap:
            _LOG.warning("change records that webhooks had not read yet are gone: they go on from %s", look.after)
        is_late = time.monotonic() - self._kept_at > _KEEP_PLACE_S and look.place != self._place
        if look.has_events or look.is_gap or is_late:
            self._store.write_now(lambda connection: plan_deliveries(connection, lease, look), _WRITE_S)
            self._kept_at = time.monotonic()
        self._place = look.place
        return not look.is_full

    def _send_due(self) -> None:
        now_us, running = self._clock.now_us(), self._running

        def read(connection: ReadConnection) -> tuple[list[Due], float]:
            return due_deliveries(connection, now_us, running, PLACES), late_s(connection, now_us)

        found, self._late_s = self._store.read_now(read, _WRITE_S)
        self._seen_at = time.monotonic()
        n_running = sum(map(len, running.values()))
        for due in _in_turn(found, running):
            has_place = n_running < _AT_ONCE and not (due.is_failing and len(self._failing) >= _AT_ONCE // 2)
            if not (has_place and self._tenure.is_sure):
                continue
            n_running += 1
            running[due.webhook_id].add(due.event_id)
            if due.is_failing:
                self._failing.add(due.key)
            self._sender.send(due)

    def _finished(self, tried: Tried) -> None:
        self._tried.append(tried)
        self._woken.set()

    def _mark(self, lease: Lease) -> None:
        while self._tried:
            self._mark_some(lease, [self._tried[number] for number in range(min(len(self._tried), _MARK_AT_ONCE))])

    def _mark_some(self, lease: Lease, tried: list[Tried]) -> None:
        retries = self._retries
        marked = self._store.write_now(lambda connection: mark_tried(connection, lease, tried, retries), _WRITE_S)
        for one, (outcome, why_disabled) in zip(tried, marked, strict=True):
            self._tried.popleft()
            self._failing.discard(one.key)
            self._running[one.webhook_id].discard(one.event_id)
            if not self._running[one.webhook_id]:
                del self._running[one.webhook_id]
            self._counted(outcome)
            if why_disabled is not None:
                _LOG.warning("webhook %s is disabled: %s", one.webhook_id, why_disabled)


def _in_turn(found: Sequence[Due], running: Mapping[str, set[str]]) -> list[Due]:
    """
    Return what is due in the order in which places are given to it: those first of whose webhook the fewest are running.

    So receivers that are slow but never fail do not keep all places for themselves. Among equals the order is drawn, that
    none is always the last.
    """
    n_before = Counter({webhook_id: len(events) for webhook_id, events in running.items()})
    ranked: list[tuple[bool, int, float, Due]] = []
    for due in found:
        ranked.append((due.is_failing, n_before[due.webhook_id], random.random(), due))  # noqa: S311 - no secret
        n_before[due.webhook_id] += 1
    return [due for *_, due in sorted(ranked, key=lambda one: one[:3])]
