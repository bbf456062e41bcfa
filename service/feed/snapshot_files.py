"""
Snapshots of the index on disk, so that a start maps instead of builds.

A file is ``magic, length of the header, digest of the header`` (56 bytes, little-endian), the header (JSON: formats,
meta, and name, dtype, shape, offset and checksum of every array), then the arrays, each at a multiple of 64 bytes, so that
they are used where they are mapped. The digest and every checksum are tested when a file is opened: CRC-32 finds
each flipped bit, reads the pages that the first questions need anyway, and takes 9 of the 16 ms in which 100 000
points are open (0.24 ms a megabyte; BLAKE2b takes four times as long).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import mmap
import re
import struct
import sys
import zlib
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from engine import Engine
from service.files import atomic_path, make_private_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["OpenedSnapshot", "SnapshotMeta", "newest_snapshot", "write_snapshot"]

FORMAT = 2
"""Of the file, and of what the service puts into the index."""
KEPT = 2
"""How many stay: the newest, and the one before it for when that cannot be read."""

_LOG = logging.getLogger("service.feed")
_MAGIC = b"linli snapshot\r\n"
_PREFIX = struct.Struct("<16sQ32s")
_ALIGNED = 64
_NUMBERS = frozenset("biuf")
_NAME = re.compile(r"index-(\d{12,})\.snapshot")
_BESIDE = "beside:"
_TEMPORARY = ".index-*.tmp.snapshot"
_LOCK = ".writing.lock"
# All that a file which linli did not write can make of reading it; nothing in it is ever executed.
_UNFIT = (OSError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)


@dataclass(frozen=True)
class SnapshotMeta:
    """
    What a snapshot is of.

    Attributes
    ----------
    feed_id
        The feed whose changes the index has followed.
    position
        Where in it to go on; read before the index was, never after: a change read twice does no harm.
    made_at
        When, in ISO 8601.
    n_points
        How many points the index holds.
    extra
        Anything small that JSON can hold; it comes back as JSON has it.
    """

    feed_id: str
    position: str
    made_at: str
    n_points: int
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kinds = {"feed_id": str, "position": str, "made_at": str, "n_points": int, "extra": dict}
        for name, kind in kinds.items():
            if not isinstance(getattr(self, name), kind):
                msg = f"{name} must be {kind.__name__}, got {getattr(self, name)!r:.40}"
                raise TypeError(msg)


@dataclass(frozen=True)
class OpenedSnapshot:
    """An index that answers from a mapped file, and what it is of."""

    engine: Engine
    meta: SnapshotMeta
    path: Path
    beside: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Arrays that were written beside the engine's, by name."""


def write_snapshot(
    folder: Path, engine: Engine, meta: SnapshotMeta, beside: Mapping[str, NDArray[Any]] | None = None
) -> Path:
    """
    Write the current version of an index as one file, whole or not at all; return its path.

    ``beside`` are arrays of numbers that belong to it. It is on the disk before it has its name. Writers take turns. All but the newest two are removed, and what
    writers that died have left; a system that keeps mapped files (Windows) keeps them until a later turn.

    Raises
    ------
    BadFileError
        If the folder cannot be written, or the disk is full; what was there stays.
    OSError
        If the disk fails; what was there stays.
    TypeError, ValueError
        If ``meta.extra`` holds what JSON cannot.
    """
    make_private_folder(folder)
    with _alone(folder):
        for left in folder.glob(_TEMPORARY):
            _remove(left)
        number = max(_numbers(folder), default=0) + 1
        path = folder / f"index-{number:012d}.snapshot"
        with atomic_path(path) as temporary:
            named = {f"{_BESIDE}{name}": array for name, array in (beside or {}).items()}
            _write(temporary, engine.to_arrays() | named, meta)
        for _, old in sorted(_numbers(folder).items())[:-KEPT]:
            _remove(old)
    return path


def newest_snapshot(folder: Path) -> OpenedSnapshot | None:
    """
    Map the newest snapshot that is whole, and of this release and format; None where there is none.

    A file that is not is passed over with a warning. No file makes it raise. The engine reads from the map for as long
    as it lives: files are replaced, never written to.
    """
    tried: set[Path] = set()
    while fresh := [path for _, path in sorted(_listed(folder).items()) if path not in tried]:
        tried.add(fresh[-1])
        try:
            return _opened(fresh[-1])
        except FileNotFoundError:
            continue  # a writer put newer ones in its place: the next look finds them
        except _UNFIT as error:
            reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            _LOG.warning("snapshot %s is passed over: %s", fresh[-1], reason)
    return None


