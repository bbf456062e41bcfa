"""When a delivery is tried again, and when a webhook is tried no more; without any store."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "DISABLED_DELETED",
    "DISABLED_GONE",
    "OLD_SECRET_S",
    "STANDARD",
    "WEBHOOKS_AN_OWNER",
    "Retries",
    "why_failing",
]

WEBHOOKS_AN_OWNER = 10
OLD_SECRET_S = 86_400
DISABLED_GONE = "the receiver answered 410: it wants no more"
DISABLED_DELETED = "it is being deleted, with all that was to be delivered to it"
_MINUTE_S, _HOUR_S = 60, 3600


@dataclass(frozen=True)
class Retries:
    """
    How often a delivery is tried, and how long after the last try the next one comes.

    Attributes
    ----------
    pauses_s
        Before each try but the first.
    spread
        Each pause is longer by up to this share, so that many do not come back at one moment.
    """

    pauses_s: tuple[float, ...]
    spread: float = 0.1

    def pause_s(self, tries: int, drawn: float) -> float | None:
        """Return how long after so many tries the next one comes, None where it is given up; ``drawn`` is in [0, 1)."""
        return None if tries > len(self.pauses_s) else self.pauses_s[tries - 1] * (1.0 + self.spread * drawn)

    @property
    def span_s(self) -> float:
        """The least time from the first try to the last."""
        return sum(self.pauses_s)


STANDARD = Retries(
    (
        5, 5 * _MINUTE_S, 30 * _MINUTE_S, 2 * _HOUR_S, 5 * _HOUR_S, 10 * _HOUR_S, 14 * _HOUR_S, 20 * _HOUR_S,
        24 * _HOUR_S,
    )
)  # fmt: skip
"""The schedule of the specification: ten tries over 75 hours."""


def why_failing(failing_s: float, retries: Retries, told: str) -> str | None:
    """Return why a webhook is disabled when a delivery fails again, None where it has not been failing for the span of the tries."""
    if failing_s < retries.span_s:
        return None
    return f"nothing was delivered for {failing_s / _HOUR_S:.0f} hours; the last try: {told}"
