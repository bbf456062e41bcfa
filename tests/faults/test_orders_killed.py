"""An acknowledged order survives, and each is whole: killed at every write of a script, and under buyers (R2, F1, F2)."""

from __future__ import annotations

import random
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.store.sqlite_engines import integrity
from tests.contract.service.talking import ask
from tests.faults.buying import Caller, Market, body_of, change, open_market, unbalanced, unsound
from tests.faults.killing import Killer, acked_in, running_killer
from tests.faults.ordering import enter_shop, order_once, terms_of, wish
from tests.faults.writing import opened
from tests.feed_store import wait_until
from tests.scale import FULL
from tests.serving import LINLI, Place, Serving, running_service

STOCK = {"milk": 1_000}
STEP, N_KILLED = (1, 100) if FULL else (20, 3)  # of the script
N_KILLS = 100 if FULL else 3
N_BUYERS = 32
SEED = secrets.randbelow(2**32)
DRAWN = random.Random(SEED)  # noqa: S311
_KEYS = "SELECT key, body FROM idempotency WHERE route = 'POST /v1/orders'"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder whose store has a shop, to be copied."""
    folder = tmp_path_factory.mktemp("shop")
    with opened(str(folder)) as store:
        store.write_now(lambda connection: enter_shop(connection, STOCK))
    return folder


@pytest.fixture
def killer(shop: Path, tmp_path: Path) -> Iterator[Killer]:
    with running_killer("tests.faults.ordering", shop, tmp_path, wrong_after) as running:
        yield running


def wrong_after(place: Place, told: list[str]) -> list[str]:
    """Return what is wrong after a kill: orders acknowledged and gone, or not whole, or stock that does not add up."""
    with opened(str(place.folder)):  # as the next start does
        pass
    assert integrity(place.folder / "linli.db") == "ok"
    acked = acked_in(told)
    ordered = dict(ask(place, _KEYS))
    revisions = dict(ask(place, "SELECT order_id, revision FROM orders"))
    kept = {key: revisions.get(_id_in(body), 0) for key, body in ordered.items()}
    lost = [f"lost {key} {revision}" for key, revision in acked.items() if kept.get(key, 0) < revision]
    torn = [f"key without order {key}" for key, revision in kept.items() if revision == 0]
    torn += [f"order without key {one}" for one in revisions.keys() - {_id_in(body) for body in ordered.values()}]
    return lost + torn + unsound(place) + unbalanced(place, STOCK)


def _id_in(body: bytes) -> str:
    return body.decode().partition('"order_id"')[2].split('"')[1]


def test_script__killed_at_every_write_keeps_what_was_acknowledged_and_each_order_whole(
    killer: Killer, record_property: Callable[[str, object], None]
) -> None:
    n_calls = killer.see_all_kept(STEP, N_KILLED, DRAWN)
    record_property("calls", n_calls)
    assert n_calls >= 500


def test_checker__finds_an_order_acknowledged_too_early(killer: Killer) -> None:
    killer.see_lost((10, 11, 12, 13), 20)


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("DELETE FROM order_lines", "without lines"),
        ("DELETE FROM order_events WHERE revision = 1", "events missing"),
        ("DELETE FROM changes WHERE kind = 'order'", "event not in the outbox"),
        ("DELETE FROM idempotency", "order without key"),
        ("UPDATE stock SET held = held + 1", "held"),
        ("UPDATE offers SET in_work = 0", "in work"),
        ("UPDATE orders SET state = 'collected'", "state not the last event's"),
    ],
)
def test_checker__finds_what_is_planted(shop: Path, tmp_path: Path, planted: str, found: str) -> None:
    folder = tmp_path / "store"
    shutil.copytree(shop, folder)
    with opened(str(folder)) as store:
        terms = terms_of(store)
        store.write_now(lambda connection: order_once(connection, terms, "key-0", wish("milk")))
    place, told = Place(folder), ["ok key-0 1"]
    assert wrong_after(place, told) == []
    change(place, planted)
    assert any(found in one for one in wrong_after(place, told))


def test_server__killed_under_buyers_keeps_every_order_that_it_acknowledged(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    place, acked = Place(tmp_path / "data"), dict[str, int]()
    initial = {"milk": 1_000_000}
    with running_service(place) as serving, open_market(serving) as market:
        market.put_stock("milk", initial["milk"])
        _buy_until_killed(serving, market, acked)
    ready_s = []
    for number in range(N_KILLS - 1):
        begun, program = time.monotonic(), LINLI if number % 10 == 0 else None  # as users do, or loaded before
        with running_service(place, admin_key=serving.admin_key, program=program) as serving:
            ready_s.append(time.monotonic() - begun)
            _buy_until_killed(serving, market, acked)
        revisions = dict(ask(place, "SELECT order_id, revision FROM orders"))
        lost = [one for one, revision in acked.items() if revisions.get(one, 0) < revision]
        assert lost == [], f"seed {SEED}"
    record_property("acked", len(acked))
    record_property("ready_s", round(max(ready_s), 2))
    assert len(acked) > 10 * N_KILLS
    assert unbalanced(place, initial) == unsound(place) == []
    assert integrity(place.folder / "linli.db") == "ok"


def _buy_until_killed(serving: Serving, market: Market, acked: dict[str, int]) -> None:
    """Let buyers order at a server until it is killed, at any time after some were answered."""
    buyers = [
        threading.Thread(target=_buy_on, args=(Caller(serving.base_url, market.app_key), market.point_id, acked))
        for _ in range(N_BUYERS)
    ]
    before = len(acked)
    for buyer in buyers:
        buyer.start()
    wait_until(lambda: len(acked) > before + 15, 30, "some were answered")
    time.sleep(DRAWN.uniform(0.0, 0.5))
    serving.kill()
    for buyer in buyers:
        buyer.join()


def _buy_on(app: Caller, point_id: str, acked: dict[str, int]) -> None:
    """Order, and cancel every second order, until nothing answers."""
    while (answer := app.order(body_of(point_id, "milk"))).status:
        assert answer.status == 201, answer
        order_id = answer.told["order_id"]
        acked[order_id] = 1
        if len(acked) % 2:
            done = app.act(order_id, "cancel")
            if done.status == 200:
                acked[order_id] = 2
    app.close()
