"""``linli key`` and ``linli migrate`` on both databases."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psycopg
import pytest

from service.keys.formats import is_well_formed, key_digest
from tests.contract.service.talking import ask, make_key, make_merchant
from tests.serving import ROOT, Place, Serving, fresh_database, linli

FIELDS = ["key_id", "scope", "merchant_id", "label", "crew", "rate", "created_at", "expires_at", "revoked_at"]
KNOWN_S = 2.0
HEAVY = ("numba", "llvmlite", "h3", "pandas", "pyarrow", "fastapi", "engine", "geo")


@pytest.fixture(scope="module")
def made_flag(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name a store that was made, and that no server uses."""
    flag = f"--data={tmp_path_factory.mktemp('made')}"
    assert linli("migrate", flag).returncode == 0
    return flag


@pytest.mark.parametrize("is_postgres", [False, True])
def test_create__before_the_first_start_makes_the_store_and_a_key(
    postgres_url: str, tmp_path: Path, is_postgres: bool
) -> None:
    place = Place(tmp_path, fresh_database(postgres_url) if is_postgres else None)
    made = linli("key", "create", "--scope=admin", "--label=before", *place.flags)
    assert made.returncode == 0, made.stderr
    secret = made.stdout.strip()
    assert made.stdout == f"{secret}\n"  # nothing beside it, so that a script can take it
    assert is_well_formed(secret)
    assert secret not in made.stderr
    ((key_id, label),) = ask(place, f"SELECT key_id, label FROM keys WHERE digest = '{key_digest(secret)}'")  # noqa: S608
    assert label == "before"
    assert key_id in made.stderr
    again = linli("key", "create", "--scope=admin", *place.flags)
    assert again.returncode == 0, again.stderr
    assert ["has a new one now" in run.stderr for run in (made, again)] == [not is_postgres, False]


def _once_known(client: httpx.Client, url: str) -> httpx.Response:
    """Ask until the server knows the key, which a command made beside it: two seconds at most."""
    until = time.monotonic() + KNOWN_S
    while (answer := client.get(url)).status_code == httpx.codes.UNAUTHORIZED and time.monotonic() < until:
        time.sleep(0.02)
    return answer


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--scope=app", "--crew=told-shop:1/anna"), "--crew"),
        (("--scope=crew", "--merchant=told-shop", "--crew=other-shop:1/anna"), "must be a point of the merchant"),
    ],
)
def test_create__refuses_a_crew_that_cannot_be_the_keys(made_flag: str, flags: tuple[str, ...], told: str) -> None:
    refused = linli("key", "create", *flags, made_flag)
    assert refused.returncode == 2
    assert told in " ".join(refused.stderr.split())


def test_create__takes_what_the_route_takes(service: Serving) -> None:
    with service.client() as admin:
        make_merchant(admin, "told-shop")
    flags = [
        "--scope=merchant",
        "--merchant=told-shop",
        "--label=till 1",
        "--rate=9",
        "--expires=2099-01-01T08:00+08:00",
    ]
    made = linli("key", "create", *flags, "--json", *service.place.flags)
    assert made.returncode == 0, made.stderr
    told = json.loads(made.stdout)
    assert list(told) == [*FIELDS, "secret"]
    kept = [told[name] for name in ("scope", "merchant_id", "label", "rate", "expires_at", "revoked_at")]
    assert kept == ["merchant", "told-shop", "till 1", 9, "2099-01-01T00:00:00Z", None]
    with service.client(told["secret"]) as merchant:
        answer = _once_known(merchant, f"/v1/keys/{told['key_id']}")
        assert answer.json() == {name: told[name] for name in FIELDS}


def test_list__tells_every_key_and_no_secret(service: Serving) -> None:
    made = json.loads(linli("key", "create", "--scope=app", "--json", *service.place.flags).stdout)
    crew = "listed-shop:main/anna"
    with service.client() as admin:
        make_merchant(admin, "listed-shop")
        make_key(admin, "crew", merchant_id="listed-shop", crew=crew)
    told = linli("key", "list", "--json", *service.place.flags)
    rows = json.loads(told.stdout)
    with service.client() as admin:
        assert rows == admin.get("/v1/keys", params={"page_size": 200}).json()["items"]
    plain = linli("key", "list", *service.place.flags)
    assert [line.split()[0] for line in plain.stdout.splitlines()] == [row["key_id"] for row in rows]
    assert made["key_id"] in plain.stdout
    assert f"  crew      {crew}  lives" in plain.stdout
    for text in (told.stdout, plain.stdout, told.stderr, plain.stderr):
        assert made["secret"] not in text
        assert key_digest(made["secret"]) not in text


