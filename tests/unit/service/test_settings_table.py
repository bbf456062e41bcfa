"""The page for those who run linli lists the settings and metrics that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from service.metrics import Metrics
from service.settings import BadSettingError, load_settings, settings_table
from tests.receivers import CERTIFICATES

PAGE = Path(__file__).resolve().parents[3] / "docs" / "operate.md"


def test_page__has_the_settings_as_they_are() -> None:
    _, _, after = PAGE.read_text(encoding="utf-8").partition("<!-- settings -->\n")
    assert after.partition("<!-- /settings -->")[0] == settings_table(), "put `settings_table()` there"


def test_page__names_every_metric() -> None:
    named = set(re.findall(r"`(linli_[a-z_]+)`", PAGE.read_text(encoding="utf-8")))
    metrics = set(re.findall(r"^# TYPE (\S+)", Metrics().text().decode(), re.MULTILINE))
    assert {name for name in metrics if not name.endswith("_created")} <= named


def test_metrics__of_a_worker_carry_its_number() -> None:
    metrics = Metrics(worker=3)
    metrics.count("/v1/match", 200, 0.001)
    metrics.watch("linli_more", "More.", lambda: 1.0)
    lines = [line for line in metrics.text().decode().splitlines() if not line.startswith("#")]
    assert lines
    assert all('worker="3"' in line for line in lines)
    assert 'worker="' not in Metrics().text().decode()


def test_settings__are_told_to_another_process_by_its_environment() -> None:
    told = load_settings(
        {"LINLI_KEY_RATE": "7"}, port=0, verify_at_once=True, database="postgresql://x/y"
    ).environment()
    assert told == {
        "LINLI_DATABASE": "postgresql://x/y",
        "LINLI_PORT": "0",
        "LINLI_KEY_RATE": "7",
        "LINLI_VERIFY_AT_ONCE": "True",
    }
    assert load_settings(told).limits.verify_at_once


def test_settings__of_a_folder_by_flag_mean_its_sqlite_file(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"LINLI_DATABASE": "postgresql://x/y", "LINLI_WORKERS": "4", "LINLI_DATA": "d"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert load_settings(data=Path("e")).database_url == "sqlite:///e/linli.db"
    assert load_settings(environment, data=Path("e")).database_url == "sqlite:///e/linli.db"
    for told in (load_settings(), load_settings(data=Path("e"), database="postgresql://x/y")):
        assert (told.database_url, told.server.workers) == ("postgresql+psycopg://x/y", 4)


@pytest.mark.parametrize("seconds", ["inf", "nan", "1e12", "59"])
@pytest.mark.parametrize("name", ["LINLI_KEEP_CHANGES_S", "LINLI_KEEP_BUYERS_S"])
def test_settings__keep_nothing_for_ever(name: str, seconds: str) -> None:
    """What is old is told by subtracting it, which would fail with them."""
    with pytest.raises(BadSettingError, match=name):
        load_settings({name: seconds})


@pytest.mark.parametrize("proxies", ["10.1.2.3/8", "10.0.0.0/8, 192.168.1", "proxy.example", "*"])
def test_settings__refuse_proxies_that_would_never_be_met(proxies: str) -> None:
    """All callers would share one limit, and /metrics be open to them, and nobody would be told."""
    with pytest.raises(BadSettingError, match=r"^LINLI_PROXIES \(or --proxies\): "):
        load_settings({"LINLI_PROXIES": proxies})


def test_settings__take_proxies_by_address_and_network() -> None:
    for proxies in ("10.0.0.0/8", "127.0.0.1, fd00::/8,::1"):
        assert load_settings(proxies=proxies).server.proxies == proxies


@pytest.mark.parametrize("name", ["none-such.pem", "empty.pem", "words.pem", "."])
def test_settings__name_a_file_of_authorities_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.pem").touch()
    Path("words.pem").write_text("no certificate", encoding="utf-8")
    with pytest.raises(
        BadSettingError, match=rf"^LINLI_WEBHOOK_CA .* must be a file of certificates .*, got '{name}'$"
    ):
        load_settings({"LINLI_WEBHOOK_CA": name})


def test_settings__take_a_file_of_authorities() -> None:
    path = CERTIFICATES / "authority.pem"
    assert load_settings({"LINLI_WEBHOOK_CA": str(path)}).webhooks.webhook_ca == path
