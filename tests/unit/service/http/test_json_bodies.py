"""JSON bodies are read strictly; row numbers are those of "Bad inputs" in the reliability page."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.http.json_bodies import as_object, check_long_text, check_text, parse_json
from service.http.problems import ProblemError
from tests.unit.service.http.slugs import slug_of

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        (b"NaN", "invalid-json"),  # 1
        (b'{"lat": Infinity}', "invalid-json"),  # 1
        (b"[-Infinity]", "invalid-json"),  # 1
        (rb'{"name": "\ud800"}', "text-invalid"),  # 4
        (rb'[["a", "\uDFFF"]]', "text-invalid"),  # 4
        (rb'{"\ud800": 1}', "text-invalid"),  # 4: in a name
        (rb'"\ude00\ud83d"', "text-invalid"),  # 4: the halves the wrong way round
        (b'"a\x00b"', "invalid-json"),  # 5: a bare control
        (b'"a\nb"', "invalid-json"),  # 5: a bare line feed
        (b'{"a": 1, "a": 1}', "invalid-json"),  # 6
        (rb'[{"b": {"a": 1, "\u0061": 2}}]', "invalid-json"),  # 6: the same name, written otherwise
        (b"[" * 33 + b"]" * 33, "invalid-json"),  # 7
        (b'{"a":[' * 17 + b"]}" * 17, "invalid-json"),  # 7
        (b"[" * 100_000 + b"]" * 100_000, "invalid-json"),  # 7
        (b"[" * 100_000, "invalid-json"),  # 7: cut short
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "invalid-json"),  # 7
        (b"[" * 33, "invalid-json"),
        (b"[}" * 40, "invalid-json"),
        (b"9" * 5_000, "invalid-json"),  # 8
        (b"[" + b"9" * 1_001 + b"]", "invalid-json"),  # 8
        (b"0." + b"1" * 100_000, "invalid-json"),  # 8
        (b"1e" + b"0" * 100_000 + b"1", "invalid-json"),  # 8
        (b'{"name": "\xff"}', "invalid-json"),  # 12
        (b'"\xed\xa0\x80"', "invalid-json"),  # 12: a surrogate as if it were UTF-8
        (b'\xef\xbb\xbf{"a": 1}', "invalid-json"),  # 12
        (b"{} {}", "invalid-json"),  # 12
        (b"{}\x00", "invalid-json"),  # 12
        ('{"a": 1}'.encode("utf-16"), "invalid-json"),  # 12
        (b"{'a': 1}", "invalid-json"),
        (b"[1,]", "invalid-json"),
        (b"01", "invalid-json"),
        (b"\\", "invalid-json"),
        (b'"', "invalid-json"),
        (b'["' + b"[" * 40, "invalid-json"),
        ("[\uff11]".encode(), "invalid-json"),  # digits of another script
        (b"\xc2\xa0{}", "invalid-json"),  # a space that JSON does not know
        (json.dumps({str(n): n for n in range(65)}).encode(), "validation"),
        (json.dumps([{"a": {str(n): n for n in range(26_000)}}]).encode(), "validation"),
        (b"", "validation"),  # 13
        (b" \n", "validation"),  # 13
    ],
)
def test_parse_json__refuses(body: bytes, slug: str) -> None:
    with pytest.raises(ProblemError) as caught:
        parse_json(body)
    assert caught.value.slug == slug
    assert len(caught.value.detail) < 300


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"lat": 1e999}', {"lat": math.inf}),  # 2: the check of the range names it
        (b"[-1e999]", [-math.inf]),  # 2
        (rb'"\ud83d\ude00"', "\N{GRINNING FACE}"),
        (rb'"\\ud800"', r"\ud800"),
        (b"[" * 32 + b"]" * 32, json.loads("[" * 32 + "]" * 32)),
        (b'["' + b"[{" * 100 + b'"]', ["[{" * 100]),
        (rb'["\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\"]', ['"' + "[" * 39 + "\\"]),
        (b"[" + b"[]," * 50 + b"{}]", [[] for _ in range(50)] + [{}]),
        (b"9" * 1_000, int("9" * 1_000)),
        (b' {"a": [true, null]}\r\n', {"a": [True, None]}),
        (b'"a\\u0000b"', "a\0b"),  # 5: for `check_text` to refuse
    ],
)
def test_parse_json__takes(body: bytes, value: object) -> None:
    assert parse_json(body) == value


@pytest.mark.parametrize("body", [b"[" * 100_000 + b"]" * 100_000, b"[[]," * 60_000, b'{"a":' * 50_000])
def test_parse_json__refuses_what_is_deep_before_it_is_decoded(body: bytes) -> None:
    with pytest.raises(ProblemError, match="nested more than 32 deep"):
        parse_json(body + b"\xff")  # which a decoder would meet


@given(JSON_VALUES)
def test_parse_json__gives_back_what_was_written(value: object) -> None:
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value
    assert parse_json(json.dumps(value).encode(), max_depth=40) == value


@given(st.binary() | st.text(alphabet='[]{}",:\\ud8001e9-+.nNaIflsrt \n').map(str.encode))
def test_parse_json__raises_nothing_but_problems(body: bytes) -> None:
    assert slug_of(lambda: parse_json(body)) in {None, "invalid-json", "text-invalid", "validation"}


@given(st.recursive(st.just([]), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("["), inner)))
def test_parse_json__counts_the_depth_exactly(value: object) -> None:
    depth = _depth(value)
    body = json.dumps(value).encode()
    assert parse_json(body, max_depth=depth) == value
    with pytest.raises(ProblemError, match="deep"):
        parse_json(body, max_depth=depth - 1)


def _depth(value: object) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    assert isinstance(value, list)
    return 1 + max(map(_depth, value), default=0)


@pytest.mark.parametrize("value", [None, [], "a", 1, 1.5, True])  # 13
def test_as_object__refuses_what_is_none(value: object) -> None:
    with pytest.raises(ProblemError) as caught:
        as_object(value)
    assert caught.value.slug == "validation"


def test_as_object__gives_the_object() -> None:
    assert as_object({"a": 1}) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("a\0b", "text-invalid"),  # 5
        ("a\r\nb", "text-invalid"),  # 5
        ("a\nb", "text-invalid"),  # 5
        ("a\tb", "text-invalid"),
        ("\x1b[31m", "text-invalid"),
        ("a\x85b", "text-invalid"),
        ("a\u2028b", "text-invalid"),
        ("a\u202eb", "text-invalid"),  # 5
        ("a\u2067b", "text-invalid"),
        ("\u200fb", "text-invalid"),
        ("\ufeffb", "text-invalid"),
        ("\ud800", "text-invalid"),  # 4
        ("a" * 1_000_000, "text-invalid"),  # 5
        ("a" * 21, "text-invalid"),
        (None, "validation"),
        (7, "validation"),
        (["a"], "validation"),
        ({}, "validation"),
    ],
)
def test_check_text__refuses(text: object, slug: str) -> None:
    with pytest.raises(ProblemError) as caught:
        check_text(text, "/name", 20)
    assert caught.value.slug == slug
    assert [trouble.where for trouble in caught.value.troubles] == ["/name"]
    assert caught.value.detail.isprintable()


@pytest.mark.parametrize("text", ["", "邻里 便利店", "Café №7 (北门)", "👨\u200d👩\u200d👧", "a" * 20, "=cmd()"])
def test_check_text__takes(text: str) -> None:
    assert check_text(text, "/name", 20) == text


def test_check_long_text__takes_line_feeds_and_tabs_alone() -> None:
    assert check_long_text("a\n\tb", "/note", 20) == "a\n\tb"
    for bad in ("a\rb", "a\0", "\u202e"):
        with pytest.raises(ProblemError):
            check_long_text(bad, "/note", 20)
