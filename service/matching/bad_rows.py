"""Keep the account of bad rows: the first few for a person, all of them for the report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from service.errors import BadFileError
from service.files import atomic_path, full_disk_told
from service.matching.columns import BadRow

__all__ = ["BadRows", "bad_rows_of"]

_N_FIRST = 20


class BadRows:
    """
    The bad rows of one file.

    Attributes
    ----------
    n
        How many there were so far.
    first
        At most 20 of them.
    """

    def __init__(self, file: Path, *, strict: bool, report: tuple[Path, IO[str]] | None) -> None:
        self.n = 0
        self.first: list[BadRow] = []
        self._file = file
        self._strict = strict
        self._report = report

    def add(self, rows: Iterable[BadRow]) -> None:
        """Note rows as they come; where the job is strict, raise `BadFileError` for the first."""
        for row in rows:
            if self._strict:
                raise BadFileError(self._file, row.row, row.reason)
            if self._report is not None:
                self._write(",\n" if self.n else "", json.dumps(row._asdict(), ensure_ascii=False))
            self.n += 1
            if len(self.first) < _N_FIRST:
                self.first.append(row)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Complete the report."""
        self._write('\n],\n"summary": ', json.dumps(summary, ensure_ascii=False, indent=2), "\n}\n")
        if self._report is not None:
            path, out = self._report
            with full_disk_told(path):
                out.flush()  # before the answers get their name

    def _write(self, *texts: str) -> None:
        if self._report is not None:
            path, out = self._report
            with full_disk_told(path):
                out.writelines(texts)


@contextmanager
def bad_rows_of(file: Path, *, strict: bool, report: Path | None) -> Iterator[BadRows]:
    """
    Open the account of a file.

    Parameters
    ----------
    file
        The file of orders.
    strict
        Whether the first bad row is an error.
    report
        Where all bad rows go, as they come: any number of them takes no memory. Whole or not at all.

    Raises
    ------
    BadFileError
        If the report cannot be written.
    """
    if report is None:
        yield BadRows(file, strict=strict, report=None)
        return
    with atomic_path(report) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as out:
        out.write('{\n"file": ' + json.dumps(str(file), ensure_ascii=False) + ',\n"bad_rows": [\n')
        yield BadRows(file, strict=strict, report=(report, out))
