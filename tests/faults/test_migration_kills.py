"""A migration or a restore that is killed at any write has happened, or it has not."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from service.store.schema import engine_of, migrate, migrate_to, newest_revision, schema_told
from service.store.sqlite_engines import integrity
from tests.faults.strace import run_with_fault
from tests.faults.test_store_kills import RNG, SEED
from tests.faults.writing import fill, filled_with
from tests.scale import FULL
from tests.serving import linli

KILLED = "pwrite64,fdatasync,fsync:signal=SIGKILL:when="


def _steps(full: int = 1) -> tuple[int, int]:
    """Return at which call to begin, and how many to go on by: by ``full`` where all is done."""
    step = full if FULL else 24
    return int(RNG.integers(1, step + 1)), step


def tables(file: Path) -> set[str]:
    """Return the tables of a file, none where there is no file."""
    if not file.exists():
        return set()
    with closing(sqlite3.connect(file)) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_migration__killed_at_every_write_is_whole_or_absent(tmp_path: Path) -> None:
    call, step = _steps()
    seen = set()
    while True:
        folder = tmp_path / f"at{call}"
        run = run_with_fault(
            ["tests.faults.commands", "migrate", f"--data={folder}"], f"{KILLED}{call}", tmp_path / "log"
        )
        found = tables(folder / "linli.db")
        assert found == set() or {"merchants", "import_errors", "marks", "alembic_version"} <= found, f"seed {SEED}"
        seen.add(bool(found))
        url = f"sqlite:///{folder / 'linli.db'}"
        migrate(url)
        assert schema_told(url) == f"schema {newest_revision()}"
        assert integrity(folder / "linli.db") == "ok"
        if run.returncode == 0:
            break
        call += step
    assert seen == {False, True}
    assert call > 2


def test_migration__of_an_earlier_schema_killed_at_every_write_is_whole_or_absent(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    _opened_at(old / "linli.db", "0001")
    call, step = _steps()
    seen = set()
    while True:
        folder = tmp_path / f"at{call}"
        shutil.copytree(old, folder)
        run = run_with_fault(
            ["tests.faults.commands", "migrate", f"--data={folder}"], f"{KILLED}{call}", tmp_path / "log"
        )
        found, url = tables(folder / "linli.db"), f"sqlite:///{folder / 'linli.db'}"
        assert ("webhooks" in found) == ("stock" in found) == ("order_lines" in found), f"seed {SEED}"
        seen.add("stock" in found)
        migrate(url)
        assert schema_told(url) == f"schema {newest_revision()}"
        assert integrity(folder / "linli.db") == "ok"
        if run.returncode == 0:
            break
        call += step
    assert seen == {False, True}


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
        fill(str(folder / name), name)
    assert linli("backup", str(folder / "b.zip"), f"--data={folder / 'new'}").returncode == 0
    return folder / "b.zip", folder / "old"


def test_restore__killed_at_every_write_is_whole_or_absent(backup: tuple[Path, Path], tmp_path: Path) -> None:
    file, old = backup
    call, step = _steps(full=8)  # most of its calls write rows
    seen = set()
    while True:
        folder = tmp_path / f"at{call}"
        shutil.copytree(old, folder)
        command = ["tests.faults.commands", "restore", str(file), f"--data={folder}", "--force"]
        run = run_with_fault(command, f"{KILLED}{call}", tmp_path / "log")
        assert integrity(folder / "linli.db") == "ok"
        seen.add(filled_with(str(folder), f"seed {SEED}"))
        if run.returncode == 0:
            break
        call += step
    assert seen == {"old", "new"}