def _numbers(folder: Path) -> dict[int, Path]:
    named = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    return {int(match[1]): path for match, path in named if match}


def _listed(folder: Path) -> dict[int, Path]:
    try:
        return _numbers(folder)
    except FileNotFoundError:
        return {}  # the first start
    except OSError as error:
        _LOG.warning("snapshots in %s cannot be listed: %s", folder, error)
        return {}


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _LOG.warning("snapshot %s cannot be removed: %s", path, error)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait for other writers to the folder; a temporary file found now has no writer any more."""
    if sys.platform == "win32":  # it has no such lock, but lets nobody remove a file that is open
        yield
        return
    import fcntl

    with (folder / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, arrays: Mapping[str, NDArray[Any]], meta: SnapshotMeta) -> None:
    placed, end = [], 0
    held = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    for name, array in held.items():
        placed.append(
            {
                "name": name,
                "dtype": array.dtype.str,
                "shape": array.shape,
                "offset": end,
                "crc32": zlib.crc32(array.data),
            }
        )
        end = _aligned(end + array.nbytes)
    words = {"format": FORMAT, "linli": metadata.version("linli"), "meta": asdict(meta), "arrays": placed, "end": end}
    header = json.dumps(words, allow_nan=False).encode()
    with path.open("wb") as file:
        file.write(_PREFIX.pack(_MAGIC, len(header), hashlib.blake2b(header, digest_size=32).digest()))
        file.write(header)
        file.write(bytes(_data_start(header) - _PREFIX.size - len(header)))
        for array in held.values():
            file.write(array.data)
            file.write(bytes(_aligned(array.nbytes) - array.nbytes))


def _opened(path: Path) -> OpenedSnapshot:
    if not path.is_file() and path.exists():  # to open a pipe would wait for its writer
        msg = "is no file"
        raise ValueError(msg)
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    header = _header(mapped)
    words = json.loads(header)
    its = {name: words[name] for name in ("format", "linli")}
    ours = {"format": FORMAT, "linli": metadata.version("linli")}
    if its != ours:
        msg = f"must be of {ours}, is of {its}"
        raise ValueError(msg)
    start = _data_start(header)
    if len(mapped) != start + words["end"]:
        msg = f"must have {start + words['end']} bytes, has {len(mapped)}"
        raise ValueError(msg)
    meta = SnapshotMeta(**words["meta"])
    arrays = {placed["name"]: _array(mapped, start, placed) for placed in words["arrays"]}
    beside = {name.removeprefix(_BESIDE): arrays.pop(name) for name in list(arrays) if name.startswith(_BESIDE)}
    return OpenedSnapshot(Engine.from_arrays(arrays), meta, path, beside)


def _header(mapped: mmap.mmap) -> bytes:
    if mapped[: len(_MAGIC)] != _MAGIC or len(mapped) < _PREFIX.size:
        msg = "was not written by linli, or only begun"
        raise ValueError(msg)
    _, n_bytes, digest = _PREFIX.unpack(mapped[: _PREFIX.size])
    header = mapped[_PREFIX.size : _PREFIX.size + n_bytes]
    if len(header) != n_bytes or hashlib.blake2b(header, digest_size=32).digest() != digest:
        msg = "has a header that is cut off or changed"
        raise ValueError(msg)
    return header


def _array(mapped: mmap.mmap, start: int, placed: Mapping[str, Any]) -> NDArray[Any]:
    """Return an array where it is mapped: read-only, aligned, and as its checksum has it."""
    dtype, shape, offset = np.dtype(str(placed["dtype"])), tuple(placed["shape"]), placed["offset"]
    is_ours = dtype.kind in _NUMBERS and dtype.isnative and offset % _ALIGNED == 0
    if not is_ours or min((offset, *shape)) < 0:
        msg = f"has an array of another machine or program: {placed['name']!r:.40}"
        raise ValueError(msg)
    array: NDArray[Any] = np.ndarray(shape, dtype, mapped, start + offset)
    if zlib.crc32(array.data) != placed["crc32"]:
        msg = f"has changed bytes in {placed['name']!r:.40}"
        raise ValueError(msg)
    return array


def _data_start(header: bytes) -> int:
    return _aligned(_PREFIX.size + len(header))


def _aligned(n_bytes: int) -> int:
    return -(-n_bytes // _ALIGNED) * _ALIGNED
