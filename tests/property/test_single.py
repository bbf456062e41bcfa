"""One question, asked the short way, is answered as one of many."""

import datetime as dt
import zoneinfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Engine
from engine.errors import EngineError
from geo.errors import GeoError

OFFERS = ("retail/pickup", "laundry/onsite")
HOURS = ("24/7", "Mo-Fr 08:00-18:00", "Sa 23:00-05:00", "PH off; Mo-Su 10:00-22:00", None)
ZONES = ("Asia/Shanghai", "America/New_York", "Africa/Monrovia")
N = 400


def _engine(seed, *, n_hours=0):
    rng = np.random.default_rng(seed)
    lat, lng = 31.0 + rng.normal(scale=0.01, size=N), 121.0 + rng.normal(scale=0.01, size=N)
    hours = [HOURS[number] for number in rng.integers(len(HOURS), size=N)]
    for row in range(n_hours):
        hours[row] = f"Mo-Su {row % 24:02d}:{row % 60:02d}-23:59"
    return Engine.from_columns(
        [f"点{row}" for row in range(N)],
        [OFFERS[number] for number in rng.integers(2, size=N)],
        lat,
        lng,
        areas=[None if reach < 100 else reach for reach in rng.uniform(0.0, 2000.0, N)],
        hours=hours,
        timezone=[ZONES[number] for number in rng.integers(len(ZONES), size=N)],
        country="CN",
        capacity=rng.integers(0, 3, N).tolist(),
        lead_s=(rng.integers(0, 3, N) * 1800).tolist(),
        features=[["lift"] if has else [] for has in rng.random(N) < 0.3],
        paused=(rng.random(N) < 0.1).tolist(),
    )


@pytest.fixture(scope="module")
def engines():
    """Trees alone; lists; more schedules than bits, and a few changes on top."""
    listed, crowded = _engine(2), _engine(3, n_hours=300)
    listed.prepare()
    crowded.upsert(
        {"point_ids": "new", "offers": [OFFERS[0]], "lat": 31.0, "lng": 121.0, "hours": "24/7", "timezone": ZONES[0]}
    )
    crowded.remove("点5")
    return [_engine(1), listed, crowded]


EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
INSTANTS = st.one_of(
    st.integers(1_767_225_600, 1_797_700_000),  # 2026, to December 19
    st.integers(1_772_952_600, 1_772_953_800),  # clocks change in New York
    st.integers(60_000_000, 66_000_000),  # Monrovia was off by 30 seconds until 1972-01-07
).map(lambda seconds: EPOCH + dt.timedelta(seconds=seconds))

