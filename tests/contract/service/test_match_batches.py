"""Batches answer what single questions answer, as JSON and as Arrow; what is too much or no such stream costs nothing."""

from __future__ import annotations

import datetime as dt
import io
import resource
import struct
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import httpx
import pyarrow as pa
import pytest

from geo import convert_datum
from service.matching.arrow_batches import _orders
from tests.registry import NOW, Registry, opened, told
from tests.scale import scaled
from tests.unit.service.matching.cities import OFFERS, STATUS, city, dice, question

BATCH = "/v1/match:batch"
ARROW = "application/vnd.apache.arrow.stream"
INSTANTS = ("order_by", "ready_at", "hold_until", "cancel_free_until")
UTC_US = pa.timestamp("us", tz="UTC")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with opened(tmp_path_factory.mktemp("city")) as registry:
        registry.add_merchants(**STATUS)
        registry.put(*city(11))
        yield registry


def _as_ask(asked: dict[str, Any]) -> dict[str, Any]:
    """A question of a query as one of a batch."""
    one = {name: value for name, value in asked.items() if name not in {"features", "brand", "merchant"}}
    features = _features(asked)
    at = {"at": asked["at"].isoformat()} if "at" in asked else {}
    return one | at | ({"features": features} if features else {})


def _features(asked: dict[str, Any]) -> list[str]:
    features = asked["features"].split(",") if "features" in asked else []
    return features + [f"{name}:{asked[name]}" for name in ("brand", "merchant") if name in asked]


def _without_age(answer: dict[str, Any]) -> dict[str, Any]:
    return answer | {"index": answer["index"]["version"]}


@pytest.mark.parametrize("datum", ["wgs84", "gcj02"])
def test_json__equals_single_questions(registry: Registry, datum: str) -> None:
    rng = dice(5)
    asks = [question(rng) for _ in range(100)]
    batch = registry.send("POST", BATCH, json={"asks": [_as_ask(asked) for asked in asks], "datum": datum})
    assert batch.status_code == 200
    single = [registry.match(**asked, datum=datum).json() for asked in asks]
    assert [_without_age(one) for one in batch.json()["answers"]] == [_without_age(one) for one in single]


def _stream(columns: dict[str, Any], *, rows_a_batch: int | None = None, codec: Any = None) -> bytes:
    sink = io.BytesIO()
    table = pa.table(columns)
    options = pa.ipc.IpcWriteOptions(compression=codec)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=rows_a_batch)
    return sink.getvalue()


def _columns(asks: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "lat": pa.array([asked["lat"] for asked in asks], pa.float64()),
        "lng": pa.array([asked["lng"] for asked in asks], pa.float64()),
        "offer": pa.array([asked["offer"] for asked in asks]),
        "at": pa.array([asked.get("at") for asked in asks], UTC_US),
        "quantity": pa.array([asked.get("quantity") for asked in asks], pa.int32()),
        "features": pa.array([_features(asked) or None for asked in asks], pa.list_(pa.string())),
    }


def _post(registry: Registry, body: bytes, query: str = "") -> httpx.Response:
    return registry.send("POST", BATCH + query, content=body, headers={"Content-Type": ARROW})


