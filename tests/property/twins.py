"""Brute-force twins of the engine: NumPy and the standard library, and shapely for areas; nothing that they check."""

import math
from fractions import Fraction
from itertools import combinations

import numpy as np
import shapely

R = 6_371_008.8
A, F = 6_378_137.0, 1 / 298.257223563
E2 = F * (2 - F)
CHECKS = ("open", "serves", "capacity")


def brute_xyz(lat, lng):
    la, lo = math.radians(lat), math.radians(lng)
    n = A / math.sqrt(1 - E2 * math.sin(la) ** 2)
    cos_lat = 0.0 if abs(lat) == 90.0 else math.cos(la)  # a pole is one place, whatever its longitude
    return (n * cos_lat * math.cos(lo), n * cos_lat * math.sin(lo), n * (1 - E2) * math.sin(la))


def brute_chord_sq(a, b):
    return sum((p - q) ** 2 for p, q in zip(a, b, strict=True))


def brute_told(chord_sq):
    return 2 * R * math.asin(min(1.0, math.sqrt(chord_sq) / (2 * R)))


def brute_contains(area, lat, lng, told):
    if area is None:
        return True
    if isinstance(area, int | float):
        return told <= area
    return bool(shapely.covers(area, shapely.Point(lng, lat)))


def brute_missing(stock, items, asked):
    """The first SKU, sorted, that a stock has not got: ``stock`` holds units, or (units, good_until), by SKU."""
    for sku in sorted(items or {}):
        had = (stock or {}).get(sku, 0)
        units, until = had if isinstance(had, tuple) else (had, None)
        if (units is not None and units < items[sku]) or (asked and until and asked >= until):
            return sku
    return None


def brute_reason(row, lat, lng, ask, state):
    """The first reason that fails; ``state(row, at)`` tells open, closed or unknown."""
    told = brute_told(brute_chord_sq(brute_xyz(row["lat"], row["lng"]), brute_xyz(lat, lng)))
    at, asked = ask.get("at"), ask.get("asked_at")
    require = ask.get("require", CHECKS)
    hours = state(row, at) if at is not None and "open" in require else "open"
    left = row["capacity"]
    limit = ask.get("max_distance_m")
    checks = [
        ("paused", not row["paused"]),
        ("suspended", not row["suspended"]),
        ("feature_missing", set(ask.get("features", ())) <= set(row["features"] or ())),
        ("closed", hours != "closed"),
        ("hours_unknown", hours != "unknown" or ask.get("unknown_hours") == "allow"),
        ("too_soon", at is None or asked is None or (at - asked).total_seconds() >= (row["lead_s"] or 0)),
        ("outside_area", "serves" not in require or brute_contains(row["areas"], lat, lng, told)),
        ("full", "capacity" not in require or left is None or left >= ask.get("quantity", 1)),
        ("out_of_stock", brute_missing(row.get("stock"), ask.get("items"), asked) is None),
        ("too_far", limit is None or told <= limit),
    ]
    return next((code for code, good in checks if not good), "matched")


def brute_nearest(rows, lat, lng, offer, k, ask, state):
    """(chord_sq, row number) of the k nearest feasible rows, ordered by chord, then id."""
    place = brute_xyz(lat, lng)
    found = [
        (brute_chord_sq(brute_xyz(row["lat"], row["lng"]), place), row["point_ids"].encode(), number)
        for number, row in enumerate(rows)
        if row["offers"] == offer
        and row["visibility"] == "public"
        and brute_reason(row, lat, lng, ask, state) == "matched"
    ]
    return [(chord, number) for chord, _, number in sorted(found)[:k]]


def brute_split(rows, lat, lng, offer, most, ask, state):
    """(exact sum of told distances, ids nearest first) of the best split, by trying every set of up to so many rows."""
    place, items = brute_xyz(lat, lng), ask["items"]
    whole = brute_nearest(rows, lat, lng, offer, 1, ask, state)
    if whole:
        return Fraction(brute_told(whole[0][0])), (rows[whole[0][1]]["point_ids"],)
    bare = {**ask, "items": None}
    able = []
    for chord, number in brute_nearest(rows, lat, lng, offer, len(rows), bare, state):
        held = {
            sku for sku in items if brute_missing(rows[number]["stock"], {sku: items[sku]}, ask.get("asked_at")) is None
        }
        assert chord == brute_chord_sq(brute_xyz(rows[number]["lat"], rows[number]["lng"]), place)
        able.append((brute_told(chord), rows[number]["point_ids"].encode(), held))
    for n in range(2, most + 1):
        found = []
        for some in combinations(sorted(able, key=lambda one: one[:2]), n):
            if set().union(*(held for _, _, held in some)) >= set(items):
                names = tuple(name for _, name, _ in some)
                found.append((sum(Fraction(told) for told, _, _ in some), names))
        if found:
            total, names = min(found)
            return total, tuple(name.decode() for name in names)
    return None


def brute_refused(rows, lat, lng, offer, k):
    """(chord_sq, row number) of the k nearest public rows that have the offer, whatever else fails."""
    place = brute_xyz(lat, lng)
    found = [
        (brute_chord_sq(brute_xyz(row["lat"], row["lng"]), place), row["point_ids"].encode(), number)
        for number, row in enumerate(rows)
        if row["offers"] == offer and row["visibility"] == "public"
    ]
    return [(chord, number) for chord, _, number in sorted(found)[:k]]


def brute_serving(rows, lat, lng, offer):
    place = brute_xyz(lat, lng)
    return [
        number
        for number, row in enumerate(rows)
        if row["offers"] == offer
        and row["visibility"] == "public"
        and brute_contains(row["areas"], lat, lng, brute_told(brute_chord_sq(brute_xyz(row["lat"], row["lng"]), place)))
    ]


def same_order(found, wanted, chord_of):
    """Rows equal but where neighbours differ by less than a micrometre, which an outside oracle may order either way."""
    assert len(found) == len(wanted), (found, wanted)
    for mine, (chord, number) in zip(found, wanted, strict=True):
        if mine != number:
            assert 0 < abs(math.sqrt(chord_of(mine)) - math.sqrt(chord)) < 1e-6, (found, wanted)


def rows_of(columns):
    n = len(columns["point_ids"])
    return [{name: values[i] for name, values in columns.items()} for i in range(n)]


def random_star(rng, lat, lng, size_deg, m=8):
    turn = np.sort(rng.uniform(0, 2 * np.pi, m))
    reach = size_deg * rng.uniform(0.3, 1.0, m)
    squash = max(0.05, math.cos(math.radians(lat)))
    xs = np.clip(lng + reach * np.cos(turn) / squash, -180, 180)
    ys = np.clip(lat + reach * np.sin(turn), -90, 90)
    shape = shapely.Polygon(np.c_[xs, ys])
    return shape if shape.is_valid and shape.area > 1e-9 else None
