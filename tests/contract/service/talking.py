"""What the tests of the routes say to a service, and how they read its answers."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar

import httpx
import psycopg

from tests.serving import Place

__all__ = ["ask", "create", "dump", "make_key", "make_merchant", "make_webhook", "problem", "together"]

T = TypeVar("T")


def create(client: httpx.Client, path: str, body: Any, key: str | None = None) -> httpx.Response:
    """Send a request that creates something, with an Idempotency-Key of its own unless one is given."""
    return client.post(path, json=body, headers={"Idempotency-Key": key or str(uuid.uuid4())})


def make_merchant(admin: httpx.Client, merchant_id: str, name: str = "A shop") -> dict[str, Any]:
    """Register a merchant."""
    answer = create(admin, "/v1/merchants", {"merchant_id": merchant_id, "name": name})
    assert answer.status_code == 201, answer.text
    return answer.json()


def make_key(client: httpx.Client, scope: str, **more: Any) -> dict[str, Any]:
    """Make a key."""
    answer = create(client, "/v1/keys", {"scope": scope, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def make_webhook(client: httpx.Client, url: str = "http://127.0.0.1:9/hook", **more: Any) -> str:
    """Make a webhook; return its id."""
    answer = create(client, "/v1/webhooks", {"url": url, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["webhook_id"])


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Return status and slug of a problem, which must be one in every respect."""
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["status"] == answer.status_code
    assert body["title"]
    assert body["detail"]
    return answer.status_code, body["type"].rpartition("/")[2]


def together(n: int, fn: Callable[[int], T]) -> list[T]:
    """Run a function in so many threads that start at one moment."""
    barrier = Barrier(n)

    def one(number: int) -> T:
        barrier.wait()
        return fn(number)

    with ThreadPoolExecutor(n) as threads:
        return list(threads.map(one, range(n)))


def ask(place: Place, statement: str) -> list[tuple[Any, ...]]:
    """Ask the database itself."""
    if place.database is not None:
        with psycopg.connect(place.database) as connection:
            return connection.execute(statement.encode()).fetchall()
    file = sqlite3.connect(place.folder / "linli.db")
    try:
        return file.execute(statement).fetchall()
    finally:
        file.close()


def dump(place: Place) -> bytes:
    """Return all that the database holds: the bytes of the SQLite files, every row of every PostgreSQL table."""
    if place.database is None:
        return b"".join(path.read_bytes() for path in sorted(place.folder.glob("linli.db*")))
    tables = ask(place, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    rows = [row for (table,) in tables for row in ask(place, f"SELECT t::text FROM {table} t")]  # noqa: S608
    return "\n".join(row[0] for row in rows).encode()
