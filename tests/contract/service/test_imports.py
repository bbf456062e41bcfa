"""Bulk upserts: each bad line told, none stored twice, taken up again where they broke off."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

from service.clock import to_us
from service.imports.store import find_import, import_id_of
from service.keys.store import revoke_key
from tests.contract.service.desk import Desk
from tests.contract.service.shops import NDJSON, Shops, open_shops, point
from tests.contract.service.talking import ask, problem, together
from tests.feed_store import wait_until
from tests.servers import short_folder
from tests.serving import Place, Serving, fresh_database, running_service

PATH = "/v1/points:import"
LINE = 256 * 1024


@pytest.fixture(scope="module")
def shops(service: Serving) -> Iterator[Shops]:
    """Give clients of two merchants."""
    with open_shops(service, "bulk") as found:
        yield found


def line(local: str, **changes: Any) -> bytes:
    offers = [{"offer": "retail/pickup", "area": {"radius_m": 500}, "hours": "24/7", "capacity": 3, "lead_s": 0}]
    told = {"timezone": "Asia/Shanghai", "country": "CN", "offers": offers}
    return json.dumps({"point_id": local if ":" in local else f"bulk:{local}", **point(**told), **changes}).encode()


def send(client: httpx.Client, body: Any, key: str, **query: str) -> httpx.Response:
    return client.post(PATH, content=body, headers={**NDJSON, "Idempotency-Key": key}, params=query)


def n_points(place: Place, like: str) -> int:
    return ask(place, f"SELECT count(*) FROM points WHERE point_id LIKE '{like}%'")[0][0]  # noqa: S608


def test_import__stores_good_lines_and_tells_every_bad_one(shops: Shops, service: Serving) -> None:
    lines = [line(f"mix-{number:04}") for number in range(1_300)]
    bad = {
        3: (b"{", "invalid-json", ""),
        4: (b"", "validation", ""),
        7: (line("mix-bad", lat=91), "coordinate-out-of-range", "/lat"),
        8: (line("other:mix"), "validation", "/point_id"),
        9: (line("mix-bad", status="x"), "validation", "/status"),
        10: (line("mix-bad", name="a\0"), "text-invalid", "/name"),
        11: (b"[1]", "validation", ""),
        12: (line("mix-bad", offers=[{"offer": "retail/pickup", "hours": "?"}]), "validation", "/offers/0/hours"),
        900: (b'{"point_id": "a", "point_id": "b"}', "invalid-json", ""),
        1_299: (b"\xff", "invalid-json", ""),
    }
    for number, (text, _, _) in bad.items():
        lines[number - 1] = text
    told = send(shops.own, b"\n".join(lines) + b"\n", "mix").json()
    assert (told["state"], told["lines"], told["upserted"], told["unchanged"], told["rejected"]) == (
        "done", 1_300, 1_290, 0, 10,
    )  # fmt: skip
    assert [(one["line"], one["type"], one["where"]) for one in told["errors"]] == [
        (number, slug, where) for number, (_, slug, where) in sorted(bad.items())
    ]
    assert n_points(service.place, "bulk:mix-") == 1_290
    found, cursor = [], None
    while True:
        query = {"page_size": 4} | ({} if cursor is None else {"cursor": cursor})
        page = shops.own.get(f"/v1/imports/{told['import_id']}/errors", params=query).json()
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == told["errors"]
    read = shops.own.get(f"/v1/imports/{told['import_id']}").json()
    assert read == {name: value for name, value in told.items() if name not in {"errors", "filled"}}
    assert shops.other.get(f"/v1/imports/{told['import_id']}").status_code == 404
    assert shops.other.get(f"/v1/imports/{told['import_id']}/errors").status_code == 404


def test_import__tells_a_hundred_errors_and_lists_all(shops: Shops) -> None:
    told = send(shops.own, b"x\n" * 700, "many").json()
    assert (told["rejected"], len(told["errors"])) == (700, 100)
    page = shops.own.get(f"/v1/imports/{told['import_id']}/errors", params={"page_size": 200}).json()
    assert [one["line"] for one in page["items"]] == list(range(1, 201))


def test_import__sent_again_answers_alike_and_stores_nothing(shops: Shops, service: Serving) -> None:
    body = b"\n".join(line(f"twice-{number}") for number in range(20))
    first, again = send(shops.own, body, "twice").json(), send(shops.own, body, "twice").json()
    assert {**first, "filled": {}} == again
    other_key = send(shops.own, body, "twice-2").json()
    assert (other_key["upserted"], other_key["unchanged"]) == (0, 20)
    revisions = ask(service.place, "SELECT DISTINCT revision FROM points WHERE point_id LIKE 'bulk:twice-%'")
    assert [tuple(row) for row in revisions] == [(1,)]


def test_import__replaces_what_has_changed_and_takes_the_last_of_a_name(shops: Shops) -> None:
    send(shops.own, b"\n".join([line("same"), line("new")]), "before")
    changed = [line("new", name="A"), line("same"), line("new", name="B")]
    told = send(shops.own, b"\n".join(changed), "after").json()
    assert (told["upserted"], told["unchanged"]) == (2, 1)
    found = shops.get("new").json()
    assert (found["name"], found["revision"]) == ("B", 3)
    assert shops.get("same").json()["revision"] == 1


def test_import__of_another_file_under_a_key_is_refused(shops: Shops) -> None:
    lines = [line(f"reuse-{number}") for number in range(600)]
    send(shops.own, b"\n".join(lines), "reuse")
    reused = (422, "idempotency-key-reused")
    assert problem(send(shops.own, b"\n".join([line("x"), *lines[1:]]), "reuse")) == reused
    assert problem(send(shops.own, b"\n".join([*lines, line("x")]), "reuse")) == reused
    assert problem(send(shops.own, b"\n".join(lines[:-1]), "reuse")) == reused
    assert shops.get("x").status_code == 404


def test_import__cut_half_way_goes_on_where_it_was(shops: Shops, service: Serving) -> None:
    lines = [line(f"cut-{number:05}") for number in range(3_000)]

    def half() -> Iterator[bytes]:
        yield b"\n".join(lines[:1_700]) + b"\n" + lines[1_700][:40]
        for _ in range(200):  # until what came is stored
            if n_points(service.place, "bulk:cut-") >= 1_000:
                break
            time.sleep(0.05)
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError), service.client(shops.own_key) as client:
        send(client, half(), "cut")
    changed = b"\n".join([line("other"), *lines[1:]])

    def again() -> httpx.Response:
        with service.client(shops.own_key) as client:  # a refusal before the body's end may end the connection
            return send(client, changed, "cut")

    wait_until(lambda: again().status_code != 409, 30, "the first one has ended")
    assert problem(again()) == (422, "idempotency-key-reused")
    assert 1_000 <= n_points(service.place, "bulk:cut-") < 1_701
    told = send(shops.own, b"\n".join(lines), "cut").json()
    assert (told["state"], told["lines"], told["upserted"], told["rejected"]) == ("done", 3_000, 3_000, 0)
    assert n_points(service.place, "bulk:cut-") == 3_000
    told_changes = ask(service.place, "SELECT subject FROM changes WHERE subject LIKE 'bulk:cut-%'")
    assert len(told_changes) == 3_000  # none twice


def test_import__takes_lines_of_256_kib_and_no_longer(shops: Shops) -> None:
    good = line("long-good").ljust(LINE)
    bad = line("long-bad").ljust(LINE + 1)
    huge = line("long-huge").ljust(3 * LINE)
    told = send(shops.own, b"\n".join([good, bad, line("long-after"), huge, huge]), "long").json()
    assert (told["lines"], told["upserted"]) == (5, 2)
    assert [(one["line"], one["type"]) for one in told["errors"]] == [
        (number, "payload-too-large") for number in (2, 4, 5)
    ]
    assert shops.get("long-good").status_code == 200
    assert shops.get("long-after").status_code == 200
    assert shops.get("long-bad").status_code == 404


def test_import__counts_what_it_filled_in(shops: Shops) -> None:
    bare = [{"point_id": f"bulk:fill-{number}", **point()} for number in range(3)]
    told = send(shops.own, "\n".join(map(json.dumps, bare)).encode(), "fill").json()
    assert told["filled"] == {"timezone": 3, "country": 3, "area": 3}


def test_import__asks_for_key_kind_and_merchant(shops: Shops) -> None:
    body = line("asked")
    assert problem(shops.own.post(PATH, content=body, headers=NDJSON)) == (400, "idempotency-key-missing")
    plain = {"Content-Type": "application/json", "Idempotency-Key": "k"}
    assert problem(shops.own.post(PATH, content=body, headers=plain)) == (415, "unsupported-media-type")
    assert problem(send(shops.admin, body, "asked")) == (422, "validation")
    assert problem(send(shops.admin, body, "asked", merchant_id="absent")) == (404, "not-found")
    assert problem(send(shops.app, body, "asked")) == (403, "forbidden")
    assert problem(send(shops.own, body, "k" * 256)) == (400, "idempotency-key-invalid")
    assert send(shops.admin, body, "asked", merchant_id="bulk").json()["upserted"] == 1
    assert send(shops.own, b"", "empty").json()["lines"] == 0


def test_import__of_one_key_runs_once_at_a_time(shops: Shops, service: Serving) -> None:
    body = b"\n".join(line(f"once-{number}") for number in range(2_000))

    def one(_number: int) -> tuple[int, str]:
        with service.client(shops.own_key) as client:
            answer = send(client, body, "once")
            return (200, answer.json()["state"]) if answer.is_success else problem(answer)

    found = together(4, one)
    assert set(found) <= {(200, "done"), (409, "idempotency-in-progress")}
    assert (200, "done") in found
    assert send(shops.own, body, "once").json()["upserted"] == 2_000


def _revoke(desk: Desk, key_id: str) -> None:
    desk.registry.services.store.write_now(lambda connection: revoke_key(connection, key_id))
    desk.registry.follow()


def _let_expire(desk: Desk, key_id: str) -> None:
    desk.registry.clock.at += dt.timedelta(hours=1)


def _lines_done(desk: Desk, import_id: str) -> int:
    found = desk.registry.services.store.read_now(lambda connection: find_import(connection, import_id))
    assert found is not None
    return int(found.lines_done)


@pytest.mark.parametrize("end", [_revoke, _let_expire])
def test_import__ends_with_its_key(desk: Desk, end: Callable[[Desk, str], None]) -> None:
    registry, name = desk.registry, end.__name__
    import_id = import_id_of("corner", name)
    expires_us = to_us(desk.now + dt.timedelta(minutes=30)) if end is _let_expire else None
    registry.add_key(name, "merchant", "corner", expires_us=expires_us)
    caller = registry.services.ring.caller_of(registry.keys[name], desk.now_us)
    assert caller is not None

    async def body() -> AsyncIterator[bytes]:
        yield b"x\n" * 600
        async with asyncio.timeout(30):
            while _lines_done(desk, import_id) < 500:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
        end(desk, caller.key_id)
        yield b"x\n" * 600

    headers = {**NDJSON, "Idempotency-Key": name}
    answer = desk.send("POST", PATH, name, content=body(), headers=headers)
    assert problem(answer) == (401, "unauthenticated")
    assert "the lines before 501 are stored" in answer.json()["detail"]
    told = desk.send("GET", f"/v1/imports/{import_id}", "corner").json()
    assert (told["state"], told["lines"]) == ("running", 500)


def test_import__leaves_the_loop_free_for_others(shops: Shops, service: Serving) -> None:
    body = b"\n".join(line(f"free-{number}") for number in range(6_000))

    def one(number: int) -> list[float]:
        with service.client(shops.own_key) as client:
            if number == 0:
                assert send(client, body, "free").json()["upserted"] == 6_000
                return []
            waits = []
            for _ in range(50):
                start = time.perf_counter()
                client.get("/healthz")
                waits.append(time.perf_counter() - start)
            return waits

    waits = sorted(together(2, one)[1])
    assert waits[len(waits) // 2] < 0.25


@pytest.fixture(params=["sqlite", "postgres"])
def own_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Give an empty place of the test's own."""
    with short_folder() as folder:
        database = None if request.param == "sqlite" else fresh_database(request.getfixturevalue("postgres_url"))
        yield Place(folder / "data", database)


