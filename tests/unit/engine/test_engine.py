"""The public face: what is asked, what is refused, and what is told."""

import datetime as dt
import threading
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
import shapely

import engine as package
from engine import Engine, queries
from engine.errors import InvalidQueryError
from engine.holidays import parse_holiday_file
from engine.kernels import matching
from geo.errors import InvalidLatLngError
from tests.scale import sized

AT = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
SQUARE = shapely.box(121.4, 31.1, 121.6, 31.3)
BASE = {"point_ids": ["a", "b", "c"], "offers": ["retail/pickup"] * 3, "lat": [31.2, 31.21, 31.22], "lng": [121.5] * 3}


def built(**more):
    return Engine.from_columns(**{**BASE, **more})


def names(answer):
    return [match.point_id for match in answer.matches]


def test_nearest__orders_by_distance_and_names_its_version():
    answer = built().nearest(31.2, 121.5, "retail/pickup", k=5)
    assert names(answer) == ["a", "b", "c"]
    assert answer.version == 1
    assert answer.matches[0].distance_m == 0.0


def test_nearest__breaks_ties_by_the_ids_bytes():
    engine = Engine.from_columns(["é", "z", "a", "店"], ["a/b"] * 4, [31.0] * 4, [121.0] * 4)
    assert names(engine.nearest(31.0, 121.0, "a/b", k=4)) == sorted(["é", "z", "a", "店"], key=str.encode)


def test_nearest__breaks_ties_by_id_across_base_and_delta():
    engine = Engine.from_columns(["b", "d"], ["a/b"] * 2, [31.0] * 2, [121.0] * 2)
    for name in ("c", "a", "e", "bb"):
        engine.upsert({"point_ids": name, "offers": ["a/b"], "lat": 31.0, "lng": 121.0})
    assert names(engine.nearest(31.0, 121.0, "a/b", k=9)) == ["a", "b", "bb", "c", "d", "e"]


def test_nearest__of_an_offer_nobody_has_matches_nothing():
    assert names(built().nearest(31.2, 121.5, "retail/delivery")) == []


def test_from_columns__works_without_rows():
    engine = Engine.from_columns([], [], [], [])
    assert names(engine.nearest(0.0, 0.0, "a/b", k=3)) == []
    assert engine.nearest_many([0.0], [0.0], "a/b", k=3).row.tolist() == [[-1, -1, -1]]
    assert engine.serving_many([0.0], [0.0], "a/b").row.size == 0
    assert engine.explain(0.0, 0.0, "a/b").nearer == []
    engine.upsert({"point_ids": "a", "offers": ["a/b"], "lat": 1.0, "lng": 1.0})
    assert names(engine.nearest(0.0, 0.0, "a/b")) == ["a"]


def test_from_columns__takes_lists_numpy_and_arrow_alike():
    columns = {
        "point_ids": ["a", "b"],
        "offers": ["a/b", "a/b"],
        "lat": [31.0, 31.1],
        "lng": [121.0, 121.1],
        "hours": ["24/7", None],
        "capacity": [None, 0],
        "lead_s": [0, None],
        "features": [["lift", "curbside"], None],
    }
    numpy = {name: np.array(values, object if None in values else None) for name, values in columns.items()}
    arrow = {name: pa.array(values) for name, values in columns.items()}
    chunked = {name: pa.chunked_array([pa.array(values)]) for name, values in columns.items()}
    chunked["offers"] = chunked["offers"].dictionary_encode()
    wanted = Engine.from_columns(**columns, timezone="Asia/Shanghai").to_arrays()
    for other in (numpy, arrow, chunked):
        arrays = Engine.from_columns(**other, timezone="Asia/Shanghai").to_arrays()
        assert all((arrays[name] == wanted[name]).all() for name in wanted)


def test_nearest_many__pads_k_beyond_the_answer():
    found = built().nearest_many([31.2, 31.3], [121.5, 121.5], "retail/pickup", k=5)
    assert found.row.shape == (2, 5)
    assert found.row[0].tolist() == [0, 1, 2, -1, -1]
    assert np.isinf(found.distance_m[0][3:]).all()
    assert found.point_ids()[0] == ["a", "b", "c", None, None]


