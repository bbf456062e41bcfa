"""Keys that another process may just have made: whoever comes with one waits until this process would know it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from service.keys.formats import is_well_formed, key_digest

if TYPE_CHECKING:
    from service.services import Services

__all__ = ["Newcomers"]

_STEP_S, _LONGEST_S = 0.005, 0.5
_MOST = 32


class Newcomers:
    """Those who wait; one more than so many, and whoever has no key by its form, is told at once that nobody knows him."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._n = 0

    async def becomes_known(self, key: str) -> bool:
        """Tell whether a key is known once all is followed that was stored before it came; not for long."""
        services, came_at = self._services, time.monotonic()
        if not is_well_formed(key) or self._n >= _MOST:
            return False
        digest = key_digest(key)
        if services.ring.knows(digest):  # it has expired
            return False
        self._n += 1
        try:
            is_followed = False
            while not is_followed and time.monotonic() < came_at + _LONGEST_S:
                await asyncio.sleep(_STEP_S)
                is_followed = services.follower.has_come_to(came_at)
                if services.ring.knows(digest):
                    return True
        finally:
            self._n -= 1
        return False
