"""ETag and If-Match: who changes something says which revision he has seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.http.problems import ProblemError, invalid

if TYPE_CHECKING:
    from fastapi import Request

__all__ = ["check_if_given", "check_match", "check_no_match", "etag", "is_creation"]


def etag(*revisions: int) -> str:
    """Return the ETag of a revision, or of several that count together."""
    return f'"{"-".join(map(str, revisions))}"'


def is_creation(request: Request) -> bool:
    """Tell whether a request is to create: ``If-None-Match: *``."""
    return request.headers.get("if-none-match") == "*"


def check_match(request: Request, tag: str) -> None:
    """
    Let a change pass if its If-Match holds the ETag of what is there.

    Raises
    ------
    ProblemError
        428 where there is no If-Match, 412 where it holds another.
    """
    wanted = request.headers.get("if-match")
    if wanted is None:
        raise ProblemError("precondition-required", "send If-Match with the ETag that you have read")
    held = [one.strip() for one in wanted.split(",")]
    if wanted != "*" and tag not in held:
        text = f"it is at {tag} now, your If-Match says {wanted:.60}: {_remedy(held, tag)}"
        raise ProblemError("precondition-failed", text, headers={"ETag": tag})


def _remedy(held: list[str], tag: str) -> str:
    quoted = "an ETag stands in double quotes"
    if tag in [f'"{one}"' for one in held]:
        return quoted
    return "read it again" if all('"' in one for one in held) else f"read it again, {quoted}"


def check_if_given(request: Request, tag: str | None) -> None:
    """Let a write of what is there, or is not (None), pass if it has no condition, or one that holds; 412 otherwise."""
    if not is_creation(request) and "if-none-match" in request.headers:
        raise invalid("If-None-Match", "must be *, which makes what is not there yet")
    check_no_match(request, tag)
    if tag is not None and "if-match" in request.headers:
        check_match(request, tag)


def check_no_match(request: Request, tag: str | None) -> None:
    """Let a write pass if what is there, or is not (None), may be created, or replaced; 412 where it is the other way."""
    if is_creation(request) and tag is not None:
        raise ProblemError("precondition-failed", "it is there already", headers={"ETag": tag})
    if tag is None and "if-match" in request.headers:
        raise ProblemError("precondition-failed", "there is nothing yet that If-Match could match")
