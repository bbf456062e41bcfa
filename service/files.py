"""Write files whole or not at all, keep what is private so, and tell the format of a file by its suffix."""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from service.errors import BadFileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "atomic_path",
    "format_of",
    "full_disk_told",
    "make_folder",
    "make_private_file",
    "make_private_folder",
    "sync",
    "write_text",
]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})  # no reading ends so


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """
    Give a temporary path beside ``path``; when the block ends well, it becomes ``path``.

    If the block raises, or the process dies in it, whatever ``path`` was is untouched. The content is on the
    disk before the name changes (fsync of the file, then of its folder). The temporary name keeps the suffix,
    for writers that go by it.

    Raises
    ------
    BadFileError
        If the folder is not there or cannot be written, ``path`` is a folder, or the disk takes no more.
    """
    target = Path(os.path.realpath(path))  # the file itself, where the path is a link to it
    if target.exists() and not target.is_file():
        raise BadFileError(target, None, "must be a file to write, is a folder or a device")
    temporary = target.with_name(f".{target.stem}.{secrets.token_hex(6)}.tmp{target.suffix}")
    try:
        _create(temporary, like=target)
    except OSError as error:
        raise BadFileError(target, None, f"cannot be written: {error.strerror or error}") from error
    try:
        with full_disk_told(target):
            yield temporary
        try:
            sync(temporary)
            temporary.replace(target)
        except OSError as error:
            raise BadFileError(target, None, f"cannot be written: {error.strerror or error}") from error
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    sync(target.parent)


@contextmanager
def full_disk_told(target: Path) -> Iterator[None]:
    """Raise `BadFileError` for the file that is written where its disk takes no more; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise BadFileError(target, None, f"cannot be written: {os.strerror(error.errno)}") from error


def make_folder(folder: Path) -> None:
    """
    Make a folder to write into, where there is none.

    Raises
    ------
    BadFileError
        If it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadFileError(folder, None, f"must be a folder to write into: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadFileError(folder, None, f"must be a folder to write into: {os.strerror(errno.EACCES)}")


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def format_of(path: str | os.PathLike[str], formats: Mapping[str, str]) -> str:
    """
    Return the format that the longest fitting suffix stands for, in any case of letters.

    Parameters
    ----------
    path
        File to read or write.
    formats
        Format by suffix, ``{".csv": "csv", ...}``.

    Raises
    ------
    BadFileError
        If no suffix fits.
    """
    name = Path(path).name.lower()
    for suffix in sorted(formats, key=len, reverse=True):
        if name.endswith(suffix):
            return formats[suffix]
    raise BadFileError(Path(path), None, f"must end in one of {', '.join(sorted(formats))}")


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those that it is in, for this user alone; one that is there stays as it is."""
    if not folder.parent.exists():
        make_private_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


def make_private_file(path: Path) -> None:
    """Make an empty file for this user alone; one that is there is not even opened, since closing it would end its locks."""
    with suppress(FileExistsError):
        os.close(os.open(os.path.realpath(path), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _create(temporary: Path, *, like: Path) -> None:
    """Create an empty file with the permissions of the one it will replace, else with a new file's."""
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    if like.exists():
        temporary.chmod(like.stat().st_mode & 0o777)


def sync(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