def _rows(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == ARROW
    return pa.ipc.open_stream(response.content).read_all().to_pylist()


def _expected(answer: dict[str, Any]) -> dict[str, Any]:
    if not answer["matches"]:
        return {"status": answer["reason"], **dict.fromkeys(("point_id", "distance_m", *INSTANTS))}
    best = answer["matches"][0]
    instants = {name: value and dt.datetime.fromisoformat(value) for name, value in best["promise"].items()}
    return {"status": "matched", "point_id": best["point_id"], "distance_m": best["distance_m"], **instants}


SHARED: tuple[dict[str, Any], ...] = ({}, {"unknown_hours": "allow"}, {"max_distance_m": 900.5}, {"datum": "bd09"})


@pytest.mark.parametrize("shared", SHARED)
def test_arrow__equals_json(registry: Registry, shared: dict[str, Any]) -> None:
    rng = dice(6)
    given = [
        {name: value for name, value in question(rng).items() if name not in {"max_distance_m", "k"}}
        for _ in range(100)
    ]
    asks = [{name: value for name, value in asked.items() if name != "unknown_hours"} for asked in given]
    response = _post(registry, _stream(_columns(asks)), f"?{httpx.QueryParams(told(shared))}")
    of_each = {name: value for name, value in shared.items() if name != "datum"}
    body = {"asks": [_as_ask(asked | of_each) for asked in asks], "datum": shared.get("datum", "wgs84")}
    answers = registry.send("POST", BATCH, json=body).json()["answers"]
    assert _rows(response) == [_expected(one) for one in answers]
    metadata = pa.ipc.open_stream(response.content).schema.metadata
    assert metadata == {b"index_version": answers[0]["index"]["version"].encode()}


def _other_forms(asks: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    plain = _columns(asks)
    at_text = [asked["at"].isoformat() if "at" in asked else None for asked in asks]
    features = [";".join(_features(asked)) for asked in asks]
    return {
        "dictionary": plain | {"offer": plain["offer"].dictionary_encode()},
        "large": plain | {"offer": plain["offer"].cast(pa.large_string())},
        "text": plain | {"at": pa.array(at_text), "features": pa.array(features)},
        "codes": plain | {"features": pa.array(features).dictionary_encode()},
        "unsigned": plain | {"offer": _unsigned(plain["offer"]), "features": _unsigned(pa.array(features))},
        "large lists": plain | {"features": plain["features"].cast(pa.list_(pa.large_string()))},
        "largest lists": plain | {"features": plain["features"].cast(pa.large_list(pa.large_string()))},
        "nanoseconds": plain | {"at": plain["at"].cast(pa.timestamp("ns", tz="Asia/Shanghai"))},
    }


def _unsigned(column: Any) -> Any:
    coded = column.dictionary_encode()
    return pa.DictionaryArray.from_arrays(coded.indices.cast(pa.uint16()), coded.dictionary)


FORMS = ["dictionary", "large", "text", "codes", "unsigned", "large lists", "largest lists", "nanoseconds"]


@pytest.mark.parametrize("form", FORMS)
def test_arrow__answers_alike_in_every_form_and_any_number_of_batches(registry: Registry, form: str) -> None:
    rng = dice(8)
    asks = [question(rng) for _ in range(60)]
    plain = _rows(_post(registry, _stream(_columns(asks))))
    columns = _other_forms(asks)[form]
    assert _rows(_post(registry, _stream(columns))) == plain
    assert _rows(_post(registry, _stream(columns, rows_a_batch=7))) == plain
    few: dict[str, Any] = {name: columns[name] for name in ("lat", "lng", "offer")}
    assert len(_rows(_post(registry, _stream(few)))) == len(asks)
    assert _rows(_post(registry, _stream({name: column[:0] for name, column in columns.items()}))) == []


def test_arrow__takes_20_000_places_and_no_more(registry: Registry) -> None:
    place: dict[str, Any] = {"lat": 31.2, "lng": 121.5, "offer": OFFERS[0]}
    most = {name: pa.array([value] * 20_001) for name, value in place.items()}
    rows = _rows(_post(registry, _stream({name: column[:20_000] for name, column in most.items()})))
    assert len(rows) == 20_000
    assert all(row == rows[0] for row in rows)
    _refused(_post(registry, _stream(most)), 413, "batch-too-large")


def _refused(response: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), (
        response.text
    )
    problem = response.json()
    assert problem["type"].rpartition("/")[2] == slug, problem
    return problem


def _one(**columns: Any) -> dict[str, Any]:
    return {"lat": [31.2, 31.2], "lng": [121.5, 121.5], "offer": [OFFERS[0]] * 2} | columns


def _less(name: str) -> dict[str, Any]:
    return {key: value for key, value in _one().items() if key != name}


NO_ZONE = pa.array([NOW.replace(tzinfo=None)] * 2, pa.timestamp("us"))
# What is sent, its status and slug, and where the fault is said to be.
BAD_COLUMNS: tuple[tuple[dict[str, Any], int, str, str], ...] = (
    (_less("lat"), 422, "validation", "lat"),
    (_less("offer"), 422, "validation", "offer"),
    (_one(price=[1, 2]), 422, "validation", "price"),  # row 11
    (_one(order_id=["a", "b"]), 422, "validation", "order_id"),
    (_one(asked_at=pa.array([NOW, NOW], UTC_US)), 422, "validation", "asked_at"),
    (_one(lat=[31.2, float("nan")]), 422, "coordinate-out-of-range", "/1"),  # row 3
    (_one(lat=[31.2, 91.0]), 422, "coordinate-out-of-range", "/1"),  # row 21
    (_one(lng=[180.0001, 121.5]), 422, "coordinate-out-of-range", "/0"),  # row 22
    (_one(lat=[None, 31.2]), 422, "validation", "/0"),
    (_one(lat=["31.2", "31.2"]), 422, "validation", "lat"),  # row 9
    (_one(lat=[True, False]), 422, "validation", "lat"),
    (_one(offer=[OFFERS[0], "retail/picking"]), 422, "validation", "/1/offer"),
    (_one(offer=[OFFERS[0], None]), 422, "validation", "/1"),
    (_one(offer=[1, 2]), 422, "validation", "offer"),
    (_one(at=NO_ZONE), 422, "validation", "at"),  # row 58
    (_one(at=["2026-11-26T10:00:00", None]), 422, "validation", "/0"),
    (_one(at=pa.array([NOW, NOW - dt.timedelta(minutes=2)], UTC_US)), 422, "validation", "/1/at"),
    (_one(at=pa.array([NOW, NOW + dt.timedelta(days=401)], UTC_US)), 422, "validation", "/1/at"),
    (_one(quantity=[1, 0]), 422, "validation", "/1"),  # row 10
    (_one(quantity=[1, 1_000_001]), 422, "validation", "/1"),
    (_one(quantity=[1.0, 2.0]), 422, "validation", "quantity"),
    (_one(features=[["lift"], ["a b"]]), 422, "validation", "/1/features"),
    (_one(features=[["lift"], [None]]), 422, "validation", "/1"),
    (_one(features=[["lift"], ["lift", ""]]), 422, "validation", "/1"),
    (_one(features=[[], ["lift;curbside"]]), 422, "validation", "/1"),
    (_one(features=pa.array([[1], [2]])), 422, "validation", "features"),
    (_one(lat=pa.array([31.2, 31.2]).dictionary_encode()), 422, "validation", "lat"),
    (
        _one(lat=pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), pa.array([31.2]))),
        422,
        "validation",
        "lat",
    ),
    (_one(offer=pa.array([OFFERS[0]] * 2, pa.string_view())), 422, "validation", "offer"),
)


