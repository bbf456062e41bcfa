"""
A pytest plugin: with ``LINLI_TEST_ONCE=1`` a test that can run on SQLite and on PostgreSQL runs on one of them.

The same for the counter's page on a phone and on a desk. Which one follows from the test's name alone, about half each: a
red run is red again, and each of both sees every part.
"""

from __future__ import annotations

import re
import zlib

import pytest

from tests.scale import ONCE

__all__ = ["left_out"]

PAIRS = (("sqlite", "postgres"), ("phone", "desk"))


def left_out(names: list[str]) -> set[str]:
    """Return which of some tests' names are left out: of two that differ in one word of a pair alone, one."""
    gone: set[str] = set()
    for pair in PAIRS:
        word = re.compile(rf"(?<=[\[-])({'|'.join(pair)})(?=[\]-])")
        together: dict[str, list[str]] = {}
        for name in names:
            if name not in gone and word.search(name):
                together.setdefault(word.sub("", name), []).append(name)
        both = {name: found for name, found in together.items() if len(found) == len(pair)}
        gone |= {sorted(found)[zlib.crc32(name.encode()) % len(pair)] for name, found in both.items()}
    return gone


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave them out, and let the report count them as deselected."""
    if not ONCE:
        return
    gone = left_out([item.nodeid for item in items])
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in gone])
    items[:] = [item for item in items if item.nodeid not in gone]
