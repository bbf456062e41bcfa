"""Leases: one process at a time does a work, and one that comes too late is refused by its number."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import case, select, text, update

from service.errors import LeaseLostError
from service.store.order_tables import leases

if TYPE_CHECKING:
    from service.store.connections import ReadConnection, WriteConnection
    from service.store.database import Store

__all__ = ["Lease", "Tenure", "Term", "demand", "give_back", "renew", "take", "term_of"]

_TAKE = text(
    "INSERT INTO leases (name, holder, fence, until_at) VALUES (:name, :holder, 1, :until_us)"
    " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, fence = leases.fence + 1, until_at = excluded.until_at"
    " WHERE leases.until_at <= :now_us OR (leases.fence = :still_fence AND leases.until_at = :still_until_us)"
    " RETURNING fence"
)
_SECOND_US = 1_000_000
_WRITE_S = 5.0


@dataclass(frozen=True)
class Lease:
    """The right to do a work; ``fence`` is higher than that of everyone who had it before."""

    name: str
    holder: str
    fence: int


class Term(NamedTuple):
    """For how long a lease is held: another one after each renewal, though time stands still."""

    fence: int
    until_us: int


_NO_TERM = Term(-1, -1)


def term_of(connection: ReadConnection, name: str) -> Term | None:
    """Return the term of a lease, None where nobody ever had it."""
    row = connection.row(select(leases.c.fence, leases.c.until_at).where(leases.c.name == name))
    return None if row is None else Term(row.fence, row.until_at)


def take(
    connection: WriteConnection, name: str, holder: str, seconds: float, still: Term | None = None
) -> Lease | None:
    """
    Take a lease if it is free, or its holder has let it run out; None where another has it.

    Parameters
    ----------
    still
        A term that was not renewed in time by the caller's own clock: where it still is the lease's, it has run out,
        though the store's time stands still because a clock was set back.
    """
    fence_then, until_then = still or _NO_TERM
    values = {
        "name": name,
        "holder": holder,
        "now_us": connection.now_us,
        "until_us": _until(connection, seconds),
        "still_fence": fence_then,
        "still_until_us": until_then,
    }
    fence = connection.value(_TAKE, values)
    return None if fence is None else Lease(name, holder, int(fence))


def renew(connection: WriteConnection, lease: Lease, seconds: float) -> bool:
    """Keep a lease for so long from now; False where another has taken it since."""
    kept = update(leases).where(leases.c.name == lease.name, leases.c.fence == lease.fence)
    until_us = _until(connection, seconds)
    later_us = case((leases.c.until_at < until_us, until_us), else_=leases.c.until_at + 1)
    return connection.run(kept.values(until_at=later_us)) == 1


def demand(connection: WriteConnection, lease: Lease) -> None:
    """
    Refuse a transaction whose lease another has taken since; called before it writes anything.

    The row stays locked, so that those who hold the lease one after the other write one after the other.

    Raises
    ------
    LeaseLostError
        If it is no longer held.
    """
    held = select(leases.c.fence).where(leases.c.name == lease.name).with_for_update()
    if connection.value(held) != lease.fence:
        told = f"another process has taken over {lease.name}"
        raise LeaseLostError(told)


def give_back(connection: WriteConnection, lease: Lease) -> None:
    """Let others have a lease at once."""
    mine = update(leases).where(leases.c.name == lease.name, leases.c.fence == lease.fence)
    connection.run(mine.values(until_at=0))


def _until(connection: WriteConnection, seconds: float) -> int:
    return connection.now_us + int(seconds * _SECOND_US)


class Tenure:
    """
    A process's hold of a lease: taken when it is free, renewed in time, and doubted as soon as it may have run out.

    Of one thread.

    Parameters
    ----------
    store
        Where.
    name
        Of the work.
    seconds
        How long the lease lasts: after so long another goes on with the work of a process that was killed.
    """

    def __init__(self, store: Store, name: str, seconds: float = 15.0) -> None:
        self._store = store
        self._name = name
        self._seconds = seconds
        self._holder = secrets.token_hex(8)
        self._lease: Lease | None = None
        self._term: Term | None = None  # of another's hold, as it was seen last, and since when
        self._term_since = 0.0
        self._asked_at = -float("inf")  # on the monotonic clock, which goes on while a process is stopped

    @property
    def is_sure(self) -> bool:
        """Whether nobody else can have taken it: asked before what no number can refuse, such as a request to others."""
        return self._lease is not None and time.monotonic() < self._asked_at + 0.8 * self._seconds

    def held(self) -> Lease | None:
        """Return the lease, taken or renewed where it is time for that; None while another has it."""
        at = time.monotonic()
        if at < self._asked_at + self._seconds / (5.0 if self._lease is None else 3.0):
            return self._lease
        known, seconds = self._lease, self._seconds
        if known is None:
            self._lease = self._taken(at)
        elif not self._store.write_now(lambda connection: renew(connection, known, seconds), _WRITE_S):
            self._lease = None
        self._asked_at = at
        return self._lease

    def _taken(self, at: float) -> Lease | None:
        still = self._term if at >= self._term_since + self._seconds else None

        def write(connection: WriteConnection) -> tuple[Lease | None, Term | None]:
            lease = take(connection, self._name, self._holder, self._seconds, still)
            return lease, term_of(connection, self._name)

        lease, term = self._store.write_now(write, _WRITE_S)
        if term != self._term:
            self._term, self._term_since = term, time.monotonic()
        return lease

    def forget(self, lost: Lease | None = None) -> None:
        """Take note that another has it; where the lost lease is named, only if it is still the one that is held."""
        if lost is None or lost == self._lease:
            self._lease = None

    def give_back(self) -> None:
        """Let others have it at once."""
        known, self._lease = self._lease, None
        if known is not None:
            self._store.write_now(lambda connection: give_back(connection, known), _WRITE_S)
