"""Signatures that receivers can verify (promise S9)."""

from __future__ import annotations

import base64
import re
import time
from pathlib import Path
from typing import Any

import pytest

from service.webhooks.rules import STANDARD, why_failing
from service.webhooks.signing import new_secret, signed_headers
from tests.unit.service.webhooks.verifying import TOLERANCE_S, is_ours

PAGE = Path(__file__).resolve().parents[4] / "docs" / "api.md"
BODY = b'{"test": 2432232314}'
AT_S = 1_614_265_330
# Of the specification's own libraries.
VECTOR = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", AT_S, BODY)
VECTOR_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_signature__is_that_of_the_specification() -> None:
    secret, event_id, at_s, body = VECTOR
    headers = signed_headers([secret], event_id, at_s, body)
    assert headers == {
        "webhook-id": event_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": VECTOR_SIGNATURE,
    }
    assert is_ours(secret, headers, body, at_s)


def test_secret__has_32_random_bytes() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    for secret in secrets:
        assert secret.startswith("whsec_")
        assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32


def test_rotation__lets_old_and_new_verify() -> None:
    old, new, other = new_secret(), new_secret(), new_secret()
    headers = signed_headers([new, old], "msg_1", AT_S, BODY)
    assert [is_ours(secret, headers, BODY, AT_S) for secret in (new, old, other)] == [True, True, False]
    assert not is_ours(old, signed_headers([new], "msg_1", AT_S, BODY), BODY, AT_S)


@pytest.mark.parametrize(
    ("change", "body", "later_s"),
    [
        ({}, BODY + b" ", 0),
        ({}, BODY.replace(b"2", b"3", 1), 0),
        ({"webhook-id": "msg_2"}, BODY, 0),
        ({"webhook-timestamp": str(AT_S + 1)}, BODY, 0),
        ({"webhook-signature": "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}, BODY, 0),
        ({"webhook-signature": ""}, BODY, 0),
        ({}, BODY, TOLERANCE_S + 1),  # replayed
        ({}, BODY, -TOLERANCE_S - 1),
    ],
)
def test_what_was_altered_or_replayed__does_not_verify(change: dict[str, str], body: bytes, later_s: int) -> None:
    secret, event_id, at_s, _ = VECTOR
    headers = signed_headers([secret], event_id, at_s, BODY)
    assert is_ours(secret, headers, BODY, at_s + TOLERANCE_S)
    assert not is_ours(secret, headers | change, body, at_s + later_s)


def test_schedule__has_ten_tries_over_75_hours() -> None:
    pauses = [STANDARD.pause_s(tries, 0.0) for tries in range(1, 11)]
    assert pauses == [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400, None]
    assert 75 <= STANDARD.span_s / 3600 <= 76
    for tries, pause_s in enumerate(pauses[:-1], start=1):
        assert pause_s is not None
        spread = STANDARD.pause_s(tries, 0.999)
        assert spread is not None
        assert pause_s < spread < 1.1 * pause_s


def test_failing__disables_only_where_nothing_was_delivered_over_all_tries() -> None:
    assert why_failing(STANDARD.span_s - 1, STANDARD, "status 500") is None
    told = why_failing(STANDARD.span_s, STANDARD, "status 500")
    assert told == "nothing was delivered for 76 hours; the last try: status 500"


def test_documented_check__takes_what_is_sent_and_nothing_else() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    known: dict[str, Any] = {}
    exec(block, known)  # noqa: S102 - it is our own page
    secret, now_s = new_secret(), int(time.time())
    headers = signed_headers([new_secret(), secret], "msg_1", now_s, BODY)
    check = known["is_from_linli"]
    assert check(secret, headers, BODY)
    assert not check(secret, headers, BODY + b" ")
    assert not check(new_secret(), headers, BODY)
    assert not check(secret, signed_headers([secret], "msg_1", now_s - 400, BODY), BODY)
