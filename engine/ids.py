"""Distinct UTF-8 strings in one arena with a hash: no Python object a string."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.kernels import ids as kernels

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["IdTable"]


def _arena(strings: pa.Array[Any]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    # Copies, since kernels are compiled for writable, aligned arrays that own their order.
    strings = strings.cast(pa.large_string())
    buffers: list[Any] = strings.buffers()
    _, offsets, data = buffers
    starts = (
        np.frombuffer(offsets, np.int64)[strings.offset : strings.offset + len(strings) + 1]
        if offsets
        else np.zeros(1, np.int64)
    )
    raw = np.frombuffer(data, np.uint8) if data else np.empty(0, np.uint8)
    return raw[starts[0] : starts[-1]].copy(), starts - starts[0]


class IdTable(NamedTuple):
    """
    Distinct strings, numbered from 0 as they first came.

    Attributes
    ----------
    arena
        uint8[b]: all strings' bytes.
    offsets
        int64[n + 1]: where each starts.
    slots
        int64[s]: the hash.
    order
        int64[n]: numbers by ascending bytes.
    """

    arena: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    slots: NDArray[np.int64]
    order: NDArray[np.int64]

    @classmethod
    def from_strings(cls, strings: pa.Array[Any]) -> tuple[IdTable, NDArray[np.int64]]:
        """Return the table of an Arrow string array without nulls, and the number of each of its n strings."""
        encoded: Any = pc.dictionary_encode(strings.cast(pa.large_string()))
        distinct = encoded.dictionary
        order = pc.sort_indices(distinct).to_numpy().astype(np.int64)
        return cls.from_arena(*_arena(distinct), order), encoded.indices.to_numpy().astype(np.int64)

    @classmethod
    def from_arena(cls, arena: NDArray[np.uint8], offsets: NDArray[np.int64], order: NDArray[np.int64]) -> IdTable:
        """Return the table of distinct strings in an arena, with its hash made anew."""
        slots = np.full(1 << max(3, (2 * offsets.size).bit_length()), -1, np.int64)
        with np.errstate(over="ignore"):  # the hash wraps round, of which an interpreted kernel would warn
            kernels.fill_slots(arena, offsets, slots)
        return cls(arena, offsets, slots, order)

    @property
    def size(self) -> int:
        """How many strings there are."""
        return self.offsets.size - 1

    def find(self, strings: Sequence[str] | pa.Array[Any]) -> NDArray[np.int64]:
        """Return the number of each string, -1 where it is not among them."""
        wanted, offsets = _arena(_as_arrow(strings))
        out = np.empty(offsets.size - 1, np.int64)
        with np.errstate(over="ignore"):
            kernels.find(self.arena, self.offsets, self.slots, wanted, offsets, out)
        return out

    def ranks(self, other: IdTable) -> NDArray[np.int64]:
        """Return for each string of another table how many of this one are smaller by bytes."""
        out = np.empty(other.size, np.int64)
        kernels.rank_in(self.arena, self.offsets, self.order, other.arena, other.offsets, out)
        return out

    def strings(self) -> pa.Array[Any]:
        """Return all strings as one Arrow array, by number."""
        buffers = [None, pa.py_buffer(self.offsets.data), pa.py_buffer(self.arena.data)]
        return pa.Array.from_buffers(pa.large_string(), self.size, buffers)

    def take(self, numbers: NDArray[np.int64]) -> pa.Array[Any]:
        """Return the strings of these numbers as an Arrow array; null where a number is negative."""
        return self.strings().take(pa.array(numbers, pa.int64(), mask=numbers < 0))

    def text(self, number: int) -> str:
        """Return one string."""
        return bytes(self.arena[self.offsets[number] : self.offsets[number + 1]]).decode()


def _as_arrow(strings: Sequence[str] | pa.Array[Any]) -> pa.Array[Any]:
    if isinstance(strings, pa.Array):
        return strings
    return pa.array(strings, pa.large_string())
