"""The PostgreSQL and the Valkey that come as wheels are the real ones: what linli will ask of them holds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import redis
from psycopg import sql

from tests.servers import PostgresServer, ValkeyServer, running_postgres, running_valkey

TAKE = "UPDATE {table} SET remaining = remaining - 1 WHERE key = 'a' AND remaining >= 1"


@pytest.fixture
def stock(postgres_url: str) -> Iterator[sql.Identifier]:
    """Give a table with ten units of one key, guarded by a CHECK."""
    table = sql.Identifier("stock_of_ten")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE TABLE {} (key text PRIMARY KEY, remaining int NOT NULL CHECK (remaining >= 0))").format(
                table
            )
        )
        connection.execute(sql.SQL("INSERT INTO {} VALUES ('a', 10)").format(table))
        yield table
        connection.execute(sql.SQL("DROP TABLE {}").format(table))


def test_postgres__is_15_or_newer(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        assert connection.info.server_version >= 150_000


def test_postgres__tells_the_oldest_open_transaction(postgres_url: str) -> None:
    oldest = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
    with psycopg.connect(postgres_url) as holder, psycopg.connect(postgres_url, autocommit=True) as reader:
        held = holder.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
        reader.execute("SELECT pg_current_xact_id()")
        seen = reader.execute(oldest).fetchone()
        assert held is not None
        assert seen == held, "a reader must not pass a transaction that is still open"
        holder.commit()
        after = reader.execute(oldest).fetchone()
        assert after is not None
        assert after[0] > held[0]


def _buy(url: str, statement: sql.Composed, start: threading.Barrier, sold: list[int]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        start.wait()
        sold.append(sum(connection.execute(statement).rowcount for _ in range(8)))


def test_postgres__conditional_update_refuses_an_oversell_by_two_at_once(
    postgres_url: str, stock: sql.Identifier
) -> None:
    statement = sql.SQL(TAKE).format(table=stock)
    start, sold = threading.Barrier(2), list[int]()
    buyers = [threading.Thread(target=_buy, args=(postgres_url, statement, start, sold)) for _ in range(2)]
    for buyer in buyers:
        buyer.start()
    for buyer in buyers:
        buyer.join(timeout=20)
    assert sum(sold) == 10
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute(sql.SQL("SELECT remaining FROM {}").format(stock)).fetchone() == (0,)


def test_postgres__conditional_update_waits_for_the_other_and_sees_what_it_took(
    postgres_url: str, stock: sql.Identifier
) -> None:
    take_ten = sql.SQL("UPDATE {} SET remaining = remaining - 10 WHERE key = 'a' AND remaining >= 10").format(stock)
    second: list[int] = []
    with psycopg.connect(postgres_url) as first, psycopg.connect(postgres_url) as other:
        assert first.execute(take_ten).rowcount == 1
        waiting = threading.Thread(target=lambda: second.append(other.execute(take_ten).rowcount))
        waiting.start()
        waiting.join(timeout=0.3)
        assert waiting.is_alive(), "the second buyer must wait for the first one's row"
        first.commit()
        waiting.join(timeout=20)
    assert second == [0]


def test_postgres__check_refuses_what_a_careless_update_would_oversell(
    postgres_url: str, stock: sql.Identifier
) -> None:
    careless = sql.SQL("UPDATE {} SET remaining = remaining - 11").format(stock)
    with psycopg.connect(postgres_url) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(careless)


def test_postgres__keeps_the_committed_and_drops_the_open_row_over_a_crash() -> None:
    with running_postgres() as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE promise (id int PRIMARY KEY)")
            connection.execute("INSERT INTO promise VALUES (1)")
        open_connection = psycopg.connect(server.url)
        open_connection.execute("INSERT INTO promise VALUES (2)")
        server.crash()
        open_connection.close()
        server.start()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT id FROM promise").fetchall() == [(1,)]


def _crash_and_restart(server: ValkeyServer, client: redis.Redis) -> None:
    server.crash()
    client.connection_pool.disconnect()
    server.start()


def test_valkey__keeps_every_key_over_a_kill() -> None:
    with running_valkey() as server, server.client() as client:
        for number in range(1_000):
            client.set(f"key:{number}", number)
        _crash_and_restart(server, client)
        kept = client.mget([f"key:{number}" for number in range(1_000)])
        assert kept == [str(number).encode() for number in range(1_000)]


def test_valkey__runs_a_script_as_one_step(valkey: redis.Redis) -> None:
    take = valkey.register_script(
        "local left = tonumber(redis.call('GET', KEYS[1]))"
        " if left < tonumber(ARGV[1]) then return 0 end"
        " redis.call('DECRBY', KEYS[1], ARGV[1]) return 1"
    )
    valkey.set("tokens", 3)
    assert [take(keys=["tokens"], args=[2]) for _ in range(2)] == [1, 0]
    assert valkey.get("tokens") == b"1"


def test_valkey__hands_a_stream_entry_to_one_of_a_group(valkey: redis.Redis) -> None:
    valkey.xgroup_create("changes", "followers", id="0", mkstream=True)
    sent = [valkey.xadd("changes", {"subject": str(number)}) for number in range(3)]
    first: Any = valkey.xreadgroup("followers", "one", {"changes": ">"}, count=2)
    rest: Any = valkey.xreadgroup("followers", "two", {"changes": ">"})
    got = [[entry for _, entries in answer for entry, _ in entries] for answer in (first, rest)]
    assert got == [sent[:2], sent[2:]]


def test_valkey__wakes_a_subscriber(valkey: redis.Redis) -> None:
    subscription: Any = valkey.pubsub(ignore_subscribe_messages=True)
    with subscription:
        subscription.subscribe("wake")
        subscription.get_message(timeout=5)
        valkey.publish("wake", b"17")
        message = subscription.get_message(timeout=5)
    assert message is not None
    assert message["data"] == b"17"


def test_running_postgres__gives_each_its_own_cluster(postgres_url: str) -> None:
    with running_postgres() as server:
        assert isinstance(server, PostgresServer)
        assert server.url != postgres_url
