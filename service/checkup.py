"""Whether an installation can do its work: what `linli doctor` finds."""

from __future__ import annotations

import datetime as dt
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

__all__ = ["DEFAULT_COUNTRIES", "BrokenError", "DoubtfulError", "Finding", "check_up", "found"]

DEFAULT_COUNTRIES = ("CN", "KR", "FI")
_LIBRARIES = ("numpy", "numba", "h3", "shapely", "pyarrow", "pandas", "osmium", "opening-hours-py", "tzdata", "tzfpy")
_CALENDARS = ("chinesecalendar", "holidays")
_WARN_DAYS = 60
_OLDEST_PYTHON = (3, 11)


class BrokenError(Exception):
    """What a check cannot let pass."""


class DoubtfulError(Exception):
    """What a check lets pass with a warning."""


@dataclass(frozen=True)
class Finding:
    """What a check found: ``state`` is ``ok``, ``warning`` or ``broken``."""

    name: str
    state: str
    told: str


def check_up(*, today: dt.date, countries: Sequence[str] = DEFAULT_COUNTRIES) -> list[Finding]:
    """
    Return what every check found.

    Parameters
    ----------
    today
        From when holiday calendars are counted.
    countries
        ISO 3166 codes whose holidays matter.
    """
    checks: list[tuple[str, Callable[[], str]]] = [
        ("python", _python),
        ("libraries", _libraries),
        ("kernel cache", _cache),
        ("kernel compiler", _compiler),
        ("h3", _h3),
        ("norms", _norms),
        ("map tags", _tags),
        ("time zones", _zones),
    ]
    return [found(name, check) for name, check in checks] + [_calendar(country, today) for country in countries]


def found(name: str, check: Callable[[], str]) -> Finding:
    """Return what a check found: what it raises makes it broken, or a warning."""
    try:
        return Finding(name, "ok", check())
    except DoubtfulError as doubt:
        return Finding(name, "warning", str(doubt))
    except Exception as error:  # noqa: BLE001 - whatever fails is the finding
        return Finding(name, "broken", f"{type(error).__name__}: {error}")


def _python() -> str:
    if sys.version_info[:2] < _OLDEST_PYTHON:
        text = f"must be 3.11 or later, is {platform.python_version()}"
        raise BrokenError(text)
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}"


def _libraries() -> str:
    return ", ".join(f"{name} {metadata.version(name)}" for name in (*_LIBRARIES, *_CALENDARS))


def _cache() -> str:
    import numba  # a broken library is a finding, not the end

    import geo.jit  # noqa: F401 - it chooses the folder

    folder = Path(numba.config.CACHE_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        return f"{folder} can be written"


def _compiler() -> str:
    import numba
    import numpy as np

    import engine
    from geo.metric import distance_m
    from service.kernels import prepare_kernels

    prepare_kernels()  # in sight and alone where they are yet to be compiled
    engine.warm_up()
    told = float(np.atleast_1d(distance_m(np.zeros(1), np.zeros(1), np.zeros(1), np.ones(1)))[0])
    if not 111_319 < told < 111_320:  # a degree of the equator: 111 319.49 m
        text = f"a degree of the equator must be 111319.49 m, is {told}"
        raise BrokenError(text)
    return "off (NUMBA_DISABLE_JIT): slow" if numba.config.DISABLE_JIT else "every kernel compiles"


def _h3() -> str:
    import h3
    import numpy as np

    from geo.cells import cell_to_text, latlng_to_cell_many
    from geo.jit import H3_COMPILED

    cell = cell_to_text(latlng_to_cell_many(np.array([31.2304]), np.array([121.4737]), 9)[0])
    expected = h3.latlng_to_cell(31.2304, 121.4737, 9)
    if cell != expected:
        text = f"a place in Shanghai must be in {expected}, is in {cell}"
        raise BrokenError(text)
    return "compiled into the kernels" if H3_COMPILED else "called place by place (slower)"


def _norms() -> str:
    from engine.norms import load_norms

    norms = load_norms()
    return f"{len(norms.sectors)} sectors, {len(norms.offers())} offers"


def _tags() -> str:
    from engine.norms import load_norms
    from service.points.tags import load_tag_table

    strangers = load_tag_table().offers() - set(load_norms().offers())
    if strangers:
        text = f"offers without a norm: {', '.join(sorted(strangers))}"
        raise BrokenError(text)
    return "every offer has its norm"


def _zones() -> str:
    import zoneinfo

    import numpy as np

    from service.points.zones import country_of, zones_of

    lat, lng = 31.2304, 121.4737
    [zone] = zones_of(np.array([lat]), np.array([lng]))
    country = None if zone is None else country_of(zone, lat, lng)
    if (zone, country) != ("Asia/Shanghai", "CN"):
        text = f"a place in Shanghai must be in Asia/Shanghai, CN, is in {zone}, {country}"
        raise BrokenError(text)
    return f"{len(zoneinfo.available_timezones())} zones, places are found"


def _calendar(country: str, today: dt.date) -> Finding:
    from engine.errors import EngineError
    from engine.holidays import last_published_day

    name = f"holidays {country}"
    try:
        last = last_published_day(country)
    except EngineError as error:
        return Finding(name, "broken", str(error))
    days = (last - today).days
    if days < 0:
        return Finding(name, "warning", f"published up to {last}: days near a holiday are unknown since; upgrade")
    if days <= _WARN_DAYS:
        return Finding(name, "warning", f"published up to {last}, {days} days from now: upgrade")
    return Finding(name, "ok", f"published up to {last}")
