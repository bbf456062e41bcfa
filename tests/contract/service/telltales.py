"""What no log, error or table may hold: keys, query strings, places finer than three decimals."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["telltales"]

_QUERY = re.compile(rb"[?&](?:lat|lng|offer|at|page_size|cursor|merchant_id|access_token|x)=|\blat=|\blng=")
_TRACE = re.compile(rb"Traceback \(most recent|\"level\":\"(?:error|critical)\"")
_INSTANT = re.compile(rb"T\d\d:\d\d:\d\d\.\d+")  # half a minute past one can look like a latitude
_FOUR = 10_000


def telltales(told: bytes, secrets: Iterable[str], degrees: Iterable[float], *, is_log: bool = True) -> list[str]:
    """
    Return what stands in a text that may not.

    Parameters
    ----------
    told
        The text.
    secrets
        Keys; even half of one counts.
    degrees
        Latitudes and longitudes that were sent; they count from the fourth decimal on, cut or rounded.
    is_log
        Whether query strings and errors count too.
    """
    found = [
        f"key {secret[:16]}" for secret in secrets if secret[:-16].encode() in told or secret[-16:].encode() in told
    ]
    places = _INSTANT.sub(b"", told)
    for value in degrees:
        cut = {f"{int(value * _FOUR) / _FOUR:.4f}", f"{value:.4f}"}
        found += [f"place {text}" for text in cut if text.encode() in places]
    if is_log:
        found += [f"query {match.group()!r}" for match in _QUERY.finditer(told)]
        found += [f"error {match.group()!r}" for match in _TRACE.finditer(told)]
    return found