def test_import__goes_on_after_the_server_was_killed(own_place: Place) -> None:
    lines, place = [line(f"kill-{number:05}") for number in range(8_000)], own_place
    with running_service(place) as serving, open_shops(serving, "bulk") as shops:
        key, admin = shops.own_key, serving.admin_key

        def slowly() -> Iterator[bytes]:
            yield b"\n".join(lines[:4_000]) + b"\n"
            while n_points(place, "bulk:kill-") < 1_500:
                time.sleep(0.02)
            serving.kill()
            yield b"\n".join(lines[4_000:])

        with pytest.raises(httpx.TransportError):
            send(shops.own, slowly(), "kill")
    assert 1_500 <= n_points(place, "bulk:kill-") < 8_000
    with running_service(place, admin_key=admin) as again, again.client(key) as client:
        told = send(client, b"\n".join(lines), "kill").json()
        assert (told["lines"], told["upserted"], told["unchanged"]) == (8_000, 8_000, 0)
    assert n_points(place, "bulk:kill-") == 8_000


def test_import__tells_the_name_of_a_field_short_and_printable(desk: Desk) -> None:
    lines = b"\n".join([line("named", **{"a\0b": 1}), line("named", **{"k" * 250_000: 1})])
    answer = desk.send("POST", PATH, "corner", content=lines, headers={**NDJSON, "Idempotency-Key": "named"})
    assert (answer.status_code, answer.json()["rejected"]) == (200, 2), answer.text
    assert [bad["where"] for bad in answer.json()["errors"]] == ["/a\ufffdb", "/" + "k" * 199]
