"""What the tags of a map object mean: the rules of ``tags.toml``, applied."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from service.errors import BadFileError
from service.points.schema import KINDS, VISIBILITIES

__all__ = ["Left", "TagTable", "Taken", "load_tag_table"]

_FILE = "tags.toml"
_ANY = "*"
_OFFER = re.compile(r"[a-z0-9_]+/[a-z0-9_]+")
_REMOVABLE = re.compile(r"([a-z0-9_]+|\*)/[a-z0-9_]+")
_PARTS = {
    "leave": ({"reason", "when"}, {"unless"}),
    "take": ({"kind", "when"}, {"unless", "offers", "usual", "visibility"}),
    "change": ({"when"}, {"unless", "add", "remove"}),
    "feature": ({"feature", "when"}, {"unless"}),
    "untaken": ({"reason", "when"}, {"unless"}),
}
NO_SECTOR, NO_OFFER_LEFT = "no_sector", "no_offer_left"


@dataclass(frozen=True)
class Taken:
    """
    A map object that is a point.

    Attributes
    ----------
    kind, visibility
        Of `KINDS` and `VISIBILITIES`.
    offers
        Sorted, at least one.
    usual
        Those of them that the map does not say, but are usual for such a business.
    features
        Sorted.
    """

    kind: str
    visibility: str
    offers: tuple[str, ...]
    usual: frozenset[str]
    features: tuple[str, ...]


@dataclass(frozen=True)
class Left:
    """A map object that is no point, and why."""

    reason: str


@dataclass(frozen=True)
class _Rule:
    """A condition with what follows from it; a tag's values are compared in small letters."""

    when: Mapping[str, frozenset[str]]
    unless: Mapping[str, frozenset[str]]
    body: Mapping[str, Any]

    def fits(self, tags: Mapping[str, frozenset[str]]) -> bool:
        for key, wanted in self.when.items():
            values = tags.get(key)
            if values is None or not _among(values, wanted) - _among(values, self.unless.get(key, frozenset())):
                return False
        return not any(
            _among(tags[key], refused) for key, refused in self.unless.items() if key in tags and key not in self.when
        )


@dataclass(frozen=True)
class TagTable:
    """
    The rules, checked.

    Attributes
    ----------
    account_for
        Keys whose every object is taken or left with a reason.
    look_at
        Keys whose objects are taken where a rule fits.
    """

    account_for: tuple[str, ...]
    look_at: tuple[str, ...]
    _rules: Mapping[str, tuple[_Rule, ...]]

    def judge(self, tags: Mapping[str, str]) -> Taken | Left:
        """Return what an object with these tags is."""
        values = {key: _values(text) for key, text in tags.items()}
        for rule in self._fitting("leave", values):
            return Left(rule.body["reason"])
        takes = list(self._fitting("take", values))
        if not takes:
            untaken = next(self._fitting("untaken", values), None)
            return Left(NO_SECTOR if untaken is None else untaken.body["reason"])
        offers, usual = self._offers(takes, values)
        if not offers:
            return Left(NO_OFFER_LEFT)
        first = takes[0].body
        features = {feature for rule in self._fitting("feature", values) for feature in _features(rule, tags)}
        visibility = first.get("visibility", VISIBILITIES[0])
        return Taken(first["kind"], visibility, tuple(sorted(offers)), frozenset(usual), tuple(sorted(features)))

    def offers(self) -> set[str]:
        """Return every offer that a rule gives."""
        keys = ("offers", "usual", "add")
        return {
            offer
            for rules in self._rules.values()
            for rule in rules
            for key in keys
            for offer in rule.body.get(key, ())
        }

    def reasons(self) -> set[str]:
        """Return every reason for which an object is left because of its tags."""
        named = {rule.body["reason"] for part in ("leave", "untaken") for rule in self._rules[part]}
        return named | {NO_SECTOR, NO_OFFER_LEFT}

    def _offers(self, takes: list[_Rule], values: Mapping[str, frozenset[str]]) -> tuple[set[str], set[str]]:
        """Return the offers of an object, and those of them that are only usual."""
        told = {offer for rule in takes for offer in rule.body.get("offers", ())}
        usual = {offer for rule in takes for offer in rule.body.get("usual", ())}
        for rule in self._fitting("change", values):
            told |= set(rule.body.get("add", ()))
            for removed in rule.body.get("remove", ()):
                gone = {offer for offer in told | usual if _is_removed(offer, removed)}
                told, usual = told - gone, usual - gone
        return told | usual, usual - told

    def _fitting(self, part: str, values: Mapping[str, frozenset[str]]) -> Iterator[_Rule]:
        return (rule for rule in self._rules[part] if rule.fits(values))