def test_nearest_many__is_the_same_on_any_number_of_threads(monkeypatch):
    rng = np.random.default_rng(3)
    n = sized(20_000, interpreted=400)
    monkeypatch.setattr(queries, "_QUERIES_A_CHUNK", n // 10)
    engine = Engine.from_columns(
        [str(i) for i in range(n)], ["a/b"] * n, rng.uniform(31, 32, n), rng.uniform(121, 122, n)
    )
    lat, lng = rng.uniform(31, 32, n), rng.uniform(121, 122, n)
    one, two = (engine.nearest_many(lat, lng, "a/b", k=2, threads=threads) for threads in (1, 3))
    assert (one.row == two.row).all()
    assert (one.distance_m == two.distance_m).all()


def test_max_distance__includes_the_told_distance_itself():
    engine = built()
    told = engine.nearest(31.3, 121.5, "retail/pickup").matches[0].distance_m
    assert names(engine.nearest(31.3, 121.5, "retail/pickup", k=9, max_distance_m=told)) == ["c"]
    assert names(engine.nearest(31.3, 121.5, "retail/pickup", max_distance_m=np.nextafter(told, 0))) == []
    assert names(engine.nearest(31.2, 121.5, "retail/pickup", max_distance_m=0)) == ["a"]


def test_radius__includes_the_told_distance_itself():
    told = built().nearest(31.3, 121.5, "retail/pickup").matches[0].distance_m
    for radius, served in ((told, True), (float(np.nextafter(told, 0)), False)):
        engine = built(areas=[0.0, 0.0, radius])
        assert (names(engine.nearest(31.3, 121.5, "retail/pickup")) == ["c"]) is served
        assert (engine.serving_many([31.3], [121.5], "retail/pickup").row.tolist() == [2]) is served


def test_hours__start_is_open_and_end_is_closed_to_the_second():
    engine = built(hours=["12:00-13:00"] * 3, timezone="UTC")
    edge = {-1: 0, 0: 1, 3599: 1, 3600: 0}
    for seconds, found in edge.items():
        assert len(engine.nearest(31.2, 121.5, "retail/pickup", at=AT + dt.timedelta(seconds=seconds)).matches) == found


def test_unknown_hours__are_not_open_unless_allowed():
    engine = built(hours=[None, "24/7", None], timezone="UTC")
    assert names(engine.nearest(31.2, 121.5, "retail/pickup", k=3, at=AT)) == ["b"]
    assert names(engine.nearest(31.2, 121.5, "retail/pickup", k=3, at=AT, unknown_hours="allow")) == ["a", "b", "c"]
    assert names(engine.nearest(31.2, 121.5, "retail/pickup", k=3)) == ["a", "b", "c"]


def test_lead__is_met_to_the_microsecond():
    engine = built(lead_s=[3600, 0, 0])
    ask = {"at": AT, "unknown_hours": "allow"}
    exactly = AT - dt.timedelta(hours=1)
    assert names(engine.nearest(31.2, 121.5, "retail/pickup", asked_at=exactly, **ask)) == ["a"]
    assert names(
        engine.nearest(31.2, 121.5, "retail/pickup", asked_at=exactly + dt.timedelta(microseconds=1), **ask)
    ) == ["b"]


BERLIN = ZoneInfo("Europe/Berlin")
OVER_A_CHANGE = [  # of clocks: forwards, two hours pass between 1:00 and 4:00; backwards, three between 1:00 and 3:00
    (dt.datetime(2026, 3, 29, 1, tzinfo=BERLIN), dt.datetime(2026, 3, 29, 4, tzinfo=BERLIN), []),
    (dt.datetime(2026, 10, 25, 1, tzinfo=BERLIN), dt.datetime(2026, 10, 25, 3, tzinfo=BERLIN), ["a"]),
]


@pytest.mark.parametrize(("asked_at", "at", "found"), OVER_A_CHANGE)
def test_lead__is_the_time_that_passes_and_not_what_clocks_show(asked_at, at, found):
    engine = Engine.from_columns(
        ["a"], ["retail/pickup"], [52.5], [13.4], hours=["24/7"], timezone="Europe/Berlin", lead_s=[10800]
    )
    ask = {"at": at, "asked_at": asked_at}
    assert names(engine.nearest(52.5, 13.4, "retail/pickup", **ask)) == found
    many = engine.nearest_many([52.5], [13.4], "retail/pickup", **ask)
    assert [name for name in many.point_ids()[0] if name] == found


@pytest.mark.parametrize("dtype", ["i1", "i4", "u2", "u4", "u8", ">i4", "f8"])
def test_capacity__is_taken_from_whole_numbers_of_any_width(dtype):
    units = np.array([3, 0, 100]).astype(dtype)
    kinds = [units] if dtype.startswith((">", "f")) else [units, pa.array(units)]
    for column in kinds:
        given = {"point_ids": ["a", "b", "c"], "offers": ["x/y"] * 3, "lat": [0.0] * 3, "lng": [0.0] * 3}
        if dtype == "f8":
            with pytest.raises(ValueError, match=r"capacity\[0\] must be a whole number"):
                Engine.from_columns(**given, capacity=column)
        else:
            assert Engine.from_columns(**given, capacity=column).units().tolist() == [3, 0, 100]
    with pytest.raises(ValueError, match=r"capacity\[1\]"):
        Engine.from_columns(["a", "b"], ["x/y"] * 2, [0.0] * 2, [0.0] * 2, capacity=np.array([1, 2**64 - 1], "u8"))


def test_capacity__is_enough_for_the_quantity_or_not():
    engine = built(capacity=[0, 2, None])
    assert names(engine.nearest(31.2, 121.5, "retail/pickup", k=3)) == ["b", "c"]
    assert names(engine.nearest(31.2, 121.5, "retail/pickup", k=3, quantity=3)) == ["c"]
    assert names(engine.nearest(31.2, 121.5, "retail/pickup", k=3, require=("open", "serves"))) == ["a", "b", "c"]


def test_features__all_required_ones_must_be_held():
    engine = built(features=[{"lift"}, {"lift", "brand:x"}, None])
    assert names(engine.nearest(31.2, 121.5, "retail/pickup", k=3, features={"lift"})) == ["a", "b"]
    assert names(engine.nearest(31.2, 121.5, "retail/pickup", k=3, features=["brand:x", "lift"])) == ["b"]
    assert names(engine.nearest(31.2, 121.5, "retail/pickup", k=3, features={"unheard_of"})) == []


def test_visibility__only_public_points_are_matched_served_or_named():
    engine = built(visibility=["internal", "unlisted", "public"])
    assert names(engine.nearest(31.2, 121.5, "retail/pickup", k=3)) == ["c"]
    assert engine.serving_many([31.2], [121.5], "retail/pickup").row.tolist() == [2]
    told = engine.explain(31.2, 121.5, "retail/pickup", point="a")
    assert told.nearer == []
    assert (told.point.reason, told.point.visibility) == ("no_offer", "internal")


def test_explain__tells_the_first_reason_that_fails_in_its_order():
    engine = Engine.from_columns(
        ["none", "paused", "suspended", "feature", "closed", "unknown", "soon", "outside", "full", "far", "good"],
        ["x/y", *["a/b"] * 10],
        [31.0 + i / 1000 for i in range(11)],
        [121.0] * 11,
        areas=[None] * 7 + [1.0] + [None] * 3,
        hours=["24/7"] * 4 + ["off", None] + ["24/7"] * 5,
        timezone="UTC",
        lead_s=[0] * 6 + [99_999] + [0] * 4,
        capacity=[None] * 8 + [0, None, None],
        features=[{"lift"}] * 3 + [None] + [{"lift"}] * 7,
        paused=[False, True, *[False] * 9],
        suspended=[False, True, True, *[False] * 8],
    )
    ask = {"at": AT, "asked_at": AT, "features": {"lift"}}
    told = engine.explain(31.0, 121.0, "a/b", point="far", max_distance_m=900.0, **ask)
    assert told.match is None
    assert [(refusal.point_id, refusal.reason) for refusal in told.nearer] == [
        ("none", "no_offer"),
        ("paused", "paused"),
        ("suspended", "suspended"),
        ("feature", "feature_missing"),
        ("closed", "closed"),
        ("unknown", "hours_unknown"),
        ("soon", "too_soon"),
        ("outside", "outside_area"),
        ("full", "full"),
        ("far", "too_far"),
        ("good", "too_far"),
    ]
    assert told.point.reason == "too_far"
    near = engine.explain(31.0, 121.0, "a/b", point="good", **ask)
    assert near.match.point_id == "far"
    assert len(near.nearer) == 9
    assert near.point.reason == "matched"


def test_explain__names_twenty_and_counts_the_rest():
    n = 50
    engine = Engine.from_columns(
        [f"p{i:02}" for i in range(n)],
        ["a/b"] * n,
        [31 + i / 1e4 for i in range(n)],
        [121.0] * n,
        capacity=[0] * 49 + [1],
    )
    told = engine.explain(31.0, 121.0, "a/b")
    assert told.match.point_id == "p49"
    assert [refusal.point_id for refusal in told.nearer] == [f"p{i:02}" for i in range(20)]
    assert told.n_more == 29


def test_nearest__finds_the_only_open_point_behind_thousands_of_closed_ones():
    n = sized(10_001, interpreted=2_001)
    hours = ["off"] * (n - 1) + ["24/7"]
    engine = Engine.from_columns(
        [str(i) for i in range(n)],
        ["a/b"] * n,
        [31 + i / 1e5 for i in range(n)],
        [121.0] * n,
        hours=hours,
        timezone="UTC",
    )
    assert names(engine.nearest(31.0, 121.0, "a/b", at=AT)) == [str(n - 1)]


def test_nearest_point__asks_nothing_but_visibility():
    engine = built(paused=[True] * 3, capacity=[0] * 3, visibility=["internal", "public", "public"])
    assert engine.nearest_point_many([31.2], [121.5]).point_ids() == [["b"]]


def test_in_turn__the_first_come_is_the_first_served_and_the_index_stays():
    engine = built(capacity=[1, 1, 0])
    units = engine.units()
    found = engine.nearest_in_turn([31.2] * 3, [121.5] * 3, "retail/pickup", units=units)
    assert found.row.ravel().tolist() == [0, 1, -1]
    assert [package.REASONS[code] for code in found.code] == ["matched", "matched", "full"]
    assert units.tolist() == [0, 0, 0]
    assert engine.units().tolist() == [1, 1, 0]


def test_apply__is_all_or_nothing():
    engine = built(capacity=[1, 1, 1])
    with pytest.raises(
        package.errors.UnknownPointError, match=r"capacity.point_ids\[1\] must be a point with retail/pickup"
    ):
        engine.apply({"remove": ["a"], "capacity": (["b", "a"], ["retail/pickup"] * 2, [0, 0])})
    assert engine.version == 1
    assert names(engine.nearest(31.2, 121.5, "retail/pickup", k=3)) == ["a", "b", "c"]


NEW_WORDS = {
    "point_ids": ["g"],
    "offers": ["ghost/offer"],
    "lat": [31.2],
    "lng": [121.5],
    "hours": ["Mo 03:00-04:00"],
    "timezone": "UTC",
    "features": [["ghostly"]],
    "stock": [{"ghost": 1}],
}
REFUSED_LATE = [
    {"upsert": {**NEW_WORDS, "features": [5]}},
    {"upsert": {**NEW_WORDS, "hours": ["at night"]}},
    {"upsert": {**NEW_WORDS, "stock": {"point_ids": ["g"], "skus": ["ghost"], "units": [1], "good_until": ["soon"]}}},
    {"upsert": {**NEW_WORDS, "stock": {"point_ids": ["g"] * 2, "skus": ["ghost"] * 2, "units": [1, 2]}}},
    {"upsert": NEW_WORDS, "capacity": (["nobody"], ["ghost/offer"], [1])},
    {"upsert": NEW_WORDS, "stock": (["nobody"], ["more"], [1])},
    {"upsert": NEW_WORDS, "stock": (["g"], ["more"], [-5])},
    {"stock": (["a"] * 3, ["one", "two", "three"], [1] * 3)},  # more than a shelf may have in this test
]


def words(engine):
    known = engine._vocabulary
    return engine.offers, known.skus(), known.feature_sets(), known.book.expressions(), known.book.zones()


@pytest.mark.parametrize("changes", REFUSED_LATE)
def test_apply__that_is_refused_leaves_no_name_behind(changes, monkeypatch):
    monkeypatch.setattr(package.stock_changes, "MAX_SHELF", 2)
    engine = built()
    before = words(engine)
    with pytest.raises(ValueError, match=r".+"):
        engine.apply(changes)
    assert words(engine) == before
    assert engine.version == 1


def test_apply__enters_all_names_before_its_version_is_there():
    engine, seen = built(), []
    whole = engine._live.change

    def change(make):
        def made(before):
            after = make(before)
            seen.append((engine.version, words(engine)))
            return after

        return whole(made)

    engine._live.change = change
    stock = (["g", "a"], ["more", "ghost"], [3, 2])
    engine.apply({"upsert": NEW_WORDS, "capacity": (["g"], ["ghost/offer"], [5]), "stock": stock})
    assert seen == [(1, words(engine))]
    assert engine.offers == ["retail/pickup", "ghost/offer"]
    assert words(engine)[1:4] == (
        ["ghost", "more"],
        [frozenset(), frozenset({"ghostly"})],
        [("Mo 03:00-04:00", "UTC", None)],
    )
    for again in (engine, Engine.from_arrays(engine.to_arrays())):
        found = again.nearest(
            31.2,
            121.5,
            "ghost/offer",
            at=dt.datetime(2026, 3, 2, 3, tzinfo=dt.UTC),
            quantity=5,
            features={"ghostly"},
            items={"ghost": 1, "more": 3},
        )
        assert names(found) == ["g"]
        assert names(again.nearest(31.2, 121.5, "retail/pickup", items={"ghost": 2})) == ["a"]


def test_upsert__replaces_all_offers_of_its_point():
    engine = Engine.from_columns(["a", "a"], ["x/y", "x/z"], [31.0] * 2, [121.0] * 2)
    assert engine.upsert({"point_ids": "a", "offers": ["x/w"], "lat": 32.0, "lng": 121.0}) == 2
    assert [len(engine.nearest(31.0, 121.0, offer).matches) for offer in ("x/y", "x/z", "x/w")] == [0, 0, 1]


def test_apply__merges_a_large_delta_into_the_base_and_keeps_capacities():
    engine = built(capacity=[5, 6, 7])
    n = 5000
    engine.set_capacity("a", "retail/pickup", 4)
    columns = {
        "point_ids": [f"n{i}" for i in range(n)],
        "offers": ["retail/pickup"] * n,
        "lat": [10.0] * n,
        "lng": [10.0] * n,
    }
    engine.apply({"upsert": columns, "remove": ["b"]})
    assert engine.n_rows == n + 2
    assert names(engine.nearest(31.2, 121.5, "retail/pickup", k=2, quantity=4)) == ["a", "c"]
    assert names(engine.nearest(31.2, 121.5, "retail/pickup", k=2, quantity=5))[0] == "c"
    with pytest.raises(package.errors.UnknownPointError):
        engine.remove("b")


def test_readers__see_whole_versions_while_a_writer_writes():
    engine = built(capacity=[1, 1, 1])
    torn = []
    stop = threading.Event()

    def read():
        while not stop.is_set():
            found = engine.nearest_many([31.2] * 3, [121.5] * 3, "retail/pickup", k=3, threads=1)
            if len({tuple(row) for row in found.point_ids()}) != 1 or None in found.point_ids()[0][:2]:
                torn.append(found)

    reader = threading.Thread(target=read)
    reader.start()
    for step in range(200):
        engine.apply({"upsert": {**BASE, "lat": [31.2 + step / 1e4, 31.21, 31.22]}})
    stop.set()
    reader.join()
    assert not torn
    assert engine.version == 201


def test_every_answer__names_its_version():
    engine = built()
    engine.set_capacity("a", "retail/pickup", 0)
    answers = [
        engine.nearest(31.2, 121.5, "retail/pickup"),
        engine.nearest_many([31.2], [121.5], "retail/pickup"),
        engine.serving_many([31.2], [121.5], "retail/pickup"),
        engine.explain(31.2, 121.5, "retail/pickup"),
        engine.refusals_many([31.2], [121.5], "retail/pickup"),
        engine.nearest_point_many([31.2], [121.5]),
    ]
    assert [answer.version for answer in answers] == [2] * 6


BAD_COLUMNS = [
    ({"lat": [31.2, float("nan"), 31.2]}, "lat", 1),  # NaN is no missing value
    ({"lat": [31.2, 31.2, 91.0]}, "lat", 2),
    ({"lat": [31.2, None, 31.2]}, "lat", 1),
    ({"lat": [31.2, True, 31.2]}, "lat", 1),
    ({"lat": ["31.2", 31.2, 31.2]}, "lat", 0),
    ({"lng": [121.5, 180.0001, 0.0]}, "lng", 1),
    ({"lng": [121.5, 1e300, 0.0]}, "lng", 1),
    ({"lng": [121.5, 121.5]}, "lng", None),  # too few
    ({"offers": ["retail/pickup", "Retail/pickup", "x/y"]}, "offers", 1),
    ({"offers": ["retail/pickup", "retail", "x/y"]}, "offers", 1),
    ({"point_ids": ["a", "b", "a"]}, "lat", 2),  # one point, two places
    ({"point_ids": ["a", "b", "b"], "lat": [31.2, 31.2, 31.2]}, "offers", 2),  # an offer twice
    ({"point_ids": ["a", None, "b"]}, "point_ids", 1),
    ({"point_ids": ["a", "\ud800", "b"]}, "point_ids", 1),
    ({"areas": [None, -5.0, None]}, "areas", 1),
    ({"areas": [None, float("nan"), None]}, "areas", 1),
    ({"areas": [None, "500", None]}, "areas", 1),
    ({"areas": [None, True, None]}, "areas", 1),
    ({"areas": [None, None, shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])]}, "areas", 2),  # bow-tie
    ({"areas": [None, None, shapely.Point(0, 0)]}, "areas", 2),
    ({"areas": [None]}, "areas", None),
    ({"hours": ["24/7", "nonsense", None], "timezone": "UTC"}, "hours", 1),
    ({"hours": ["24/7", None, None]}, "timezone", 0),  # needed, never guessed
    ({"hours": ["24/7"] * 3, "timezone": ["UTC", "UTC", "Mars/Base"]}, "timezone", 2),
    ({"hours": ["24/7", "PH off", "24/7"], "timezone": "UTC"}, "country", 1),
    ({"capacity": [1, -1, 1]}, "capacity", 1),
    ({"capacity": [1, 1.5, 1]}, "capacity", 1),
    ({"capacity": [1, True, 1]}, "capacity", 1),
    ({"lead_s": [1, 2, "3"]}, "lead_s", 2),
    ({"features": [None, "lift", None]}, "features", 1),
    ({"features": [None, {1}, None]}, "features", 1),
    ({"features": [None, [["a"]], None]}, "features", 1),
    ({"features": [["a"], [{"a": 1}], None]}, "features", 1),
    ({"features": [["a"], np.array("a"), None]}, "features", 1),
    ({"paused": [0, 1, 0]}, "paused", 0),
    ({"visibility": ["public", "secret", "public"]}, "visibility", 1),
]


