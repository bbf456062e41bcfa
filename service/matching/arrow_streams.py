"""Read an Arrow IPC stream that a stranger sent: no more rows, columns, kinds and bytes than were asked for."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from service.http.problems import ProblemError, invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["COLUMNS", "MAX_PLACES", "read_places"]

MAX_PLACES = 20_000
_MAX_BATCHES = 1_000
_MAX_CHARS = 1_000
_MAX_DICTIONARY_BYTES = 32 << 20  # all are looked at with each record batch, whether they are other ones or not
_REQUIRED = ("lat", "lng", "offer")
_HEADER_TYPE, _HEADER = 1, 2  # fields of Message, in Arrow's Message.fbs
_DATA = 1  # of DictionaryBatch
_COMPRESSION = 3  # of RecordBatch
_DICTIONARY_BATCH = 2  # of the union MessageHeader
_CARRIES_DATA = {"record batch", "dictionary"}


def _is_number(kind: Any) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _is_text(kind: Any) -> bool:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.types.is_string(plain) or pa.types.is_large_string(plain)


def _is_instant(kind: Any) -> bool:
    return _is_text(kind) or (pa.types.is_timestamp(kind) and kind.tz is not None)


def _is_texts(kind: Any) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    plain = is_list and (pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type))
    return plain or _is_text(kind)


def _nothing_or(is_kind: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda kind: pa.types.is_null(kind) or is_kind(kind)


COLUMNS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "lat": (_is_number, "numbers"),
    "lng": (_is_number, "numbers"),
    "offer": (_is_text, "text, plain or dictionary-encoded"),
    "at": (_nothing_or(_is_instant), "timestamps with a time zone, or text with an offset"),
    "quantity": (_nothing_or(pa.types.is_integer), "whole numbers"),
    "features": (_nothing_or(_is_texts), "lists of text, or text with ; between keys"),
}
"""The columns that are taken, and of which kinds: others may hold in a few bytes what fills the memory once it is read."""


def read_places(body: bytes) -> dict[str, pa.Array[Any]]:
    """
    Return the columns of a stream, each in one piece.

    Raises
    ------
    ProblemError
        For a body that is no such stream, is compressed, holds too much or other columns than are taken.
    """
    buffer = pa.py_buffer(body)
    try:
        _refuse_compressed(buffer)
        with pa.ipc.open_stream(buffer) as stream:
            _check_schema(stream.schema)
            batches = _batches(stream)
            schema = batches[0].schema if batches else stream.schema
            table = pa.Table.from_batches(batches, schema=schema).combine_chunks()
        return {name: _whole(table[name], name) for name in table.column_names}
    except ProblemError:
        raise
    except (pa.ArrowException, OSError, ValueError, struct.error, IndexError) as error:
        raise invalid("/", f"must be an Arrow IPC stream: {str(error).partition(chr(10))[0]:.200}") from error


def _refuse_compressed(buffer: pa.Buffer) -> None:
    # A compressed buffer says itself how long it will be, and would be given the memory.
    for message in pa.ipc.MessageReader.open_stream(buffer):
        if message.type in _CARRIES_DATA and _is_compressed(message.metadata.to_pybytes()):
            raise ProblemError("unsupported-encoding", "send Arrow buffers as they are, not compressed")


def _is_compressed(metadata: bytes) -> bool:
    """Read the flatbuffer of a message: whether its batch names a compression."""
    message = struct.unpack_from("<I", metadata, 0)[0]
    header, kind = _field(metadata, message, _HEADER), _field(metadata, message, _HEADER_TYPE)
    if header is None or kind is None:
        return False
    batch = _followed(metadata, header)
    if metadata[kind] == _DICTIONARY_BATCH:
        data = _field(metadata, batch, _DATA)
        if data is None:
            return False
        batch = _followed(metadata, data)
    return _field(metadata, batch, _COMPRESSION) is not None


def _followed(data: bytes, at: int) -> int:
    return at + int(struct.unpack_from("<I", data, at)[0])


def _field(data: bytes, table: int, number: int) -> int | None:
    """Return where a field of a flatbuffer's table stands, None where it is left out."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    if 4 + 2 * number >= struct.unpack_from("<H", data, vtable)[0]:
        return None
    offset = int(struct.unpack_from("<H", data, vtable + 4 + 2 * number)[0])
    return table + offset if offset else None


def _check_schema(schema: pa.Schema) -> None:
    for name in _REQUIRED:
        if name not in schema.names:
            raise invalid(name, "must be there")
    for name in schema.names:
        if name not in COLUMNS:
            raise invalid(name[:60], f"is no column that is taken; those are {', '.join(COLUMNS)}")
        if schema.names.count(name) > 1:
            raise invalid(name, "is there twice, must be once")
        is_kind, expected = COLUMNS[name]
        kind = schema.field(name).type
        if not is_kind(kind):
            raise invalid(name, f"must be {expected}, got {kind!s:.60}")


def _batches(stream: Any) -> list[pa.RecordBatch]:
    batches: list[pa.RecordBatch] = []
    n_rows = n_bytes = 0
    for batch in stream:
        n_rows += batch.num_rows
        if n_rows > MAX_PLACES:
            raise ProblemError("batch-too-large", f"at most {MAX_PLACES} places are taken, got more; split it")
        if len(batches) == _MAX_BATCHES:
            raise ProblemError("batch-too-large", f"at most {_MAX_BATCHES} record batches are taken, got more")
        n_bytes += sum(_dictionary_bytes(column) for column in batch if pa.types.is_dictionary(column.type))
        if n_bytes > _MAX_DICTIONARY_BYTES:
            text = f"at most {_MAX_DICTIONARY_BYTES} bytes of dictionaries are taken over all record batches, got more"
            raise ProblemError("batch-too-large", text)
        batch.validate(full=True)
        batches.append(batch)
    return batches if len(batches) < 2 else [_plain(batch) for batch in batches]


def _dictionary_bytes(column: Any) -> int:
    """Return how many bytes a dictionary has; what it says of itself is not believed yet, or read."""
    return sum(buffer.size for buffer in column.dictionary.buffers() if buffer is not None)


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch without dictionaries: those of many would be made one, anew with each of them."""
    columns = [_decoded(batch.column(name), name) for name in batch.schema.names]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _decoded(column: Any, name: str) -> Any:
    if not pa.types.is_dictionary(column.type):
        return column
    _check_dictionary(column, name)
    return column.dictionary_decode()


def _whole(column: pa.ChunkedArray[Any], name: str) -> pa.Array[Any]:
    array: Any = column.chunk(0) if column.num_chunks else pa.nulls(0, column.type)
    if pa.types.is_dictionary(array.type):
        _check_dictionary(array, name)
    whole: pa.Array[Any] = array
    return whole


def _check_dictionary(array: Any, name: str) -> None:
    """Refuse long texts: one of a dictionary may stand in every row."""
    longest = pc.max(pc.binary_length(array.dictionary)).as_py() or 0
    if longest > _MAX_CHARS:
        raise invalid(name, f"must have at most {_MAX_CHARS} bytes in each text of its dictionary, got {longest}")
