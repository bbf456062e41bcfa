"""A CSV file of stock as it comes: its header, then line by line what each says."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any

from service.http.problems import invalid
from service.imports.lines import MAX_LINE_BYTES
from service.stock.schemas import BulkStockBody

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["CsvLines"]

_BOM = "\ufeff"
_NULL = frozenset({"counted", "good_for_s"})  # what an empty field of these says; of others, that it is left out
_NUMBERS = frozenset({"price_minor", "counted", "safety", "good_for_s"})
_NEEDED = ("sku", "name", "price_minor", "currency", "counted")
_WHOLE = re.compile("-?[0-9]{1,19}")


class CsvLines:
    """Turns lines into what a JSON object would say, by the header that it has seen pass."""

    def __init__(self) -> None:
        self._header = b""
        self._names: list[str] | None = None

    async def watched(self, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the blocks of a stream as they are; the header is known before the block that ends it is out."""
        is_whole = False
        async for block in stream:
            if not is_whole:
                self._header, end, _ = (self._header + block).partition(b"\n")
                is_whole = bool(end) or len(self._header) > MAX_LINE_BYTES
            yield block

    def check_header(self) -> list[str]:
        """
        Return the names in the header.

        Raises
        ------
        ProblemError
            If it does not name each column once, or another, or not all that are needed.
        """
        names = [name.strip() for name in _fields(self._header)]
        known = list(BulkStockBody.model_fields)
        if len(set(names)) != len(names) or not set(_NEEDED) <= set(names) <= set(known):
            text = f"must name {', '.join(_NEEDED)} and, if need be, {', '.join(sorted(set(known) - set(_NEEDED)))}, "
            raise invalid("header", f"{text}each once, got {', '.join(names)!r:.200}")
        self._names = names
        return names

    def object_of(self, line: bytes) -> dict[str, Any]:
        """
        Return what a line says.

        Raises
        ------
        ProblemError
            If it is no line of CSV, or has another number of fields than the header.
        """
        names = self.check_header() if self._names is None else self._names
        values = _fields(line)
        if len(values) != len(names):
            raise invalid("", f"must have {len(names)} fields as the header has, got {len(values)}")
        told = {name: _value(name, text) for name, text in zip(names, values, strict=True)}
        return {name: value for name, value in told.items() if value is not None or name in _NULL}


def _fields(line: bytes) -> list[str]:
    try:
        text = line.decode().removeprefix(_BOM)
        return next(csv.reader([text], strict=True), [])
    except UnicodeDecodeError as error:
        raise invalid("", f"must be UTF-8, is not at byte {error.start}") from error
    except csv.Error as error:
        raise invalid("", f"must be one line of CSV, quotes closed on it: {error}") from error


def _value(name: str, text: str) -> Any:
    if text == "":
        return None
    return int(text) if name in _NUMBERS and _WHOLE.fullmatch(text) else text
