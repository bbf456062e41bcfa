"""Two workers of a real service share their limits in Redis, outlive it, and stop without a trace of it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from tests.scale import FULL
from tests.servers import ValkeyServer, running_valkey
from tests.serving import Serving, fresh_database, running_service

SECONDS = 60 if FULL else 3
RATE, IP_RATE = 100, 40
N_CLIENTS = 6


@pytest.fixture(scope="module")
def valkey_server() -> Iterator[ValkeyServer]:
    with running_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def serving(postgres_url: str, valkey_server: ValkeyServer) -> Iterator[Serving]:
    with running_service(
        fresh_database(postgres_url), "--workers=2", key_rate=RATE, ip_rate=IP_RATE, redis=valkey_server.url
    ) as service:
        yield service
        assert service.stop() == 0
        log = service.log.read_text()
        assert "Traceback" not in log
        assert "unclosed" not in log
        assert "never retrieved" not in log


def _answers(serving: Serving, key: str, seconds: int) -> list[tuple[int, int]]:
    """Overload it over several connections for whole seconds; return the second and the status of each answer in them."""
    answers: list[tuple[int, int]] = []
    starts: list[int] = []
    connected = threading.Barrier(N_CLIENTS, lambda: starts.append(int(time.time() + 0.5) + 1))

    def ask() -> None:
        with serving.client(key) as client:
            client.get("/healthz")
            connected.wait(30)
            start = starts[0]  # for all of them: one that is late asks for less, not for longer
            time.sleep(max(0.0, start - time.time()))
            while time.time() < start + seconds - 0.05:
                status = client.get("/v1/nothing").status_code
                answers.append((int(time.time()), status))

    threads = [threading.Thread(target=ask) for _ in range(N_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [(second, status) for second, status in answers if second < starts[0] + seconds]


@pytest.mark.parametrize(("who", "rate", "admitted"), [("key", RATE, 404), ("ip", IP_RATE, 401)])
def test_workers__admit_what_the_policy_says(serving: Serving, who: str, rate: int, admitted: int) -> None:
    answers = _answers(serving, serving.admin_key if who == "key" else "", SECONDS)
    assert {status for _, status in answers} == {admitted, 429}
    n = [status for _, status in answers].count(admitted)
    # A machine that is busy for a moment asks for less than it may have.
    asked = Counter(second for second, _ in answers)
    granted = sum(min(n_asked, rate) for n_asked in asked.values())
    assert granted >= 0.5 * rate * SECONDS, "too little was asked for to tell"
    assert (0.95 if FULL else 0.9) * granted <= n <= 1.05 * rate * SECONDS, f"{n} admitted of {granted}"


def test_workers__outlive_redis(serving: Serving, valkey_server: ValkeyServer) -> None:
    valkey_server.crash()
    try:
        statuses = [status for _, status in _answers(serving, serving.admin_key, 3)]
    finally:
        valkey_server.start()
    assert set(statuses) == {404, 429}, "nobody sees that it is gone"
    assert statuses.count(404) <= 2 * RATE * 3
    with valkey_server.client() as client, serving.client() as asking:
        deadline = time.monotonic() + 10
        while not client.keys("linli:rate:key_*"):
            assert time.monotonic() < deadline, "it is used again"
            assert isinstance(asking.get("/v1/nothing"), httpx.Response)
            time.sleep(0.02)
