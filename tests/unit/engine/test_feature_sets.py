"""Sets of features: numbers, and which are enough."""

import itertools

import pytest

from engine.feature_sets import FeatureSets

WORDS = "abcd"
SETS = [frozenset(some) for size in range(4) for some in itertools.combinations(WORDS, size)]


def test_codes__are_the_same_whenever_a_set_comes():
    sets = FeatureSets()
    assert sets.codes([frozenset("a"), frozenset(), frozenset("ab"), frozenset("a")]) == [1, 0, 2, 1]
    assert sets.codes([frozenset("ab"), frozenset("c")]) == [2, 3]
    assert sets.all() == [frozenset(), frozenset("a"), frozenset("ab"), frozenset("c")]


@pytest.mark.parametrize("wanted", [*SETS, frozenset("z"), frozenset("az")])
def test_enough__are_the_sets_that_hold_all_however_many_came_since(wanted):
    sets = FeatureSets()
    for features in SETS:
        sets.codes([features])
        if sets.kept(wanted) is None:
            sets.enough(wanted)
        known = sets.kept(wanted)
        assert known.enough.tolist() == [wanted <= held for held in sets.all()]
        assert known.are_all == known.enough.all()


def test_kept__is_the_same_object_until_a_set_is_entered():
    sets = FeatureSets()
    sets.codes([frozenset("a")])
    made = sets.enough(frozenset("a"))
    sets.codes([frozenset("a")])
    assert sets.kept(frozenset("a")) is made
    sets.codes([frozenset("b")])
    assert sets.kept(frozenset("a")) is None


def test_kept__are_a_few_hundred():
    sets = FeatureSets()
    for number in range(1000):
        sets.enough(frozenset([f"f{number}"]))
    assert sum(sets.kept(frozenset([f"f{number}"])) is not None for number in range(1000)) <= 256
    assert sets.kept(frozenset(["f999"])) is not None
