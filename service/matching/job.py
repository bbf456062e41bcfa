"""The job of `linli match`: orders in, answers out, in the same order, whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine import REASONS, Engine
from service.files import atomic_path
from service.matching.answers import AnswerSink, answer_batch, open_answers
from service.matching.asking import Found, Terms, match_together
from service.matching.bad_rows import BadRows, bad_rows_of
from service.matching.checks import check_orders
from service.matching.columns import BadRow, Orders, OrdersFile
from service.matching.order_files import open_orders
from service.matching.turns import spooled_turns

__all__ = ["MatchSummary", "Progress", "match_file"]

Progress = Callable[[str, float, int], None]
"""Called on the way with what is done now, the share of it that is done, and how many rows were read."""


@dataclass(frozen=True)
class MatchSummary:
    """
    What became of a file of orders.

    Attributes
    ----------
    n_orders
        Rows with something in them: those answered and the bad ones.
    n_matched
        Orders that a point serves.
    n_by_reason
        The others that were answered, by reason, in `engine.REASONS`' order; only reasons that occur.
    n_bad_rows
        Rows without an answer.
    first_bad_rows
        At most 20 of them.
    ignored_columns
        What the file holds beside the columns of orders.
    version
        The version of the index.
    duration_s
        From the first row read to the last answer.
    """

    n_orders: int
    n_matched: int
    n_by_reason: dict[str, int]
    n_bad_rows: int
    first_bad_rows: list[BadRow]
    ignored_columns: list[str]
    version: int
    duration_s: float

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self) | {"first_bad_rows": [bad._asdict() for bad in self.first_bad_rows]}


def match_file(
    engine: Engine,
    orders: Path,
    out: Path,
    *,
    datum: str = "wgs84",
    consume: bool = False,
    terms: Terms | None = None,
    strict: bool = False,
    report: Path | None = None,
    progress: Progress | None = None,
) -> MatchSummary:
    """
    Match a file of orders; a file of answers and a report are written whole or, where this raises, not at all.

    Parameters
    ----------
    engine
        Who can serve; it is not changed.
    orders, out
        The files, each CSV, Parquet or NDJSON by its suffix.
    datum
        Of the orders' places.
    consume
        Whether orders use up capacity, in the order in which they were asked; otherwise each is judged against
        the same facts.
    terms
        What holds for every order.
    strict
        Whether the first bad row ends the job; otherwise bad rows get no answer.
    report
        Where the summary and all bad rows go as JSON.
    progress
        Told how far it is.

    Raises
    ------
    BadFileError
        If a file cannot be read or written, or a row is bad and the job is strict.
    """
    started = time.perf_counter()
    with ExitStack() as stack:
        source = stack.enter_context(open_orders(orders))
        bad = stack.enter_context(bad_rows_of(orders, strict=strict, report=report))
        sink = stack.enter_context(open_answers(stack.enter_context(atomic_path(out))))
        job = _Job(engine, source, sink, bad, datum, terms or Terms(), progress or (lambda *_: None))
        if consume:
            job.match_in_turn(out.parent)
        else:
            job.match_together()
        summary = job.summary(time.perf_counter() - started)
        bad.finish({name: value for name, value in summary.as_json().items() if name != "first_bad_rows"})
    return summary


@dataclass
class _Job:
    engine: Engine
    source: OrdersFile
    sink: AnswerSink
    bad: BadRows
    datum: str
    terms: Terms
    progress: Progress
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(REASONS), np.int64))
    n_read: int = 0

    def match_together(self) -> None:
        for orders in self._good_orders("matching"):
            self._write(orders.order_id, match_together(self.engine, orders, self.terms))

    def match_in_turn(self, folder: Path) -> None:
        with spooled_turns(folder) as turns:
            for orders in self._good_orders("reading"):
                turns.add(orders)
            found = turns.serve(self.engine, self.terms, lambda share: self.progress("matching", share, self.n_read))
            for order_id, part in turns.answers(found):
                self._write(order_id, part)

    def summary(self, duration_s: float) -> MatchSummary:
        counts = dict(zip(REASONS, self.counts.tolist(), strict=True))
        n_matched = counts.pop("matched")
        return MatchSummary(
            n_orders=int(self.counts.sum()) + self.bad.n,
            n_matched=n_matched,
            n_by_reason={reason: n for reason, n in counts.items() if n},
            n_bad_rows=self.bad.n,
            first_bad_rows=self.bad.first,
            ignored_columns=self.source.ignored(),
            version=self.engine.version,
            duration_s=round(duration_s, 3),
        )

    def _good_orders(self, stage: str) -> Iterator[Orders]:
        for raw in self.source:
            orders, bad = check_orders(raw, datum=self.datum)
            self.bad.add(bad)
            self.n_read += len(orders) + len(bad)
            if len(orders):
                yield orders
            self.progress(stage, self.source.share_read(), self.n_read)

    def _write(self, order_id: pa.Array[Any], found: Found) -> None:
        self.counts += np.bincount(found.code, minlength=len(REASONS))
        self.sink.write(
            answer_batch(self.engine, order_id, found.row, found.code, found.distance_m, self.engine.version)
        )
