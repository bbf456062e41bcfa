"""Everything that the public functions can be asked, in every form that arrays come in: for `test_warming`."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

import geo
from engine import NOT_KEPT, Baskets, Engine, StockEntries, coverage
from engine.crew_days import CrewDay, CrewDays, Stop
from engine.slots import Job, check_slots, find_slots, witness
from engine.travel import GreatCircleTravel

NOW = dt.datetime(2026, 3, 4, 12, 0, tzinfo=dt.UTC)
OFFERS = ["retail/pickup", "retail/delivery", "food/pickup"]
SQUARE = shapely.box(121.4, 31.1, 121.6, 31.3)
TORN = shapely.MultiPolygon([shapely.box(121.4, 31.1, 121.45, 31.3), shapely.box(121.5, 31.1, 121.6, 31.3)])


def use_everything(folder: Path) -> None:
    """Ask engines of all sizes and makes everything, change them, write them and map them; ask `geo` too."""
    for n in (0, 1, 300):
        engine = Engine.from_columns(**city(n))
        ask_all(engine)
        engine.prepare()
        ask_all(engine)
        change(engine)
        ask_all(engine)
        ask_all(reopened(engine, folder, "c"))
        ask_all(reopened(engine, folder, None))
    bare = Engine.from_columns(*(city(300)[name] for name in ("point_ids", "offers", "lat", "lng")))
    bare.prepare()
    ask_all(bare)
    mapped = reopened(bare, folder, "r")
    change(mapped)
    ids = bare.point_ids(np.arange(300))
    offers, lat, lng = (city(300)[name] for name in ("offers", "lat", "lng"))
    long = StockEntries(pa.array(ids * 2), ["a"] * 300 + ["b"] * 300, pa.array([1, None] * 300), None)
    stocked = Engine.from_columns(ids, offers, lat, lng, stock=long)
    ask_all(stocked)
    change(stocked)
    ask_all(mapped)
    ask_geo()
    ask_crews()


def ask_crews() -> None:
    """Ask for slots of days with and without stops, in every form of windows."""
    here, there = (31.2, 121.4), (31.25, 121.45)
    busy = (Stop("a", there, 600, 3_000, 9_000), Stop("rest", None, 600, 0, 30_000))
    days = [CrewDay("a", here, there, 0, 30_000), CrewDay("b", here, here, 0, 30_000, busy)]
    for table in (CrewDays([], GreatCircleTravel()), CrewDays(days, GreatCircleTravel(), at=NOW)):
        forms: tuple[Any, ...] = (range(0, 30_000, 600), np.arange(0, 30_000, 600).astype(np.int32), [])
        for windows in forms:
            slots = find_slots(table, Job(*there, 60), windows, 900, is_asked=np.ones(len(table.days), bool))
            check_slots(table, Job(*there, 60), slots)
            table.starts_by_s(np.arange(len(table.days)), 60)
    table = CrewDays(days, GreatCircleTravel())
    for slot in find_slots(table, Job(*there, 60), [3_600], 900)[:1]:
        table.replace(slot.day, witness(table, Job(*there, 60), slot, "visit"))


def city(n: int, name: str = "p", seed: int = 0) -> dict[str, Any]:
    """Return columns with every kind of value, in Arrow, NumPy and lists."""
    rng = np.random.default_rng(seed)
    return {
        "point_ids": pa.array([f"{name}{i // 2 if i % 7 == 0 else i}" for i in range(n)]),
        "offers": [OFFERS[i % 7 % 3] for i in range(n)],
        "lat": np.repeat(31.2 + rng.normal(0, 0.05, n), 2)[::2],
        "lng": pa.array(121.5 + rng.normal(0, 0.05, n)),
        "areas": [(SQUARE, 3000.0, None, TORN, 40)[i % 5] if i < 20 else None for i in range(n)],
        "hours": [("24/7", "Mo-Fr 08:00-18:00; PH off", None)[i % 3] for i in range(n)],
        "timezone": ["Asia/Shanghai"] * n,
        "country": "CN",
        "capacity": pa.array([None if i % 4 else i % 7 for i in range(n)], pa.int64()),
        "lead_s": [600 if i % 6 == 0 else None for i in range(n)],
        "features": [["lift"] if i % 5 == 0 else None for i in range(n)],
        "paused": np.arange(n) % 50 == 49,
        "suspended": [i % 60 == 59 for i in range(n)],
        "visibility": ["unlisted" if i % 11 == 0 else None for i in range(n)],
        "stock": [{"milk": i % 5, "tea": None, f"s{i % 40}": (3, NOW)} if i % 3 else None for i in range(n)],
    } | one_place(n, rng)


def one_place(n: int, rng: np.random.Generator) -> dict[str, Any]:
    """Return ids of one row each: places are drawn by row."""
    return {"point_ids": pa.array([f"{rng.integers(1 << 40):x}-{i}" for i in range(n)], pa.string())}


def reopened(engine: Engine, folder: Path, mode: Any) -> Engine:
    """Return the engine as a new process would open it."""
    for name, values in engine.to_arrays().items():
        np.save(folder / f"{name}.npy", values)
    return Engine.from_arrays({path.stem: np.load(path, mmap_mode=mode) for path in folder.glob("*.npy")})


def change(engine: Engine) -> None:
    """Let the delta, the middle and the base be built anew, rows die, and units change."""
    for n, name in ((3, "delta"), (1100, "middle"), (5, "again"), (1, "one")):
        engine.apply({"upsert": {**city(n, seed=n), "point_ids": [f"{name}{i}" for i in range(n)]}})
    ask_all(engine)
    engine.apply({"remove": [f"middle{i}" for i in range(400)]})
    engine.set_capacity("one0", OFFERS[0], 0)
    engine.upsert({"point_ids": "delta1", "offers": OFFERS, "lat": 31, "lng": 121.0, "areas": [SQUARE, None, 5]})
    engine.remove("again1")
    entries = ["delta1", "delta1", "one0"], ["new", "new", "tea"], [3, NOT_KEPT, None], [None, NOW, None]
    engine.apply({"stock": entries})
    engine.apply({"stock": (["one0"], pa.array(["tea"]), np.array([5]), NOW)})
    ask_all(engine)
    engine.apply({"upsert": {**city(4200, seed=9), "point_ids": np.array([f"base{i}" for i in range(4200)])}})


def ask_all(engine: Engine) -> None:
    """Ask everything an engine can be asked."""
    rng = np.random.default_rng(1)
    for q in (0, 1, 40):
        ask_many(engine, 31.2 + rng.normal(0, 0.1, q), 121.5 + rng.normal(0, 0.1, q))
    ask_crowd(engine, 31.2 + rng.normal(0, 0.1, 4200), 121.5 + rng.normal(0, 0.1, 4200))
    ask_forms(engine)
    for offer in (*OFFERS, "no/body"):
        engine.nearest(31.2, 121.5, offer)
        engine.nearest(np.float64(31.2), 121, offer, k=40, at=NOW, asked_at=NOW, max_distance_m=5000)
        engine.explain(31.2, 121.5, offer)
        engine.explain(31, 121.5, offer, at=NOW, quantity=2, max_distance_m=900.0)
        engine.explain(31.2, 121.5, offer, items={"milk": 2, "tea": 1}, asked_at=NOW)
        engine.split(31.2, 121.5, offer, {"milk": 4, "s3": 1, "tea": 1}, max_distance_m=9000.0)
    ids = engine.point_ids(np.arange(engine.n_rows))
    for name in ids[:: max(1, len(ids) // 3)]:
        if engine.n_rows and _lives(engine, name):
            engine.explain(31.2, 121.5, OFFERS[0], point=name, at=NOW, features=["lift"])
    for ask in ({}, {"at": NOW, "asked_at": NOW}, {"features": ["lift"]}, {"items": {"milk": 1}}):
        found = engine.found(31.2, 121.5, OFFERS[0], k=3, **ask)
        engine.refused(31.2, 121.5, OFFERS[0], k=3, facts=found.facts, **ask)
    engine.units(), engine.positions(), engine.row_offers(), engine.offers, engine.version
    ask_coverage(engine)


def _lives(engine: Engine, name: str | None) -> bool:
    try:
        engine.explain(0.0, 0.0, OFFERS[0], point=name)
    except ValueError:
        return False
    return True


def ask_many(engine: Engine, lat: Any, lng: Any) -> None:
    """Ask what takes many places, in every way."""
    q = lat.size
    each = [(*OFFERS, "no/body")[i % 4] for i in range(q)]
    times = np.datetime64("2026-03-04T12:00:00") + np.arange(q).astype("timedelta64[m]")
    asks: list[dict[str, Any]] = [
        {},
        {"at": NOW},
        {"at": times, "asked_at": NOW, "unknown_hours": "allow"},
        {"at": [NOW] * q, "asked_at": times, "quantity": np.ones(q, np.int32)},
        {"quantity": 3, "max_distance_m": 2000.0, "features": {"lift"}, "require": ("open",)},
        {"quantity": [1] * q, "max_distance_m": 100},
        {"items": {"milk": 1, "tea": 2}, "at": NOW, "asked_at": times},
        {"items": [{f"s{i % 50}": 1} if i % 5 else None for i in range(q)], "features": {"lift"}},
        {"items": Baskets(np.arange(q), pa.array(["milk"] * q, pa.string()).dictionary_encode(), np.ones(q, np.int32))},
    ]
    for ask in asks:
        for k in (1, 5):
            found = engine.nearest_many(lat, lng, OFFERS[0], k=k, **ask)
            found.point_ids()
            engine.nearest_many(lat, lng, each, k=k, threads=1, **ask)
        if "items" not in ask:
            engine.nearest_in_turn(lat, lng, each, units=engine.units(), **ask)
        engine.refusals_many(lat, lng, each, **ask)
        engine.refusals_many(lat, lng, OFFERS[1], units=engine.units(), threads=2, **ask)
    engine.nearest_point_many(lat, lng)
    engine.nearest_point_many(lat, lng, threads=1)
    for offer in (OFFERS[0], each, "no/body"):
        list(engine.serving_many(lat, lng, offer))


def ask_crowd(engine: Engine, lat: Any, lng: Any) -> None:
    """Ask with so many places that they are put in order and asked in chunks."""
    milk = Baskets(np.arange(lat.size), ["milk"] * lat.size, np.ones(lat.size, np.int64))
    asks: list[dict[str, Any]] = [{}, {"at": NOW, "items": milk}]
    for ask in asks:
        engine.nearest_many(lat, lng, OFFERS[0], **ask)
        engine.refusals_many(lat, lng, OFFERS[0], **ask)
    engine.nearest_point_many(lat, lng)
    list(engine.serving_many(lat, lng, OFFERS[0]))


def ask_forms(engine: Engine) -> None:
    """Ask with places as strided, read-only, mixed and foreign arrays."""
    strided = np.repeat([31.2, 31.25, 31.3], 2)[::2]
    still = strided.copy()
    still.flags.writeable = False
    forms: list[Any] = [strided, still, [31, 31, 31], (31.0, 31.0, 31.0), pa.array([31.0, 31.1, 31.2])]
    forms += [np.array([31, 31, 31], np.int16), strided.astype(np.float32), strided.astype(">f8")]
    for lat in forms:
        engine.nearest_many(lat, np.full(3, 121.5), OFFERS[0])
        engine.serving_many(lat, [121.5] * 3, OFFERS)
        geo.latlng_to_cell_many(lat, [121.5] * 3, 7)


def ask_coverage(engine: Engine) -> None:
    """Ask planners' questions."""
    demand: dict[str, Any] = {"lat": np.linspace(31.1, 31.3, 20), "lng": [121.5] * 20, "weight": np.arange(20)}
    coverage(engine, demand, OFFERS[0], at=NOW)
    coverage(engine, demand, OFFERS[1], bands_m=(10, 20.5), districts=["a", "b"] * 10, cell_resolution=5)
    coverage(engine, {name: values[:0] for name, values in demand.items()}, OFFERS[0])


