"""What is done now and then, in a thread of its own: old records go, and the latest instant is kept."""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, cast, delete, select, update

from service.bookings.store import forget_bookings, forget_shifts
from service.crews.forgetting import forget_engagements
from service.errors import ServiceError
from service.feed.outbox import prune
from service.imports.store import forget_imports
from service.keys.store import forget_keys
from service.orders.forgetting import forget_buyers, forget_slots
from service.store.tables import idempotency, marks
from service.webhooks.deliveries import forget_deliveries

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.clock import SystemClock
    from service.store.connections import ReadConnection, WriteConnection
    from service.store.database import Store

__all__ = ["Housekeeping", "forget_requests", "keep_mark", "kept_mark"]

_LOG = logging.getLogger(__name__)
_SECOND_US = 1_000_000
_KEEP_REQUESTS_S = 25 * 3_600  # of which a day has really passed, at the pace of what is old
_KEEP_SLOTS_S = 86_400
_KEEP_SHIFTS_S = 2 * 86_400
_KEEP_DELIVERIES_S = 7 * 86_400
_KEEP_KEYS_S = 30 * 86_400  # that are revoked or expired
_KEEP_IMPORTS_S, _KEEP_BROKEN_OFF_S = 7 * 86_400, 28 * 86_400
_A_TRANSACTION = 1_000
_A_TURN_S = 5.0
_WRITE_S = 10.0
_MADE_UP = 1 / 24
_MOST_BEHIND_US = 2 * 86_400 * _SECOND_US


