"""`Engine.refused` names the nearest that have an offer, and the reasons that brute force names."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Engine
from tests.property import twins
from tests.property.test_matching_property import ZONE, random_asks, random_city, shared_ask, state
from tests.scale import scaled


def check(engine, rows, numbers, lat, lng, offer, k, ask):
    """Compare with brute force over rows, whose row numbers in the engine are ``numbers``."""
    told, facts = engine.refused(lat, lng, offer, k, **ask)
    wanted = twins.brute_refused(rows, lat, lng, offer, k)
    place = twins.brute_xyz(lat, lng)
    number_of = {row: number for number, row in enumerate(numbers)}
    mine = [number_of[one.row] for one in told]
    twins.same_order(
        mine, wanted, lambda n: twins.brute_chord_sq(twins.brute_xyz(rows[n]["lat"], rows[n]["lng"]), place)
    )
    assert [one.point_id for one in told] == [rows[number]["point_ids"] for number in mine]
    assert [one.reason for one in told] == [twins.brute_reason(rows[n], lat, lng, ask, state) for n in mine]
    assert [one.distance_m for one in told] == pytest.approx([twins.brute_told(c) for c, _ in wanted], abs=1e-6)
    assert facts.version == engine.version
    # What can serve among them is what is found first.
    matched = [one.row for one in told if one.reason == "matched"]
    assert engine.found(lat, lng, offer, k, **ask).rows[: len(matched)] == matched


def asks_of(rng, columns, spread, q):
    shared = shared_ask(rng, spread)
    for lat, lng, offer, at, asked, quantity in random_asks(rng, columns, spread, q):
        ask = {**shared, "quantity": quantity}
        if at is not None:
            ask["at"] = at
            if asked is not None:
                ask["asked_at"] = asked
        yield lat, lng, offer, ask


@settings(max_examples=scaled(1500), deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 24), k=st.sampled_from([1, 2, 5, 100]))
def test_refused__equals_brute_force(seed, n, k):
    rng = np.random.default_rng(seed)
    columns, spread = random_city(rng, n)
    engine = Engine.from_columns(**columns, timezone=ZONE)
    rows = twins.rows_of(columns)
    for lat, lng, offer, ask in asks_of(rng, columns, spread, 4):
        check(engine, rows, range(len(rows)), lat, lng, offer, k, ask)


@settings(max_examples=scaled(200), deadline=None)
@given(seed=st.integers(0, 2**32 - 1), is_listed=st.booleans())
def test_refused__equals_brute_force_after_changes(seed, is_listed):
    """In a base with dead rows, a middle and a delta."""
    rng = np.random.default_rng(seed)
    columns, spread = random_city(rng, 40)
    engine = Engine.from_columns(**columns, timezone=ZONE)
    if is_listed:
        engine.prepare()
    held = {}
    for row in twins.rows_of(columns):
        held.setdefault(row["point_ids"], []).append(row)
    for _ in range(2):
        more, _ = random_city(rng, 4)
        gone = [name for name in held if rng.random() < 0.2]
        engine.apply({"upsert": {**more, "timezone": ZONE}, "remove": gone})
        for name in {*gone, *more["point_ids"]}:
            held.pop(name, None)
        for row in twins.rows_of(more):
            held.setdefault(row["point_ids"], []).append(row)
    rows = [row for name in held for row in held[name]]
    snapshot, words = engine._snapshot, engine._vocabulary
    ids = [row["point_ids"] for row in rows]
    codes = np.array([words.find_offer(row["offers"]) for row in rows])
    numbers = [int(snapshot.row_of_offers([name], codes[[i]])[0]) for i, name in enumerate(ids)]
    for lat, lng, offer, ask in asks_of(rng, columns, spread, 4):
        check(engine, rows, numbers, lat, lng, offer, int(rng.integers(1, 12)), ask)
