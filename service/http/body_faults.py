"""What is said of a fault in a body: what was expected, and what came, but nothing that may be private."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["fault_told"]

_NO_OBJECT = {"model_type", "model_attributes_type", "dict_type", "dataclass_type"}
_OF_NUMBERS = {
    "float_type",
    "greater_than",
    "greater_than_equal",
    "int_from_float",
    "int_type",
    "less_than",
    "less_than_equal",
    "multiple_of",
}
_PRIVATE = {
    "address",
    "buyer",
    "code",
    "collector",
    "coordinates",
    "device",
    "lat",
    "lng",
    "means",
    "note",
    "secret",
    "url",
}
_KINDS = {str: "a string", bool: "a boolean", int: "a number", float: "a number", list: "an array", dict: "an object"}
_MOST_CHARS = 40


def fault_told(error: Mapping[str, Any], model: Any = None) -> str:
    """
    Return what is said of a fault.

    Parameters
    ----------
    error
        One of pydantic's errors.
    model
        Type of the body, whose names are told where one is not known; None where it cannot be told.

    Notes
    -----
    Of what came a number is told where one was expected, and no place, else its type: a text may be anybody's.
    """
    kind, location = error["type"], error["loc"]
    if kind == "extra_forbidden":
        known = sorted(_names(model, location[1:-1]))
        return f"is not known here, known are {', '.join(known)}" if known else "is not known here"
    expected = "must be a JSON object" if kind in _NO_OBJECT else str(error["msg"])
    if "input" not in error or not (kind.endswith("_type") or kind in _OF_NUMBERS):
        return expected
    return f"{expected}, got {_came(error['input'], is_told=kind in _OF_NUMBERS and _PRIVATE.isdisjoint(location))}"


def _came(value: Any, *, is_told: bool) -> str:
    if value is None:
        return "null"
    if is_told and isinstance(value, (bool, int, float)):
        return repr(value).lower()[:_MOST_CHARS]
    return _KINDS.get(type(value), "another type")


def _names(model: Any, location: tuple[Any, ...]) -> set[str]:
    """Return what an object at a place of a body may hold."""
    models = list(_models(model))
    for part in location:
        if isinstance(part, str):  # a number is a place in an array of the same models
            fields = [one.model_fields.get(part) for one in models]
            models = [inner for field in fields if field is not None for inner in _models(field.annotation)]
    return {field.alias or name for one in models for name, field in one.model_fields.items()}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Find the models in a type: itself, of its items, or of one of its kinds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