@pytest.mark.parametrize(("change", "argument", "position"), BAD_COLUMNS)
def test_from_columns__names_what_is_wrong_and_where(change, argument, position):
    with pytest.raises(ValueError, match=r".+") as caught:
        built(**change)
    assert (caught.value.argument, caught.value.position) == (argument, position)


BAD_ASKS = [
    ({"lat": 91.0}, "lat"),
    ({"lat": float("inf")}, "lat"),
    ({"lat": 121.47, "lng": 31.23}, "lat"),
    ({"lng": 180.0001}, "lng"),
    ({"offer": "retail"}, "offer"),
    ({"offer": None}, "offer"),
    ({"k": 0}, "k"),
    ({"k": -1}, "k"),
    ({"k": True}, "k"),
    ({"k": 1.0}, "k"),
    ({"quantity": 0}, "quantity"),
    ({"quantity": 1.0}, "quantity"),
    ({"quantity": "1"}, "quantity"),
    ({"quantity": 10**23}, "quantity"),
    ({"max_distance_m": -5}, "max_distance_m"),
    ({"max_distance_m": float("nan")}, "max_distance_m"),
    ({"max_distance_m": float("inf")}, "max_distance_m"),
    ({"unknown_hours": "maybe"}, "unknown_hours"),
    ({"features": "lift"}, "features"),
    ({"require": ("open", "price")}, "require"),
    ({"require": "open"}, "require"),
    ({"at": dt.datetime(2026, 1, 1)}, "at"),  # noqa: DTZ001 - a time without a zone is the point
    ({"at": "2026-01-01"}, "at"),
    ({"asked_at": AT}, "asked_at"),  # without at
]


