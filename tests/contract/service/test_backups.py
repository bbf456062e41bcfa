"""A backup made under load restores, into either database; one that is not as it was written is refused."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psycopg
import pytest
from sqlalchemy import select

from service.backups.archives import check_archive
from service.errors import BadFileError
from service.feed.outbox import feed_id, head, kept_from, read_changes
from service.keys.store import create_key, has_admin, revoke_key
from service.store.database import Store
from service.store.tables import keys
from tests.faults.writing import facts, opened, write
from tests.scale import scaled
from tests.serving import LINLI, ROOT, Place, fresh_database, linli

if TYPE_CHECKING:
    from service.store.connections import AnyRow, ReadConnection

SEED = secrets.randbelow(2**32)


def name_of(place: Place) -> str:
    """Return a place as the writing process names it."""
    return place.database or str(place.folder)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    """Give an open store with an admin key."""
    opened_ = opened(name_of(place))
    opened_.write_now(lambda connection: create_key(connection, scope="admin", label="first"))
    yield opened_
    opened_.close()


def other(place: Place, folder: Path, request: pytest.FixtureRequest, *, crossed: bool) -> Place:
    """Return an empty place on the same kind of database, or crossed, on the other."""
    if (place.database is None) != crossed:
        return Place(folder / secrets.token_hex(4))
    return Place(folder / secrets.token_hex(4), fresh_database(request.getfixturevalue("postgres_url")))


@pytest.mark.parametrize("crossed", [False, True])
def test_backup__made_under_load_holds_all_that_was_acknowledged_before(
    store: Store, place: Place, tmp_path: Path, request: pytest.FixtureRequest, crossed: bool
) -> None:
    acked: list[str] = []
    ended = threading.Event()

    def load() -> None:
        run = secrets.token_hex(4)
        while not ended.wait(0.002):  # at full speed the last backups would hold a minute's writes, and take as long
            name = f"w{run}-{len(acked)}"
            store.write_now(partial(write, merchant_id=name))
            acked.append(name)

    writer = threading.Thread(target=load)
    writer.start()
    try:
        for i in range(scaled(20)):
            before = set(acked)
            made = linli("backup", str(tmp_path / f"{i}.zip"), *place.flags, "--json")
            assert made.returncode == 0, made.stderr
            target = other(place, tmp_path, request, crossed=crossed)
            done = linli("restore", str(tmp_path / f"{i}.zip"), *target.flags, "--json")
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout) == json.loads(made.stdout)
            restored = opened(name_of(target))
            try:
                merchants, _changed, audited = restored.read_now(facts)
                assert merchants == audited
                assert before <= merchants <= {*acked, *merchants}
                assert restored.read_now(lambda connection: has_admin(connection, now_us=0))
                assert restored.read_now(feed_id) != store.read_now(feed_id)
            finally:
                restored.close()
    finally:
        ended.set()
        writer.join()


def test_restore__gives_the_feed_another_name_and_lets_numbers_run_on(
    store: Store, place: Place, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store.write_now(lambda connection: [write(connection, f"w{i}{secrets.token_hex(3)}") for i in range(50)])
    assert linli("backup", str(tmp_path / "b.zip"), *place.flags).returncode == 0
    target = other(place, tmp_path, request, crossed=False)
    later = opened(name_of(target))  # a database in use, whose numbers are already higher
    later.write_now(lambda connection: [write(connection, f"wx{i}") for i in range(900)])
    end = later.read_now(head)
    later.close()
    refused = linli("restore", str(tmp_path / "b.zip"), *target.flags)
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    assert linli("restore", str(tmp_path / "b.zip"), *target.flags, "--force").returncode == 0
    restored = opened(name_of(target))
    try:
        start = restored.read_now(head)
        assert start == restored.read_now(kept_from)
        assert start.id >= end.id
        restored.write_now(lambda connection: write(connection, "wy"))
        (change,) = restored.read_now(lambda c: read_changes(c, start))
        assert change.subject == "wy"
        assert change.position > end
        assert not any(name.startswith("wx") for name in restored.read_now(facts)[0])
    finally:
        restored.close()


def _revoked(connection: ReadConnection) -> Sequence[AnyRow]:
    return connection.rows(select(keys.c.key_id, keys.c.revoked_at))


def test_restore__lets_no_key_live_again_that_the_replaced_database_knew_as_revoked(
    store: Store, place: Place, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    leaked = store.write_now(lambda connection: create_key(connection, scope="admin", label="leaked"))
    good = store.write_now(lambda connection: create_key(connection, scope="admin", label="good"))
    assert linli("backup", str(tmp_path / "b.zip"), *place.flags).returncode == 0
    store.write_now(lambda connection: revoke_key(connection, leaked.row.key_id))
    empty = other(place, tmp_path, request, crossed=False)
    assert "linli key list" in linli("restore", str(tmp_path / "b.zip"), *empty.flags).stdout
    store.close()
    assert linli("restore", str(tmp_path / "b.zip"), *place.flags, "--force").returncode == 0
    for target, is_revoked in ((place, True), (empty, False)):  # the empty one cannot know
        with opened(name_of(target)) as restored:
            rows = restored.read_now(_revoked)
        revoked = {row[0]: row[1] for row in rows}
        assert (revoked[leaked.row.key_id] is not None) == is_revoked
        assert revoked[good.row.key_id] is None


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a backup."""
    folder = tmp_path_factory.mktemp("whole")
    store = opened(str(folder / "data"))
    store.write_now(lambda connection: [write(connection, f"w{i}") for i in range(30)])
    store.close()
    assert linli("backup", str(folder / "b.zip"), f"--data={folder / 'data'}").returncode == 0
    return folder / "b.zip"


