"""The description of the API as a judge: whether an answer is one of those that it promises."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from typing import Any

import httpx
import jsonschema_rs

__all__ = ["Description"]


@dataclass(frozen=True)
class Description:
    """An OpenAPI document."""

    document: dict[str, Any]
    validators: dict[int, tuple[Any, Any]] = field(default_factory=dict, compare=False, repr=False)
    """By the id of a schema, which is kept so that no other gets that id."""

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """Return what is said of a route, or of the path of a request to it; None if nothing is."""
        paths, method = self.document["paths"], method.lower()
        known = [one for one in paths if method in paths[one] and _pattern(one).fullmatch(path)]
        found: dict[str, Any] | None = paths[max(known, key=len)][method] if known else None
        return found

    def faults_of(self, schema: dict[str, Any], value: Any) -> list[str]:
        """Return what of a value is against a schema of this document."""
        if id(schema) not in self.validators:
            rooted = schema | {"components": self.document["components"]}
            made = jsonschema_rs.Draft202012Validator(rooted, validate_formats=True)
            self.validators[id(schema)] = schema, made
        errors = self.validators[id(schema)][1].iter_errors(value)
        return [f"{error.instance_path}: {error.message}" for error in errors]

    def check(self, response: httpx.Response) -> None:
        """Fail where an answer is not one that the description of its route has."""
        operation = self.operation(response.request.method, response.request.url.path)
        if operation is None:
            return
        told = operation["responses"].get(str(response.status_code))
        assert told is not None, f"{response.status_code} is not described: {response.text}"
        if not response.content and "content" not in told:
            return
        kind = response.headers["content-type"].partition(";")[0]
        assert kind in told["content"], kind
        content = told["content"][kind]
        if kind.endswith("json"):
            faults = self.faults_of(content["schema"], response.json())
            assert not faults, faults
        if kind == "application/problem+json":
            slug = response.json()["type"].rpartition("/")[2]
            assert slug in content["examples"], f"{slug} is not described for {response.status_code}"


@functools.cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(map(re.escape, re.split(r"{[a-z_]+}", template))))
