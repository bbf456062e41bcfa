"""`nearest_many`, `serving_many` and refusals equal brute force, wherever on earth and whatever is asked."""

import datetime as dt
from zoneinfo import ZoneInfo

import h3
import numpy as np
import opening_hours
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import REASONS, Engine
from geo.areas import check_area
from geo.errors import GeoError
from tests.property import twins
from tests.scale import scaled

OFFERS = ("a/pickup", "a/delivery", "b/onsite")
HOURS = (None, "24/7", "Mo-Fr 09:00-18:00", "Sa,Su 10:00-14:00", "22:00-02:00", "off", "Mo-Su 00:00-12:00 unknown")
ZONE = "Europe/Helsinki"
PENTAGONS = [h3.cell_to_latlng(cell) for resolution in (5, 9) for cell in sorted(h3.get_pentagons(resolution))]
ANCHORS = [
    (90.0, 0.0),
    (-90.0, 0.0),
    (0.0, 180.0),
    (10.0, -180.0),
    (89.9999, 45.0),
    (31.2, 121.5),
    (60.17, 24.94),
    *PENTAGONS,
]
START = dt.datetime(2026, 3, 28, tzinfo=dt.UTC)  # a day before clocks change
_library = {text: opening_hours.OpeningHours(text, auto_country=False, auto_timezone=False) for text in HOURS if text}


def state(row, at):
    if row["hours"] is None:
        return "unknown"
    local = at.astimezone(ZoneInfo(ZONE)).replace(tzinfo=None)
    return str(_library[row["hours"]].state(local)[0]).rsplit(".", 1)[-1].lower()


def near(rng, spread_deg):
    lat, lng = ANCHORS[rng.integers(len(ANCHORS))]
    lat = float(np.clip(lat + rng.normal() * spread_deg, -90, 90))
    lng = lng + rng.normal() * spread_deg / max(0.02, np.cos(np.radians(lat)))
    return lat, float((lng + 180.0) % 360.0 - 180.0)


def random_area(rng, lat, lng, spread):
    kind = rng.integers(5)
    if kind == 0:
        return None
    if kind == 1:
        return float(rng.uniform(0, 2) * spread * 111_000)
    if kind == 2:
        return 0.0
    star = twins.random_star(rng, lat, lng, spread)
    if kind == 4 and star is not None:
        shell = np.array(star.exterior.coords)
        star = shapely.Polygon(shell, [star.representative_point().buffer(spread / 50, 3).exterior])
    try:
        return star and check_area(star)
    except GeoError:  # a sliver at a pole, a hole that sticks out: the shapes that areas may not have
        return None


