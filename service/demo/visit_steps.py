"""What is told of the visit that the demonstration takes through its life."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["CrewPlan", "Stay", "VisitLife", "VisitStep"]


class Stay(NamedTuple):
    """Something that a crew has in its day: a ``visit``, or ``busy`` where it is taken by something else."""

    kind: str
    starts_at: dt.datetime
    ends_at: dt.datetime


class CrewPlan(NamedTuple):
    """What a crew has in its day."""

    name: str
    stays: tuple[Stay, ...]


class VisitStep(NamedTuple):
    """
    Something that happened to the visit.

    Attributes
    ----------
    name
        ``slots``, or an event of its life; ``move`` is when its crew falls ill.
    state
        Where the booking is then, None before there is one.
    until
        How long it is held, None for all other steps.
    crew
        Who comes, None before that is known.
    plans
        The day of each crew then.
    """

    name: str
    at: dt.datetime
    state: str | None
    until: dt.datetime | None
    crew: str | None
    plans: tuple[CrewPlan, ...]


@dataclass(frozen=True)
class VisitLife:
    """
    A visit from the windows that could be booked to its payment.

    Attributes
    ----------
    order
        Its place in the day.
    wanted_at
        When somebody is to come.
    n_windows
        That could be booked on that day.
    window
        The one that was booked.
    start_code, end_code
        What the customer was told; others in each run.
    contract
        What the crew tells beside the codes as proof.
    """

    order: int
    point_id: str
    name: str
    distance_m: float
    wanted_at: dt.datetime
    service: str
    minutes: int
    n_windows: int
    window: tuple[dt.datetime, dt.datetime]
    total_minor: int
    currency: str
    paid_by: str
    start_code: str
    end_code: str
    contract: str
    steps: tuple[VisitStep, ...]
