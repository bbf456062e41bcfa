"""The description of the API as a judge: whether an answer is one of those that it promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import jsonschema_rs

__all__ = ["Description"]


@dataclass(frozen=True)
class Description:
    """An OpenAPI document."""

    document: dict[str, Any]

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """Return what is said of a route, None if nothing is."""
        found: dict[str, Any] | None = self.document["paths"].get(path, {}).get(method.lower())
        return found

    def faults_of(self, schema: dict[str, Any], value: Any) -> list[str]:
        """Return what of a value is against a schema of this document."""
        rooted = schema | {"components": self.document["components"]}
        validator = jsonschema_rs.Draft202012Validator(rooted, validate_formats=True)
        return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(value)]

    def check(self, response: httpx.Response) -> None:
        """Fail where an answer is not one that the description of its route has."""
        operation = self.operation(response.request.method, response.request.url.path)
        if operation is None:
            return
        told = operation["responses"].get(str(response.status_code))
        assert told is not None, f"{response.status_code} is not described: {response.text}"
        kind = response.headers["content-type"].partition(";")[0]
        assert kind in told["content"], kind
        content = told["content"][kind]
        if kind.endswith("json"):
            faults = self.faults_of(content["schema"], response.json())
            assert not faults, faults
        if kind == "application/problem+json":
            slug = response.json()["type"].rpartition("/")[2]
            assert slug in content["examples"], f"{slug} is not described for {response.status_code}"