def test_backup__with_any_bit_flipped_or_cut_short_is_refused(whole: Path, tmp_path: Path) -> None:
    content, damaged = whole.read_bytes(), tmp_path / "damaged.zip"
    rng = np.random.default_rng(SEED)
    bits = {int(bit) for bit in rng.integers(0, 8 * len(content), scaled(2_000))}
    bits |= set(range(8 * (len(content) - 100), 8 * len(content)))
    for bit in sorted(bits):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << (bit % 8)
        damaged.write_bytes(changed)
        with pytest.raises(BadFileError, match="checksum"):
            check_archive(damaged, lambda _share: None)
    for size in (0, 10, len(content) // 2, len(content) - 1):
        damaged.write_bytes(content[:size])
        with pytest.raises(BadFileError, match="checksum"):
            check_archive(damaged, lambda _share: None)
    damaged.write_bytes(content)
    check_archive(damaged, lambda _share: None)


def test_restore__that_is_refused_touches_nothing(whole: Path, tmp_path: Path) -> None:
    content = bytearray(whole.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "damaged.zip").write_bytes(content)
    refused = linli("restore", str(tmp_path / "damaged.zip"), f"--data={tmp_path / 'data'}")
    assert refused.returncode == 1
    assert "checksum" in refused.stderr
    assert not (tmp_path / "data" / "linli.db").exists()


def test_restore__refuses_a_file_that_is_served(whole: Path, tmp_path: Path) -> None:
    from service.store.opening import serving_alone

    with serving_alone(tmp_path / "data"):
        refused = linli("restore", str(whole), f"--data={tmp_path / 'data'}")
    assert refused.returncode == 1
    assert "another linli serves" in refused.stderr


def test_restore__into_what_is_no_folder_is_refused(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "data" / "serving.lock").mkdir(parents=True)
    for folder in ("file", "file/within", "data"):
        refused = linli("restore", str(whole), f"--data={tmp_path / folder}")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"{tmp_path / folder} cannot be written" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_backup__that_fails_leaves_no_file(whole: Path, tmp_path: Path) -> None:
    assert linli("backup", str(tmp_path / "b.zip"), f"--data={tmp_path / 'nothing'}").returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_backup__on_a_full_disk_is_one_line_that_names_it(tmp_path: Path) -> None:
    store = opened(str(tmp_path / "data"))
    names = [f"w{secrets.token_hex(16)}" for _ in range(3_000)]
    store.write_now(lambda connection: [write(connection, name) for name in names])
    store.close()
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)); {LINLI[2]}"
    command = [LINLI[0], "-c", limited, "backup", str(tmp_path / "b.zip"), f"--data={tmp_path / 'data'}"]
    failed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.split("\n")[-2:] == [f"Error: {tmp_path / 'b.zip'}: cannot be written: File too large", ""]
    assert "Traceback" not in failed.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_backup__is_readable_by_its_owner_alone(whole: Path) -> None:
    assert whole.stat().st_mode & 0o077 == 0
    shutil.copy(whole, whole.with_name("copy.zip"))
    check_archive(whole.with_name("copy.zip"), lambda _share: None)


def test_restore__makes_what_its_user_alone_can_read(whole: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert linli("restore", str(whole), f"--data={data}").returncode == 0
    assert (data.stat().st_mode & 0o777, (data / "linli.db").stat().st_mode & 0o777) == (0o700, 0o600)


def test_restore__into_a_folder_passes_over_the_database_of_the_environment(
    whole: Path, tmp_path: Path, postgres_url: str
) -> None:
    served, data = fresh_database(postgres_url), f"--data={tmp_path / 'data'}"
    assert linli("migrate", data, database=served, workers=4).stdout.startswith("the schema was empty")
    restored = linli("restore", str(whole), data, "--force", "--json", database=served, workers=4)
    assert restored.returncode == 0, restored.stderr
    assert linli("key", "list", data, database=served).returncode == 0
    again = linli("backup", str(tmp_path / "b.zip"), data, "--json", database=served)
    assert json.loads(again.stdout)["rows"] == json.loads(restored.stdout)["rows"]
    with psycopg.connect(served) as connection:
        found = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert found == (0,)


@pytest.mark.parametrize("name", ["linli.db", "linli.db-wal", "linli.db-shm", "serving.lock", "link.zip"])
def test_backup__never_takes_the_place_of_the_database(tmp_path: Path, name: str) -> None:
    store = opened(str(tmp_path))
    store.write_now(lambda connection: write(connection, "wz"))
    (tmp_path / "link.zip").symlink_to("linli.db")
    refused = linli("backup", str(tmp_path / name), f"--data={tmp_path}")
    store.close()
    assert refused.returncode == 2
    assert "must be another file" in refused.stderr
    assert (tmp_path / "linli.db").read_bytes().startswith(b"SQLite format 3")
