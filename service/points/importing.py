"""The job of `linli import`: maps and points files in, one points file out, whole or not at all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.norms import Norms, load_norms
from geo.mapfiles import OSM_SUFFIXES
from service.errors import BadFileError
from service.files import atomic_path, format_of
from service.points.checks import check_points
from service.points.files import POINT_FORMATS, read_points, write_points
from service.points.osm import OsmPoints, points_from_osm
from service.points.report import ImportReport, ObjectReport, SourceReport
from service.points.rows import Checked
from service.points.schema import POINT_SCHEMA
from service.points.tags import load_tag_table

__all__ = ["SOURCE_FORMATS", "import_points", "import_table"]

SOURCE_FORMATS = POINT_FORMATS | dict.fromkeys(OSM_SUFFIXES, "osm")

Progress = Callable[[str, int], None]
"""Called with a source before it is read, and its position; at the end with "writing" and their number."""


def import_points(
    sources: Sequence[Path],
    out: Path,
    *,
    report: Path | None = None,
    datum: str = "wgs84",
    timezone: str | None = None,
    country: str | None = None,
    strict: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """
    Import sources into one points file; that file and a report are written whole or, where this raises, not at all.

    Parameters
    ----------
    sources
        OSM PBF or XML, CSV, GeoJSON or Parquet by their suffix. A point that two of them have is that of the first.
    out
        Parquet, CSV or GeoJSON by its suffix.
    report
        Where the report goes: JSON if it ends in ``.json``, else text.
    datum
        Datum of the points files' places. Maps of OpenStreetMap are WGS 84.
    timezone, country
        For what does not tell its own; None to look them up from the place.
    strict
        Whether the first bad row ends the job; otherwise it is told in the report and the good ones go on.
    progress
        Told how far it is.

    Raises
    ------
    BadFileError, GeoError
        If a file cannot be read or written, or a row is bad and the job is strict.
    """
    format_of(out, POINT_FORMATS)
    tell = progress or (lambda *_: None)
    table, told = import_table(
        sources, datum=datum, timezone=timezone, country=country, strict=strict, progress=progress
    )
    tell("writing", len(sources))
    with ExitStack() as stack:
        if report is not None:
            text = told.as_text() if report.suffix.lower() != ".json" else _json(told)
            stack.enter_context(atomic_path(report)).write_text(text, encoding="utf-8")
        write_points(table, out)
    return told


def import_table(
    sources: Sequence[Path],
    *,
    datum: str = "wgs84",
    timezone: str | None = None,
    country: str | None = None,
    strict: bool = False,
    progress: Progress | None = None,
) -> tuple[pa.Table, ImportReport]:
    """
    Return the points of sources as one table with the columns of `POINT_SCHEMA`, and the report.

    Parameters and errors are those of `import_points`.
    """
    job = _Job(load_norms(), datum, timezone, country, strict=strict)
    for position, source in enumerate(sources):
        if progress is not None:
            progress(str(source), position)
        if format_of(source, SOURCE_FORMATS) == "osm":
            job.add_map(source)
        else:
            job.add_file(source)
    return job.result()


class _Job:
    """Adds one source after the other."""

    def __init__(self, norms: Norms, datum: str, timezone: str | None, country: str | None, *, strict: bool) -> None:
        self._norms = norms
        self._datum = datum
        self._timezone = timezone
        self._country = country
        self._strict = strict
        self._tags = load_tag_table()
        self._tables: list[pa.Table] = [POINT_SCHEMA.empty_table()]
        self._reports: list[SourceReport] = []
        self._known: dict[str, str] = {}  # point id to the source that has it
        self._counts: dict[str, Counter[str]] = {
            name: Counter() for name in ("default_areas", "timezone_origin", "country_origin")
        }

    def add_map(self, path: Path) -> None:
        found, checked = self._read_map(path)
        reasons = {found.object_of[bad.row - 1]: bad.reason for bad in checked.bad}
        if reasons:
            if self._strict:
                name, reason = next(iter(reasons.items()))
                raise BadFileError(path, None, f"{name}: {reason}")
            found, checked = self._read_map(path, refused=reasons)
        self._count(checked.default_areas, checked.zone_origin, checked.country_origin)
        bad_rows = [{"row": name, "reason": reason} for name, reason in reasons.items()]
        self._add(path, checked.table, bad_rows, [], _objects(found))

    def add_file(self, path: Path) -> None:
        file = read_points(
            path,
            datum=self._datum,
            timezone=self._timezone,
            country=self._country,
            norms=self._norms,
            known=self._known,
            strict=self._strict,
        )
        bad_rows = [{"row": bad.row, "reason": bad.reason} for bad in file.bad]
        self._count(file.default_areas, file.zone_origin, file.country_origin)
        self._add(path, file.table, bad_rows, list(file.ignored), None)

    def result(self) -> tuple[pa.Table, ImportReport]:
        table = pa.concat_tables(self._tables).combine_chunks()
        point_ids = table["point_id"].combine_chunks().dictionary_encode().indices.to_numpy()
        _, first = np.unique(point_ids, return_index=True)
        points = table.take(np.sort(first))
        n_known = len(np.unique(point_ids[table["hours"].is_valid().to_numpy()]))
        counts = {name: dict(sorted(counter.items())) for name, counter in self._counts.items()}
        return table, ImportReport(
            n_points=points.num_rows,
            n_rows=table.num_rows,
            points_by_kind=_frequencies(points["kind"]),
            rows_by_offer=_frequencies(table["offer"]),
            points_by_hours={"known": n_known, "unknown": points.num_rows - n_known},
            sources=self._reports,
            **counts,
        )

    def _read_map(self, path: Path, refused: Collection[str] = ()) -> tuple[OsmPoints, Checked]:
        found = points_from_osm(path, self._tags, known=self._known, refused=refused)
        return found, check_points(found.raw, timezone=self._timezone, country=self._country, norms=self._norms)

    def _add(
        self,
        path: Path,
        table: pa.Table,
        bad_rows: list[dict[str, Any]],
        ignored: list[str],
        objects: ObjectReport | None,
    ) -> None:
        ids = dict.fromkeys(_texts(table["point_id"]), str(path))
        self._known |= ids
        self._tables.append(table)
        self._reports.append(SourceReport(str(path), len(ids), table.num_rows, bad_rows, ignored, objects))

    def _count(self, default_areas: dict[str, int], zones: dict[str, int], countries: dict[str, int]) -> None:
        for name, counts in zip(self._counts, (default_areas, zones, countries), strict=True):
            self._counts[name].update({key: n for key, n in counts.items() if n})


def _objects(found: OsmPoints) -> ObjectReport:
    n_taken = len(found.taken) - len(found.besides)
    return ObjectReport(
        n_objects=n_taken + found.left.total(),
        n_taken=n_taken,
        n_left=found.left.total(),
        n_taken_besides=len(found.besides),
        keys={key: dict(counts) for key, counts in found.keys.items()},
        left=dict(found.left.most_common()),
        left_tags={reason: dict(tags.most_common()) for reason, tags in found.left_tags.items()},
        hours={state: found.hours[state] for state in ("known", "unknown", "malformed", "in_words")},
        left_with_hours=found.left_with_hours,
        malformed_hours=[asdict(fault) for fault in found.malformed],
        hours_in_words=[asdict(fault) for fault in found.in_words],
        unusable_texts=found.unusable_texts,
        usual_offers=dict(sorted(found.usual.items())),
    )


def _texts(column: Any) -> list[str]:
    texts: list[str] = column.to_pylist()
    return texts


def _frequencies(column: Any) -> dict[str, int]:
    counts = pc.value_counts(column.combine_chunks().fill_null("unknown")).to_pylist()
    return dict(sorted((item["values"], item["counts"]) for item in counts))


def _json(report: ImportReport) -> str:
    return json.dumps(report.as_json(), ensure_ascii=False, indent=1) + "\n"
