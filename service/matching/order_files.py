"""Readers of orders files: CSV and Parquet here, NDJSON beside; each in batches of bounded size."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from service.csv_records import is_unicode
from service.errors import BadFileError
from service.files import format_of
from service.matching.columns import ORDER_COLUMNS, BadRow, OrdersFile, RawOrders, check_header
from service.matching.ndjson import NdjsonOrders

__all__ = ["BATCH_ROWS", "FORMATS", "CsvOrders", "ParquetOrders", "open_orders"]

BATCH_ROWS = 65_536
_CSV_BLOCK_BYTES = 4 * 1024 * 1024
FORMATS = {".csv": "csv", ".parquet": "parquet", ".ndjson": "ndjson", ".jsonl": "ndjson"}


@contextmanager
def open_orders(path: Path) -> Iterator[OrdersFile]:
    """
    Open a file of orders: CSV, Parquet or NDJSON by its suffix.

    Raises
    ------
    BadFileError
        If it cannot be read, is of another kind, or lacks a column; also while it is read.
    """
    kind, name = format_of(path, FORMATS), cast("str", os.fsencode(path))
    with _readable(path):
        # Arrow reads CSV ahead in threads of its own; one within Python's file as the process ends would abort it.
        source: Any = pa.OSFile(name, "r") if kind == "csv" else path.open("rb")
    with source:
        if kind == "csv":
            yield CsvOrders(path, source)
        elif kind == "parquet":
            yield ParquetOrders(path, source)
        else:
            yield NdjsonOrders(path, source, batch_rows=BATCH_ROWS)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise BadFileError(path, None, f"cannot be read: {error}") from error


class CsvOrders:
    """
    Orders in CSV: UTF-8, a header, commas; every cell is text until it is checked.

    A row is a record and the header is the first, so that numbers agree with an editor's lines as long as
    no cell holds a line break. Empty rows count, and are passed over.
    """

    def __init__(self, path: Path, source: Any) -> None:  # a pa.NativeFile, which Arrow's stubs do not take
        self._path = path
        self._source = source
        self._torn: list[BadRow] = []  # in order of row, not given away yet
        self._size = max(1, path.stat().st_size)
        with _readable(path):
            names = _csv_names(source)
            self._batches = self._open(check_header(path, names))
        self._ignored = [name for name in names if name not in ORDER_COLUMNS]

    def __iter__(self) -> Iterator[RawOrders]:
        """Give the rows in batches."""
        next_row = 2
        with _readable(self._path):
            for batch in self._batches:
                taken = np.arange(next_row, next_row + batch.num_rows + len(self._torn))
                row = np.setdiff1d(taken, [torn.row for torn in self._torn], assume_unique=True)[: batch.num_rows]
                next_row = int(row[-1]) + 1 if row.size else next_row
                filled = _filled(batch)
                yield RawOrders(row[filled], _columns(batch.filter(pa.array(filled))), self._torn_before(next_row))
        if self._torn:
            yield RawOrders(np.empty(0, np.int64), _columns(self._batches.schema.empty_table()), self._torn)

    def share_read(self) -> float:
        """Tell how much of the file was read, from 0 to 1."""
        return self._source.tell() / self._size

    def ignored(self) -> list[str]:
        """Name the columns that mean nothing to linli."""
        return self._ignored

    def _open(self, columns: list[str]) -> pacsv.CSVStreamingReader:
        return pacsv.open_csv(
            self._source,
            # With threads Arrow does not tell the numbers of torn rows.
            read_options=pacsv.ReadOptions(use_threads=False, block_size=_CSV_BLOCK_BYTES),
            parse_options=pacsv.ParseOptions(
                newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=self._note_torn
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.binary()), include_columns=columns
            ),
        )

    def _note_torn(self, torn: pacsv.InvalidRow) -> Literal["skip"]:
        if torn.number is not None:
            reason = f"must have {torn.expected_columns} cells, got {torn.actual_columns}"
            self._torn.append(BadRow(torn.number, reason))
        return "skip"

    def _torn_before(self, row: int) -> list[BadRow]:
        given = [torn for torn in self._torn if torn.row < row]
        self._torn = self._torn[len(given) :]
        return given


def _csv_names(source: Any) -> list[str]:
    """
    Return the header, and go back to the start.

    Not by Arrow: a reader of it that is given up would still hold Python's handler of torn rows in a thread of Arrow's as
    the process ends, which that aborts.
    """
    start = TextIOWrapper(BytesIO(source.read(_CSV_BLOCK_BYTES)), "utf-8-sig", errors="surrogateescape", newline="")
    source.seek(0)
    try:
        names = next(csv.reader(start), None)
    except csv.Error as error:
        raise pa.ArrowInvalid(str(error)) from error
    if names is None:
        raise pa.ArrowInvalid("Empty CSV file")
    if not names:
        raise pa.ArrowInvalid("the first line must be the header, and is empty")
    if not all(map(is_unicode, names)):
        raise pa.ArrowInvalid("the header must be in UTF-8")
    return names


def _filled(batch: pa.RecordBatch) -> Any:
    """Return which rows have anything in them: a bool array."""
    filled = np.zeros(batch.num_rows, np.bool_)
    for column in batch.columns:
        if filled.all():
            break
        filled |= np.diff(_offsets(column)) > 0
    return filled


def _offsets(column: pa.Array[Any]) -> Any:
    """Return where the texts of a binary column begin and end, int32[n + 1]."""
    return np.frombuffer(memoryview(column.buffers()[1] or b""), np.int32, len(column) + 1, column.offset * 4)


def _columns(batch: pa.RecordBatch | pa.Table) -> dict[str, pa.Array[Any]]:
    columns = (column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column for column in batch.columns)
    return dict(zip(batch.schema.names, columns, strict=True))


class ParquetOrders:
    """Orders in Parquet, a few row groups in memory at once; the first order is row 1."""

    def __init__(self, path: Path, source: BinaryIO) -> None:
        self._path = path
        with _readable(path):
            self._file = pq.ParquetFile(source, pre_buffer=False)
            names = self._file.schema_arrow.names
        self._columns = check_header(path, names)
        self._ignored = [name for name in names if name not in ORDER_COLUMNS]
        self._n_rows = max(1, self._file.metadata.num_rows)
        self._n_read = 0

    def __iter__(self) -> Iterator[RawOrders]:
        """Give the rows in batches."""
        with _readable(self._path):
            for batch in self._file.iter_batches(BATCH_ROWS, columns=self._columns, use_threads=False):
                row = np.arange(self._n_read + 1, self._n_read + 1 + batch.num_rows)
                self._n_read += batch.num_rows
                yield RawOrders(row, _columns(batch), [])

    def share_read(self) -> float:
        """Tell how much of the file was read, from 0 to 1."""
        return self._n_read / self._n_rows

    def ignored(self) -> list[str]:
        """Name the columns that mean nothing to linli."""
        return self._ignored
