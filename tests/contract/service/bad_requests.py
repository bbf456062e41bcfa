"""Bad requests that can be made of many operations, and the problem that each must get."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from tests.contract.service.operations import Operation
from tests.contract.service.tenants import Tenants

__all__ = ["RULES", "Rule"]

LIMIT = 256 * 1024


class Rule(NamedTuple):
    """
    A bad request.

    Attributes
    ----------
    name
        What is bad about it.
    problem
        Status and slug that it must get.
    change
        Returns what it has in place of the good request of an operation.
    of
        Whether it can be made of an operation.
    """

    name: str
    problem: tuple[int, str]
    change: Callable[[Operation, Tenants], Mapping[str, Any]]
    of: Callable[[Operation], bool]

    def __str__(self) -> str:
        return self.name


def _altered(key: str) -> str:
    return key[:-1] + ("A" if key[-1] != "A" else "B")


def keyed(operation: Operation) -> bool:
    return bool(operation.row.scopes)


def takes_body(operation: Operation) -> bool:
    return "requestBody" in operation.described


def takes_json(operation: Operation) -> bool:
    return operation.takes_json


def is_held(operation: Operation) -> bool:
    return not operation.path.endswith(":import") and operation.path != "/v1/match"


def is_strict(operation: Operation) -> bool:
    return True


def changes(operation: Operation) -> bool:
    return _has(operation, "If-Match")


def demands(operation: Operation) -> bool:
    return "428" in operation.described["responses"]


def creates(operation: Operation) -> bool:
    return _has(operation, "Idempotency-Key")


def _has(operation: Operation, name: str) -> bool:
    return any(one["name"] == name for one in operation.described.get("parameters", []))


def _header(name: str, value: str) -> Callable[[Operation, Tenants], dict[str, Any]]:
    return lambda _operation, _all: {"headers": {name: value}}


def _url(operation: Operation, all_: Tenants, query: str) -> str:
    url = operation.request(all_.own)["url"]
    return f"{url}{'&' if '?' in url else '?'}{query}"


def _bearer(*keys: str) -> dict[str, Any]:
    return {"headers": [("Authorization", f"Bearer {key}") for key in keys]}


def _repeated(operation: Operation, all_: Tenants) -> dict[str, Any]:
    names = [one["name"] for one in operation.described.get("parameters", []) if one["in"] == "query"]
    name = names[0] if names else "anything"
    return {"url": _url(operation, all_, f"{name}=1&{name}=1")}


def _content(text: bytes) -> Callable[[Operation, Tenants], dict[str, Any]]:
    return lambda _operation, _all: {"content": text}


def _in_body(member: str) -> Callable[[Operation, Tenants], dict[str, Any]]:
    def change(operation: Operation, all_: Tenants) -> dict[str, Any]:
        told = json.dumps(operation.request(all_.own)["json"])
        return {"content": f"{told[:-1]}, {member}}}".encode()}

    return change


def _wrapped(before: bytes, after: bytes) -> Callable[[Operation, Tenants], dict[str, Any]]:
    def change(operation: Operation, all_: Tenants) -> dict[str, Any]:
        return {"content": before + json.dumps(operation.request(all_.own)["json"]).encode() + after}

    return change


def _twice(operation: Operation, all_: Tenants) -> dict[str, Any]:
    told = json.dumps(operation.request(all_.own)["json"])
    return {"content": f"{{{told[1:-1]}, {told[1:-1]}}}".encode()}


def _chunks() -> Iterator[bytes]:
    yield b'{"name": "'
    for _ in range(LIMIT // 1024):
        yield b"x" * 1024


INVALID, UNPROCESSABLE = (400, "invalid-json"), (422, "validation")
NO_KEY, NO_ENCODING = (401, "unauthenticated"), (415, "unsupported-encoding")
NO_KIND, TOO_LARGE = (415, "unsupported-media-type"), (413, "payload-too-large")

RULES = (
    # Rows 54 and 55: keys that are none, or stand where they must not.
    Rule("key-in-query", NO_KEY, lambda o, t: {"url": _url(o, t, f"x={t.secrets['app']}")}, keyed),
    Rule("key-in-query-by-name", NO_KEY, lambda o, t: {"url": _url(o, t, "access_token=1")}, keyed),
    Rule("two-keys", NO_KEY, lambda _, t: _bearer(t.secrets["admin"], t.secrets["admin"]), keyed),
    Rule("bad-sum", NO_KEY, lambda _, t: _bearer(_altered(t.secrets["admin"])), keyed),
    Rule("cut-short", NO_KEY, lambda _, t: _bearer(t.secrets["admin"][:-1]), keyed),
    Rule("no-scheme", NO_KEY, lambda _, t: {"headers": {"Authorization": t.secrets["admin"]}}, keyed),
    Rule("revoked", NO_KEY, lambda _, t: _bearer(t.secrets["revoked"]), keyed),
    Rule("expired", NO_KEY, lambda _, t: _bearer(t.secrets["expired"]), keyed),
    # Row 15.
    *(
        Rule(f"encoded-{name}", NO_ENCODING, _header("Content-Encoding", name), keyed)
        for name in ("gzip", "zstd", "br", "gzip, gzip", "deflate")
    ),
    # Row 16: with a length, and without one.
    Rule("long-by-length", TOO_LARGE, _content(b" " * (LIMIT + 1)), is_held),
    Rule("long-in-chunks", TOO_LARGE, lambda _o, _t: {"content": _chunks()}, takes_json),
    # Row 14.
    Rule("plain", NO_KIND, lambda _o, _t: {"headers": {"Content-Type": "text/plain"}}, takes_body),
    Rule("xml", NO_KIND, lambda _o, _t: {"headers": {"Content-Type": "application/xml"}}, takes_body),
    Rule("no-kind", NO_KIND, lambda _o, _t: {"headers": {"Content-Type": ""}}, takes_body),
    # What is not known is not guessed.
    Rule("unknown-parameter", UNPROCESSABLE, lambda o, t: {"url": _url(o, t, "Offer=x")}, is_strict),
    Rule("repeated-parameter", UNPROCESSABLE, _repeated, is_strict),
    # Conditions and Idempotency-Keys: rows 45, 48 and 51.
    Rule("no-condition", (428, "precondition-required"), lambda _o, _t: {"without": "if-match"}, demands),
    Rule("stale-condition", (412, "precondition-failed"), _header("If-Match", '"987654321"'), changes),
    Rule("weak-condition", (412, "precondition-failed"), _header("If-Match", 'W/"1"'), changes),
    Rule(
        "no-idempotency-key", (400, "idempotency-key-missing"), lambda _o, _t: {"without": "idempotency-key"}, creates
    ),
    Rule("long-idempotency-key", (400, "idempotency-key-invalid"), _header("Idempotency-Key", "x" * 256), creates),
    Rule("no-idempotency-key-in-it", (400, "idempotency-key-invalid"), _header("Idempotency-Key", ""), creates),
    # Rows 1 and 4-8.
    *(
        Rule(f"holds-{name}", INVALID, _in_body(f'"x": {name}'), takes_json)
        for name in ("NaN", "Infinity", "-Infinity")
    ),
    Rule("half-a-pair", (422, "text-invalid"), _in_body('"x": "\\ud800"'), takes_json),
    Rule("half-a-pair-as-name", (422, "text-invalid"), _in_body('"\\udc00": 1'), takes_json),
    Rule("NUL", INVALID, _in_body('"x": "\0"'), takes_json),
    Rule("names-twice", INVALID, _twice, takes_json),
    Rule("33-deep", INVALID, _in_body(f'"x": {"[" * 32}{"]" * 32}'), takes_json),
    Rule("100000-deep", INVALID, _content(b"[" * 100_000 + b"]" * 100_000), takes_json),
    Rule("number-of-5000-digits", INVALID, _in_body(f'"x": {"9" * 5_000}'), takes_json),
    Rule("number-of-100-kB", INVALID, _in_body(f'"x": 0.{"1" * 100_000}'), takes_json),
    # Rows 11-13.
    *(
        Rule(f"gives-{name}", UNPROCESSABLE, _in_body(f'"{name}": "x"'), takes_json)
        for name in ("price", "revision", "created_at", "is_admin", "__proto__")
    ),
    Rule("byte-order-mark", INVALID, _wrapped(b"\xef\xbb\xbf", b""), takes_json),
    Rule("more-behind", INVALID, _wrapped(b"", b" {}"), takes_json),
    Rule("latin-1", INVALID, _content('{"name": "café"}'.encode("latin-1")), takes_json),
    Rule("utf-16", INVALID, _content('{"name": "x"}'.encode("utf-16")), takes_json),
    Rule(
        "no-body", UNPROCESSABLE, _content(b""), lambda o: takes_json(o) and o.described["requestBody"].get("required")
    ),
    Rule(
        "null", UNPROCESSABLE, _content(b"null"), lambda o: takes_json(o) and o.described["requestBody"].get("required")
    ),
    Rule("array", UNPROCESSABLE, _content(b"[]"), takes_json),
    Rule("text", UNPROCESSABLE, _content(b'"x"'), takes_json),
)
