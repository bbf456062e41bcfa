"""Who cannot wait, as a loop that answers everybody: what is made already is told at once, nothing is made meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["NotMadeError", "demand_patience", "told_in_haste"]

P = ParamSpec("P")
T = TypeVar("T")


class NotMadeError(Exception):
    """What is asked for has to be made first, which may take seconds, and who asks is in haste."""


class _Haste(threading.local):
    is_on = False


_haste = _Haste()


def told_in_haste(tell: Callable[P, T], *args: P.args, **named: P.kwargs) -> T | None:
    """Return what a function does; None where hours would have to be compiled for it, of which nothing is done then."""
    _haste.is_on = True
    try:
        return tell(*args, **named)
    except NotMadeError:
        return None
    finally:
        _haste.is_on = False


def demand_patience() -> None:
    """
    Go on to make what takes long, only if who asks can wait.

    Raises
    ------
    NotMadeError
        Within `told_in_haste`.
    """
    if _haste.is_on:
        raise NotMadeError