@pytest.mark.parametrize(("change", "argument"), BAD_ASKS)
def test_nearest__names_the_argument_that_is_wrong(change, argument):
    ask = {"lat": 31.2, "lng": 121.5, "offer": "retail/pickup", **change}
    with pytest.raises(ValueError, match=r".+") as caught:
        built().nearest(ask.pop("lat"), ask.pop("lng"), ask.pop("offer"), **ask)
    assert caught.value.argument == argument


def test_nearest__hints_at_swapped_degrees():
    with pytest.raises(InvalidLatLngError, match="swapped with lng"):
        built().nearest(121.47, 31.23, "retail/pickup")


def test_nearest__refuses_an_unknown_keyword():
    with pytest.raises(TypeError, match="max_distance"):
        built().nearest(31.2, 121.5, "retail/pickup", max_distance=5)


def test_nearest_many__names_the_position_of_a_bad_element():
    with pytest.raises(ValueError, match=r"quantity\[1\]"):
        built().nearest_many([31.2] * 2, [121.5] * 2, "retail/pickup", quantity=[1, 0])
    with pytest.raises(ValueError, match=r"at\[2\]"):
        built().nearest_many(
            [31.2] * 3, [121.5] * 3, "retail/pickup", at=np.array(["2026-01-01", "NaT", "9999-01-01"], "M8[s]")
        )
    with pytest.raises(ValueError, match=r"at\[1\]"):
        built().nearest_many([31.2] * 2, [121.5] * 2, "retail/pickup", at=[AT, "now"])


