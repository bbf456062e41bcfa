"""Write answers batch by batch: CSV, Parquet or NDJSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine import REASONS, Engine
from service.files import format_of
from service.matching.cells import as_mask
from service.matching.order_files import FORMATS
from service.matching.spreadsheets import escaped

__all__ = ["ANSWER_SCHEMA", "AnswerSink", "answer_batch", "open_answers"]

_FIELDS: dict[str, pa.DataType] = {
    "order_id": pa.string(),
    "status": pa.string(),
    "point_id": pa.string(),
    "distance_m": pa.float64(),
    "version": pa.int64(),
}
ANSWER_SCHEMA = pa.schema(_FIELDS)
_SPECIAL = r'[",\r\n]'


class AnswerSink(Protocol):
    """An open file of answers."""

    def write(self, answers: pa.RecordBatch) -> None:
        """Append a batch."""


def answer_batch(
    engine: Engine,
    order_id: pa.Array[Any],
    row: NDArray[np.int64],
    code: NDArray[np.uint8],
    distance_m: NDArray[np.float64],
    version: int,
) -> pa.RecordBatch:
    """
    Return answers as a batch of `ANSWER_SCHEMA`.

    Parameters
    ----------
    engine
        Whose points they are.
    order_id
        n of them.
    row, distance_m
        The match of each, -1 and anything where there is none.
    code
        Of `REASONS`.
    version
        The version of the index.
    """
    unmatched = row < 0
    status = pa.DictionaryArray.from_arrays(code.astype(np.int32), pa.array(REASONS)).dictionary_decode()
    columns = [
        order_id,
        status,
        pa.array(engine.point_ids(row), pa.string()),
        pa.array(distance_m, pa.float64(), mask=unmatched),
        pa.array(np.full(row.size, version, np.int64)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=ANSWER_SCHEMA)


@contextmanager
def open_answers(path: Path) -> Iterator[AnswerSink]:
    """Open a file of answers by its suffix; the block's end completes it."""
    kind = format_of(path, FORMATS)
    if kind == "csv":
        with path.open("wb") as file:
            file.write((",".join(ANSWER_SCHEMA.names) + "\n").encode())
            yield _CsvSink(file)
    elif kind == "parquet":
        with pq.ParquetWriter(path, ANSWER_SCHEMA) as parquet:
            yield parquet
    else:
        with path.open("w", encoding="utf-8", newline="\n") as text:
            yield _NdjsonSink(text)


class _CsvSink:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, answers: pa.RecordBatch) -> None:
        quoting: Literal["none", "needed"] = "none"
        for name in ("order_id", "point_id"):
            position = answers.schema.get_field_index(name)
            text = escaped(answers.column(position))
            answers = answers.set_column(position, ANSWER_SCHEMA.field(name), text)
            if as_mask(pc.match_substring_regex(text, _SPECIAL)).any():
                quoting = "needed"  # Arrow quotes all text then, needed or not
        pacsv.write_csv(answers, self._file, pacsv.WriteOptions(include_header=False, quoting_style=quoting))


class _NdjsonSink:
    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, answers: pa.RecordBatch) -> None:
        encode = json.JSONEncoder(ensure_ascii=False).encode
        self._file.writelines(f"{encode(answer)}\n" for answer in answers.to_pylist())