def ask_geo() -> None:
    """Ask all that `geo` offers."""
    cells = geo.latlng_to_cell_many([0.0, 1.0, 89.9], [0.0, 0.0, -179.0], 9)
    geo.ancestor_cells([0, 1], [0, 1], 3)
    geo.cell_centers(cells)
    geo.cell_centers([int(cell) for cell in cells])  # type: ignore[arg-type]
    geo.cell_distance_m(int(cells[0]), int(cells[1]))
    geo.cell_boundary(int(cells[0]))
    geo.cells_union([int(cell) for cell in cells])
    for area in (SQUARE, TORN):
        geo.cover_area(area)
        geo.cover_area(area, resolution=6)
        geo.fill_area(area, 6)
        geo.area_covers(area, [31.2, 31.0], [121.5, 0.0])
        geo.check_area(area)
    geo.cover_circle(0, 0, 500)
    geo.cover_circle(89.99, 0.0, 5000.0)
    geo.distance_m([0.0, 1], [0.0, 1], [1.0, 1], [1.0, 1])
    geo.distance_m(0.0, 0.0, 1, 1)
    for source in geo.DATUMS:
        for target in geo.DATUMS:
            geo.convert_datum(31.2, 121.5, source=source, target=target)
            geo.convert_datum([31.2, 0], np.array([121.5, 0]), source=source, target=target)
