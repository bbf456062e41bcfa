"""Query strings are read strictly; row numbers are those of "Bad inputs" in the reliability page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.http.problems import ProblemError
from service.http.query_text import day_of, instant, latlng, number, read_query, required, whole
from tests.unit.service.http.slugs import slug_of

KNOWN = frozenset({"lat", "lng", "offer", "at", "k"})
TIDY = st.text(st.characters(exclude_categories=["C", "Z"])) | st.sampled_from(["a b", "a+b", "a&b=c", "%41", "100%"])


@pytest.mark.parametrize(
    ("raw", "slug", "told"),
    [
        (b"lat=1&lat=1", "validation", "lat is there twice"),  # 25
        (b"lat=1&l%61t=2", "validation", "lat is there twice"),  # 25: written otherwise
        (b"latitude=1", "validation", "known are at, k, lat, lng, offer"),
        (b"LAT=1", "validation", "LAT is not known"),
        (b"lat=1&&lng=2", "validation", "not known"),
        (b"lat=1&", "validation", "not known"),
        (b"=1", "validation", "not known"),
        (b"x" * 8_000, "validation", "not known"),
        (b"offer=%", "validation", "%25"),
        (b"offer=%4", "validation", "%25"),
        (b"offer=%zz", "validation", "%25"),
        (b"offer=%ff", "text-invalid", "offer is not UTF-8"),  # 12
        (b"offer=%ed%a0%80", "text-invalid", "offer is not UTF-8"),  # 4
        (b"%ff=1", "text-invalid", "not UTF-8"),
        (b"offer=\xe9", "text-invalid", "percent-encoded"),
        (b"offer=a\x00", "text-invalid", "percent-encoded"),
        (b"offer=a\x7f", "text-invalid", "percent-encoded"),
        (b"offer=%00", "text-invalid", "U+0000"),  # 5
        (b"offer=a%0d%0ab", "text-invalid", "U+000D"),  # 5
        (b"offer=%E2%80%AE", "text-invalid", "U+202E"),  # 5
        (b"api_key=abc", "unauthenticated", "never stand in a URL"),  # 55
        (b"lat=1&key=abc", "unauthenticated", "never stand in a URL"),  # 55
        (b"Token=abc", "unauthenticated", "never stand in a URL"),  # 55
        (b"X-API-Key=abc", "unauthenticated", "never stand in a URL"),  # 55
        (b"%61pi_key=abc", "unauthenticated", "never stand in a URL"),  # 55
        (b"access_token", "unauthenticated", "never stand in a URL"),  # 55
    ],
)
def test_read_query__refuses(raw: bytes, slug: str, told: str) -> None:
    with pytest.raises(ProblemError) as caught:
        read_query(raw, KNOWN)
    assert caught.value.slug == slug
    assert told in caught.value.detail
    assert "abc" not in caught.value.detail, "a key is never repeated"
    assert len(caught.value.detail) < 300


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"", {}),
        (b"lat=31.2&lng=121.4", {"lat": "31.2", "lng": "121.4"}),
        (b"lat=", {"lat": ""}),
        (b"lat", {"lat": ""}),
        (b"offer=retail%2Fpickup", {"offer": "retail/pickup"}),
        (b"offer=retail%2fpickup", {"offer": "retail/pickup"}),
        (b"offer=retail/pickup?", {"offer": "retail/pickup?"}),
        (b"offer=a=b", {"offer": "a=b"}),
        (b"offer=a+b%2Bc%20d", {"offer": "a b+c d"}),
        (b"offer=%E9%82%BB%E9%87%8C", {"offer": "邻里"}),
        (b"offer=%2541", {"offer": "%41"}),
        (b"%6Cat=1", {"lat": "1"}),
    ],
)
def test_read_query__reads(raw: bytes, found: dict[str, str]) -> None:
    assert read_query(raw, KNOWN) == found


@given(st.dictionaries(st.sampled_from(sorted(KNOWN)), TIDY), st.sampled_from([quote, quote_plus]))
def test_read_query__gives_back_what_was_written(values: dict[str, str], quoted: Callable[..., str]) -> None:
    assert read_query(urlencode(values, quote_via=quoted).encode(), KNOWN) == values


@given(st.binary() | st.text(alphabet="lat=&%+0123456789afF").map(str.encode))
def test_read_query__raises_nothing_but_problems(raw: bytes) -> None:
    assert slug_of(lambda: read_query(raw, KNOWN)) in {None, "validation", "text-invalid", "unauthenticated"}


def test_required__names_all_that_are_missing() -> None:
    required({"lat": "", "lng": ""}, "lat", "lng")
    with pytest.raises(ProblemError, match="must have lng, offer") as caught:
        required({"lat": "1"}, "lat", "lng", "offer")
    assert [trouble.where for trouble in caught.value.troubles] == ["lng", "offer"]


NO_NUMBERS = [
    "",
    " 1",
    "1 ",
    "1_0",
    "+1",
    "1.",
    ".5",
    "1,5",
    "0x1",
    "1e",
    "--1",
    "\uff11",
    "\u0661",
    "1\n",
    "one",
    "-",
    "1" * 101,
]


@pytest.mark.parametrize("text", [*NO_NUMBERS, "nan", "inf", "-Infinity", "1e999"])  # 25, 31
def test_number__refuses(text: str) -> None:
    assert slug_of(lambda: number(text, "max_distance_m")) == "validation"


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("-0.5", -0.5), ("1e3", 1000), ("1.5E-2", 0.015), ("007", 7)])
def test_number__reads(text: str, value: float) -> None:
    assert number(text, "max_distance_m") == value


@pytest.mark.parametrize(
    "text", [*NO_NUMBERS, "1.0", "1e2", "0", "-1", "51", "1000000000", "nan", "9" * 5_000]
)  # 20, 31
def test_whole__refuses(text: str) -> None:
    assert slug_of(lambda: whole(text, "k", 1, 50)) == "validation"


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("50", 50), ("-3", -3)])
def test_whole__reads(text: str, value: int) -> None:
    assert whole(text, "k", -5, 50) == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2027-02-29", "from must be a day that exists, got '2027-02-29'"),  # 58
        ("9999-12-31", "from must lie in the years 2000 to 2100, got '9999-12-31'"),  # 58
        ("1999-12-31", "from must lie in the years 2000 to 2100, got '1999-12-31'"),
        ("0000-01-01", "from must be a day that exists, got '0000-01-01'"),
    ],
)
def test_day_of__refuses(text: str, told: str) -> None:
    with pytest.raises(ProblemError, match=told):
        day_of(text, "from")


@pytest.mark.parametrize("text", ["2000-01-01", "2024-02-29", "2100-12-31"])
def test_day_of__reads(text: str) -> None:
    assert day_of(text, "from").isoformat() == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-11-25T10:00:00", "with its offset"),  # 58: without zone
        ("9999-12-31T00:00:00Z", "years 2000 to 2100"),  # 58
        ("1999-12-31T00:00:00Z", "years 2000 to 2100"),
        ("2027-02-29T10:00:00Z", "exists"),  # 58
        ("2026-11-25T10:00:60Z", "exists"),  # 58
        ("2026-11-25T24:00:00Z", "exists"),
        ("2026-13-01T10:00:00Z", "exists"),
        ("2026-11-25T10:00:00+24:00", "exists"),
        ("2026-11-25T10:00:00 08:00", "%2B"),  # a + that became a space
        ("2026-11-25 10:00:00Z", "with its offset"),
        ("2026-11-25", "with its offset"),
        ("20261125T100000Z", "with its offset"),
        ("2026-W48-3T10:00:00Z", "with its offset"),
        ("2026-11-25T10:00Z", "with its offset"),
        ("2026-11-25T10:00:00+0800", "with its offset"),
        ("\uff12026-11-25T10:00:00Z", "with its offset"),
        ("1764036000", "with its offset"),
        ("now", "with its offset"),
        ("", "with its offset"),
        ("2026-11-25T10:00:00Z\n", "with its offset"),
    ],
)
def test_instant__refuses(text: str, told: str) -> None:
    with pytest.raises(ProblemError) as caught:
        instant(text, "at")
    assert caught.value.slug == "validation"
    assert told in caught.value.detail


@pytest.mark.parametrize(
    "text",
    ["2026-11-25T10:00:00+08:00", "2026-11-25T02:00:00Z", "2026-11-25T02:00:00.000Z", "2026-11-24T21:00:00-05:00"],
)
def test_instant__reads_with_the_offset(text: str) -> None:
    assert instant(text, "at") == datetime(2026, 11, 25, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("lat", "lng", "slug", "told"),
    [
        ("nan", "1", "coordinate-out-of-range", "lat must be finite"),  # 3
        ("1", "nan", "coordinate-out-of-range", "lng must be finite"),  # 3
        ("1", "-inf", "coordinate-out-of-range", "lng must be finite"),  # 3
        ("1", "Infinity", "coordinate-out-of-range", "lng must be finite"),  # 3
        ("1e999", "1", "coordinate-out-of-range", "lat must be in [-90, 90], got inf"),  # 2
        ("91", "170", "coordinate-out-of-range", "lat must be in [-90, 90], got 91.0"),  # 21
        ("-90.0001", "1", "coordinate-out-of-range", "lat must be in"),  # 21
        ("1e300", "1", "coordinate-out-of-range", "lat must be in"),  # 21
        ("1", "180.0001", "coordinate-out-of-range", "lng must be in [-180, 180], got 180.0001"),  # 22
        ("1", "1000", "coordinate-out-of-range", "lng must be in"),  # 22
        ("121.47", "31.23", "coordinate-out-of-range", "swapped with lng?"),  # 23
        *((text, "1", "validation", "lat must be degrees") for text in NO_NUMBERS),  # 25
    ],
)
def test_latlng__refuses(lat: str, lng: str, slug: str, told: str) -> None:
    with pytest.raises(ProblemError) as caught:
        latlng(lat, lng)
    assert caught.value.slug == slug
    assert told in caught.value.detail
    assert len(caught.value.troubles) == 1


@pytest.mark.parametrize(("lat", "lng"), [("90", "180"), ("-90", "-180"), ("31.2304", "121.4737"), ("0", "-0")])  # 24
def test_latlng__takes_all_of_the_earth(lat: str, lng: str) -> None:
    assert latlng(lat, lng) == (float(lat), float(lng))


@given(st.text())
def test_readers__raise_nothing_but_problems(text: str) -> None:
    calls = (
        lambda: number(text, "a"),
        lambda: whole(text, "a", 0, 9),
        lambda: instant(text, "a"),
        lambda: latlng(text, text),
    )
    for call in calls:
        assert slug_of(call) in {None, "validation", "coordinate-out-of-range"}
