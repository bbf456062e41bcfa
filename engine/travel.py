"""How long crews take from place to place: a port, and great circles as its first answer."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidQueryError
from engine.kernels.days import NEVER_S
from geo.metric import distances_between_m

if TYPE_CHECKING:
    from engine.norms import OfferNorm

__all__ = ["GreatCircleTravel", "Travel", "norm_travel", "travel_seconds"]

_MINUTE_S = 60


class Travel(Protocol):
    """Tells how long it takes from place to place; nothing else knows by which streets."""

    @property
    def told(self) -> str:
        """What it goes by, in words for an answer."""

    def minutes_many(
        self, origins: NDArray[np.float64], destinations: NDArray[np.float64], at: dt.datetime | None
    ) -> NDArray[np.float64]:
        """
        Return the minutes from each origin to each destination.

        Parameters
        ----------
        origins, destinations
            Shapes (m, 2) and (n, 2): lat and lng in degrees, WGS 84.
        at
            When one sets out, None for no time in particular.

        Returns
        -------
        float64[m, n]
            Inf where there is no way.
        """


@dataclass(frozen=True)
class GreatCircleTravel:
    """
    The great circle times a detour, at one speed.

    Parameters
    ----------
    detour_factor
        How much longer the way is than the great circle: at least 1.
    speed_kmh
        Kilometres an hour on it.

    Raises
    ------
    InvalidQueryError
        For a factor below 1, or a speed that is not positive and finite.
    """

    detour_factor: float = 1.4
    speed_kmh: float = 20.0

    def __post_init__(self) -> None:
        for name, value, least in (("detour_factor", self.detour_factor, 1.0), ("speed_kmh", self.speed_kmh, 0.1)):
            if not least <= value < float("inf"):
                message = f"must be finite and at least {least}, got {value!r}"
                raise InvalidQueryError(name, message, value=value)

    @property
    def told(self) -> str:
        """The factor and the speed."""
        return f"great circle x {self.detour_factor:g} at {self.speed_kmh:g} km/h"

    def minutes_many(
        self,
        origins: NDArray[np.float64],
        destinations: NDArray[np.float64],
        at: dt.datetime | None,
    ) -> NDArray[np.float64]:
        """Return float64[m, n] minutes, the same at any time."""
        return distances_between_m(origins, destinations) * (self.detour_factor * _MINUTE_S / (1000.0 * self.speed_kmh))


def norm_travel(norm: OfferNorm) -> GreatCircleTravel:
    """Return how a norm counts the ways of its crews; the usual factor and speed where it does not say."""
    usual = GreatCircleTravel()
    factor, speed = (norm.values.get(key) for key in ("detour_factor", "speed"))
    return GreatCircleTravel(
        usual.detour_factor if factor is None else factor.size, usual.speed_kmh if speed is None else speed.size
    )


def travel_seconds(
    travel: Travel, origins: NDArray[np.float64], destinations: NDArray[np.float64], at: dt.datetime | None
) -> NDArray[np.int64]:
    """Return int64[m, n] seconds from each origin to each destination, rounded up, `NEVER_S` where there is no way."""
    minutes = travel.minutes_many(origins, destinations, at)
    if not (minutes >= 0.0).all():  # False for NaN, too
        raise InvalidQueryError("travel", "must tell minutes of at least 0, inf where there is no way", value=None)
    seconds = np.ceil(np.minimum(minutes * _MINUTE_S, float(NEVER_S)))
    return seconds.astype(np.int64)
