"""The index of this process on disk: written now and then and at the end, restored at the start."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from service.errors import ServiceError
from service.feed.outbox import Position, feed_id, head, kept_from
from service.feed.snapshot_files import SnapshotMeta, newest_snapshot, write_snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from engine import Engine
    from service.feed.index import LiveIndex, Revisions
    from service.feed.snapshot_files import OpenedSnapshot
    from service.store.connections import ReadConnection

__all__ = ["Snapshots", "restored"]

_LOG = logging.getLogger(__name__)
_IDS = "point_ids"
_REVISIONS = "doubled_revisions"  # older files have "revisions", which are others: they are passed over


@dataclass(frozen=True)
class _Held:
    """An index as it was at a position of a feed."""

    engine: Engine
    revisions: Revisions
    position: Position
    feed_id: str


class Snapshots:
    """
    Writes an index to a folder.

    Parameters
    ----------
    index
        What is written.
    folder
        Where to.
    every_s
        How often, if it has changed.
    written
        Position and feed of what the folder holds already.
    """

    def __init__(
        self, index: LiveIndex, folder: Path, *, every_s: float, written: tuple[Position, str] | None = None
    ) -> None:
        self._index = index
        self._folder = folder
        self._every_s = every_s
        self._written = written
        self._last: tuple[Position, str] | None = None
        self._begun_at = time.monotonic()
        self._writing: threading.Thread | None = None

    def rested(self, position: Position, of_feed: str) -> None:
        """Write if it is time; called by the follower's thread, which is not held up by it."""
        self._last = (position, of_feed)
        is_idle = self._writing is None or not self._writing.is_alive()
        if is_idle and self._last != self._written and time.monotonic() - self._begun_at >= self._every_s:
            self._begun_at = time.monotonic()
            self._writing = threading.Thread(target=self._write, args=(self._held(*self._last),), name="linli-snapshot")
            self._writing.start()

    def close(self) -> None:
        """Write what has changed since; called when the follower has ended."""
        if self._writing is not None:
            self._writing.join()
        if self._last is not None and self._last != self._written:
            self._write(self._held(*self._last))

    def _held(self, position: Position, of_feed: str) -> _Held:
        return _Held(self._index.view.engine.still(), self._index.revisions.copy(), position, of_feed)

    def _write(self, held: _Held) -> None:
        made_at = dt.datetime.now(dt.UTC).isoformat()
        meta = SnapshotMeta(held.feed_id, str(held.position), made_at, len(held.revisions))
        beside: dict[str, NDArray[Any]] = {
            _IDS: np.frombuffer("\n".join(held.revisions).encode(), np.uint8),
            _REVISIONS: np.array([*held.revisions.values()], np.int64).reshape(-1, 2),
        }
        try:
            write_snapshot(self._folder, held.engine, meta, beside)
        except (ServiceError, OSError) as error:
            _LOG.warning("the index is not written to %s: %s", self._folder, error)
        else:
            self._written = (held.position, held.feed_id)


def restored(index: LiveIndex, folder: Path, connection: ReadConnection) -> tuple[Position, str] | None:
    """
    Let an index go on from the newest snapshot; return where it stands in which feed.

    None, and nothing is changed, where there is no snapshot, or the store's feed is another or no longer holds what
    came after.
    """
    found = newest_snapshot(folder)
    if found is None:
        return None
    try:
        position, revisions = Position.parse(found.meta.position), _revisions_of(found)
    except (ValueError, LookupError) as error:
        _LOG.warning("snapshot %s is passed over: %s", found.path, error)
        return None
    if found.meta.feed_id != feed_id(connection) or not kept_from(connection) <= position <= head(connection):
        _LOG.info("snapshot %s is of another feed, or too old", found.path)
        return None
    index.restore(found.engine, revisions, position)
    return position, found.meta.feed_id


def _revisions_of(found: OpenedSnapshot) -> Revisions:
    numbers = found.beside[_REVISIONS].tolist()
    text = found.beside[_IDS].tobytes().decode()
    pairs = zip(text.split("\n") if text else [], numbers, strict=True)
    return {point_id: (whole, stock) for point_id, (whole, stock) in pairs}
