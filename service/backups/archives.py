"""The file of a backup: a zip with a manifest and one Arrow file a table, and the SHA-256 of the whole at its end."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any, cast

import pyarrow as pa

from service.errors import BadFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Self

__all__ = ["ArchiveWriter", "Manifest", "check_archive", "read_batches", "read_manifest", "seal"]

FORMAT = 1
_NAME = "manifest.json"
_PIECE = 1 << 20
_MARK = b"sha256:"
_N_TAIL = len(_MARK) + 64


@dataclass(frozen=True)
class Manifest:
    """
    What a backup says of itself.

    Attributes
    ----------
    schema
        Revision of the database's schema.
    feed_id, position
        Of which feed it is, and up to where.
    serials
        The highest number given so far, by table that numbers its rows.
    rows, digests
        How many rows each table has, and the SHA-256 of its member.
    """

    format: int
    linli: str
    database: str
    schema: str
    made_at: str
    feed_id: str
    position: str
    serials: dict[str, int]
    rows: dict[str, int]
    digests: dict[str, str]


class ArchiveWriter:
    """Writes the members of a new archive in a ``with`` block; `seal` ends the file."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True)
        self.rows: dict[str, int] = {}
        self.digests: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError, ValueError):  # of what is given up; a whole archive is closed by then
            self._zip.close()

    def add_table(self, name: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        """Write a table as one member."""
        self.rows[name] = 0
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with self._zip.open(f"{name}.arrow", "w", force_zip64=True) as member:
            hashed = _Hashed(member)
            with pa.ipc.new_stream(pa.PythonFile(hashed, "w"), schema, options=options) as writer:
                for batch in batches:
                    writer.write_batch(batch)
                    self.rows[name] += batch.num_rows
        self.digests[name] = hashed.digest()

    def close(self, manifest: Manifest) -> None:
        """Write the manifest and end the zip."""
        self._zip.writestr(_NAME, json.dumps(asdict(manifest), indent=1))
        self._zip.comment = _MARK + bytes(64)
        self._zip.close()


class _Hashed(io.RawIOBase):
    """A file to write to that remembers the digest of what was written."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self._sha = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._sha.update(data)
        return self._file.write(data)

    def digest(self) -> str:
        return self._sha.hexdigest()


def seal(path: Path) -> None:
    """Put the digest of all that stands before it at the end of the file."""
    with path.open("r+b") as file:
        digest = _digest(file, path.stat().st_size - _N_TAIL, lambda _share: None)
        file.seek(-_N_TAIL, 2)
        file.write(_MARK + digest.encode())


def check_archive(path: Path, progress: Callable[[float], None]) -> None:
    """
    Read a backup from end to end.

    Raises
    ------
    BadFileError
        If it is none, or any bit of it is not as it was written.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            digest = _digest(file, max(0, size - _N_TAIL), progress)
            tail = file.read()
    except OSError as error:
        raise BadFileError(path, None, f"cannot be read: {error.strerror}") from error
    if tail != _MARK + digest.encode():
        raise BadFileError(path, None, "is not a whole backup of linli: its checksum is not that of its content")


def read_manifest(path: Path) -> Manifest:
    """Return the manifest of a checked backup."""
    try:
        with zipfile.ZipFile(path) as archive:
            told = json.loads(archive.read(_NAME))
            if told.get("format") != FORMAT:
                raise BadFileError(path, None, f"is a backup of format {told.get('format')}: it needs a later linli")
            return Manifest(**told)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        if isinstance(error, BadFileError):
            raise
        raise BadFileError(path, None, "is no backup of linli") from error


def read_batches(path: Path, table: str) -> Iterator[pa.RecordBatch]:
    """Give the rows of a table piece by piece."""
    with (
        zipfile.ZipFile(path) as archive,
        archive.open(f"{table}.arrow") as member,
        pa.ipc.open_stream(pa.PythonFile(cast("io.IOBase", member), "r")) as reader,
    ):
        yield from reader


def _digest(file: IO[bytes], n_bytes: int, progress: Callable[[float], None]) -> str:
    sha, left = hashlib.sha256(), n_bytes
    file.seek(0)
    while left:
        piece = file.read(min(_PIECE, left))
        if not piece:
            break
        sha.update(piece)
        left -= len(piece)
        progress(1.0 - left / n_bytes)
    return sha.hexdigest()
