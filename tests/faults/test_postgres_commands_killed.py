"""A migration or a restore of PostgreSQL that is killed at any word to the server has happened, or it has not."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from service.store.schema import migrate, newest_revision, schema_told
from tests.faults.strace import run_with_fault
from tests.faults.test_store_kills import RNG, SEED
from tests.faults.writing import fill, filled_with
from tests.scale import FULL
from tests.serving import fresh_database, linli

KILLED = "sendto:signal=SIGKILL:when="
STEP = 3 if FULL else 60


def _tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        return {str(row[0]) for row in rows}


def _url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


def test_migration__killed_at_every_word_is_whole_or_absent(postgres_url: str, tmp_path: Path) -> None:
    call, seen = int(RNG.integers(1, min(STEP, 12) + 1)), set()
    while True:
        url = fresh_database(postgres_url)
        command = ["tests.faults.commands", "migrate", f"--database={_url(url)}"]
        run = run_with_fault(command, f"{KILLED}{call}", tmp_path / "log")
        found = _tables(url)
        assert found == set() or {"merchants", "import_errors", "marks", "alembic_version"} <= found, f"seed {SEED}"
        seen.add(bool(found))
        migrate(_url(url))
        assert schema_told(_url(url)) == f"schema {newest_revision()}"
        if run.returncode == 0:
            break
        call += STEP
    assert seen == {False, True}
    assert call > STEP


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a backup of a SQLite file: either database takes it."""
    folder = tmp_path_factory.mktemp("backup")
    fill(str(folder / "new"), "new")
    assert linli("backup", str(folder / "b.zip"), f"--data={folder / 'new'}").returncode == 0
    return folder / "b.zip"


def test_restore__killed_at_every_word_is_whole_or_absent(backup: Path, postgres_url: str, tmp_path: Path) -> None:
    call, seen = int(RNG.integers(1, min(STEP, 12) + 1)), set()
    while True:
        url = fresh_database(postgres_url)
        fill(_url(url), "old")
        command = ["tests.faults.commands", "restore", str(backup), f"--database={_url(url)}", "--force"]
        run = run_with_fault(command, f"{KILLED}{call}", tmp_path / "log")
        seen.add(filled_with(_url(url), f"seed {SEED}"))
        if run.returncode == 0:
            break
        call += STEP
    assert seen == {"old", "new"}
    assert call > STEP
