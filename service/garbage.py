"""What Python's collector of cycles looks through in a server."""

from __future__ import annotations

import gc

__all__ = ["settle_garbage"]

_THRESHOLDS = (50_000, 20, 20)
"""What some dozen requests hold at once is below the first: by the default, 700, it was looked through again and again."""


def settle_garbage() -> None:
    """
    Look through what stands now for the last time, since it stands to the end, and through what is new more rarely.

    The first makes a bulk upsert a fifth faster, the second orders a tenth.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
