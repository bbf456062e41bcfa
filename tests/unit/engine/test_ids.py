"""Distinct strings, their numbers and their order."""

import numpy as np
import pyarrow as pa
import pytest

from engine.ids import IdTable, joined_ids

# Where eight bytes at a time could go wrong: ends, NULs, prefixes of each other, long common starts, wide letters.
ODD = ["", "\0", "\0\0", "a", "a\0", "a\0b", "ab", "abcdefgh", "abcdefgh\0", "abcdefghi", "abcdefgh" * 3]
ODD += ["abcdefgh" * 3 + "x", "abcdefgh" * 2, "邻里", "邻", "é", "z" * 40, "z" * 39 + "y", "z" * 41]
SETS = {
    "odd": ODD,
    "common start": [f"point-of-the-city-{i:05d}" for i in range(0, 900, 7)],
    "two letters": [format(i, "012b") for i in range(300)],
    "ends in a common start": ["stop", *(f"stop{i}" for i in range(120))],
    "one": ["x"],
    "none": [],
}


def shuffled(strings, seed=0):
    return [strings[i] for i in np.random.default_rng(seed).permutation(len(strings))]


def order_of(table):
    return [table.text(int(number)) for number in table.order]


@pytest.mark.parametrize("strings", SETS.values(), ids=SETS)
def test_from_strings__orders_by_utf8_bytes_and_finds_all(strings):
    strings = shuffled(strings)
    table, number, first = IdTable.from_strings(pa.array(strings, pa.large_string()))
    assert order_of(table) == sorted(strings, key=str.encode)
    assert number.tolist() == first.tolist() == list(range(len(strings)))
    assert table.find([*strings, "nobody"]).tolist() == [*range(len(strings)), -1]
    assert table.strings().to_pylist() == strings
    assert table.places()[table.order].tolist() == list(range(len(strings)))


def test_from_strings__numbers_strings_as_they_first_come():
    strings = pa.array(["skipped", "b", "a", "b", "", "a", "c"])[1:]
    table, number, first = IdTable.from_strings(strings)
    assert table.strings().to_pylist() == ["b", "a", "", "c"]
    assert number.tolist() == [0, 1, 0, 2, 1, 3]
    assert first.tolist() == [0, 1, 3, 5]


def test_find__ends_in_a_full_table_of_any_size():
    for n in range(1, 40):
        table, _, _ = IdTable.from_strings(pa.array([str(i) for i in range(n)]))
        assert (table.slots < 0).any()
        assert table.find(["x"]).tolist() == [-1]


def test_ranks__count_the_smaller_ones():
    table, _, _ = IdTable.from_strings(pa.array(["b", "d", "c"]))
    other, _, _ = IdTable.from_strings(pa.array(["a", "b", "bb", "z"]))
    assert table.ranks(other).tolist() == [0, 0, 1, 3]
    assert IdTable.none().ranks(other).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("seed", range(5))
def test_joined_ids__equals_a_table_made_anew(seed):
    rng = np.random.default_rng(seed)
    everyone = shuffled(sorted({*ODD, *SETS["common start"], *SETS["two letters"]}), seed)
    cuts = sorted(rng.integers(0, len(everyone), 2))
    lists = [everyone[: cuts[0]], everyone[cuts[0] : cuts[1]], everyone[cuts[1] :]]
    kept = [rng.random(len(strings)) < 0.7 for strings in lists]
    tables = [IdTable.from_strings(pa.array(strings, pa.large_string()))[0] for strings in lists]
    joined, numbers = joined_ids(tables, kept)
    wanted = [
        name
        for strings, keep in zip(lists, kept, strict=True)
        for name, is_kept in zip(strings, keep, strict=True)
        if is_kept
    ]
    fresh, _, _ = IdTable.from_strings(pa.array(wanted, pa.large_string()))
    assert joined.strings().to_pylist() == wanted
    assert order_of(joined) == order_of(fresh)
    assert joined.find(everyone).tolist() == fresh.find(everyone).tolist()
    told = np.concatenate([number[keep] for number, keep in zip(numbers, kept, strict=True)])
    assert told.tolist() == list(range(len(wanted)))
