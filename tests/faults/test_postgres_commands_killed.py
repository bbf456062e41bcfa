"""A migration or a restore of PostgreSQL that is killed at any word to the server has happened, or it has not."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from service.store.schema import migrate, newest_revision, schema_told
from tests.faults.killing import Killer, running_killer
from tests.faults.writing import fill, filled_with
from tests.scale import FULL
from tests.serving import fresh_database, linli

STEP = 3 if FULL else 60
SEED = secrets.randbelow(2**32)
DRAWN = random.Random(SEED)  # noqa: S311


def _tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        return {str(row[0]) for row in rows}


def _url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def killer(tmp_path: Path) -> Iterator[Killer]:
    (tmp_path / "start").mkdir()
    with running_killer(
        "tests.faults.commands", tmp_path / "start", tmp_path, lambda _place, _told: [], "sendto"
    ) as running:
        yield running


def _see_killed(killer: Killer, new: Callable[[], str], words: str, look: Callable[[str], object]) -> set[object]:
    """Return what is seen in a new database when a command is killed there."""
    call, seen, is_done = DRAWN.randint(1, min(STEP, 12)), set(), False
    while not is_done:
        url = new()
        is_done, _wrong = killer.killed_at(call, words.format(_url(url)))
        seen.add(look(url))
        call += STEP
    assert call > 2 * STEP
    return seen


def test_migration__killed_at_every_word_is_whole_or_absent(postgres_url: str, killer: Killer) -> None:
    whole = fresh_database(postgres_url)
    migrate(_url(whole))

    def look(url: str) -> bool:
        found = _tables(url)
        assert found in (set(), _tables(whole)), f"seed {SEED}"
        migrate(_url(url))
        assert schema_told(_url(url)) == f"schema {newest_revision()}"
        return bool(found)

    def new() -> str:
        return fresh_database(postgres_url)

    assert _see_killed(killer, new, "migrate,--database={}", look) == {False, True}


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a backup of a SQLite file: either database takes it."""
    folder = tmp_path_factory.mktemp("backup")
    fill(str(folder / "new"), "new")
    assert linli("backup", str(folder / "b.zip"), f"--data={folder / 'new'}").returncode == 0
    return folder / "b.zip"


def test_restore__killed_at_every_word_is_whole_or_absent(backup: Path, postgres_url: str, killer: Killer) -> None:
    def new() -> str:
        url = fresh_database(postgres_url)
        fill(_url(url), "old")
        return url

    words = f"restore,{backup},--database={{}},--force"
    assert _see_killed(killer, new, words, lambda url: filled_with(_url(url), f"seed {SEED}")) == {"old", "new"}
