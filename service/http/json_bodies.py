"""JSON bodies read strictly: what RFC 8259 leaves to chance (names given twice, depth, lone surrogates) is refused."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, NoReturn

from service.http.problems import ProblemError, Trouble

__all__ = ["as_object", "check_long_text", "check_text", "parse_json"]

_MAX_NUMBER_CHARS = 1_000  # a double written out exactly takes 767 digits at most
_MOST_NAMES = 64  # no body has an object of half as many, and each that is not known would be an error of its own
_BOM = b"\xef\xbb\xbf"
_KINDS = {
    type(None): "null",
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "an array",
}
# Controls, line and paragraph separators, marks and overrides of direction, lone surrogates, a byte order mark.
_NEVER = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff"
_BAD_IN_LINE = re.compile(f"[\t\n{_NEVER}]")
_BAD_IN_TEXT = re.compile(f"[{_NEVER}]")
_TO_ARRAYS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


def parse_json(body: bytes, *, max_depth: int = 32) -> Any:
    """
    Return the one value of a JSON body.

    A number beyond the range of a double, such as 1e999, comes out as infinity, so that the check of its range can
    name it.

    Raises
    ------
    ProblemError
        validation for an empty body, or an object with more than 64 names; text-invalid for a lone surrogate;
        invalid-json for anything else: not UTF-8, a byte order mark, more than one value, a name given twice, NaN or
        Infinity, a number of more than 1 000 characters, arrays and objects more than ``max_depth`` deep.
    """
    if not body or body.isspace():
        raise ProblemError("validation", "The body must be a JSON value, got nothing.")
    if body.startswith(_BOM):
        _refuse("starts with a byte order mark, which it must not")
    if body.count(b"[") + body.count(b"{") > max_depth and _is_deeper(body, max_depth):
        _refuse(f"is nested more than {max_depth} deep, or its brackets do not match")
    try:
        text = body.decode()
        value = (_DECODER if len(body) <= _MAX_NUMBER_CHARS else _COUNTING_DECODER).decode(text)
    except UnicodeDecodeError as error:
        _refuse(f"is not UTF-8 at byte {error.start}")
    except json.JSONDecodeError as error:
        _refuse(f"is not one JSON value: {error}")
    if b"\\ud" in body or b"\\uD" in body:
        _refuse_surrogates(value, "")
    return value


def as_object(value: Any) -> dict[str, Any]:
    """Return the value of a body that must be an object."""
    if isinstance(value, dict):
        return value
    raise ProblemError("validation", f"The body must be an object, got {_KINDS.get(type(value), 'something else')}.")


def check_text(text: Any, where: str, max_chars: int) -> str:
    """Return a text of one line, such as a name: without controls, line ends, marks of direction, lone surrogates."""
    return _checked(text, where, max_chars, _BAD_IN_LINE)


def check_long_text(text: Any, where: str, max_chars: int) -> str:
    """Return a text of several lines, such as a note: as `check_text`, but with line feeds and tabs."""
    return _checked(text, where, max_chars, _BAD_IN_TEXT)


def _checked(text: Any, where: str, max_chars: int, bad: re.Pattern[str]) -> str:
    if not isinstance(text, str):
        reason = f"must be a text, got {_KINDS.get(type(text), 'an object')}"
        raise ProblemError("validation", f"{where} {reason}", (Trouble(where, reason),))
    if len(text) > max_chars:
        raise _text_invalid(where, f"must be at most {max_chars} characters, got {len(text)}")
    found = bad.search(text)
    if found is not None:
        raise _text_invalid(where, f"must not hold U+{ord(found.group()):04X}, which stands at {found.start()}")
    return text


def _text_invalid(where: str, reason: str) -> ProblemError:
    return ProblemError("text-invalid", f"{where} {reason}", (Trouble(where, reason),))


def _refuse(reason: str) -> NoReturn:
    raise ProblemError("invalid-json", f"The body {reason}.")


def _is_deeper(body: bytes, max_depth: int) -> bool:
    """Tell whether brackets outside of texts go deeper, or do not match: each pass takes the innermost ones away."""
    outside = b"".join(body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    brackets = outside.translate(_TO_ARRAYS, _NO_BRACKETS)
    if brackets.startswith(b"[" * (max_depth + 1)):
        return True
    for _ in range(max_depth):
        n = len(brackets)
        brackets = brackets.replace(b"[]", b"")
        if len(brackets) in (0, n):
            break
    return bool(brackets)


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > _MOST_NAMES:
        raise ProblemError(
            "validation", f"The body has an object with {len(pairs)} names, at most {_MOST_NAMES} are taken."
        )
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        _refuse(f"has the name {twice!r:.60} twice in one object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    _refuse(f"holds {name}, which JSON does not have")


def _counted_float(text: str) -> float:
    _count(text)
    return float(text)


def _counted_int(text: str) -> int:
    _count(text)
    return int(text)


def _count(text: str) -> None:
    if len(text) > _MAX_NUMBER_CHARS:
        _refuse(f"holds a number of {len(text)} characters, at most {_MAX_NUMBER_CHARS} are taken")


def _refuse_surrogates(value: Any, where: str) -> None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise _text_invalid(where or "/", f"holds half a surrogate pair at {error.start}") from error
    elif isinstance(value, list):
        for position, item in enumerate(value):
            _refuse_surrogates(item, f"{where}/{position}")
    elif isinstance(value, dict):
        for name, item in value.items():
            _refuse_surrogates(name, where)
            _refuse_surrogates(item, f"{where}/{name}")


_DECODER = json.JSONDecoder(object_pairs_hook=_object_of, parse_constant=_refuse_constant)
_COUNTING_DECODER = json.JSONDecoder(
    object_pairs_hook=_object_of,
    parse_constant=_refuse_constant,
    parse_float=_counted_float,
    parse_int=_counted_int,
)
