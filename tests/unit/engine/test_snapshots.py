"""Versions of three parts: the base, the middle and the delta."""

import numpy as np
import pytest

from engine import Engine
from engine.snapshots import DELTA_ROWS, MIN_MIDDLE_ROWS

OFFER = "retail/pickup"


def columns_of(ids, lat=31.2, lng=121.5, **more):
    n = len(ids)
    return {"point_ids": list(ids), "offers": [OFFER] * n, "lat": [lat] * n, "lng": [lng] * n, **more}


def sizes(engine):
    return [part.columns.n_rows for part in engine._snapshot.parts]


def layered(lat=31.2):
    """Every third id in the base, the middle and the delta."""
    names = [f"{i:05d}" for i in range(3 * (DELTA_ROWS + 1))]
    engine = Engine.from_columns(**columns_of(names[0::3], lat))
    engine.apply({"upsert": columns_of(names[1::3], lat)})
    engine.apply({"upsert": columns_of(names[2:3000:3], lat)})
    return engine, sorted(names[0::3] + names[1::3] + names[2:3000:3])


def test_parts__a_large_batch_goes_to_the_middle_and_a_small_one_to_the_delta():
    engine, names = layered()
    assert sizes(engine) == [DELTA_ROWS + 1, DELTA_ROWS + 1, 1000]
    assert engine.n_rows == len(names)


def test_nearest__breaks_ties_by_id_over_three_parts():
    engine, names = layered()
    answer = engine.nearest(31.2, 121.5, OFFER, k=len(names))
    assert [match.point_id for match in answer.matches] == names
    for first in (1, 2, 3):
        engine.remove(names[first - 1])
        assert engine.nearest(31.2, 121.5, OFFER).matches[0].point_id == names[first]


def test_nearest__breaks_ties_by_id_after_points_came_back():
    engine, names = layered()
    moved = names[5:2000:13]
    engine.apply({"upsert": columns_of(moved)})
    assert sizes(engine)[2] == 0  # the delta was merged into the middle
    engine.apply({"upsert": columns_of(moved[:20])})
    engine.apply({"upsert": columns_of(["", "00000a", "zz"])})
    answer = engine.nearest(31.2, 121.5, OFFER, k=engine.n_rows)
    assert [match.point_id for match in answer.matches] == sorted([*names, "", "00000a", "zz"])


def test_delta__is_merged_into_the_middle_and_that_into_the_base():
    engine = Engine.from_columns(**columns_of([f"b{i}" for i in range(10)]))
    for first in range(0, MIN_MIDDLE_ROWS + 1, 512):
        engine.apply({"upsert": columns_of([f"n{i}" for i in range(first, first + 512)], capacity=[first] * 512)})
    assert sizes(engine) == [MIN_MIDDLE_ROWS + 10 + 512, 0, 0]
    names = engine.point_ids(np.arange(engine.n_rows))
    units = dict(zip(names, engine.units().tolist(), strict=True))
    assert units["b3"] == -1
    assert all(units[f"n{i}"] == i // 512 * 512 for i in range(MIN_MIDDLE_ROWS))


def test_remove__of_most_rows_builds_the_base_anew():
    names = [f"b{i}" for i in range(3 * MIN_MIDDLE_ROWS)]
    engine = Engine.from_columns(**columns_of(names))
    engine.apply({"remove": names[: MIN_MIDDLE_ROWS + 1]})
    assert sizes(engine) == [2 * MIN_MIDDLE_ROWS - 1, 0, 0]


def test_capacity__is_kept_through_all_parts_and_in_versions_before():
    engine, names = layered()
    rng = np.random.default_rng(2)
    wanted = dict.fromkeys(names, -1)
    for step in range(30):
        before = engine._snapshot
        told = before.flat_units().tolist()
        chosen = [names[i] for i in rng.integers(0, len(names), 50)]
        engine.apply({"capacity": (chosen, [OFFER] * 50, [step] * 50)})
        wanted.update(dict.fromkeys(chosen, step))
        if step % 5 == 0:
            one = chosen[0]
            engine.upsert({"point_ids": one, "offers": [OFFER], "lat": 31.2, "lng": 121.5, "capacity": 77})
            wanted[one] = 77
        assert before.flat_units().tolist() == told
    living = ~engine._snapshot.dead
    ids = np.array(engine.point_ids(np.arange(engine.n_rows)))[living]
    assert dict(zip(ids.tolist(), engine.units()[living].tolist(), strict=True)) == wanted
    assert engine.to_arrays()["point"].size == len(names)


def test_apply__that_fails_leaves_everything_as_it_was():
    engine, names = layered()
    version, units = engine.version, engine.units()
    answer = engine.nearest(31.2, 121.5, OFFER, k=5)
    bad = {
        "remove": names[:3],
        "upsert": columns_of(["new"]),
        "capacity": ([names[9], "nobody"], [OFFER] * 2, [5, 5]),
    }
    with pytest.raises(ValueError, match="nobody"):
        engine.apply(bad)
    assert engine.version == version
    assert np.array_equal(engine.units(), units)
    assert engine.nearest(31.2, 121.5, OFFER, k=5) == answer
    engine.apply({"capacity": ([names[8]], [OFFER], [5])})  # into the room that the failed change had used
    assert np.count_nonzero(engine.units() != units) == 1


def test_explain__names_points_of_all_parts():
    engine, names = layered()
    engine.apply({"capacity": (names[:6], [OFFER] * 6, [0] * 6)})
    told = engine.explain(31.2, 121.5, OFFER, point=names[2])
    assert told.match.point_id == names[6]
    assert [refusal.point_id for refusal in told.nearer] == names[:6]
    assert told.point.reason == "full"


def test_row_of_offers__finds_each_offer_of_a_point():
    n = 300
    offers = [f"a/m{i % 3}" for i in range(n)]
    order = np.random.default_rng(4).permutation(n)
    ids = [f"p{i // 3}" for i in range(n)]
    engine = Engine.from_columns(
        [ids[i] for i in order], [offers[i] for i in order], [1.0] * n, [2.0] * n, capacity=list(range(n))
    )
    engine.apply({"capacity": (ids, offers, [1000 + i for i in range(n)])})
    assert engine.units().tolist() == [1000 + i for i in order]
    with pytest.raises(ValueError, match="p1"):
        engine.set_capacity("p1", "a/other", 1)
