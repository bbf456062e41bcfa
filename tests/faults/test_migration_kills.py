"""A migration or a restore that is killed at any write has happened, or it has not."""

from __future__ import annotations

import random
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from service.store.schema import engine_of, migrate, migrate_to, newest_revision, schema_told
from service.store.sqlite_engines import integrity
from tests.faults.commands import DATA
from tests.faults.killing import running_killer
from tests.faults.writing import fill, filled_with
from tests.scale import FULL
from tests.serving import Place, linli

STEP, N_KILLED = (1, 50) if FULL else (24, 2)
SEED = secrets.randbelow(2**32)


def tables(file: Path) -> set[str]:
    """Return the tables of a file, none where there is no file."""
    if not file.exists():
        return set()
    with closing(sqlite3.connect(file)) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _see_killed(start: Path, folder: Path, words: str, look: Callable[[Path], object]) -> set[object]:
    """Return what is seen in the folder of data when a command is killed there."""
    seen = set()

    def wrong_after(place: Place, _told: list[str]) -> list[str]:
        data = place.folder / DATA
        seen.add(look(data))
        return [] if integrity(data / "linli.db") == "ok" else ["not whole"]

    with running_killer("tests.faults.commands", start, folder, wrong_after) as killer:
        assert killer.see_all_kept(STEP, N_KILLED, random.Random(SEED), words) > 2  # noqa: S311
    return seen


def _see_migrated(start: Path, folder: Path) -> None:
    """Fail where a migration that is killed leaves anything but what was there or what is to be, or cannot be done again."""
    before = tables(start / DATA / "linli.db")
    (folder / "whole").mkdir()
    _migrate(folder / "whole")
    after = tables(folder / "whole" / "linli.db")

    def look(data: Path) -> bool:
        data.mkdir(exist_ok=True)
        found = tables(data / "linli.db")
        assert found in (before, after), f"seed {SEED}"
        told = _migrate(data)
        assert (found == after) == (told == newest_revision()), f"seed {SEED}"
        return found == after

    assert _see_killed(start, folder, "migrate,--data=DATA", look) == {False, True}


def _migrate(data: Path) -> str | None:
    """Migrate; return the revision that it had."""
    url = f"sqlite:///{data / 'linli.db'}"
    before = migrate(url)
    assert schema_told(url) == f"schema {newest_revision()}"
    return before


def test_migration__killed_at_every_write_is_whole_or_absent(tmp_path: Path) -> None:
    (tmp_path / "start").mkdir()
    _see_migrated(tmp_path / "start", tmp_path)


def test_migration__of_an_earlier_schema_killed_at_every_write_is_whole_or_absent(tmp_path: Path) -> None:
    old = tmp_path / "start" / DATA
    old.mkdir(parents=True)
    _opened_at(old / "linli.db", "0001")
    _see_migrated(tmp_path / "start", tmp_path)


def _opened_at(file: Path, revision: str) -> None:
    engine = engine_of(f"sqlite:///{file}")
    with engine.connect() as connection, connection.begin():
        migrate_to(connection, revision)
    engine.dispose()


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Give a backup, and a folder with other facts."""
    folder = tmp_path_factory.mktemp("backup")
    for name in ("new", "old"):
        fill(str(folder / name / DATA), name)
    assert linli("backup", str(folder / "b.zip"), f"--data={folder / 'new' / DATA}").returncode == 0
    return folder / "b.zip", folder / "old"


def test_restore__killed_at_every_write_is_whole_or_absent(backup: tuple[Path, Path], tmp_path: Path) -> None:
    file, old = backup
    words = f"restore,{file},--data=DATA,--force"
    seen = _see_killed(old, tmp_path, words, lambda data: filled_with(str(data), f"seed {SEED}"))
    assert seen == {"old", "new"}