def load_tag_table(text: str | None = None) -> TagTable:
    """
    Return the rules of ``tags.toml``, or of another text of that form.

    Raises
    ------
    BadFileError
        Naming the rule, what was expected and what came.
    """
    if text is None:
        text = files("service.points").joinpath(_FILE).read_text(encoding="utf-8")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadFileError(_FILE, None, f"must be TOML: {error}") from error
    keys = {"account_for", "look_at", *_PARTS}
    if set(table) != keys:
        raise BadFileError(_FILE, None, f"must say {', '.join(sorted(keys))}, got {', '.join(sorted(table))}")
    rules = {part: tuple(_rule(part, n, body) for n, body in enumerate(table[part], 1)) for part in _PARTS}
    return TagTable(tuple(table["account_for"]), tuple(table["look_at"]), rules)


def _rule(part: str, number: int, body: dict[str, Any]) -> _Rule:
    where = f"[[{part}]] {number}"
    needed, allowed = _PARTS[part]
    missing, unknown = (needed | {"why"}) - set(body), set(body) - needed - allowed - {"why"}
    if missing or unknown:
        wrong = ", ".join(sorted(missing)) + (" must be given" if missing else "")
        wrong += f"{', '.join(sorted(unknown))} is not known" if unknown else ""
        raise BadFileError(_FILE, None, f"{where}: {wrong}")
    when, unless = (_condition(body.get(name, {}), f"{where}.{name}") for name in ("when", "unless"))
    if not when:
        raise BadFileError(_FILE, None, f"{where}.when must name a key")
    _check_body(body, where)
    return _Rule(when, unless, body)


def _check_body(body: Mapping[str, Any], where: str) -> None:
    allowed = {"kind": KINDS, "visibility": VISIBILITIES}
    for name, values in allowed.items():
        if name in body and body[name] not in values:
            raise BadFileError(_FILE, None, f"{where}.{name} must be one of {', '.join(values)}, got {body[name]!r}")
    for name in ("offers", "usual", "add", "remove"):
        form = _REMOVABLE if name == "remove" else _OFFER
        for offer in body.get(name, ()):
            if not form.fullmatch(offer):
                raise BadFileError(_FILE, None, f'{where}.{name} must be "sector/mode", got {offer!r}')


def _condition(given: Mapping[str, Any], where: str) -> dict[str, frozenset[str]]:
    condition = {}
    for key, values in given.items():
        texts = [values] if isinstance(values, str) else values
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
            raise BadFileError(_FILE, None, f"{where}.{key} must be a value or a list of values, got {values!r}")
        condition[key] = frozenset(text.lower() for text in texts)
    return condition


def _values(text: str) -> frozenset[str]:
    return frozenset(value for part in text.split(";") if (value := part.strip().lower()))


def _among(values: frozenset[str], wanted: frozenset[str]) -> frozenset[str]:
    return values if _ANY in wanted else values & wanted


def _is_removed(offer: str, removed: str) -> bool:
    sector, mode = removed.split("/")
    return offer == removed or (sector == _ANY and offer.endswith(f"/{mode}"))


def _features(rule: _Rule, tags: Mapping[str, str]) -> Iterator[str]:
    """Give the feature of a rule, one for each value of the tag it names as ``{value}``."""
    feature: str = rule.body["feature"]
    if "{value}" not in feature:
        yield feature
        return
    text = tags[next(iter(rule.when))]
    for part in text.split(";"):
        value = " ".join(part.replace(",", " ").split())  # no feature holds a comma
        if value:
            yield feature.replace("{value}", value)
