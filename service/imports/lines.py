"""A stream of bytes as batches of lines, with the digest of all bytes up to each batch's end."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from _hashlib import HASH
    from collections.abc import Iterator

__all__ = ["MAX_LINE_BYTES", "Batch", "LineCutter", "Reach"]

MAX_LINE_BYTES = 256 * 1024
_MOST_LINES, _MOST_BYTES = 500, 1024 * 1024


@dataclass(frozen=True)
class Reach:
    """
    How far into a stream.

    Attributes
    ----------
    n_bytes, digest
        How many bytes there are up to here, and their SHA-256.
    """

    n_bytes: int
    digest: str
    _hash: HASH = field(compare=False, repr=False)

    @classmethod
    def start(cls) -> Reach:
        """Return that of no byte."""
        empty = hashlib.sha256()
        return cls(0, empty.hexdigest(), empty)

    def behind(self, data: bytes) -> Reach:
        """Return how far it is behind some more bytes."""
        longer = self._hash.copy()
        longer.update(data)
        return Reach(self.n_bytes + len(data), longer.hexdigest(), longer)


class Batch(NamedTuple):
    """
    Some lines in a row.

    Attributes
    ----------
    first
        The number of the first, counted from 1.
    lines
        Their bytes without line ends; None for one that is longer than `MAX_LINE_BYTES`, which is the last then.
    start, end
        How far it is up to it, and up to its end.
    """

    first: int
    lines: list[bytes | None]
    start: Reach
    end: Reach

    def parted(self, line: int) -> tuple[Batch, Batch]:
        """Return the lines before one of them, and it with those behind it."""
        lines = self.lines[: line - self.first]
        middle = self.start.behind(b"".join([one + b"\n" for one in lines if one is not None]))
        return Batch(self.first, lines, self.start, middle), Batch(line, self.lines[len(lines) :], middle, self.end)

    @property
    def numbers(self) -> range:
        """The numbers of the lines."""
        return range(self.first, self.last + 1)

    @property
    def last(self) -> int:
        """The number of the last line."""
        return self.first + len(self.lines) - 1


class LineCutter:
    """
    Cuts a stream into batches; what came before is passed over and only digested.

    Parameters
    ----------
    lines_done, bytes_done
        Where to begin: these bytes at the start, which hold so many lines, are done.
    """

    def __init__(self, lines_done: int = 0, bytes_done: int = 0) -> None:
        self._start = self._end = Reach.start()  # of the next batch, and of what is digested
        self._to_pass = bytes_done
        self._n_lines = lines_done
        self._lines: list[bytes | None] = []
        self._size = 0
        self._tail = b""
        self._is_too_long = False

    @property
    def n_to_pass(self) -> int:
        """How many bytes are still to be passed over."""
        return self._to_pass

    @property
    def digest(self) -> str:
        """The SHA-256 of the bytes up to the last batch's end."""
        return self._end.digest

    def pass_over(self, block: bytes) -> bytes:
        """Digest what is done of a block; return the rest."""
        done, rest = block[: self._to_pass], block[self._to_pass :]
        self._start = self._end = self._end.behind(done)
        self._to_pass -= len(done)
        return rest

    def feed(self, block: bytes) -> Iterator[Batch]:
        """Yield the batches that are complete with a block."""
        *lines, tail = block.split(b"\n")
        if lines:
            yield from self._add(lines[0], is_ended=True)
            for line in lines[1:]:
                self._lines.append(line)
                self._size += len(line) + 1
                if len(line) > MAX_LINE_BYTES:  # a block as large as that is rare
                    self._lines[-1] = None
                    yield self._batch(self._joined(line))
                elif len(self._lines) >= _MOST_LINES or self._size >= _MOST_BYTES:
                    yield self._batch(self._joined())
        yield from self._add(tail, is_ended=False)

    def end(self) -> Iterator[Batch]:
        """Yield what is left: a last line needs no end."""
        if self._is_too_long:
            self._lines.append(None)
            yield self._batch(b"")
        elif self._tail or self._lines:
            if self._tail:
                self._lines.append(self._tail)
            yield self._batch(self._joined()[: None if not self._tail else -1])

    def _add(self, piece: bytes, *, is_ended: bool) -> Iterator[Batch]:
        """Go on with the line that has no end yet."""
        if not self._is_too_long and len(self._tail) + len(piece) > MAX_LINE_BYTES:
            if self._lines:
                yield self._batch(self._joined())
            self._end = self._end.behind(self._tail)
            self._tail, self._is_too_long = b"", True
        if self._is_too_long:
            self._end = self._end.behind(piece)
            if is_ended:
                self._is_too_long = False
                self._lines.append(None)
                yield self._batch(b"\n")
        elif is_ended:
            line, self._tail = self._tail + piece, b""
            self._lines.append(line)
            self._size += len(line) + 1
            if len(self._lines) >= _MOST_LINES or self._size >= _MOST_BYTES:
                yield self._batch(self._joined())
        else:
            self._tail += piece

    def _joined(self, too_long: bytes = b"") -> bytes:
        return b"".join([(too_long if line is None else line) + b"\n" for line in self._lines])

    def _batch(self, data: bytes) -> Batch:
        self._end = self._end.behind(data)
        batch = Batch(self._n_lines + 1, self._lines, self._start, self._end)
        self._start = self._end
        self._n_lines += len(self._lines)
        self._lines, self._size = [], 0
        return batch
