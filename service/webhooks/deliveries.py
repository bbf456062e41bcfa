"""Deliveries in the store: planned from the feed, taken when they are due, marked when they were tried."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, delete, exists, func, or_, select, update

from service.audit.store import Actor, record
from service.store.leases import demand
from service.store.order_tables import webhook_deliveries, webhooks
from service.webhooks.rules import DISABLED_GONE, Retries, why_failing
from service.webhooks.signing import old_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.store.connections import AnyRow, ReadConnection, WriteConnection
    from service.store.leases import Lease
    from service.webhooks.sending import Told

__all__ = [
    "LOCK",
    "Due",
    "Marked",
    "Tried",
    "due_deliveries",
    "forget_deliveries",
    "late_s",
    "mark_tried",
    "release_some",
]

LOCK = "webhook deliveries"
"""Held by who plans deliveries and who deletes webhooks."""

_SECOND_US = 1_000_000
_CLOCK = Actor("clock", "admin", "clock")
_DONE = ("delivered", "given_up")
_FAILED_BEFORE = 2  # tries of a delivery, for its next failure to tell of a receiver that takes nothing
_A_TRANSACTION = 1_000
_LOOKED_AT = 10_000  # in one transaction, for those to forget: most may be such as wait
_KEEP_UNSENT = 4  # times as long as those that are done: what waits for a disabled webhook
_t = webhook_deliveries.c
_DUE = select(_t.due_at).where(_t.webhook_id == webhooks.c.webhook_id, _t.due_at.is_not(None))
_FIRST_DUE = select(_DUE.order_by(_t.due_at).limit(1).scalar_subquery()).where(webhooks.c.is_disabled.is_(False))


@dataclass(frozen=True)
class Due:
    """A delivery to try now, with all that is needed for it."""

    webhook_id: str
    event_id: str
    url: str
    secrets: tuple[str, ...]
    body: bytes
    is_failing: bool
    tries: int

    @property
    def key(self) -> tuple[str, str]:
        """Which delivery it is."""
        return self.webhook_id, self.event_id


@dataclass(frozen=True)
class Tried:
    """What came of a try; ``tries`` had come before it, and ``drawn`` in [0, 1) spreads the next one."""

    webhook_id: str
    event_id: str
    told: Told
    drawn: float
    tries: int

    @property
    def key(self) -> tuple[str, str]:
        """Which delivery it was."""
        return self.webhook_id, self.event_id


class Marked(NamedTuple):
    """What a try has led to: delivered, failed or given_up; and why its webhook is disabled by it, if it is."""

    outcome: str
    why_disabled: str | None = None


def due_deliveries(
    connection: ReadConnection, now_us: int, running: Mapping[str, set[str]], places: Mapping[bool, int]
) -> list[Due]:
    """
    Return what is to be tried now, the oldest of each webhook first.

    Of each subject only its first event that waits is ever due. ``running`` are the event ids that are being tried, by
    webhook; ``places`` how many may be at once of a webhook, by whether it is failing.
    """
    is_due = and_(_t.webhook_id == webhooks.c.webhook_id, _t.due_at <= now_us)
    hooks = connection.rows(select(webhooks).where(webhooks.c.is_disabled.is_(False), exists().where(is_due)))
    found: list[Due] = []
    for hook in hooks:
        busy = running.get(hook.webhook_id, set())
        free = places[hook.failing_since is not None] - len(busy)
        if free > 0:
            found += [_due(hook, row, now_us) for row in _first(connection, hook.webhook_id, now_us, busy, free)]
    return found


def _first(connection: ReadConnection, webhook_id: str, now_us: int, busy: set[str], free: int) -> Sequence[AnyRow]:
    query = select(_t.event_id, _t.body, _t.tries).where(_t.webhook_id == webhook_id, _t.due_at <= now_us)
    rows = connection.rows(query.order_by(_t.due_at, _t.event_id).limit(free + len(busy)))
    return [row for row in rows if row.event_id not in busy][:free]


def _due(hook: AnyRow, row: AnyRow, now_us: int) -> Due:
    secrets = (hook.secret, *(secret for secret, _ in old_secrets(hook.old_secret, hook.old_until, now_us)))
    is_failing = hook.failing_since is not None
    return Due(hook.webhook_id, row.event_id, hook.url, secrets, row.body.encode(), is_failing, row.tries)


def late_s(connection: ReadConnection, now_us: int) -> float:
    """Return for how long the delivery that is most overdue has been due; of each webhook only its first is looked at."""
    return max((max(0.0, (now_us - row[0]) / _SECOND_US) for row in connection.rows(_FIRST_DUE) if row[0]), default=0.0)


def mark_tried(connection: WriteConnection, lease: Lease, tried: Sequence[Tried], retries: Retries) -> list[Marked]:
    """
    Mark what came of tries.

    Raises
    ------
    LeaseLostError
        If another process sends by now: it has tried them itself, or will.
    """
    demand(connection, lease)
    return [_mark(connection, one, retries) for one in tried]


def _mark(connection: WriteConnection, tried: Tried, retries: Retries) -> Marked:
    hook = connection.row(select(webhooks).where(webhooks.c.webhook_id == tried.webhook_id).with_for_update())
    one = (_t.webhook_id == tried.webhook_id, _t.event_id == tried.event_id)
    is_as_tried = (_t.state == "waiting", _t.tries == tried.tries)
    row = connection.row(select(webhook_deliveries).where(*one, *is_as_tried))
    if hook is None or row is None:  # deleted meanwhile, or marked before by a write whose answer did not come in time
        return Marked("delivered" if tried.told.is_delivered else "failed")
    pause_s = retries.pause_s(row.tries + 1, tried.drawn)
    state = "delivered" if tried.told.is_delivered else "given_up" if pause_s is None else "waiting"
    why = None if hook.is_disabled else _mark_webhook(connection, hook, row, tried.told, state, retries)
    waits = state == "waiting" and pause_s is not None
    due_us = connection.now_us + int((pause_s or 0.0) * _SECOND_US) if waits else None
    values = {"state": state, "tries": row.tries + 1, "told": tried.told.text, "due_at": due_us}
    connection.run(update(webhook_deliveries).where(*one).values(**values))
    if state in _DONE:
        _release_next(connection, row)
    return Marked("failed" if state == "waiting" else state, why)


def _mark_webhook(
    connection: WriteConnection, hook: AnyRow, row: AnyRow, told: Told, state: str, retries: Retries
) -> str | None:
    """
    Keep since when a webhook has been failing; return why it is disabled now, None where it is not.

    Where much happens the tries of one delivery are late, ever more so, and none may be given up in time: those that have
    failed twice before are enough. Time in which nobody sent is none of it: see `standstills`.
    """
    known = update(webhooks).where(webhooks.c.webhook_id == hook.webhook_id)
    if told.is_delivered:
        if hook.failing_since is not None:
            connection.run(known.values(failing_since=None))
        return None
    since = connection.now_us if hook.failing_since is None else hook.failing_since
    why = DISABLED_GONE if told.is_gone else None
    if why is None and (state == "given_up" or row.tries >= _FAILED_BEFORE):
        why = why_failing((connection.now_us - since) / _SECOND_US, retries, told.text)
    connection.run(known.values(failing_since=since, is_disabled=why is not None, why_disabled=why))
    if why is not None:  # what is due stays so, however much it is, and is not sent
        record(connection, _CLOCK, "webhook.disable", hook.webhook_id, hook.merchant_id)
    return why


def _release_next(connection: WriteConnection, row: AnyRow) -> None:
    """Let the next event of a subject be due, now that this one is done or gone."""
    waiting = (_t.webhook_id == row.webhook_id, _t.subject == row.subject, _t.state == "waiting")
    first = select(func.min(_t.revision)).where(*waiting).scalar_subquery()
    connection.run(update(webhook_deliveries).where(*waiting, _t.revision == first).values(due_at=connection.now_us))


def release_some(connection: WriteConnection, webhook_id: str) -> bool:
    """
    Let what is due later be due now, of a webhook that is disabled: much of it; tell whether that was all.

    Of each subject that waits one event is due, whether its webhook is disabled or not.
    """
    now_us, its = connection.now_us, _t.webhook_id == webhook_id
    if connection.row(select(_t.due_at).where(its, _t.due_at.is_not(None)).limit(1)) is None:
        _release_all(connection, webhook_id)
        return True
    later = select(_t.event_id).where(its, _t.due_at > now_us).limit(_A_TRANSACTION)
    n_released = connection.run(
        update(webhook_deliveries).where(its, _t.event_id.in_(later)).values(due_at=now_us),
    )
    return n_released < _A_TRANSACTION


def _release_all(connection: WriteConnection, webhook_id: str) -> None:
    """Let the first event of each subject be due: a linli before this one let nothing be so for a disabled webhook."""
    before = webhook_deliveries.alias()
    earlier = exists().where(
        before.c.webhook_id == _t.webhook_id,
        before.c.subject == _t.subject,
        before.c.revision < _t.revision,
        before.c.state == "waiting",
    )
    waiting = update(webhook_deliveries).where(_t.webhook_id == webhook_id, _t.state == "waiting", ~earlier)
    connection.run(waiting.values(due_at=connection.now_us))


def forget_deliveries(connection: WriteConnection, before_us: int, after_us: int = 0) -> int:
    """
    Delete deliveries that were done before an instant, and much older ones of disabled webhooks, the oldest first.

    Parameters
    ----------
    after_us
        Those before it are passed over: they were looked at.

    Returns
    -------
    int
        From which instant on the next transaction may find more; 0 where all were looked at.
    """
    if not connection.try_lock("deliveries kept"):
        return 0
    long_before_us = connection.now_us - _KEEP_UNSENT * (connection.now_us - before_us)
    is_unsent = and_(_t.created_at < long_before_us, webhooks.c.is_disabled)
    aged = (_t.created_at >= after_us, _t.created_at < before_us)
    last_us = connection.value(
        select(_t.created_at).where(*aged).order_by(_t.created_at).offset(_LOOKED_AT - 1).limit(1)
    )
    query = (
        select(_t.webhook_id, _t.event_id, _t.subject, _t.due_at, _t.created_at)
        .join(webhooks, webhooks.c.webhook_id == _t.webhook_id)
        .where(*aged, or_(_t.state.in_(_DONE), is_unsent))
    )
    if last_us is not None:
        query = query.where(_t.created_at <= last_us)
    old = connection.rows(query.order_by(_t.created_at).limit(_A_TRANSACTION))
    _forget(connection, old)
    if len(old) == _A_TRANSACTION:
        return int(old[-1].created_at)
    return 0 if last_us is None else int(last_us) + 1


def _forget(connection: WriteConnection, old: Sequence[AnyRow]) -> None:
    by_webhook: dict[str, list[str]] = defaultdict(list)
    for row in old:
        by_webhook[row.webhook_id].append(row.event_id)
    for webhook_id, event_ids in by_webhook.items():
        gone: Any = (_t.webhook_id == webhook_id, _t.event_id.in_(event_ids))
        connection.run(delete(webhook_deliveries).where(*gone))
    for row in old:
        if row.due_at is not None:
            _release_next(connection, row)
