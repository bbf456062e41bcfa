"""What every test run shares: Hypothesis profiles, real servers, and the rule that nothing is skipped in silence."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest
import redis
from hypothesis import HealthCheck, Phase, settings

from tests.scale import FULL, ONCE, scaled
from tests.servers import running_postgres, running_valkey

pytest_plugins = ["tests.once", "tests.skips"]

DERANDOMIZED = os.environ.get("CI") == "true" and not FULL

# In CI the cases follow from the code alone, so that a red run is red again; elsewhere, and in the
# full run, each run draws new ones from a seed that the head of its report names.
settings.register_profile(
    "linli",
    max_examples=scaled(1_000),
    deadline=None,  # the first call of a kernel compiles it
    derandomize=DERANDOMIZED,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("first-failure", settings.get_profile("linli"), phases=[Phase.explicit, Phase.generate])
settings.load_profile("linli")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Draw the seed of this run where none is given and none is fixed."""
    if not DERANDOMIZED and config.getoption("hypothesis_seed") is None:
        config.option.hypothesis_seed = str(secrets.randbelow(2**32))


def pytest_report_header(config: pytest.Config) -> str:
    """Say how much of each count this run takes, and with which seed."""
    seed = config.getoption("hypothesis_seed")
    drawn = "derandomized" if seed is None else f"again with --hypothesis-seed={seed}"
    counts = "whole counts" if FULL else "a tenth of each count"
    if ONCE:
        counts = "each test once, a thirtieth of each count"
    return f"linli: {counts}, Hypothesis {drawn}"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Give the address of a real PostgreSQL, shared by the run."""
    with running_postgres() as server:
        yield server.url


@pytest.fixture(scope="session")
def _valkey_client() -> Iterator[redis.Redis]:
    with running_valkey() as server, server.client() as client:
        yield client


@pytest.fixture
def valkey(_valkey_client: redis.Redis) -> redis.Redis:
    """Give a client of a real Valkey, shared by the run and emptied before each test."""
    _valkey_client.flushall()
    return _valkey_client