def test_nearest_many__takes_datetime64_as_utc_and_nat_as_left_out():
    engine = built(hours=["12:00-13:00"] * 3, timezone="UTC")
    at = np.array(["2026-11-24T12:00:00", "2026-11-24T11:59:59", "NaT"], "datetime64[s]")
    assert engine.nearest_many([31.2] * 3, [121.5] * 3, "retail/pickup", at=at).row.ravel().tolist() == [0, -1, 0]


FAR = "586580-12-14T18:31:50"  # its microseconds since 1970, in 64 bits, are those of 2026-11-27T10:30:00.448384


@pytest.mark.parametrize("argument", ["at", "asked_at"])
@pytest.mark.parametrize(
    ("value", "position"),
    [
        (np.datetime64(FAR), None),
        ([AT, np.datetime64(FAR)], 1),
        (np.array(["NaT", FAR], "M8[s]"), 1),
        (np.array(["NaT", FAR], "M8[s]").astype("M8[m]"), 1),
        (pa.array(np.array(["NaT", FAR], "M8[s]"), pa.timestamp("s", "UTC")), 1),
        (np.datetime64("-586000-01-01"), None),
    ],
)
def test_nearest_many__refuses_times_so_far_that_microseconds_come_round(argument, value, position):
    with pytest.raises(InvalidQueryError, match=r"must lie in the years 1 to 9999, got -?586") as caught:
        built().nearest_many([31.2] * 2, [121.5] * 2, "retail/pickup", **{"at": AT, argument: value})
    assert (caught.value.argument, caught.value.position) == (argument, position)


