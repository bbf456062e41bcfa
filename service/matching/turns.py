"""Orders that use up capacity: gathered whole in compact arrays, served by when they were asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine import Engine
from service.matching.asking import Found, Terms, match_in_turn
from service.matching.columns import Orders

__all__ = ["Turns", "spooled_turns"]

_TURNS_A_CHUNK = 65_536
_NUMBERS = ("lat", "lng", "offer", "at", "asked_at", "turn_ns", "quantity", "wants")
_ID = pa.schema([pa.field("order_id", pa.string())])


class Turns:
    """
    All orders of a file: 56 bytes each in memory, their ids on disk.

    Made by `spooled_turns`; `add` every batch, `serve` once, then `answers` gives them back in the order in
    which they came.
    """

    def __init__(self, spool: Any) -> None:
        self._spool = spool
        self._ids = pa.ipc.new_stream(spool, _ID)
        self._parts: dict[str, list[NDArray[Any]]] = {name: [] for name in _NUMBERS}
        self._offers: dict[str, int] = {}
        self._feature_sets: dict[frozenset[str], int] = {}
        self._sizes: list[int] = []

    def add(self, orders: Orders) -> None:
        """Take a batch."""
        numbers = {name: getattr(orders, name) for name in _NUMBERS}
        numbers["offer"] = _renumbered(orders.offer, orders.offers, self._offers)
        numbers["wants"] = _renumbered(orders.wants, orders.feature_sets, self._feature_sets)
        for name, part in numbers.items():
            self._parts[name].append(part)
        self._ids.write_batch(pa.RecordBatch.from_arrays([orders.order_id], schema=_ID))
        self._sizes.append(len(orders))

    def serve(self, engine: Engine, terms: Terms, served: Callable[[float], None]) -> Found:
        """
        Serve the orders by when they were asked, those that do not tell it last; ties as they came.

        Parameters
        ----------
        engine
            Its units are copied, not changed.
        terms
            For every order.
        served
            Called with the share that was served so far.
        """
        self._ids.close()
        numbers = {name: self._whole(name) for name in _NUMBERS}
        n = numbers["turn_ns"].size
        turn = np.argsort(numbers.pop("turn_ns"), kind="stable")
        found, units = Found.nothing(n), engine.units()
        for start in range(0, n, _TURNS_A_CHUNK):
            chosen = turn[start : start + _TURNS_A_CHUNK]
            part = match_in_turn(engine, self._orders(numbers, chosen), terms, units)
            found.row[chosen], found.code[chosen], found.distance_m[chosen] = part.row, part.code, part.distance_m
            served((start + chosen.size) / n)
        return found

    def answers(self, found: Found) -> Iterator[tuple[pa.Array[Any], Found]]:
        """Give the ids and answers in batches, in the order in which the orders came."""
        self._spool.seek(0)
        start = 0
        for ids, n in zip(pa.ipc.open_stream(self._spool), self._sizes, strict=True):
            stop = start + n
            yield ids.column(0), Found(found.row[start:stop], found.code[start:stop], found.distance_m[start:stop])
            start = stop

    def _whole(self, name: str) -> NDArray[Any]:
        parts = self._parts.pop(name)  # a column at a time, so that no more than one is there twice
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def _orders(self, numbers: dict[str, NDArray[Any]], chosen: NDArray[np.int64]) -> Orders:
        columns = {name: column[chosen] for name, column in numbers.items()}
        return Orders(
            order_id=pa.nulls(chosen.size, pa.string()),
            turn_ns=chosen,
            offers=list(self._offers),
            feature_sets=list(self._feature_sets),
            **columns,
        )


@contextmanager
def spooled_turns(folder: Path) -> Iterator[Turns]:
    """Open `Turns` with the ids in a file without a name in ``folder``: it is gone with the process."""
    with TemporaryFile(dir=folder) as spool:
        yield Turns(spool)


def _renumbered(codes: NDArray[np.int32], values: list[Any], numbers: dict[Any, int]) -> NDArray[np.int32]:
    """Return codes by what all batches share; values are entered as they come."""
    new = np.array([numbers.setdefault(value, len(numbers)) for value in values], np.int32)
    return new[codes] if codes.size else codes