def test_revoke__says_so_and_may_come_twice(service: Serving) -> None:
    place = service.place
    made = json.loads(linli("key", "create", "--scope=app", "--json", *place.flags).stdout)
    first = linli("key", "revoke", made["key_id"], *place.flags)
    rows = ask(place, f"SELECT revoked_at FROM keys WHERE key_id = '{made['key_id']}'")  # noqa: S608
    second = linli("key", "revoke", made["key_id"], *place.flags)
    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stdout == second.stdout == f"{made['key_id']} is revoked\n"
    assert rows[0][0] is not None
    assert ask(place, f"SELECT revoked_at FROM keys WHERE key_id = '{made['key_id']}'") == rows  # noqa: S608


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["create"], 2, "--scope"),
        (["create", "--scope=root"], 2, "root"),
        (["create", "--scope=merchant"], 2, "is required for a key of scope merchant"),
        (["create", "--scope=admin", "--merchant=shop"], 2, "is of no merchant"),
        (["create", "--scope=app", "--rate=0"], 2, "--rate"),
        (["create", "--scope=app", "--expires=2099-01-01"], 2, "with an offset"),
        (["create", "--scope=app", "--expires=2020-01-01T00:00:00Z"], 2, "in the future"),
        (["create", "--scope=app", "--expires=9999-12-31T23:59:59-12:00"], 2, "in the years 2000 to 2100"),
        (["create", "--scope=app", "--expires=2101-01-01T00:00:00Z"], 2, "in the years 2000 to 2100"),
        (["create", "--scope=app", "--label=two\nlines"], 2, "one line"),
        (["create", "--scope=app", "--merchant=half\udcff"], 2, "--merchant"),
        (["create", "--scope=crew", "--merchant=shop", "--crew=shop:1/half\udcff"], 2, "--crew"),
        (["revoke", "half\udcff"], 2, "KEY_ID"),
        (["create", "--scope=app", "--merchant=none-such"], 1, "there is no merchant none-such"),
        (["revoke"], 2, "key_id"),
        (["revoke", "key_0000000000000000"], 1, "there is no key key_0000000000000000"),
        (["list", "--database=mysql://x/y"], 1, "LINLI_DATABASE"),
    ],
)
def test_key__says_what_is_wrong(made_flag: str, arguments: list[str], code: int, told: str) -> None:
    run = linli("key", *arguments, made_flag)
    assert (run.returncode, run.stdout) == (code, "")
    assert told in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("setting", "url", "told"),
    [
        ("database", "postgres://u:s3cret@db/linli", "must be like postgresql://user:password@host"),
        ("database", "postgresqlx://u:s3cret@db/linli", "must be like postgresql://user:password@host"),
        ("database", "postgresql+asyncpg://u:s3cret@db/linli", "must be like postgresql://user:password@host"),
        ("database", "postgresql:u:s3cret", "must be like postgresql://user:password@host"),
        ("database", "postgresql://u:s3cret@db:port/linli", "must be like postgresql://user:password@host"),
        ("database", "postgresql://u@127.0.0.1:1/linli?password=s3cret", "cannot be used"),
        ("redis", "http://u:s3cret@db", "must be like redis://user:password@host"),
        ("redis", "redis://u:s3cret@db:port", "must be like redis://user:password@host"),
        ("redis", "redis://u:s3cret@[db", "must be like redis://user:password@host"),
        ("redis", "unix://", "must be like redis://user:password@host"),
    ],
)
def test_key__tells_of_a_bad_address_and_not_its_password(made_flag: str, setting: str, url: str, told: str) -> None:
    run = linli("key", "list", **{"data": made_flag.partition("=")[2], setting: url})
    assert (run.returncode, run.stdout) == (1, "")
    assert told in run.stderr
    assert "s3cret" not in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("command", [["list"], ["revoke", "key_1"]])
def test_key__makes_no_store_where_there_was_none(tmp_path: Path, command: list[str]) -> None:
    run = linli("key", *command, f"--data={tmp_path / 'misspelt'}")
    assert (run.returncode, run.stdout) == (1, "")
    assert "holds no linli.db" in run.stderr
    assert not (tmp_path / "misspelt").exists()


def _imported(code: str, *arguments: str) -> str:
    script = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print([name for name in {HEAVY} if name in sys.modules]))\n"
        f"{code}\n"
    )
    command = [sys.executable, "-c", script, *arguments]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return run.stdout.splitlines()[-1]


@pytest.mark.parametrize("arguments", [["create", "--scope=app"], ["list"], ["revoke", "key_1"]])
def test_key__imports_no_compiler_and_no_framework(made_flag: str, arguments: list[str]) -> None:
    assert _imported("from service.cli import main; main()", "key", *arguments, made_flag) == "[]"


def test_imports__are_seen_where_there_are_some() -> None:
    """The control of the test above."""
    assert _imported("import service.http.app") == str(list(HEAVY))


def test_migrate__makes_the_tables_and_then_has_nothing_to_do(postgres_url: str, tmp_path: Path) -> None:
    for flag in (f"--data={tmp_path / 'new'}", f"--database={fresh_database(postgres_url)}"):
        first, second = linli("migrate", flag), linli("migrate", flag)
        assert (first.returncode, second.returncode) == (0, 0), first.stderr
        assert first.stdout.startswith("the schema was empty and is 0")
        assert second.stdout == f"the schema is {first.stdout.split()[-1]} already\n"


def test_migrate__refuses_what_is_not_its_own(postgres_url: str, tmp_path: Path) -> None:
    other = fresh_database(postgres_url)
    with psycopg.connect(other, autocommit=True) as connection:
        connection.execute("CREATE TABLE somebodys (a int)")
    later = fresh_database(postgres_url)
    linli("migrate", f"--database={later}")
    with psycopg.connect(later, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    (tmp_path / "file").touch()
    for flag, told in (
        (f"--database={other}", "tables that are not linli's"),
        (f"--database={later}", "needs a later linli"),
        (f"--database={postgres_url.rpartition('?')[0]}?host={tmp_path}", "cannot be used"),
        (f"--data={tmp_path / 'file' / 'x'}", "cannot be written"),
    ):
        run = linli("migrate", flag)
        assert (run.returncode, run.stdout) == (1, ""), run.stderr
        assert told in run.stderr
        assert "Traceback" not in run.stderr
