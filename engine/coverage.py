"""Coverage: how far people are from the nearest point that can serve them, and who is left out."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.demand import Demand, demand_columns
from engine.errors import InvalidQueryError
from engine.inputs import as_list
from engine.kernels import coverage as kernels
from geo.cells import ancestor_cells
from geo.districts import containing_district
from geo.numbers import as_float, is_number

if TYPE_CHECKING:
    from engine import Engine

__all__ = ["CoverageFigures", "CoverageReport", "band_name", "coverage"]

_LABEL_COLUMNS = ("district", "name")
_NOT_ASKED = ("k", "quantity", "threads")


@dataclass(frozen=True)
class CoverageFigures:
    """
    What is known of some demand and its distance to the nearest point that can serve it.

    Attributes
    ----------
    total
        Weight of all of it.
    unserved
        Weight that nothing serves.
    within
        Weight within each band, the limit included, keyed by the band as it was given.
    mean_m, median_m, p95_m, worst_m
        Over what is served, weighted; None where nothing is. A quantile is the first distance whose cumulative
        weight reaches the share.
    """

    total: float
    unserved: float
    within: dict[float, float]
    mean_m: float | None
    median_m: float | None
    p95_m: float | None
    worst_m: float | None


@dataclass(frozen=True)
class CoverageReport:
    """
    The figures of `CoverageFigures` over all demand, and the same by district and by cell.

    Attributes
    ----------
    by_district
        Figures by district label, None for what lies in none; empty if no districts were given.
    by_cell
        Figures by H3 cell (an int), the cell of a place by ancestry.
    version
        Version of the index that answered.
    """

    total: float
    unserved: float
    within: dict[float, float]
    mean_m: float | None
    median_m: float | None
    p95_m: float | None
    worst_m: float | None
    by_district: dict[Hashable, CoverageFigures]
    by_cell: dict[int, CoverageFigures]
    version: int

    def to_frame(self) -> pd.DataFrame:
        """
        Return one row for the whole, each district and each cell.

        Columns: ``level`` (total, district, cell), ``label`` (None, the district's label, the cell), ``total``,
        ``unserved``, ``within_<band>_m`` for each band, ``mean_m``, ``median_m``, ``p95_m``, ``worst_m``
        (NaN where nothing is served).
        """
        whole = CoverageFigures(*(getattr(self, field.name) for field in fields(CoverageFigures)))
        keyed: list[tuple[str, Hashable, CoverageFigures]] = [("total", None, whole)]
        keyed += [("district", label, figures) for label, figures in self.by_district.items()]
        keyed += [("cell", cell, figures) for cell, figures in self.by_cell.items()]
        frame = pd.DataFrame(
            {
                "level": [level for level, _, _ in keyed],
                "label": pd.Series([label for _, label, _ in keyed], dtype=object),
                "total": [figures.total for _, _, figures in keyed],
                "unserved": [figures.unserved for _, _, figures in keyed],
            }
        )
        for band in self.within:
            frame[f"within_{band_name(band)}_m"] = [figures.within[band] for _, _, figures in keyed]
        for name in ("mean_m", "median_m", "p95_m", "worst_m"):
            frame[name] = np.array([getattr(figures, name) for _, _, figures in keyed], np.float64)
        return frame


def band_name(band: float) -> str:
    """Return a band in metres as it is told: all of its digits, and no more."""
    return np.format_float_positional(band, trim="-")


def coverage(
    engine: Engine,
    demand: Any,
    offer: str,
    bands_m: Sequence[float] = (300, 500, 1000),
    districts: Any = None,
    *,
    cell_resolution: int = 9,
    **ask: Any,
) -> CoverageReport:
    """
    Return how much of a demand has a point that can serve it within each band, and how far that point is.

    Parameters
    ----------
    engine
        The index that is asked.
    demand
        A dict of columns, a data frame or an Arrow table with ``lat``, ``lng`` and ``weight``. Rows of weight 0
        are left out.
    offer
        One offer, ``sector/mode``.
    bands_m
        Limits in metres, inclusive; keys of ``within``.
    districts
        A GeoDataFrame (any CRS; without one its geometry is lng/lat), where a place belongs to the first row
        that contains it, border included, and to None if none does; its labels are its column ``district``,
        else ``name``, else its index. Or one label a demand row.
    cell_resolution
        H3 resolution of ``by_cell``.
    ask
        What `Engine.nearest_many` takes, each one value for all: ``at``, ``asked_at``, ``max_distance_m``,
        ``unknown_hours``, ``features``, ``require``. Quantity 1 is asked for.

    Raises
    ------
    InvalidQueryError
        If a column is missing, a weight is negative or not finite, a band is none, labels are not as many as
        rows, districts have no active geometry, or an instant is given for each row.
    InvalidLatLngError, InvalidResolutionError
        If a place or the resolution is none.
    GeoError
        If a district cannot be told from what lies around it, as `geo.districts.check_district` says.
    """
    bands = _checked_bands(bands_m)
    _check_ask(offer, ask)
    checked = demand_columns(demand)
    labels = None if districts is None else _labels(districts, checked)
    kept = checked.weight > 0
    places = Demand(checked.lat[kept], checked.lng[kept], checked.weight[kept])
    cells, cell_groups = np.unique(ancestor_cells(places.lat, places.lng, cell_resolution), return_inverse=True)
    matches = engine.nearest_many(places.lat, places.lng, offer, **ask)
    distance_m = np.ascontiguousarray(matches.distance_m[:, 0])

    def grouped(groups: NDArray[np.int64], n_groups: int) -> list[CoverageFigures]:
        return _figures(groups, n_groups, places.weight, distance_m, bands)

    whole = grouped(np.zeros(places.weight.size, np.int64), 1)[0]
    by_cell = dict(zip(cells.tolist(), grouped(cell_groups.reshape(-1), cells.size), strict=True))
    by_district: dict[Hashable, CoverageFigures] = {}
    if labels is not None:
        codes, names = pd.factorize(labels[kept], use_na_sentinel=False)
        keys = [None if pd.isna(name) else name for name in names.tolist()]
        by_district = dict(zip(keys, grouped(codes.astype(np.int64), len(keys)), strict=True))
    return CoverageReport(
        **{field.name: getattr(whole, field.name) for field in fields(whole)},
        by_district=by_district,
        by_cell=by_cell,
        version=matches.version,
    )


def _figures(
    groups: NDArray[np.int64],
    n_groups: int,
    weight: NDArray[np.float64],
    distance_m: NDArray[np.float64],
    bands: Mapping[float, float],
) -> list[CoverageFigures]:
    """Return the figures of each group of rows."""
    order = np.lexsort((distance_m, groups))
    starts = np.searchsorted(groups[order], np.arange(n_groups + 1)).astype(np.int64)
    within = np.empty((n_groups, len(bands)))
    table = np.empty((n_groups, kernels.N_FIGURES))
    limits = np.array(list(bands.values()), np.float64)
    kernels.group_figures(starts, weight[order], distance_m[order], limits, within, table)
    return [
        CoverageFigures(
            total=row[kernels.TOTAL],
            unserved=row[kernels.UNSERVED],
            within=dict(zip(bands, inside, strict=True)),
            mean_m=_known(row[kernels.MEAN]),
            median_m=_known(row[kernels.MEDIAN]),
            p95_m=_known(row[kernels.P95]),
            worst_m=_known(row[kernels.WORST]),
        )
        for row, inside in zip(table.tolist(), within.tolist(), strict=True)
    ]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _checked_bands(bands_m: Sequence[float]) -> dict[float, float]:
    """Return the limits by the bands as they were given."""
    bands: dict[float, float] = {}
    for position, band in enumerate(as_list(bands_m, "bands_m")):
        limit_m = as_float(band) if is_number(band) else math.nan
        if not 0.0 <= limit_m < math.inf:
            text = f"must be a finite distance of at least 0 in metres, got {band!r:.40}"
            raise InvalidQueryError(argument="bands_m", expected=text, position=position, value=band)
        bands[band] = limit_m
    return bands


def _check_ask(offer: object, ask: Mapping[str, object]) -> None:
    if not isinstance(offer, str):
        raise InvalidQueryError(
            argument="offer", expected=f"must be one text sector/mode, got {offer!r:.60}", value=offer
        )
    for name in _NOT_ASKED:
        if name in ask:
            raise InvalidQueryError(
                argument=name, expected="must be left out: coverage asks for the nearest one of quantity 1"
            )
    for name in ("at", "asked_at"):
        if np.ndim(ask.get(name)) > 0:  # type: ignore[arg-type]
            raise InvalidQueryError(argument=name, expected="must be one instant for all demand", value=ask[name])


def _labels(districts: Any, demand: Demand) -> NDArray[np.object_]:
    """Return the district label of each demand row, missing where it lies in none."""
    if isinstance(districts, pd.DataFrame) or hasattr(districts, "to_crs"):
        shapes = _district_shapes(districts)
        column = next((name for name in _LABEL_COLUMNS if name in districts.columns), None)
        names = _hashable(districts.index if column is None else districts[column])
        return _objects([*names, None])[containing_district(shapes, demand.lat, demand.lng)]  # index -1 is the last
    labels = _objects(_hashable(as_list(districts, "districts")))
    if labels.shape != demand.lat.shape:
        text = f"must be a GeoDataFrame or one label for each of {demand.lat.size} demand rows, got {labels.size}"
        raise InvalidQueryError(argument="districts", expected=text)
    return labels


def _district_shapes(districts: Any) -> NDArray[np.object_]:
    """Return the shapes of a GeoDataFrame in lng/lat degrees."""
    geometry: Any = None
    with suppress(AttributeError):  # where no column is the active one
        geometry = districts.geometry if isinstance(districts, pd.DataFrame) else None
    if not hasattr(geometry, "to_crs"):
        text = f"must be a GeoDataFrame with an active geometry or labels, got a {type(districts).__name__}"
        raise InvalidQueryError(argument="districts", expected=text, value=districts)
    shapes: NDArray[np.object_] = (geometry if geometry.crs is None else geometry.to_crs(4326)).to_numpy()
    return shapes


def _hashable(labels: Iterable[Any]) -> list[Hashable]:
    checked = list(labels)
    for position, label in enumerate(checked):
        if not isinstance(label, Hashable):
            text = f"must be a GeoDataFrame, or labels such as names, got {label!r:.60}"
            raise InvalidQueryError(argument="districts", expected=text, position=position, value=label)
    return checked


def _objects(values: list[Hashable]) -> NDArray[np.object_]:
    array = np.empty(len(values), object)
    array[:] = values
    return array
