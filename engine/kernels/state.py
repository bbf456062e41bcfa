"""What kernels search and are asked: tuples of arrays."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.kernels.forest import Forest

NO_LEAD = -(2**62)


class Polygons(NamedTuple):
    """The fields of `geo.polygons.PolygonTable`."""

    boxes: NDArray[np.float64]
    starts: NDArray[np.int64]
    edges: NDArray[np.float64]


class Part(NamedTuple):
    """
    Searchable rows in index order (by offer, then cell), public ones only.

    Attributes
    ----------
    forest, root_of_offer
        The trees, and int64[o]: each offer's root, -1 where no row has it.
    reach_sq
        float64[m]: no area of a node's rows goes farther from its row than this squared chord.
    xyz
        float64[n, 3], earth-centred metres.
    row, rank
        int64[n]: the row's number in its version, and its place by point id.
    schedule, lead_s, feature_set, flags, area_kind, radius_m, polygon
        As of `engine.columns.Columns` and `engine.areas.AreaColumns`.
    polygons
        The polygons.
    """

    forest: Forest
    root_of_offer: NDArray[np.int64]
    reach_sq: NDArray[np.float64]
    xyz: NDArray[np.float64]
    row: NDArray[np.int64]
    rank: NDArray[np.int64]
    schedule: NDArray[np.int32]
    lead_s: NDArray[np.int64]
    feature_set: NDArray[np.int32]
    flags: NDArray[np.uint8]
    area_kind: NDArray[np.uint8]
    radius_m: NDArray[np.float64]
    polygon: NDArray[np.int64]
    polygons: Polygons


class Version(NamedTuple):
    """One state of the index: two parts, and bool[rows] and int64[rows] over the rows of both."""

    base: Part
    delta: Part
    dead: NDArray[np.bool_]
    units: NDArray[np.int64]


class Hours(NamedTuple):
    """The arguments of `engine.kernels.hours.hour_state` after schedule and query."""

    tz_of_schedule: NDArray[np.int32]
    day_slot: NDArray[np.int32]
    minute: NDArray[np.int32]
    bitmap_of: NDArray[np.int32]
    open_bits: NDArray[np.uint64]
    unknown_bits: NDArray[np.uint64]


class Asks(NamedTuple):
    """
    q questions.

    Attributes
    ----------
    lat, lng, xyz
        float64[q] in degrees, float64[q, 3] in metres.
    offer
        int64[q], codes; -1 where nobody has it.
    instant
        int64[q]: the query of `Hours`, -1 where hours are left out.
    wait_us
        int64[q], microseconds between asking and the time wanted; `NO_LEAD` leaves lead times out.
    quantity
        int64[q].
    enough_features
        bool[f] by set of features.
    limit_m
        The farthest told distance, inf for none.
    allow_unknown, ask_open, ask_area, ask_units
        What counts.
    """

    lat: NDArray[np.float64]
    lng: NDArray[np.float64]
    xyz: NDArray[np.float64]
    offer: NDArray[np.int64]
    instant: NDArray[np.int64]
    wait_us: NDArray[np.int64]
    quantity: NDArray[np.int64]
    enough_features: NDArray[np.bool_]
    limit_m: float
    allow_unknown: bool
    ask_open: bool
    ask_area: bool
    ask_units: bool


class Best(NamedTuple):
    """
    The k best rows found for each of q queries, best first.

    Attributes
    ----------
    chord_sq, rank, row, place
        float64 and int64, each [q, k]: inf, the largest integer, -1 and -1 where there is none.
        ``place`` is the row's place in the index order of its part.
    """

    chord_sq: NDArray[np.float64]
    rank: NDArray[np.int64]
    row: NDArray[np.int64]
    place: NDArray[np.int64]
