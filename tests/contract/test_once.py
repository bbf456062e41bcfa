"""Where each test runs once, one of each pair is left out, and nothing else."""

from __future__ import annotations

import pytest

from tests.once import left_out

EACH = [f"a.py::test_{number}" for number in range(100)]


@pytest.mark.parametrize("more", ["", "first-", "mi[x]ed-"])
def test_left_out__is_one_of_each_pair_and_of_neither_database_all(more: str) -> None:
    pairs = [(f"{name}[{more}sqlite-x]", f"{name}[{more}postgres-x]") for name in EACH]
    gone = left_out([name for pair in pairs for name in pair])
    assert all(len(gone.intersection(pair)) == 1 for pair in pairs)
    assert 30 <= sum("postgres" in name for name in gone) <= 70
    assert gone == left_out([name for pair in reversed(pairs) for name in pair])


def test_left_out__is_nothing_that_has_no_other() -> None:
    alone = ["a.py::test_a[postgres]", "a.py::test_postgres", "a.py::test_sqlite", "a.py::test_c[sqlite-1]"]
    assert left_out([*alone, "a.py::test_c[postgres-2]", "a.py::test_d[a_sqlite]", "a.py::test_d[a_postgres]"]) == set()


def test_left_out__is_never_all_of_what_has_two_words_of_pairs() -> None:
    kinds = [(database, device) for database in ("sqlite", "postgres") for device in ("phone", "desk")]
    fours = [[f"{name}[{database}-{device}]" for database, device in kinds] for name in EACH]
    gone = left_out([name for four in fours for name in four])
    assert {len(gone.intersection(four)) for four in fours} <= {2, 3}
