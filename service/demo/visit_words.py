"""The life of a visit in words, a line for each step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.demo.life_words import wall_clock
from service.demo.visit_life import OFFER
from service.demo.words import metres, offer_words

if TYPE_CHECKING:
    from service.demo.visit_steps import CrewPlan, Stay, VisitLife, VisitStep

__all__ = ["VISIT_WORDS", "visit_lines"]

VISIT_WORDS = "One visit, from its windows to its payment"

_LABELS = {
    "slots": "windows",
    "hold": "held",
    "confirm": "confirmed",
    "move": "ill",
    "depart": "set out",
    "start": "begun",
    "finish": "done",
    "pay": "paid",
}


def visit_lines(life: VisitLife) -> list[str]:
    """Return what is wanted, and a line for each step; in between the days of the crews, where they have changed."""
    lines = [f"{offer_words(OFFER)}, wanted at {wall_clock(life.wanted_at, life.wanted_at)}"]
    plans, crew = life.steps[0].plans, None
    for step in life.steps:
        lines.append(f"   {wall_clock(step.at, step.at)}  {_LABELS[step.name]:<9}  {_told(life, step, crew)}")
        if step.plans != plans or step is life.steps[0]:
            lines.append(f"                     crews: {', '.join(map(_day, step.plans))}")
        plans, crew = step.plans, step.crew
    return lines


def _told(life: VisitLife, step: VisitStep, crew_before: str | None) -> str:
    first, last = (wall_clock(at, step.at) for at in life.window)
    until = "" if step.until is None else wall_clock(step.until, step.at)
    total = f"{life.total_minor / 100:.2f} {life.currency}"
    lasted = sum((stay.ends_at - stay.starts_at).seconds // 60 for stay in _visits(step))
    return {
        "slots": f"{life.n_windows} with {life.name}, {metres(life.distance_m)} away",
        "hold": f"{life.service}, begins {first} to {last}, {total}, until {until}",
        "confirm": f"code {life.start_code} begins it, code {life.end_code} ends it",
        "move": f"{crew_before} cannot come: {step.crew} does, in the same window",
        "depart": f"{step.crew} is on the way",
        "start": f"code {life.start_code}: {step.crew} is there",
        "finish": f"code {life.end_code}, contract {life.contract}: after {lasted} of {life.minutes} minutes",
        "pay": f"{total} by {life.paid_by}",
    }[step.name]


def _visits(step: VisitStep) -> list[Stay]:
    return [stay for plan in step.plans for stay in plan.stays if stay.kind == "visit"]


def _day(plan: CrewPlan) -> str:
    return f"{plan.name} {' and '.join(map(_stay, plan.stays)) or 'free'}"


def _stay(stay: Stay) -> str:
    until = wall_clock(stay.ends_at, stay.starts_at)
    if stay.kind == "visit":
        return f"visit {wall_clock(stay.starts_at, stay.starts_at)} to {until}"
    return f"away until {until}"
