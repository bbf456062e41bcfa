"""A version as arrays: written, mapped, and refused when it is wrong."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
import shapely

from engine import Engine, forest, ids, point_rows, snapshots
from engine.array_checks import _REFERENCES, _STARTS, SHAPES
from engine.arrays import FORMAT, to_arrays
from engine.named_arrays import named_arrays
from geo import cells, metric

NOON = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)
OFFERS = ["retail/pickup", "retail/delivery"]
SHOP = {"offers": OFFERS[:1], "lat": 31.2, "lng": 121.5, "timezone": "Asia/Shanghai"}


def city(n=200, seed=1):
    """Give an engine with polygons, radii, hours, some points hidden; its neighbours listed."""
    rng = np.random.default_rng(seed)
    lat, lng = 31.2 + rng.normal(0, 0.05, n), 121.5 + rng.normal(0, 0.05, n)
    square = shapely.box(121.4, 31.1, 121.6, 31.3)
    engine = Engine.from_columns(
        [f"p{i:04d}" for i in rng.permutation(n)],
        [OFFERS[i % 2] for i in range(n)],
        lat,
        lng,
        areas=[(square, 3000.0, None)[i % 3] for i in range(n)],
        hours=[("24/7", "Mo-Fr 08:00-18:00", None)[i % 3] for i in range(n)],
        timezone="Asia/Shanghai",
        capacity=[None if i % 4 else i % 7 for i in range(n)],
        features=[["lift"] if i % 5 == 0 else None for i in range(n)],
        visibility=["unlisted" if i % 11 == 0 else None for i in range(n)],
        stock=[{"milk": i % 5, f"s{i % 9}": (None, NOON)} if i % 3 else None for i in range(n)],
    )
    snapshot = engine._snapshot
    return Engine(engine._vocabulary, replace(snapshot, base=snapshot.base.listed()))


def answers(engine, seed=3):
    rng = np.random.default_rng(seed)
    lat, lng = 31.2 + rng.normal(0, 0.1, 50), 121.5 + rng.normal(0, 0.1, 50)
    told = []
    for offer in OFFERS:
        found = engine.nearest_many(lat, lng, offer, k=3)
        told.append((found.point_ids(), found.distance_m.tolist()))
        found = engine.nearest_many(lat, lng, offer, k=3, items={"milk": 2, "s4": 1}, asked_at=NOON - dt.timedelta(1))
        told.append((found.point_ids(), found.distance_m.tolist()))
        pairs = engine.serving_many(lat, lng, offer)
        told.append((pairs.query.tolist(), engine.point_ids(pairs.row)))
    return told


def mapped(arrays, folder, mode):
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    return {path.stem: np.load(path, mmap_mode=mode) for path in folder.glob("*.npy")}


@pytest.fixture(scope="module")
def arrays():
    return city().to_arrays()


def test_to_arrays__names_every_array_of_the_base(arrays):
    base = city()._snapshot.base
    names = {name for name, _ in named_arrays(base.columns)} | {name for name, _ in named_arrays(base.part, "part.")}
    names |= {name for name, _ in named_arrays(base.point_rows, "point_rows.")}
    names |= {"stock.sku", "stock.units", "stock.good_until_us"}
    polygons = {name for name in names if name.startswith("part.polygons.")}  # stand among the columns
    assert names - polygons == set(SHAPES)
    assert set(arrays) == set(SHAPES) | {"words"}


@pytest.mark.parametrize("mode", ["r", "c"])
def test_from_arrays__answers_from_mapped_files_without_copies(arrays, tmp_path, mode):
    engine = Engine.from_arrays(mapped(arrays, tmp_path, mode))
    assert answers(engine) == answers(city())
    assert engine.version == 1
    base = engine._snapshot.base
    assert base.part.neighbours.entry.size
    held = [array for _, array in named_arrays(base.part) if array.size]
    assert not any(array.flags.owndata or array.flags.writeable for array in held)


@pytest.mark.parametrize("mode", ["r", "c"])
def test_from_arrays__a_mapped_version_changes_without_a_change_to_its_files(arrays, tmp_path, mode, monkeypatch):
    monkeypatch.setattr(snapshots, "DELTA_ROWS", 50)
    engine, live = Engine.from_arrays(mapped(arrays, tmp_path, mode)), city()
    more = {
        "point_ids": [f"n{i}" for i in range(55)],
        "offers": [OFFERS[0]] * (55),
        "lat": np.linspace(31.1, 31.3, 55),
        "lng": np.linspace(121.4, 121.6, 55),
        "stock": [{"milk": 3, "s4": 1}] * 55,
    }
    for one in (engine, live):
        one.set_capacity("n7" if "n7" in one.point_ids(np.arange(one.n_rows)) else one.point_ids([0])[0], OFFERS[0], 0)
        one.apply({"upsert": more, "remove": one.point_ids(np.array([2, 4]))})
        one.apply({"stock": (one.point_ids(np.array([1, 1, 5])), ["milk", "s4", "s4"], [0, 9, None], None)})
        one.upsert({"point_ids": "n3", "offers": OFFERS, "lat": 31.2, "lng": 121.5})
    assert answers(engine) == answers(live)
    again = {path.stem: np.load(path) for path in tmp_path.glob("*.npy")}
    assert all(np.array_equal(again[name], arrays[name]) for name in arrays)
    assert answers(Engine.from_arrays(engine.to_arrays())) == answers(live)


def test_from_arrays__takes_no_rows():
    engine = Engine.from_arrays(Engine.from_columns([], [], [], []).to_arrays())
    assert engine.n_rows == 0
    engine.upsert({"point_ids": "a", "offers": OFFERS, "lat": 1.0, "lng": 2.0})
    assert engine.nearest(1.0, 2.0, OFFERS[0]).matches[0].point_id == "a"


def test_from_arrays__copies_what_somebody_may_write_to(arrays):
    given = {name: values.copy() for name, values in arrays.items()}
    engine = Engine.from_arrays(given)
    for values in given.values():
        values[...] = 0
    assert answers(engine) == answers(city())


@pytest.mark.parametrize("name", SHAPES)
def test_from_arrays__refuses_an_array_that_is_missing_or_of_another_kind(arrays, name):
    whole = {other: values for other, values in arrays.items() if other != name}
    values = arrays[name]
    other_dtype = np.float32 if values.dtype != np.float32 else np.float64
    wrong = [whole, {**whole, name: values.astype(other_dtype)}, {**whole, name: values[..., None]}, {**whole, name: 5}]
    wrong += [{**whole, name: values[:-1]}] if values.size else []
    wrong += [{**whole, name: values[:, :-1]}] if values.ndim == 2 else []
    for given in wrong:
        with pytest.raises(ValueError, match=r"arrays must be what Engine\.to_arrays gave: "):
            Engine.from_arrays(given)


@pytest.mark.parametrize("bound", ["min", "max"])
@pytest.mark.parametrize("name", [*_REFERENCES, *_STARTS])
def test_from_arrays__refuses_what_refers_to_nothing(arrays, name, bound):
    values = arrays[name].copy()
    kind = np.iinfo(values.dtype)
    values[values.size // 2] = kind.min if bound == "min" and kind.min < 0 else kind.max
    with pytest.raises(ValueError, match="refers to what is not there"):
        Engine.from_arrays({**arrays, name: values})


def changed(arrays, name, change):
    values = arrays[name].copy()
    change(values)
    return {**arrays, name: values}


def _loop(values):
    values[np.flatnonzero(values > 0)[0]] = 0


CORRUPT = [
    ("part.forest.start", lambda a: a.__setitem__(0, -1)),
    ("part.forest.stop", lambda a: a.__setitem__(3, 2**31 - 1)),
    ("part.forest.first_child", lambda a: a.__setitem__(0, 2**31 - 1)),
    ("part.forest.first_child", _loop),  # a node below itself
    ("part.forest.n_children", lambda a: a.__setitem__(0, 10**6)),
    ("part.neighbours.root", lambda a: a.__setitem__(0, -99)),
    ("part.neighbours.slot", lambda a: a.__setitem__(0, 10**6)),
    ("part.neighbours.slot", lambda a: a.__setitem__(slice(None), -2)),  # a node below itself
    ("part.neighbours.node", lambda a: a.__setitem__((0, 0), 99)),
    ("part.neighbours.node", lambda a: a.__setitem__((0, 3), 10**6)),
    ("part.neighbours.node", lambda a: a.__setitem__((0, 5), -1)),
    ("part.neighbours.entry", lambda a: a.__setitem__(7, 2**32 - 1)),
    ("part.polygon", lambda a: a.__setitem__(slice(None), -1)),
    ("ids.slots", lambda a: a.__setitem__(slice(None), 0)),  # a search would never end
    ("ids.arena", lambda a: a.__setitem__(0, 255)),  # no UTF-8
    ("lat", lambda a: a.__setitem__(0, np.nan)),
    ("lng", lambda a: a.__setitem__(0, 999.0)),
    ("shelf", lambda a: a.__setitem__((0, 0), -2)),
    ("shelf", lambda a: a.__setitem__((0, 0), 1 << 40)),
]


@pytest.mark.parametrize(("name", "change"), CORRUPT, ids=[f"{i}-{name}" for i, (name, _) in enumerate(CORRUPT)])
def test_from_arrays__refuses_what_kernels_would_stumble_over(arrays, name, change):
    with pytest.raises(ValueError, match=r"arrays must be what Engine\.to_arrays gave: "):
        Engine.from_arrays(changed(arrays, name, change))


def test_from_arrays__refuses_another_format(arrays):
    words = bytes(arrays["words"]).replace(f'"format": {FORMAT}'.encode(), b'"format": 1')
    with pytest.raises(ValueError, match=f"must have format {FORMAT}"):
        Engine.from_arrays({**arrays, "words": np.frombuffer(words, np.uint8)})


def test_to_arrays__keeps_the_lists_of_neighbours():
    engine = city()
    snapshot = engine._snapshot
    arrays = to_arrays(engine._vocabulary, snapshot)
    assert arrays["part.neighbours.entry"].size == snapshot.base.part.neighbours.entry.size > 0
    engine.remove(engine.point_ids(np.array([0]))[0])
    again = Engine.from_arrays(engine.to_arrays())
    assert again.n_rows < engine.n_rows
    assert again._snapshot.base.is_listed
    assert answers(again) == answers(engine)


def test_from_arrays__calls_no_kernel(arrays, tmp_path, monkeypatch):
    """To load one from the cache takes longer than all the rest."""
    given = mapped(arrays, tmp_path, "c")
    for module in (ids, cells, metric, forest, point_rows):
        monkeypatch.setattr(module, "kernels", None)
    assert Engine.from_arrays(given).n_rows == arrays["point"].size


def test_to_arrays__leaves_out_sets_of_features_that_no_living_row_has():
    engine = city()
    n_sets = len(engine._now[0].feature_sets())
    for number in range(30):  # one shop says again and again how many wait there
        engine.upsert({**SHOP, "point_ids": "new", "features": [["lift", f"queue:{number}"]]})
    again = Engine.from_arrays(engine.to_arrays())
    assert len(engine._now[0].feature_sets()) == n_sets + 30
    assert len(again._now[0].feature_sets()) <= n_sets + 1
    for features in ((), ("lift",), ("queue:29",), ("queue:28",)):
        told = [one.nearest(31.2, 121.5, OFFERS[0], 250, features=features) for one in (engine, again)]
        assert told[0].matches == told[1].matches


def test_to_arrays__leaves_out_schedules_that_no_living_row_has():
    engine = city()
    for minute in range(30):  # one shop changes its hours again and again, another goes
        engine.upsert({**SHOP, "point_ids": "new", "hours": f"Mo-Su 10:{minute:02d}-21:00; Mar 05 off"})
        engine.upsert({**SHOP, "point_ids": "gone", "hours": f"Mar 10:00-20:{minute:02d}"})
    engine.upsert({**SHOP, "point_ids": "unknown"})
    engine.remove("gone")
    again = Engine.from_arrays(engine.to_arrays())
    assert (
        engine.facts.schedules[:2]
        == again.facts.schedules[:2]
        == (
            ("24/7", "Asia/Shanghai", None),
            ("Mo-Fr 08:00-18:00", "Asia/Shanghai", None),
        )
    )
    assert again.facts.schedules[2:] == (("Mo-Su 10:29-21:00; Mar 05 off", "Asia/Shanghai", None),)
    for hours in (-4, 2, 8, 24, 26):
        at = NOON + dt.timedelta(hours=hours)
        for unknown in ("refuse", "allow"):
            told = [one.nearest(31.2, 121.5, OFFERS[0], 250, at=at, unknown_hours=unknown) for one in (engine, again)]
            assert told[0].matches == told[1].matches
            assert told[0].matches