@pytest.mark.parametrize(("columns", "status", "slug", "where"), BAD_COLUMNS)
def test_arrow__refuses(registry: Registry, columns: dict[str, Any], status: int, slug: str, where: str) -> None:
    problem = _refused(_post(registry, _stream(columns)), status, slug)
    assert problem["errors"][0]["where"] == where, problem


def test_arrow__takes_100_sets_of_features_and_no_more(registry: Registry) -> None:
    sets = [[f"f{i}"] for i in range(101)]
    columns: dict[str, Any] = {"lat": [31.2] * 101, "lng": [121.5] * 101, "offer": [OFFERS[0]] * 101, "features": sets}
    _refused(_post(registry, _stream(columns)), 413, "batch-too-large")
    assert len(_rows(_post(registry, _stream({name: column[:100] for name, column in columns.items()})))) == 100


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_arrow__refuses_compression_before_it_takes_memory(registry: Registry, codec: str) -> None:
    """20 000 rows of which each feature is a long text: little on the wire, 200 MB in memory."""
    wide = pa.array(["x" * 10_000]).take(pa.array([0] * 20_000, pa.int32()))
    columns = {"lat": [31.2] * 20_000, "lng": [121.5] * 20_000, "offer": [OFFERS[0]] * 20_000, "features": wide}
    body = _stream(columns, codec=codec)
    assert len(body) < 2_000_000
    before = _peak_mib()
    _refused(_post(registry, body), 415, "unsupported-encoding")
    assert _peak_mib() - before < 16
    packed = _one(offer=pa.array([OFFERS[0]] * 2).dictionary_encode())
    _refused(_post(registry, _stream(packed, codec=codec)), 415, "unsupported-encoding")


def test_arrow__refuses_one_long_text_in_every_row(registry: Registry) -> None:
    """A dictionary holds it once: written out it would fill the memory."""
    codes = pa.array([0] * 20_000, pa.int32())
    wide = pa.DictionaryArray.from_arrays(codes, pa.array(["x" * 4_000_000]))
    columns = {"lat": [31.2] * 20_000, "lng": [121.5] * 20_000, "offer": wide}
    body = _stream(columns)
    before = _peak_mib()
    _refused(_post(registry, body), 422, "validation")
    assert _peak_mib() - before < 64  # the body itself is held a few times


def _of_dictionaries(entries: list[str], n_batches: int) -> bytes:
    """Return a stream of batches of one place each whose offers are entries of a dictionary, the last one of another."""
    sink = io.BytesIO()
    ones = [
        pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), pa.array(entries[: len(entries) - odd]))
        for odd in (0, 1)
    ]
    table = {"lat": pa.array([31.2]), "lng": pa.array([121.5])}
    batches = [pa.record_batch(table | {"offer": one}) for one in ones]
    with pa.ipc.new_stream(sink, batches[0].schema) as writer:
        for number in range(n_batches):
            writer.write_batch(batches[number == n_batches - 1])
    return sink.getvalue()


def test_arrow__takes_dictionaries_that_change_and_hold_what_no_row_names(registry: Registry) -> None:
    entries = [OFFERS[0], "no/offer", "No offer at all"]
    for n_batches in (1, 3):
        assert len(_rows(_post(registry, _of_dictionaries(entries, n_batches)))) == n_batches


def test_arrow__refuses_dictionaries_that_are_long_with_each_of_many_batches(registry: Registry) -> None:
    """All their entries are looked at with each batch: in a few bytes that would be work for minutes."""
    entries = [OFFERS[0], *(f"{number:08x}" for number in range(40_000))]
    _refused(_post(registry, _of_dictionaries(entries, 100)), 413, "batch-too-large")
    assert len(_rows(_post(registry, _of_dictionaries(entries, 4)))) == 4