ASKS = st.fixed_dictionaries(
    {},
    optional={
        "quantity": st.integers(1, 3),
        "max_distance_m": st.floats(0.0, 3000.0),
        "unknown_hours": st.sampled_from(["refuse", "allow"]),
        "features": st.sampled_from([(), ("lift",)]),
        "require": st.sampled_from([("open", "serves", "capacity"), ("open",), ("serves",), (), ["open"]]),
    },
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_nearest__answers_as_nearest_many(engines, data):
    """Whatever is asked; times in other zones are the same instants."""
    engine = data.draw(st.sampled_from(engines))
    lat, lng = 31.0 + data.draw(st.floats(-0.02, 0.02)), 121.0 + data.draw(st.floats(-0.02, 0.02))
    ask, k, offer = data.draw(ASKS), data.draw(st.sampled_from([1, 3, 80])), data.draw(st.sampled_from(OFFERS))
    at = data.draw(st.none() | INSTANTS)
    if at is not None:
        ask["at"] = at.astimezone(zoneinfo.ZoneInfo(data.draw(st.sampled_from(ZONES))))
        if data.draw(st.booleans()):
            ask["asked_at"] = at - dt.timedelta(seconds=data.draw(st.integers(0, 4000)))
    answer = engine.nearest(lat, lng, offer, k=k, **ask)
    many = engine.nearest_many([lat], [lng], offer, k=k, **ask)
    expected = [(name, metres) for name, metres in zip(many.point_ids()[0], many.distance_m[0], strict=True) if name]
    assert [(match.point_id, match.distance_m) for match in answer.matches] == expected
    assert all(match.offer == offer for match in answer.matches)
    assert answer.version == many.version


@pytest.mark.parametrize(
    ("place", "k", "ask"),
    [
        ((91.0, 121.0), 1, {}),
        ((float("nan"), 121.0), 1, {}),
        ((31.0, 181.0), 1, {}),
        ((31.0, 121.0), 0, {}),
        ((31.0, 121.0), True, {}),
        ((31.0, 121.0), 1, {"at": dt.datetime(2026, 1, 1)}),  # noqa: DTZ001 - a time without a zone is refused
        (
            (31.0, 121.0),
            1,
            {"at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "asked_at": dt.datetime(2026, 1, 1)},  # noqa: DTZ001
        ),
        ((31.0, 121.0), 1, {"at": dt.datetime(9999, 12, 31, tzinfo=dt.UTC)}),
        ((31.0, 121.0), 1, {"asked_at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}),
        ((31.0, 121.0), 1, {"quantity": 0}),
        ((31.0, 121.0), 1, {"max_distance_m": -1.0}),
        ((31.0, 121.0), 1, {"max_distance_m": float("inf")}),
        ((31.0, 121.0), 1, {"unknown_hours": "maybe"}),
        ((31.0, 121.0), 1, {"require": ("closed",)}),
    ],
)
def test_nearest__refuses_as_nearest_many(engines, place, k, ask):
    """The same error, which names the same argument."""
    with pytest.raises((EngineError, GeoError)) as one:
        engines[0].nearest(*place, OFFERS[0], k=k, **ask)
    with pytest.raises((EngineError, GeoError)) as many:
        engines[0].nearest_many([place[0]], [place[1]], OFFERS[0], k=k, **ask)
    assert type(one.value) is type(many.value)
    assert one.value.argument == many.value.argument


def test_nearest__refuses_an_argument_that_is_none(engines):
    """A misspelt argument is no question."""
    with pytest.raises(TypeError, match="quantum"):
        engines[0].nearest(31.0, 121.0, OFFERS[0], quantum=1)
    with pytest.raises(EngineError, match="offer"):
        engines[0].nearest(31.0, 121.0, "no offer")


WORDS = ("lift", "cold", "brand:a", "brand:b", "rare", "new")


def _point(rng, name):
    features = [
        word for word, share in zip(WORDS, (0.5, 0.3, 0.2, 0.1, 0.01, 0.0), strict=True) if rng.random() < share
    ]
    lat, lng = np.array([31.0, 121.0]) + rng.normal(size=2) * 0.02
    return {"point_ids": name, "offers": OFFERS[0], "lat": float(lat), "lng": float(lng), "features": features}


@pytest.mark.parametrize("is_listed", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_nearest__knows_features_that_came_and_went_since_they_were_asked_for(seed, is_listed):
    """Whatever was kept of an earlier version or of fewer sets of features; an older version goes on as it was."""
    rng = np.random.default_rng(seed)
    points = [_point(rng, f"p{row}") for row in range(1200)]
    engine = Engine.from_columns(**{name: [point[name] for point in points] for name in points[0]})
    if is_listed:
        engine.prepare()
    asked = [(), ("lift",), ("cold", "brand:a"), ("brand:b",), ("rare",), ("rare", "lift"), ("new",), ("none",)]
    older, n_found_new = engine.still(), 0
    for step in range(12):
        for features in [asked[number] for number in rng.integers(len(asked), size=24)]:
            lat, lng = (np.array([31.0, 121.0]) + rng.normal(size=2) * 0.02).tolist()
            given = rng.choice([tuple, list, set])(features)
            for one in (engine, older):
                k = int(rng.choice([1, 3]))
                rows = one.found(lat, lng, OFFERS[0], k, features=given).rows
                many = one.nearest_many([lat], [lng], OFFERS[0], k=k, features=features)
                assert rows == [row for row in many.row[0].tolist() if row >= 0]
                held = [one.facts.snapshot.names_of([row])[0] for row in rows]
                assert len(set(held)) == len(rows)
                short, _ = one.refused(lat, lng, OFFERS[0], k, features=given)
                whole, _ = one.refused(
                    lat, lng, OFFERS[0], k, features=features, quantity=np.int64(1)
                )  # not put plainly
                assert short == whole
            n_found_new += features == ("new",) and len(rows) > 0
        changed = [_point(rng, f"p{number}") for number in rng.integers(1500, size=rng.integers(1, 40))]
        changed = list({point["point_ids"]: point for point in changed}.values())
        changed[0]["features"] = [*changed[0]["features"], f"only:{step}", "new"][: 1 + len(WORDS)]
        engine.apply({"upsert": {name: [point[name] for point in changed] for name in changed[0]}})
        if step == 5:
            older = engine.still()
    assert n_found_new > 0


@pytest.mark.parametrize("features", ["lift", (1,), None, {"lift": 1}, 5])
def test_nearest__refuses_features_that_are_no_set_of_strings(engines, features):
    for _ in range(2):  # nothing of the first is kept
        with pytest.raises(EngineError, match="set of strings"):
            engines[0].nearest(31.0, 121.0, OFFERS[0], features=features)