def test_nearest_many__takes_times_in_any_unit():
    engine = built(hours=["12:00-13:00"] * 3, timezone="UTC")
    second = np.array(["2026-11-24T12:00:00", "NaT"], "M8[s]")
    arrow = pa.array(second.astype("M8[ns]") + np.timedelta64(1, "ns"), pa.timestamp("ns", "UTC"))
    for at in (second, second.astype("M8[m]"), second.astype("M8[ns]"), second.astype("M8[us]"), arrow):
        assert engine.nearest_many([31.2] * 2, [121.5] * 2, "retail/pickup", at=at).row.ravel().tolist() == [0, 0]


def test_places__at_the_poles_and_the_antimeridian_are_answered():
    engine = Engine.from_columns(["n", "w"], ["a/b"] * 2, [90.0, 0.0], [0.0, 180.0])
    assert engine.nearest(90.0, 77.0, "a/b").matches[0].distance_m < 1e-6
    assert engine.nearest(0.0, -180.0, "a/b").matches[0].distance_m < 1e-6


def test_from_arrays__refuses_what_to_arrays_never_gave():
    with pytest.raises(ValueError, match="to_arrays"):
        Engine.from_arrays({"words": np.zeros(3, np.uint8)})


def test_from_columns__keeps_nothing_of_the_callers_arrays():
    lat, lng = np.array([31.0, 32.0]), np.array([121.0, 121.0])
    engine = Engine.from_columns(["a", "b"], ["x/y"] * 2, lat, lng)
    lat[:] = lng[:] = 0.0
    assert engine.positions()[0].tolist() == [31.0, 32.0]
    arrays = engine.to_arrays()
    again = Engine.from_arrays(arrays)
    arrays["lat"][:] = 0.0
    assert again.positions()[0].tolist() == [31.0, 32.0]