def test_arrow__refuses_a_dictionary_that_says_it_is_longer_than_it_is(registry: Registry) -> None:
    """Nothing of it is read before that is seen: what lies behind it is not ours."""
    body = bytearray(_of_dictionaries([OFFERS[0], OFFERS[1], OFFERS[0]], 1))
    length = struct.pack("<qq", 3, 0)  # of the node of a dictionary: its length, and how many are null
    assert body.count(length) == 1
    at = body.index(length)
    body[at : at + 8] = struct.pack("<q", 1_000_000)
    _refused(_post(registry, bytes(body)), 422, "validation")


def test_arrow__takes_a_null_list_with_keys_behind_it(registry: Registry) -> None:
    ends = pa.array([0, 2, 3], pa.int32()).buffers()[1]
    keys = pa.array(["lift", "curbside", "lift"])
    lists: Any = pa.ListArray.from_buffers(
        pa.list_(pa.string()), 2, [pa.py_buffer(bytes([0b10])), ends], children=[keys]
    )
    assert lists.to_pylist() == [None, ["lift"]]
    plain = _rows(_post(registry, _stream(_one(features=lists.to_pylist()))))
    assert _rows(_post(registry, _stream(_one(features=lists)))) == plain


def _arrays(columns: dict[str, Any]) -> dict[str, pa.Array[Any]]:
    return {name: pa.array(values) for name, values in columns.items()}


def test_arrow__of_a_long_dictionary_asks_what_rows_name(registry: Registry) -> None:
    entries = [f"no/{number:x}" for number in range(300_000)]
    offer = pa.DictionaryArray.from_arrays(pa.array([300_000] * 20_000, pa.int32()), pa.array([*entries, OFFERS[0]]))
    columns = {"lat": [31.2] * 20_000, "lng": [121.5] * 20_000, "offer": offer}
    orders = _orders(registry.services, _arrays(columns), "wgs84")
    assert orders.offers == [OFFERS[0]]


def test_arrow__refuses_a_flood_of_empty_batches(registry: Registry) -> None:
    schema = pa.table(_one()).schema
    empty = pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema) as writer:
        for _ in range(1_001):
            writer.write_batch(empty)
    _refused(_post(registry, sink.getvalue()), 413, "batch-too-large")


def _damaged(body: bytes, rng: Random) -> bytes:
    def flipped() -> bytes:
        changed = bytearray(body)
        for _ in range(rng.choice([1, 1, 4, 64])):
            changed[rng.randrange(len(changed))] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
        return bytes(changed)

    def cut() -> bytes:
        return body[: rng.randrange(len(body))]

    def doubled() -> bytes:
        start = rng.randrange(len(body))
        return body[:start] + body[start // 2 :]

    ways: list[Callable[[], bytes]] = [flipped, flipped, flipped, cut, doubled]
    return rng.choice(ways)()


def test_arrow__of_damaged_streams_fails_none(registry: Registry) -> None:
    rng = dice(9)
    asks = [question(rng) for _ in range(30)]
    forms = list(_other_forms(asks).values())
    bodies = [_stream(columns, rows_a_batch=10) for columns in forms]
    statuses = [_post(registry, _damaged(rng.choice(bodies), rng)).status_code for _ in range(scaled(3_000))]
    assert set(statuses) <= {200, 413, 415, 422}
    assert statuses.count(422) > len(statuses) // 10


@pytest.mark.parametrize(
    ("body", "slug"), [(b"", "validation"), (b"{}", "validation"), (b"\xff\xff\xff\xff\0\0\0\0", "validation")]
)
def test_arrow__refuses_what_is_no_stream(registry: Registry, body: bytes, slug: str) -> None:
    _refused(_post(registry, body), 422, slug)


def test_arrow__takes_no_unknown_option(registry: Registry) -> None:
    for query in ("?k=2", "?max_distance=5", "?datum=wgs72", "?max_distance_m=nan", "?unknown_hours=maybe"):
        _refused(_post(registry, _stream(_one()), query), 422, "validation")


def test_arrow__places_of_another_datum_are_converted(registry: Registry) -> None:
    lat, lng = convert_datum(31.2, 121.5, source="wgs84", target="gcj02")
    wgs84 = _rows(_post(registry, _stream(_one())))[0]
    gcj02 = _rows(_post(registry, _stream(_one(lat=[lat, lat], lng=[lng, lng])), "?datum=gcj02"))[0]
    assert gcj02["point_id"] == wgs84["point_id"]
    assert gcj02["distance_m"] == pytest.approx(wgs84["distance_m"], abs=0.2)
