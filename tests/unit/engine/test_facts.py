"""The facts of rows are those of one version, whatever changes after it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest

from engine import Engine, RowFact, RowFacts
from engine.errors import EngineError, InvalidQueryError

OFFER = "retail/pickup"
HOURS = ("24/7", None, "Mo-Fr 09:00-18:00; PH off")
AT = dt.datetime(2026, 3, 4, 4, 0, tzinfo=dt.UTC)


def city(n: int = 9) -> Engine:
    return Engine.from_columns(
        [f"点{i}" for i in range(n)],
        [OFFER if i % 4 else "laundry/onsite" for i in range(n)],
        [31.0 + i * 0.001 for i in range(n)],
        [121.0] * n,
        hours=[HOURS[i % 3] for i in range(n)],
        timezone="Asia/Shanghai",
        country="CN",
        lead_s=[None if i % 2 else 600 * i for i in range(n)],
    )


def changed() -> Engine:
    """Return a city with a row of its delta, and one that is gone."""
    engine = city()
    engine.upsert(
        {"point_ids": "new", "offers": [OFFER], "lat": 31.0005, "lng": 121.0, "hours": "Sa", "timezone": "UTC"}
    )
    engine.remove("点2")
    return engine


@pytest.mark.parametrize("engine", [city(), changed()], ids=["base", "delta"])
def test_row__tells_what_the_arrays_tell(engine: Engine) -> None:
    facts = engine.facts
    rows = np.arange(engine.n_rows)
    lat, lng = facts.places(rows)
    columns = (
        facts.point_ids(rows).to_pylist(),
        [engine.offers[code] for code in engine.row_offers()],
        lat.tolist(),
        lng.tolist(),
        facts.lead_s(rows).tolist(),
        facts.schedule(rows).tolist(),
    )
    assert [facts.row(row) for row in rows.tolist()] == [RowFact(*row) for row in zip(*columns, strict=True)]
    assert facts.lead_s(rows).dtype == np.int64
    assert facts.schedule(rows).dtype == np.int32


def test_facts__are_those_that_the_columns_said() -> None:
    facts = changed().facts
    assert facts.row(4) == RowFact("点4", "laundry/onsite", 31.004, 121.0, 2400, -1)
    assert facts.row(1).schedule == -1
    assert facts.schedules[facts.row(0).schedule] == ("24/7", "Asia/Shanghai", None)
    assert facts.schedules[facts.row(2).schedule] == ("Mo-Fr 09:00-18:00; PH off", "Asia/Shanghai", "CN")
    assert facts.row(9).point_id == "new"
    assert facts.schedules[facts.row(9).schedule] == ("Sa", "UTC", None)


def test_arrays__of_no_row_hold_nothing() -> None:
    facts, none = changed().facts, np.array([-1, 9])
    assert facts.point_ids(none).to_pylist() == [None, "new"]
    assert facts.lead_s(none).tolist() == [0, 0]
    assert facts.schedule(none).tolist() == [-1, facts.row(9).schedule]
    assert np.isnan(facts.places(none)[0]).tolist() == [True, False]


@pytest.mark.parametrize("row", [-1, 9, 10**12])
def test_row__outside_the_version_is_refused(row: int) -> None:
    with pytest.raises(InvalidQueryError, match="row must be a row of version 1"):
        city().facts.row(row)


def test_matches__carry_the_facts_of_their_version() -> None:
    engine = city()
    found = engine.nearest_many([31.0, 31.005], [121.0, 121.0], OFFER, k=2)
    one = engine.found(31.005, 121.0, OFFER, k=2)
    engine.apply({"remove": [f"点{i}" for i in range(5)]})
    engine.upsert({"point_ids": "点5", "offers": [OFFER], "lat": 0.0, "lng": 0.0})
    assert found.facts.version == found.version == one.facts.version == 1
    assert found.facts.point_ids(found.row).to_pylist() == [name for names in found.point_ids() for name in names]
    assert [one.facts.row(row).lat for row in one.rows] == [31.005, 31.006]
    assert found.facts.places(found.row)[0].tolist() == [[31.001, 31.002], [31.005, 31.006]]
    assert engine.facts.version == 3


@pytest.mark.parametrize("ask", [{}, {"at": AT}, {"features": ["lift"]}, {"max_distance_m": 150}])
@pytest.mark.parametrize("k", [1, 3, 80])
def test_found__is_nearest_as_rows(ask: dict[str, Any], k: int) -> None:
    engine = changed()
    answer, found = engine.nearest(31.003, 121.0, OFFER, k=k, **ask), engine.found(31.003, 121.0, OFFER, k=k, **ask)
    assert [found.facts.row(row).point_id for row in found.rows] == [match.point_id for match in answer.matches]
    assert found.distance_m == [match.distance_m for match in answer.matches]
    assert found.facts.version == answer.version


def test_refused__answers_from_the_version_that_was_found() -> None:
    engine = city()
    found = engine.found(31.0, 121.0, OFFER, k=1, at=AT)
    engine.remove("点1")
    told, facts = engine.refused(31.0, 121.0, OFFER, 2, facts=found.facts, at=AT)
    assert facts is found.facts
    assert [(one.point_id, one.reason) for one in told] == [("点1", "hours_unknown"), ("点2", "matched")]
    told, facts = engine.refused(31.0, 121.0, OFFER, 2, at=AT)
    assert facts.version == 2
    assert [(one.point_id, one.reason) for one in told] == [("点2", "matched"), ("点3", "matched")]


def test_refused__of_an_offer_that_nobody_has_is_empty() -> None:
    told, facts = city().refused(31.0, 121.0, "no/body")
    assert told == []
    assert isinstance(facts, RowFacts)


@pytest.mark.parametrize(
    ("place", "k", "ask"),
    [
        ((91.0, 121.0), 5, {}),  # no latitude
        ((31.0, 121.0), 0, {}),  # none asked for
        ((31.0, 121.0), True, {}),  # no number
        ((31.0, 121.0), 5, {"quantity": 0}),
        ((31.0, 121.0), 5, {"at": dt.datetime(2026, 1, 1)}),  # noqa: DTZ001 - a time without a zone is refused
    ],
)
def test_refused__refuses_as_nearest(place: tuple[float, float], k: int, ask: dict[str, Any]) -> None:
    engine = city()
    with pytest.raises(ValueError, match="must") as one:
        engine.refused(*place, OFFER, k, **ask)
    with pytest.raises(ValueError, match="must") as other:
        engine.nearest(*place, OFFER, k, **ask)
    assert type(one.value) is type(other.value)
    assert str(one.value) == str(other.value)


def test_refused__refuses_an_argument_that_is_none() -> None:
    with pytest.raises(TypeError, match="quantum"):
        city().refused(31.0, 121.0, OFFER, quantum=1)
    with pytest.raises(EngineError, match="offer"):
        city().refused(31.0, 121.0, "no offer")


def test_refused__looks_at_no_features_where_none_are_asked_for():
    """Each row has a set of its own, as where merchants are features: none is beyond what the question holds."""
    n = 3_000
    engine = Engine.from_columns(
        [f"p{i}" for i in range(n)],
        ["retail/pickup"] * n,
        [31.0] * n,
        [121.0 + i * 1e-5 for i in range(n)],
        hours=["Mo-Su 08:00-09:00"] * n,
        timezone="Asia/Shanghai",
        features=[[f"merchant:m{i}"] for i in range(n)],
    )
    noon = dt.datetime(2026, 11, 25, 4, tzinfo=dt.UTC)
    refused, _ = engine.refused(31.0, 121.02, "retail/pickup", 50, at=noon, asked_at=noon)
    assert {one.reason for one in refused} == {"closed"}
