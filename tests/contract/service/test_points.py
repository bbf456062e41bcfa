"""Points in the registry: written whole, read by role and datum, changed under their revisions."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import shapely

from tests.contract.service.shops import Shops, open_shops, point, square
from tests.contract.service.talking import ask, make_key, problem, together
from tests.serving import Serving, fresh_database, running_service
from tests.unguarded import without


@pytest.fixture(scope="module")
def shops(service: Serving) -> Iterator[Shops]:
    """Give clients of two merchants."""
    with open_shops(service, "corner") as found:
        yield found


WHOLE: dict[str, Any] = {
    "kind": "pickup_point",
    "name": "街角便利店 O'Neil",
    "address": "12 Road, 3rd floor",
    "lat": 31.25,
    "lng": 121.45,
    "datum": "gcj02",
    "timezone": "Asia/Shanghai",
    "country": "CN",
    "visibility": "unlisted",
    "features": ["wheelchair", "brand:Burger King", "lift"],
    "special_days": [{"date": "2026-12-31", "hours": "off"}, {"date": "2026-12-24", "hours": "10:00-14:00"}],
    "paused": True,
    "offers": [
        {"offer": "retail/pickup", "area": {"radius_m": 750.5}, "hours": "24/7", "capacity": 7, "lead_s": 60},
        {"offer": "retail/delivery", "area": square(), "hours": None, "capacity": None, "lead_s": 0, "paused": True},
        {"offer": "food_service/delivery", "area": {"everywhere": True}, "hours": "Mo-Fr 08:00-20:00; PH off",
         "capacity": 0, "lead_s": 1800},
    ],
}  # fmt: skip


def test_put__keeps_every_field_in_the_datum_it_came_in(shops: Shops) -> None:
    assert shops.put("whole", WHOLE).status_code == 201
    found = shops.get("whole", datum="gcj02").json()
    for name in ("kind", "name", "address", "datum", "timezone", "country", "visibility", "paused"):
        assert found[name] == WHOLE[name], name
    assert found["features"] == sorted(WHOLE["features"])
    assert found["special_days"] == sorted(WHOLE["special_days"], key=lambda day: day["date"])
    assert abs(found["lat"] - WHOLE["lat"]) < 1e-6
    assert abs(found["lng"] - WHOLE["lng"]) < 1e-6
    offers = {offer["offer"]: offer for offer in found["offers"]}
    for given in WHOLE["offers"]:
        told = offers[given["offer"]]
        area, wanted = told.pop("area"), given["area"]
        assert told == {"paused": False, "in_work": 0, "slot": None} | {
            name: value for name, value in given.items() if name != "area"
        }
        if "type" in wanted:
            assert shapely.geometry.shape(area).equals_exact(shapely.geometry.shape(wanted).normalize(), 1e-6) or (
                shapely.hausdorff_distance(shapely.geometry.shape(area), shapely.geometry.shape(wanted)) < 1e-6
            )
        else:
            assert area == wanted


@pytest.mark.parametrize("datum", ["wgs84", "gcj02", "bd09"])
def test_datum__goes_there_and_back_within_a_millionth_of_a_degree(shops: Shops, datum: str) -> None:
    places = [(31.2304, 121.4737), (39.9, 116.4), (60.17, 24.94), (22.3, 114.17), (-33.9, 151.2)]
    for number, (lat, lng) in enumerate(places):
        body = point(lat=lat, lng=lng, datum=datum, offers=[{"offer": "retail/pickup", "area": square(lng, lat)}])
        assert shops.put(f"{datum}-{number}", body).status_code == 201
        found = shops.get(f"{datum}-{number}", datum=datum).json()
        assert max(abs(found["lat"] - lat), abs(found["lng"] - lng)) < 1e-6
        drawn = shapely.geometry.shape(found["offers"][0]["area"])
        assert shapely.hausdorff_distance(drawn, shapely.geometry.shape(square(lng, lat))) < 1e-6
    plain = shops.get(f"{datum}-0").json()
    moved = abs(plain["lat"] - places[0][0]) > 1e-4
    assert moved == (datum != "wgs84")


def test_put__tells_what_it_filled_in(shops: Shops) -> None:
    answer = shops.put("filled").json()
    filled = {one["where"]: (one["value"], one["source"]) for one in answer["filled"]}
    assert filled["/timezone"] == ("Asia/Shanghai", "place")
    assert filled["/country"] == ("CN", "place")
    assert filled["/offers/0/area"] == (answer["offers"][0]["area"], "norm")
    assert set(filled) == {"/timezone", "/country", "/offers/0/area"}
    assert answer["offers"][0]["lead_s"] == 0
    assert shops.put("told", WHOLE).json()["filled"] == []


def test_put__asks_for_the_revision_that_was_read(shops: Shops) -> None:
    made = shops.put("tag", If_None_Match="*")
    assert (made.status_code, made.headers["etag"]) == (201, '"1-0"')
    # Row 51 of the bad inputs.
    assert problem(shops.put("tag")) == (428, "precondition-required")
    assert problem(shops.put("tag", If_None_Match="*")) == (412, "precondition-failed")
    assert problem(shops.put("tag", If_Match='"7-0"')) == (412, "precondition-failed")
    assert problem(shops.put("nowhere", If_Match='"1-0"')) == (412, "precondition-failed")
    again = shops.put("tag", If_Match='"1-0"')
    assert (again.status_code, again.headers["etag"], again.json()["revision"]) == (200, '"2-0"', 2)
    path = f"/v1/points/{shops.merchant_id}:tag"
    assert problem(shops.own.delete(path)) == (428, "precondition-required")
    assert problem(shops.own.delete(path, headers={"If-Match": '"1-0"'})) == (412, "precondition-failed")
    assert problem(shops.own.patch(path, json={"name": "x"})) == (428, "precondition-required")
    assert shops.own.delete(path, headers={"If-Match": '"2-0"'}).status_code == 204
    assert shops.get("tag").status_code == 404
    assert shops.put("tag").json()["revision"] == 4  # the deletion was the third


def test_ids__of_others_and_of_nothing_get_one_answer(shops: Shops) -> None:
    assert shops.put("mine").status_code == 201
    own, other = f"{shops.merchant_id}:mine", shops.other
    names = [own, f"{shops.merchant_id}-2:absent", "no-such:mine", "nothing", "..%2f", f"{own}%00", "%00"]
    bodies = {other.get(f"/v1/points/{name}").content for name in names}
    for name in names:
        path = f"/v1/points/{name}"
        tag = {"If-Match": "*"}
        bodies.add(other.delete(path, headers=tag).content)
        bodies.add(other.patch(path, json={"name": "x"}, headers=tag).content)
        bodies.add(other.post(f"{path}:pause").content)
        bodies.add(other.post(f"{path}:resume", json={"offer": "retail/pickup"}).content)
        bodies.add(other.put(f"{path}/offers/retail/pickup/capacity", json={"units": 1}).content)
        bodies.add(other.get(f"{path}/hours", params={"offer": "retail/pickup"}).content)
        if name != f"{shops.merchant_id}-2:absent":
            bodies.add(other.put(path, json=point(), headers=tag).content)
    bodies.add(other.post("/v1/points:import?merchant_id=corner", headers={"Idempotency-Key": "1"}).content)
    bodies.add(other.get("/v1/imports/imp_1").content)
    bodies.add(other.get("/v1/imports/imp_1/errors").content)
    bodies.add(shops.admin.put("/v1/points/no-such:mine", json=point()).content)
    assert len(bodies) == 1
    assert json.loads(bodies.pop())["status"] == 404
    assert shops.get("mine").json()["revision"] == 1
    assert problem(shops.put("with a space")) == (422, "validation")


def test_reads__tell_others_no_stock_and_no_shape(shops: Shops) -> None:
    body = WHOLE | {"visibility": "public", "paused": False}
    for local, changes in {
        "seen": {},
        "asked": {"visibility": "unlisted"},
        "hidden": {"visibility": "internal"},
    }.items():
        assert shops.put(local, body | changes).status_code == 201
    seen = shops.app.get(f"/v1/points/{shops.merchant_id}:seen").json()
    assert set(seen["offers"][0]) == {"offer", "hours", "lead_s", "paused"}
    assert not {"visibility", "revision", "synthetic", "created_at"} & set(seen)
    assert shops.app.get(f"/v1/points/{shops.merchant_id}:asked").status_code == 200
    assert shops.app.get(f"/v1/points/{shops.merchant_id}:hidden").status_code == 404
    listed = {one["point_id"] for one in shops.app.get("/v1/points", params={"page_size": 200}).json()["items"]}
    assert f"{shops.merchant_id}:seen" in listed
    assert not {f"{shops.merchant_id}:asked", f"{shops.merchant_id}:hidden"} & listed
    assert shops.app.get("/v1/points", params={"visibility": "internal"}).json()["items"] == []
    # The other merchant is verified; a suspended one's points are nobody's.
    assert shops.other.put("/v1/points/corner-2:a", json=point()).status_code == 201
    assert shops.app.get("/v1/points/corner-2:a").status_code == 200
    assert shops.admin.post("/v1/merchants/corner-2:suspend", headers={"If-Match": "*"}).is_success
    assert shops.app.get("/v1/points/corner-2:a").status_code == 404
    assert shops.other.get("/v1/points/corner-2:a").status_code == 200
    assert shops.admin.post("/v1/merchants/corner-2:reinstate", headers={"If-Match": "*"}).is_success


def test_list__has_fewer_points_on_a_page_where_their_areas_are_large(service: Serving) -> None:
    turns = np.linspace(0, math.tau, 1_999)[:-1]
    ring = [[round(121.47 + 0.01 * math.cos(turn), 6), round(31.23 + 0.01 * math.sin(turn), 6)] for turn in turns]
    area = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    names = ("retail/pickup", "retail/delivery", "food_service/delivery", "food_service/pickup", "laundry/pickup")
    with open_shops(service, "wide") as shops:
        body = point(offers=[{"offer": name, "area": area} for name in names])
        for number in range(5):
            assert shops.put(f"p{number}", body).status_code == 201
        first = shops.own.get("/v1/points").json()
        last = shops.own.get("/v1/points", params={"cursor": first["next_cursor"]}).json()
        assert [len(page["items"]) for page in (first, last)] == [3, 2]
        assert last["next_cursor"] is None
        assert len(shops.app.get("/v1/points", params={"merchant": "wide"}).json()["items"]) == 5, "without their areas"


def test_list__goes_by_pages_and_filters(service: Serving) -> None:
    with open_shops(service, "lists") as shops:
        for number in range(7):
            offers = [{"offer": "retail/pickup" if number % 2 else "retail/delivery"}]
            features = ["brand:A"] if number < 3 else ["brand:a"]
            body = point(kind="store" if number < 5 else "venue", paused=number == 6, offers=offers, features=features)
            assert shops.put(f"p{number}", body).status_code == 201
        ids, cursor = [], None
        while True:
            query: dict[str, Any] = {"page_size": 3} | ({} if cursor is None else {"cursor": cursor})
            page = shops.own.get("/v1/points", params=query).json()
            ids += [one["point_id"] for one in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert ids == [f"lists:p{number}" for number in range(7)]
        for query, wanted in [
            ({"offer": "retail/pickup"}, [1, 3, 5]),
            ({"kind": "venue"}, [5, 6]),
            ({"paused": "true"}, [6]),
            ({"feature": "brand:A"}, [0, 1, 2]),
            ({"merchant": "corner"}, []),
            ({"merchant": "lists", "visibility": "public", "kind": "store"}, [0, 1, 2, 3, 4]),
        ]:
            found = shops.own.get("/v1/points", params=query).json()["items"]
            assert [one["point_id"] for one in found] == [f"lists:p{number}" for number in wanted], query
        # Row 20, and what would widen a search in silence.
        cases: list[tuple[dict[str, Any], str]] = [
            ({"page_size": 0}, "validation"), ({"page_size": -1}, "validation"), ({"page_size": 10**9}, "validation"),
            ({"cursor": "AAAA"}, "cursor-invalid"), ({"offer": "retail/nonsense"}, "validation"),
            ({"kind": "shop"}, "validation"), ({"merchnt": "lists"}, "validation"), ({"datum": "wgs85"}, "validation"),
        ]  # fmt: skip
        for refused, slug in cases:
            assert problem(shops.own.get("/v1/points", params=refused)) == (422, slug), refused


def test_list__of_a_station_is_its_merchants_as_everyone_sees_them(shops: Shops, service: Serving) -> None:
    assert shops.put("back-room", point(visibility="internal")).is_success
    assert shops.other.put(f"/v1/points/{shops.merchant_id}-2:shop", json=point()).is_success
    with service.client(make_key(shops.own, "station")["secret"]) as station:
        items = station.get("/v1/points", params={"page_size": 200}).json()["items"]
        foreign = station.get("/v1/points", params={"merchant": f"{shops.merchant_id}-2"}).json()["items"]
    assert {one["merchant_id"] for one in items} == {shops.merchant_id}
    assert f"{shops.merchant_id}:back-room" in {one["point_id"] for one in items}
    assert all("capacity" not in offer and "area" not in offer for one in items for offer in one["offers"])
    assert foreign == []


def test_patch__changes_what_it_names(shops: Shops) -> None:
    before = shops.put("patch", WHOLE).json()
    path, tag = f"/v1/points/{shops.merchant_id}:patch", {"If-Match": '"1-0"'}
    day = {"date": "2027-01-01", "hours": "12:00-15:00"}
    changes: dict[str, Any] = {"name": "New", "address": None, "visibility": "public", "features": [], "paused": False}
    after = shops.own.patch(path, json={**changes, "special_days": [day]}, headers=tag)
    assert (after.status_code, after.headers["etag"]) == (200, '"2-0"')
    same = {
        "revision",
        "updated_at",
        "special_days",
        *changes,
        "filled",
        "unkept",
        "moved",
        "lat",
        "lng",
        "datum",
        "offers",
    }
    assert {name: value for name, value in after.json().items() if name not in same} == {
        name: value for name, value in before.items() if name not in same
    }
    assert {name: after.json()[name] for name in changes} == changes
    assert after.json()["special_days"] == [day]
    assert shops.own.patch(path, json={}, headers={"If-Match": "*"}).headers["etag"] == '"2-0"'
    refused: list[dict[str, Any]] = [
        {"lat": 1.0}, {"name": None}, {"name": ""}, {"offers": []}, {"features": ["merchant:x"]},
    ]  # fmt: skip
    for bad in refused:
        assert problem(shops.own.patch(path, json=bad, headers={"If-Match": "*"}))[0] == 422, bad


def test_pause__of_point_and_offer(shops: Shops) -> None:
    shops.put("pause", WHOLE | {"paused": False})
    path = f"/v1/points/{shops.merchant_id}:pause"
    assert shops.own.post(f"{path}:pause").json()["paused"] is True
    assert shops.own.post(f"{path}:pause").headers["etag"] == '"2-0"'  # it was paused
    assert shops.own.post(f"{path}:resume").headers["etag"] == '"3-0"'
    paused = shops.own.post(f"{path}:pause", json={"offer": "retail/pickup"}).json()
    assert {offer["offer"]: offer["paused"] for offer in paused["offers"]}["retail/pickup"] is True
    assert paused["paused"] is False
    assert problem(shops.own.post(f"{path}:pause", json={"offer": "laundry/pickup"})) == (422, "validation")
    assert problem(shops.own.post(f"{path}:pause", content=b"{}")) == (415, "unsupported-media-type")


def test_capacity__is_set_and_never_negative(shops: Shops, service: Serving) -> None:
    shops.put("stock", WHOLE)
    path = f"/v1/points/{shops.merchant_id}:stock/offers/retail/pickup/capacity"
    first = shops.own.put(path, json={"units": 3}).json()
    assert first == {"point_id": "corner:stock", "offer": "retail/pickup", "units": 3, "stock_revision": 1}
    assert shops.own.put(path, json={"units": None}).json()["stock_revision"] == 2
    for bad in (-1, 10**23, 1.0, "1", True):
        assert problem(shops.own.put(path, json={"units": bad})) == (422, "validation"), bad
    assert problem(shops.own.put(path, json={})) == (422, "validation")
    assert shops.own.put(path.replace("retail", "laundry"), json={"units": 1}).status_code == 404
    assert (shops.get("stock").headers["etag"], shops.get("stock").json()["revision"]) == ('"1-2"', 1)
    with pytest.raises(Exception, match="offers_capacity"):
        ask(service.place, "UPDATE offers SET capacity = -1 WHERE point_id = 'corner:stock'")
    kinds = ask(service.place, "SELECT kind, revision FROM changes WHERE subject = 'corner:stock' ORDER BY id")
    assert [tuple(row) for row in kinds] == [("point", 1), ("stock", 1), ("stock", 2)]


def _raced(shops: Shops, service: Serving) -> tuple[list[int], list[int]]:
    """Return the revisions that eight were told who wrote a point five times each, and those of its changes."""
    shops.put("race")

    def write(number: int) -> list[int]:
        with service.client(shops.own_key) as client:
            path, tag = f"/v1/points/{shops.merchant_id}:race", {"If-Match": "*"}
            answers = [client.put(path, json=point(name=f"{number} {i}"), headers=tag) for i in range(5)]
            return [answer.json().get("revision", 0) for answer in answers]

    revisions = sorted(revision for found in together(8, write) for revision in found)
    told = ask(service.place, "SELECT revision FROM changes WHERE subject = 'corner:race' ORDER BY tx, id")
    return revisions, [row[0] for row in told]


def _let_through(shops: Shops, service: Serving, local: str) -> list[int]:
    """Return what eight are answered who write a point of one revision."""
    shops.put(local)

    def write(number: int) -> int:
        with service.client(shops.own_key) as client:
            path, tag = f"/v1/points/{shops.merchant_id}:{local}", {"If-Match": '"1-0"'}
            return client.put(path, json=point(name=str(number)), headers=tag).status_code

    return sorted(together(8, write))


def test_put__by_eight_at_once_gives_revisions_without_gaps(shops: Shops, service: Serving) -> None:
    assert _raced(shops, service) == (list(range(2, 42)), list(range(1, 42)))


def test_put__under_one_revision_lets_one_of_eight_through(shops: Shops, service: Serving) -> None:
    assert _let_through(shops, service, "one") == [200] + [412] * 7


def test_put__without_the_lock_fails_both(postgres_url: str) -> None:
    """The control of the tests above, on PostgreSQL: SQLite has one writer, with or without a lock."""
    with (
        running_service(fresh_database(postgres_url), program=without("lock")) as unlocked,
        open_shops(unlocked, "corner") as shops,
    ):
        revisions, changes = _raced(shops, unlocked)
        assert revisions != list(range(2, 42))
        assert changes != list(range(1, 42))
        assert any(_let_through(shops, unlocked, f"one-{i}") != [200] + [412] * 7 for i in range(20))


BRANDS = ("Burger King", "7-11", "Marks & Spencer = M+S", "a:b", "O'Neil 转角 店", "x " * 39 + "xy")


def test_features__that_are_registered_can_be_asked_for(service: Serving) -> None:
    with open_shops(service, "brands") as shops:
        n_before = shops.own.get("/readyz").json()["points"]
        offers = [{"offer": "retail/pickup", "hours": "24/7"}]
        for number, brand in enumerate(BRANDS):
            features = ["lift", f"brand:{brand}"]
            assert shops.put(f"b{number}", point(offers=offers, features=features)).status_code == 201
        _wait(shops, n_before + len(BRANDS))
        for number, brand in enumerate(BRANDS):
            for wanted in (f"brand={quote(brand)}&merchant=brands", f"features=lift,brand:{quote(brand)}"):
                told = shops.app.get(f"/v1/match?lat=31.2304&lng=121.4737&offer=retail/pickup&k=9&{wanted}")
                assert told.status_code == 200, told.text
                assert [one["point_id"] for one in told.json()["matches"]] == [f"brands:b{number}"], wanted
            asked = {"lat": 31.2304, "lng": 121.4737, "offer": "retail/pickup", "features": [f"brand:{brand}"]}
            batch = shops.app.post("/v1/match:batch", json={"asks": [asked]})
            assert [one["point_id"] for one in batch.json()["answers"][0]["matches"]] == [f"brands:b{number}"]
            found = shops.own.get("/v1/points", params={"feature": f"brand:{brand}"}).json()["items"]
            assert [one["point_id"] for one in found] == [f"brands:b{number}"]


def test_follower__sees_points_and_their_end(service: Serving) -> None:
    with open_shops(service, "follow") as shops:
        n_before = shops.own.get("/readyz").json()["points"]
        shops.put("a")
        _wait(shops, n_before + 1)
        shops.own.delete("/v1/points/follow:a", headers={"If-Match": "*"})
        _wait(shops, n_before)


def _wait(shops: Shops, n_points: int) -> None:
    for _ in range(400):
        if shops.own.get("/readyz").json()["points"] == n_points:
            return
    raise AssertionError(shops.own.get("/readyz").json())


def test_hours__preview_tells_holidays_and_make_up_workdays(shops: Shops) -> None:
    offers = [{"offer": "retail/pickup", "hours": "Mo-Fr 09:00-18:00; PH off"}, {"offer": "retail/delivery"}]
    shops.put("hours", point(offers=offers, special_days=[{"date": "2026-02-20", "hours": "10:00-12:00"}]))
    path = f"/v1/points/{shops.merchant_id}:hours/hours"
    query: dict[str, Any] = {"offer": "retail/pickup", "from": "2026-02-13", "days": 16}
    told = shops.app.get(path, params=query).json()
    assert (told["timezone"], told["country"], len(told["days"])) == ("Asia/Shanghai", "CN", 16)
    days = {day["date"]: day for day in told["days"]}
    assert days["2026-02-13"]["open"] == [["09:00", "18:00"]]
    assert days["2026-02-17"]["is_holiday"] is True
    assert days["2026-02-17"]["open"] == []
    assert days["2026-02-14"]["is_makeup_workday"] is True
    assert (days["2026-02-20"]["open"], days["2026-02-20"]["is_special"]) == ([["10:00", "12:00"]], True)
    assert len(shops.app.get(path, params={"offer": "retail/pickup"}).json()["days"]) == 14
    for bad in ({"offer": "retail/delivery"}, {"offer": "laundry/pickup"}, {}, {**query, "days": 0}, {**query, "from": "x"},
                {**query, "from": "2027-02-29"}, {**query, "days": "1_0"}):  # fmt: skip
        assert problem(shops.app.get(path, params=bad)) == (422, "validation"), bad


def test_writes__are_in_the_trail(shops: Shops) -> None:
    shops.put("trail")
    found = shops.admin.get("/v1/audit", params={"subject": "corner:trail"}).json()["items"]
    assert [(one["action"], one["subject"]) for one in found] == [("point.create", "corner:trail")]
