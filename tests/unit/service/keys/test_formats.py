"""Keys can be found by their form, and told from what only looks like one."""

from __future__ import annotations

import re
import string

import pytest

from service.keys.formats import SCOPES, is_well_formed, key_digest, new_key, redacted
from tests.scale import scaled

LETTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
FORM = re.compile(r"linli_[a-z]+_[0-9A-Za-z]{33}")


@pytest.mark.parametrize("scope", SCOPES)
def test_new_key__says_its_scope_and_has_a_sum(scope: str) -> None:
    key = new_key(scope)
    assert FORM.fullmatch(key)
    assert key.startswith(f"linli_{scope}_")
    assert is_well_formed(key)


def test_new_key__never_comes_twice_and_uses_every_letter_in_every_place() -> None:
    # 27 letters hold 160 bits: the last has 62^27 / 2^160 of its room, so that the first, the highest, stays small.
    found = [new_key("app").removeprefix("linli_app_") for _ in range(scaled(50_000))]
    assert len(set(found)) == len(found)
    assert all({key[place] for key in found} == set(LETTERS) for place in range(1, 27))


def test_is_well_formed__refuses_every_key_with_one_letter_altered() -> None:
    key = new_key("merchant")
    start = len("linli_merchant_")
    altered = [key[:place] + letter + key[place + 1 :] for place in range(start, len(key)) for letter in LETTERS]
    assert sum(is_well_formed(one) for one in altered) == len(key) - start  # those where the letter is its own


@pytest.mark.parametrize(
    "alter",
    [
        pytest.param(lambda _: "", id="nothing"),
        pytest.param(lambda key: key[:-1], id="a letter is missing"),
        pytest.param(lambda key: key + "0", id="one letter more"),
        pytest.param(lambda key: key + "\n", id="a line end"),
        pytest.param(lambda key: " " + key, id="a space before it"),
        pytest.param(lambda key: key.replace("_app_", "_admin_"), id="another scope"),
        pytest.param(lambda key: key.replace("_app_", "_root_"), id="a scope that there is not"),
        pytest.param(lambda key: key.upper(), id="upper case"),
        pytest.param(lambda key: key[:-1] + "é", id="a letter of another alphabet"),
    ],
)
def test_is_well_formed__refuses(alter) -> None:
    assert not is_well_formed(alter(new_key("app")))


def test_key_digest__is_not_the_key_and_differs_by_key() -> None:
    first, second = new_key("app"), new_key("app")
    assert re.fullmatch("[0-9a-f]{64}", key_digest(first))
    assert key_digest(first) != key_digest(second)


def test_redacted__leaves_scope_alone_of_every_key() -> None:
    first, second = new_key("app"), new_key("admin")
    assert redacted(f"got {first}, then '{second}'.") == "got linli_app_[redacted], then 'linli_admin_[redacted]'."