def test_to_arrays__keeps_an_operators_days():
    extra = parse_holiday_file("date,kind\n2026-11-24,day_off\n")
    engine = built(hours=["Mo-Su 00:00-24:00; PH off"] * 3, timezone="Asia/Shanghai", country="CN", extra_days=extra)
    for other in (engine, Engine.from_arrays(engine.to_arrays())):
        assert names(other.nearest(31.2, 121.5, "retail/pickup", at=AT)) == []
        assert names(other.nearest(31.2, 121.5, "retail/pickup", at=AT + dt.timedelta(days=1))) == ["a"]


BAD_CHANGES = [
    ({"upsert": {**BASE, "area": [5.0] * 3}}, "area"),  # else it would serve everywhere
    ({"upsert": {"point_ids": ["a"], "offers": ["x/y"], "lat": [1.0]}}, "lng"),
    ({"upsert": 5}, "upsert"),
    ({"remove": "ab"}, "remove"),  # not "a" and "b"
    ({"remove": ["nobody"]}, "remove"),
    ({"capacity": (["a"], ["retail/pickup"])}, "capacity"),
    ({"capacity": (["a"], ["retail/pickup"], [-1])}, "capacity.units"),
    ({"delete": ["a"]}, "changes"),
]


@pytest.mark.parametrize(("changes", "argument"), BAD_CHANGES)
def test_apply__names_what_is_wrong_and_changes_nothing(changes, argument):
    engine = built()
    with pytest.raises(ValueError, match=r".+") as caught:
        engine.apply(changes)
    assert caught.value.argument == argument
    assert engine.version == 1


