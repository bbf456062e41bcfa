"""Demand as columns: where people are, and how many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidQueryError
from geo.numbers import as_floats, find_non_number
from geo.places import check_latlng

__all__ = ["MOST_WEIGHT", "Demand", "demand_columns"]

_COLUMNS = ("lat", "lng", "weight")
MOST_WEIGHT = 1e15
"""Of one place: their sums, and those times distances, are numbers still."""


@dataclass(frozen=True)
class Demand:
    """
    Checked demand of n places.

    Attributes
    ----------
    lat, lng
        Degrees, WGS 84, shape (n,).
    weight
        People, orders or whatever is counted there, shape (n,), from 0 to `MOST_WEIGHT`.
    """

    lat: NDArray[np.float64]
    lng: NDArray[np.float64]
    weight: NDArray[np.float64]


def demand_columns(demand: Any) -> Demand:
    """
    Return checked columns of a demand.

    Parameters
    ----------
    demand
        A dict of columns, a data frame or an Arrow table with ``lat``, ``lng`` and ``weight``.

    Raises
    ------
    InvalidQueryError
        If a column is missing, of another length, or a weight is no number from 0 to `MOST_WEIGHT`.
    InvalidLatLngError
        If a place is none.
    """
    lat, lng, weight = (_column(demand, name) for name in _COLUMNS)
    lats, lngs = check_latlng(lat, lng, "demand.lat", "demand.lng")
    if weight.shape != lats.shape:
        raise InvalidQueryError(
            argument="demand.weight", expected=f"must be as many as demand.lat ({lats.size}), got {weight.size}"
        )
    return Demand(lats, lngs, _checked_weights(weight))


def _column(demand: Any, name: str) -> NDArray[Any]:
    try:
        return np.atleast_1d(np.asarray(demand[name]))
    except (KeyError, IndexError, TypeError):
        got = getattr(demand, "column_names", list(demand) if hasattr(demand, "keys") else demand)
        text = f"must have the columns lat, lng and weight, got {got!r:.120}"
        raise InvalidQueryError(argument="demand", expected=text, value=got) from None


def _checked_weights(weight: NDArray[Any]) -> NDArray[np.float64]:
    position = find_non_number(weight)
    if position is not None:
        value = weight.tolist()[position]
        raise InvalidQueryError(
            argument="demand.weight", expected=f"must be a number, got {value!r:.60}", position=position, value=value
        )
    weights = as_floats(weight)
    good = (weights >= 0) & (weights <= MOST_WEIGHT)
    if not good.all():
        position = int(np.argmin(good))
        value = float(weights[position])
        text = f"must be a number from 0 to {MOST_WEIGHT:g}, got {value!r}"
        raise InvalidQueryError(argument="demand.weight", expected=text, position=position, value=value)
    return weights
