"""An acknowledged order survives, and each is whole: killed at every write of a script, and under buyers (R2, F1, F2)."""

from __future__ import annotations

import random
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from service.store.sqlite_engines import integrity
from tests.contract.service.talking import ask
from tests.faults.buying import Caller, Market, body_of, change, open_market, unbalanced, unsound
from tests.faults.ordering import enter_shop, order_once, terms_of, wish
from tests.faults.writing import opened
from tests.feed_store import wait_until
from tests.scale import FULL
from tests.serving import LINLI, ROOT, Place, Serving, running_service

STOCK = {"milk": 1_000}
STEP = 1 if FULL else 400
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


class Killer:
    """Runs the script killed at a chosen call."""

    def __init__(self, shop: Path, folder: Path, server: subprocess.Popen[str]) -> None:
        self._shop = shop
        self._folder = folder
        self._server = server

    def killed_at(self, call: int, fault: str = "none") -> tuple[bool, list[str]]:
        """Kill the script at a call; return whether it came to its end, and what is wrong then."""
        folder = self._folder / "store"
        shutil.copytree(self._shop, folder)
        into, out = self._server.stdin, self._server.stdout
        assert isinstance(into, IO) or into is not None
        assert out is not None
        into.write(f"{folder} {call} {fault}\n")
        into.flush()
        status = int(out.readline())
        lines = (folder / "told").read_text().splitlines()
        wrong = wrong_after(Place(folder), lines)
        shutil.rmtree(folder)
        assert status == 0 or "done" not in lines
        return status == 0, wrong


@pytest.fixture
def killer(shop: Path, tmp_path: Path) -> Iterator[Killer]:
    with running_killer(shop, tmp_path) as running:
        yield running


@contextmanager
def running_killer(shop: Path, folder: Path) -> Iterator[Killer]:
    """Give one who kills the script, which is loaded once."""
    shutil.copytree(shop, folder / "warm")
    command = [sys.executable, "-m", "tests.faults.ordering", str(folder / "warm")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield Killer(shop, folder, server)
        assert server.stdin is not None
        server.stdin.close()


def wrong_after(place: Place, told: list[str]) -> list[str]:
    """Return what is wrong after a kill: orders acknowledged and gone, or not whole, or stock that does not add up."""
    with opened(str(place.folder)):  # as the next start does
        pass
    assert integrity(place.folder / "linli.db") == "ok"
    acked: dict[str, int] = {}
    for line in told:
        if line.startswith("ok "):
            _ok, key, revision = line.split()
            acked[key] = max(acked.get(key, 0), int(revision))
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
    call, n_killed = (1 if FULL else DRAWN.randint(1, STEP)), 0
    while True:
        is_done, wrong = killer.killed_at(call)
        assert wrong == [], f"killed at call {call}, seed {SEED}"
        if is_done:
            break
        call, n_killed = call + STEP, n_killed + 1
    record_property("killed", f"{n_killed} times of {call} calls")
    assert n_killed >= 500 // STEP


def test_checker__finds_an_order_acknowledged_too_early(killer: Killer) -> None:
    found = [killer.killed_at(call, "tells-first")[1] for call in (10, 11, 12, 13)]
    assert any(wrong and wrong[0].startswith("lost") for wrong in found), found


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
    for _ in range(N_KILLS - 1):
        begun = time.monotonic()
        with running_service(place, admin_key=serving.admin_key, program=LINLI) as serving:
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
