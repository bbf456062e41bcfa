"""Old records go, what is kept from moves on, and the latest instant outlives a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text, update

from service.audit.store import COMMAND
from service.bookings.store import forget_bookings
from service.clock import SystemClock
from service.errors import DeadlineExceededError
from service.feed import housekeeping
from service.feed.housekeeping import Housekeeping, forget_requests, keep_mark, kept_mark
from service.feed.outbox import Position, head, kept_from, oldest_unread_s, prune, read_changes
from service.imports.store import forget_imports
from service.keys.store import create_key, list_keys
from service.orders.forgetting import forget_buyers
from service.store.connections import WriteConnection
from service.store.database import Store
from service.store.order_tables import orders, webhook_deliveries
from service.store.tables import changes, idempotency, import_errors, imports, keys
from service.store.visit_tables import bookings
from service.webhooks import deliveries
from service.webhooks.store import Whose, create_webhook
from tests.feed_store import fill, opened_store, set_units, wait_until
from tests.serving import Place, fresh_database


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = fresh_database(request.getfixturevalue("postgres_url")) if request.param == "postgres" else None
    with opened_store(Place(tmp_path, url)) as store:
        fill(store, 2, 3)
        yield store


def test_prune__removes_the_oldest_and_says_from_where_nothing_is_missing(store: Store) -> None:
    with store.reading() as connection:
        every, end = read_changes(connection, Position(0, 0)), head(connection)
    assert store.write_now(lambda connection: prune(connection, connection.now_us + 1, limit=3)) == 3
    with store.reading() as connection:
        assert kept_from(connection) == every[2].position
        assert read_changes(connection, kept_from(connection)) == every[3:]
        assert head(connection) == end


def test_prune__of_all_leaves_the_head_where_it_was(store: Store) -> None:
    with store.reading() as connection:
        end = head(connection)
    store.write_now(lambda connection: prune(connection, connection.now_us + 1))
    with store.reading() as connection:
        assert head(connection) == kept_from(connection) == end
    store.write_now(lambda connection: set_units(connection, "m0:0", "laundry/pickup", 1))
    with store.reading() as connection:
        assert len(read_changes(connection, end)) == 1


def test_prune__leaves_what_is_young(store: Store) -> None:
    assert store.write_now(lambda connection: prune(connection, connection.now_us - 60_000_000)) == 0


def test_prune__is_one_worker_s_at_a_time(postgres_url: str, tmp_path: Path) -> None:
    place = Place(tmp_path, fresh_database(postgres_url))
    with opened_store(place) as one, opened_store(place) as other:
        fill(one, 1, 3)

        def both(connection: WriteConnection) -> tuple[int, int]:
            mine = prune(connection, connection.now_us + 1, limit=1)
            return mine, other.write_now(lambda c: prune(c, c.now_us + 60_000_000, limit=1))

        assert one.write_now(both) == (1, 0)


def _keep_request(connection: WriteConnection, key: str, at_us: int) -> None:
    row = {"caller": "key_1", "route": "/", "key": key, "payload_digest": "", "status": 201, "headers": "{}"}
    connection.run(insert(idempotency), {**row, "body": b"", "created_at": at_us})


def test_requests__are_forgotten_when_they_are_old(store: Store) -> None:
    for number in range(5):
        store.write_now(partial(_keep_request, key=str(number), at_us=number))
    assert store.write_now(lambda connection: forget_requests(connection, 3)) == 3
    assert _n_requests(store) == 2


def _n_requests(store: Store) -> int:
    count = select(func.count()).select_from(idempotency)
    return int(store.read_now(lambda connection: connection.value(count)))


def test_keys__are_forgotten_a_month_after_they_were_revoked_or_expired(store: Store) -> None:
    clock = SystemClock()
    month_us, now_us = 30 * 86_400_000_000, clock.now_us()

    def make(connection: WriteConnection, label: str, expires_us: int | None, revoked_us: int | None) -> None:
        key_id = create_key(connection, scope="app", label=label, expires_us=expires_us).row.key_id
        connection.run(update(keys).where(keys.c.key_id == key_id).values(revoked_at=revoked_us))

    old_us, young_us = now_us - month_us - 60_000_000, now_us - month_us + 60_000_000
    for label, *ends in (
        ("lives", None, None),
        ("lives on", now_us + month_us, None),
        ("expired", young_us, None),
        ("revoked", None, young_us),
        ("expired long ago", old_us, None),
        ("revoked long ago", now_us + month_us, old_us),
    ):
        store.write_now(partial(make, label=label, expires_us=ends[0], revoked_us=ends[1]))
    Housekeeping(store, clock, keep_changes_s=3600).prune()
    labels = {row.label for row in store.read_now(list_keys)}
    assert labels == {"lives", "lives on", "expired", "revoked"}


def test_deliveries__are_looked_at_some_in_a_write_and_all_in_a_turn(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "_LOOKED_AT", 3)
    clock, its, looked_from = SystemClock(), webhook_deliveries.c, []
    hook = store.write_now(lambda connection: create_webhook(connection, COMMAND, Whose(), "https://a.example/x"))
    old_us = clock.now_us() - 8 * 86_400_000_000
    names = ("webhook_id", "event_id", "subject", "revision", "body", "state", "tries", "created_at")
    states = ["waiting"] * 7 + ["delivered"]
    rows = [
        (hook.webhook_id, f"msg_{at}", f"ord_{at}", 1, "", state, 0, old_us + at) for at, state in enumerate(states)
    ]
    store.write_now(lambda connection: connection.insert_rows(webhook_deliveries, names, rows))

    def look(connection: WriteConnection, before_us: int, after_us: int) -> int:
        looked_from.append(max(0, after_us - old_us))
        return deliveries.forget_deliveries(connection, before_us, after_us)

    monkeypatch.setattr(housekeeping, "forget_deliveries", look)
    Housekeeping(store, clock, keep_changes_s=3600).prune()
    assert looked_from == [0, 3, 6]
    left = store.read_now(
        lambda connection: connection.rows(select(its.state).where(its.webhook_id == hook.webhook_id))
    )
    assert [row.state for row in left] == ["waiting"] * 7


@pytest.mark.parametrize("ahead_s", [86_400 + 60, 365 * 86_400])
def test_requests__are_kept_until_a_day_has_really_passed_however_far_the_clock_jumps(
    store: Store, ahead_s: int
) -> None:
    clock, passed_s = SystemClock(), 0
    keeping = Housekeeping(store, clock, keep_changes_s=3600, monotonic=lambda: passed_s)
    keeping.prune()
    at_us = clock.now_us()
    store.write_now(partial(_keep_request, key="order", at_us=at_us))
    for passed_s, n_left in ((0, 1), (60, 1), (3_600, 1), (86_000, 1), (90_100, 0)):
        clock.keep_after(at_us + (ahead_s + passed_s) * 1_000_000)
        keeping.prune()
        assert _n_requests(store) == n_left


def test_requests__are_kept_over_a_restart_after_a_jump_that_was_set_right(store: Store) -> None:
    clock = SystemClock()
    store.write_now(partial(_keep_request, key="order", at_us=clock.now_us()))
    store.write_now(partial(keep_mark, at_us=clock.now_us() + 90_060_000_000))
    keeping = Housekeeping(store, clock, keep_changes_s=3600)
    keeping.start()
    keeping.prune()
    keeping.close()
    assert _n_requests(store) == 1


def test_housekeeping__prunes_as_the_store_knows_it_where_the_clock_is_far_behind(store: Store) -> None:
    clock = SystemClock()
    ahead_us = clock.now_us() + 365 * 86_400_000_000
    store.write_now(partial(keep_mark, at_us=ahead_us))
    store.write_now(partial(_keep_request, key="order", at_us=ahead_us - 4 * 86_400_000_000))
    keeping = Housekeeping(store, clock, keep_changes_s=3600)
    keeping.start()
    keeping.prune()
    keeping.close()
    assert _n_requests(store) == 0


def test_mark__moves_on_only(store: Store) -> None:
    for at_us, kept in ((5, 5), (1_000, 1_000), (999, 1_000), (20, 1_000)):
        store.write_now(partial(keep_mark, at_us=at_us))
        assert store.read_now(kept_mark) == kept


def test_housekeeping__keeps_time_over_a_restart_and_prunes(store: Store) -> None:
    ahead_us = SystemClock().now_us() + 3_600_000_000
    first = SystemClock()
    keeping = Housekeeping(store, first, keep_changes_s=-7200, every_s=0.02, prune_every_s=0.05)
    keeping.start()
    first.keep_after(ahead_us)
    wait_until(lambda: store.read_now(kept_mark) == ahead_us, 5, "kept")
    wait_until(lambda: store.read_now(lambda c: read_changes(c, Position(0, 0))) == [], 5, "pruned")
    keeping.close()
    second = SystemClock()
    keeping = Housekeeping(store, second, keep_changes_s=60)
    keeping.start()
    keeping.close()
    assert second.now_us() >= ahead_us


def _keep_import(connection: WriteConnection, name: str, state: str, at_us: int, n_errors: int) -> None:
    told = dict.fromkeys(("lines_done", "bytes_done", "upserted", "rejected"), n_errors) | {"digest": ""}
    whose = {"import_id": name, "merchant_id": "m0", "state": state}
    connection.run(insert(imports), {**whose, **told, "created_at": at_us, "updated_at": at_us})
    error = {"import_id": name, "slug": "validation", "place": "", "reason": ""}
    connection.run(insert(import_errors), [{**error, "line": line} for line in range(1, n_errors + 1)])


def _imports_left(store: Store) -> dict[str, int]:
    with store.reading() as connection:
        kept = [name for (name,) in connection.rows(select(imports.c.import_id))]
        errors = [name for (name,) in connection.rows(select(import_errors.c.import_id))]
    return {name: errors.count(name) for name in kept}


def test_imports__go_a_week_after_their_end_and_four_after_they_broke_off(store: Store) -> None:
    clock = SystemClock()
    for name, state, days in (("new", "done", 6), ("old", "done", 8), ("cut", "running", 27), ("lost", "running", 29)):
        at_us = clock.now_us() - days * 86_400_000_000
        store.write_now(partial(_keep_import, name=name, state=state, at_us=at_us, n_errors=2))
    Housekeeping(store, clock, keep_changes_s=3600).prune()
    assert _imports_left(store) == {"new": 2, "cut": 2}


def test_imports__go_by_so_many_rows_at_a_time(store: Store) -> None:
    for name in ("one", "two"):
        store.write_now(partial(_keep_import, name=name, state="done", at_us=10, n_errors=3))
    went = [store.write_now(lambda connection: forget_imports(connection, 11, 11, 3)) for _ in range(4)]
    assert went == [3, 3, 2, 0]
    assert _imports_left(store) == {}


def _put_forgotten(connection: WriteConnection, numbers: range) -> None:
    """Put orders and bookings whose buyers were forgotten long ago, and change records that are young."""
    same = {"owner": "app", "merchant_id": "m0", "point_id": "m0:0", "offer": "laundry/pickup", "revision": 1}
    same |= {"total_minor": 0, "fee_minor": 0, "state": "ended"}
    order = {"features": ";", "order_at": 0, "ready_at": 0, "handover_at": 0, "code_number": 1}
    booking = {"service_id": "", "duration_s": 0, "people": 1, "skills": "", "starts_at": 0, "ends_at": 0}
    booking |= {"booked_at": 0, "currency": "CNY"}
    each = [{"id": f"{number:09}", "ended_at": number} for number in numbers]
    connection.run(insert(orders), [{**same, **order, "order_id": i["id"], "ended_at": i["ended_at"]} for i in each])
    rows = [{**same, **booking, "booking_id": i["id"], "ended_at": i["ended_at"]} for i in each]
    connection.run(insert(bookings), rows)
    connection.record_changes("point", [("m0:0", number) for number in numbers], "m0")


def _n_read(connection: WriteConnection, work: Callable[[WriteConnection], int]) -> int:
    """Return what a work reads: rows on PostgreSQL, steps of its machine on SQLite."""
    if connection.is_postgres:
        read = "SELECT CAST(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) AS bigint) FROM pg_stat_xact_user_tables"
        connection.run(text("SET LOCAL enable_seqscan = off"))  # else so little is read whole, whatever index there is
        before = connection.value(text(read))
        work(connection)
        return int(connection.value(text(read)) - before)
    steps: list[None] = []
    raw: Any = connection._connection.connection.dbapi_connection
    raw.set_progress_handler(lambda: steps.append(None), 1)
    try:
        work(connection)
    finally:
        raw.set_progress_handler(None, 0)
    return len(steps)


_WORKS = {
    "prune": lambda c: prune(c, c.now_us - 3_600_000_000, limit=10),
    "prune ten": lambda c: prune(c, c.now_us + 3_600_000_000, limit=10),
    "buyers": lambda c: forget_buyers(c, c.now_us, 10),
    "bookings": lambda c: forget_bookings(c, c.now_us, 10),
    "age": lambda c: int(oldest_unread_s(c, head(c)) or 0),
}


@pytest.mark.parametrize("name", _WORKS)
def test_housekeeping__reads_no_more_where_more_is_kept(store: Store, name: str) -> None:
    store.write_now(partial(_put_forgotten, numbers=range(200)))
    store.write_now(lambda connection: connection.run(text("ANALYZE")) if connection.is_postgres else 0)
    few = store.write_now(partial(_n_read, work=_WORKS[name]))
    store.write_now(partial(_put_forgotten, numbers=range(200, 4000)))
    store.write_now(lambda connection: connection.run(text("ANALYZE")) if connection.is_postgres else 0)
    assert store.write_now(partial(_n_read, work=_WORKS[name])) <= few + 20


def test_log__is_emptied_by_a_turn_that_forgot_somebody_alone(store: Store) -> None:
    work = Housekeeping(store, SystemClock(), keep_changes_s=3600)._works(1_000_000_000_000_000)["buyers"]
    store.write_now(partial(_put_forgotten, numbers=range(2)))

    def turn(connection: WriteConnection) -> tuple[int, bool]:
        return work(connection), connection.is_erasing

    assert store.write_now(turn) == (0, False)
    store.write_now(lambda connection: connection.run(update(orders).values(buyer="somebody")))
    assert store.write_now(turn) == (2, True)


def _change_at(connection: WriteConnection, at_us: int) -> None:
    connection.record_change("point", "m0:0", 1, "m0")
    newest = select(func.max(changes.c.id)).scalar_subquery()
    connection.run(update(changes).where(changes.c.id == newest).values(at=at_us))


def test_prune__ends_before_what_is_young_whatever_is_behind_it(store: Store) -> None:
    store.write_now(lambda connection: prune(connection, connection.now_us + 1))
    for at_us in (5, 4, 20, 3):
        store.write_now(partial(_change_at, at_us=at_us))
    assert [store.write_now(lambda connection: prune(connection, 10)) for _ in range(2)] == [2, 0]
    kept = store.read_now(lambda connection: read_changes(connection, kept_from(connection)))
    assert [change.at_us for change in kept] == [20, 3]
    assert store.write_now(lambda connection: prune(connection, 21)) == 2


def test_housekeeping__goes_on_behind_a_work_that_fails(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(connection: WriteConnection, before_us: int, *, limit: int) -> int:
        del connection, before_us, limit
        raise error

    store.write_now(partial(_keep_request, key="order", at_us=5))
    monkeypatch.setattr("service.feed.housekeeping.prune", fail)
    error: Exception = DeadlineExceededError("the write took too long")
    Housekeeping(store, SystemClock(), keep_changes_s=3600).prune()
    assert _n_requests(store) == 0
    error = ValueError("unforeseen")
    store.write_now(partial(_keep_request, key="order", at_us=5))
    Housekeeping(store, SystemClock(), keep_changes_s=3600).prune()
    assert _n_requests(store) == 0
    assert [record.getMessage() for record in caplog.records if record.levelname in {"WARNING", "ERROR"}] == [
        "housekeeping waits with changes: the write took too long",
        "housekeeping failed with changes",
    ]
