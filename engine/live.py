"""The current version of an index: who may put another in its place, and when its rows are listed by cell."""

from __future__ import annotations

import logging
import threading
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.parts import IndexPart
    from engine.snapshots import Snapshot

__all__ = ["LiveSnapshot"]

_LOG = logging.getLogger(__name__)

_ROWS_A_QUERY = 4
_MIN_QUERIES = 1000
"""Rows are listed once there was a query for so many of them since they last were, and at least so many."""


class LiveSnapshot:
    """
    The current version: read by anyone at any time, changed by one at a time.

    The rows near every cell of its base are listed beside both. A base never changes, so nobody waits for that:
    the lists are put in place at the end, if the base is still the current one, and are made anew if it is not.

    Attributes
    ----------
    current
        The version; whoever has read it may use it for ever.

    One that is still shares a version with another, whose business its lists are.
    """

    def __init__(self, first: Snapshot, *, is_still: bool = False) -> None:
        self.current = first
        self._is_still = is_still
        self._n_asked = 0
        self._writing = threading.Lock()
        self._listing = threading.Lock()
        self._job = threading.Lock()  # for what follows, and never held for long
        self._is_due = self._is_running = False
        self._given_up: weakref.ref[IndexPart] | None = None

    def change(self, make: Callable[[Snapshot], Snapshot]) -> Snapshot:
        """
        Put in place what ``make`` returns for the current version, or, where it raises, nothing.

        Raises
        ------
        EngineError
            If it is still: it shares the room for later versions with the one that it was taken from.
        """
        if self._is_still:
            raise EngineError("changes", "must be made to the engine that this one was taken from: it stays as it is")
        with self._writing:
            before = self.current
            self.current = after = make(before)
        if before.base.is_listed and not after.base.is_listed and self._pays:
            self.list_beside()
        return after

    def count_queries(self, n: int) -> None:
        """Take note of n searches by row; once there were enough to pay for lists, let them be made beside."""
        if self._is_still:
            return
        self._n_asked += n  # of two threads at once one may go uncounted
        if not self.current.base.is_listed and self._pays:
            self.list_beside()

    @property
    def _pays(self) -> bool:
        return self._n_asked > max(_MIN_QUERIES, self.current.n_rows // _ROWS_A_QUERY)

    def list_now(self) -> None:
        """List the rows near every cell of the base, if they are not yet; return when the lists are in place."""
        for base in self._bare_bases():
            self._list(base)

    def _bare_bases(self) -> Iterator[IndexPart]:
        """Yield the current base, and whichever is in its place afterwards, until it is listed or was tried."""
        tried = None
        while (base := self.current.base) is not tried and not base.is_listed:
            tried = base
            yield base

    def _list(self, base: IndexPart) -> None:
        with self._listing:
            if self.current.base is base:  # nobody listed it meanwhile
                self._n_asked = 0
                self._put(base, base.listed())

    def _put(self, bare: IndexPart, listed: IndexPart) -> None:
        if not listed.is_listed:  # it has no row, or more than lists can name
            self._given_up = weakref.ref(bare)
            return
        with self._writing:
            if self.current.base is bare:
                self.current = replace(self.current, base=listed)

    def list_beside(self) -> None:
        """
        Let a thread list the rows near every cell of the base; return at once, and never raise.

        There is one such thread at a time, and none when nothing is to be done. A failure is logged; the trees go on
        answering, and the same base is not tried again.
        """
        with self._job:
            base = self.current.base
            if base.is_listed or (self._given_up is not None and self._given_up() is base):
                return
            self._is_due = True
            if self._is_running:
                return
            try:
                threading.Thread(target=self._list_while_due, name="linli-lists", daemon=True).start()
                self._is_running = True
            except RuntimeError:  # no thread is to be had
                self._give_up(base)

    def _list_while_due(self) -> None:
        while self._is_still_due():
            for base in self._bare_bases():
                try:
                    self._list(base)
                except Exception:  # noqa: BLE001 - it is logged, and nobody is there to catch it
                    with self._job:
                        self._give_up(base)

    def _is_still_due(self) -> bool:
        with self._job:
            self._is_running, self._is_due = self._is_due, False
            return self._is_running

    def _give_up(self, base: IndexPart) -> None:
        self._given_up = weakref.ref(base)
        _LOG.exception("the rows near every cell could not be listed: searches go on without")
