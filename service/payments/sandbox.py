"""
A provider for trying linli out: no money moves, and each way in which a real one fails can be asked for.

What fails is said by the customer's means of payment: ``ok``, ``declined``, ``timeout-authorised`` and ``timeout-declined`` (it
came about, or did not, and the answer is lost), ``timeout-lost`` (it never arrived), ``capture-timeout`` (each
capture fails once, having come about), ``capture-declined`` (what was set aside has lapsed when it is to be taken).
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from service.files import make_private_folder
from service.payments.ports import Outcome, ProviderUnknownError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["MEANS", "SandboxProvider"]

MEANS = (
    "ok",
    "declined",
    "timeout-authorised",
    "timeout-declined",
    "timeout-lost",
    "capture-timeout",
    "capture-declined",
)
_DECLINED = {"declined", "timeout-declined"}
_NO_ANSWER = "the sandbox did not answer, as it was asked"
_TABLE = (
    "CREATE TABLE IF NOT EXISTS authorisations (reference TEXT PRIMARY KEY, outcome TEXT NOT NULL, means TEXT NOT NULL,"
    " currency TEXT NOT NULL, set_aside INTEGER NOT NULL, taken INTEGER NOT NULL, n_captures INTEGER NOT NULL)"
)
_NEW = "INSERT INTO authorisations VALUES (?, ?, ?, ?, ?, 0, 0) ON CONFLICT DO NOTHING"
_OUTCOME = "SELECT outcome FROM authorisations WHERE reference = ?"


class SandboxProvider:
    """
    Keeps its books in a file of its own, so that all workers of a machine see the same.

    Parameters
    ----------
    path
        The file; its folder is made where there is none, once something is paid.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.contextmanager
    def _books(self) -> Iterator[sqlite3.Connection]:
        make_private_folder(self._path.parent)
        with contextlib.closing(sqlite3.connect(self._path, timeout=5.0, isolation_level=None)) as books:
            books.execute(_TABLE)
            books.execute("BEGIN IMMEDIATE")
            yield books
            books.execute("COMMIT")

    def authorise(self, reference: str, amount_minor: int, currency: str, means: str) -> Outcome:
        """Set an amount aside, as the means of payment says."""
        if means == "timeout-lost":
            raise ProviderUnknownError(_NO_ANSWER)
        outcome = Outcome.DECLINED if means in _DECLINED else Outcome.AUTHORISED
        with self._books() as books:
            set_aside = amount_minor if outcome is Outcome.AUTHORISED else 0
            books.execute(_NEW, (reference, outcome, means, currency, set_aside))
            told = books.execute(_OUTCOME, (reference,)).fetchone()[0]
        if means.startswith("timeout"):
            raise ProviderUnknownError(_NO_ANSWER)
        return Outcome(told)

    def find(self, reference: str) -> Outcome:
        """Tell what came of an authorisation."""
        with self._books() as books:
            row = books.execute(_OUTCOME, (reference,)).fetchone()
        return Outcome.UNKNOWN if row is None else Outcome(row[0])

    def capture(self, reference: str, amount_minor: int) -> Outcome:
        """Take what was set aside, once."""
        its = (reference,)
        with self._books() as books:
            books.execute(
                "UPDATE authorisations SET set_aside = 0 WHERE reference = ? AND means = 'capture-declined'", its
            )
            books.execute(
                "UPDATE authorisations SET taken = min(?, set_aside), set_aside = 0"
                " WHERE reference = ? AND set_aside > 0",
                (amount_minor, reference),
            )
            books.execute("UPDATE authorisations SET n_captures = n_captures + 1 WHERE reference = ?", its)
            row = books.execute("SELECT means, n_captures FROM authorisations WHERE reference = ?", its).fetchone()
        if row == ("capture-timeout", 1):
            raise ProviderUnknownError(_NO_ANSWER)
        return Outcome.DECLINED if row is not None and row[0] == "capture-declined" else Outcome.AUTHORISED

    def release(self, reference: str) -> None:
        """Set free what was set aside; an authorisation that comes behind it is declined."""
        with self._books() as books:
            books.execute(_NEW, (reference, Outcome.DECLINED, "", "", 0))
            books.execute(
                "UPDATE authorisations SET set_aside = 0, outcome = ? WHERE reference = ?",
                (Outcome.DECLINED, reference),
            )

    def taken(self) -> dict[str, tuple[int, int]]:
        """Return by reference, in the order in which they came, what is set aside and what was taken."""
        with self._books() as books:
            found = books.execute("SELECT reference, set_aside, taken FROM authorisations ORDER BY rowid").fetchall()
        return {row[0]: (row[1], row[2]) for row in found}