def random_city(rng, n):
    spread = float(rng.choice([1e-4, 1e-2, 1.0]))
    columns = {
        name: []
        for name in (
            "point_ids",
            "offers",
            "lat",
            "lng",
            "areas",
            "hours",
            "capacity",
            "lead_s",
            "features",
            "paused",
            "suspended",
            "visibility",
        )
    }
    places = [near(rng, spread) for _ in range(max(1, n // 2))]
    for i in range(n):
        lat, lng = places[rng.integers(len(places))] if rng.random() < 0.5 else near(rng, spread)  # duplicates and ties
        name = str(rng.choice(["p", "é", "店", "a"])) + str(i * 7919 % 9973)
        for offer in rng.choice(OFFERS, rng.integers(1, 4), replace=False):
            row = (
                name,
                str(offer),
                lat,
                lng,
                random_area(rng, lat, lng, spread),
                HOURS[rng.integers(len(HOURS))],
                None if rng.random() < 0.5 else int(rng.integers(0, 4)),
                None if rng.random() < 0.5 else int(rng.integers(0, 7200)),
                [None, {"lift"}, {"lift", "cold_locker"}][rng.integers(3)],
                bool(rng.random() < 0.05),
                bool(rng.random() < 0.05),
                str(rng.choice(["public", "public", "public", "unlisted", "internal"])),
            )
            for values, value in zip(columns.values(), row, strict=True):
                values.append(value)
    return columns, spread


def random_asks(rng, columns, spread, q):
    asks = []
    for _ in range(q):
        if rng.random() < 0.3 and columns["lat"]:
            i = rng.integers(len(columns["lat"]))
            lat, lng = columns["lat"][i], columns["lng"][i]
        else:
            lat, lng = near(rng, spread)
        at = None if rng.random() < 0.3 else START + dt.timedelta(seconds=int(rng.integers(0, 3 * 86_400)))
        asked = None if at is None or rng.random() < 0.5 else at - dt.timedelta(seconds=int(rng.integers(0, 7200)))
        asks.append((lat, lng, str(rng.choice([*OFFERS, "no/body"])), at, asked, int(rng.integers(1, 4))))
    return asks


def shared_ask(rng, spread):
    ask = {"unknown_hours": str(rng.choice(["refuse", "allow"]))}
    if rng.random() < 0.4:
        ask["max_distance_m"] = float(rng.choice([0.0, rng.uniform(0, 3) * spread * 111_000]))
    if rng.random() < 0.3:
        ask["features"] = {"lift"}
    if rng.random() < 0.3:
        ask["require"] = tuple(rng.choice(twins.CHECKS, rng.integers(0, 4), replace=False).tolist())
    return ask


@settings(max_examples=scaled(3000), deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 24), k=st.sampled_from([1, 2, 5, 100]))
def test_nearest_many__equals_brute_force(seed, n, k):
    rng = np.random.default_rng(seed)
    columns, spread = random_city(rng, n)
    rows = twins.rows_of(columns)
    engine = Engine.from_columns(**columns, timezone=ZONE)
    asks, shared = random_asks(rng, columns, spread, 6), shared_ask(rng, spread)
    lat, lng, offer, at, asked, quantity = map(list, zip(*asks, strict=True))
    found = engine.nearest_many(lat, lng, offer, k=k, at=at, asked_at=asked, quantity=quantity, threads=1, **shared)
    refused = engine.refusals_many(lat, lng, offer, at=at, asked_at=asked, quantity=quantity, **shared)
    for i in range(len(asks)):
        ask = {**shared, "at": at[i], "asked_at": asked[i], "quantity": quantity[i]}
        wanted = twins.brute_nearest(rows, lat[i], lng[i], offer[i], k, ask, state)
        mine = found.row[i][found.row[i] >= 0].tolist()

        place = twins.brute_xyz(lat[i], lng[i])

        def chord_of(number, place=place):
            return twins.brute_chord_sq(twins.brute_xyz(rows[number]["lat"], rows[number]["lng"]), place)

        twins.same_order(mine, wanted, chord_of)
        assert np.allclose(
            found.distance_m[i][: len(wanted)], [twins.brute_told(c) for c, _ in wanted], rtol=1e-12, atol=1e-6
        )
        assert np.isinf(found.distance_m[i][len(wanted) :]).all()
        row = refused.row[i]
        if row < 0:
            assert REASONS[refused.code[i]] == "no_offer"
            assert not any(r["offers"] == offer[i] and r["visibility"] == "public" for r in rows)
        else:
            assert REASONS[refused.code[i]] == twins.brute_reason(rows[row], lat[i], lng[i], ask, state)


@settings(max_examples=scaled(2000), deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 24))
def test_serving_many__equals_brute_force(seed, n):
    rng = np.random.default_rng(seed)
    columns, spread = random_city(rng, n)
    rows = twins.rows_of(columns)
    engine = Engine.from_columns(**columns, timezone=ZONE)
    asks = random_asks(rng, columns, spread, 6)
    lat, lng, offer, *_ = map(list, zip(*asks, strict=True))
    query, row = engine.serving_many(lat, lng, offer)
    wanted = [(i, r) for i in range(len(asks)) for r in twins.brute_serving(rows, lat[i], lng[i], offer[i])]
    assert list(zip(query.tolist(), row.tolist(), strict=True)) == wanted


@settings(max_examples=scaled(500), deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 20))
def test_apply__equals_an_engine_built_anew(seed, n):
    rng = np.random.default_rng(seed)
    columns, spread = random_city(rng, n)
    engine = Engine.from_columns(**columns, timezone=ZONE)
    held = {}
    for row in twins.rows_of(columns):
        held.setdefault(row["point_ids"], []).append(row)
    for step in range(4):
        more, _ = random_city(rng, 3)
        changes = {"upsert": {**more, "timezone": ZONE}}
        gone = [name for name in held if rng.random() < 0.2]
        changes["remove"] = gone
        before = engine.version
        assert engine.apply(changes) == before + 1
        for name in gone:
            del held[name]
        for name in set(more["point_ids"]):
            held[name] = [row for row in twins.rows_of(more) if row["point_ids"] == name]
        name = sorted(held)[step % len(held)]
        held[name][0]["capacity"] = 2
        engine.set_capacity(name, held[name][0]["offers"], 2)
    rows = [row for name in held for row in held[name]]
    anew = Engine.from_columns(**{name: [row[name] for row in rows] for name in columns}, timezone=ZONE)
    again = Engine.from_arrays(engine.to_arrays())
    assert again.version == engine.version
    asks, shared = random_asks(rng, columns, spread, 6), shared_ask(rng, spread)
    lat, lng, offer, at, asked, quantity = map(list, zip(*asks, strict=True))
    many = {"k": 3, "at": at, "asked_at": asked, "quantity": quantity, **shared}
    wanted = anew.nearest_many(lat, lng, offer, **many)
    for other in (engine, again):
        found = other.nearest_many(lat, lng, offer, **many)
        assert found.point_ids() == wanted.point_ids()
        assert (found.distance_m == wanted.distance_m).all()
        pairs, wanted_pairs = other.serving_many(lat, lng, offer), anew.serving_many(lat, lng, offer)
        named = sorted(zip(pairs.query.tolist(), other.point_ids(pairs.row), strict=True))
        assert named == sorted(zip(wanted_pairs.query.tolist(), anew.point_ids(wanted_pairs.row), strict=True))
        assert (
            other.refusals_many(lat, lng, offer, at=at, **shared).code.tolist()
            == anew.refusals_many(lat, lng, offer, at=at, **shared).code.tolist()
        )


@settings(max_examples=scaled(500), deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 16))
def test_nearest_in_turn__equals_one_after_the_other(seed, n):
    rng = np.random.default_rng(seed)
    columns, spread = random_city(rng, n)
    engine = Engine.from_columns(**columns, timezone=ZONE)
    rows = twins.rows_of(columns)
    asks, shared = random_asks(rng, columns, spread, 20), shared_ask(rng, spread)
    lat, lng, offer, at, asked, quantity = map(list, zip(*asks, strict=True))
    units = engine.units()
    found = engine.nearest_in_turn(lat, lng, offer, units=units, at=at, asked_at=asked, quantity=quantity, **shared)
    for i in range(len(asks)):
        ask = {**shared, "at": at[i], "asked_at": asked[i], "quantity": quantity[i]}
        wanted = twins.brute_nearest(rows, lat[i], lng[i], offer[i], 1, ask, state)
        assert (found.row[i, 0] >= 0) == bool(wanted)
        assert (found.code[i] == 0) == bool(wanted)
        if wanted and rows[found.row[i, 0]]["capacity"] is not None:
            row = rows[found.row[i, 0]]
            row["capacity"] = max(0, row["capacity"] - quantity[i])
    assert units.tolist() == [-1 if row["capacity"] is None else row["capacity"] for row in rows]
