"""Ids of what customers make: in order of time, and never the same twice."""

from __future__ import annotations

import secrets

__all__ = ["new_id"]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_CHARS, _RANDOM_CHARS = 10, 16


def new_id(kind: str, now_us: int) -> str:
    """Return a new id: its kind, its time, so that ids are in order, and 80 random bits, so that each is new."""
    number = (now_us // 1000) << (5 * _RANDOM_CHARS) | secrets.randbits(5 * _RANDOM_CHARS)
    chars = [_ALPHABET[number >> (5 * place) & 31] for place in range(_TIME_CHARS + _RANDOM_CHARS)]
    return kind + "".join(reversed(chars))