def test_upsert__takes_an_arrow_table():
    engine = built()
    engine.apply(
        {"upsert": pa.table({"point_ids": ["d"], "offers": ["retail/pickup"], "lat": [31.2], "lng": [121.501]})}
    )
    assert names(engine.nearest(31.2, 121.501, "retail/pickup")) == ["d"]
    with pytest.raises(ValueError, match="offers must be a list"):
        engine.upsert({"point_ids": "d", "offers": [], "lat": 1.0, "lng": 1.0})


def test_lead__is_at_most_ten_years():
    with pytest.raises(ValueError, match=r"lead_s\[1\] must be a whole number from 0 to"):
        built(lead_s=[0, 10**13, 0])


def test_features__in_arrow_are_checked_as_in_lists():
    for bad in ([None, ["lift", None], None], [None, [""], None]):
        with pytest.raises(ValueError, match=r"features\[1\]"):
            built(features=pa.array(bad, pa.list_(pa.string())))


def test_nearest_point__prefers_the_smaller_offer_of_one_point():
    for offers in (["z/z", "a/a"], ["a/a", "z/z"]):
        engine = Engine.from_columns(["p"] * 2, offers, [31.0] * 2, [121.0] * 2)
        assert engine.offers[engine.row_offers()[engine.nearest_point_many([31.0], [121.0]).row[0, 0]]] == "a/a"


def test_in_turn__works_without_queries_and_refuses_other_units():
    engine = built()
    assert engine.nearest_in_turn([], [], "retail/pickup", units=engine.units()).row.shape == (0, 1)
    for units in (np.zeros(2, np.int64), np.zeros(3), [0, 0, 0]):
        with pytest.raises(ValueError, match="units must be a contiguous int64 array of 3"):
            engine.nearest_in_turn([31.2], [121.5], "retail/pickup", units=units)


def test_from_arrays__refuses_codes_that_refer_to_nothing():
    arrays = built().to_arrays()
    for name, value in {"feature_set": 9, "schedule": 5, "offer": 3, "point": 7}.items():
        bad = {**arrays, name: np.full_like(arrays[name], value)}
        with pytest.raises(ValueError, match=f"{name} refers to what is not there"):
            Engine.from_arrays(bad)
    with pytest.raises(ValueError, match="unequal length"):
        Engine.from_arrays({**arrays, "lat": arrays["lat"][:2]})


@pytest.mark.skipif(not hasattr(matching.nearest, "signatures"), reason="kernels are interpreted")
def test_warm_up__leaves_nothing_to_compile():
    package.warm_up()
    before = {name: len(getattr(matching, name).signatures) for name in ("nearest", "nearest_refused", "in_turn")}
    frozen = np.array([31.2, 31.3])
    frozen.flags.writeable = False
    engine = built(hours=["24/7", None, "Mo 10:00-12:00"], timezone="UTC")
    engine.nearest(31.2, 121.5, "retail/pickup")
    engine.nearest_many(frozen, pa.array([121.5, 121.5]), "retail/pickup", at=[AT, AT + dt.timedelta(days=40)])
    engine.refusals_many(frozen, frozen, "retail/pickup", at=AT)
    engine.nearest_in_turn(frozen, frozen, "retail/pickup", units=engine.units())
    assert {name: len(getattr(matching, name).signatures) for name in before} == before


@pytest.mark.parametrize("seen", [["internal", "public"], ["public", "internal"]])
def test_explain__tells_of_a_point_without_the_offer_how_it_can_be_seen_at_all(seen: list[str]) -> None:
    engine = Engine.from_columns(["p", "p"], ["a/x", "c/z"], [60.0] * 2, [24.0] * 2, visibility=seen)
    told = engine.explain(60.0, 24.0, "b/y", point="p").point
    assert told is not None
    assert (told.reason, told.visibility) == ("no_offer", "public")
