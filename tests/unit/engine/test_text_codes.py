from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from engine.errors import InvalidColumnError, InvalidHoursError
from engine.text_codes import distinct_rows, encode_texts, first_rows

TEXTS = ["b", None, "a", "b", "", "中"]
COLUMNS: dict[str, Any] = {
    "list": TEXTS,
    "tuple": tuple(TEXTS),
    "objects": np.array(TEXTS, object),
    "arrow": pa.array(TEXTS),
    "large": pa.array(TEXTS, pa.large_string()),
    "view": pa.array(TEXTS, pa.string_view()),
    "chunked": pa.chunked_array([TEXTS[:2], TEXTS[2:]]),
    "dictionary": pa.array(TEXTS).dictionary_encode(),
    "dictionary chunks": pa.chunked_array([TEXTS[:3], TEXTS[3:]]).dictionary_encode(),
    "pandas": pd.Series(TEXTS, dtype=object),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_encode_texts__numbers_texts_by_first_appearance(name: str) -> None:
    codes, texts = encode_texts(COLUMNS[name], 6, "hours", InvalidHoursError)
    assert codes.tolist() == [0, -1, 1, 0, 2, 3]
    assert texts == ["b", "a", "", "中"]


@pytest.mark.parametrize("column", [[], np.array([], object), pa.array([], pa.string()), pa.array([None, None])])
def test_encode_texts__takes_columns_without_any_text(column: Any) -> None:
    codes, texts = encode_texts(column, None, "hours", InvalidHoursError)
    assert (set(codes.tolist()) <= {-1}, texts) == (True, [])


def test_encode_texts__spreads_one_text_over_all_rows() -> None:
    assert encode_texts("a", 3, "timezone", InvalidHoursError)[0].tolist() == [0, 0, 0]
    assert encode_texts(None, 2, "timezone", InvalidHoursError)[0].tolist() == [-1, -1]
    assert encode_texts(np.array(["b", "a"]), None, "hours", InvalidHoursError)[1] == ["b", "a"]


@pytest.mark.parametrize(
    ("column", "position"),
    [
        (["a", None, float("nan")], 2),  # NaN is not missing
        (np.array(["a", 3.5], object), 1),
        (["a", "\ud800"], 1),  # no UTF-8
        (np.array([1, 2]), 0),
        (pa.array([1, 2]), 0),
        (pa.array([None, 2]), 1),
        (["a", ["b"]], 1),
    ],
)
def test_encode_texts__names_the_first_value_that_is_no_text(column: Any, position: int) -> None:
    with pytest.raises(InvalidHoursError, match=rf"^hours\[{position}\] must be text or None") as caught:
        encode_texts(column, None, "hours", InvalidHoursError)
    assert caught.value.position == position


@pytest.mark.parametrize("value", ["24/7", None])
def test_encode_texts__refuses_one_value_where_a_column_is_wanted(value: str | None) -> None:
    with pytest.raises(InvalidHoursError, match="hours must be a column"):
        encode_texts(value, None, "hours", InvalidHoursError)


def test_encode_texts__refuses_another_number_of_rows() -> None:
    with pytest.raises(
        InvalidColumnError, match=r"timezone must be one text or as many as there are rows \(3\), got 2"
    ):
        encode_texts(["a", "b"], 3, "timezone", InvalidHoursError)


def test_first_rows__pass_over_missing_rows_and_codes() -> None:
    assert first_rows(np.array([2, -1, 0, 2, 0], np.int64), 4) == [2, 0, 0, 0]
    assert first_rows(np.empty(0, np.int64), 1) == [0]


def test_distinct_rows__names_the_first_row_of_each() -> None:
    numbers, rows = distinct_rows(np.array([7, -1, 3, 7, 3, 9], np.int64))
    assert (numbers.tolist(), rows) == ([0, -1, 1, 0, 1, 2], [0, 2, 5])
    assert distinct_rows(np.empty(0, np.int64))[1] == []