class _Pace:
    """
    The instant by which is told what is old: it goes on as time really passes, however far the clock jumps ahead.

    Were a request's record gone because the clock jumped, the request would be done twice when it is sent again. What this
    instant is behind the clock is made up for by an hour a day, and by a start.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._last: tuple[int, float] | None = None

    def begin(self, at_us: int) -> None:
        """Go on from an instant."""
        self._last = (at_us, self._monotonic())

    def instant_us(self, now_us: int) -> int:
        """Return the clock's instant, or as far as it may have come; the first time it is the clock's."""
        at_s = self._monotonic()
        if self._last is not None:
            passed_s = at_s - self._last[1]
            now_us = min(now_us, self._last[0] + int(passed_s * (1 + _MADE_UP) * _SECOND_US))
        self._last = (now_us, at_s)
        return now_us


class Housekeeping:
    """
    Keeps a store small, and its clock from running back.

    Parameters
    ----------
    store
        Where.
    clock
        Whose latest instant is kept.
    keep_changes_s, keep_buyers_s
        How long change records are kept, and whose an order or a visit was once it has ended.
    every_s, prune_every_s
        How often the clock is looked at, and how often old records are.
    monotonic
        Tells the time that really passes: the clock may jump ahead, and nothing is old before its time.
    """

    def __init__(
        self,
        store: Store,
        clock: SystemClock,
        *,
        keep_changes_s: float,
        keep_buyers_s: float = 7 * 86_400.0,
        every_s: float = 3.0,
        prune_every_s: float = 60.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._clock = clock
        self._keep_changes_s = keep_changes_s
        self._keep_buyers_s = keep_buyers_s
        self._every_s = every_s
        self._prune_every_s = prune_every_s
        self._kept_us = 0
        self._pace = _Pace(monotonic)
        self._deliveries_after_us = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="linli-keep", daemon=True)

    def start(self) -> None:
        """
        Take over the latest instant that the store knows of, then go on in the thread.

        What is old is told from the machine's own clock on, where that is up to two days behind what the store knows: it
        had jumped, and is right again. A jump that lasts over a start, or was further, is not told from a time in which
        nobody served: what is old by the clock then goes.
        """
        own_us = self._clock.now_us()
        self._kept_us = self._store.read_now(kept_mark)
        self._clock.keep_after(self._kept_us)
        self._pace.begin(max(own_us, self._kept_us - _MOST_BEHIND_US))
        self._thread.start()

    def close(self) -> None:
        """End the thread; the latest instant is kept first."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
            self._try("the latest instant", self._keep_time)

    def _run(self) -> None:
        pruned_at = time.monotonic()
        while not self._ended.wait(self._every_s):
            self._try("the latest instant", self._keep_time)
            if time.monotonic() - pruned_at >= self._prune_every_s:
                self._try("a turn", self.prune)
                pruned_at = time.monotonic()

    def _try(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except ServiceError as error:
            _LOG.warning("housekeeping waits with %s: %s", name, error)
        except Exception:  # noqa: BLE001 - it must go on at the next turn
            _LOG.exception("housekeeping failed with %s", name)

    def _keep_time(self) -> None:
        latest_us = self._clock.latest_us
        if latest_us > self._kept_us:
            self._store.write_now(lambda connection: keep_mark(connection, latest_us), _WRITE_S)
            self._kept_us = latest_us

    def prune(self) -> None:
        """
        Delete what is old, a small transaction at a time, for as long as one turn may last.

        What fails is told, and holds up nothing else: all that is to be forgotten has its transaction in each turn.
        """
        until = time.monotonic() + _A_TURN_S
        for name, work in self._works(self._pace.instant_us(self._clock.now_us())).items():
            self._try(name, partial(self._repeat, work, until))
            if self._ended.is_set():
                return

    def _repeat(self, work: Callable[[WriteConnection], int], until: float) -> None:
        while self._store.write_now(work, _WRITE_S) >= _A_TRANSACTION and time.monotonic() < until:
            if self._ended.is_set():
                return

    def _works(self, now_us: int) -> dict[str, Callable[[WriteConnection], int]]:
        """Return what deletes or forgets what is old at an instant, a transaction's worth of it, by what that is."""
        changes_us = now_us - int(self._keep_changes_s * _SECOND_US)
        buyers_us = now_us - int(self._keep_buyers_s * _SECOND_US)
        shifts_us = now_us - int(min(_KEEP_SHIFTS_S, self._keep_buyers_s) * _SECOND_US)
        slots_us = now_us - _KEEP_SLOTS_S * _SECOND_US
        requests_us = now_us - _KEEP_REQUESTS_S * _SECOND_US
        deliveries_us = now_us - _KEEP_DELIVERIES_S * _SECOND_US
        keys_us = now_us - _KEEP_KEYS_S * _SECOND_US
        imports_us = now_us - _KEEP_IMPORTS_S * _SECOND_US
        broken_off_us = now_us - _KEEP_BROKEN_OFF_S * _SECOND_US
        return {
            "changes": lambda connection: prune(connection, changes_us, limit=_A_TRANSACTION),
            "requests": lambda connection: forget_requests(connection, requests_us),
            "buyers": lambda connection: _erase(connection, forget_buyers, buyers_us),
            "bookings": lambda connection: _erase(connection, forget_bookings, buyers_us),
            "shifts": lambda connection: _erase(connection, forget_shifts, shifts_us),
            "engagements": lambda connection: _erase(connection, forget_engagements, shifts_us),
            "slots": lambda connection: forget_slots(connection, slots_us, _A_TRANSACTION),
            "deliveries": lambda connection: self._forget_deliveries(connection, deliveries_us),
            "keys": lambda connection: forget_keys(connection, keys_us, _A_TRANSACTION),
            "imports": lambda connection: forget_imports(connection, imports_us, broken_off_us, _A_TRANSACTION),
        }

    def _forget_deliveries(self, connection: WriteConnection, before_us: int) -> int:
        """Look at some of the deliveries; return as many as go in a transaction where there are more to look at."""
        self._deliveries_after_us = forget_deliveries(connection, before_us, self._deliveries_after_us)
        return _A_TRANSACTION if self._deliveries_after_us else 0


def _erase(connection: WriteConnection, forget: Callable[[WriteConnection, int, int], int], before_us: int) -> int:
    """
    Forget a transaction's worth of what tells of people; return how much.

    A turn that found none leaves the log as it is: to empty one of 4 MB takes 13 to 70 ms, in which nobody writes.
    """
    n_forgotten = forget(connection, before_us, _A_TRANSACTION)
    if n_forgotten:
        connection.erase()
    return n_forgotten


def kept_mark(connection: ReadConnection) -> int:
    """Return the latest instant that the store knows of."""
    return int(connection.value(select(marks.c.value).where(marks.c.name == "clock_us")) or 0)


def keep_mark(connection: WriteConnection, at_us: int) -> None:
    """Let the store know of an instant, if it is later than what it knows."""
    is_clock = marks.c.name == "clock_us"
    connection.run(update(marks).where(is_clock, cast(marks.c.value, BigInteger) < at_us).values(value=str(at_us)))


def forget_requests(connection: WriteConnection, before_us: int) -> int:
    """Delete the oldest records of requests that are older than an instant; return how many went."""
    if not connection.try_lock("requests kept"):
        return 0
    table = idempotency.c
    old = connection.rows(
        select(table.caller, table.route, table.key)
        .where(table.created_at < before_us)
        .order_by(table.created_at)
        .limit(_A_TRANSACTION)
    )
    for caller, route, key in old:
        connection.run(
            delete(idempotency).where(
                table.caller == caller, table.route == route, table.key == key, table.created_at < before_us
            )
        )
    return len(old)
