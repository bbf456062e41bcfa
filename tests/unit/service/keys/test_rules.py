"""Who may make which key."""

from __future__ import annotations

import pytest

from service.keys.formats import SCOPES
from service.keys.ring import Caller
from service.keys.rules import OF_MERCHANTS, fault_of_key, fault_of_merchants_key


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("merchant_id", [None, "shop"])
def test_fault_of_key__wants_a_merchant_of_some_and_none_of_others(scope: str, merchant_id: str | None) -> None:
    fault = fault_of_key(scope, merchant_id)
    wrong = {("merchant", None), ("admin", "shop"), ("planner", "shop")}
    assert (fault is not None) == ((scope, merchant_id) in wrong)
    assert fault is None or fault[0] == "merchant_id"


@pytest.mark.parametrize("scope", SCOPES)
def test_merchants_key__is_of_no_scope_beyond_a_merchants(scope: str) -> None:
    fault = fault_of_merchants_key(Caller("key_1", "merchant", "shop", None, None), scope, None, 500)
    assert (fault is None) == (scope in OF_MERCHANTS)
    assert OF_MERCHANTS == ("merchant", "station", "crew")


@pytest.mark.parametrize(
    ("own", "asked", "is_allowed"),
    [
        (None, 500, True),  # the default
        (None, 501, False),
        (5, 5, True),
        (5, 6, False),  # below the default, above his own
        (900, 900, True),  # what he was given counts
        (5, None, True),  # his own then
    ],
)
def test_merchants_key__is_no_faster_than_his_own(own: int | None, asked: int | None, is_allowed: bool) -> None:
    fault = fault_of_merchants_key(Caller("key_1", "merchant", "shop", own, None), "crew", asked, 500)
    assert (fault is None) is is_allowed


@pytest.mark.parametrize(
    ("own", "asked", "is_allowed"),
    [
        (None, None, True),
        (None, 2000, True),
        (1000, None, True),  # it ends with his own then
        (1000, 1000, True),
        (1000, 1001, False),
    ],
)
def test_merchants_key__does_not_outlast_his_own(own: int | None, asked: int | None, is_allowed: bool) -> None:
    fault = fault_of_merchants_key(Caller("key_1", "merchant", "shop", None, own), "crew", None, 500, asked)
    assert (fault is None) is is_allowed
    assert fault is None or fault[0] == "expires_at"
