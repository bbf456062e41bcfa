"""The doctor finds what a service cannot stand on, changes nothing, and tells no secret."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import redis

from service.checkup_place import check_place
from service.settings import load_settings
from tests.faults.writing import opened, write
from tests.serving import Place, fresh_database, linli


def states(**named: object) -> dict[str, tuple[str, str]]:
    return {finding.name: (finding.state, finding.told) for finding in check_place(load_settings({}, **named))}


@pytest.fixture
def made(place: Place) -> dict[str, object]:
    """Give a place with a schema, as settings."""
    opened(place.database or str(place.folder)).close()
    return {"data": place.folder, "database": place.database}


def test_doctor__finds_a_sound_place_sound(made: dict[str, object]) -> None:
    found = states(**made)
    assert {state for state, _told in found.values()} == {"ok"}
    assert "schema 0" in found["database"][1]


def test_doctor__finds_nothing_there_and_makes_nothing(tmp_path: Path, postgres_url: str) -> None:
    assert states(data=tmp_path / "data")["database"][0] == "broken"
    assert not (tmp_path / "data").exists()
    empty = states(data=tmp_path / "data", database=fresh_database(postgres_url))["database"]
    assert empty[0] == "broken"
    assert "empty" in empty[1]


def test_doctor__finds_a_damaged_file(tmp_path: Path) -> None:
    store = opened(str(tmp_path))
    store.write_now(lambda connection: [write(connection, f"w{i}", 500) for i in range(500)])
    store.close()
    content = bytearray((tmp_path / "linli.db").read_bytes())
    content[40_000:60_000] = bytes(20_000)
    (tmp_path / "linli.db").write_bytes(content)
    assert states(data=tmp_path)["database"][0] == "broken"
    (tmp_path / "linli.db").write_bytes(b"no database" * 1_000)
    state, told = states(data=tmp_path)["database"]
    assert (state, "restore a backup" in told) == ("broken", True)


def test_doctor__says_where_it_looked_at_no_service(tmp_path: Path) -> None:
    opened(str(tmp_path)).close()
    run = linli("doctor", "--country=FI")
    assert "No service was looked at" in run.stderr
    run = linli("doctor", "--country=FI", data=tmp_path)
    assert "is sound" in run.stdout
    assert "No service" not in run.stderr


def test_doctor__finds_a_schema_of_a_later_linli(tmp_path: Path) -> None:
    opened(str(tmp_path)).close()
    with closing(sqlite3.connect(tmp_path / "linli.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    state, told = states(data=tmp_path)["database"]
    assert state == "broken"
    assert "later linli" in told


def test_doctor__warns_where_every_user_can_read_the_facts(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    assert states(data=data)["file modes"][0] == "ok"
    opened(str(data)).close()
    data.chmod(0o755)
    assert states(data=data)["file modes"] == (
        "warning",
        f"other users of this machine can read {data}: chmod 700 {data}",
    )
    data.chmod(0o750)  # its group's, as somebody wanted it
    (data / "linli.db").chmod(0o644)  # nobody else comes to it
    assert states(data=data)["file modes"][0] == "ok"
    elsewhere.mkdir()
    elsewhere.chmod(0o755)
    file = (data / "linli.db").rename(elsewhere / "city.db")
    (data / "linli.db").symlink_to(file)
    assert states(data=data)["file modes"] == (
        "warning",
        f"other users of this machine can read {file}: chmod 600 {file}",
    )


def test_doctor__asks_redis(tmp_path: Path, valkey: redis.Redis) -> None:
    path = valkey.connection_pool.connection_kwargs["path"]
    assert states(data=tmp_path, redis=f"unix://{path}")["redis"][0] == "ok"
    assert states(data=tmp_path, redis=f"unix://{tmp_path}/nothing.sock")["redis"][0] == "broken"


def test_doctor__looks_at_the_folder_that_is_named_or_else_at_the_database_of_the_environment(tmp_path: Path) -> None:
    database = f"postgresql://somebody@/x?host={tmp_path}"
    opened(str(tmp_path / "data")).close()
    for flags, state in ((["--country=FI", f"--data={tmp_path / 'data'}"], "ok"), (["--country=FI"], "broken")):
        run = linli("doctor", *flags, "--json", database=database, data=tmp_path)
        assert {one["name"]: one["state"] for one in json.loads(run.stdout)}["database"] == state


def test_doctor__tells_no_password(tmp_path: Path) -> None:
    database = f"postgresql://somebody:hidden-word@/x?host={tmp_path}"
    run = linli(
        "doctor", f"--data={tmp_path}", f"--database={database}", "--redis=redis://:hidden-word@127.0.0.1:1/0", "--json"
    )
    assert run.returncode == 1
    found = {finding["name"]: finding["state"] for finding in json.loads(run.stdout)}
    assert (found["database"], found["redis"], found["python"]) == ("broken", "broken", "ok")
    assert "hidden-word" not in run.stdout + run.stderr
