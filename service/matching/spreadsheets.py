"""Text in CSV that no spreadsheet runs as a formula, and back."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from service.matching.cells import as_mask

__all__ = ["escaped", "unescaped"]

# The last four are the same in full width. One apostrophe goes before such a text, also where others stand before
# it already, so that one can be taken off again; a plain number is no formula.
_STARTS = r"[=+\-@\t\r\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"
_FORMULA = f"^'*{_STARTS}"
_ESCAPED = f"^'+{_STARTS}"
_NUMBER = r"^[+\-]?[0-9]+(\.[0-9]+)?$"


def escaped(text: pa.Array[Any]) -> pa.Array[Any]:
    """Put an apostrophe before what a spreadsheet would run."""
    formula = pc.match_substring_regex(text, _FORMULA)
    if not as_mask(formula).any():
        return text
    formula = pc.and_not(formula, pc.match_substring_regex(text, _NUMBER))
    with_apostrophe = pc.call_function("binary_join_element_wise", [pa.scalar("'"), text, pa.scalar("")])
    return pc.if_else(formula, with_apostrophe, text)


def unescaped(text: pa.Array[Any]) -> pa.Array[Any]:
    """Take the apostrophe off again."""
    was_escaped = pc.match_substring_regex(text, _ESCAPED)
    if not as_mask(was_escaped).any():
        return text
    return pc.if_else(was_escaped, pc.utf8_slice_codeunits(text, 1), text)
