"""Preparation slots: spans of a few minutes, counted from the full hour in UTC."""

from __future__ import annotations

__all__ = ["slot_start"]

_SECOND_US = 1_000_000


def slot_start(at_us: int, slot_s: int) -> int:
    """Return the start of the slot of so many seconds that an instant lies in."""
    return at_us - at_us % (slot_s * _SECOND_US)
